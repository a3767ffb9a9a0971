"""The description of the API is valid, tells of every route, and of every shape as it is made."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import orjson
import pytest
from openapi_schema_validator import OAS31Validator, oas31_format_checker

from covend.core.audit import AuditRow, Way, Wish
from covend.core.installing import InstallationState
from covend.core.model import DeliveryId, Need
from covend.core.rules.verdicts import ClauseResult, Verdict
from covend.core.safeguards.shapes import Safeguard, SafeguardKind
from covend.core.states import DeliveryState
from covend.edges.agents.output import Line, Stream
from covend.services.looks import Look, LookState, Stopped
from covend.services.replaying import Replayed
from covend.store.protocol import Accepted, Attended, Foreseen, Installation, Meeting
from covend.web.api import deliveries, installations, reconciling, shapes
from covend.web.api.schemas import SCHEMAS
from covend.web.openapi import answers
from covend.web.routes import TABLE
from tests.store.arrivals import NOW
from tests.web.desk import Desk

OTHER_MEDIA = {"/metrics", "/api/v1/events"}
"""Their answers are text, and events: JSON Schemas have no word for either."""


async def description(desk: Desk) -> Any:
    answer = await desk.ask("/openapi.json")
    assert answer.status == 200
    return answer.data


def fitting(document: Any, name: str) -> Any:
    """What holds something against a noun; a member that it does not name is a fault here."""
    closed = {
        each: {**schema, "additionalProperties": False}
        for each, schema in document["components"]["schemas"].items()
    }
    schema = {"$ref": f"#/components/schemas/{name}", "components": {"schemas": closed}}
    return OAS31Validator(schema, format_checker=oas31_format_checker)


# --- the document ---------------------------------------------------------------------------------


async def test_every_route_of_the_api_is_described_with_its_answers(desk: Desk) -> None:
    paths = (await description(desk))["paths"]
    for route in desk.app[TABLE].values():
        if route.is_page:
            continue
        assert route.summary, route.name
        path = route.path.replace(":.+}", "}")
        told = paths[path][route.method.lower()]
        assert told["operationId"] == route.name
        assert min(map(int, told["responses"])) < 300
        assert {"401", "403", "405", "421", "503"} <= told["responses"].keys()


async def test_no_page_for_people_is_described(desk: Desk) -> None:
    paths = (await description(desk))["paths"]
    pages = {route.path for route in desk.app[TABLE].values() if route.is_page}
    assert not pages & paths.keys()


async def test_every_schema_is_one_and_points_to_what_is_there(desk: Desk) -> None:
    document = await description(desk)
    assert document["openapi"].startswith("3.1.")

    def walk(part: Any) -> None:
        match part:
            case {"$ref": str(to)}:
                kind, _, name = to.removeprefix("#/components/").partition("/")
                assert name in document["components"][kind]
            case {"schema": dict(schema)}:
                OAS31Validator.check_schema(schema)
        for each in part.values() if isinstance(part, dict) else part:
            if isinstance(each, dict | list):
                walk(each)

    walk(document)
    for schema in document["components"]["schemas"].values():
        OAS31Validator.check_schema(schema)


async def test_every_part_of_a_path_is_a_parameter_and_each_name_stands_once(desk: Desk) -> None:
    document = await description(desk)
    names = [each["operationId"] for path in document["paths"].values() for each in path.values()]
    assert len(names) == len(set(names))
    for path, operations in document["paths"].items():
        for operation in operations.values():
            places = [(each["in"], each["name"]) for each in operation["parameters"]]
            assert len(places) == len(set(places))
            assert {f"{{{name}}}" for place, name in places if place == "path"} == {
                part for part in path.split("/") if part.startswith("{")
            }


async def test_what_changes_something_may_meet_a_token_that_may_not(desk: Desk) -> None:
    for route in desk.app[TABLE].values():
        if route.verb and not route.is_page:
            assert 403 in answers(route)
            assert route.body is not None, route.name


async def test_an_error_has_the_form_that_is_described(desk: Desk) -> None:
    problem = fitting(await description(desk), "Problem")
    for path in ("tasks/none", "tasks?state=no", "no/such"):
        problem.validate((await desk.ask(f"/api/v1/{path}")).data)
    problem.validate((await desk.ask("/api/v1/tasks", headers={})).data)


# --- what is told ---------------------------------------------------------------------------------


async def test_what_lists_and_single_things_tell_fits(desk: Desk) -> None:
    task = await desk.arrive()
    await desk.complete(await desk.claim())
    await desk.arrive()
    await desk.ask("/api/v1/pause", "POST", body=b'{"reason": "deploy"}')
    document = await description(desk)
    told = await desk.get(f"tasks/{task}")
    fitting(document, "WholeTask").validate(told)
    fitting(document, "WholeDelivery").validate(await desk.get(f"deliveries/{told['delivery']}"))
    fitting(document, "Stats").validate(await desk.get("stats"))
    for path, name in (
        ("tasks", "Task"),
        (f"tasks/{task}/attempts", "Attempt"),
        ("deliveries", "Delivery"),
        ("effects", "Effect"),
        ("safeguards", "Safeguard"),
        ("audit", "Audit"),
    ):
        items = (await desk.get(path))["items"]
        assert items, path
        for item in items:
            fitting(document, name).validate(item)


GUARD = Safeguard(
    id="circuit/agent:claude",
    kind=SafeguardKind.CIRCUIT,
    scope="agent:claude",
    state="open",
    reason="network",
    until=NOW,
    values={"failures": [1]},
)
WISH = Wish(
    who="operator",
    way=Way.API,
    address="127.0.0.1",
    client=None,
    verb="cancel",
    target="t",
    details='{"reason": "no"}',
)
ROW = AuditRow(number=1, at=NOW, wish=WISH, outcome="ok", ended_at=NOW)
HERE = Installation(
    id=1,
    account="acme",
    state=InstallationState.ACTIVE,
    permissions={"checks": "write"},
    events=("push",),
    repositories_count=0,
    created_at=NOW,
    updated_at=NOW,
    forget_at=None,
)
LOOK = Look(number=1, since=None, is_asked=True, state=LookState.ENDED)
STOPPED = replace(LOOK, stopped=Stopped(code="github", message="no", retry_at=NOW))
VERDICT = Verdict(
    rule="review",
    matched=None,
    reason="paths",
    clauses=(ClauseResult(name="paths", satisfied=None, need=Need.PATHS),),
)
FORESEEN = Foreseen(
    state=DeliveryState.ROUTED,
    reason="matched",
    meetings=(Meeting(rule="review", key="k", reason="new", task=None, generation=1),),
    has_room=True,
)
ACCEPTED = Accepted(
    delivery=DeliveryId("d"),
    state=DeliveryState.ROUTED,
    reason="matched",
    tasks=(),
    duplicate=False,
)
DRY = Replayed(delivery=DeliveryId("d"), verdicts=(VERDICT,), came_to=FORESEEN)
MEETING = Meeting(rule="review", key="k", reason="new", task=None, generation=1)


@pytest.mark.parametrize(
    ("shape", "record", "name"),
    [
        (shapes.safeguard, GUARD, "Safeguard"),
        (shapes.wish, ROW, "Audit"),
        (shapes.wish, replace(ROW, wish=replace(WISH, details='{"cut…')), "Audit"),
        (shapes.attended, Attended(verb="retry", state="done", reason="done"), "Command"),
        (shapes.meeting, MEETING, "Meeting"),
        (deliveries._replayed, DRY, "Replay"),  # noqa: SLF001
        (deliveries._replayed, replace(DRY, came_to=ACCEPTED), "Replay"),  # noqa: SLF001
        (shapes.line, Line(NOW, Stream.OUT, "x", 2), "Line"),
        (installations._shape, HERE, "Installation"),  # noqa: SLF001
        (reconciling._look, LOOK, "Look"),  # noqa: SLF001
        (reconciling._look, STOPPED, "Look"),  # noqa: SLF001
    ],
    ids=[
        "guard",
        "audit",
        "cut",
        "command",
        "meeting",
        "dry",
        "replay",
        "line",
        "installation",
        "look",
        "stopped",
    ],
)
async def test_a_shape_fits_its_schema(
    desk: Desk, shape: Callable[[object], Mapping[str, object]], record: object, name: str
) -> None:
    told = orjson.loads(shapes.answer(shape(record)).body)  # type: ignore[arg-type]
    fitting(await description(desk), name).validate(told)


def test_a_schema_that_misses_a_member_is_found() -> None:
    schema = {**SCHEMAS["Command"], "additionalProperties": False}
    assert not OAS31Validator(schema).is_valid({"verb": "retry", "state": "done"})


async def test_the_description_is_made_at_once(desk: Desk) -> None:
    async with asyncio.timeout(2):
        assert len((await description(desk))["paths"]) > 20
