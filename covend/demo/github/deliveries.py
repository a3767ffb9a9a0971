"""The log of webhooks that were sent, or could not be: the App's, and those of repositories' hooks.

Tests and the demonstration send the webhooks themselves, and write them down with `write_down`.
https://docs.github.com/en/rest/apps/webhooks
https://docs.github.com/en/rest/repos/webhooks
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from urllib.parse import urlencode

from covend.demo.github.answers import PAGE_DEFAULT, PAGE_MAX, Answer, Refused, not_found
from covend.demo.github.auth import APP
from covend.demo.github.routes import Call, get
from covend.demo.github.state import LoggedDelivery, State
from covend.demo.records import JsonObject, moment

KEPT = timedelta(days=3)
"""How far back GitHub's log reaches."""
NO_ANSWER = 502
"""What GitHub notes as status where it could not connect at all."""
HOOKS = "repository_hooks:read"
_OUTCOMES = {"success": range(200, 400), "failure": range(400, 600)}


def write_down(
    state: State,
    payload: JsonObject,
    headers: Mapping[str, str],
    *,
    status_code: int = NO_ANSWER,
    at: datetime | None = None,
    hook: int | None = None,
) -> LoggedDelivery:
    """Note one try to deliver what `headers` name; a further try of the same is a redelivery.

    `hook` is a repository's own; None stands for the App's.
    """
    guid = headers["X-GitHub-Delivery"]
    entry = LoggedDelivery(
        id=next(state.ids),
        guid=guid,
        event=headers["X-GitHub-Event"],
        payload=payload,
        headers=dict(headers),
        delivered_at=at or state.now(),
        status_code=status_code,
        redelivery=any(each.guid == guid for each in state.deliveries),
        hook=hook,
    )
    state.deliveries.append(entry)
    return entry


async def list_deliveries(call: Call) -> Answer:
    """List the log, newest first, by cursor, three days back."""
    found = _log(call)
    size = _size(call.query.get("per_page", ""))
    cursor = call.query.get("cursor")
    begin = 0 if cursor is None else _place_below(found, cursor)
    shown = found[begin : begin + size]
    links = []
    if begin > 0:
        links.append(_link(call, size, found, max(begin - size, 0), "prev"))
    if begin + size < len(found):
        links.append(_link(call, size, found, begin + size, "next"))
    headers = {"Link": ", ".join(links)} if links else {}
    return Answer(body=[_item(entry) for entry in shown], headers=headers)


async def show_delivery(call: Call) -> Answer:
    """Show one delivery with its headers and payload."""
    number = call.number("delivery_id")
    found = next((entry for entry in _log(call) if entry.id == number), None)
    if found is None:
        raise not_found()
    return Answer(
        body=_item(found)
        | {
            "url": "https://covend.example.org/webhooks/github",
            "request": {"headers": dict(found.headers), "payload": found.payload},
            "response": {"headers": {}, "payload": None},
        }
    )


def _log(call: Call) -> list[LoggedDelivery]:
    """Give the entries of the webhook that is asked about, newest first, as far as they are kept
    and their outcome is asked for.
    """
    hook = call.number("hook_id") if "hook_id" in call.params else None
    since, outcome = call.state.now() - KEPT, call.query.get("status")
    if outcome is not None and outcome not in _OUTCOMES:
        raise Refused(422, "Invalid request.")
    sent = [entry for entry in call.state.deliveries if entry.hook == hook]
    if hook is not None and not sent:
        raise not_found()
    kept = [
        entry
        for entry in sent
        if entry.delivered_at >= since
        and (outcome is None or entry.status_code in _OUTCOMES[outcome])
    ]
    return sorted(kept, key=lambda entry: entry.id, reverse=True)


def _size(asked: str) -> int:
    size = int(asked) if asked.isascii() and asked.isdigit() else PAGE_DEFAULT
    return min(max(size, 1), PAGE_MAX)


def _place_below(found: list[LoggedDelivery], cursor: str) -> int:
    """Give the place of the first entry that is older than the cursor's."""
    number = cursor.removeprefix("v")
    if not (number.isascii() and number.isdigit()):
        raise Refused(422, "Invalid cursor")
    return sum(entry.id >= int(number) for entry in found)


def _link(call: Call, size: int, found: list[LoggedDelivery], begin: int, name: str) -> str:
    """Make the link to the page that begins there; its cursor names the entry before it."""
    query = {**call.query, "per_page": str(size)}
    query.pop("cursor", None)
    if begin > 0:
        query["cursor"] = f"v{found[begin - 1].id}"
    return f'<{call.state.site.api}{call.path}?{urlencode(query)}>; rel="{name}"'


def _item(entry: LoggedDelivery) -> JsonObject:
    return {
        "id": entry.id,
        "guid": entry.guid,
        "delivered_at": moment(entry.delivered_at),
        "redelivery": entry.redelivery,
        "duration": 0.27,
        "status": _status(entry.status_code),
        "status_code": entry.status_code,
        "event": entry.event,
        "action": entry.payload.get("action"),
        "installation_id": (entry.payload.get("installation") or {}).get("id"),
        "repository_id": (entry.payload.get("repository") or {}).get("id"),
        "throttled_at": None,
    }


def _status(code: int) -> str:
    if code in _OUTCOMES["success"]:
        return "OK"
    return "failed to connect" if code == NO_ANSWER else f"Invalid HTTP Response: {code}"


_OF_HOOK = "/repos/{owner}/{repo}/hooks/{hook_id}/deliveries"
ROUTES = (
    get("/app/hook/deliveries", list_deliveries, APP),
    get("/app/hook/deliveries/{delivery_id}", show_delivery, APP),
    get(_OF_HOOK, list_deliveries, HOOKS),
    get(f"{_OF_HOOK}/{{delivery_id}}", show_delivery, HOOKS),
)
