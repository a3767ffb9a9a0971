"""Pull requests and their files.

https://docs.github.com/en/rest/pulls
"""

from dataclasses import replace

from covend.demo.github.answers import Answer, invalid, require_short
from covend.demo.github.routes import Call, get, in_thread, patch, post
from covend.demo.github.state import Hosted, State
from covend.demo.payloads import pulls, repositories
from covend.demo.records import JsonObject, PullRequest
from covend.demo.repository import PullBranches

_REPO = "/repos/{owner}/{repo}"
TITLE_MAX = 256
_READ, _WRITE = ("pull_requests:read",), ("pull_requests:write",)


async def show_pull(call: Call) -> Answer:
    """Show a pull request; its head is the one git has now."""
    hosted = call.hosted
    pull = await in_thread(hosted.live_pull, call.number("pull_number"))
    return Answer(body=_shown(call.state, hosted, pull))


async def list_pulls(call: Call) -> Answer:
    """List pull requests by `state`, `head` (`owner:branch`) and `base`; newest first."""
    hosted = call.hosted
    live = [await in_thread(hosted.live_pull, number) for number in sorted(hosted.pulls)]
    found = [pull for pull in reversed(live) if _matches(hosted, pull, call)]
    return call.page(
        found, lambda pull: pulls.pull_request_in_list(call.state.site, hosted.repository, pull)
    )


async def list_files(call: Call) -> Answer:
    """List the changed files with their patches."""
    hosted, site = call.hosted, call.state.site
    pull = await in_thread(hosted.live_pull, call.number("pull_number"))
    files = await in_thread(hosted.diff, pull.base_sha, pull.head_sha)
    return call.page(
        list(files),
        lambda file: repositories.changed_file(site, hosted.repository, file, pull.head_sha),
    )


async def create_pull(call: Call) -> Answer:
    """Open a pull request between two branches of the repository."""
    hosted = call.hosted
    _require_words(call)
    if hosted.repository.private and not call.credential.allows("contents:read"):
        raise invalid("PullRequest", "head", "custom", "not all refs are readable")
    head, base = call.text("head").rpartition(":")[2], call.text("base")
    await in_thread(_require_branches, hosted, head, base)
    number = hosted.next_number()
    branches = PullBranches(number=number, base_ref=base, head_ref=head)
    await in_thread(hosted.git.track_pull, branches)
    hosted.pulls[number] = _opened(call, number, head, base)
    pull = await in_thread(hosted.live_pull, number)
    return Answer(status=201, body=_shown(call.state, hosted, pull))


async def update_pull(call: Call) -> Answer:
    """Change the title, the body or the state."""
    _require_words(call)
    hosted, number = call.hosted, call.number("pull_number")
    changes = {k: v for k, v in call.fields.items() if k in {"title", "body", "state"}}
    pull = await in_thread(hosted.live_pull, number)
    hosted.pulls[number] = replace(hosted.pulls[number], updated_at=call.state.now(), **changes)
    return Answer(body=_shown(call.state, hosted, replace(pull, **changes)))


def _shown(state: State, hosted: Hosted, pull: PullRequest) -> JsonObject:
    at = (hosted.full_name, pull.number)
    counted = replace(
        pull,
        comments=sum((each.repository, each.number) == at for each in state.comments),
        review_comments=sum((each.repository, each.number) == at for each in state.review_comments),
    )
    mergeable = {
        "mergeable": pull.merge_sha is not None,
        "mergeable_state": "clean" if pull.merge_sha else "dirty",
    }
    return pulls.pull_request(state.site, hosted.repository, counted) | mergeable


def _matches(hosted: Hosted, pull: PullRequest, call: Call) -> bool:
    wanted = call.query
    owner = (pull.head_repository or hosted.repository).owner.login
    return (
        wanted.get("state", "open") in {"all", pull.state}
        and wanted.get("head") in {None, f"{owner}:{pull.head_ref}"}
        and wanted.get("base") in {None, pull.base_ref}
    )


def _require_words(call: Call) -> None:
    title, body = call.fields.get("title"), call.fields.get("body")
    if title is not None and not title.strip():
        raise invalid("PullRequest", "title", "missing_field")
    if title is not None and len(title) > TITLE_MAX:
        message = f"title is too long (maximum is {TITLE_MAX} characters)"
        raise invalid("PullRequest", "title", "custom", message)
    require_short("PullRequest", body or "")


def _require_branches(hosted: Hosted, head: str, base: str) -> None:
    for name, branch in (("head", head), ("base", base)):
        if hosted.git.resolve(f"refs/heads/{branch}") is None:
            raise invalid("PullRequest", name, "invalid")
    ends = (f"refs/heads/{base}", f"refs/heads/{head}")
    if not hosted.git.commits_between(*ends):
        message = f"No commits between {base} and {head}"
        raise invalid("PullRequest", "head", "custom", message)
    if any(
        (pull.head_ref, pull.base_ref, pull.state) == (head, base, "open")
        for pull in hosted.pulls.values()
    ):
        message = f"A pull request already exists for {hosted.repository.owner.login}:{head}."
        raise invalid("PullRequest", "head", "custom", message)


def _opened(call: Call, number: int, head: str, base: str) -> PullRequest:
    now = call.state.now()
    return PullRequest(
        number=number,
        id=next(call.state.ids),
        title=call.text("title"),
        body=call.fields.get("body"),
        author=call.caller,
        association=call.state.association(call.hosted, call.caller),
        head_ref=head,
        head_sha="",
        base_ref=base,
        base_sha="",
        draft=call.fields.get("draft") is True,
        created_at=now,
        updated_at=now,
    )


ROUTES = (
    get(f"{_REPO}/pulls", list_pulls, *_READ),
    post(f"{_REPO}/pulls", create_pull, *_WRITE),
    get(f"{_REPO}/pulls/{{pull_number}}", show_pull, *_READ),
    patch(f"{_REPO}/pulls/{{pull_number}}", update_pull, *_WRITE),
    get(f"{_REPO}/pulls/{{pull_number}}/files", list_files, *_READ),
)
