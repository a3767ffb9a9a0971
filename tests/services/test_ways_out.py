"""Whatever an agent says, and wherever that goes: what was secret is not in it."""

from __future__ import annotations

import base64
import shlex
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import orjson
import pytest

from covend.core.model import EffectKind
from covend.core.settings import Preset
from covend.core.states import EffectState
from tests.services.house import COMMENT, REVIEW, House, a_rule, an_agent, an_ending
from tests.services.rooms import WEBHOOK_SECRET
from tests.services.writing import writing

KEY = "sk-ant-api03-" + "Ab0_" * 12
HANDED = "a key/that+has no shape"
SESSION = "0b5cc25e-37a3-4a3b-9a3c-4b1f1c3f0f5d"
ENCODED = base64.b64encode(f"x{WEBHOOK_SECRET}x".encode()).decode()
PERCENT = quote(HANDED)
SAID = f"{WEBHOOK_SECRET} {KEY} {HANDED} {ENCODED} {PERCENT}"
CRUMBS = (WEBHOOK_SECRET[3:-3], KEY[-12:], HANDED, ENCODED[4:-4], PERCENT)


ScriptOf = Callable[[str], tuple[str, str]]


def saying(text: str) -> str:
    return f"printf '%s\\n' {shlex.quote(text)}"


def event(**fields: object) -> str:
    return saying(orjson.dumps(fields).decode())


def claude(**result: object) -> str:
    """A stream of claude's with a secret in everything that covend reads of it."""
    lines = (
        event(type="system", subtype="init", session_id=SESSION, model=f"m {SAID}"),
        event(type="assistant", message={"content": [{"type": "text", "text": SAID}]}),
        event(type="result", session_id=SESSION, usage={}, **result),
    )
    return " && ".join(lines)


def shown(house: House) -> bytes:
    """All that is kept and all that was sent: log files, the store's files, requests."""
    kept = b"".join(
        path.read_bytes()
        for folder in ("logs", ".")
        for path in sorted((house.folder / folder).glob("*"))
        if path.is_file() and path.suffix != ".toml"
    )
    sent = b"".join(orjson.dumps(each.body, default=str) for each in house.github.requests)
    return kept + sent


def seen(everything: bytes) -> list[str]:
    return [crumb for crumb in CRUMBS if crumb.encode() in everything]


@pytest.fixture
def script_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], tuple[str, str]]:
    """Writes an agent to a file elsewhere: its command is kept in the store."""

    def write(script: str) -> tuple[str, str]:
        path = tmp_path_factory.mktemp("agent") / "agent.sh"
        path.write_text(script)
        return "sh", str(path)

    return write


async def attempted(house: House, command: tuple[str, str], **changes: Any) -> None:
    house.secrets.keep([HANDED])
    agent = an_agent(command=command, **changes)
    await house.adopt(a_rule(publish=(COMMENT, REVIEW, EffectKind.CHECK)), agent)
    await house.attempt()
    await house.publish()


FIELDS = {
    "the summary": writing(conclusion="success", summary=f"It is {SAID}."),
    "a verdict": writing(conclusion="failure", summary=f"{SAID}."),
    "the title": writing(conclusion="success", summary="x", title=SAID),
    "a review": writing(
        conclusion="success",
        summary="x",
        review={
            "event": "comment",
            "body": SAID,
            "comments": [{"path": "x", "line": 1, "body": SAID}],
        },
    ),
    "an error": writing(conclusion="failure", summary="x", error={"code": "x", "message": SAID}),
    "the session": writing(conclusion="success", summary="x", session=SAID),
    "outputs": writing(conclusion="success", summary="x", outputs={"a": [SAID], SAID: 1}),
    "labels": writing(conclusion="success", summary="x", labels=[SAID[:40]]),
    "what breaks the contract": writing(conclusion=SAID, summary=[SAID]),
    "an unfinished result": f'printf \'{{"summary": "%s\' {shlex.quote(SAID)} > "$COVEND_RESULT"',
    "escaped characters": writing(conclusion="success", summary=f"x {SAID}").replace(
        "sk-", "\\u0073k-"
    ),
}
SPEECH = {
    "standard output": saying(SAID),
    "standard error": f"{saying(SAID)} >&2; exit 3",
    "an unfinished line": f"printf %s {shlex.quote(SAID)}",
    "two writes": f"printf %s {shlex.quote(SAID[:20])}; {saying(SAID[20:])}",
    "a line without end": f"head -c 100000 /dev/zero | tr '\\0' x; {saying(SAID)}",
}


@pytest.mark.parametrize("script", FIELDS.values(), ids=FIELDS)
async def test_no_secret_in_a_result_is_kept_or_published(
    house: House, script_of: ScriptOf, script: str
) -> None:
    await attempted(house, script_of(script))
    assert seen(shown(house)) == []


@pytest.mark.parametrize("script", SPEECH.values(), ids=SPEECH)
async def test_no_secret_that_an_agent_prints_is_kept_or_published(
    house: House, script_of: ScriptOf, script: str
) -> None:
    await attempted(house, script_of(script))
    assert b"redacted" in shown(house)
    assert seen(shown(house)) == []


@pytest.mark.parametrize(
    "script",
    [
        claude(subtype="success", is_error=False, result=f"All fine: {SAID}"),
        claude(subtype="success", is_error=True, result=f"API Error: 401 {SAID}"),
        claude(subtype="error_during_execution", is_error=True, errors=[SAID]),
    ],
    ids=["its final text", "its error", "its errors"],
)
async def test_no_secret_in_a_tools_stream_is_kept_or_published(
    house: House, script_of: ScriptOf, script: str
) -> None:
    await attempted(house, script_of(script), preset=Preset.CLAUDE)
    assert b"redacted" in shown(house)
    assert SESSION.encode() in shown(house)
    assert seen(shown(house)) == []


async def test_a_token_that_was_handed_out_is_taken_out_of_what_agents_say(
    house: House, script_of: ScriptOf
) -> None:
    token = await house.client.auth.token_for(1, "acme/till", {"contents": "read"})
    house.client.auth.forget(token)
    said = base64.b64encode(f"x:{token}".encode()).decode()
    await attempted(house, script_of(saying(f"It is {said}")))
    assert b"It is " in shown(house)
    assert said[8:-8].encode() not in shown(house)


async def test_what_became_secret_later_does_not_leave_for_github(house: House) -> None:
    """The last line of defence: it had been kept before anybody knew."""
    late = "known-only-after-it-was-kept"
    await house.adopt(a_rule(publish=(REVIEW,)), an_agent())
    await house.settled(an_ending(f"It is {late}."))
    house.secrets.keep([late])
    await house.publish()
    (review,) = house.github.state.reviews
    assert late not in review.body
    assert "It is [redacted]." in review.body
    assert await house.states() == [EffectState.DONE]
