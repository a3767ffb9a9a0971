"""Repositories, commits, refs and people's permissions.

https://docs.github.com/en/rest/repos
"""

from covend.demo.github.answers import Answer, Refused, not_found
from covend.demo.github.routes import Call, delete, get, in_thread, patch, post
from covend.demo.github.state import Hosted, State
from covend.demo.payloads import people, pulls, repositories
from covend.demo.records import Account, JsonObject
from covend.demo.repository import Commit

LEGACY_PERMISSIONS = {"admin": "admin", "maintain": "write", "triage": "read"}
"""How `permission` folds the finer roles of `role_name`."""


async def show_repository(call: Call) -> Answer:
    """Show a repository in its full form."""
    shown = repositories.repository(call.state.site, call.hosted.repository)
    counts = {"has_discussions": False, "network_count": 0, "subscribers_count": 1}
    return Answer(body=shown | counts)


async def show_permission(call: Call) -> Answer:
    """Show what a person may do; somebody unknown to the repository may read a public one."""
    hosted, login = call.hosted, call.params["username"]
    account = call.state.accounts.get(login)
    if account is None:
        raise not_found()
    role = hosted.roles.get(login) or ("none" if hosted.repository.private else "read")
    body = {
        "permission": LEGACY_PERMISSIONS.get(role, role),
        "user": _collaborator(call.state, account, role),
        "role_name": role,
    }
    return Answer(body=body)


async def show_commit(call: Call) -> Answer:
    """Show a commit by SHA, branch or ref, with its files."""
    hosted, site = call.hosted, call.state.site
    made = await in_thread(_find_commit, hosted, call.params["ref"])
    base = made.parents[0] if made.parents else made.sha
    files = await in_thread(hosted.diff, base, made.sha)
    shown = repositories.commit(site, hosted.repository, made)
    listed = [repositories.changed_file(site, hosted.repository, file, made.sha) for file in files]
    added = sum(file.additions for file in files)
    removed = sum(file.deletions for file in files)
    stats = {"additions": added, "deletions": removed, "total": added + removed}
    return Answer(body=shown | {"stats": stats, "files": listed})


async def show_branch(call: Call) -> Answer:
    """Show a branch with its commit."""
    hosted, site, name = call.hosted, call.state.site, call.params["branch"]
    made = await in_thread(_find_commit, hosted, f"refs/heads/{name}")
    url = f"{repositories.api_url(site, hosted.repository)}/branches/{name}"
    page = f"{repositories.html_url(site, hosted.repository)}/tree/{name}"
    body = {
        "name": name,
        "commit": repositories.commit(site, hosted.repository, made),
        "_links": {"self": url, "html": page},
        "protected": False,
        "protection": {"enabled": False},
        "protection_url": f"{url}/protection",
    }
    return Answer(body=body)


async def list_pulls_of_commit(call: Call) -> Answer:
    """List the pull requests whose head is a commit."""
    hosted = call.hosted
    found = await in_thread(hosted.pulls_at, call.params["commit_sha"])
    return call.page(
        list(found),
        lambda pull: pulls.pull_request_in_list(call.state.site, hosted.repository, pull),
    )


async def compare(call: Call) -> Answer:
    """Compare two commits, three dots between them."""
    base, dots, head = call.params["basehead"].partition("...")
    if not dots:
        raise not_found()
    return Answer(body=await in_thread(_comparison, call.state, call.hosted, base, head))


async def show_ref(call: Call) -> Answer:
    """Show a ref, given without its leading `refs/`."""
    ref = f"refs/{call.params['ref']}"
    sha = await in_thread(call.hosted.git.resolve, ref)
    if sha is None:
        raise not_found()
    return Answer(body=_ref(call, ref, sha))


async def create_ref(call: Call) -> Answer:
    """Make a ref; one that exists already is refused."""
    git, ref, sha = call.hosted.git, call.text("ref"), call.text("sha")
    if not ref.startswith("refs/") or await in_thread(git.resolve, sha) is None:
        raise Refused(422, "Object does not exist")
    if await in_thread(git.resolve, ref) is not None:
        raise Refused(422, "Reference already exists")
    await in_thread(git.set_ref, ref, sha)
    return Answer(status=201, body=_ref(call, ref, sha))


async def update_ref(call: Call) -> Answer:
    """Move a ref that exists; only forward, unless `force` is true."""
    hosted, ref, sha = call.hosted, f"refs/{call.params['ref']}", call.text("sha")
    at, to = await in_thread(hosted.git.resolve, ref), await in_thread(hosted.git.resolve, sha)
    if at is None or to is None:
        raise Refused(422, "Reference does not exist" if at is None else "Object does not exist")
    forced = call.fields.get("force") is True
    if not forced and await in_thread(hosted.git.merge_base, at, to) != at:
        raise Refused(422, "Update is not a fast forward")
    await in_thread(hosted.git.set_ref, ref, to)
    await in_thread(hosted.refresh_pulls)
    return Answer(body=_ref(call, ref, to))


async def delete_ref(call: Call) -> Answer:
    """Remove a ref."""
    git, ref = call.hosted.git, f"refs/{call.params['ref']}"
    if await in_thread(git.resolve, ref) is None:
        raise Refused(422, "Reference does not exist")
    await in_thread(git.delete_ref, ref)
    await in_thread(call.hosted.refresh_pulls)
    return Answer(status=204)


def _find_commit(hosted: Hosted, revision: str) -> Commit:
    sha = hosted.git.resolve(revision)
    if sha is None:
        raise Refused(422, f"No commit found for SHA: {revision}")
    return hosted.git.read_commit(sha)


def _comparison(state: State, hosted: Hosted, base: str, head: str) -> JsonObject:
    git, site = hosted.git, state.site
    ends = (git.resolve(base), git.resolve(head))
    if ends[0] is None or ends[1] is None:
        raise not_found()
    start, end = ends[0], ends[1]
    ahead, behind = git.commits_between(start, end), git.commits_between(end, start)
    page = f"{repositories.html_url(site, hosted.repository)}/compare/{base}...{head}"
    merge_base = git.read_commit(git.merge_base(start, end))
    files = hosted.diff(start, end)
    return {
        "url": f"{repositories.api_url(site, hosted.repository)}/compare/{base}...{head}",
        "html_url": page,
        "permalink_url": page,
        "diff_url": f"{page}.diff",
        "patch_url": f"{page}.patch",
        "base_commit": repositories.commit(site, hosted.repository, git.read_commit(start)),
        "merge_base_commit": repositories.commit(site, hosted.repository, merge_base),
        "status": _relation(len(ahead), len(behind)),
        "ahead_by": len(ahead),
        "behind_by": len(behind),
        "total_commits": len(ahead),
        "commits": [repositories.commit(site, hosted.repository, each) for each in ahead],
        "files": [repositories.changed_file(site, hosted.repository, f, end) for f in files],
    }


def _relation(ahead: int, behind: int) -> str:
    if ahead and behind:
        return "diverged"
    if ahead or behind:
        return "ahead" if ahead else "behind"
    return "identical"


def _collaborator(state: State, account: Account, role: str) -> JsonObject:
    order = ("read", "triage", "write", "maintain", "admin")
    names = ("pull", "triage", "push", "maintain", "admin")
    reach = order.index(role) if role in order else -1
    granted = {name: at <= reach for at, name in enumerate(names)}
    return people.user(state.site, account) | {"permissions": granted, "role_name": role}


def _ref(call: Call, ref: str, sha: str) -> JsonObject:
    url = f"{repositories.api_url(call.state.site, call.hosted.repository)}/git"
    return {
        "ref": ref,
        "node_id": f"REF_{ref}",
        "url": f"{url}/{ref}",
        "object": {"type": "commit", "sha": sha, "url": f"{url}/commits/{sha}"},
    }


_REPO = "/repos/{owner}/{repo}"
_READ, _WRITE = ("contents:read",), ("contents:write",)

ROUTES = (
    get(_REPO, show_repository, "metadata:read"),
    get(f"{_REPO}/collaborators/{{username}}/permission", show_permission, "metadata:read"),
    get(f"{_REPO}/commits/{{ref}}", show_commit, *_READ),
    get(
        f"{_REPO}/commits/{{commit_sha}}/pulls",
        list_pulls_of_commit,
        "pull_requests:read",
        "contents:read",
    ),
    get(f"{_REPO}/branches/{{branch}}", show_branch, *_READ),
    get(f"{_REPO}/compare/{{basehead}}", compare, *_READ),
    get(f"{_REPO}/git/ref/{{ref}}", show_ref, *_READ),
    post(f"{_REPO}/git/refs", create_ref, *_WRITE),
    patch(f"{_REPO}/git/refs/{{ref}}", update_ref, *_WRITE),
    delete(f"{_REPO}/git/refs/{{ref}}", delete_ref, *_WRITE),
)
