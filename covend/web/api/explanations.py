"""What would become of a payload, a stored delivery or a live pull request: rule by rule, with
every clause and every gate. Nothing here changes anything.

`GET deliveries/{id}/explain?rule=&live=1`, and `POST explain` with `{"event", "payload"}`,
`{"delivery"}` or `{"pull_request": "OWNER/NAME#N"}`, beside each of them `rule` and `live`. The
answer is `shape`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from math import isinf
from typing import Any

import orjson
from aiohttp import web

from covend.core.errors import NotPermittedError, UserError
from covend.core.rules import facts
from covend.core.rules.explanation import Collision, Explanation, RuleExplanation, Work
from covend.core.rules.gates import Gate
from covend.core.safeguards.budget import UNBOUND_TOKENS
from covend.core.safeguards.shapes import Spent
from covend.web.api import described, schemas, shapes
from covend.web.api.query import Query
from covend.web.api.wishes import read_object
from covend.web.rooms import Rooms
from covend.web.routes import Answer, Route, get, post
from covend.web.visitor import VISITOR

_PULL = re.compile(r"([^#]+)#([1-9][0-9]{0,9})", re.ASCII)
_KINDS = ("payload", "delivery", "pull_request")
_TEXT_OR_NULL = schemas.or_null(schemas.TEXT)
_GATE = schemas.made_of(
    "One gate, in the order in which work meets them.",
    {
        "name": schemas.TEXT,
        "stand": schemas.one_of(("pass", "hold", "refuse", "unknown")),
        "why": schemas.TEXT,
        "until": schemas.or_null(schemas.MOMENT),
        "by": _TEXT_OR_NULL,
    },
)
_RULE = schemas.made_of(
    "What one rule says, and what would come of it.",
    {
        "rule": schemas.TEXT,
        "matched": schemas.or_null(schemas.YES_OR_NO),
        "reason": schemas.TEXT,
        "clauses": schemas.array(schemas.OBJECT),
        "gates": schemas.array(_GATE),
        "work": schemas.or_null(schemas.OBJECT),
        "starts": schemas.YES_OR_NO,
        "end": schemas.TEXT,
    },
)
_ANSWER = Answer(
    about="What would become of it.",
    schema=schemas.made_of(
        "An event, explained.",
        {
            "event": schemas.OBJECT,
            "state": schemas.TEXT,
            "reason": schemas.TEXT,
            "starts": schemas.YES_OR_NO,
            "end": schemas.TEXT,
            "gates": schemas.array(_GATE),
            "rules": schemas.array(_RULE),
            "notes": schemas.array(schemas.TEXT),
        },
    ),
)
_BODY = described.fields(
    event=schemas.about(_TEXT_OR_NULL, "As in X-GitHub-Event; beside payload."),
    payload=schemas.about(schemas.or_null(schemas.OBJECT), "What GitHub would send."),
    delivery=schemas.about(_TEXT_OR_NULL, "The id of a stored delivery."),
    pull_request=schemas.about(_TEXT_OR_NULL, "OWNER/NAME#N, as it is on GitHub now."),
    rule=schemas.about(_TEXT_OR_NULL, "Explain this rule alone."),
    live=schemas.about(schemas.or_null(schemas.YES_OR_NO), "Ask GitHub for what is missing."),
)


class ExplanationsApi:
    """`/api/v1/explain`, and `explain` of a delivery."""

    def __init__(self, rooms: Rooms) -> None:
        """Explain by `rooms.explaining`."""
        self._explaining = rooms.explaining

    def routes(self) -> tuple[Route, ...]:
        """List what is answered here."""
        return (
            get(
                "/api/v1/deliveries/{id}/explain",
                self.of_delivery,
                "explain_delivery",
                summary="What would become of a stored delivery, were it to come in now.",
                parameters=(
                    described.text("rule", "Explain this rule alone."),
                    described.flag("live", "Ask GitHub for what the payload lacks."),
                ),
                answers={200: _ANSWER, 409: described.refusal("It cannot be read any more.")},
            ),
            post(
                "/api/v1/explain",
                self.explain,
                "explain",
                summary="What would become of a payload or a pull request. Changes nothing.",
                body=_BODY,
                answers={
                    200: _ANSWER,
                    404: described.refusal("There is no such delivery or pull request."),
                    409: described.refusal("The delivery cannot be read any more."),
                    502: described.refusal("GitHub does not tell."),
                },
            ),
        )

    async def of_delivery(self, request: web.Request) -> web.Response:
        """Explain a stored one."""
        query = Query(request, "rule", "live")
        if query.flag("live"):
            _require_operator(request)
        explained = await self._explaining.of_delivery(
            request.match_info["id"], rule=query.text("rule"), is_live=query.flag("live")
        )
        return shapes.answer(shape(explained))

    async def explain(self, request: web.Request) -> web.Response:
        """Explain what the body names."""
        Query(request)
        given = await read_object(request)
        known = (*_KINDS, "event", "rule", "live")
        if unknown := given.keys() - set(known):
            there = ", ".join(known)
            raise UserError(f"There is no field {min(unknown)!r} here: there are {there}.")
        if given.get("live") or given.get("pull_request") is not None:
            _require_operator(request)
        return shapes.answer(shape(await self._explained(given)))

    async def _explained(self, given: Mapping[str, object]) -> Explanation:
        named = [kind for kind in _KINDS if given.get(kind) is not None]
        if len(named) != 1:
            raise UserError(f"Give one of {', '.join(_KINDS)}.")
        rule, is_live = _maybe_text(given, "rule"), given.get("live") or False
        if not isinstance(is_live, bool):
            raise UserError("live must be true or false.", name="live")
        match named[0]:
            case "delivery":
                delivery = _maybe_text(given, "delivery") or ""
                return await self._explaining.of_delivery(delivery, rule=rule, is_live=is_live)
            case "pull_request":
                repository, number = read_pull_name(_maybe_text(given, "pull_request") or "")
                return await self._explaining.of_pull(repository, number, rule=rule)
            case _:
                event, payload = _maybe_text(given, "event"), given["payload"]
                if not event or not isinstance(payload, dict):
                    raise UserError("payload must be an object, with the name of its event.")
                body = _dump(payload)
                return await self._explaining.of_payload(event, body, rule=rule, is_live=is_live)


def _require_operator(request: web.Request) -> None:
    """Let whoever may only look spend none of what GitHub lets covend ask."""
    visitor = request[VISITOR]
    if not visitor.may_change:
        raise NotPermittedError(f"The token of {visitor.name} may look, and ask GitHub nothing.")


def read_pull_name(text: str) -> tuple[str, int]:
    """Read `OWNER/NAME#N`; UserError for anything else."""
    found = _PULL.fullmatch(text)
    repository = None if found is None else facts.repository(found[1])
    if found is None or repository is None:
        raise UserError("A pull request is named OWNER/NAME#NUMBER.", name="pull_request")
    return repository, int(found[2])


def _dump(payload: dict[str, object]) -> bytes:
    """Write a payload as GitHub would send it; what is read may be nested deeper than that."""
    try:
        return orjson.dumps(payload)
    except orjson.JSONEncodeError as error:
        raise UserError("payload is nested too deep.", name="payload") from error


def _maybe_text(given: Mapping[str, object], name: str) -> str | None:
    value = given.get(name)
    if value is None or isinstance(value, str):
        return value
    raise UserError(f"{name} must be a text.", name=name)


# --- the shape ------------------------------------------------------------------------------------


def shape(explained: Explanation) -> shapes.Shape:
    """Give an explanation as scripts rely on it."""
    event = explained.event
    return {
        "event": {
            "source": event.source,
            "name": event.full_name,
            "repository": event.repository,
            "sender": event.sender,
            "trust": event.trust,
            "subject": shapes.subject(event.subject),
        },
        "state": explained.state,
        "reason": explained.reason,
        "starts": explained.starts,
        "end": explained.end,
        "gates": [_gate(each) for each in explained.gates],
        "rules": [_rule(each) for each in explained.rules],
        "notes": list(explained.notes),
    }


def _gate(gate: Gate) -> shapes.Shape:
    return {
        "name": gate.name,
        "stand": gate.stand,
        "why": gate.why,
        "until": shapes.moment(gate.until),
        "by": gate.by,
    }


def _rule(rule: RuleExplanation) -> shapes.Shape:
    return {
        **shapes.verdict(rule.verdict),
        "gates": [_gate(each) for each in rule.gates],
        "work": None if rule.work is None else _work(rule.work),
        "starts": rule.starts,
        "end": rule.end,
    }


def _work(work: Work) -> shapes.Shape:
    rule, agent = work.policy.rule, work.policy.agent
    return {
        "key": work.key,
        "meets": None if work.collision is None else _collision(work.collision),
        "trust": work.trust,
        "needs": list(work.needs),
        "policy": work.policy.sha256,
        "agent": agent.name,
        "fallbacks": [each.name for each in work.policy.fallbacks],
        "sandbox": agent.sandbox,
        "user": agent.user,
        "network": agent.network,
        "timeout_s": agent.timeout_s,
        "idle_timeout_s": agent.idle_timeout_s,
        "checkout": rule.checkout,
        "publish": list(rule.publish),
        "priority": work.priority,
        "debounce_s": work.debounce_s,
        "permissions": dict(work.permissions),
        "budget": None if work.is_bounded is None else _budget(work.budget),
    }


def _collision(collision: Collision) -> shapes.Shape:
    return {
        "reason": collision.reason,
        "task": collision.task,
        "state": collision.state,
        "generation": collision.generation,
        "supersedes": list(collision.supersedes),
    }


def _budget(left: Spent | None) -> dict[str, Any]:
    """Give what is left; null is no bound."""
    if left is None:
        return {"usd": None, "tokens": None}
    return {
        "usd": None if isinf(left.usd) else left.usd,
        "tokens": None if left.tokens == UNBOUND_TOKENS else left.tokens,
    }
