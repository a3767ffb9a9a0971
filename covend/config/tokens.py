"""The tokens by which the admin listener knows who asks: what is wrong or unwise in them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from covend.config.locate import KeyPath
from covend.config.problems import Finding
from covend.core.secret import Secret

TOKEN_CHARACTERS = 20
"""Fewer can be tried out: whoever reaches the listener may ask as often as they like."""
OPERATOR: KeyPath = ("admin", "token")
_READERS: KeyPath = ("admin", "readers")
_RESERVED = "operator"
"""What the audit calls whoever holds the admin token."""


def check_tokens(secrets: Mapping[KeyPath, Secret]) -> Iterator[Finding]:
    """Find tokens of which nobody could say whose they are."""
    seen: dict[str, KeyPath] = {}
    for path in sorted((each for each in secrets if _is_token(each)), key=_operator_first):
        if path == (*_READERS, _RESERVED):
            message = "is the name of whoever holds admin.token: give this one another"
            yield Finding(path=path, message=message, is_about_key=True)
        first = seen.setdefault(secrets[path].reveal().strip(), path)
        if first != path:
            whose = ".".join(map(str, first))
            message = f"is the same token as {whose}: make one by  openssl rand -hex 32"
            yield Finding(path=path, message=message)


def caution_about_token(path: KeyPath, text: str) -> str | None:
    """Say that a token can be guessed."""
    if not _is_token(path) or len(text.strip()) >= TOKEN_CHARACTERS:
        return None
    return f"is shorter than {TOKEN_CHARACTERS} characters: make one by  openssl rand -hex 32"


def _is_token(path: KeyPath) -> bool:
    return path == OPERATOR or path[:-1] == _READERS


def _operator_first(path: KeyPath) -> tuple[bool, str]:
    return path != OPERATOR, str(path[-1])
