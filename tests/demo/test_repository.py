from __future__ import annotations

from pathlib import Path

import pytest

from covend.demo import till
from covend.demo.git import GitRefused, git
from covend.demo.repository import BareRepository, demo_repository


@pytest.fixture
def repository(tmp_path: Path) -> BareRepository:
    return demo_repository(tmp_path / "till.git")


def head(repository: BareRepository) -> str:
    return repository.commit_at("refs/pull/7/head")


def test_the_same_calls_make_the_same_commits(repository: BareRepository, tmp_path: Path) -> None:
    assert head(demo_repository(tmp_path / "again.git")) == head(repository)


def test_git_finds_nothing_wrong_with_it(repository: BareRepository) -> None:
    assert git(repository.path, "fsck", "--strict", "--no-dangling") == b""


def test_a_patch_begins_at_its_first_hunk_as_in_the_files_api(repository: BareRepository) -> None:
    files = repository.changed_files("main", head(repository))
    assert [(file.filename, file.status) for file in files] == [
        ("README.md", "modified"),
        ("src/till/basket.py", "modified"),
        ("tests/test_basket.py", "modified"),
    ]
    assert all((file.patch or "").startswith("@@ -") for file in files)
    assert [(file.additions, file.deletions, file.changes) for file in files] == [
        (1, 1, 2),
        (13, 0, 13),
        (6, 1, 7),
    ]


def test_the_planted_bug_is_on_the_line_it_is_said_to_be(repository: BareRepository) -> None:
    bug = till.planted_bug()
    text = git(repository.path, "show", f"{head(repository)}:{bug.path}").decode()
    assert "into: list[Line] = []" in text.splitlines()[bug.line - 1]


def test_files_that_come_go_move_or_are_binary_are_told_apart(repository: BareRepository) -> None:
    files = {
        "CHANGES.md": "new\n",
        "src/till/receipt.py": None,
        "src/till/amounts.py": till.MONEY,
        "src/till/money.py": None,
        "logo.png": "\0\1\2",
    }
    sha = repository.open_pull(8, head_ref="tidy-up", files=files, message="Tidy up")
    found = {file.filename: file for file in repository.changed_files("main", sha)}
    assert {name: file.status for name, file in found.items()} == {
        "CHANGES.md": "added",
        "src/till/receipt.py": "removed",
        "src/till/amounts.py": "renamed",
        "logo.png": "added",
    }
    assert found["src/till/amounts.py"].previous_filename == "src/till/money.py"
    assert found["src/till/amounts.py"].patch is None
    assert (found["logo.png"].patch, found["logo.png"].changes) == (None, 0)


def test_a_push_moves_the_head_and_the_merge(repository: BareRepository) -> None:
    before = [repository.resolve(f"refs/pull/7/{name}") for name in ("head", "merge")]
    sha = repository.push(7, till.FIXED_FILES, "Do not share the basket")
    after = [repository.resolve(f"refs/pull/7/{name}") for name in ("head", "merge")]
    assert after[0] == sha
    assert not set(before) & set(after)
    assert repository.read_commit(after[1] or "").parents == (repository.resolve("main"), sha)


def test_the_merge_holds_both_sides(repository: BareRepository) -> None:
    repository.commit("refs/heads/main", {"CHANGES.md": "0.4.0\n"}, "Say what changed")
    repository.refresh_pull(7)
    listed = git(repository.path, "ls-tree", "-r", "--name-only", "refs/pull/7/merge").decode()
    assert "CHANGES.md" in listed
    assert (
        "def scan(" in git(repository.path, "show", "refs/pull/7/merge:src/till/basket.py").decode()
    )


def test_a_conflict_has_no_merge(repository: BareRepository) -> None:
    repository.commit("refs/heads/main", {"README.md": "# other\n"}, "Another README")
    repository.refresh_pull(7)
    assert repository.resolve("refs/pull/7/merge") is None


def test_a_fork_has_no_branch_here(repository: BareRepository) -> None:
    sha = repository.open_pull(
        9, head_ref="patch-1", files={"a.txt": "a"}, message="Add a", from_fork=True
    )
    assert repository.resolve("refs/heads/patch-1") is None
    assert repository.resolve("refs/pull/9/head") == sha


def test_what_is_not_there_resolves_to_nothing(repository: BareRepository) -> None:
    assert repository.resolve("nowhere") is None
    assert repository.resolve("--help") is None


def test_git_says_why_it_refuses(repository: BareRepository) -> None:
    with pytest.raises(GitRefused, match="nowhere"):
        git(repository.path, "rev-list", "nowhere")
