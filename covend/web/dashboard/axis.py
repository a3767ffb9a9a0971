"""A task on one axis of time: what lasted how long, from its delivery to its last effect."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from covend.core.model import Moment
from covend.core.states import OPEN_TASK, EffectState
from covend.store.protocol import TaskStory

SPANS_MAX = 60
_OPEN_EFFECT = frozenset({EffectState.PENDING, EffectState.SENDING, EffectState.UNKNOWN})


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """Something that lasts, or lasted; a mere moment begins and ends at once."""

    what: str
    kind: str
    """A state or an outcome, which gives it its colour."""
    note: str
    begin: Moment
    end: Moment
    is_open: bool = False

    @property
    def seconds(self) -> float:
        """Give how long it lasted."""
        return max(0, self.end - self.begin) / 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """Spans in the order of their beginnings."""

    begin: Moment
    end: Moment
    spans: tuple[Span, ...]
    left_out: int = 0

    def place(self, at: Moment) -> float:
        """Give where a moment lies, 0 to 1."""
        whole = max(1, self.end - self.begin)
        return min(1.0, max(0.0, (at - self.begin) / whole))

    @property
    def seconds(self) -> float:
        """Give how long it all lasted."""
        return (self.end - self.begin) / 1000


def axis_of(story: TaskStory, received_at: Moment | None, now: Moment) -> Axis:
    """Lay out a story; what is open reaches to `now`."""
    spans = sorted(_spans(story, received_at, now), key=lambda span: (span.begin, span.end))
    shown = spans[:SPANS_MAX]
    return Axis(
        begin=min((span.begin for span in spans), default=now),
        end=max((span.end for span in spans), default=now),
        spans=tuple(shown),
        left_out=len(spans) - len(shown),
    )


def _spans(story: TaskStory, received_at: Moment | None, now: Moment) -> Iterator[Span]:
    if received_at is not None:
        yield Span(what="delivery", kind="delivery", note="", begin=received_at, end=received_at)
    yield from _states(story, now)
    for attempt in story.attempts:
        is_open = attempt.ended_at is None
        yield Span(
            what=f"attempt {attempt.number}",
            kind=attempt.outcome or "running",
            note=attempt.agent,
            begin=attempt.started_at,
            end=attempt.ended_at or now,
            is_open=is_open,
        )
    for effect in story.effects:
        is_open = effect.state in _OPEN_EFFECT
        yield Span(
            what=effect.kind,
            kind=effect.state,
            note=effect.target,
            begin=effect.created_at,
            end=effect.done_at or (now if is_open else effect.created_at),
            is_open=is_open,
        )


def _states(story: TaskStory, now: Moment) -> Iterator[Span]:
    """Each state lasts until the next one; one in which a task has ended is a moment."""
    moves = story.timeline
    for place, move in enumerate(moves):
        is_last = place + 1 == len(moves)
        is_open = is_last and move.target in OPEN_TASK
        end = now if is_open else move.at if is_last else moves[place + 1].at
        yield Span(
            what=move.target,
            kind=move.target,
            note=move.reason,
            begin=move.at,
            end=end,
            is_open=is_open,
        )
