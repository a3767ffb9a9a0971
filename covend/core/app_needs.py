"""What a GitHub App must be given for the rules in use: permissions and webhook events, each with
who needs it; nothing more.

It looks at settings alone and asks nobody. What single requests need is the business of `scopes`.
https://docs.github.com/en/rest/authentication/permissions-required-for-github-apps
https://docs.github.com/en/webhooks/webhook-events-and-payloads
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from types import MappingProxyType

from covend.core.app_events import ACTIONS_TO_WRITERS, AUTOMATIC, EVENT_PERMISSIONS
from covend.core.model import SubjectType
from covend.core.rules.prepared import is_foreign
from covend.core.scopes import COMMENT_ON, GRANTS, ON_THREADS, Scope
from covend.core.settings import Checkout, Rule, Settings

READ, WRITE = "read", "write"
LEVELS = ("", READ, WRITE, "admin")
"""Each allows what stands before it."""
COMMENTS = ("issue_comment", "pull_request_review", "pull_request_review_comment")
"""Events by which commands come."""
CHECK_EVENTS = ("check_run", "check_suite", "status")
"""Events by which all checks of a head may have come in."""
COMMANDS_TO_COVEND = "commands to covend itself, as `/covend approve`"
_COMMAND, _CHECKS, _TASK = "command", "checks", "task"

_BOTH = frozenset({SubjectType.PULL_REQUEST, SubjectType.ISSUE})
_PULL = frozenset({SubjectType.PULL_REQUEST})
_ABOUT: Mapping[str, frozenset[SubjectType]] = MappingProxyType(
    {
        **dict.fromkeys(
            (
                "pull_request",
                "pull_request_review",
                "pull_request_review_comment",
                "pull_request_review_thread",
                "check_run",
                "check_suite",
                "workflow_run",
                "workflow_job",
                _CHECKS,
            ),
            _PULL,
        ),
        "issues": frozenset({SubjectType.ISSUE}),
        **dict.fromkeys(("issue_comment", _COMMAND, _TASK), _BOTH),
    }
)
"""What the work may be about, by event; nothing with a number where it is not here."""
_FOLLOWED: Mapping[SubjectType, tuple[str, str]] = MappingProxyType(
    {
        SubjectType.PULL_REQUEST: ("pull_request", "a push or a close ends work on a pull request"),
        SubjectType.ISSUE: ("issues", "a close ends work on an issue"),
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """Why something is needed; `rule` is None where covend itself needs it, whatever the rules."""

    rule: str | None
    why: str

    def __str__(self) -> str:
        """Say it in a few words."""
        return self.why if self.rule is None else f"rule {self.rule}: {self.why}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """A permission with its level, or an event (level "")."""

    name: str
    level: str = ""
    reasons: tuple[Reason, ...]

    @property
    def rules(self) -> tuple[str, ...]:
        """Name the rules that miss something without it."""
        return tuple(dict.fromkeys(each.rule for each in self.reasons if each.rule is not None))

    def __str__(self) -> str:
        """Write it as GitHub does: `checks: write`, or the event's name."""
        return f"{self.name}: {self.level}" if self.level else self.name


@dataclass(frozen=True, slots=True, kw_only=True)
class AppNeeds:
    """All that an App must have; sorted by name."""

    permissions: tuple[Need, ...]
    events: tuple[Need, ...]

    @property
    def levels(self) -> dict[str, str]:
        """Give the permissions as GitHub takes them: name to level."""
        return {each.name: each.level for each in self.permissions}

    def lacking(self, permissions: Mapping[str, str], events: Collection[str]) -> tuple[Need, ...]:
        """Name what is needed and was not given, permissions first."""
        short = [each for each in self.permissions if not _covers(permissions, each)]
        return (*short, *(each for each in self.events if each.name not in events))

    def beyond(self, permissions: Mapping[str, str]) -> tuple[str, ...]:
        """Name the permissions that were given and nobody needs, or not at that level."""
        needed = {each.name: each for each in self.permissions}
        given = sorted(permissions.items())
        return tuple(
            f"{name}: {level}" for name, level in given if not _is_needed(level, needed.get(name))
        )


def _is_needed(level: str, need: Need | None) -> bool:
    return need is not None and level in LEVELS and LEVELS.index(level) <= LEVELS.index(need.level)


def app_needs(settings: Settings) -> AppNeeds:
    """Gather what the settings' rules, and covend's own commands, need of an App."""
    needs = _Needs()
    needs.permit("metadata", READ, Reason(rule=None, why="GitHub gives it to every App"))
    for rule in settings.rules:
        scheduled = any(each.rule == rule.name for each in settings.schedules)
        _Demand(rule, needs, is_scheduled=scheduled and not rule.on).make()
    if settings.rules:
        _demand_commands(needs)
    _demand_globs(settings.rules, needs)
    return needs.gathered()


class _Needs:
    """What has been asked for so far."""

    def __init__(self) -> None:
        self._permissions: dict[str, list[tuple[str, Reason]]] = {}
        self._events: dict[str, list[Reason]] = {}

    def permit(self, name: str, level: str, reason: Reason) -> None:
        self._permissions.setdefault(name, []).append((level, reason))

    def permit_all(self, scope: Scope, reason: Reason) -> None:
        for name, level in scope.items():
            self.permit(name, level, reason)

    def subscribe(self, event: str, reason: Reason) -> None:
        """Ask for an event and for what GitHub wants of those who subscribe to it."""
        if event in AUTOMATIC:
            return
        self._events.setdefault(event, []).append(reason)
        if permission := EVENT_PERMISSIONS.get(event):
            what = Reason(rule=reason.rule, why=f"the event {event} ({reason.why})")
            self.permit(permission, READ, what)

    def may_subscribe(self, event: str) -> bool:
        permission = EVENT_PERMISSIONS.get(event)
        return permission is None or permission in self._permissions

    def gathered(self) -> AppNeeds:
        permissions = (_strongest(name, asked) for name, asked in self._permissions.items())
        events = (
            Need(name=name, reasons=tuple(dict.fromkeys(reasons)))
            for name, reasons in self._events.items()
        )
        return AppNeeds(
            permissions=tuple(sorted(permissions, key=lambda each: each.name)),
            events=tuple(sorted(events, key=lambda each: each.name)),
        )


def _strongest(name: str, asked: Iterable[tuple[str, Reason]]) -> Need:
    """Name the highest level, and those who need that much; a lower one is within it."""
    told = tuple(asked)
    level = max((level for level, _ in told), key=LEVELS.index)
    reasons = tuple(dict.fromkeys(reason for each, reason in told if each == level))
    return Need(name=name, level=level, reasons=reasons)


class _Demand:
    """What one rule asks for."""

    def __init__(self, rule: Rule, needs: _Needs, *, is_scheduled: bool) -> None:
        self._rule = rule
        self._needs = needs
        named = [one for one in rule.on if one[0] != "!" and not is_foreign(one)]
        self._events = [event for event in map(_event_of, named) if not _is_glob(event)]
        self._is_open = any(_is_glob(_event_of(one)) for one in named)
        is_elsewhere = bool(rule.on) and not named
        self._is_local = not (is_elsewhere or is_scheduled)
        """Whether it may be about a pull request or an issue of GitHub's."""

    def make(self) -> None:
        self._listen()
        self._check_out()
        self._publish()
        self._look_up()

    def _listen(self) -> None:
        for event in dict.fromkeys(self._events):
            if event == _COMMAND:
                for place in COMMENTS:
                    self._needs.subscribe(place, self._because("commands in comments"))
            elif event == _CHECKS:
                self._listen_to_checks()
            elif event != _TASK:
                self._needs.subscribe(event, self._because("listens to it"))
        for one in self._rule.on:
            if one in ACTIONS_TO_WRITERS:
                permission = EVENT_PERMISSIONS[_event_of(one)]
                self._needs.permit(permission, WRITE, self._because(f"{one} is told to writers"))

    def _listen_to_checks(self) -> None:
        reason = self._because("asks for all checks of a head")
        self._needs.permit_all({"checks": READ, "statuses": READ}, reason)
        for event in CHECK_EVENTS:
            self._needs.subscribe(event, reason)

    def _check_out(self) -> None:
        if self._rule.checkout is not Checkout.NONE:
            self._needs.permit("contents", READ, self._because("checks out the code"))

    def _publish(self) -> None:
        for kind in self._rule.publish:
            reason = self._because(f"publishes {kind}")
            if kind not in ON_THREADS:
                self._needs.permit_all(GRANTS.get(kind, {}), reason)
                continue
            for subject in sorted(self._subjects()):
                self._needs.permit_all(COMMENT_ON[subject], reason)

    def _look_up(self) -> None:
        """Ask for what is read of a subject as it is now, and for the events that end it."""
        subjects = self._subjects()
        if SubjectType.PULL_REQUEST in subjects:
            self._needs.permit("pull_requests", READ, self._because("compares the live head"))
        if SubjectType.ISSUE in subjects:
            self._needs.permit("issues", READ, self._because("may be about an issue"))
        for subject in sorted(self._told_subjects()):
            event, why = _FOLLOWED[subject]
            self._needs.subscribe(event, self._because(why))

    def _subjects(self) -> frozenset[SubjectType]:
        if not self._is_local:
            return frozenset()
        if not self._rule.on or self._is_open:
            return _BOTH
        return self._told_subjects()

    def _told_subjects(self) -> frozenset[SubjectType]:
        found = (_ABOUT.get(event, frozenset()) for event in self._events)
        return frozenset(subject for each in found for subject in each)

    def _because(self, why: str) -> Reason:
        return Reason(rule=self._rule.name, why=why)


def _demand_commands(needs: _Needs) -> None:
    """People may speak to covend itself wherever it works, and it answers there."""
    reason = Reason(rule=None, why=COMMANDS_TO_COVEND)
    for event in COMMENTS:
        needs.subscribe(event, reason)
    for scope in COMMENT_ON.values():
        needs.permit_all(scope, reason)


def _demand_globs(rules: Iterable[Rule], needs: _Needs) -> None:
    """A glob over names of events asks for those that what is needed anyway lets through: `*`
    alone would need every permission there is. One whose events all need the same one asks for it.
    """
    for rule in rules:
        for glob in rule.on:
            if glob[0] == "!" or is_foreign(glob) or not _is_glob(_event_of(glob)):
                continue
            wanted = [event for event in EVENT_PERMISSIONS if _is_wanted(event, glob, rule.on)]
            is_one = len({EVENT_PERMISSIONS[event] for event in wanted}) == 1
            for event in wanted:
                if is_one or needs.may_subscribe(event):
                    needs.subscribe(event, Reason(rule=rule.name, why=f"listens to {glob}"))


def _is_wanted(event: str, glob: str, on: Collection[str]) -> bool:
    refused = (one[1:] for one in on if one[0] == "!")
    whole = (_event_of(one) for one in refused if one.partition(".")[2] in {"", "*"})
    return fnmatchcase(event, _event_of(glob)) and not any(fnmatchcase(event, one) for one in whole)


def _event_of(name: str) -> str:
    return name.partition(".")[0]


def _is_glob(text: str) -> bool:
    return any(character in text for character in "*?[")


def _covers(granted: Mapping[str, str], need: Need) -> bool:
    level = granted.get(need.name, "")
    return level in LEVELS and LEVELS.index(level) >= LEVELS.index(need.level)


def describe(needs: Iterable[Need]) -> Iterator[str]:
    """Say of each need who misses something without it: `checks: write (rule review: …)`."""
    for need in needs:
        yield f"{need} ({'; '.join(map(str, need.reasons))})"
