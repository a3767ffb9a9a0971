"""The App, its installation and its tokens.

https://docs.github.com/en/rest/apps
"""

from collections.abc import Sequence

from covend.demo.github.answers import Answer, Refused, not_found
from covend.demo.github.auth import (
    APP,
    INSTALLATION_TOKEN_LIFE,
    LEVELS,
    Credential,
    Kind,
    new_installation_token,
)
from covend.demo.github.routes import Call, delete, get, post
from covend.demo.github.state import Hosted, State
from covend.demo.payloads import people, repositories
from covend.demo.records import EPOCH, JsonObject, moment


async def show_app(call: Call) -> Answer:
    """Show the App whose token this is."""
    return Answer(body=shown_app(call.state))


def shown_app(state: State) -> JsonObject:
    """Build the App with what it asks for by now."""
    asked = {"permissions": dict(state.app_permissions), "events": list(state.app_events)}
    return people.app(state.site, state.app, EPOCH) | asked


async def show_installation(call: Call) -> Answer:
    """Show the one installation there is, by id or by a repository in it."""
    if "installation_id" in call.params:
        _require_installation(call)
        return Answer(body=_installation(call.state))
    owner = call.hosted.repository.owner
    return Answer(body=_installation(call.state) | {"account": people.user(call.state.site, owner)})


async def list_installations(call: Call) -> Answer:
    """List the one installation, where there is one."""
    return call.page([call.state] if call.state.is_installed else [], _installation)


async def create_token(call: Call) -> Answer:
    """Make an installation token, narrowed as the body asks, good for one hour."""
    _require_installation(call)
    state, wanted = call.state, call.body if isinstance(call.body, dict) else {}
    chosen = _chosen_repositories(state, wanted)
    permissions = _narrowed(state, wanted.get("permissions", state.permissions))
    credential = Credential(
        kind=Kind.INSTALLATION,
        account=state.app.bot,
        app=state.app,
        token=new_installation_token(state.app),
        repositories=None if chosen is None else frozenset(each.full_name for each in chosen),
        permissions=permissions,
        expires_at=state.now() + INSTALLATION_TOKEN_LIFE,
    )
    state.tokens[credential.token] = credential
    return Answer(status=201, body=_token(state, credential, chosen))


async def revoke_token(call: Call) -> Answer:
    """Revoke the token of this very request."""
    state = call.state
    state.tokens.pop(call.credential.token, None)
    return Answer(status=204)


async def list_installed_repositories(call: Call) -> Answer:
    """List the repositories in the token's reach."""
    reach = call.credential.repositories
    found = [
        hosted
        for hosted in call.state.hosted.values()
        if reach is None or hosted.full_name in reach
    ]
    return call.counted_page(
        "repositories",
        found,
        lambda each: repositories.repository(call.state.site, each.repository),
    )


def _require_installation(call: Call) -> None:
    if call.number("installation_id") != call.state.installation_id:
        raise not_found()


def _installation(state: State) -> JsonObject:
    shown = people.installation(state.site, state.installation_id, state.app, state.app.owner)
    at = moment(EPOCH)
    granted = {"permissions": dict(state.permissions), "events": list(state.app_events)}
    return shown | {"created_at": at, "updated_at": at} | granted


def _chosen_repositories(state: State, wanted: JsonObject) -> list[Hosted] | None:
    names = {str(name).lower() for name in wanted.get("repositories", ())}
    ids = set(wanted.get("repository_ids", ()))
    if not names and not ids:
        return None
    chosen = [
        hosted
        for hosted in state.hosted.values()
        if hosted.repository.name.lower() in names or hosted.repository.id in ids
    ]
    if len(chosen) < len(names) + len(ids):
        message = "There is at least one repository that does not exist or is not accessible"
        raise Refused(422, f"{message} to the parent installation.")
    return chosen


def _narrowed(state: State, wanted: dict[str, str]) -> dict[str, str]:
    for name, level in wanted.items():
        granted = state.permissions.get(name, "none")
        if LEVELS.index(level) > LEVELS.index(granted):
            message = "The permissions requested are not granted to this installation."
            raise Refused(422, message)
    return {"metadata": "read"} | wanted


def _token(state: State, made: Credential, chosen: Sequence[Hosted] | None) -> JsonObject:
    assert made.expires_at is not None, "an installation token always expires"
    body: JsonObject = {
        "token": made.token,
        "expires_at": moment(made.expires_at),
        "permissions": dict(made.permissions or {}),
        "repository_selection": "all" if chosen is None else "selected",
    }
    if chosen is not None:
        shown = [repositories.repository(state.site, each.repository) for each in chosen]
        body["repositories"] = shown
    return body


ROUTES = (
    get("/app", show_app, APP),
    get("/app/installations", list_installations, APP),
    get("/app/installations/{installation_id}", show_installation, APP),
    post("/app/installations/{installation_id}/access_tokens", create_token, APP),
    get("/repos/{owner}/{repo}/installation", show_installation, APP),
    delete("/installation/token", revoke_token),
    get("/installation/repositories", list_installed_repositories),
)
