from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from covend.core.intake import Accepted, Refused, check_head, fold, read, reopen
from covend.core.model import Event
from covend.core.rules.record import dump_verdicts, load_verdicts
from covend.core.rules.routing import judge_again
from covend.core.rules.verdicts import Known
from covend.core.settings import When
from covend.core.sources.github_event import read_event
from covend.core.states import DeliveryState
from tests.core.github_samples import SECRET, envelope, headers, recorded, router, rule

ANY = ("*",)
EVERY_CLAUSE = When(
    repository=("**",),
    base=("!x",),
    head=("!x",),
    author=("!x",),
    sender=("!x",),
    association=("!x",),
    labels=("!x",),
    paths=("!x",),
    title=("!x",),
    body=("!x",),
    event=ANY,
    action=("!x",),
    conclusion=("!x",),
    ref=("!x",),
    payload={"pull_request.labels.name": ("!x",), "sender.login": ("!x",)},
)
RULES = (
    rule("review", "pull_request", "check_suite.completed"),
    rule("drafts", "pull_request", when=When(draft=False, fork=False)),
    rule("triage", "issues", "issue_comment", key="{{ repository }} {{ number }} {{ labels }}"),
    rule("fix", "command", allow=("write",)),
    rule("build", "push", "workflow_run", "release", when=When(ref=("main", "0.*"))),
    rule("all", "*", when=EVERY_CLAUSE, allow=("admin",), key="{{ title }}{{ author }}"),
)
ROUTER = router(*RULES)
ALL_KNOWN = Known(
    paths=("a",), head_sha="a" * 40, base_ref="main", draft=False, fork=False, permission="admin"
)


def test_every_recorded_payload_is_accepted_and_routed(shared: Path) -> None:
    states = []
    for name, body in recorded(shared):
        accepted = read(fold(headers(body, event=name)), body, [SECRET], "covend")
        assert isinstance(accepted, Accepted)
        assert accepted.event.payload == json.loads(body)
        routed = ROUTER.route(accepted.event)
        assert len(routed.verdicts) == len(RULES)
        assert load_verdicts(dump_verdicts(routed.verdicts)) == routed.verdicts
        assert routed.reason
        states.append(routed.state)
    assert set(states) == {DeliveryState.ROUTED, DeliveryState.IGNORED}


def test_a_refusal_is_handed_on() -> None:
    refused = read(fold(headers(b"{}", x_hub_signature_256=None)), b"{}", [SECRET], None)
    assert isinstance(refused, Refused)
    assert refused.status == 401
    assert check_head(fold(headers(b"{}", content_type="text/plain"))) is not None
    unreadable = reopen(fold(headers(b"[")), b"[", None)
    assert isinstance(unreadable, Refused)
    assert unreadable.status == 400


def test_what_was_stored_is_read_again_as_it_was(shared: Path) -> None:
    for name, body in recorded(shared):
        accepted = read(fold(headers(body, event=name)), body, [SECRET], "covend")
        assert isinstance(accepted, Accepted)
        kept = list(accepted.envelope.headers.items())
        assert reopen(fold(kept), accepted.envelope.body, "covend") == accepted


# --- no shape of a payload may break anything -----------------------------------------------------

NUMBERS = st.integers() | st.integers(1 << 63, 1 << 70) | st.floats()
TEXTS = st.text(st.characters(exclude_categories=()), max_size=20) | st.sampled_from(
    ["\0", "\ud800", "/covend fix\0", "@covend fix \ud83d", "created", "Bot", "a/b", "a" * 40]
)
JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)


def places(value: object, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place in a JSON value, outer ones first."""
    listed: dict[Any, Any] = dict(enumerate(value)) if isinstance(value, list) else {}
    for key, one in (value if isinstance(value, dict) else listed).items():
        yield (*path, key)
        yield from places(one, (*path, key))


def put(payload: dict[str, Any], path: tuple[Any, ...], value: object) -> None:
    """Replace what lies at a place, unless something above it was replaced before."""
    holder: Any = payload
    for key in path[:-1]:
        try:
            holder = holder[key]
        except (KeyError, IndexError, TypeError):
            return
    if isinstance(holder, dict) or (isinstance(holder, list) and path[-1] in range(len(holder))):
        holder[path[-1]] = value


def leaves(value: object) -> Iterator[object]:
    """All typed values of a record; the payload is raw by its nature."""
    if is_dataclass(value):
        for field in fields(value):
            if field.name != "payload":
                yield from leaves(getattr(value, field.name))
    elif isinstance(value, tuple | frozenset):
        for one in value:
            yield from leaves(one)
    else:
        yield value


def assert_storable(value: object) -> None:
    for leaf in leaves(value):
        if isinstance(leaf, str):
            leaf.encode()
            assert "\0" not in leaf
        elif isinstance(leaf, int):
            assert -(1 << 63) <= leaf < 1 << 63


def go_through(name: str, payload: Any) -> Event:
    event = read_event(envelope(name, payload), "covend")
    assert_storable(event)
    for known in (Known(), ALL_KNOWN):
        routed = ROUTER.route(event, known)
        assert_storable(routed)
        assert load_verdicts(dump_verdicts(routed.verdicts)) == routed.verdicts
    judge_again(RULES[-1], event, ALL_KNOWN)
    return event


@pytest.fixture(scope="module")
def originals(shared: Path) -> list[tuple[str, Any, list[tuple[Any, ...]]]]:
    """Every recorded payload with its event's name and the places where a fault can be put."""
    parsed = [(name, json.loads(body)) for name, body in recorded(shared)]
    return [(name, payload, list(places(payload))) for name, payload in parsed]


@settings(
    max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.data())
def test_no_mutation_of_a_payload_raises(
    originals: list[tuple[str, Any, list[tuple[Any, ...]]]], data: st.DataObject
) -> None:
    name, original, known_places = data.draw(st.sampled_from(originals))
    # Outer places first: most of the thousands of inner ones are of no interest to anyone.
    payload, outer = copy.deepcopy(original), [one for one in known_places if len(one) < 4]
    for _ in range(data.draw(st.integers(1, 5))):
        put(payload, data.draw(st.sampled_from(outer)), data.draw(JSON))
    go_through(name, payload)


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from(["pull_request", "issue_comment", "push", "check_run", "release", "odd"]),
    JSON | st.dictionaries(st.sampled_from(["pull_request", "sender", "commits"]), JSON),
)
def test_no_payload_at_all_raises(name: str, payload: Any) -> None:
    go_through(name, payload)
