"""Repositories, commits and files as GitHub writes them."""

from urllib.parse import quote, urlsplit

from covend.demo.payloads.people import repository_stub, user
from covend.demo.records import JsonObject, Repository, Site, moment, node_id
from covend.demo.repository import ChangedFile, Commit

_API_URLS = (
    ("forks_url", "/forks"),
    ("keys_url", "/keys{/key_id}"),
    ("collaborators_url", "/collaborators{/collaborator}"),
    ("teams_url", "/teams"),
    ("hooks_url", "/hooks"),
    ("issue_events_url", "/issues/events{/number}"),
    ("events_url", "/events"),
    ("assignees_url", "/assignees{/user}"),
    ("branches_url", "/branches{/branch}"),
    ("tags_url", "/tags"),
    ("blobs_url", "/git/blobs{/sha}"),
    ("git_tags_url", "/git/tags{/sha}"),
    ("git_refs_url", "/git/refs{/sha}"),
    ("trees_url", "/git/trees{/sha}"),
    ("statuses_url", "/statuses/{sha}"),
    ("languages_url", "/languages"),
    ("stargazers_url", "/stargazers"),
    ("contributors_url", "/contributors"),
    ("subscribers_url", "/subscribers"),
    ("subscription_url", "/subscription"),
    ("commits_url", "/commits{/sha}"),
    ("git_commits_url", "/git/commits{/sha}"),
    ("comments_url", "/comments{/number}"),
    ("issue_comment_url", "/issues/comments{/number}"),
    ("contents_url", "/contents/{+path}"),
    ("compare_url", "/compare/{base}...{head}"),
    ("merges_url", "/merges"),
    ("archive_url", "/{archive_format}{/ref}"),
    ("downloads_url", "/downloads"),
    ("issues_url", "/issues{/number}"),
    ("pulls_url", "/pulls{/number}"),
    ("milestones_url", "/milestones{/number}"),
    ("notifications_url", "/notifications{?since,all,participating}"),
    ("labels_url", "/labels{/name}"),
    ("releases_url", "/releases{/id}"),
    ("deployments_url", "/deployments"),
)


def repository(site: Site, hosted: Repository) -> JsonObject:
    """Build a repository as webhooks and the REST API carry it."""
    url = api_url(site, hosted)
    page = html_url(site, hosted)
    return {
        **repository_stub(hosted),
        "owner": user(site, hosted.owner),
        "html_url": page,
        "description": hosted.description,
        "fork": hosted.fork,
        "url": url,
        **{name: f"{url}{path}" for name, path in _API_URLS},
        "created_at": moment(hosted.created_at),
        "updated_at": moment(hosted.updated_at),
        "pushed_at": moment(hosted.pushed_at),
        **_clone_urls(site, hosted),
        "homepage": None,
        "size": 24,
        "stargazers_count": 3,
        "watchers_count": 3,
        "language": hosted.language,
        **{f"has_{what}": True for what in ("issues", "projects", "downloads", "wiki")},
        "has_pages": False,
        "forks_count": 0,
        "mirror_url": None,
        "archived": False,
        "disabled": False,
        "open_issues_count": 1,
        "license": None,
        "forks": 0,
        "open_issues": 1,
        "watchers": 3,
        "default_branch": hosted.default_branch,
        "is_template": False,
        "topics": [],
        "visibility": "private" if hosted.private else "public",
        "web_commit_signoff_required": False,
        "custom_properties": {},
    }


def api_url(site: Site, hosted: Repository) -> str:
    """Where the REST API has the repository."""
    return f"{site.api}/repos/{hosted.full_name}"


def html_url(site: Site, hosted: Repository) -> str:
    """Where a browser finds the repository."""
    return f"{site.web}/{hosted.full_name}"


def commit(site: Site, hosted: Repository, made: Commit) -> JsonObject:
    """Build a commit as the REST API has it; its people have no account."""
    url = api_url(site, hosted)
    return {
        "sha": made.sha,
        "node_id": node_id("Commit", int(made.sha[:8], 16)),
        "commit": {
            "author": _signature(made.author.name, made.author.email, moment(made.authored_at)),
            "committer": _signature(
                made.committer.name, made.committer.email, moment(made.committed_at)
            ),
            "message": made.message,
            "tree": {"sha": made.tree, "url": f"{url}/git/trees/{made.tree}"},
            "url": f"{url}/git/commits/{made.sha}",
            "comment_count": 0,
        },
        "url": f"{url}/commits/{made.sha}",
        "html_url": f"{html_url(site, hosted)}/commit/{made.sha}",
        "comments_url": f"{url}/commits/{made.sha}/comments",
        "author": None,
        "committer": None,
        "parents": [
            {
                "sha": sha,
                "url": f"{url}/commits/{sha}",
                "html_url": f"{html_url(site, hosted)}/commit/{sha}",
            }
            for sha in made.parents
        ],
    }


def changed_file(site: Site, hosted: Repository, file: ChangedFile, head: str) -> JsonObject:
    """Build an entry of the files API; a binary file has no `patch`, as on GitHub."""
    path = quote(file.filename)
    page = html_url(site, hosted)
    entry = {
        "sha": file.sha,
        "filename": file.filename,
        "status": file.status,
        "additions": file.additions,
        "deletions": file.deletions,
        "changes": file.changes,
        "blob_url": f"{page}/blob/{head}/{path}",
        "raw_url": f"{page}/raw/{head}/{path}",
        "contents_url": f"{api_url(site, hosted)}/contents/{path}?ref={head}",
    }
    optional = {"patch": file.patch, "previous_filename": file.previous_filename}
    return entry | {name: value for name, value in optional.items() if value is not None}


def _clone_urls(site: Site, hosted: Repository) -> JsonObject:
    page = html_url(site, hosted)
    host = urlsplit(site.web).netloc
    return {
        "git_url": f"git://{host}/{hosted.full_name}.git",
        "ssh_url": f"git@{host}:{hosted.full_name}.git",
        "clone_url": f"{page}.git",
        "svn_url": page,
    }


def _signature(name: str, email: str, date: str) -> JsonObject:
    return {"name": name, "email": email, "date": date}
