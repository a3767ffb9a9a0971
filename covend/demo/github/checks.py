"""Check runs and commit statuses.

https://docs.github.com/en/rest/checks/runs
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from covend.demo.github.answers import Answer, Refused, invalid, not_found
from covend.demo.github.auth import Kind
from covend.demo.github.routes import Call, get, in_thread, patch, post
from covend.demo.payloads import checks, pulls
from covend.demo.payloads.repositories import api_url, repository
from covend.demo.payloads.scene import fresh_sha
from covend.demo.records import CheckRun, CommitStatus, JsonObject

DESCRIPTION_MAX = 140
"""Characters in a status's description."""
ANNOTATIONS_MAX = 50
"""Annotations of one request."""
ANNOTATION_BYTES_MAX = 64 * 1024
"""Of a message, and of the raw details."""
TITLE_MAX = 255
"""Characters in an annotation's title."""
SUMMARY_MAX = 65_535
"""Characters in a summary, and in the text below it."""

_REPO = "/repos/{owner}/{repo}"
_RUN = f"{_REPO}/check-runs/{{check_run_id}}"
_READ, _WRITE = ("checks:read",), ("checks:write",)
_COPIED = ("name", "external_id", "details_url", "status", "conclusion")
_OUTPUT = ("title", "summary", "text")


async def create_check_run(call: Call) -> Answer:
    """Start a check run on a commit; only an App may."""
    app = call.credential.app
    if app is None or call.credential.kind is not Kind.INSTALLATION:
        raise Refused(403, "You must authenticate via a GitHub App.")
    sha = await _commit(call, call.text("head_sha"))
    suite = int(fresh_sha(call.hosted.full_name, sha, app.id)[:8], 16)
    run = CheckRun(
        id=next(call.state.ids),
        repository=call.hosted.full_name,
        name=call.text("name"),
        head_sha=sha,
        app=app,
        suite_id=suite,
        started_at=call.state.now(),
    )
    run = _changed(call, run)
    call.state.check_runs.append(run)
    return Answer(status=201, body=await _shown(call, run))


async def update_check_run(call: Call) -> Answer:
    """Change a check run; only the App that made it may."""
    old = _run(call)
    if call.credential.app != old.app:
        raise Refused(403, "Invalid app_id - check run can only be modified by its GitHub App.")
    new = _changed(call, old)
    call.state.check_runs[call.state.check_runs.index(old)] = new
    return Answer(body=await _shown(call, new))


async def show_check_run(call: Call) -> Answer:
    """Show one check run."""
    return Answer(body=await _shown(call, _run(call)))


async def list_check_runs(call: Call) -> Answer:
    """List the check runs of a commit by `app_id`, `check_name`, `status` and `filter`."""
    sha = await _commit(call, call.params["ref"])
    found = [run for run in call.state.check_runs if _is_wanted(call, run, sha)]
    if call.query.get("filter", "latest") == "latest":
        found = list({(run.app.id, run.name): run for run in found}.values())
    shown = {run.id: await _shown(call, run) for run in found}
    return call.counted_page("check_runs", found, lambda run: shown[run.id])


async def create_status(call: Call) -> Answer:
    """Set a commit status; the newest of a context counts."""
    fields = call.fields
    description = fields.get("description")
    if description is not None and len(description) > DESCRIPTION_MAX:
        message = f"description is too long (maximum is {DESCRIPTION_MAX} characters)"
        raise invalid("Status", "description", "custom", message)
    status = CommitStatus(
        id=next(call.state.ids),
        repository=call.hosted.full_name,
        sha=await _commit(call, call.params["sha"]),
        state=call.text("state"),
        author=call.caller,
        context=fields.get("context", "default"),
        description=description,
        target_url=fields.get("target_url"),
        created_at=call.state.now(),
    )
    call.state.statuses.append(status)
    shown = checks.commit_status(call.state.site, call.hosted.repository, status)
    return Answer(status=201, body=shown)


async def list_statuses(call: Call) -> Answer:
    """List all statuses of a commit, newest first."""
    site, hosted = call.state.site, call.hosted
    found = _statuses(call, await _commit(call, call.params["ref"]))
    return call.page(found, lambda each: checks.commit_status(site, hosted.repository, each))


async def show_combined_status(call: Call) -> Answer:
    """Show the newest status of each context, and what they come to."""
    site, hosted = call.state.site, call.hosted
    sha = await _commit(call, call.params["ref"])
    newest = list({each.context: each for each in reversed(_statuses(call, sha))}.values())
    url = f"{api_url(site, hosted.repository)}/commits/{sha}"
    listed = call.counted_page(
        "statuses", newest, lambda each: checks.commit_status(site, hosted.repository, each)
    )
    body = {
        **listed.body,
        "state": _combined({each.state for each in newest}),
        "sha": sha,
        "repository": repository(site, hosted.repository),
        "commit_url": url,
        "url": f"{url}/status",
    }
    return Answer(body=body, headers=listed.headers)


async def _commit(call: Call, revision: str) -> str:
    sha = await in_thread(call.hosted.git.resolve, revision)
    if sha is None:
        raise Refused(422, f"No commit found for SHA: {revision}")
    return sha


def _run(call: Call) -> CheckRun:
    number = call.number("check_run_id")
    found = next((run for run in call.state.check_runs if run.id == number), None)
    if found is None or found.repository != call.hosted.full_name:
        raise not_found()
    return found


async def _shown(call: Call, run: CheckRun) -> JsonObject:
    hosted, site = call.hosted, call.state.site
    on = await in_thread(hosted.pulls_at, run.head_sha)
    stubs = [pulls.pull_request_stub(site, hosted.repository, pull) for pull in on]
    return checks.check_run(site, hosted.repository, run, stubs)


def _changed(call: Call, run: CheckRun) -> CheckRun:
    """Apply a body; annotations add up, a conclusion completes, completion needs a conclusion."""
    fields = call.fields
    output = fields.get("output") or {}
    _require_bounds(output)
    changes = {name: fields[name] for name in _COPIED if name in fields}
    changes |= {name: output[name] for name in _OUTPUT if name in output}
    changes |= {
        name: datetime.fromisoformat(fields[name])
        for name in ("started_at", "completed_at")
        if name in fields
    }
    if "actions" in fields:
        changes["actions"] = tuple(fields["actions"])
    if "conclusion" in fields:
        changes |= {"status": "completed"}
        changes.setdefault("completed_at", call.state.now())
    annotations = run.annotations + tuple(output.get("annotations", ()))
    new = replace(run, **changes, annotations=annotations)
    if new.status == "completed" and new.conclusion is None:
        raise invalid("CheckRun", "conclusion", "missing_field")
    return new if new.status == "completed" else replace(new, conclusion=None, completed_at=None)


def _require_bounds(output: JsonObject) -> None:
    for name in ("summary", "text"):
        if len(output.get(name) or "") > SUMMARY_MAX:
            raise invalid("CheckRun", name, "custom", f"Only {SUMMARY_MAX} characters are allowed")
    annotations: Sequence[JsonObject] = output.get("annotations") or ()
    if len(annotations) > ANNOTATIONS_MAX:
        message = f"No more than {ANNOTATIONS_MAX} annotations are allowed at once"
        raise invalid("CheckRun", "annotations", "custom", message)
    for annotation in annotations:
        fault = _annotation_fault(annotation)
        if fault is not None:
            raise invalid("CheckAnnotation", fault, "invalid")


def _annotation_fault(annotation: JsonObject) -> str | None:
    """Name the field that GitHub would not have; one bad annotation refuses the whole request."""
    first, last = annotation["start_line"], annotation["end_line"]
    path = annotation["path"]
    if not path or path.startswith("/") or not path.isprintable():
        return "path"
    if not 1 <= first <= last:
        return "end_line"
    if first != last and {"start_column", "end_column"} & set(annotation):
        return "start_column"
    if len(annotation.get("title") or "") > TITLE_MAX:
        return "title"
    for name in ("message", "raw_details"):
        text = annotation.get(name)
        if text is not None and not 0 < len(text.encode()) <= ANNOTATION_BYTES_MAX:
            return name
    return None


def _is_wanted(call: Call, run: CheckRun, sha: str) -> bool:
    query = call.query
    return (
        (run.repository, run.head_sha) == (call.hosted.full_name, sha)
        and query.get("app_id") in {None, str(run.app.id)}
        and query.get("check_name") in {None, run.name}
        and query.get("status") in {None, run.status}
    )


def _statuses(call: Call, sha: str) -> list[CommitStatus]:
    at = (call.hosted.full_name, sha)
    found = [each for each in call.state.statuses if (each.repository, each.sha) == at]
    return found[::-1]


def _combined(states: set[str]) -> str:
    if states & {"error", "failure"}:
        return "failure"
    return "success" if states == {"success"} else "pending"


ROUTES = (
    post(f"{_REPO}/check-runs", create_check_run, *_WRITE),
    patch(_RUN, update_check_run, *_WRITE),
    get(_RUN, show_check_run, *_READ),
    get(f"{_REPO}/commits/{{ref}}/check-runs", list_check_runs, *_READ),
    post(f"{_REPO}/statuses/{{sha}}", create_status, "statuses:write"),
    get(f"{_REPO}/commits/{{ref}}/statuses", list_statuses, "statuses:read"),
    get(f"{_REPO}/commits/{{ref}}/status", show_combined_status, "statuses:read"),
)
