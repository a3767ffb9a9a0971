"""Who asks the admin listener: whoever holds the admin token, or one that may only look; by the
token itself, or by a session that was opened with it.

A session is a signed cookie and nothing else: it outlives a restart, and ends with its term or with
its token. Its signature is made with the token, so a session of a token that was changed is none.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from aiohttp import hdrs, web

from covend.core.model import Moment
from covend.core.secret import Secret

OPERATOR = "operator"
COOKIE = "covend_session"
SESSION_S = 12 * 3_600
"""How long a session lasts."""
CSRF_FIELD = "csrf"
CSRF_HEADER = "X-CSRF-Token"
_SESSION = re.compile(r"([A-Za-z0-9._-]{1,64})~([1-9][0-9]{0,14})~([0-9a-f]{64})", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Visitor:
    """Who has been let in."""

    name: str
    """`operator`, or the name of the token that may only look."""
    may_change: bool
    csrf: str | None
    """What a change by this session must bring along; None for who has brought the token itself,
    which no other page can make a browser do.
    """


VISITOR = web.RequestKey("visitor", Visitor)
"""Where the guard leaves who asks."""


class Visitors:
    """Knows the tokens."""

    def __init__(self, token: Secret, readers: Mapping[str, Secret]) -> None:
        """`token` may do everything, each of `readers` only look."""
        self._tokens = {
            name: secret.reveal() for name, secret in {**readers, OPERATOR: token}.items()
        }
        assert all(self._tokens.values())

    def of_request(self, request: web.Request, now: Moment) -> Visitor | None:
        """Give who asks; None for nobody. A token counts before a session; what a browser brings of
        another scheme is for whoever stands before us, such as a proxy that asks for a password.
        """
        given = request.headers.getall(hdrs.AUTHORIZATION, [])
        if any(each.partition(" ")[0].lower() == "bearer" for each in given):
            return self._of_bearer(given)
        return self.of_session(request.cookies.get(COOKIE, ""), now)

    def of_token(self, offered: str) -> Visitor | None:
        """Give whose token it is; every one is compared, in constant time."""
        # As bytes: compare_digest raises for texts beyond ASCII.
        given = offered.strip().encode(errors="surrogateescape")
        fitting = [
            name
            for name, token in self._tokens.items()
            if hmac.compare_digest(given, token.encode())
        ]
        return _visitor(fitting[0], None) if fitting else None

    def open_session(self, visitor: Visitor, now: Moment) -> str:
        """Make the cookie's value."""
        until = now + SESSION_S * 1000
        return f"{visitor.name}~{until}~{self._sign('session', visitor.name, until)}"

    def of_session(self, value: str, now: Moment) -> Visitor | None:
        """Give whose session it is; None where it is over, forged, or of a token of before."""
        found = _SESSION.fullmatch(value)
        if found is None or found[1] not in self._tokens:
            return None
        name, until = found[1], int(found[2])
        expected = self._sign("session", name, until)
        if not hmac.compare_digest(found[3], expected) or until <= now:
            return None
        return _visitor(name, self._sign("csrf", name, until))

    def _of_bearer(self, given: Sequence[str]) -> Visitor | None:
        """Know nobody by two of them."""
        return self.of_token(given[0].partition(" ")[2]) if len(given) == 1 else None

    def _sign(self, purpose: str, name: str, until: Moment) -> str:
        text = f"{purpose}|{name}|{until}".encode()
        return hmac.new(self._tokens[name].encode(), text, hashlib.sha256).hexdigest()


def _visitor(name: str, csrf: str | None) -> Visitor:
    return Visitor(name=name, may_change=name == OPERATOR, csrf=csrf)
