"""The App's webhook: how it is set, and its trying a delivery once more, which it does for real.

https://docs.github.com/en/rest/apps/webhooks
"""

import aiohttp

from covend.demo.github.answers import Answer, Refused, not_found
from covend.demo.github.auth import APP
from covend.demo.github.deliveries import NO_ANSWER, write_down
from covend.demo.github.routes import Call, get, patch, post
from covend.demo.github.state import LoggedDelivery, State
from covend.demo.payloads.signing import encode, signed
from covend.demo.records import JsonObject

DELIVER_S = 10.0
HIDDEN = "********"
_FIELDS = ("url", "content_type", "secret", "insecure_ssl")


async def show_config(call: Call) -> Answer:
    """Show where the webhook goes; its secret as stars."""
    return Answer(body=_config(call.state))


async def change_config(call: Call) -> Answer:
    """Set what the body names."""
    for name in _FIELDS:
        if name in call.fields:
            setattr(call.state.app_hook, name, str(call.fields[name]))
    return Answer(body=_config(call.state))


async def try_again(call: Call) -> Answer:
    """Send a delivery of the log once more; the answer of the one who got it is not waited for by
    GitHub, and here it is, so that the log has it at once.
    """
    number = call.number("delivery_id")
    found = next((each for each in call.state.deliveries if each.id == number), None)
    if found is None or found.hook is not None:
        raise not_found()
    if not call.state.app_hook.url:
        raise Refused(422, "Validation Failed")
    await deliver(call.state, found.payload, found.event, found.guid)
    return Answer(status=202, body={})


async def deliver(state: State, payload: JsonObject, event: str, guid: str) -> LoggedDelivery:
    """Send a webhook of the App's to where its hook leads, and write the try down."""
    body = encode(payload)
    headers = signed(body, state.app_hook.secret, event, guid, target_id=state.app.id)
    status = await _post(state.app_hook.url, body, headers)
    return write_down(state, payload, headers, status_code=status)


async def _post(url: str, body: bytes, headers: dict[str, str]) -> int:
    timeout = aiohttp.ClientTimeout(total=DELIVER_S)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.post(url, data=body, headers=headers, allow_redirects=False) as answer,
        ):
            return answer.status
    except (aiohttp.ClientError, TimeoutError, ValueError):
        return NO_ANSWER


def _config(state: State) -> JsonObject:
    hook = state.app_hook
    shown = {"url": hook.url, "content_type": hook.content_type, "insecure_ssl": hook.insecure_ssl}
    return shown | ({"secret": HIDDEN} if hook.secret else {})


ROUTES = (
    get("/app/hook/config", show_config, APP),
    patch("/app/hook/config", change_config, APP),
    post("/app/hook/deliveries/{delivery_id}/attempts", try_again, APP),
)
