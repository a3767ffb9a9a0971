"""What stands between covend and GitHub is named with its mend, as GitHub itself tells it."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import pytest

from covend.core.model import EffectKind
from covend.core.secret import Secret
from covend.core.settings import GitHub, Rule, Server, Settings
from covend.demo import payloads
from covend.demo.github import StandInGitHub, new_key
from covend.demo.github.deliveries import write_down
from covend.demo.github.description import Description
from covend.demo.payloads.on_app import ping_of
from covend.doctor import github as checks
from covend.doctor.finding import Case, Finding, Level
from covend.edges.github import direct

HOOK = "https://covend.example.org/webhooks/github"
REVIEW = Rule(
    name="review",
    on=("pull_request.opened",),
    agent="a",
    prompt="",
    publish=(EffectKind.CHECK, EffectKind.REVIEW),
)


@pytest.fixture
async def github(description: Description | None) -> AsyncIterator[StandInGitHub]:
    async with StandInGitHub(description=description) as github:
        github.state.app_hook.secret = "s"
        yield github
        assert github.violations == []


def settings(github: StandInGitHub, **changes: Any) -> Settings:
    app = GitHub(
        app_id=github.state.app.id,
        private_key=Secret(github.key.private),
        api_url=github.api_url,
    )
    of_github = replace(app, **changes.pop("app", {}))
    return Settings(state_dir=Path("state"), github=of_github, rules=(REVIEW,), **changes)


async def look(told: Settings, *, is_offline: bool = False) -> dict[str, Finding]:
    case = Case(
        settings=told,
        environ={},
        ask=lambda _path: "nobody",
        is_root=False,
        is_offline=is_offline,
    )
    found = await anyio.to_thread.run_sync(checks.check_github, case)
    for each in found:
        assert bool(each.fix) is (each.level is not Level.OK), each
    return {each.name: each for each in found}


def log(github: StandInGitHub, *statuses: int) -> None:
    """Write down deliveries of their own, the oldest first."""
    state = github.state
    payload = ping_of(state.site, state.app, state.now())
    for number, status in enumerate(statuses):
        guid = f"00000000-0000-4000-8000-{number:012}"
        body = payloads.encode(payload)
        write_down(state, payload, payloads.signed(body, "s", "ping", guid), status_code=status)


async def test_where_all_is_well_each_thing_is_told(github: StandInGitHub) -> None:
    log(github, 200, 202)
    found = await look(settings(github, server=Server(public_url="https://covend.example.org/")))
    assert {name: each.level.value for name, each in found.items()} == dict.fromkeys(
        (
            "clock",
            "github_app",
            "github_permissions",
            "github_events",
            "github_installations",
            "webhook",
            "webhook_deliveries",
            "github_rate",
        ),
        "ok",
    )
    assert "covend-demo, of acme" in found["github_app"].what
    assert "the last 2 all arrived" in found["webhook_deliveries"].what


async def test_offline_asks_nobody_and_says_nothing(github: StandInGitHub) -> None:
    assert await look(settings(github), is_offline=True) == {}
    assert github.requests == []


async def test_without_an_app_or_a_token_nothing_is_looked_at(github: StandInGitHub) -> None:
    nobody = settings(github, app={"app_id": None, "private_key": None})
    assert await look(nobody) == {}


# --- the way there --------------------------------------------------------------------------------


async def test_a_github_that_is_not_reached_is_one_finding(github: StandInGitHub) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    found = await look(settings(github, app={"api_url": f"http://127.0.0.1:{port}"}))
    assert [(each.name, each.level) for each in found.values()] == [("github", Level.FAILED)]
    assert "--offline" in found["github"].fix


async def test_a_github_that_never_answers_is_waited_for_only_so_long(
    github: StandInGitHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(direct, "ASK_S", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        found = await look(settings(github, app={"api_url": address}))
    assert "no answer within 0.2 s" in found["github"].what


@pytest.mark.parametrize(
    ("ahead_s", "level", "words"),
    [
        (3_600, Level.FAILED, "behind GitHub's"),
        (-3_600, Level.FAILED, "ahead of GitHub's"),
        (-75, Level.FAILED, "ahead of GitHub's"),
        (300, Level.WARNING, "behind GitHub's"),
        (-45, Level.WARNING, "ahead of GitHub's"),
        (0, Level.OK, "the same moment"),
    ],
)
async def test_a_clock_that_is_off_is_named_with_its_mend(
    ahead_s: int, level: Level, words: str, description: Description | None
) -> None:
    """The stand-in's clock is ahead of ours, and its refusals are GitHub's."""

    def clock() -> datetime:
        return datetime.now(UTC) + timedelta(seconds=ahead_s)

    async with StandInGitHub(description=description, clock=clock) as elsewhere:
        found = await look(settings(elsewhere))
    assert (found["clock"].level, words in found["clock"].what) == (level, True)
    assert ("NTP" in found["clock"].fix) is (level is not Level.OK)
    is_refused = level is Level.FAILED
    assert ("github_app" in found) is not is_refused, "a wrong key is not the cause"


async def test_a_key_of_another_app_is_named(github: StandInGitHub) -> None:
    wrong = {"private_key": Secret(new_key().private)}
    found = await look(settings(github, app=wrong))
    assert found["github_app"].level is Level.FAILED
    assert "does not take github.private_key" in found["github_app"].what
    assert "github_permissions" not in found


async def test_a_number_of_no_app_is_named(github: StandInGitHub) -> None:
    found = await look(settings(github, app={"app_id": 1}))
    assert "knows no App 1" in found["github_app"].what


async def test_a_limit_that_is_nearly_used_up_is_told(github: StandInGitHub) -> None:
    assert (await look(settings(github)))["github_rate"].level is Level.OK
    github.state.requests_per_hour = sum(github.state.spent.values()) + 1
    found = await look(settings(github))
    assert found["github_rate"].level is Level.WARNING
    assert found["github_app"].level is Level.OK
    assert "rate limit exceeded" in found["github_installations"].what


# --- what was granted -----------------------------------------------------------------------------


async def test_a_permission_that_the_app_lacks_names_the_rule(github: StandInGitHub) -> None:
    github.state.app_permissions["checks"] = "read"
    found = await look(settings(github))
    lacks = found["github_permissions"]
    assert lacks.level is Level.FAILED
    assert "checks: write (rule review: publishes check)" in lacks.what
    assert "/organizations/acme/settings/apps/covend-demo/permissions" in lacks.fix


async def test_more_than_is_needed_is_told(github: StandInGitHub) -> None:
    github.state.app_permissions["actions"] = "read"
    told = (await look(settings(github)))["github_permissions"]
    assert (told.level, "and for more: actions: read" in told.what) == (Level.OK, True)


async def test_what_only_covends_own_commands_miss_is_a_warning(github: StandInGitHub) -> None:
    github.state.app_events.remove("issue_comment")
    found = await look(settings(github))
    assert found["github_events"].level is Level.WARNING
    github.state.app_events.remove("pull_request")
    found = await look(settings(github))
    assert found["github_events"].level is Level.FAILED
    assert "rule review: listens to it" in found["github_events"].what


async def test_an_account_that_has_not_accepted_is_named(github: StandInGitHub) -> None:
    github.state.permissions["checks"] = "read"
    found = await look(settings(github))
    assert found["github_permissions"].level is Level.OK
    one = found["github_installation.1"]
    assert (one.level, "acme has not granted checks: write" in one.what) == (Level.FAILED, True)
    assert "/settings/installations/1" in one.fix


async def test_an_app_that_is_installed_nowhere_is_told(github: StandInGitHub) -> None:
    github.state.is_installed = False
    found = await look(settings(github))
    assert found["github_installations"].level is Level.WARNING
    assert "/apps/covend-demo/installations/new" in found["github_installations"].fix


# --- the webhook ----------------------------------------------------------------------------------


async def test_a_webhook_that_leads_elsewhere_fails(github: StandInGitHub) -> None:
    elsewhere = Server(public_url="https://other.example.org")
    found = await look(settings(github, server=elsewhere))
    assert found["webhook"].level is Level.FAILED
    assert HOOK in found["webhook"].what
    assert "https://other.example.org/webhooks/github" in found["webhook"].what


@pytest.mark.parametrize(
    ("change", "level", "words"),
    [
        ({"url": ""}, Level.FAILED, "no webhook"),
        ({"secret": ""}, Level.FAILED, "no secret"),
        ({"insecure_ssl": "1"}, Level.WARNING, "does not verify"),
    ],
    ids=["url", "secret", "tls"],
)
async def test_a_webhook_that_is_not_set_as_it_must_is_told(
    change: dict[str, str], level: Level, words: str, github: StandInGitHub
) -> None:
    for name, value in change.items():
        setattr(github.state.app_hook, name, value)
    found = (await look(settings(github)))["webhook"]
    assert (found.level, words in found.what) == (level, True)


@pytest.mark.parametrize(
    ("statuses", "level", "words"),
    [
        ((200, 401), Level.FAILED, "1 of the last 2 did not arrive (1 x 401)"),
        ((401, 200), Level.WARNING, "the signature did not fit"),
        ((502, 502, 503), Level.FAILED, "2 x 502, 1 x 503"),
        ((302,), Level.OK, "all arrived"),
        ((), Level.OK, "nothing"),
    ],
    ids=["now", "then", "several", "redirect", "none"],
)
async def test_deliveries_that_did_not_arrive_are_counted_by_their_status(
    statuses: tuple[int, ...], level: Level, words: str, github: StandInGitHub
) -> None:
    log(github, *statuses)
    found = (await look(settings(github)))["webhook_deliveries"]
    assert (found.level, words in found.what) == (level, True), found
    assert ("covend reconcile" in found.fix) is (level is not Level.OK)


async def test_what_arrived_at_a_second_try_has_arrived(github: StandInGitHub) -> None:
    log(github, 502)
    log(github, 202)  # the same delivery once more
    found = (await look(settings(github)))["webhook_deliveries"]
    assert (found.level, "the last 1 all arrived" in found.what) == (Level.OK, True)


# --- a plain token --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("scopes", "level", "words"),
    [
        ("repo, admin:repo_hook", Level.OK, "repo, admin:repo_hook"),
        ("repo", Level.WARNING, "delivery log cannot be read"),
        ("gist", Level.FAILED, "cannot write to repositories"),
        (None, Level.OK, "cannot be seen"),
    ],
    ids=["all", "no hooks", "no repositories", "fine-grained"],
)
async def test_a_tokens_scopes_are_told_where_they_can_be_seen(
    scopes: str | None, level: Level, words: str, github: StandInGitHub
) -> None:
    github.add_personal_token("ghp_x", payloads.MAINTAINER, scopes=scopes)
    plain = {"app_id": None, "private_key": None, "token": Secret("ghp_x")}
    found = await look(settings(github, app=plain))
    told = found["github_token"]
    assert (told.level, words in told.what) == (level, True)
    assert "jonas-berg" in told.what


async def test_a_token_that_github_does_not_take_is_named_and_not_shown(
    github: StandInGitHub,
) -> None:
    plain = {"app_id": None, "private_key": None, "token": Secret("ghp_gone")}
    found = await look(settings(github, app=plain))
    assert found["github_token"].level is Level.FAILED
    assert "ghp_gone" not in str(found)
