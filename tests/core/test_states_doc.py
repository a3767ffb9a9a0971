from __future__ import annotations

from covend.core.states import EFFECT_MOVES, TASK_MOVES
from docs import make_states


def test_the_page_of_states_is_what_the_tables_say() -> None:
    written = make_states.PAGE.read_text(encoding="utf-8")
    assert written == make_states.render(), "run .venv/bin/python docs/make_states.py"


def test_the_page_shows_every_move_of_tasks_and_effects() -> None:
    page = make_states.render()
    for one, two in (*TASK_MOVES, *EFFECT_MOVES):
        assert f"    {one} --> {two}: " in page
        assert f"| `{one}` | `{two}` | " in page
