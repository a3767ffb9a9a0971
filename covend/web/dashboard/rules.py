"""Rules: those in force with what they brought about, and what they would say of a payload that
somebody pastes: it starts nothing and keeps nothing.
"""

from __future__ import annotations

from dataclasses import fields

from aiohttp import web

from covend.core.errors import CovendError, StoreError, UserError
from covend.core.insight import RuleFigures
from covend.core.rules.explanation import Explanation
from covend.core.settings import Rule, When
from covend.web.api.query import Query
from covend.web.dashboard.pages import render
from covend.web.dashboard.saying import SAID
from covend.web.dashboard.windows import USUAL, WINDOWS, window_of
from covend.web.rooms import Rooms
from covend.web.routes import Route, get, post

EVENT_MAX = 100
EVENTS = (
    "pull_request",
    "issue_comment",
    "issues",
    "pull_request_review",
    "push",
    "check_suite",
    "release",
)
"""What people mostly ask about; any other may be written."""


class RulesPage:
    """`/rules`."""

    def __init__(self, rooms: Rooms) -> None:
        """Look into `rooms`."""
        self._rooms = rooms

    def routes(self) -> tuple[Route, ...]:
        """List what is answered here; to explain changes nothing."""
        return (
            get("/rules", self.page, "rules_page", is_page=True),
            post("/rules/explain", self.explain, "explain_page", is_page=True),
        )

    async def page(self, request: web.Request) -> web.Response:
        """Show the rules in force."""
        window = window_of(Query(request, "window", SAID))
        return await self._show(request, window=window)

    async def explain(self, request: web.Request) -> web.Response:
        """Show what would become of a payload, below the rules."""
        form = await request.post()
        event, payload = (str(form.get(name, "")).strip() for name in ("event", "payload"))
        explanation, fault = None, ""
        try:
            explanation = await self._explained(event, payload)
        except StoreError:
            raise
        except CovendError as error:
            fault = str(error)
        return await self._show(
            request,
            event=event[:EVENT_MAX],
            payload=payload,
            explanation=explanation,
            fault=fault,
        )

    async def _explained(self, event: str, payload: str) -> Explanation:
        name, _, action = event.partition(".")
        if not name or len(event) > EVENT_MAX:
            raise UserError("Which event is it? Its name is in the header X-GitHub-Event.")
        if not payload:
            raise UserError("Paste the payload: the JSON object that came as the body.")
        if action:
            raise UserError(f"Write {name}: the action stands in the payload.")
        return await self._rooms.explaining.of_payload(name, payload.encode())

    async def _show(
        self,
        request: web.Request,
        *,
        window: str = USUAL,
        event: str = EVENTS[0],
        payload: str = "",
        explanation: Explanation | None = None,
        fault: str = "",
    ) -> web.Response:
        now = self._rooms.clock.now()
        figures = {
            each.rule: each for each in await self._rooms.insight.rules(now, WINDOWS[window])
        }
        rules = self._rooms.rules()
        return await render(
            request,
            "rules.html",
            status=400 if fault else 200,
            items=[(rule, figures.get(rule.name) or _nothing(rule.name)) for rule in rules],
            clauses_of=clauses_of,
            window=window,
            windows=tuple(WINDOWS),
            event=event,
            events=EVENTS,
            payload=payload,
            explanation=explanation,
            fault=fault,
        )


def clauses_of(rule: Rule) -> list[tuple[str, str]]:
    """Write what a rule's `when` asks, clause by clause, as it stands in the configuration."""
    given = ((each.name, getattr(rule.when, each.name)) for each in fields(When))
    return [(name, _written(value)) for name, value in given if value is not None]


def _written(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return ", ".join(str(each) for each in value)
    assert isinstance(value, dict)
    return "; ".join(f"{path} = {', '.join(wanted)}" for path, wanted in value.items())


def _nothing(rule: str) -> RuleFigures:
    return RuleFigures(rule=rule, tasks={}, last_hit_at=None, refusals={}, first_effect_s=None)
