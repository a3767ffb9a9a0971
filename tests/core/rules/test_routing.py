from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from covend.core.model import Command, Event, Need, Subject, SubjectType, TaskId, Trust
from covend.core.rules import routing
from covend.core.rules.routing import judge_again
from covend.core.rules.verdicts import Known
from covend.core.settings import Agent, Policy, When
from covend.core.states import DeliveryState
from tests.core.github_samples import HEAD, OTHER_HEAD, pull_request, router, rule

UNKNOWN_HEAD = Subject(type=SubjectType.PULL_REQUEST, number=7)
FIX = Command(verb="fix", text="it", actor="octocat", comment_id=9, place="issue_comment")


def commanded(**changed: Any) -> Event:
    fields = {
        "name": "issue_comment",
        "action": "created",
        "subject": UNKNOWN_HEAD,
        "comment_id": 9,
        "command": FIX,
    }
    return pull_request(**fields | changed)


def test_a_rule_that_matches_drafts_its_task() -> None:
    routed = router(rule(priority=3, debounce_s=5.0)).route(pull_request(trust=Trust.MEMBER))
    assert (routed.state, routed.reason) == (DeliveryState.ROUTED, "matched")
    (draft,) = routed.drafts
    assert (draft.rule, draft.agent, draft.policy) == ("review", "claude", "of review")
    assert (draft.priority, draft.debounce_s, draft.trust) == (3, 5.0, Trust.MEMBER)
    assert (draft.event, draft.command, draft.needs) == ("pull_request.opened", None, frozenset())
    assert draft.subject == pull_request().subject
    assert draft.key == f"review:42:pull_request:7:{HEAD}"


@pytest.mark.parametrize(
    ("on", "names", "expected"),
    [
        ("pull_request.opened", "pull_request.opened", True),
        ("pull_request.opened", "pull_request.closed", False),
        ("pull_request", "pull_request.opened", True),
        ("pull_request", "pull_request_review.submitted", False),
        ("pull_request.*", "pull_request.opened", True),
        ("*.opened", "issues.opened", True),
        ("push", "push", True),
        ("push.created", "push", False),
        ("*", "push", True),
        ("pull_request !pull_request.closed", "pull_request.opened", True),
        ("pull_request !pull_request.closed", "pull_request.closed", False),
        ("* !pull_request", "pull_request.closed", False),
        ("repository_dispatch.go", "repository_dispatch.go.on", False),
        ("task.completed", "task.completed", True),
        ("task.completed", "task.failed", False),
        ("task", "task.failed", True),
        ("task.*", "task.failed", True),
        ("task !task.failed", "task.failed", False),
        ("task !task.failed", "task.completed", True),
        ("* task.completed", "task.completed", True),
        ("*", "task.completed", False),
        ("*.completed", "task.completed", False),
        ("!push", "task.completed", False),
    ],
)
def test_a_rule_names_the_events_that_it_wants(on: str, names: str, expected: bool) -> None:
    name, _, action = names.partition(".")
    event = pull_request(name=name, action=action or None)
    assert bool(router(rule("r", *on.split())).route(event).drafts) is expected


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        (pull_request(name="ping", action=None), "ping"),
        (pull_request(sender="Covend[bot]"), "own_event"),
        (pull_request(sender="Dependabot[bot]"), "ignored_sender"),
        (pull_request(name="star"), "event_not_wanted"),
        (pull_request(action="labeled"), "event_not_wanted"),
        (pull_request(action="closed"), "closed"),
        (pull_request(draft=True), "no_match"),
        (
            pull_request(name="push", action=None, subject=Subject(type=SubjectType.COMMIT)),
            "no_commit",
        ),
    ],
)
def test_everything_that_is_ignored_has_its_reason(event: Event, reason: str) -> None:
    review = rule("review", "pull_request.opened", "push", when=When(draft=False))
    routed = router(review, own=("covend[bot]",), ignored=("*[bot]",)).route(event)
    assert (routed.state, routed.reason) == (DeliveryState.IGNORED, reason)
    assert routed.drafts == ()
    assert [verdict.matched for verdict in routed.verdicts] == [False]


def test_without_rules_nothing_is_wanted() -> None:
    assert router().route(pull_request()).reason == "no_rule"


def test_a_closed_pull_request_starts_work_only_for_a_rule_that_says_closed() -> None:
    routed = router(rule("tidy", "pull_request.closed")).route(pull_request(action="closed"))
    assert len(routed.drafts) == 1


def test_an_event_without_a_sender_is_nobodys_own() -> None:
    assert router(rule(), own=("",), ignored=("!x",)).route(pull_request(sender=None)).drafts


def test_every_clause_is_judged_even_after_one_has_refused() -> None:
    when = When(base=("release",), draft=False, title=("x",), paths=("src/**",))
    (verdict,) = router(rule(when=when)).route(pull_request(draft=False)).verdicts
    assert (verdict.matched, verdict.reason) == (False, "when.base")
    assert [(clause.name, clause.satisfied) for clause in verdict.clauses] == [
        ("on", True),
        ("when.base", False),
        ("when.draft", True),
        ("when.paths", None),
        ("when.title", False),
    ]


def test_a_rule_that_does_not_name_the_event_evaluates_no_clause() -> None:
    rules = rule("other", "push", when=When(base=("main",))), rule()
    other, review = router(*rules).route(pull_request()).verdicts
    assert (other.matched, other.reason) == (False, "event_not_wanted")
    assert [clause.name for clause in other.clauses] == ["on"]
    assert other.clauses[0].values == ("pull_request.opened",)
    assert (review.rule, review.matched, review.reason) == ("review", True, "matched")


def test_a_command_answers_to_its_verb() -> None:
    (draft,) = router(rule("fix", "command.fix")).route(commanded()).drafts
    assert (draft.event, draft.command) == ("command.fix", FIX)
    assert draft.needs == {Need.HEAD}
    assert draft.key == "fix:42:pull_request:7:issue_comment:9"


def test_a_command_answers_to_its_events_name_as_well() -> None:
    rules = rule("all", "issue_comment.created"), rule("any", "command"), rule("no", "command.x")
    drafts = router(*rules).route(commanded()).drafts
    assert [(one.rule, one.event) for one in drafts] == [
        ("all", "issue_comment.created"),
        ("any", "command.fix"),
    ]
    assert drafts[0].command is None


def test_without_a_command_no_command_is_wanted() -> None:
    event = commanded(command=None)
    assert router(rule("fix", "command.fix")).route(event).reason == "event_not_wanted"


def test_what_is_said_to_covend_itself_is_ignored_as_a_command() -> None:
    assert router(rule("fix", "command.other")).route(commanded()).reason == "command"


def test_allow_waits_for_the_permission_and_then_decides() -> None:
    fix = rule("fix", "command.fix", allow=("write",))
    event = commanded(subject=pull_request().subject)
    routed = router(fix).route(event)
    assert (routed.verdicts[0].matched, routed.verdicts[0].reason) == (None, "needs_lookup")
    assert routed.drafts[0].needs == {Need.PERMISSION}
    refused = router(fix).route(event, Known(permission="read"))
    assert (refused.reason, refused.verdicts[0].reason) == ("no_match", "allow")
    assert router(fix).route(event, Known(permission="write")).verdicts[0].matched is True


def test_all_look_ups_are_asked_for_at_once() -> None:
    when = When(paths=("src/**",), base=("main",))
    (draft,) = router(rule("fix", "command", when=when, allow=("write",))).route(commanded()).drafts
    assert draft.needs == {Need.PATHS, Need.HEAD, Need.PERMISSION}


def test_what_is_refused_needs_no_look_up() -> None:
    when = When(paths=("src/**",), sender=("!octocat",))
    assert router(rule(when=when)).route(pull_request()).drafts == ()


def test_a_head_that_is_known_by_now_completes_the_subject() -> None:
    known = Known(head_sha=OTHER_HEAD, base_sha=HEAD)
    (draft,) = router(rule("fix", "command.fix")).route(commanded(), known).drafts
    assert (draft.subject.head_sha, draft.subject.base_sha) == (OTHER_HEAD, HEAD)
    assert draft.needs == frozenset()


def test_a_head_that_the_payload_tells_is_kept() -> None:
    (draft,) = router(rule()).route(pull_request(), Known(head_sha=OTHER_HEAD)).drafts
    assert draft.subject.head_sha == HEAD


@pytest.mark.parametrize(
    ("known", "matched", "reason"),
    [
        (Known(), None, "needs_lookup"),
        (Known(paths=("src/a",)), None, "needs_lookup"),
        (Known(paths=("docs/a",)), False, "when.paths"),
        (Known(paths=("src/a",), permission=""), False, "allow"),
        (Known(paths=("src/a",), permission="write"), True, "matched"),
    ],
)
def test_a_rule_is_judged_again_when_the_look_ups_are_back(
    known: Known, matched: bool | None, reason: str
) -> None:
    asking = rule(when=When(paths=("src/**",)), allow=("write",))
    verdict = judge_again(asking, pull_request(), known)
    assert (verdict.matched, verdict.reason) == (matched, reason)


def test_a_rule_that_does_not_name_the_event_says_so_again() -> None:
    verdict = judge_again(rule("r", "push"), pull_request(), Known())
    assert (verdict.matched, verdict.reason) == (False, "event_not_wanted")


def test_names_that_strangers_make_up_do_not_fill_the_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(routing, "REMEMBERED_MAX", 3)
    routes = router(rule("fix", "command.v5"))
    answers = [
        routes.route(commanded(command=replace(FIX, verb=f"v{number}"))).reason
        for number in range(10)
        for _ in range(2)
    ]
    assert answers.count("matched") == 2
    assert len(routes._selections) <= 3  # noqa: SLF001


# --- heads ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("event", "is_by_head"),
    [
        (pull_request(), True),
        (pull_request(subject=UNKNOWN_HEAD), False),
        (pull_request(subject=Subject(type=SubjectType.COMMIT, head_sha=HEAD)), False),
        (pull_request(subject=Subject(type=SubjectType.PULL_REQUEST, head_sha=HEAD)), False),
        (pull_request(subject=Subject(type=SubjectType.ISSUE, number=7)), False),
    ],
)
def test_only_a_head_of_a_pull_request_is_overtaken_by_another(
    event: Event, is_by_head: bool
) -> None:
    (draft,) = router(rule()).route(event).drafts
    assert draft.is_by_head is is_by_head
    (draft,) = router(rule(supersede=False)).route(event).drafts
    assert draft.is_by_head is False


def test_a_command_is_not_overtaken_by_a_new_head() -> None:
    said = commanded(name="pull_request_review_comment", subject=pull_request().subject)
    rules = rule("fix", "command.fix"), rule("look", "pull_request_review_comment")
    drafts = router(*rules).route(said).drafts
    assert [(draft.rule, draft.is_by_head) for draft in drafts] == [("fix", False), ("look", True)]


# --- all checks of a head -------------------------------------------------------------------------


def checked(conclusion: str = "success", **changed: Any) -> Event:
    """The end of another App's check run."""
    run = {"app": {"slug": "another"}}
    fields = {
        "name": "check_run",
        "action": "completed",
        "conclusion": conclusion,
        "payload": {"check_run": run},
    }
    return pull_request(**fields | changed)


@pytest.mark.parametrize(
    ("on", "conclusion", "name"),
    [
        ("checks.passed", "success", "checks.passed"),
        ("checks", "failure", "checks.failed"),
        ("checks.passed", "failure", None),
        ("checks.failed", "success", None),
        ("check_run.completed checks.passed", "success", "check_run.completed"),
        ("*", "success", "check_run.completed"),
    ],
)
def test_the_end_of_a_check_answers_to_a_name_for_all_checks(
    on: str, conclusion: str, name: str | None
) -> None:
    drafts = router(rule("merge", *on.split())).route(checked(conclusion)).drafts
    assert [draft.event for draft in drafts] == ([name] if name else [])
    is_of_checks = name is not None and name.startswith("checks.")
    assert all((Need.CHECKS in draft.needs) is is_of_checks for draft in drafts)


def test_checks_and_statuses_of_one_head_ask_for_the_same_work() -> None:
    on_commit = Subject(type=SubjectType.COMMIT, head_sha=HEAD)
    status = pull_request(
        name="status", action=None, subject=on_commit, payload={"state": "success"}
    )
    merge = router(rule("merge", "checks.passed"))
    (first,), (second,) = (merge.route(event).drafts for event in (checked(), status))
    assert first.key == second.key


@pytest.mark.parametrize(
    ("action", "slug", "is_news"),
    [
        ("completed", "covend", False),
        ("completed", "Covend", False),
        ("created", "covend", False),
        ("rerequested", "covend", True),
        ("requested_action", "covend", True),
        ("completed", "another", True),
        ("completed", ["covend"], True),
    ],
)
@pytest.mark.parametrize("kind", ["check_run", "check_suite"])
def test_covends_own_check_is_no_news_whoever_pushed(
    kind: str, action: str, slug: Any, is_news: bool
) -> None:
    event = checked(name=kind, action=action, payload={kind: {"app": {"slug": slug}}})
    routed = router(rule("r", kind, "checks"), own=("covend[bot]",)).route(event)
    assert bool(routed.drafts) is is_news
    assert is_news or routed.reason == "own_event"


# --- chains ---------------------------------------------------------------------------------------


def ended(depth: int) -> Event:
    return pull_request(name="task", action="completed", parent=TaskId("01p"), depth=depth)


def test_a_chain_of_tasks_ends_at_its_limit_and_says_so() -> None:
    follow, policies = rule("follow", "task.completed"), {}
    policies["follow"] = Policy(
        sha256="p", rule=follow, agent=Agent(name="claude", command=("claude",))
    )
    chained = routing.prepare([follow], policies, (), (), chain_depth=2)
    assert [len(chained.route(ended(depth)).drafts) for depth in (1, 2, 3)] == [1, 1, 0]
    routed = chained.route(ended(3))
    assert (routed.state, routed.reason) == (DeliveryState.IGNORED, "chain_too_deep")


def test_an_end_that_nobody_follows_is_too_deep_for_nobody() -> None:
    assert router(rule()).route(ended(99)).reason == "event_not_wanted"
