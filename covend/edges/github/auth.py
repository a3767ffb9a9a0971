"""Who covend is on GitHub: an App with narrowed, short-lived installation tokens, or the owner of
one token.

A token leaves this file only as the return value of `token_for`.
https://docs.github.com/en/apps/creating-github-apps/authenticating-with-a-github-app
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
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
from covend.edges.github.courier import Courier, Places
from covend.edges.github.errors import BadAnswer, MissingPermission, Refused, Unreachable
from covend.edges.github.nobody import NoAuth
from covend.edges.github.pacing import Pacing
from covend.edges.github.tokens import Scope, Token, Tokens
from covend.edges.github.wire import Answer, Observe, Question, Wire, refusal_of

BACK_S = 60
"""An App token is dated back, because GitHub refuses one from the future and clocks differ."""
AHEAD_S = 9 * 60
"""GitHub takes at most ten minutes."""
_UNPROCESSABLE = 422
_UNAUTHORIZED = 401
_READ_METADATA = (("metadata", "read"),)

Learn = Callable[[str], None]


def _keep_quiet(_token: str) -> None:
    """Tell nobody."""


class Auth(Protocol):
    """What the client asks of whoever covend is."""

    @property
    def app_id(self) -> int | None:
        """The App's number; None with a plain token."""
        ...

    @property
    def places(self) -> Places:
        """Room for the requests of all who ask this GitHub."""
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

    def take_idle(self) -> Sequence[Token]:
        """Give up the tokens that nobody needs any more; the caller revokes them."""
        ...

    def close(self) -> Sequence[Token]:
        """Give up all tokens, for the caller to revoke, and make no more of them."""
        ...

    async def as_app(self, question: Question) -> Answer:
        """Ask what only the App itself may be told; raises Refused with a plain token."""
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
    """Choose by what is configured; raises ConfigError for an unusable key.

    `now` is covend's own clock. `wall` is the machine's, which may jump: only by it do covend and
    GitHub mean the same moment, also after a suspend. `learn` is told every token that is made or
    handed out, so that none is ever shown.
    """
    wire = Wire(session, settings.api_url, observe)
    if settings.app_id is not None and settings.private_key is not None:
        return AppAuth(wire, settings.app_id, load_key(settings.private_key), now, wall, learn)
    if settings.token is not None:
        return TokenAuth(wire, settings.token, now)
    return NoAuth()


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
        self.places = Places()
        self._courier = Courier(wire, Pacing(now), self.places)
        self._token = token
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

    def take_idle(self) -> Sequence[Token]:
        """See `Auth.take_idle`: its owner revokes it."""
        return ()

    def close(self) -> Sequence[Token]:
        """See `Auth.close`: its owner revokes it."""
        return ()

    async def as_app(self, question: Question) -> Answer:
        """See `Auth.as_app`."""
        raise Refused(f"{question.operation}: only an App may ask this", status=0)

    async def own_login(self) -> str:
        """See `Auth.own_login`; asked once."""
        if self._login is None:
            question = Question(operation="get_user", method="GET", path="/user")
            answer = await _ask(self._courier, question, self._token.reveal())
            self._login = answer.text("login")
        return self._login


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
        self.places = Places()
        self._courier = Courier(wire, Pacing(now), self.places)
        self._app_id = app_id
        self._key = key
        self._wall = wall
        self._learn = learn
        self._tokens = Tokens(now, wall)
        self._flights: dict[Scope, _Flight] = {}
        self._login: str | None = None
        self._is_closed = False

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
        if not permissions:
            raise Refused("a token without named permissions would have them all", status=0)
        scope = Scope(installation, repository, tuple(sorted(permissions.items())))
        while (token := self._tokens.find(scope)) is None:
            if self._is_closed:
                raise Unreachable("covend is ending, and asks for no more tokens")
            flight = self._flights.get(scope)
            if flight is None:
                return await self._lead(scope)
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
        answer = await _ask(self._courier, question, self.app_token())
        return answer.number("id")

    def forget(self, token: str) -> bool:
        """See `Auth.forget`; a token that has been replaced meanwhile is left alone."""
        self._tokens.forget(token)
        return True

    def take_idle(self) -> Sequence[Token]:
        """See `Auth.take_idle`."""
        return self._tokens.take_idle()

    def close(self) -> Sequence[Token]:
        """See `Auth.close`."""
        self._is_closed = True
        return self._tokens.take_all()

    async def own_login(self) -> str:
        """See `Auth.own_login`: the App's slug with `[bot]`; asked once."""
        if self._login is None:
            question = Question(operation="get_app", method="GET", path="/app")
            answer = await _ask(self._courier, question, self.app_token())
            self._login = f"{answer.text('slug')}[bot]"
        return self._login

    async def as_app(self, question: Question) -> Answer:
        """See `Auth.as_app`."""
        return await _ask(self._courier, question, self.app_token())

    def app_token(self) -> str:
        """Sign a token of the App itself, good for `AHEAD_S`."""
        now_s = self._wall() // 1000
        claims = {"iat": now_s - BACK_S, "exp": now_s + AHEAD_S, "iss": str(self._app_id)}
        token = jwt.encode(claims, self._key, algorithm="RS256")
        self._learn(token)
        return token

    async def _lead(self, scope: Scope) -> str:
        """Fetch for all who wait; where this caller is cancelled, the next one leads."""
        flight = self._flights[scope] = _Flight()
        try:
            return await self._fetch(scope)
        except GitHubError as error:
            flight.error = error
            raise
        finally:
            del self._flights[scope]
            flight.landed.set()

    async def _fetch(self, scope: Scope) -> str:
        try:
            text, expires_at = await self._make(scope.installation, _narrowing(scope))
        except Refused as error:
            text, expires_at = await self._make_by_id(scope, error)
        self._tokens.keep(scope, text, expires_at)
        return text

    async def _make_by_id(self, scope: Scope, error: Refused) -> tuple[str, Moment]:
        """Ask again by the id of a repository whose name GitHub does not take: it may have another
        one by now. Raises what `error` means where that is of no use either.
        """
        refused = _refused_token(scope, error)
        if not _is_of_a_name(scope, error):
            raise refused from None
        try:
            found = await self._id_of(scope.installation, str(scope.repository))
            return await self._make(
                scope.installation, _narrowing(scope._replace(repository=found))
            )
        except Refused:
            raise refused from None

    async def _id_of(self, installation: int, name: str) -> int:
        """Read a repository's id, by a token that reads names and nothing else, and is kept only to
        be revoked.
        """
        wide = {"permissions": dict(_READ_METADATA)}
        text, expires_at = await self._make(installation, wide)
        self._tokens.displace(Scope(installation, "", _READ_METADATA), text, expires_at)
        question = Question(operation="get_repository", method="GET", path=f"/repos/{name}")
        return (await _ask(self._courier, question, text, installation)).number("id")

    async def _make(self, installation: int, narrowing: Mapping[str, Any]) -> tuple[str, Moment]:
        question = Question(
            operation="create_token",
            method="POST",
            path=f"/app/installations/{installation}/access_tokens",
            body=narrowing,
            harmless=True,
        )
        answer = await _ask(self._courier, question, self.app_token())
        text = answer.text("token")
        self._learn(text)
        return text, _expiry(answer)


async def _ask(
    courier: Courier, question: Question, token: str, installation: int | None = None
) -> Answer:
    answer = await courier.carry(question, token, installation)
    if answer.status == _UNAUTHORIZED:
        courier.refused(installation)
    if answer.status >= 300:  # noqa: PLR2004 (not a good one)
        raise refusal_of(answer)
    return answer


def _narrowing(scope: Scope) -> dict[str, Any]:
    permissions = dict(scope.permissions)
    if isinstance(scope.repository, int):
        return {"repository_ids": [scope.repository], "permissions": permissions}
    name = scope.repository.rpartition("/")[2]
    return {"repositories": [name], "permissions": permissions}


def _is_of_a_name(scope: Scope, error: Refused) -> bool:
    """Say whether a token was refused for the name of its repository; GitHub has one status for
    this and for a permission that was never granted.
    """
    is_name = isinstance(scope.repository, str)
    return is_name and error.status == _UNPROCESSABLE and "repositor" in str(error).lower()


def _refused_token(scope: Scope, error: Refused) -> Refused:
    """GitHub answers 422 both for a permission never granted and for a repository out of reach."""
    if error.status != _UNPROCESSABLE:
        return error
    wanted = ", ".join(f"{name}={level}" for name, level in scope.permissions)
    message = f"the App's installation does not give {wanted} on {scope.repository}: {error}"
    return MissingPermission(message, permission=wanted)


def _expiry(answer: Answer) -> Moment:
    try:
        return int(datetime.fromisoformat(answer.text("expires_at")).timestamp() * 1000)
    except ValueError:
        raise BadAnswer(f"{answer.operation}: no usable expires_at") from None
