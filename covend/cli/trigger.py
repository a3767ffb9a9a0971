"""`covend trigger`: sends covend a webhook of our own making, signed with the configured secret.

Each call is a new event: id, SHA, numbers and time are fresh. The secret is in no argument and in
no output.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import click
import orjson

from covend.cli.client import ANYWHERE, open_client
from covend.cli.exits import CONFIG, NOT_FOUND, TRY_LATER, Failure
from covend.cli.options import config_option, json_option, sendable
from covend.cli.reading import read_settings
from covend.cli.render import cell, print_json, safe
from covend.cli.screens import open_screen
from covend.cli.sending import Sent, send
from covend.cli.story import STATE_STYLES
from covend.cli.wait import wait_for
from covend.core.secret import Secret
from covend.core.settings import Settings

_REPOSITORY = re.compile(r"[A-Za-z0-9._-]{1,100}/[A-Za-z0-9._-]{1,100}")
_ACCEPTED = frozenset({200, 202})
_UNAVAILABLE = 503
_MENDS = {
    "draining": "covend resume",
    "bad_signature": "what runs has other webhook_secrets: start it anew, or name its --config",
}
"""What to do about a refusal, by its code."""
_HOOK_PATH = "/webhooks/github"
SERIAL_BITS = 30
MADE_UP_FROM, NUMBER_BITS = 900_000_000, 26
"""Numbers that no repository comes to: what is made up takes the place of nothing that is real."""


@click.command()
@click.argument("event", required=False, metavar="EVENT[.ACTION]")
@click.option("--repo", metavar="O/R", default="acme/till", show_default=True, help="Where.")
@click.option("--number", type=click.IntRange(1, 10**9), help="About which; else one of its own.")
@click.option("--text", metavar="TEXT", help="What a comment or review says.")
@click.option("--set", "changes", multiple=True, metavar="PATH=VALUE", help="Change the payload.")
@click.option("--url", metavar="URL", help="Where covend listens, if not as configured.")
@click.option("--wait", "waits", is_flag=True, help="Wait until its tasks have ended.")
@click.option("--list", "lists", is_flag=True, help="List the events that there are.")
@config_option
@json_option
def trigger(  # noqa: PLR0913 - its options
    *,
    event: str | None,
    repo: str,
    number: int | None,
    text: str | None,
    changes: Sequence[str],
    url: str | None,
    waits: bool,
    lists: bool,
    config: Path | None,
    as_json: bool,
) -> None:
    """Send covend a realistic webhook, signed with the configured secret, as GitHub would.

    An event without its action is its usual one ("pull_request" is "pull_request.opened"). --set
    changes one value, as often as it is given: its path has dots ("pull_request.draft"), a number
    is a place in a list, and its value is JSON, or else a text.

    It is work like any other: a rule that wants it starts an agent. Its commits are made up, so
    that their checkout fails; and with the --number of a pull request that there is, covend takes
    the made-up head for its newest, and work on the real one gives way. The exit code is 0 where it
    was accepted, and with --wait where all of its tasks have succeeded.
    """
    from covend.demo import payloads

    if lists:
        _list(tuple(payloads.SAMPLES), as_json=as_json)
        return
    if event is None:
        raise click.UsageError("Name an event; --list has them all.")
    name = payloads.find_sample(event)
    if name is None:
        raise click.UsageError(f"There is no event {event!r} here; --list has them all.")
    if not _REPOSITORY.fullmatch(repo):
        raise click.BadParameter("it must be OWNER/NAME", param_hint="--repo")
    _, settings = read_settings(config)
    secret = _secret(settings)
    mention = settings.github.mention or "covend"
    scene = payloads.scene(
        now=datetime.now(UTC),
        serial=secrets.randbits(SERIAL_BITS),
        repository=repo,
        number=number or MADE_UP_FROM + secrets.randbits(NUMBER_BITS),
        text=sendable(text) if text else f"@{mention} review",
    )
    payload = dict(payloads.SAMPLES[name](scene))
    for change in changes:
        _change(payload, sendable(change))
    body, delivery = payloads.encode(payload), str(uuid4())
    headers = payloads.signed(body, secret.reveal(), name.partition(".")[0], delivery)
    sent = send(_address(settings, url), body, headers)
    _tell(name, delivery, sent, as_json=as_json)
    if waits:
        _wait(sent, config)


def _list(names: Sequence[str], *, as_json: bool) -> None:
    if as_json:
        print_json({"events": names})
    else:
        click.echo("\n".join(names))


def _secret(settings: Settings) -> Secret:
    found = settings.github.webhook_secrets
    if not found or not found[0].reveal():
        message = "no webhook can be signed: github.webhook_secrets names none  (covend init)"
        raise Failure(CONFIG, message)
    return found[0]


def _address(settings: Settings, url: str | None) -> str:
    if url is not None:
        return url.removesuffix("/").removesuffix(_HOOK_PATH) + _HOOK_PATH
    server = settings.server
    host = ANYWHERE.get(server.host, server.host)
    return f"http://{f'[{host}]' if ':' in host else host}:{server.port}{_HOOK_PATH}"


# --- what is changed in the payload ---------------------------------------------------------------


def _change(payload: dict[str, Any], change: str) -> None:
    """Put a value at a path; click.BadParameter where the payload has no such place."""
    path, equals, text = change.partition("=")
    keys = path.split(".")
    if not equals or not all(keys):
        raise click.BadParameter(f"{change!r} is not PATH=VALUE", param_hint="--set")
    place: Any = payload
    for depth, key in enumerate(keys[:-1]):
        if isinstance(place, dict):
            place = place.setdefault(key, {})
        else:
            place = _item(place, key, keys[: depth + 1])
    if isinstance(place, dict):
        place[keys[-1]] = _value(text)
    else:
        _item(place, keys[-1], keys)
        place[int(keys[-1])] = _value(text)


def _item(place: Any, key: str, path: Sequence[str]) -> Any:
    if isinstance(place, list) and key.isascii() and key.isdigit() and int(key) < len(place):
        return place[int(key)]
    message = f"the payload has no place {'.'.join(path)!r}"
    raise click.BadParameter(message, param_hint="--set")


def _value(text: str) -> Any:
    """Read JSON, and take for a text what is none."""
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return text


# --- what came of it ------------------------------------------------------------------------------


def _tell(name: str, delivery: str, sent: Sent, *, as_json: bool) -> None:
    answer = sent.answer
    if sent.status not in _ACCEPTED:
        error = answer.get("error")
        why = error.get("message") if isinstance(error, Mapping) else None
        code = str(error.get("code")) if isinstance(error, Mapping) else ""
        mend = f"  ({_MENDS[code]})" if code in _MENDS else ""
        told = f"covend refused it with {sent.status}: {why or 'without a word'}{mend}"
        raise Failure(TRY_LATER if sent.status == _UNAVAILABLE else NOT_FOUND, safe(told))
    if as_json:
        print_json({"event": name, "sent": delivery, **answer})
        return
    screen = open_screen()
    state, tasks = str(answer.get("state", "answered")), answer.get("tasks") or []
    screen.title((cell(name, "bold"), cell(state, STATE_STYLES.get(state, "")), cell(_why(answer))))
    shown = str(answer.get("delivery") or delivery)
    screen.fields(
        (
            ("delivery", cell(shown)),
            *(("task", cell(task)) for task in tasks),
            ("next", cell(_next(shown, tasks, state))),
        )
    )


def _why(answer: Mapping[str, Any]) -> str:
    return "a duplicate" if answer.get("duplicate") else str(answer.get("reason") or "")


def _next(delivery: str, tasks: Sequence[str], state: str) -> str:
    if tasks:
        return f"covend logs -f {tasks[0]}"
    return f"covend explain --delivery {delivery}" if state != "answered" else "covend deliveries"


def _wait(sent: Sent, config: Path | None) -> None:
    """Wait for each of its tasks, and exit as the worst of them."""
    client = open_client(config)
    codes = [wait_for(client, task) for task in sent.answer.get("tasks") or []]
    click.get_current_context().exit(max(codes, default=0))
