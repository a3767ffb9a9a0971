"""Policies: what is dumped is read back, the digest is of the bytes, a difference always shows."""

from __future__ import annotations

import dataclasses
import hashlib

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from covend.core import policy
from covend.core.model import EffectKind
from covend.core.settings import (
    Agent,
    AgentLimits,
    Checkout,
    Container,
    Engine,
    Preset,
    Retry,
    Rule,
    Sandbox,
    When,
)

WORD = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8)
WORDS = st.lists(WORD, max_size=3).map(tuple)
SECONDS = st.integers(0, 10**9).map(lambda milliseconds: milliseconds / 1000)
WHENS = st.builds(
    When,
    repository=st.none() | WORDS,
    labels=st.none() | WORDS,
    draft=st.none() | st.booleans(),
    payload=st.none() | st.dictionaries(WORD, WORDS, max_size=2),
)
RULES = st.builds(
    Rule,
    name=WORD,
    on=WORDS,
    when=WHENS,
    allow=st.none() | WORDS,
    agent=st.just("claude"),
    prompt=WORD,
    checkout=st.sampled_from(Checkout),
    publish=st.lists(st.sampled_from(EffectKind), unique=True).map(tuple),
    key=st.none() | WORD,
    supersede=st.booleans(),
    debounce_s=SECONDS,
    priority=st.integers(-100, 100),
)
AGENTS = st.builds(
    Agent,
    name=st.just("claude"),
    preset=st.sampled_from(Preset),
    command=st.lists(WORD, min_size=1, max_size=3).map(tuple),
    timeout_s=SECONDS,
    limits=st.builds(
        AgentLimits, memory_bytes=st.none() | st.integers(1, 1 << 40), cpus=st.none() | SECONDS
    ),
    sandbox=st.sampled_from(Sandbox),
    container=st.none()
    | st.builds(Container, image=WORD, engine=st.none() | st.sampled_from(Engine)),
    readable=st.lists(WORD, max_size=2).map(tuple),
    retry=st.builds(Retry, attempts=st.integers(1, 9), base_s=SECONDS),
    exit_codes=st.dictionaries(
        st.integers(0, 255), st.sampled_from(["retry", "neutral"]), max_size=3
    ),
)

RULE = Rule(name="review", on=("push",), agent="claude", prompt="Look.")
AGENT = Agent(name="claude", command=("claude",), exit_codes={3: "needs_input", 20: "retry"})


@given(RULES, AGENTS)
@settings(deadline=None)
def test_a_policy_that_is_dumped_is_read_back_the_same(rule: Rule, agent: Agent) -> None:
    taken = policy.policy_of(rule, agent)
    assert taken.rule == rule
    assert taken.agent == agent
    assert policy.load(policy.dump(taken)) == taken


def test_the_digest_is_that_of_the_dumped_bytes() -> None:
    taken = policy.policy_of(RULE, AGENT)
    assert taken.sha256 == hashlib.sha256(policy.dump(taken)).hexdigest()


def test_the_bytes_are_json_with_sorted_keys() -> None:
    data = policy.dump(policy.policy_of(RULE, AGENT))
    assert data == orjson.dumps(orjson.loads(data), option=orjson.OPT_SORT_KEYS)


@pytest.mark.parametrize(
    ("rule", "agent"),
    [
        ({"prompt": "Look twice."}, {}),
        ({"when": When(draft=False)}, {}),
        ({"priority": 1}, {}),
        ({}, {"timeout_s": 1.5}),
        ({}, {"retry": Retry(attempts=1)}),
        ({}, {"exit_codes": {3: "retry", 20: "retry"}}),
    ],
)
def test_another_setting_is_another_policy(
    rule: dict[str, object], agent: dict[str, object]
) -> None:
    other = policy.policy_of(
        dataclasses.replace(RULE, **rule),  # type: ignore[arg-type]
        dataclasses.replace(AGENT, **agent),  # type: ignore[arg-type]
    )
    assert other.sha256 != policy.policy_of(RULE, AGENT).sha256


def test_a_limit_of_3_and_one_of_3_0_seconds_are_the_same_policy() -> None:
    whole = dataclasses.replace(AGENT, timeout_s=3)
    fraction = dataclasses.replace(AGENT, timeout_s=3.0)
    assert policy.policy_of(RULE, whole) == policy.policy_of(RULE, fraction)


def test_a_policy_from_before_a_field_existed_gets_its_default_and_keeps_its_digest() -> None:
    older = orjson.loads(policy.dump(policy.policy_of(RULE, AGENT)))
    del older["agent"]["network"]
    data = orjson.dumps(older)
    taken = policy.load(data)
    assert taken.agent == AGENT
    assert taken.sha256 == hashlib.sha256(data).hexdigest()


@pytest.mark.parametrize("place", ["rule", "agent"])
def test_a_policy_with_a_field_of_a_newer_covend_is_refused(place: str) -> None:
    newer = orjson.loads(policy.dump(policy.policy_of(RULE, AGENT)))
    newer[place]["mercy"] = False
    with pytest.raises(policy.PolicyError, match=f"{place}.mercy"):
        policy.load(orjson.dumps(newer))


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b"\xff"])
def test_what_is_no_policy_is_refused(data: bytes) -> None:
    with pytest.raises(policy.PolicyError, match="cannot be read"):
        policy.load(data)
