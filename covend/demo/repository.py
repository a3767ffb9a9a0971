"""A real bare git repository with branches and pull requests, as GitHub keeps one.

Same calls, same SHAs: authors and dates are fixed. Nothing is ever checked out here; commits are
written with `git fast-import`.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Self

from covend.demo import till
from covend.demo.git import GitRefused, git
from covend.demo.records import EPOCH

STATUSES = MappingProxyType({"A": "added", "M": "modified", "D": "removed", "R": "renamed"})
"""git's letters in the words of GitHub's files API."""

_CONFIG = """\
[uploadpack]
\tallowFilter = true
\tallowAnySHA1InWant = true
[http]
\treceivepack = true
[gc]
\tauto = 0
"""
"""What GitHub's servers allow, and no housekeeping behind a test's back."""

_FILE_SECTION = re.compile(rb"^diff --git ", re.MULTILINE)
_LOG_FORMAT = "%H%x00%T%x00%P%x00%an%x00%ae%x00%aI%x00%cn%x00%ce%x00%cI%x00%B"


@dataclass(frozen=True, slots=True, kw_only=True)
class Author:
    """Who made a commit."""

    name: str = "Mara Quist"
    email: str = "mara@till.example"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangedFile:
    """One entry of GitHub's files API; `patch` is None for a binary file."""

    filename: str
    status: str
    additions: int
    deletions: int
    sha: str
    patch: str | None
    previous_filename: str | None = None

    @property
    def changes(self) -> int:
        """Lines added and removed."""
        return self.additions + self.deletions


@dataclass(frozen=True, slots=True, kw_only=True)
class Commit:
    """A commit as git shows it."""

    sha: str
    tree: str
    parents: tuple[str, ...]
    author: Author
    authored_at: datetime
    committer: Author
    committed_at: datetime
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PullBranches:
    """Which refs a pull request compares; a fork's head has no branch here."""

    number: int
    base_ref: str
    head_ref: str
    from_fork: bool = False

    @property
    def head(self) -> str:
        """The ref that moves when its author pushes."""
        return f"refs/pull/{self.number}/head" if self.from_fork else f"refs/heads/{self.head_ref}"


@dataclass(slots=True)
class BareRepository:
    """A bare repository on disk; made by `create`, never opened a second time."""

    path: Path
    pulls: dict[int, PullBranches] = field(default_factory=dict)
    _commit_count: int = 0

    @classmethod
    def create(cls, path: Path, files: Mapping[str, str], message: str = "A till") -> Self:
        """Make the repository with one commit on `main`; the directory must not exist yet."""
        repository = cls(path)
        git(path, "init", "--bare", "--quiet", "--template=", "--initial-branch=main", str(path))
        with (path / "config").open("a", encoding="utf-8") as config:
            config.write(_CONFIG)
        repository.commit("refs/heads/main", files, message)
        return repository

    def resolve(self, revision: str) -> str | None:
        """Find the commit that a ref, branch or SHA names."""
        found = ("rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
        try:
            return git(self.path, *found).decode().strip()
        except GitRefused:
            return None

    def commit(
        self,
        ref: str,
        files: Mapping[str, str | None],
        message: str,
        *,
        parents: tuple[str, ...] | None = None,
        author: Author | None = None,
    ) -> str:
        """Put a commit on a full ref and return its SHA; None as content removes the file.

        Without `parents` it follows the ref's commit, or is a first commit where there is none.
        """
        if parents is None:
            parents = tuple(filter(None, [self.resolve(ref)]))
        at = EPOCH + timedelta(hours=self._commit_count)
        self._commit_count += 1
        stream = _commit_stream(ref, author or Author(), at, message, parents)
        stream += b"".join(_file_command(path, text) for path, text in files.items())
        git(self.path, "fast-import", "--quiet", "--force", stdin=stream)
        return self.commit_at(ref)

    def commit_at(self, revision: str) -> str:
        """Resolve what must exist."""
        sha = self.resolve(revision)
        assert sha is not None, f"{revision} is not in {self.path.name}"
        return sha

    def set_ref(self, ref: str, sha: str) -> None:
        """Point a full ref at a commit."""
        git(self.path, "update-ref", ref, sha)

    def delete_ref(self, ref: str) -> None:
        """Remove a full ref, if it is there."""
        git(self.path, "update-ref", "-d", ref)

    def open_pull(
        self,
        number: int,
        *,
        head_ref: str,
        files: Mapping[str, str | None],
        message: str,
        base_ref: str = "main",
        from_fork: bool = False,
    ) -> str:
        """Start a branch at the base, commit to it, make the pull request's refs; its head SHA."""
        pull = PullBranches(
            number=number, base_ref=base_ref, head_ref=head_ref, from_fork=from_fork
        )
        parent = self.commit_at(f"refs/heads/{base_ref}")
        sha = self.commit(pull.head, files, message, parents=(parent,))
        self.track_pull(pull)
        return sha

    def track_pull(self, pull: PullBranches) -> None:
        """Keep `refs/pull/N/*` for branches that exist already."""
        self.pulls[pull.number] = pull
        self.refresh_pull(pull.number)

    def push(self, number: int, files: Mapping[str, str | None], message: str) -> str:
        """Push one more commit to a pull request, so that its head moves; the new head SHA."""
        sha = self.commit(self.pulls[number].head, files, message)
        self.refresh_pull(number)
        return sha

    def refresh_pull(self, number: int) -> None:
        """Bring `refs/pull/N/head` and `/merge` up to date; no merge ref where files conflict.

        What a branch that was deleted was at last, the pull request keeps.
        """
        pull = self.pulls[number]
        head, base = self.resolve(pull.head), self.resolve(f"refs/heads/{pull.base_ref}")
        if head is None or base is None:
            return
        self.set_ref(f"refs/pull/{number}/head", head)
        self._write_merge(pull, base, head)

    def _write_merge(self, pull: PullBranches, base: str, head: str) -> None:
        ref = f"refs/pull/{pull.number}/merge"
        ours = self.changed_files(head, base)
        theirs = self.changed_files(base, head)
        if {file.filename for file in ours} & {file.filename for file in theirs}:
            self.delete_ref(ref)
            return
        at = self.read_commit(head).committed_at
        message = f"Merge {head} into {base}"
        stream = _commit_stream(ref, Author(), at, message, (base, head))
        stream += b"".join(_blob_commands(file) for file in theirs)
        git(self.path, "fast-import", "--quiet", "--force", stdin=stream)

    def merge_base(self, base: str, head: str) -> str:
        """Find the commit at which two lines of work parted."""
        return git(self.path, "merge-base", base, head).decode().strip()

    def changed_files(self, base: str, head: str) -> tuple[ChangedFile, ...]:
        """What `head` changed since it left `base` (three dots), in git's order."""
        ends = (self.merge_base(base, head), head)
        raw = git(self.path, "diff-tree", "-r", "-M", "-z", "--raw", *ends)
        counts = git(self.path, "diff-tree", "-r", "-M", "-z", "--numstat", *ends)
        patches = git(self.path, "diff-tree", "-r", "-M", "-p", *ends)
        rows = zip(
            _raw_rows(raw), _count_rows(counts), _FILE_SECTION.split(patches)[1:], strict=True
        )
        return tuple(_changed_file(*row) for row in rows)

    def read_commit(self, sha: str) -> Commit:
        """Read one commit."""
        shown = git(self.path, "log", "-1", f"--format={_LOG_FORMAT}", "--end-of-options", sha)
        return _commit(shown.decode())

    def commits_between(self, base: str, head: str) -> tuple[Commit, ...]:
        """Commits reachable from `head` and not from `base`, oldest first."""
        listed = git(self.path, "rev-list", "--reverse", f"{base}..{head}")
        return tuple(self.read_commit(sha) for sha in listed.decode().split())


def demo_repository(path: Path, *, number: int = 7) -> BareRepository:
    """Make the till with its pull request, which has one planted bug (`till.planted_bug`)."""
    repository = BareRepository.create(path, till.MAIN_FILES, "A till with a basket and a receipt")
    repository.open_pull(
        number, head_ref=till.PULL_BRANCH, files=till.PULL_FILES, message=till.PULL_TITLE
    )
    return repository


def _commit_stream(
    ref: str, author: Author, at: datetime, message: str, parents: tuple[str, ...]
) -> bytes:
    who = f"{author.name} <{author.email}> {int(at.timestamp())} +0000"
    words = ("from", *("merge" for _ in parents[1:]))
    text = message.encode()
    head = f"commit {ref}\nauthor {who}\ncommitter {who}\ndata {len(text)}\n".encode() + text
    links = "".join(f"{word} {sha}\n" for word, sha in zip(words, parents, strict=False))
    return head + b"\n" + links.encode()


def _file_command(path: str, text: str | None) -> bytes:
    if text is None:
        return f"D {path}\n".encode()
    data = text.encode()
    return f"M 100644 inline {path}\ndata {len(data)}\n".encode() + data + b"\n"


def _blob_commands(file: ChangedFile) -> bytes:
    if file.status == "removed":
        return f"D {file.filename}\n".encode()
    gone = f"D {file.previous_filename}\n" if file.previous_filename else ""
    return f"{gone}M 100644 {file.sha} {file.filename}\n".encode()


def _raw_rows(raw: bytes) -> list[list[str]]:
    """Split `--raw -z` into [letter, old blob, new blob, path, new path if renamed]."""
    rows: list[list[str]] = []
    for part in raw.decode().split("\0")[:-1]:
        if part.startswith(":"):
            _, _, old, new, letter = part.split(" ")
            rows.append([letter[0], old, new])
        else:
            rows[-1].append(part)
    return rows


def _count_rows(counts: bytes) -> list[tuple[int, int]]:
    """Split `--numstat -z` into (additions, deletions); a binary file counts (0, 0)."""
    found = re.findall(r"(?:^|\0)(\d+|-)\t(\d+|-)\t", counts.decode())
    return [(int(more.replace("-", "0")), int(less.replace("-", "0"))) for more, less in found]


def _changed_file(row: list[str], counts: tuple[int, int], section: bytes) -> ChangedFile:
    letter, old, new, *paths = row
    at = section.find(b"\n@@ ")
    return ChangedFile(
        filename=paths[-1],
        status=STATUSES.get(letter, "changed"),
        additions=counts[0],
        deletions=counts[1],
        sha=old if letter == "D" else new,
        patch=None if at < 0 else section[at + 1 :].decode(errors="replace").removesuffix("\n"),
        previous_filename=paths[0] if letter == "R" else None,
    )


def _commit(shown: str) -> Commit:
    sha, tree, parents, name, email, at, committer, committer_email, committed_at, message = (
        shown.split("\0", 9)
    )
    return Commit(
        sha=sha,
        tree=tree,
        parents=tuple(parents.split()),
        author=Author(name=name, email=email),
        authored_at=datetime.fromisoformat(at),
        committer=Author(name=committer, email=committer_email),
        committed_at=datetime.fromisoformat(committed_at),
        message=message.rstrip("\n"),
    )
