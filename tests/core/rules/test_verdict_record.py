from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from covend.core.model import Need
from covend.core.rules.record import dump_verdicts, load_verdicts
from covend.core.rules.verdicts import ClauseResult, Verdict

TEXTS = st.text(max_size=20)
MAYBE = st.sampled_from([True, False, None])
CLAUSES = st.builds(
    ClauseResult,
    name=TEXTS,
    satisfied=MAYBE,
    values=st.lists(TEXTS, max_size=3).map(tuple),
    conditions=st.lists(TEXTS, max_size=3).map(tuple),
    need=st.none() | st.sampled_from(Need),
)
VERDICTS = st.builds(
    Verdict,
    rule=TEXTS,
    matched=MAYBE,
    reason=TEXTS,
    clauses=st.lists(CLAUSES, max_size=3).map(tuple),
)


@settings(max_examples=100, deadline=None)
@given(st.lists(VERDICTS, max_size=3).map(tuple))
def test_verdicts_come_back_as_they_were(verdicts: tuple[Verdict, ...]) -> None:
    assert load_verdicts(dump_verdicts(verdicts)) == verdicts


def test_the_record_is_compact() -> None:
    clause = ClauseResult(name="on", satisfied=None, values=("push",), need=Need.PATHS)
    verdict = Verdict(rule="r", matched=None, reason="needs_lookup", clauses=(clause,))
    assert dump_verdicts([verdict]) == (
        b'[["r",null,"needs_lookup",[["on",null,["push"],[],"paths"]]]]'
    )
