"""Who may come in: the credential of a request, its limits, its reach and its permissions.

https://docs.github.com/en/rest/authentication/authenticating-to-the-rest-api
"""

from aiohttp import web

from covend.demo.github import auth, moving
from covend.demo.github.answers import Refused
from covend.demo.github.auth import ANONYMOUS, Credential, Kind
from covend.demo.github.pacing import require_within
from covend.demo.github.routes import Route
from covend.demo.github.state import State


def identify(state: State, request: web.Request) -> Credential:
    """Find out who asks; refuses a token that is not good, or no more."""
    token = auth.token_of(request.headers.get("Authorization", ""))
    if not token:
        return ANONYMOUS
    known = state.tokens.get(token)
    if known is None and token.startswith("ey"):
        return auth.read_app_token(token, state.app, state.public_key, state.clock())
    if known is None or (known.expires_at and known.expires_at <= state.clock()):
        raise Refused(401, "Bad credentials")
    return known


def admit(state: State, route: Route, request: web.Request, credential: Credential) -> None:
    """Refuse what this credential may not ask for, or not now, or under another name."""
    if route.needs == (auth.ANYONE,):
        return
    if credential.kind is Kind.ANONYMOUS:
        raise Refused(401, "Requires authentication")
    require_within(state, credential, request.method)
    if "repo" in request.match_info:
        _admit_to_repository(state, request, credential)
    auth.require(credential, route.needs)


def _admit_to_repository(state: State, request: web.Request, credential: Credential) -> None:
    names = request.match_info
    full_name = f"{names['owner']}/{names['repo']}"
    moved = moving.find_moved(state, full_name)
    hosted = moved or state.find(full_name)
    private = hosted.repository.private
    auth.require_repository(credential, hosted.full_name, private=private)
    if moved is not None:
        rest = request.path.removeprefix(f"/repos/{full_name}")
        raise moving.redirect(state, moved, request.method, rest, request.query_string)
