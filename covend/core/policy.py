"""The policy a task was routed by, as bytes and back: one rule, its agent and the agents that may
take its place; never a secret, never the rest.

The bytes are canonical JSON (sorted keys, no spaces) and `Policy.sha256` is their digest: the same
settings always have the same policy, and what an older covend stored keeps the digest it was stored
under.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import orjson
from pydantic import BaseModel, ConfigDict, ValidationError

from covend.core.errors import CovendError
from covend.core.settings import Agent, Policy, Rule

_AS_WRITTEN = orjson.OPT_NON_STR_KEYS
_CANONICAL = orjson.OPT_SORT_KEYS


class PolicyError(CovendError):
    """A stored policy cannot be read; a newer covend may have written it."""

    code = "policy"


class _Snapshot(BaseModel):
    """A field that this version does not know is refused: to run without it could be to run without
    a bound.
    """

    model_config = ConfigDict(extra="forbid", defer_build=True)

    rule: Rule
    agent: Agent
    fallbacks: tuple[Agent, ...] = ()


def policy_of(rule: Rule, agent: Agent, fallbacks: Sequence[Agent] = ()) -> Policy:
    """Take the snapshot that tasks of `rule` keep; `agent` is the one that the rule names, and
    `fallbacks` are tried after it, in this order.
    """
    assert rule.agent == agent.name
    return load(_canonical(rule, agent, fallbacks))


def dump(policy: Policy) -> bytes:
    """Write a policy of `policy_of` as the bytes whose SHA-256 it carries.

    One that another agent is at work in (`Policy.by`), or that an older covend stored, has others.
    """
    return _canonical(policy.rule, policy.agent, policy.fallbacks)


def load(data: bytes) -> Policy:
    """Read what `dump` wrote; fields that were not there yet get their defaults.

    Raises `PolicyError` for anything else.
    """
    try:
        snapshot = _Snapshot.model_validate_json(data)
    except ValidationError as error:
        problem = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in problem["loc"])
        raise PolicyError(f"the stored policy cannot be read: {where}: {problem['msg']}") from error
    digest = hashlib.sha256(data).hexdigest()
    return Policy(
        sha256=digest,
        rule=snapshot.rule,
        agent=snapshot.agent,
        fallbacks=snapshot.fallbacks,
    )


def _canonical(rule: Rule, agent: Agent, fallbacks: Sequence[Agent]) -> bytes:
    # Read back once, so that a limit given as 3 and one given as 3.0 are the same policy.
    taken = {"rule": rule, "agent": agent, "fallbacks": tuple(fallbacks)}
    written = orjson.dumps(taken, option=_AS_WRITTEN)
    snapshot = _Snapshot.model_validate_json(written)
    plain = orjson.loads(orjson.dumps(dict(snapshot), option=_AS_WRITTEN))
    return orjson.dumps(plain, option=_CANONICAL)
