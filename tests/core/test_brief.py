from __future__ import annotations

from pathlib import PurePosixPath
from typing import Any

import orjson
import pytest

from covend.core.contract.brief import Places, brief_of, environment_of, without_credentials
from covend.core.model import (
    Claim,
    ClaimToken,
    Command,
    DeliveryId,
    Subject,
    SubjectType,
    Task,
    TaskId,
    Trust,
)
from covend.core.settings import Agent, Policy, Preset, Rule
from covend.core.states import TaskState

SUBJECT = Subject(
    type=SubjectType.PULL_REQUEST,
    number=7,
    title="Turn the widget",
    url="https://forge/acme/widget/pull/7",
    author="ada",
    head_sha="a" * 40,
    base_sha="b" * 40,
)
DEADLINE = 1_700_000_000_999


def claim(**changes: Any) -> Claim:
    values: dict[str, Any] = {
        "id": TaskId("01task"),
        "state": TaskState.RUNNING,
        "reason": "",
        "not_before_at": 0,
        "rule": "review",
        "agent": "claude",
        "priority": 0,
        "key": "k",
        "generation": 1,
        "policy": "p",
        "trust": Trust.WRITE,
        "event": "pull_request.opened",
        "installation_id": 1,
        "repository_id": 2,
        "repository": "acme/widget",
        "default_branch": "main",
        "clone_url": "https://someone:secret@forge/acme/widget.git",
        "subject": SUBJECT,
        "command": None,
        "needs": frozenset(),
        "delivery": DeliveryId("d1"),
        "attempts": 2,
        "failures": 0,
        "infrastructure_failures": 0,
        "created_at": 0,
        "updated_at": 0,
        "finished_at": None,
        "conclusion": None,
        "summary": None,
        "error_code": None,
        "error_message": None,
        "cost_usd": None,
    }
    task = Task(**{**values, **changes})
    return Claim(task=task, attempt=2, token=ClaimToken("t"), lease_until=0, started_at=0)


AGENT = Agent(name="claude", preset=Preset.CLAUDE, command=("claude",), env=("API_KEY", "UNSET"))
POLICY = Policy(
    sha256="0", rule=Rule(name="review", on=("x",), agent="claude", prompt=""), agent=AGENT
)
PLACES = Places(
    workspace=PurePosixPath("/w"), brief=PurePosixPath("/x/b"), result=PurePosixPath("/x/r")
)


def test_the_brief_has_the_contracts_fields_and_no_others() -> None:
    assert brief_of(claim(), POLICY, "do it", DEADLINE) == {
        "contract": 1,
        "task": {"id": "01task", "rule": "review", "attempt": 2},
        "event": {
            "source": "github",
            "name": "pull_request",
            "action": "opened",
            "delivery": "d1",
        },
        "repository": {
            "full_name": "acme/widget",
            "default_branch": "main",
            "url": "https://forge/acme/widget.git",
        },
        "subject": {
            "type": "pull_request",
            "number": 7,
            "title": "Turn the widget",
            "url": "https://forge/acme/widget/pull/7",
            "author": "ada",
            "head_sha": "a" * 40,
            "base_sha": "b" * 40,
        },
        "command": None,
        "inputs": {},
        "trust": "write",
        "prompt": "do it",
        "previous": {"session": None, "result": None},
        "deadline": 1_700_000_000,
    }


def test_a_command_and_an_earlier_attempt_stand_in_the_brief() -> None:
    command = Command(verb="fix", text="the leak", actor="ada", comment_id=1, place="review")
    brief = brief_of(
        claim(command=command, event="push"),
        POLICY,
        "p",
        DEADLINE,
        previous_session="s",
        previous_result={"summary": "x"},
    )
    assert brief["command"] == {"verb": "fix", "text": "the leak", "actor": "ada"}
    assert brief["previous"] == {"session": "s", "result": {"summary": "x"}}
    assert brief["event"]["action"] is None
    orjson.dumps(brief)


@pytest.mark.parametrize(
    ("url", "clean"),
    [
        ("https://u:p@h:1/r.git", "https://h:1/r.git"),
        ("https://t@h/r", "https://h/r"),
        ("https://h/r@v", "https://h/r@v"),
        ("", None),
        (None, None),
    ],
)
def test_a_url_loses_its_credentials(url: str | None, clean: str | None) -> None:
    assert without_credentials(url) == clean


ENVIRON = {
    "PATH": "/bin",
    "HOME": "/home/a",
    "LANG": "C.UTF-8",
    "API_KEY": "k",
    "COVEND_WEBHOOK_SECRET": "s",
    "NOTIFY_SOCKET": "/run/n",
    "CREDENTIALS_DIRECTORY": "/run/c",
    "LD_LIBRARY_PATH": "/tmp/bundle",
}


def environment(agent: Agent = AGENT) -> dict[str, str]:
    return environment_of(claim(), agent, PLACES, DEADLINE, ENVIRON)


def test_the_environment_is_the_allow_list_and_the_task() -> None:
    tool = {name: value for name, value in environment().items() if "CLAUDE" in name}
    assert tool["CLAUDE_CODE_MAX_RETRIES"] == "2"
    assert environment() == {
        "PATH": "/bin",
        "HOME": "/home/a",
        "LANG": "C.UTF-8",
        "API_KEY": "k",
        **tool,
        "DISABLE_AUTOUPDATER": "1",
        "COVEND_TASK": "01task",
        "COVEND_ATTEMPT": "2",
        "COVEND_BRIEF": "/x/b",
        "COVEND_RESULT": "/x/r",
        "COVEND_WORKSPACE": "/w",
        "COVEND_DEADLINE": "1700000000",
    }


def test_an_agent_can_never_be_let_through_to_the_daemons_own_variables() -> None:
    greedy = Agent(name="x", command=("x",), env=("COVEND_WEBHOOK_SECRET", "COVEND_TASK"))
    assert "COVEND_WEBHOOK_SECRET" not in environment(greedy)
    assert environment(greedy)["COVEND_TASK"] == "01task"


@pytest.mark.parametrize(
    "name",
    ["NOTIFY_SOCKET", "CREDENTIALS_DIRECTORY", "LISTEN_FDS", "WATCHDOG_PID", "COVEND_CONFIG"],
)
def test_what_was_meant_for_the_daemon_alone_reaches_no_agent(name: str) -> None:
    greedy = Agent(name="x", command=("x",), env=(name,))
    passed = environment_of(claim(), greedy, PLACES, DEADLINE, {**ENVIRON, name: "x"})
    assert name not in passed


@pytest.mark.parametrize("name", ["LD_LIBRARY_PATH", "GITHUB_TOKEN", "LC_ALL", "SSH_AUTH_SOCK"])
def test_what_nobody_let_through_is_not_inherited(name: str) -> None:
    assert name not in environment_of(claim(), AGENT, PLACES, DEADLINE, {**ENVIRON, name: "x"})


def test_there_is_always_a_path() -> None:
    assert environment_of(claim(), AGENT, PLACES, DEADLINE, {})["PATH"]
