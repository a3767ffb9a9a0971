"""Routes an event: which rules ask for work, and of every rule why, or why not; it starts nothing.

A rule whose `on` names the event is judged to the end, clause by clause without a short cut, so
that `explain` can show all of it. The reasons are stable: of a verdict `matched`, `needs_lookup`,
`event_not_wanted`, or the name of the first clause that refused (`when.paths`, `allow`); of a
delivery those of `Reason`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from msgspec.structs import replace

from covend.core.model import Event, Need, Subject, SubjectType
from covend.core.rules.clauses import Clause, judge, prepare_allow, prepare_when
from covend.core.rules.commands import PREFIX
from covend.core.rules.globs import Globs, compile_texts
from covend.core.rules.keys import MakeKey, prepare_key
from covend.core.rules.verdicts import ClauseResult, Known, Routing, TaskDraft, Verdict
from covend.core.settings import Policy, Rule
from covend.core.states import DeliveryState

NOTHING_KNOWN = Known()
REMEMBERED_MAX = 1_024
"""How many names of events a router remembers: senders and commenters can make up any number."""


class Reason(StrEnum):
    """Why a delivery, or a rule, is where it is."""

    MATCHED = "matched"
    NEEDS_LOOKUP = "needs_lookup"
    EVENT_NOT_WANTED = "event_not_wanted"
    CLOSED = "closed"
    """Like `event_not_wanted`, of an issue or pull request that was closed."""
    NO_MATCH = "no_match"
    NO_RULE = "no_rule"
    NO_COMMIT = "no_commit"
    """A branch or tag was deleted: there is no commit to work on."""
    PING = "ping"
    OWN_EVENT = "own_event"
    IGNORED_SENDER = "ignored_sender"


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedRule:
    """A rule with all that can be done before the first event comes."""

    rule: Rule
    policy: str
    wants: Callable[[str], bool]
    clauses: tuple[Clause, ...]
    make_key: MakeKey


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wanted:
    """A rule that names the event: its place among the verdicts, and by which name."""

    place: int
    prepared: PreparedRule
    name: str
    on: ClauseResult


@dataclass(frozen=True, slots=True, kw_only=True)
class _Selection:
    """What `on` alone decides for an event's names: who wants it, and the rest's verdicts."""

    unwanted: Routing
    wanted: tuple[_Wanted, ...]


class Router:
    """All rules, prepared once; it is pure but for a bounded memory of names seen before."""

    def __init__(
        self, rules: tuple[PreparedRule, ...], own_logins: frozenset[str], ignored: Globs
    ) -> None:
        """Take what `prepare` has made."""
        self._rules = rules
        self._own_logins = own_logins
        self._ignored = ignored
        self._selections: dict[tuple[str, ...], _Selection] = {}
        self._refusals = {reason: _ignore(reason, rules) for reason in Reason}

    def route(self, event: Event, known: Known = NOTHING_KNOWN) -> Routing:
        """Give every rule's verdict, and a draft for each that matches or may yet match."""
        refusal = self._refuse(event)
        if refusal is not None:
            return self._refusals[refusal]
        selection = self._select(_names(event))
        if not selection.wanted:
            return selection.unwanted
        return _judge_wanted(selection, event, known)

    def _refuse(self, event: Event) -> Reason | None:
        """Name the reason that holds whatever the rules say."""
        sender = event.sender
        if event.name == "ping":
            return Reason.PING
        if sender is not None and sender.casefold() in self._own_logins:
            return Reason.OWN_EVENT
        if sender is not None and self._ignored.accepts((sender,)):
            return Reason.IGNORED_SENDER
        if event.subject.type is SubjectType.COMMIT and event.subject.head_sha is None:
            return Reason.NO_COMMIT
        return None

    def _select(self, names: tuple[str, ...]) -> _Selection:
        selection = self._selections.get(names)
        if selection is None:
            if len(self._selections) >= REMEMBERED_MAX:
                self._selections.clear()
            selection = self._selections[names] = _select(self._rules, names)
        return selection


def prepare(
    rules: Sequence[Rule],
    policies: Mapping[str, Policy],
    own_logins: Iterable[str],
    ignore_senders: Sequence[str],
) -> Router:
    """Compile everything once.

    `policies` has every rule's by name. `own_logins` are the accounts that covend acts as, which
    never start work; `ignore_senders` are globs, blind to case. ValueError for an unreadable glob,
    jinja2.TemplateSyntaxError for an unreadable `key`.
    """
    return Router(
        tuple(prepare_rule(rule, policies[rule.name].sha256) for rule in rules),
        frozenset(login.casefold() for login in own_logins),
        compile_texts(ignore_senders, ignores_case=True),
    )


def prepare_rule(rule: Rule, policy: str) -> PreparedRule:
    """Compile one rule; the errors are those of `prepare`."""
    allow = () if rule.allow is None else (prepare_allow(rule.allow),)
    return PreparedRule(
        rule=rule,
        policy=policy,
        wants=_prepare_on(rule.on),
        clauses=(*prepare_when(rule.when), *allow),
        make_key=prepare_key(rule.name, rule.key),
    )


def judge_again(rule: Rule, event: Event, known: Known) -> Verdict:
    """Judge one rule after the look-ups: the same clauses, with `known` filled.

    What was looked for and not found must be given as empty (`permission=""`, `paths=()`): it
    refuses.
    """
    selection = _select((prepare_rule(rule, ""),), _names(event))
    if not selection.wanted:
        return selection.unwanted.verdicts[0]
    return _judge(selection.wanted[0], event, known)


# --- which rules name an event --------------------------------------------------------------------


def _names(event: Event) -> tuple[str, ...]:
    """Give the names that an event answers to, its command first."""
    if event.command is None:
        return (event.full_name,)
    return (f"{PREFIX}{event.command.verb}", event.full_name)


def _prepare_on(on: Sequence[str]) -> Callable[[str], bool]:
    """Compile `on`: globs of `name.action`, or of a `name` alone, which stands for any action."""
    any_action = [f"{one}.*" for one in on if "." not in one]
    globs = compile_texts([*on, *any_action])
    return lambda name: globs.accepts((name,))


def _select(rules: Sequence[PreparedRule], names: tuple[str, ...]) -> _Selection:
    wanted = []
    verdicts = []
    for place, prepared in enumerate(rules):
        name = next(filter(prepared.wants, names), None)
        on = ClauseResult(
            name="on", satisfied=name is not None, values=names, conditions=prepared.rule.on
        )
        if name is not None:
            wanted.append(_Wanted(place=place, prepared=prepared, name=name, on=on))
        verdicts.append(_not_wanted(prepared, Reason.EVENT_NOT_WANTED, (on,)))
    unwanted = Routing(
        state=DeliveryState.IGNORED, reason=_why_unwanted(rules, names), verdicts=tuple(verdicts)
    )
    return _Selection(unwanted=unwanted, wanted=tuple(wanted))


def _why_unwanted(rules: Sequence[PreparedRule], names: tuple[str, ...]) -> Reason:
    if not rules:
        return Reason.NO_RULE
    is_closing = names[-1] in {"pull_request.closed", "issues.closed"}
    return Reason.CLOSED if is_closing else Reason.EVENT_NOT_WANTED


def _ignore(reason: Reason, rules: Sequence[PreparedRule]) -> Routing:
    verdicts = tuple(_not_wanted(prepared, reason, ()) for prepared in rules)
    return Routing(state=DeliveryState.IGNORED, reason=reason, verdicts=verdicts)


def _not_wanted(
    prepared: PreparedRule, reason: Reason, clauses: tuple[ClauseResult, ...]
) -> Verdict:
    return Verdict(rule=prepared.rule.name, matched=False, reason=reason, clauses=clauses)


# --- what they say of it --------------------------------------------------------------------------


def _judge_wanted(selection: _Selection, event: Event, known: Known) -> Routing:
    verdicts = list(selection.unwanted.verdicts)
    drafts = []
    for wanted in selection.wanted:
        verdict = verdicts[wanted.place] = _judge(wanted, event, known)
        if verdict.matched is not False:
            drafts.append(_draft(wanted, verdict, event, known))
    return Routing(
        state=DeliveryState.ROUTED if drafts else DeliveryState.IGNORED,
        reason=Reason.MATCHED if drafts else Reason.NO_MATCH,
        verdicts=tuple(verdicts),
        drafts=tuple(drafts),
    )


def _judge(wanted: _Wanted, event: Event, known: Known) -> Verdict:
    clauses = (wanted.on, *[judge(clause, event, known) for clause in wanted.prepared.clauses])
    matched, reason = _conclude(clauses)
    return Verdict(rule=wanted.prepared.rule.name, matched=matched, reason=reason, clauses=clauses)


def _conclude(clauses: Sequence[ClauseResult]) -> tuple[bool | None, str]:
    matched: bool | None = True
    reason: str = Reason.MATCHED
    for clause in clauses:
        if clause.satisfied is False:
            return False, clause.name
        if clause.satisfied is None:
            matched, reason = None, Reason.NEEDS_LOOKUP
    return matched, reason


def _draft(wanted: _Wanted, verdict: Verdict, event: Event, known: Known) -> TaskDraft:
    rule = wanted.prepared.rule
    subject = _complete(event.subject, known)
    return TaskDraft(
        rule=rule.name,
        agent=rule.agent,
        policy=wanted.prepared.policy,
        priority=rule.priority,
        key=wanted.prepared.make_key(event, subject),
        trust=event.trust,
        event=wanted.name,
        subject=subject,
        command=event.command if wanted.name.startswith(PREFIX) else None,
        needs=_needs(verdict, subject),
        debounce_s=rule.debounce_s,
    )


def _complete(subject: Subject, known: Known) -> Subject:
    """Fill in the head that the payload lacks, once it is known."""
    if subject.head_sha is not None or known.head_sha is None:
        return subject
    return replace(subject, head_sha=known.head_sha, base_sha=known.base_sha or subject.base_sha)


def _needs(verdict: Verdict, subject: Subject) -> frozenset[Need]:
    needs = {clause.need for clause in verdict.clauses if clause.need is not None}
    if subject.type is SubjectType.PULL_REQUEST and subject.head_sha is None:
        needs.add(Need.HEAD)
    return frozenset(needs)
