"""The cast of the demonstration, and a scene to build a payload from."""

import hashlib
from datetime import datetime

from covend.demo import till
from covend.demo.records import Account, App, PullRequest, Repository, Scene, Site

OWNER = Account(login="acme", id=9_120_045, kind="Organization")
AUTHOR = Account(login="mara-quist", id=7_340_112)
MAINTAINER = Account(login="jonas-berg", id=5_210_884)
COVEND = App(id=123_456, slug="covend-demo", name="covend demo", owner=OWNER)
CI = App(id=98_765, slug="till-tests", name="till tests", owner=OWNER)
"""What else checks the pull request's heads."""

TILL = Repository(
    owner=OWNER, name="till", id=701_334_915, description="A shop's till in whole cents"
)


def fresh_sha(*parts: object) -> str:
    """Make a SHA-1 that depends on the parts alone."""
    return hashlib.sha1(repr(parts).encode(), usedforsecurity=False).hexdigest()


def repository_named(full_name: str) -> Repository:
    """Give the till's repository, or another of that name with ids of its own."""
    if full_name == TILL.full_name:
        return TILL
    login, _, name = full_name.partition("/")
    number = int(fresh_sha(full_name)[:6], 16)
    owner = OWNER if login == OWNER.login else Account(login=login, id=10_000_000 + number)
    return Repository(owner=owner, name=name, id=710_000_000 + number)


def scan_pull(
    *, number: int, head_sha: str, base_sha: str, now: datetime, association: str = "MEMBER"
) -> PullRequest:
    """Describe the till's pull request at a head."""
    return PullRequest(
        number=number,
        id=2_410_000_000 + number,
        title=till.PULL_TITLE,
        body=till.PULL_BODY,
        author=AUTHOR,
        association=association,
        head_ref=till.PULL_BRANCH,
        head_sha=head_sha,
        base_ref="main",
        base_sha=base_sha,
        assignees=(AUTHOR,),
        reviewers=(MAINTAINER,),
        created_at=now,
        updated_at=now,
        commits=1,
        additions=20,
        deletions=2,
        changed_files=3,
    )


def scene(  # noqa: PLR0913 - every argument has a default; a caller names the one it cares for
    *,
    now: datetime,
    serial: int,
    repository: str = TILL.full_name,
    number: int = 7,
    head_sha: str | None = None,
    base_sha: str | None = None,
    sender: Account = AUTHOR,
    app: App = COVEND,
    installation_id: int = 1,
    site: Site | None = None,
    text: str = "@covend review",
) -> Scene:
    """Set a scene; SHAs that are not given depend on `serial`, so each serial is a fresh event."""
    pull = scan_pull(
        number=number,
        head_sha=head_sha or fresh_sha("head", serial),
        base_sha=base_sha or fresh_sha("base", serial),
        now=now,
    )
    return Scene(
        repository=repository_named(repository),
        pull=pull,
        sender=sender,
        app=app,
        now=now,
        serial=serial,
        installation_id=installation_id,
        site=site or Site(),
        text=text,
    )
