"""Who covend is on GitHub: an App with narrowed, short-lived installation tokens, or the owner of
one token.

A token leaves this file only as the return value of `token_for`.
https://docs.github.com/en/apps/creating-github-apps/authenticating-with-a-github-app
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

import aiohttp
import anyio
import jwt
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from covend.core.errors import ConfigError, GitHubError
from covend.core.model import Moment
from covend.core.secret import Secret
from covend.core.settings import GitHub
from covend.edges.github.errors import BadAnswer, MissingPermission, Refused
from covend.edges.github.pacing import Pacing
from covend.edges.github.wire import Answer, Observe, Question, Wire, refusal_of

BACK_S = 60
"""An App token is dated back, because GitHub refuses one from the future and clocks differ."""
AHEAD_S = 9 * 60
"""GitHub takes at most ten minutes."""
SPARE_S = 5 * 60
"""A cached token is used until this long before its end."""
_UNPROCESSABLE = 422
_Key = tuple[int, str | int, tuple[tuple[str, str], ...]]


Learn = Callable[[str], None]


def _keep_quiet(_token: str) -> None:
    """Tell nobody."""


class Auth(Protocol):
    """What the client asks of whoever covend is."""

    @property
    def app_id(self) -> int | None:
        """The App's number; None with a plain token."""
        ...

    async def token_for(
        self, installation: int | None, repository: str | int, permissions: Mapping[str, str]
    ) -> str:
        """Give a token for one repository (name or id) and no more than these permissions."""
        ...

    async def installation_of(self, repository: str) -> int | None:
        """Ask which of the App's installations is on a repository; None with a plain token.

        Raises NotFound where none is.
        """
        ...

    def forget(self, token: str) -> bool:
        """Drop a token that GitHub refused; True where another one can be had."""
        ...

    async def own_login(self) -> str:
        """Give the login under which covend's own writes appear."""
        ...


def open_auth(
    settings: GitHub,
    session: aiohttp.ClientSession,
    now: Callable[[], Moment],
    observe: Observe,
    *,
    wall: Callable[[], Moment],
    learn: Learn = _keep_quiet,
) -> Auth:
    """Choose by what is configured; raises ConfigError where neither or an unusable key is.

    `now` is covend's own clock. `wall` is the machine's, which may jump: only by it do covend and
    GitHub mean the same moment, also after a suspend. `learn` is told every token that is made or
    handed out, so that none is ever shown.
    """
    wire = Wire(session, settings.api_url, observe)
    if settings.app_id is not None and settings.private_key is not None:
        return AppAuth(wire, settings.app_id, load_key(settings.private_key), now, wall, learn)
    if settings.token is not None:
        return TokenAuth(wire, settings.token, now)
    raise ConfigError("github: neither app_id with private_key nor a token is given")


def load_key(pem: Secret) -> RSAPrivateKey:
    """Read the App's private key, once: to sign from the text costs a hundred times as much."""
    try:
        key = load_pem_private_key(pem.reveal().encode(), password=None)
    except (ValueError, TypeError):
        key = None
    if not isinstance(key, RSAPrivateKey):
        raise ConfigError("github.private_key: not an unencrypted RSA private key in PEM")
    return key


class TokenAuth:
    """One plain token for everything."""

    def __init__(self, wire: Wire, token: Secret, now: Callable[[], Moment]) -> None:
        """The token is used as it is; its owner chose its reach."""
        self._wire = wire
        self._token = token
        self._pacing = Pacing(now)
        self._login: str | None = None

    @property
    def app_id(self) -> None:
        """See `Auth.app_id`."""
        return

    async def token_for(
        self,
        installation: int | None,  # noqa: ARG002 (an App's business)
        repository: str | int,  # noqa: ARG002
        permissions: Mapping[str, str],  # noqa: ARG002
    ) -> str:
        """See `Auth.token_for`: always the same."""
        return self._token.reveal()

    async def installation_of(self, repository: str) -> None:  # noqa: ARG002 (an App's business)
        """See `Auth.installation_of`."""
        return

    def forget(self, token: str) -> bool:  # noqa: ARG002 (there is no other)
        """See `Auth.forget`."""
        return False

    async def own_login(self) -> str:
        """See `Auth.own_login`; asked once."""
        if self._login is None:
            question = Question(operation="get_user", method="GET", path="/user")
            answer = await _ask(self._wire, self._pacing, question, self._token.reveal())
            self._login = answer.text("login")
        return self._login


@dataclass(slots=True, kw_only=True)
class _Token:
    text: str = field(repr=False)
    expires_at: Moment


@dataclass(slots=True)
class _Flight:
    """One fetch under way, and what those who wait for it are told."""

    landed: anyio.Event = field(default_factory=anyio.Event)
    error: GitHubError | None = None


class AppAuth:
    """A GitHub App."""

    def __init__(
        self,
        wire: Wire,
        app_id: int,
        key: RSAPrivateKey,
        now: Callable[[], Moment],
        wall: Callable[[], Moment],
        learn: Learn = _keep_quiet,
    ) -> None:
        """Keep the loaded key; nothing is asked before it is needed."""
        self._wire = wire
        self._app_id = app_id
        self._key = key
        self._wall = wall
        self._learn = learn
        self._pacing = Pacing(now)
        self._tokens: dict[_Key, _Token] = {}
        self._flights: dict[_Key, _Flight] = {}
        self._login: str | None = None

    @property
    def app_id(self) -> int:
        """See `Auth.app_id`."""
        return self._app_id

    async def token_for(
        self, installation: int | None, repository: str | int, permissions: Mapping[str, str]
    ) -> str:
        """See `Auth.token_for`; many who wait for the same token cause one request."""
        if installation is None:
            raise Refused("an App needs to know the installation it acts for", status=0)
        key = (installation, repository, tuple(sorted(permissions.items())))
        while (token := self._fresh(key)) is None:
            flight = self._flights.get(key)
            if flight is None:
                return await self._lead(key)
            await flight.landed.wait()
            if flight.error is not None:
                raise flight.error
        return token

    async def installation_of(self, repository: str) -> int:
        """See `Auth.installation_of`; `repository` is OWNER/NAME, checked by the caller.

        https://docs.github.com/en/rest/apps/apps#get-a-repository-installation-for-the-authenticated-app
        """
        question = Question(
            operation="get_installation", method="GET", path=f"/repos/{repository}/installation"
        )
        answer = await _ask(self._wire, self._pacing, question, self.app_token())
        return answer.number("id")

    def forget(self, token: str) -> bool:
        """See `Auth.forget`; a token that has been replaced meanwhile is left alone."""
        self._tokens = {key: each for key, each in self._tokens.items() if each.text != token}
        return True

    async def own_login(self) -> str:
        """See `Auth.own_login`: the App's slug with `[bot]`; asked once."""
        if self._login is None:
            question = Question(operation="get_app", method="GET", path="/app")
            answer = await _ask(self._wire, self._pacing, question, self.app_token())
            self._login = f"{answer.text('slug')}[bot]"
        return self._login

    def app_token(self) -> str:
        """Sign a token of the App itself, good for `AHEAD_S`."""
        now_s = self._wall() // 1000
        claims = {"iat": now_s - BACK_S, "exp": now_s + AHEAD_S, "iss": str(self._app_id)}
        token = jwt.encode(claims, self._key, algorithm="RS256")
        self._learn(token)
        return token

    def _fresh(self, key: _Key) -> str | None:
        token = self._tokens.get(key)
        return token.text if token is not None and self._is_fresh(token) else None

    def _is_fresh(self, token: _Token) -> bool:
        return token.expires_at - SPARE_S * 1000 > self._wall()

    async def _lead(self, key: _Key) -> str:
        """Fetch for all who wait; where this caller is cancelled, the next one leads."""
        flight = self._flights[key] = _Flight()
        try:
            token = await self._fetch(key)
        except GitHubError as error:
            flight.error = error
            raise
        finally:
            del self._flights[key]
            flight.landed.set()
        return token.text

    async def _fetch(self, key: _Key) -> _Token:
        installation, _, _ = key
        question = Question(
            operation="create_token",
            method="POST",
            path=f"/app/installations/{installation}/access_tokens",
            body=_narrowing(key),
            harmless=True,
        )
        try:
            answer = await _ask(self._wire, self._pacing, question, self.app_token())
        except Refused as error:
            raise _refused_token(key, error) from None
        text = answer.text("token")
        self._learn(text)
        token = _Token(text=text, expires_at=_expiry(answer))
        fresh = {each: kept for each, kept in self._tokens.items() if self._is_fresh(kept)}
        self._tokens = {**fresh, key: token}
        return token


async def _ask(wire: Wire, pacing: Pacing, question: Question, token: str) -> Answer:
    pacing.require_open(None)
    answer = await wire.exchange(question, token)
    error = refusal_of(answer) if answer.status >= 300 else None  # noqa: PLR2004 (not a good one)
    pacing.note(None, answer.status, answer.headers, str(error or ""))
    if error is not None:
        raise error
    return answer


def _narrowing(key: _Key) -> dict[str, Any]:
    _, repository, permissions = key
    if isinstance(repository, int):
        return {"repository_ids": [repository], "permissions": dict(permissions)}
    name = repository.rpartition("/")[2]
    return {"repositories": [name], "permissions": dict(permissions)}


def _refused_token(key: _Key, error: Refused) -> Refused:
    """GitHub answers 422 both for a permission never granted and for a repository out of reach."""
    if error.status != _UNPROCESSABLE:
        return error
    _, repository, permissions = key
    wanted = ", ".join(f"{name}={level}" for name, level in permissions)
    message = f"the App's installation does not give {wanted} on {repository}: {error}"
    return MissingPermission(message, permission=wanted)


def _expiry(answer: Answer) -> Moment:
    try:
        return int(datetime.fromisoformat(answer.text("expires_at")).timestamp() * 1000)
    except ValueError:
        raise BadAnswer(f"{answer.operation}: no usable expires_at") from None
