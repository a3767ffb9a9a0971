"""Policies: what is dumped is read back, the digest is of the bytes, a difference always shows."""

from __future__ import annotations

import dataclasses
import hashlib

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from covend.core import policy
from covend.core.bounds import RETRIED, Budgets, FailureKind, Retry
from covend.core.model import EffectKind, Trust
from covend.core.settings import (
    Admission,
    Agent,
    AgentLimits,
    Checkout,
    Container,
    Engine,
    Preset,
    Rule,
    Sandbox,
    Terms,
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
BUDGETS = st.builds(
    Budgets,
    usd_per_attempt=st.none() | SECONDS,
    tokens_per_subject=st.none() | st.integers(1, 10**15),
)
TERMS = st.builds(
    Terms,
    admission=st.sampled_from(Admission),
    agent=st.none() | WORD,
    sandbox=st.none() | st.sampled_from(Sandbox),
    budgets=st.none() | BUDGETS,
)
RULES = st.builds(
    Rule,
    name=WORD,
    on=WORDS,
    when=WHENS,
    allow=st.none() | WORDS,
    trust=st.dictionaries(st.sampled_from(Trust), TERMS, max_size=2),
    budgets=BUDGETS,
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
    retry=st.builds(
        Retry,
        attempts=st.integers(1, 9),
        base_s=SECONDS,
        age_s=SECONDS,
        on=st.lists(st.sampled_from(FailureKind), unique=True).map(tuple),
    ),
    budgets=BUDGETS,
    exit_codes=st.dictionaries(
        st.integers(0, 255), st.sampled_from(["retry", "neutral"]), max_size=3
    ),
)

RULE = Rule(name="review", on=("push",), agent="claude", prompt="Look.")
AGENT = Agent(name="claude", command=("claude",), exit_codes={3: "needs_input", 20: "retry"})

BEFORE_TRUST = (
    '{"agent":{"command":["claude"],"concurrency":null,"container":null,"env":[],"exit_codes":{"20"'
    ':"retry","3":"needs_input"},"fallback":[],"grace_s":10.0,"idle_timeout_s":300.0,"limits":'
    '{"cpus":null,"memory_bytes":null,"output_bytes":67108864,"pids":null},"model":null,"name":'
    '"claude","network":true,"preset":"command","readable":[],"retry":{"attempts":3,"base_s":30.0,'
    '"infrastructure":3,"max_s":900.0},"sandbox":"none","stop_signal":"SIGTERM","timeout_s":1800.0,'
    '"user":null},"rule":{"agent":"claude","allow":null,"checkout":"head","debounce_s":0.0,"key":'
    'null,"name":"review","on":["push"],"priority":0,"prompt":"Look.","publish":[],"supersede":true'
    ',"when":{"action":null,"association":null,"author":null,"base":null,"body":null,"conclusion":'
    'null,"draft":null,"event":null,"fork":null,"head":null,"labels":null,"paths":null,"payload":'
    'null,"ref":null,"repository":null,"sender":null,"title":null}}}'
)
"""The policy of `RULE` and `AGENT` as covend stored it when rules knew no trust."""


@given(RULES, AGENTS)
@settings(deadline=None)
def test_a_policy_that_is_dumped_is_read_back_the_same(rule: Rule, agent: Agent) -> None:
    taken = policy.policy_of(rule, agent)
    assert taken.rule == rule
    assert taken.agent == agent
    assert policy.load(policy.dump(taken)) == taken


@given(RULES, AGENTS, st.lists(AGENTS, max_size=3))
@settings(deadline=None)
def test_the_agents_that_may_take_its_place_are_kept_in_their_order(
    rule: Rule, agent: Agent, fallbacks: list[Agent]
) -> None:
    taken = policy.policy_of(rule, agent, fallbacks)
    assert taken.fallbacks == tuple(fallbacks)
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
        ({"trust": {Trust.FORK: Terms(admission=Admission.REFUSE)}}, {}),
        ({"budgets": Budgets(usd_per_attempt=1.0)}, {}),
        ({}, {"budgets": Budgets(tokens_per_subject=1)}),
        ({}, {"retry": Retry(on=(FailureKind.AGENT,))}),
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


def test_another_order_of_fallbacks_is_another_policy() -> None:
    one, other = (dataclasses.replace(AGENT, name=name) for name in ("codex", "last"))
    digests = {
        policy.policy_of(RULE, AGENT, fallbacks).sha256
        for fallbacks in ((), (one,), (one, other), (other, one))
    }
    assert len(digests) == 4


def test_the_order_in_which_trust_is_written_does_not_matter() -> None:
    terms = {Trust.FORK: Terms(sandbox=Sandbox.BUBBLEWRAP), Trust.BOT: Terms()}
    rules = (
        dataclasses.replace(RULE, trust=dict(items))
        for items in (terms.items(), reversed(terms.items()))
    )
    assert len({policy.policy_of(rule, AGENT).sha256 for rule in rules}) == 1


def test_the_policy_of_a_task_goes_on_with_the_agent_at_work_and_those_after_it() -> None:
    one, other = (dataclasses.replace(AGENT, name=name) for name in ("codex", "last"))
    taken = policy.policy_of(RULE, AGENT, (one, other))
    at_work = taken.by("codex")
    assert (at_work.agent, at_work.fallbacks, at_work.sha256) == (one, (other,), taken.sha256)
    assert taken.by("claude") == taken
    with pytest.raises(KeyError):
        at_work.by("claude")


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


def test_a_policy_from_before_trust_and_fallbacks_is_read_as_it_was_stored() -> None:
    data = BEFORE_TRUST.encode()
    taken = policy.load(data)
    assert taken.sha256 == hashlib.sha256(data).hexdigest()
    assert (taken.rule, taken.agent, taken.fallbacks) == (RULE, AGENT, ())
    assert taken.agent.retry.on == RETRIED


@pytest.mark.parametrize("place", ["rule", "agent"])
def test_a_policy_with_a_field_of_a_newer_covend_is_refused(place: str) -> None:
    newer = orjson.loads(policy.dump(policy.policy_of(RULE, AGENT)))
    newer[place]["mercy"] = False
    with pytest.raises(policy.PolicyError, match=f"{place}.mercy"):
        policy.load(orjson.dumps(newer))


@pytest.mark.parametrize("place", ["fallbacks", "trust"])
def test_a_bound_of_a_newer_covend_is_refused_wherever_it_stands(place: str) -> None:
    rule = dataclasses.replace(RULE, trust={Trust.FORK: Terms()})
    newer = orjson.loads(policy.dump(policy.policy_of(rule, AGENT, (AGENT,))))
    held = newer["rule"]["trust"]["fork"] if place == "trust" else newer["fallbacks"][0]
    held["mercy"] = False
    with pytest.raises(policy.PolicyError, match=r"mercy"):
        policy.load(orjson.dumps(newer))


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b"\xff"])
def test_what_is_no_policy_is_refused(data: bytes) -> None:
    with pytest.raises(policy.PolicyError, match="cannot be read"):
        policy.load(data)
