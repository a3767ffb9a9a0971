"""The short answers to commands, in words: what stands here, which verbs there are, why nothing was
done.

Covend's own sentences alone; whatever else stands in them is shown as code, or harmless, so that it
calls nobody and forms nothing. No answer begins with a command.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from covend.core.commanding import BUILT_IN, Verb, newest_of_each
from covend.core.effects.acknowledge import VERB_MAX
from covend.core.effects.texts import code, one_line, plain
from covend.core.model import Moment, Task
from covend.core.states import TaskState
from covend.core.waiting import explain_waiting

ROWS_MAX = 20
VERBS_MAX = 30
NAME_MAX = 100
WHY_MAX = 300
_CENT = 0.01
_MORE = "…"

_HEAD = (
    "| Rule | State | Why | Since (UTC) | Attempts | Cost |",
    "|---|---|---|---|---|---|",
)


def status_text(tasks: Sequence[Task], now: Moment) -> str:
    """Show the newest task of each rule; `tasks` are a subject's, newest first."""
    newest = newest_of_each(tasks)
    if not newest:
        return "Nothing was started here."
    more = [_MORE] if len(newest) > ROWS_MAX else []
    return "\n".join([*_HEAD, *(_row(task, now) for task in newest[:ROWS_MAX]), *more])


def help_text(rule_verbs: Sequence[str]) -> str:
    """List the verbs of covend, then those that rules listen to."""
    lines = [f"- {_usage(each.verb)} {each.promise}" for each in BUILT_IN.values()]
    names = _names(rule_verbs)
    rules = [f"- {names}: what this covend's rules do"] if names else []
    opening = f"The first words of a comment are a command: {code('/covend VERB')}."
    return "\n".join([opening, "", *lines, *rules])


def unknown_text(verb: str, rule_verbs: Sequence[str]) -> str:
    """Say that nobody listens to a verb, and which ones are listened to."""
    shown = code(one_line(verb, VERB_MAX))
    return f"Nobody here listens to {shown}. There are {_names([*rule_verbs, *BUILT_IN])}."


def nothing_text(verb: Verb, rule: str, errors: Iterable[str] = ()) -> str:
    """Say that a command found nothing to act on, or why it could not."""
    of = f" of a rule {code(one_line(rule, NAME_MAX))}" if rule else ""
    why = "".join(f" {plain(one_line(error, WHY_MAX))}" for error in errors)
    return f"Nothing to {verb}{of} here.{why}"


def _usage(verb: Verb) -> str:
    return code(f"{verb} [rule]" if BUILT_IN[verb].takes_rule else verb)


def _names(verbs: Iterable[str]) -> str:
    """Each once: a rule may listen to what covend itself would else."""
    each = list(dict.fromkeys(verbs))
    shown = [code(one_line(verb, NAME_MAX)) for verb in each[:VERBS_MAX]]
    return ", ".join([*shown, *([_MORE] if len(each) > VERBS_MAX else [])])


def _row(task: Task, now: Moment) -> str:
    since = task.updated_at if task.finished_at is None else task.finished_at
    cells = (
        _in_table(code(one_line(task.rule, NAME_MAX))),
        task.state,
        _in_table(_why(task, now)),
        datetime.fromtimestamp(since // 1000, UTC).strftime("%Y-%m-%d %H:%M"),
        str(task.attempts),
        _cost(task.cost_usd),
    )
    return f"| {' | '.join(cells)} |"


def _why(task: Task, now: Moment) -> str:
    """Say why it stands where it does, as far as its state does not tell."""
    match task.state:
        case TaskState.COMPLETED:
            return task.conclusion or ""
        case TaskState.RECEIVED | TaskState.QUEUED | TaskState.RUNNING:
            return plain(explain_waiting(task, now))
        case _:
            return code(one_line(task.reason, WHY_MAX))


def _cost(usd: float | None) -> str:
    if usd is None:
        return ""
    return f"${usd:.2f}" if usd >= _CENT or usd == 0 else "< $0.01"


def _in_table(markdown: str) -> str:
    """A bar ends a cell, also within code: https://github.github.com/gfm/#example-200"""
    return markdown.replace("|", r"\|")
