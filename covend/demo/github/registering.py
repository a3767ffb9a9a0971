"""The manifest flow: the page that takes a manifest and sends the browser back with a code, and the
exchange of the code for the App and its secrets.

https://docs.github.com/en/apps/sharing-github-apps/registering-a-github-app-from-a-manifest
"""

import json
import secrets
from urllib.parse import parse_qs, urlencode
from uuid import uuid4

from covend.demo.github.answers import Answer, Refused, not_found
from covend.demo.github.apps import shown_app
from covend.demo.github.auth import ANYONE
from covend.demo.github.hook import deliver
from covend.demo.github.routes import Call, post
from covend.demo.github.state import State
from covend.demo.payloads.on_app import ping_of
from covend.demo.records import JsonObject

WEBHOOK_SECRET = "demo-webhook-secret"  # noqa: S105 - of a stand-in


async def take_manifest(call: Call) -> Answer:
    """Take the form, as if its person had said yes at once; sends the browser back."""
    fields = parse_qs(call.body if isinstance(call.body, str) else "")
    manifest = _parsed(fields.get("manifest", [""])[0])
    back = manifest.get("redirect_url")
    if not isinstance(back, str):
        raise Refused(422, "Validation Failed", errors=["redirect_url is missing"])
    code = secrets.token_hex(20)
    call.state.manifests[code] = manifest
    given = {"code": code} | ({"state": call.query["state"]} if "state" in call.query else {})
    return Answer(status=302, headers={"Location": f"{back}?{urlencode(given)}"})


async def convert_manifest(call: Call) -> Answer:
    """Exchange a code, once; one that nobody was given stands for the demonstration's App."""
    code, state = call.params["code"], call.state
    if code == "used" or state.manifests.get(code, {}) is None:
        raise not_found()
    if manifest := state.manifests.get(code):
        _become(state, manifest)
        state.manifests[code] = None
        ping = ping_of(state.site, state.app, state.now(), url=state.app_hook.url)
        await deliver(state, ping, "ping", str(uuid4()))
    given = {
        "client_id": "Iv23liDemoClient",
        "client_secret": "demo-client-secret",
        "webhook_secret": WEBHOOK_SECRET,
        "pem": state.private_key,
    }
    return Answer(status=201, body=shown_app(state) | given)


def _become(state: State, manifest: JsonObject) -> None:
    """Let the App be as the manifest has it; who installs it grants what it asks for."""
    state.app_permissions = dict(manifest.get("default_permissions", {}))
    state.permissions = dict(state.app_permissions)
    state.app_events = list(manifest.get("default_events", ()))
    state.app_hook.url = str(manifest.get("hook_attributes", {}).get("url", ""))
    state.app_hook.secret = WEBHOOK_SECRET


def _parsed(text: str) -> JsonObject:
    try:
        manifest = json.loads(text)
    except ValueError:
        manifest = None
    if not isinstance(manifest, dict):
        raise Refused(422, "Validation Failed", errors=["manifest is no JSON object"])
    return manifest


ROUTES = (
    post("/settings/apps/new", take_manifest, ANYONE),
    post("/organizations/{org}/settings/apps/new", take_manifest, ANYONE),
    post("/app-manifests/{code}/conversions", convert_manifest, ANYONE),
)
