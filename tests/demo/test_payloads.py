from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from covend.demo import payloads
from covend.demo.github import StandInGitHub
from covend.demo.records import Account, Scene

NOW = datetime(2025, 11, 21, 14, 30, tzinfo=UTC)
RECORDED_AS = {
    "push": "push.with_installation",
    "ping": "ping.app",
    "workflow_run.completed": "workflow_run.completed.with_pull_requests",
    "issue_comment.created": "issue_comment.created.with_installation",
}
OF_A_PULL_REQUEST = [name for name in payloads.SAMPLES if name.startswith("pull_request.")]


def scene(serial: int = 1) -> Scene:
    return payloads.scene(now=NOW, serial=serial, repository="mara-quist/till")


def key_paths(value: Any, above: str = "") -> Iterator[str]:
    """Every path of keys; the entries of a list share one."""
    if isinstance(value, dict):
        for key, below in value.items():
            yield f"{above}.{key}"
            yield from key_paths(below, f"{above}.{key}")
    elif isinstance(value, list):
        for below in value:
            yield from key_paths(below, f"{above}[]")


def recorded(shared: Path, name: str) -> Any:
    path = shared / "github" / "payloads" / f"{RECORDED_AS.get(name, name)}.json"
    return json.loads(path.read_text("utf-8"))


@pytest.mark.parametrize("name", OF_A_PULL_REQUEST)
def test_a_pull_request_event_has_githubs_size(name: str) -> None:
    body = payloads.encode(payloads.SAMPLES[name](scene()))
    assert 20_000 < len(body) < 30_000


@pytest.mark.parametrize("name", OF_A_PULL_REQUEST)
def test_github_has_every_key_of_our_pull_request_event(name: str, shared: Path) -> None:
    known: set[str] = set()
    for path in (shared / "github" / "payloads").glob("pull_request.*.json"):
        known |= set(key_paths(json.loads(path.read_text("utf-8"))))
    assert set(key_paths(payloads.SAMPLES[name](scene()))) <= known


@pytest.mark.parametrize("name", ["opened", "synchronize", "labeled", "closed"])
def test_a_pull_request_event_has_githubs_top_level_keys(name: str, shared: Path) -> None:
    ours = payloads.SAMPLES[f"pull_request.{name}"](scene())
    theirs = recorded(shared, f"pull_request.{name}")
    assert set(ours) == set(theirs)
    assert list(ours["pull_request"]) == list(theirs["pull_request"])
    assert list(ours["repository"]) == list(theirs["repository"])


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("issue_comment.created", "comment"),
        ("pull_request_review.submitted", "review"),
        ("pull_request_review.submitted", "pull_request"),
        ("pull_request_review_comment.created", "comment"),
        ("issues.opened", "issue"),
        ("push", "repository"),
        ("check_run.rerequested", "check_run"),
        ("check_suite.completed", "check_suite"),
        ("release.published", "release"),
        ("workflow_run.completed", "workflow_run"),
        ("workflow_run.completed", "workflow"),
        ("installation.created", "installation"),
    ],
)
def test_an_event_lacks_no_key_that_github_sends(name: str, part: str, shared: Path) -> None:
    ours = payloads.SAMPLES[name](scene())
    assert not set(recorded(shared, name)[part]) - set(ours[part])


def test_an_organizations_repository_says_so() -> None:
    shown = payloads.SAMPLES["push"](payloads.scene(now=NOW, serial=1))
    assert shown["organization"]["login"] == "acme"


@pytest.mark.parametrize("name", payloads.SAMPLES)
def test_another_serial_is_another_event(name: str) -> None:
    build = payloads.SAMPLES[name]
    differs = payloads.encode(build(scene(1))) != payloads.encode(build(scene(2)))
    assert differs or name in {"ping", "installation.created"}
    assert payloads.encode(build(scene(1))) == payloads.encode(build(scene(1)))


def test_an_event_without_an_action_is_its_usual_one() -> None:
    assert payloads.find_sample("pull_request") == "pull_request.opened"
    assert payloads.find_sample("push") == "push"
    assert payloads.find_sample("pull_request.closed") == "pull_request.closed"
    assert payloads.find_sample("nothing") is None


def test_the_scene_is_what_the_caller_says() -> None:
    sender = Account(login="eve", id=5)
    shown = payloads.SAMPLES["issue_comment.created"](
        payloads.scene(now=NOW, serial=1, number=12, sender=sender, text="@covend fix it")
    )
    assert shown["issue"]["number"] == 12
    assert shown["issue"]["pull_request"]["url"].endswith("/pulls/12")
    assert (shown["comment"]["body"], shown["sender"]["login"]) == ("@covend fix it", "eve")
    assert shown["comment"]["created_at"] == "2025-11-21T14:30:00Z"


def test_the_signature_is_the_documented_one() -> None:
    headers = payloads.signed(b"Hello, World!", "It's a Secret to Everybody", "ping", "guid")
    assert headers["X-Hub-Signature-256"] == (
        "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
    )


def test_the_headers_are_those_of_github() -> None:
    headers = payloads.signed(b"{}", b"key", "push", "7c1d")
    assert (headers["X-GitHub-Event"], headers["X-GitHub-Delivery"]) == ("push", "7c1d")
    assert headers["X-Hub-Signature"] == "sha1=" + hmac.new(b"key", b"{}", hashlib.sha1).hexdigest()
    assert headers["User-Agent"].startswith("GitHub-Hookshot/")
    assert {"X-GitHub-Hook-ID", "X-GitHub-Hook-Installation-Target-ID"} < set(headers)


def test_the_stand_ins_scene_is_the_pull_request_as_git_has_it(tmp_path: Path) -> None:
    github = StandInGitHub()
    till = github.host_till(tmp_path / "till.git")
    shown = payloads.SAMPLES["pull_request.synchronize"](github.scene(till, 7, serial=1))
    assert shown["after"] == till.git.commit_at("refs/pull/7/head")
    assert shown["pull_request"]["changed_files"] == 3
