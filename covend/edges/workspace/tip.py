"""Reads where the HEAD of a workspace points, without git: plain files, bounded, through no link.

Understood are a detached HEAD, a branch in a file of its own and one in `packed-refs`
(https://git-scm.com/docs/gitrepository-layout); nothing of the repository's config is looked at.
"""

from __future__ import annotations

import re

from covend.edges.workspace.untrusted import OddError, opened_folder, read_file

REF_BYTES_MAX = 4096
PACKED_BYTES_MAX = 16 << 20
SYMREFS_MAX = 5
_SHA = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_SYMREF = re.compile(r"ref:\s*(?P<name>refs/[^\0\n]{1,1000})")


def read_tip(git: int) -> str | None:
    """Give the SHA that HEAD names in an opened `.git`, None on a branch without a commit; raises
    `OddError`.
    """
    name = "HEAD"
    for _ in range(SYMREFS_MAX):
        text = _loose(git, name)
        if text is None:
            return _packed(git, name)
        if _SHA.fullmatch(text):
            return text
        target = _SYMREF.fullmatch(text)
        if target is None:
            break
        name = target["name"].strip()
    raise OddError(f"has in its {name} what is neither a commit nor a branch")


def _loose(git: int, name: str) -> str | None:
    *folders, file = name.split("/")
    if not file or {"", ".", ".."} & set(folders):
        raise OddError("has a HEAD that points at no branch")
    try:
        with opened_folder(git, *folders) as folder:
            return read_file(folder, file, REF_BYTES_MAX).decode("ascii", "replace").strip()
    except FileNotFoundError:
        return None


def _packed(git: int, name: str) -> str | None:
    try:
        text = read_file(git, "packed-refs", PACKED_BYTES_MAX).decode("utf-8", "surrogateescape")
    except FileNotFoundError:
        return None
    for line in text.splitlines():
        sha, _, ref = line.partition(" ")
        if ref == name and _SHA.fullmatch(sha):
            return sha
    return None
