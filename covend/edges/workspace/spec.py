"""What an attempt wants checked out; refuses what no forge would name so."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from covend.core import settings
from covend.core.errors import GitError
from covend.core.secret import Secret

_SHA = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")
_NO_BRANCH = re.compile(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|//|^/|/$|\.lock$")
"""What git allows in no name of a ref, and a refspec would take for something else
(https://git-scm.com/docs/git-check-ref-format).
"""
_DIGEST_CHARACTERS = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Spec:
    """What to check out. The URL must already be known to be the repository's own."""

    kind: settings.Checkout
    url: str
    token: Secret | None = None
    repository_id: int | None = None
    """The forge's number of it, which stays when the repository is renamed."""
    number: int | None = None
    """The pull request's."""
    head_sha: str | None = None
    base_sha: str | None = None
    base_ref: str | None = None
    default_branch: str | None = None
    owner: tuple[int, int] | None = None
    """Uid and gid of an agent that is another user than covend, to whom all of it is handed."""
    timeout_s: float = 600.0
    """For each git command."""

    @property
    def mirror_key(self) -> str:
        """Name the repository's mirror: by its number and its forge, else by its whole URL."""
        parts = urlsplit(self.url)
        if self.repository_id is None:
            return f"url-{_digest(self.url)}"
        return f"{self.repository_id}-{_digest(f'{parts.scheme}://{parts.netloc}')}"


def check(spec: Spec) -> None:
    """Raise `GitError` for what could not be meant as a commit, a branch or a repository."""
    for sha in (spec.head_sha, spec.base_sha):
        if sha is not None and not _SHA.fullmatch(sha):
            raise GitError(f"{sha!r} is no commit's SHA")
    for branch in (spec.base_ref, spec.default_branch):
        if branch and _NO_BRANCH.search(branch):
            raise GitError(f"{branch!r} is no branch's name")
    parts = urlsplit(spec.url)
    if "@" in parts.netloc:
        raise GitError("the repository's URL has credentials in it")
    if parts.scheme not in {"http", "https", "file"}:
        raise GitError(f"a repository is fetched by http, https or file, not {parts.scheme!r}")
    if not spec.url.isprintable():
        raise GitError("the repository's URL has characters in it that no URL has")


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:_DIGEST_CHARACTERS]
