from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from covend.core.contract.result import parse_result
from covend.demo import agent, till
from covend.demo.git import clean_environment
from covend.demo.repository import BareRepository, demo_repository

BUG = till.planted_bug()


@pytest.fixture
def repository(tmp_path: Path) -> BareRepository:
    return demo_repository(tmp_path / "till.git")


@pytest.fixture
def workspace(repository: BareRepository, tmp_path: Path) -> Path:
    place = tmp_path / "workspace"
    argv = [
        "git",
        "clone",
        "--quiet",
        "--branch",
        till.PULL_BRANCH,
        str(repository.path),
        str(place),
    ]
    subprocess.run(argv, check=True, env=clean_environment())
    return place


def brief(repository: BareRepository, **more: Any) -> dict[str, Any]:
    ends = {
        "base_sha": repository.commit_at("main"),
        "head_sha": repository.commit_at(till.PULL_BRANCH),
    }
    return {"contract": 1, "repository": {"full_name": "acme/till"}, "subject": ends} | more


def perform(workspace: Path, what: dict[str, Any]) -> tuple[str, bytes]:
    paths = {name: workspace.parent / f"{name}.json" for name in ("brief", "result")}
    paths["brief"].write_text(json.dumps(what))
    environment = clean_environment() | {
        "COVEND_BRIEF": str(paths["brief"]),
        "COVEND_RESULT": str(paths["result"]),
        "COVEND_WORKSPACE": str(workspace),
    }
    done = subprocess.run(
        [sys.executable, "-I", agent.__file__],
        env=environment,
        cwd=workspace,
        capture_output=True,
        check=True,
        text=True,
    )
    return done.stdout, paths["result"].read_bytes()


def test_it_finds_the_planted_bug_and_nothing_else(
    repository: BareRepository, workspace: Path
) -> None:
    log, data = perform(workspace, brief(repository))
    result = json.loads(data)
    assert [(each["path"], each["line"]) for each in result["review"]["comments"]] == [
        (BUG.path, BUG.line)
    ]
    assert result["conclusion"] == "failure"
    assert "1 finding in 3 files" in result["summary"]
    assert "example agent: reading src/till/basket.py" in log


def test_its_result_keeps_the_contract(repository: BareRepository, workspace: Path) -> None:
    _, data = perform(workspace, brief(repository))
    assert parse_result(data).conclusion == "failure"


def test_its_suggestion_is_the_fix(repository: BareRepository, workspace: Path) -> None:
    perform(workspace, brief(repository, command={"verb": "fix", "text": "it", "actor": "mara"}))
    assert (workspace / BUG.path).read_text() == till.FIXED_FILES[BUG.path]
    argv = ["git", "-C", str(workspace), "log", "-1", "--format=%an: %s"]
    said = subprocess.run(argv, capture_output=True, text=True, check=True)
    assert said.stdout == "example agent: Fix 1 finding\n"


def test_the_fixed_head_is_a_success(repository: BareRepository, workspace: Path) -> None:
    perform(workspace, brief(repository, command={"verb": "fix", "text": "", "actor": "mara"}))
    _, data = perform(workspace, {"subject": None})
    assert json.loads(data)["conclusion"] == "success"


def test_without_a_diff_it_reads_every_file(workspace: Path) -> None:
    log, data = perform(workspace, {"subject": {"base_sha": "0" * 40, "head_sha": "1" * 40}})
    assert "no diff at hand" in log
    assert json.loads(data)["review"]["comments"][0]["line"] == BUG.line


def test_a_slip_outside_the_change_is_left_alone(
    repository: BareRepository, workspace: Path
) -> None:
    before = repository.commit_at(till.PULL_BRANCH)
    head = repository.push(7, {"src/till/__init__.py": "X = 1\n"}, "Elsewhere")
    argv = ["git", "-C", str(workspace), "pull", "--quiet", "origin", till.PULL_BRANCH]
    subprocess.run(argv, check=True, env=clean_environment())
    _, data = perform(workspace, {"subject": {"base_sha": before, "head_sha": head}})
    assert json.loads(data)["review"]["comments"] == []


@pytest.mark.parametrize(
    ("text", "severity", "suggestion"),
    [
        ("def f(a=[]):\n    return a\n", "error", None),
        ("def f(*, a={}):\n    return a\n", "error", None),
        ("try:\n    x()\nexcept:\n    pass\n", "error", "except Exception:"),
        ("if a == None:\n    pass\n", "warning", "if a is None:"),
        ("if a != None:\n    pass\n", "warning", "if a is not None:"),
        ("if total == 0.3:\n    pass\n", "error", None),
    ],
)
def test_it_knows_a_few_slips(text: str, severity: str, suggestion: str | None) -> None:
    (finding,) = agent.inspect("a.py", text)
    assert finding.severity == severity
    if suggestion:
        assert finding.suggestion == suggestion


@pytest.mark.parametrize(
    "text",
    [
        "def f(a=(), b=None):\n    return a\n",
        "try:\n    x()\nexcept ValueError:\n    pass\n",
        "if a is None:\n    pass\n",
        "this is not Python",
        "",
        "\0",
    ],
)
def test_it_leaves_good_code_alone(text: str) -> None:
    assert agent.inspect("a.py", text) == []


def test_it_rewrites_a_signature_only_where_that_is_plain() -> None:
    plain = agent.inspect("a.py", "def f(a: list[int] = []):\n    return a\n")[0]
    assert plain.suggestion == "def f(a: list[int] | None = None):\n    a = [] if a is None else a"
    for text in (
        'def f(a=[]):\n    """Documented."""\n',
        "def f(a=[]): return a\n",
        "def f(\n    a=[],\n):\n    return a\n",
        "def f(a=[], b={}):\n    return a\n",
    ):
        assert all(each.suggestion is None for each in agent.inspect("a.py", text))


def test_it_says_what_it_misses() -> None:
    done = subprocess.run(
        [sys.executable, "-I", agent.__file__], env={}, capture_output=True, check=False
    )
    assert done.returncode == 64
