"""Covend's own word on a check: what became of its task, where nothing else has shown it, that it
is to be made again, or why it cannot be.
"""

from __future__ import annotations

from covend.core.effects.checks import check_waiting
from covend.core.effects.plan import plan_word
from covend.core.effects.texts import plain
from covend.core.effects.wording import Look, look_of_ended
from covend.core.model import EffectDraft, Task
from covend.core.settings import Policy

WHY_MAX = 300
UNFIT = Look(conclusion="neutral", state="success", icon="⚪", title="Cannot be made again")


def plan_conclusion(task: Task, policy: Policy, *, app: bool) -> tuple[EffectDraft, ...]:
    """Show the end of a task that has ended, in a check that was left in progress."""
    look = look_of_ended(task)
    text = f"{look.title}. This check was left in progress: its end could not be shown in time."
    return plan_word(task, policy, look, text, app=app)


def plan_again(task: Task, policy: Policy, *, app: bool) -> tuple[EffectDraft, ...]:
    """Show that what somebody wants to be made again waits for its turn."""
    return tuple(check_waiting(task, policy, app=app))


def plan_unfit(task: Task, policy: Policy, why: str, *, app: bool) -> tuple[EffectDraft, ...]:
    """Conclude a check that somebody wants to be made again, and that cannot be; say why."""
    text = f"{UNFIT.title}: {plain(why[:WHY_MAX])}"
    return plan_word(task, policy, UNFIT, text, app=app)
