"""What the machine of the promises is set up with: configurations, ends of attempts, and a store
that is made once.
"""

from __future__ import annotations

import asyncio
import itertools
import shutil
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import inf
from pathlib import Path
from typing import Any, TypeVar

from hypothesis import strategies as st

from covend.core.bounds import Budgets, Circuit, CrashLoop, Loop, Rate, Retry, Safeguards
from covend.core.ending import Ending, Result
from covend.core.errors import InvalidResultError
from covend.core.model import Conclusion, EffectKind, Moment, Usage
from covend.core.policy import policy_of
from covend.core.presets.stream import Failure
from covend.core.safeguards.shapes import Terms
from covend.core.settings import Agent, Checkout, Policy, Rule
from covend.core.states import Outcome
from covend.demo.github import StandInGitHub
from covend.edges.github.errors import RateLimited, Unreachable
from covend.services.endings import NO_ANSWER
from covend.store.queries import Query
from covend.telemetry.metrics import Metrics
from tests.services.forge import WAIT_MS, Fate
from tests.services.lives import End

HOUR_S = 3600.0
HOST = "forge"
EXAMPLES, STEPS = 100, 40
ROUNDS_MAX = 150
"""So often everything is let go at the end; far more than anything needs to be done."""
Found = TypeVar("Found")

# --- what is configured ---------------------------------------------------------------------------

PER_SUBJECT = defaultdict(lambda: inf, {"one": 2.5, "review": 4.0})
"""The budgets of an agent and of a rule, which nothing but an operator begins anew."""
RETRY = Retry(attempts=2, infrastructure=1, base_s=20.0, max_s=60.0, age_s=2 * HOUR_S)
ONE = Agent(
    name="one",
    command=("one",),
    fallback=("two",),
    retry=RETRY,
    budgets=Budgets(usd_per_subject=PER_SUBJECT["one"]),
)
TWO = Agent(name="two", command=("two",), retry=RETRY)
ON_PULLS = tuple(f"pull_request.{action}" for action in ("opened", "synchronize", "reopened"))


PUBLISHED: Mapping[str, tuple[EffectKind, ...]] = {
    "review": (EffectKind.CHECK, EffectKind.COMMENT, EffectKind.REVIEW, EffectKind.LABELS),
    "fix": (EffectKind.COMMENT,),
    "gate": (EffectKind.CHECK,),
    "after": (),
}


def policies(debounce_s: float) -> list[Policy]:
    review = Rule(
        name="review",
        on=(*ON_PULLS, "command.review"),
        agent=ONE.name,
        prompt="",
        publish=PUBLISHED["review"],
        debounce_s=debounce_s,
        budgets=Budgets(usd_per_subject=PER_SUBJECT["review"]),
    )
    fix = Rule(
        name="fix",
        on=("command.fix",),
        allow=("admin", "maintain", "write"),
        agent=TWO.name,
        prompt="",
        checkout=Checkout.NONE,
        publish=PUBLISHED["fix"],
        priority=1,
    )
    gate = Rule(
        name="gate",
        on=("checks.passed",),
        agent=ONE.name,
        prompt="",
        publish=PUBLISHED["gate"],
    )
    ends = ("task.completed", "task.failed")
    after = Rule(name="after", on=ends, agent=TWO.name, prompt="")
    return [
        policy_of(review, ONE, [TWO]),
        policy_of(fix, TWO),
        policy_of(gate, ONE, [TWO]),
        policy_of(after, TWO),
    ]


_STRICT = Safeguards(
    rate=(
        Rate(per=("rule", "subject"), max_count=2, window_s=60.0),
        Rate(per=("repository",), max_count=4, window_s=HOUR_S),
        Rate(per=("agent", "actor"), max_count=3, window_s=300.0),
    ),
    loop=Loop(no_progress=3, identical_failures=2),
    crash_loop=CrashLoop(failures=2, window_s=900.0, suppress_s=300.0),
    circuit=Circuit(failures=2, window_s=300.0, open_s=60.0),
)
_LOOSE = Safeguards(
    loop=Loop(no_progress=1000, identical_failures=1000),
    crash_loop=CrashLoop(failures=1000),
    circuit=Circuit(failures=1000),
)
GUARDS: Mapping[str, Safeguards] = {
    "loose": _LOOSE,
    "rates": replace(_LOOSE, rate=_STRICT.rate),
    "loops": replace(_LOOSE, loop=_STRICT.loop, crash_loop=_STRICT.crash_loop),
    "hasty": replace(_STRICT, rate=(), loop=Loop(no_progress=2, identical_failures=1000)),
    "circuits": replace(_LOOSE, circuit=_STRICT.circuit),
    "strict": _STRICT,
}
LIMITS: Sequence[Terms] = (
    Terms(concurrency=4),
    Terms(concurrency=1, usd_per_day=3.0),
    Terms(concurrency=3, agents={"one": 1}, usd_per_repository_per_day=2.0),
    Terms(concurrency=3, per_repository=1),
    Terms(concurrency=3, per_installation=1, agents={"two": 1}),
)

# --- what agents come to --------------------------------------------------------------------------


def _succeeded(
    conclusion: Conclusion, usage: Usage, now: Moment, code: str | None = None
) -> Ending:
    """Succeed with a verdict; at every other second with a review that demands changes."""
    demands = "REQUEST_CHANGES" if now // 1000 % 2 else None
    result = Result(
        conclusion=conclusion,
        summary="I have looked.",
        usage=usage,
        review_event=demands,
        labels=(conclusion.value,),
    )
    return Ending(outcome=Outcome.SUCCEEDED, result=result, error_code=code)


def _failed(code: str, usage: Usage, **more: Any) -> Ending:
    failed = Ending(
        outcome=Outcome.FAILED,
        result=replace(NO_ANSWER, usage=usage),
        error_code=code,
        error_message=f"{code} it is",
    )
    return replace(failed, **more)


ENDS: Mapping[str, Callable[[Usage, int], End]] = {
    "success": lambda usage, now: _succeeded(Conclusion.SUCCESS, usage, now),
    "verdict": lambda usage, now: _succeeded(Conclusion.FAILURE, usage, now),
    "over its budget": lambda usage, now: _succeeded(Conclusion.NEUTRAL, usage, now, "budget"),
    "exit 1": lambda usage, _: _failed("exit_code", usage, exit_code=1),
    "exit 75": lambda usage, _: _failed("try_again", usage, exit_code=75, retryable=True),
    "too late": lambda usage, _: _failed("timed_out", usage, outcome=Outcome.TIMED_OUT),
    "invalid": lambda usage, _: _failed(InvalidResultError.code, usage),
    "overloaded": lambda usage, _: _failed(Failure.OVERLOADED.value, usage),
    "throttled": lambda usage, now: _failed(
        Failure.RATE_LIMITED.value, usage, retry_at=now + WAIT_MS
    ),
    "unreachable": lambda _, now: Unreachable("nobody is there"),
    "rate limited": lambda _, now: RateLimited("too much", retry_at=now + WAIT_MS),
    "a fault": lambda _, now: RuntimeError("covend is wrong"),
}
GOES_WELL = ENDS["success"]

# --- what the steps are made of -------------------------------------------------------------------

VERBS = [
    "review",
    "fix",
    "retry",
    "cancel",
    "status",
    "approve",
    "pause",
    "resume",
    "help",
    "dance",
]
SCOPES = ["all", "rule:review", "agent:one", "repository:acme/till", "drain"]
LEFT = "SELECT 1 FROM effects WHERE state = 'sending'"
FAILED = "SELECT id FROM effects WHERE state = 'failed'"
UNSHOWN = f"""{FAILED} AND NOT EXISTS (
    SELECT 1 FROM effects AS o
    WHERE effects.kind = 'check' AND o.slot = effects.slot AND o.state = 'done'
)"""
"""All but the ends of visible checks: covend shows those by itself."""
MEANT = {
    "cancel": ("received", "queued", "running"),
    "retry": ("failed", "cancelled"),
    "approve": ("received",),
}
MOSTLY = st.sampled_from([True, True, True, False])
DEBOUNCES_S = st.sampled_from([0.0, 0.0, 5.0])
MEANWHILE = st.sampled_from(
    [
        "nothing",
        "pushed",
        "pushed unheard",
        "pushed unheard",
        "opened again",
        "closed",
        "cancelled",
        "lost",
        "asked",
    ]
)
THEN = st.sampled_from(["nothing", "claim", "claim", "serve", "publish", "end"])
PAUSES_S = st.sampled_from([0, 21, 61])
"""Between two ends: what has failed comes again meanwhile, or not."""
LITTLE_S = st.sampled_from([6, 0, 61])
GAPS_S = st.sampled_from([1, 30, 0])
COSTS = st.sampled_from([None, 0.5, 2.0, 2.0])
LOSSES = st.sampled_from(["nothing", "suspended", "nothing", "removed", "nothing", "deleted"])
JUMPS_S = st.sampled_from([0.0, HOUR_S, -HOUR_S])
FATES = st.sampled_from(Fate)
HOWS = st.sampled_from(list(ENDS))
_ALIKE = st.sampled_from(["exit 1", "exit 75", "overloaded", "verdict", "success", "throttled"])
RUNS = st.builds(lambda how, count: [how] * count, _ALIKE, st.integers(2, 5))
"""The same end several times, one after the other: so do safeguards trip."""
TRIPPED = (["verdict"] * 5, ["overloaded"] * 2 + ["success"] * 5)
"""Ends on one pull request that block it, or open a circuit and close it again."""

# --- where it happens -----------------------------------------------------------------------------


@dataclass(kw_only=True)
class Ground:
    """What all machines of a test stand on: the event loop, and what is made only once."""

    folder: Path
    runner: asyncio.Runner
    queries: Mapping[str, Query]
    github: StandInGitHub = field(default_factory=StandInGitHub)
    metrics: Metrics = field(default_factory=lambda: Metrics(repositories_max=10))
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def new_store(self) -> Path:
        """Give a database in a directory of its own, as a first start leaves it."""
        folder = self.folder / str(next(self.numbers))
        folder.mkdir()
        path = folder / "covend.db"
        shutil.copy(self.folder / "first.db", path)
        return path
