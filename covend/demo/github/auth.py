"""Who calls: App tokens, installation tokens, personal tokens, and what each may do.

https://docs.github.com/en/apps/creating-github-apps/authenticating-with-a-github-app
"""

import base64
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

import jwt
from jwt.types import Options

from covend.demo.github.answers import Refused, not_found
from covend.demo.records import Account, App

APP_TOKEN_MAX = timedelta(minutes=10)
INSTALLATION_TOKEN_LIFE = timedelta(hours=1)
LEVELS = ("none", "read", "write", "admin")

APP = "app"
"""Stands in `Route.needs` for: only with an App's JSON web token."""

ANYONE = "anyone"
"""Stands in `Route.needs` for: no token at all."""


class Kind(StrEnum):
    """What a credential is."""

    ANONYMOUS = "anonymous"
    APP = "app"
    INSTALLATION = "installation"
    USER = "user"


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    """A token and its reach; None for repositories or permissions means all of them."""

    kind: Kind
    account: Account | None = None
    app: App | None = None
    token: str = ""
    repositories: frozenset[str] | None = None
    permissions: Mapping[str, str] | None = None
    expires_at: datetime | None = None
    scopes: str | None = None
    """Of a classic personal token; a fine-grained one has none."""

    def allows(self, need: str) -> bool:
        """Say whether this token has the permission `name:level`, or more of it."""
        if self.permissions is None:
            return True
        name, _, level = need.partition(":")
        return LEVELS.index(self.permissions.get(name, "none")) >= LEVELS.index(level)


_SIGNATURE_ONLY: Options = {
    "verify_exp": False,
    "verify_iat": False,
    "verify_nbf": False,
    "verify_aud": False,
    "verify_iss": False,
}
"""The claims are checked against the stand-in's own clock."""

ANONYMOUS = Credential(kind=Kind.ANONYMOUS)


def read_app_token(token: str, app: App, public_key: str, now: datetime) -> Credential:
    """Check an App's JSON web token (RS256, `iss`, `iat`, `exp` at most 10 minutes ahead)."""
    try:
        claims = jwt.decode(
            token,
            public_key,
            algorithms=["RS256"],
            options=_SIGNATURE_ONLY,
        )
    except jwt.PyJWTError:
        raise Refused(401, "A JSON web token could not be decoded") from None
    _check_claims(claims, app, now)
    return Credential(kind=Kind.APP, account=app.bot, app=app, token=token)


def new_installation_token(app: App) -> str:
    """Make a token in GitHub's long form: `ghs_`, the App's id, and a signed web token."""
    header = {"alg": "RS256", "typ": "JWT", "kid": secrets.token_hex(8)}
    claims = {"iss": "https://github.com", "jti": secrets.token_hex(16), "app": app.id}
    parts = [json.dumps(part).encode() for part in (header, claims)]
    return f"ghs_{app.id}_" + ".".join(_b64(part) for part in (*parts, secrets.token_bytes(256)))


def token_of(authorization: str) -> str:
    """Take the token out of an `Authorization` header; "" where there is none."""
    scheme, _, value = authorization.partition(" ")
    if scheme.lower() != "basic":
        return value.strip() if scheme.lower() in {"bearer", "token"} else ""
    try:
        return base64.b64decode(value, validate=True).decode().partition(":")[2]
    except ValueError:
        return ""


def require(credential: Credential, needs: tuple[str, ...]) -> None:
    """Refuse a credential that has none of the permissions that an operation accepts."""
    if (credential.kind is Kind.APP) != (needs == (APP,)):
        raise Refused(401, "A JSON web token could not be decoded")
    if needs and needs != (APP,) and not any(credential.allows(need) for need in needs):
        accepted = "; ".join(need.replace(":", "=") for need in needs)
        raise Refused(
            403,
            "Resource not accessible by integration",
            headers={"X-Accepted-GitHub-Permissions": accepted},
        )


def require_repository(credential: Credential, full_name: str, *, private: bool) -> None:
    """Refuse a repository outside the token's reach; a private one is not even admitted to be."""
    if credential.repositories is None or full_name in credential.repositories:
        return
    raise not_found() if private else Refused(403, "Resource not accessible by integration")


def _check_claims(claims: Mapping[str, object], app: App, now: datetime) -> None:
    issued, expires = claims.get("iat"), claims.get("exp")
    if str(claims.get("iss")) != str(app.id):
        raise Refused(404, "Integration not found")
    if not isinstance(issued, int) or issued > now.timestamp():
        raise Refused(401, "'Issued at' claim ('iat') must be an Integer in the past")
    if not isinstance(expires, int) or expires <= now.timestamp():
        message = "'Expiration time' claim ('exp') must be a numeric value in the future"
        raise Refused(401, message)
    if expires > (now + APP_TOKEN_MAX).timestamp():
        raise Refused(401, "'Expiration time' claim ('exp') is too far in the future")


def _b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")
