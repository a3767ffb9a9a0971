"""An App is asked for what the rules in use need, by name and level, and for nothing more."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from covend.config.github_events import GITHUB_EVENTS
from covend.core.app_events import ACTIONS_TO_WRITERS, AUTOMATIC, EVENT_PERMISSIONS
from covend.core.app_needs import LEVELS, AppNeeds, app_needs, describe
from covend.core.model import EffectKind
from covend.core.outside import Schedule
from covend.core.scopes import GRANTS
from covend.core.settings import Checkout, Rule, Settings

READ_ALWAYS = {"metadata": "read"}
FOR_COMMANDS = {"issues": "write", "pull_requests": "write"}
COMMENTS = {"issue_comment", "pull_request_review", "pull_request_review_comment"}
PUBLISHED = [kind for kind in GRANTS if kind is not EffectKind.DISMISSAL]


def rule(*on: str, **changes: Any) -> Rule:
    plain = {"name": "r", "agent": "a", "prompt": "", "checkout": Checkout.NONE}
    return Rule(on=on, **{**plain, **changes})


def needs(*rules: Rule, schedules: tuple[Schedule, ...] = ()) -> AppNeeds:
    return app_needs(Settings(state_dir=Path(), rules=rules, schedules=schedules))


def events(*rules: Rule) -> set[str]:
    return {each.name for each in needs(*rules).events}


def test_without_rules_nothing_is_asked_for_but_what_every_app_has() -> None:
    assert (needs().levels, needs().events) == (READ_ALWAYS, ())


def test_a_review_of_pull_requests_needs_just_this() -> None:
    found = needs(
        rule(
            "pull_request.opened",
            checkout=Checkout.HEAD,
            publish=(EffectKind.CHECK, EffectKind.REVIEW),
        )
    )
    assert found.levels == READ_ALWAYS | FOR_COMMANDS | {"checks": "write", "contents": "read"}
    assert {each.name for each in found.events} == COMMENTS | {"pull_request"}


@pytest.mark.parametrize("kind", PUBLISHED)
def test_whatever_is_published_is_permitted_as_its_requests_ask(kind: EffectKind) -> None:
    """The table of requests is `scopes`; a rule about both kinds of thread meets all of it."""
    given = needs(rule("issue_comment", publish=(kind,))).levels
    for name, level in GRANTS[kind].items():
        assert LEVELS.index(given[name]) >= LEVELS.index(level), name


def test_a_checkout_reads_and_only_a_pull_request_writes_contents() -> None:
    assert "contents" not in needs(rule("issues.opened")).levels
    assert needs(rule("issues.opened", checkout=Checkout.BASE)).levels["contents"] == "read"
    proposing = rule("push", checkout=Checkout.HEAD, publish=(EffectKind.PULL_REQUEST,))
    assert needs(proposing).levels["contents"] == "write"


def test_all_checks_of_a_head_are_read_and_their_ends_are_told() -> None:
    found = needs(rule("checks.passed"))
    assert (found.levels["checks"], found.levels["statuses"]) == ("read", "read")
    told = {each.name for each in found.events}
    assert {"check_run", "check_suite", "status", "pull_request"} <= told


def test_a_command_comes_by_every_kind_of_comment() -> None:
    assert events(rule("command.fix")) == COMMENTS | {"pull_request", "issues"}


def test_what_ends_work_is_told_also_to_a_rule_that_does_not_name_it() -> None:
    assert "pull_request" in events(rule("pull_request_review.submitted"))
    assert "issues" in events(rule("issue_comment.created"))
    assert "issues" not in events(rule("pull_request.opened"))


def test_some_actions_of_checks_are_told_to_writers_alone() -> None:
    assert needs(rule("check_run.completed")).levels["checks"] == "read"
    assert needs(rule("check_run.rerequested")).levels["checks"] == "write"


def test_a_star_raises_no_permission_and_takes_what_the_others_let_through() -> None:
    wide = needs(rule("*"))
    assert wide.levels == READ_ALWAYS | FOR_COMMANDS
    told = {each.name for each in wide.events}
    assert {"issues", "pull_request_review_thread", "star"} <= told
    assert not told & {"push", "workflow_run"}
    assert "push" in events(rule("*", checkout=Checkout.HEAD))


def test_a_glob_over_events_of_one_permission_asks_for_it() -> None:
    assert needs(rule("workflow_*")).levels.get("actions") is None  # workflow_dispatch: contents
    assert needs(rule("deployment*")).levels["deployments"] == "read"
    assert "deployment_status" in events(rule("deployment*"))


def test_what_a_rule_refuses_as_a_whole_is_not_asked_for() -> None:
    assert "deployment" not in events(rule("deployment*", "!deployment"))
    assert "deployment" in events(rule("deployment*", "!deployment.created"))


def test_a_schedule_or_another_sender_needs_no_event_of_githubs() -> None:
    weekly = Schedule(name="w", cron="0 6 * * 1", rule="r", repository="acme/till")
    publish = (EffectKind.PULL_REQUEST,)
    by_clock = needs(rule(checkout=Checkout.HEAD, publish=publish), schedules=(weekly,))
    assert {each.name for each in by_clock.events} == COMMENTS
    assert by_clock.levels["contents"] == "write"
    foreign = needs(rule("forge:push"))
    assert (foreign.levels, {each.name for each in foreign.events}) == (
        READ_ALWAYS | FOR_COMMANDS,
        COMMENTS,
    )


def test_each_need_names_the_rules_that_miss_something_without_it() -> None:
    found = needs(
        rule("push", name="one", checkout=Checkout.HEAD),
        rule("push", name="two", checkout=Checkout.HEAD, publish=(EffectKind.PULL_REQUEST,)),
    )
    by_name = {each.name: each for each in (*found.permissions, *found.events)}
    assert by_name["contents"].rules == ("two",)
    assert by_name["push"].rules == ("one", "two")
    (line,) = [line for line in describe(found.permissions) if line.startswith("contents")]
    assert line == "contents: write (rule two: publishes pull_request)"
    assert by_name["issue_comment"].rules == ()


def test_what_was_not_given_is_named_and_more_than_needed_is_enough() -> None:
    found = needs(rule("push", checkout=Checkout.HEAD))
    given = {each.name for each in found.events}
    assert found.lacking(found.levels, given) == ()
    assert found.lacking({**found.levels, "contents": "admin"}, given) == ()
    short = found.lacking({**found.levels, "pull_requests": "read"}, given - {"push"})
    assert list(map(str, short)) == ["pull_requests: write", "push"]
    odd = found.lacking({**found.levels, "contents": "owner"}, given)
    assert list(map(str, odd)) == ["contents: read"]


def test_what_was_given_and_nobody_needs_is_named() -> None:
    found = needs(rule("push", checkout=Checkout.HEAD))
    assert found.beyond(found.levels) == ()
    given = {**found.levels, "contents": "write", "workflows": "write"}
    assert found.beyond(given) == ("contents: write", "workflows: write")


# --- GitHub's own word ----------------------------------------------------------------------------


def test_every_permission_is_one_that_github_has(shared: Path) -> None:
    document = json.loads((shared / "github" / "openapi-slim.json").read_text())
    known = document["components"]["schemas"]["app-permissions"]["properties"]
    assert set(EVENT_PERMISSIONS.values()) <= set(known)
    every = [rule("*", name=kind, publish=(kind,), checkout=Checkout.HEAD) for kind in PUBLISHED]
    for name, level in needs(*every, rule("checks.failed", name="c")).levels.items():
        assert level in known[name]["enum"], name


def test_every_event_is_one_that_a_rule_can_ask_for() -> None:
    assert set(EVENT_PERMISSIONS) | AUTOMATIC <= set(GITHUB_EVENTS)
    assert not set(EVENT_PERMISSIONS) & AUTOMATIC
    names = {f"{event}.{each}" for event, told in GITHUB_EVENTS.items() for each in told}
    assert names >= ACTIONS_TO_WRITERS


def test_what_was_recorded_of_apps_can_be_subscribed_to(shared: Path) -> None:
    """The recorded events carry an installation: they were told to Apps."""
    seen = set()
    for path in (shared / "github" / "payloads").glob("*.json"):
        if "installation" in json.loads(path.read_text()):
            seen.add(path.name.partition(".")[0])
    assert "pull_request" in seen
    assert seen <= set(EVENT_PERMISSIONS) | AUTOMATIC
