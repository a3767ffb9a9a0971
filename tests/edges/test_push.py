"""What git and a forge say of a push, read for what became of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from covend.core.errors import GitError
from covend.core.settings import Checkout as Kind
from covend.edges.workspace import push as module
from covend.edges.workspace.faults import fault_in
from covend.edges.workspace.harvest import Taken, take_commits
from covend.edges.workspace.push import Became, Pushed, Remote, find_tip, push
from tests.edges.forge import Forge, attempt, commit, fake_git, make_forge, run_git

NAME = "01task-1"


@pytest.fixture
def forge(tmp_path: Path) -> Forge:
    return make_forge(tmp_path)


@pytest.fixture
async def made(forge: Forge, tmp_path: Path) -> tuple[Path, Taken]:
    """The mirror, and what lies in it to be pushed."""
    checked_out, directory = await attempt(tmp_path, forge.spec(Kind.HEAD))
    commit(directory.workspace, "mended.txt", "1")
    taken = await take_commits(directory, checked_out, NAME)
    assert taken is not None
    assert checked_out.mirror is not None
    return checked_out.mirror.path, taken


def remote(forge: Forge, branch: str = "covend/01task") -> Remote:
    return Remote(url=forge.url, branch=branch)


async def test_a_commit_is_pushed_and_found_where_it_is(
    forge: Forge, made: tuple[Path, Taken]
) -> None:
    mirror, taken = made
    assert (await find_tip(mirror, remote(forge))).sha is None
    assert (await push(mirror, remote(forge), taken.sha, NAME)).became is Became.PUSHED
    assert (await find_tip(mirror, remote(forge))).sha == taken.sha
    assert (await push(mirror, remote(forge), taken.sha, NAME)).became is Became.THERE_ALREADY


async def test_a_branch_of_a_longer_name_is_another(forge: Forge, made: tuple[Path, Taken]) -> None:
    """`ls-remote` also finds what only ends alike."""
    mirror, taken = made
    run_git(forge.path, "update-ref", "refs/heads/x/refs/heads/covend/01task", forge.head)
    assert (await find_tip(mirror, remote(forge))).sha is None
    assert (await push(mirror, remote(forge), taken.sha, NAME)).became is Became.PUSHED


async def test_only_what_was_taken_out_of_the_same_task_is_pushed(
    forge: Forge, made: tuple[Path, Taken]
) -> None:
    mirror, taken = made
    assert (await push(mirror, remote(forge), forge.head, NAME)).became is Became.LOST
    other = await push(mirror, remote(forge), taken.sha, "01tas-1")
    assert other.became is Became.LOST
    assert (await find_tip(mirror, remote(forge))).sha is None


async def test_what_somebody_has_put_there_is_left(forge: Forge, made: tuple[Path, Taken]) -> None:
    mirror, taken = made
    run_git(forge.path, "update-ref", "refs/heads/covend/01task", forge.head)
    done = await push(mirror, remote(forge), taken.sha, NAME)
    assert done == Pushed(became=Became.FOREIGN, said=forge.head)
    assert (await find_tip(mirror, remote(forge))).sha == forge.head


async def test_a_push_that_takes_too_long_is_looked_for(
    forge: Forge,
    made: tuple[Path, Taken],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    mirror, taken = made
    monkeypatch.setattr(module, "PUSH_S", 0.5)
    fake_git(tmp_path, monkeypatch, 'case " $* " in *" push "*) exec sleep 1000;; esac')
    done = await push(mirror, remote(forge), taken.sha, NAME)
    assert (done.became, done.is_overdue) == (Became.UNKNOWN, True)


REJECTED = "To https://github.com/o/r.git\n ! [remote rejected] c0ffee -> covend/01task ({})\nerror"
WORKFLOW = (
    "refusing to allow a GitHub App to create or update workflow `.github/workflows/a.yml`"
    " without `workflows` permission"
)
DENIED = (
    "remote: Write access to repository not granted.\n"
    "fatal: unable to access 'https://github.com/o/r.git/': The requested URL returned error: 403"
)
NOT_FOUND = (
    "remote: Repository not found.\nfatal: repository 'https://github.com/o/r.git/' not found"
)
HUNG_UP = (
    "error: RPC failed; HTTP 500 curl 22 The requested URL returned error: 500\n"
    "send-pack: unexpected disconnect while reading sideband packet\n"
    "fatal: the remote end hung up unexpectedly\nEverything up-to-date"
)
RULES = "remote: error: GH013: Repository rule violations found for refs/heads/covend/01task.\n"


@pytest.mark.parametrize(
    ("said", "became"),
    [
        (REJECTED.format(WORKFLOW), Became.WORKFLOW),
        (REJECTED.format("protected branch hook declined"), Became.REFUSED),
        (
            RULES + REJECTED.format("push declined due to repository rule violations"),
            Became.REFUSED,
        ),
        (REJECTED.format("pre-receive hook declined"), Became.REFUSED),
        (REJECTED.format("Internal Server Error"), Became.NOT_REACHED),
        (" ! [rejected]        c0ffee -> covend/01task (stale info)\nerror", Became.FOREIGN),
        (REJECTED.format("cannot lock ref 'refs/heads/covend/01task'"), Became.FOREIGN),
        (DENIED, Became.NOT_ALLOWED),
        (
            "fatal: could not read Username for 'https://github.com': terminal prompts disabled",
            Became.NOT_ACCEPTED,
        ),
        (
            NOT_FOUND,
            Became.REFUSED,
        ),
        (
            "fatal: unable to access 'https://github.com/o/r.git/': Could not resolve host: x",
            Became.NOT_REACHED,
        ),
        (
            "fatal: unable to access 'https://github.com/o/r.git/': Failed to connect to x port 1",
            Became.NOT_REACHED,
        ),
        (
            HUNG_UP,
            Became.UNKNOWN,
        ),
        ("fatal: something that nobody knows", Became.UNKNOWN),
    ],
)
def test_what_is_said_of_a_push_is_read(said: str, became: Became) -> None:
    error = GitError(f"git push failed: {said}", fault=fault_in(said))
    assert module._of_push(error).became is became  # noqa: SLF001


def test_a_refusal_is_told_in_the_forges_own_words() -> None:
    said = RULES + "remote: - Cannot create ref\n" + REJECTED.format("declined")
    done = module._of_push(GitError(f"git push failed: {said}", fault=fault_in(said)))  # noqa: SLF001
    assert "GH013" in done.said
    assert "Cannot create ref" in done.said
    assert "(declined)" in done.said
