"""Routes an event: which rules ask for work, and of every rule why, or why not; it starts nothing.

A rule whose `on` names the event is judged to the end, clause by clause without a short cut, so
that `explain` can show all of it. The reasons are stable: of a verdict `matched`, `needs_lookup`,
`event_not_wanted`, or the name of the first clause that refused (`when.paths`, `allow`, `trust`);
of a delivery those of `Reason`. A verdict that matches may still hold: its clause `trust` then
needs an approval.

An event that asks for a rule by name (a submission) is judged by that rule's `trust` alone: what
the rule listens to, and by whom, is said of those who do not name it. Whoever may submit may also
approve, so that nothing waits for that; a rule that refuses the work of forks refuses it all the
same.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from msgspec.structs import replace

from covend.core.model import Event, Need, Subject, SubjectType, Trust
from covend.core.rerunning import ASKS
from covend.core.rules import checks, facts
from covend.core.rules.admission import judge_admission, trust_of
from covend.core.rules.clauses import judge
from covend.core.rules.commands import PREFIX
from covend.core.rules.globs import Globs, compile_texts
from covend.core.rules.prepared import Chosen, PreparedRule, choose, prepare_rule
from covend.core.rules.verdicts import ClauseResult, Known, Routing, TaskDraft, Verdict
from covend.core.settings import Limits, Policy, Rule
from covend.core.states import DeliveryState

NOTHING_KNOWN = Known()
CHAIN_DEPTH = Limits().chain_depth
NO_POLICIES: Mapping[tuple[str, Trust], Policy] = MappingProxyType({})

ASKED_BY = Trust.ADMIN.value
"""The permission of whoever asks for a rule by its name."""

REMEMBERED_MAX = 1_024
"""How many names of events a router remembers: senders and commenters can make up any number."""


class Reason(StrEnum):
    """Why a delivery, or a rule, is where it is."""

    MATCHED = "matched"
    NEEDS_LOOKUP = "needs_lookup"
    EVENT_NOT_WANTED = "event_not_wanted"
    CLOSED = "closed"
    """Like `event_not_wanted`, of an issue or pull request that was closed."""
    COMMAND = "command"
    """Like `event_not_wanted`, of what is said to covend itself, which attends to it."""
    RERUN = "rerun"
    """Like `event_not_wanted`, of GitHub's re-run button, which has a loop of its own."""
    NO_MATCH = "no_match"
    NO_RULE = "no_rule"
    NO_COMMIT = "no_commit"
    """A branch or tag was deleted: there is no commit to work on."""
    CHAIN_TOO_DEEP = "chain_too_deep"
    """One task followed another for too long."""
    PING = "ping"
    OWN_EVENT = "own_event"
    IGNORED_SENDER = "ignored_sender"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wanted:
    """A rule that names the event: its place among the verdicts, and by which name."""

    place: int
    prepared: PreparedRule
    name: str
    on: ClauseResult
    is_command: bool
    is_of_checks: bool
    is_asked: bool
    """Whether the event asks for this rule by its name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Selection:
    """What `on` alone decides for an event's names: who wants it, and the rest's verdicts."""

    unwanted: Routing
    wanted: tuple[_Wanted, ...]


class Router:
    """All rules, prepared once; it is pure but for a bounded memory of names seen before."""

    def __init__(
        self,
        rules: tuple[PreparedRule, ...],
        own_logins: frozenset[str],
        ignored: Globs,
        chain_depth: int,
    ) -> None:
        """Take what `prepare` has made."""
        self._rules = rules
        self._chain_depth = chain_depth
        self._own_logins = own_logins
        self._ignored = ignored
        self._selections: dict[tuple[str | None, tuple[str, ...]], _Selection] = {}
        self._refusals = {reason: _ignore(reason, rules) for reason in Reason}

    def route(self, event: Event, known: Known = NOTHING_KNOWN) -> Routing:
        """Give every rule's verdict, and a draft for each that matches or may yet match."""
        refusal = self._refuse(event)
        if refusal is not None:
            return self._refusals[refusal]
        selection = self._select(_names(event), event.rule)
        if not selection.wanted:
            return selection.unwanted
        if event.depth > self._chain_depth:
            return self._refusals[Reason.CHAIN_TOO_DEEP]
        return _judge_wanted(selection, event, known)

    def _refuse(self, event: Event) -> Reason | None:
        """Name the reason that holds whatever the rules say."""
        sender = event.sender
        if event.name == "ping":
            return Reason.PING
        if sender is not None and sender.casefold() in self._own_logins:
            return Reason.OWN_EVENT
        if event.name in checks.CHECKING and self._is_own_check(event):
            return Reason.OWN_EVENT
        if sender is not None and self._ignored.accepts((sender,)):
            return Reason.IGNORED_SENDER
        if event.subject.type is SubjectType.COMMIT and event.subject.head_sha is None:
            return Reason.NO_COMMIT
        return None

    def _is_own_check(self, event: Event) -> bool:
        """Say whether it tells of covend's own check, whose sender may be whoever pushed.

        What people ask of that check (`rerequested`, `requested_action`) is no report.
        """
        check = facts.mapping(event.payload.get(event.name))
        slug = facts.name(facts.mapping(check.get("app")).get("slug"))
        is_report = event.action in {"created", "completed"}
        return is_report and slug is not None and f"{slug}[bot]".casefold() in self._own_logins

    def _select(self, names: tuple[str, ...], asked: str | None) -> _Selection:
        selection = self._selections.get((asked, names))
        if selection is None:
            if len(self._selections) >= REMEMBERED_MAX:
                self._selections.clear()
            selection = self._selections[asked, names] = _select(self._rules, names, asked)
        return selection


def prepare(
    rules: Sequence[Rule],
    policies: Mapping[str, Policy],
    own_logins: Iterable[str],
    ignore_senders: Sequence[str],
    *,
    policies_by_trust: Mapping[tuple[str, Trust], Policy] = NO_POLICIES,
    chain_depth: int = CHAIN_DEPTH,
) -> Router:
    """Compile everything once.

    `policies` has every rule's by name, `policies_by_trust` those that a trust changes.
    `own_logins` are the accounts that covend acts as, which never start work; `ignore_senders` are
    globs, blind to case. More than `chain_depth` tasks in a row, each following the one before,
    are not made. ValueError for an unreadable glob, jinja2.TemplateSyntaxError for an unreadable
    `key`.
    """

    def chosen(rule: Rule, trust: Trust) -> Chosen:
        return choose(policies_by_trust.get((rule.name, trust)) or policies[rule.name])

    return Router(
        tuple(
            prepare_rule(rule, {trust: chosen(rule, trust) for trust in Trust}) for rule in rules
        ),
        frozenset(login.casefold() for login in own_logins),
        compile_texts(ignore_senders, ignores_case=True),
        chain_depth,
    )


def judge_again(rule: Rule, event: Event, known: Known) -> Verdict:
    """Judge one rule after the look-ups: the same clauses, with `known` filled.

    What was looked for and not found must be given as empty (`permission=""`, `paths=()`): it
    refuses.
    """
    selection = _select((prepare_rule(rule, {}),), _names(event), event.rule)
    if not selection.wanted:
        return selection.unwanted.verdicts[0]
    return _judge(selection.wanted[0], event, known)


# --- which rules name an event --------------------------------------------------------------------


def _names(event: Event) -> tuple[str, ...]:
    """Give the names that an event answers to: its command first, what it may make of all checks
    of its head last.
    """
    if event.command is not None:
        return (f"{PREFIX}{event.command.verb}", event.full_name)
    of_checks = checks.name_of(event) if event.name in checks.CHECKING else None
    return (event.full_name,) if of_checks is None else (event.full_name, of_checks)


def _select(rules: Sequence[PreparedRule], names: tuple[str, ...], asked: str | None) -> _Selection:
    wanted = []
    verdicts = []
    for place, prepared in enumerate(rules):
        name, on = _wants(prepared, names) if asked is None else _is_named(prepared, names, asked)
        if name is not None:
            wanted.append(
                _Wanted(
                    place=place,
                    prepared=prepared,
                    name=name,
                    on=on,
                    is_command=name.startswith(PREFIX),
                    is_of_checks=name in checks.NAMES,
                    is_asked=asked is not None,
                )
            )
        verdicts.append(_not_wanted(prepared, Reason.EVENT_NOT_WANTED, (on,)))
    why = Reason.NO_RULE if asked is not None else _why_unwanted(rules, names)
    unwanted = Routing(state=DeliveryState.IGNORED, reason=why, verdicts=tuple(verdicts))
    return _Selection(unwanted=unwanted, wanted=tuple(wanted))


def _wants(prepared: PreparedRule, names: tuple[str, ...]) -> tuple[str | None, ClauseResult]:
    """Give the first of the names that the rule listens to, if any, and what that says."""
    name = next(filter(prepared.wants, names), None)
    on = prepared.rule.on
    return name, ClauseResult(name="on", satisfied=name is not None, values=names, conditions=on)


def _is_named(
    prepared: PreparedRule, names: tuple[str, ...], asked: str
) -> tuple[str | None, ClauseResult]:
    """As `_wants`, where the rule is asked for by its name."""
    own = prepared.rule.name
    named = ClauseResult(name="rule", satisfied=own == asked, values=(asked,), conditions=(own,))
    return (names[0] if own == asked else None), named


def _why_unwanted(rules: Sequence[PreparedRule], names: tuple[str, ...]) -> Reason:
    if not rules:
        return Reason.NO_RULE
    if names[0].startswith(PREFIX):
        return Reason.COMMAND
    if names[0] in ASKS:
        return Reason.RERUN
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
    prepared = wanted.prepared
    asked = () if wanted.is_asked else prepared.clauses
    clauses = [wanted.on, *[judge(clause, event, known) for clause in asked]]
    admission = _admit(wanted, event, known)
    if admission is not None:
        clauses.append(admission)
    matched, reason = _conclude(clauses)
    return Verdict(rule=prepared.rule.name, matched=matched, reason=reason, clauses=tuple(clauses))


def _admit(wanted: _Wanted, event: Event, known: Known) -> ClauseResult | None:
    """Let the trust have its say; who asks by name has as good as commanded it."""
    treatments = wanted.prepared.treatments
    if not wanted.is_asked:
        return judge_admission(treatments, event, known, is_command=wanted.is_command)
    known = replace(known, permission=ASKED_BY)
    return judge_admission(treatments, event, known, is_command=True)


def needs_of(verdict: Verdict) -> frozenset[Need]:
    """Gather what its clauses still need: look-ups, or an approval."""
    return frozenset([clause.need for clause in verdict.clauses if clause.need is not None])


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
    prepared = wanted.prepared
    rule, subject = prepared.rule, _complete(event.subject, known)
    trust = trust_of(event, known)
    chosen = prepared.policies[trust]
    is_event = not (wanted.is_command or wanted.is_asked)
    is_by_head = rule.supersede and is_event and _has_head(subject)
    return TaskDraft(
        rule=rule.name,
        agent=chosen.agent,
        policy=chosen.policy,
        priority=rule.priority,
        key=prepared.make_key(event, subject, wanted.name if wanted.is_of_checks else None),
        trust=trust,
        event=wanted.name,
        subject=subject,
        command=event.command if wanted.is_command else None,
        needs=needs_of(verdict) if event.is_foreign else _needs(wanted, verdict, subject),
        debounce_s=0.0 if wanted.is_asked else rule.debounce_s,
        fallbacks=chosen.fallbacks,
        is_by_head=is_by_head,
    )


def _complete(subject: Subject, known: Known) -> Subject:
    """Fill in the head that the payload lacks, once it is known."""
    if subject.head_sha is not None or known.head_sha is None:
        return subject
    return replace(subject, head_sha=known.head_sha, base_sha=known.base_sha or subject.base_sha)


def _has_head(subject: Subject) -> bool:
    """Say whether it is a head of a pull request, which a newer one can take the place of."""
    is_pull = subject.type is SubjectType.PULL_REQUEST and subject.number is not None
    return is_pull and subject.head_sha is not None


def _needs(wanted: _Wanted, verdict: Verdict, subject: Subject) -> frozenset[Need]:
    needs = needs_of(verdict)
    if wanted.is_of_checks:
        needs |= {Need.CHECKS}
    is_told = subject.head_sha is not None and not wanted.is_asked
    if subject.type is SubjectType.PULL_REQUEST and not is_told:
        needs |= {Need.HEAD}
    return needs
