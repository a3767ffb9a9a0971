from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from covend.core.commanding import Verb
from covend.core.effects.replies import (
    ROWS_MAX,
    VERBS_MAX,
    help_text,
    nothing_text,
    status_text,
    unknown_text,
)
from covend.core.effects.texts import plain
from covend.core.model import Conclusion
from covend.core.rules.commands import read_command
from covend.core.safeguards.shapes import FOREVER, Waiting
from covend.core.states import TaskState
from tests.core.effects.effect_samples import NOON, task

HOSTILE = "| @mara <!-- covend:v1 [x](http://y) *z* `"
HEAD = 2
"""Lines of a table above its first row."""


def cells(text: str, row: int = 0) -> list[str]:
    line = text.splitlines()[HEAD + row].replace(r"\|", "")
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_status_shows_the_newest_of_each_rule() -> None:
    done = task(
        state=TaskState.COMPLETED,
        conclusion=Conclusion.FAILURE,
        finished_at=NOON + 60_000,
        attempts=2,
        cost_usd=0.123,
    )
    text = status_text([done, task(state=TaskState.FAILED), task(rule="fix")], NOON)
    assert cells(text) == ["`review`", "completed", "failure", "2026-11-21 12:01", "2", "$0.12"]
    assert cells(text, 1)[:2] == ["`fix`", "running"]
    assert len(text.splitlines()) == HEAD + 2


def test_status_says_in_words_why_something_waits() -> None:
    waits = task(state=TaskState.QUEUED, reason=Waiting.RATE_LIMITED, not_before_at=NOON + 90_000)
    why = cells(status_text([waits], NOON))[2]
    assert "rate_limited" not in why
    assert "in 1 min 30 s" in why


def test_no_moment_stands_where_nobody_knows_one() -> None:
    waits = task(state=TaskState.QUEUED, reason=Waiting.PAUSED, not_before_at=FOREVER)
    assert "9999" not in status_text([waits], NOON)


def test_status_of_nothing_says_so() -> None:
    assert status_text([], NOON) == "Nothing was started here."


def test_a_status_of_many_rules_is_cut() -> None:
    tasks = [task(rule=f"rule-{number}") for number in range(ROWS_MAX + 1)]
    *rows, last = status_text(tasks, NOON).splitlines()
    assert (len(rows), last) == (HEAD + ROWS_MAX, "…")


@pytest.mark.parametrize("state", [TaskState.CANCELLED, TaskState.QUEUED, TaskState.RECEIVED])
def test_what_others_have_written_breaks_no_table_and_calls_nobody(state: TaskState) -> None:
    told = task(state=state, reason=HOSTILE, rule="a|b", not_before_at=NOON + 1)
    text = status_text([told], NOON)
    assert len(text.splitlines()) == HEAD + 1
    assert len(cells(text)) == 6
    outside_code = "".join(text.split("`")[::2]) if state is not TaskState.CANCELLED else ""
    assert "@mara" not in outside_code


def test_help_names_every_verb_of_covend_and_of_its_rules() -> None:
    text = help_text(["review", "fix"])
    assert all(f"`{verb}" in text for verb in Verb)
    assert "`review`, `fix`" in text
    assert "`retry [rule]`" in text


def test_help_without_rules_says_nothing_of_them() -> None:
    assert "rules" not in help_text([])


def test_an_unknown_verb_is_shown_as_code_and_cut() -> None:
    text = unknown_text("x" * 40, ["review"])
    assert f"`{'x' * 31}…`" in text
    assert "`review`, `status`" in text
    assert "\n" not in text


def test_a_verb_of_covend_that_a_rule_listens_to_is_named_once() -> None:
    assert unknown_text("x", ["status"]).count("`status`") == 1


def test_verbs_without_end_are_cut() -> None:
    text = unknown_text("x", [f"verb-{number}" for number in range(VERBS_MAX)])
    assert text.endswith(", ….")


def test_nothing_to_do_says_of_which_rule_and_why() -> None:
    assert nothing_text(Verb.RETRY, "") == "Nothing to retry here."
    text = nothing_text(Verb.RETRY, "@mara", ["Task x keeps moving: try again."])
    assert text == "Nothing to retry of a rule `@mara` here. Task x keeps moving: try again."


@given(st.text(), st.text())
def test_no_answer_is_a_command(name: str, error: str) -> None:
    for text in (
        unknown_text(name, [name]),
        nothing_text(Verb.CANCEL, name, [error]),
        help_text([name]),
        status_text([task(rule=name, reason=error)], NOON),
        status_text([], NOON),
    ):
        assert read_command(text, "covend") is None


@given(st.text())
def test_a_plain_sentence_is_one_line_without_a_call(text: str) -> None:
    shown = plain(text)
    assert len(shown.splitlines()) <= 1
    if "`" not in text:
        assert "@" not in shown.replace("@\u200b", "")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("say `covend resume` now", "say `covend resume` now"),
        ("`@mara` and @mara", "`@mara` and @\u200bmara"),
        ("a ` alone", r"a \` alone"),
        ("three `a` and `b", r"three `a` and \`b"),
        ("*x* <b> [y](z) a_b", r"\*x\* \<b\> \[y\](z) a\_b"),
        ("one\ntwo", "one two"),
        ("", ""),
    ],
)
def test_a_plain_sentence_has_no_markup_but_code(text: str, shown: str) -> None:
    assert plain(text) == shown
