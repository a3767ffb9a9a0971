"""Checks of a plain token: does GitHub take it, what may it do as far as that can be seen, and when
does it end.

https://docs.github.com/en/apps/oauth-apps/building-oauth-apps/scopes-for-oauth-apps
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from covend.core.units import DAY
from covend.doctor.finding import Finding, failed, good, warning
from covend.edges.github.wire import Answer, message_of

SOON_S = 14 * DAY
_REPOSITORIES = ("repo", "public_repo")
_HOOKS = ("admin:repo_hook", "write:repo_hook", "read:repo_hook")
_NEW = "make a token at https://github.com/settings/tokens, and put it into github.token"
_UNAUTHORIZED = 401


def about_token(answer: Answer, now_s: float) -> Iterator[Finding]:
    """Judge `GET /user`."""
    said = f"{answer.status} {message_of(answer)}".rstrip()
    if answer.status == _UNAUTHORIZED:
        yield failed("github_token", f"GitHub does not take github.token: {said}", _NEW)
        return
    login = answer.maybe("login")
    if login is None:
        yield failed("github_token", f"GitHub does not say whose it is: {said}", _NEW)
        return
    yield _about_scopes(login, answer.headers.get("x-oauth-scopes"))
    ending = _about_end(answer.headers.get("github-authentication-token-expiration"), now_s)
    if ending is not None:
        yield ending


def _about_scopes(login: str, told: str | None) -> Finding:
    """A fine-grained token has permissions instead, which GitHub does not show."""
    if told is None:
        return good("github_token", f"{login}'s; what it may do cannot be seen")
    scopes = [each.strip() for each in told.split(",") if each.strip()]
    listed = ", ".join(scopes) or "none"
    if not set(scopes) & set(_REPOSITORIES):
        what = f"{login}'s, with scopes {listed}: it cannot write to repositories"
        return failed("github_token", what, "give it the scope repo")
    if not set(scopes) & set(_HOOKS):
        what = f"{login}'s, with scopes {listed}: GitHub's delivery log cannot be read"
        return warning("github_token", what, "give it read:repo_hook as well, to miss nothing")
    return good("github_token", f"{login}'s, with scopes {listed}")


def _about_end(told: str | None, now_s: float) -> Finding | None:
    """Read `2026-12-01 00:00:00 UTC`; None where it has no end, or none that can be read."""
    try:
        end = datetime.strptime((told or "")[:19], "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
    except ValueError:
        return None
    if end.timestamp() - now_s > SOON_S:
        return good("github_token_end", f"the token is good until {end:%Y-%m-%d}")
    return warning("github_token_end", f"the token ends on {end:%Y-%m-%d}", _NEW)
