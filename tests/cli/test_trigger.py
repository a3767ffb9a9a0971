"""The command that sends covend an event of its own making."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from covend.demo.payloads import SAMPLES
from tests.cli.operator_desk import invoke

SECRET = "tell-nobody-of-this-webhook"
CONFIG = """\
[github]
token = { env = "TOKEN" }
webhook_secrets = [{ env = "HOOK" }, { env = "TOKEN" }]
"""
ENVIRON = {"TOKEN": "another secret", "HOOK": SECRET}
ANSWER = {"delivery": "d-1", "state": "routed", "reason": "matched", "tasks": ["t-1"]}


class Listener(HTTPServer):
    """Takes webhooks, and answers all of them alike."""

    status = 202
    answer: Any = ANSWER

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.got: list[tuple[dict[str, str], bytes]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def payload(self) -> Any:
        return json.loads(self.got[-1][1])


class _Handler(BaseHTTPRequestHandler):
    server: Listener

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.got.append((headers | {":path": self.path}, body))
        self.send_response(self.server.status)
        self.end_headers()
        self.wfile.write(json.dumps(self.server.answer).encode())

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def listener() -> Iterator[Listener]:
    with Listener() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "covend.toml"
    path.write_text(CONFIG)
    return path


def trigger(config: Path, *args: str, **environ: str) -> tuple[int, str, str]:
    done = invoke("trigger", *args, "--config", str(config), **ENVIRON | environ)
    return done.exit_code, done.stdout, done.stderr


def test_it_is_signed_by_the_first_secret_which_nobody_sees(
    config: Path, listener: Listener
) -> None:
    code, told, wrong = trigger(config, "pull_request", "--url", listener.url)
    assert (code, wrong) == (0, "")
    headers, body = listener.got[0]
    assert headers[":path"] == "/webhooks/github"
    assert headers["x-github-event"] == "pull_request"
    digest = hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
    assert headers["x-hub-signature-256"] == f"sha256={digest}"
    assert SECRET not in told
    assert SECRET.encode() not in body
    assert told.splitlines()[0].split() == ["pull_request.opened", "routed", "matched"]
    assert "covend logs -f t-1" in told


def test_each_call_is_another_event(config: Path, listener: Listener) -> None:
    for _ in range(2):
        trigger(config, "pull_request.synchronize", "--url", listener.url)
    (one, first), (other, second) = listener.got
    assert one["x-github-delivery"] != other["x-github-delivery"]
    heads = {json.loads(body)["pull_request"]["head"]["sha"] for body in (first, second)}
    assert len(heads) == 2


def test_what_is_made_up_takes_the_place_of_nothing_real(config: Path, listener: Listener) -> None:
    for _ in range(2):
        trigger(config, "pull_request", "--url", listener.url)
    numbers = {json.loads(body)["number"] for _, body in listener.got}
    assert len(numbers) == 2
    assert min(numbers) >= 900_000_000


def test_what_it_is_about_is_chosen(config: Path, listener: Listener) -> None:
    args = ("--repo", "other/shop", "--number", "41", "--text", "/covend fix it")
    trigger(config, "issue_comment", *args, "--url", listener.url)
    payload = listener.payload()
    assert payload["repository"]["full_name"] == "other/shop"
    assert payload["issue"]["number"] == 41
    assert payload["comment"]["body"] == "/covend fix it"


def test_values_are_set_at_paths_with_dots(config: Path, listener: Listener) -> None:
    sets = {
        "pull_request.draft": "true",
        "pull_request.title": "a plain text",
        "pull_request.milestone": '{"number": 4}',
        "pull_request.head.repo.id": "99",
        "pull_request.assignees.0.login": "eve",
        "new.thing": "null",
    }
    args = [part for path, value in sets.items() for part in ("--set", f"{path}={value}")]
    trigger(config, "pull_request", *args, "--url", listener.url)
    payload = listener.payload()
    pull = payload["pull_request"]
    assert (pull["draft"], pull["title"]) == (True, "a plain text")
    assert (pull["milestone"], pull["head"]["repo"]["id"]) == ({"number": 4}, 99)
    assert (pull["assignees"][0]["login"], payload["new"]) == ("eve", {"thing": None})


def test_what_was_typed_need_not_be_utf_8(config: Path, listener: Listener) -> None:
    odd = os.fsdecode(b"\xff")
    args = ("--text", odd, "--set", f"{odd}={odd}")
    assert trigger(config, "issue_comment", *args, "--url", listener.url)[0] == 0
    assert (listener.payload()["comment"]["body"], listener.payload()["?"]) == ("?", "?")


@pytest.mark.parametrize(
    ("args", "words"),
    [
        ((), "Name an event"),
        (("pull",), "There is no event 'pull' here"),
        (("push", "--repo", "nonsense"), "OWNER/NAME"),
        (("push", "--set", "nonsense"), "is not PATH=VALUE"),
        (("push", "--set", "commits.7.id=x"), "has no place 'commits.7'"),
        (("push", "--set", "ref.deeper=x"), "has no place 'ref.deeper'"),
        (("push", "--url", "nonsense"), "is no address"),
        (("push", "--url", "http://a..b"), "is no address"),
        (("push", "--url", "http://127.0.0.1:1/\u00fc"), "is no address"),
        (("push", "--url", "http://127.0.0.1:1/a b"), "is no address"),
        (("push", "--number", "0"), "not in the range"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_what_cannot_be_sent_is_a_usage_error(
    config: Path, args: tuple[str, ...], words: str
) -> None:
    code, told, wrong = trigger(config, *args)
    assert (code, told) == (2, "")
    assert words in wrong


def test_without_a_secret_it_says_where_one_belongs(config: Path) -> None:
    config.write_text("[sources.ci]\nkind = 'hmac'\n")
    assert trigger(config, "push")[0] == 78
    config.write_text(CONFIG)
    code, _, wrong = trigger(config, "push", HOOK="")
    assert code == 78
    assert "webhook_secrets" in wrong


def test_where_nobody_listens_it_says_so(config: Path, listener: Listener) -> None:
    gone = listener.url.rpartition(":")[0] + ":1"
    code, _, wrong = trigger(config, "push", "--url", gone)
    assert (code, "is it running?" in wrong) == (69, True)


@pytest.mark.parametrize(("status", "code"), [(401, 1), (503, 75), (400, 1)])
def test_what_covend_refuses_is_told_with_its_reason(
    config: Path, listener: Listener, status: int, code: int
) -> None:
    listener.status = status
    listener.answer = {"error": {"code": "x", "message": "Not \x1b[31mthis one."}}
    came, told, wrong = trigger(config, "push", "--url", listener.url)
    assert (came, told) == (code, "")
    assert f"covend refused it with {status}: Not" in wrong
    assert "\x1b" not in wrong


@pytest.mark.parametrize(
    ("code", "mend"), [("draining", "(covend resume)"), ("bad_signature", "name its --config")]
)
def test_what_can_be_mended_here_is_told_with_its_mend(
    config: Path, listener: Listener, code: str, mend: str
) -> None:
    listener.status = 503
    listener.answer = {"error": {"code": code, "message": "Not this one."}}
    assert mend in trigger(config, "push", "--url", listener.url)[2]


def test_every_event_there_is_can_be_sent(config: Path, listener: Listener) -> None:
    listed = trigger(config, "--list")[1].split()
    assert listed == list(SAMPLES)
    for name in listed:
        assert trigger(config, name, "--url", listener.url)[0] == 0, name
    assert len(listener.got) == len(listed)
