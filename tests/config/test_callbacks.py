"""A callback that could never be made, or not safely, is told where it is written."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from pathlib import Path

import pytest

from covend.config.load import Inspection
from covend.core.outside import Callback
from tests.config.files import ENVIRON, GOOD, look

WHSEC = "whsec_" + base64.b64encode(b"k" * 32).decode()
CALLING = GOOD.replace('publish = ["comment"]', 'publish = ["comment", "callback"]')


def table(**changes: str) -> str:
    keys = {
        "url": '"https://bridge.example.org/hooks/"',
        "secrets": '[{ env = "BRIDGE" }]',
        "events": '["task.completed"]',
    } | changes
    return "[callbacks.bridge]\n" + "".join(f"{key} = {value}\n" for key, value in keys.items())


def seen(
    tmp_path: Path, text: str, secrets: Mapping[str, str] | None = None, whole: str = CALLING
) -> Inspection:
    return look(tmp_path, f"{whole}{text}", {**ENVIRON, "BRIDGE": WHSEC, **(secrets or {})})


def test_a_callback_is_read_as_it_is_written(tmp_path: Path) -> None:
    inspection = seen(tmp_path, table(allow_addresses='["10.0.0.0/8"]'))
    assert inspection.settings is not None
    assert inspection.warnings == ()
    found = inspection.settings.callbacks["bridge"]
    assert [secret.reveal() for secret in found.secrets] == [WHSEC]
    assert found == Callback(
        name="bridge",
        url="https://bridge.example.org/hooks/",
        secrets=found.secrets,
        allow_addresses=("10.0.0.0/8",),
        events=("task.completed",),
    )


@pytest.mark.parametrize(
    ("changes", "key", "words"),
    [
        ({"url": '"http://h.example"'}, "url", "https://"),
        ({"url": '"http://127.0.0.1:9"'}, "url", "https://"),
        ({"url": '"ftp://h.example"'}, "url", "https://"),
        ({"url": '"https://u:p@h.example"'}, "url", "user name"),
        ({"url": '"https://h.example/#a"'}, "url", "after '#'"),
        ({"url": '"https://h.example/a b"'}, "url", "without blanks"),
        ({"url": "'https://h.example\\@127.0.0.1'"}, "url", "backslashes"),
        ({"url": '"https://m\u00fcnchen.example"'}, "url", "ASCII"),
        ({"url": '"https://127.1/"'}, "url", "another form"),
        ({"url": '"https://0x7f.0.0.1/"'}, "url", "another form"),
        ({"url": '"https://2130706433/"'}, "url", "another form"),
        ({"url": '"https://h.example./"'}, "url", "ends in a dot"),
        ({"url": '"https://[fe80::1%25eth0]/"'}, "url", "zone"),
        ({"url": '"https://10.0.0.1/"'}, "url", "allow_addresses"),
        ({"url": '"https://[::1]/"'}, "url", "this machine"),
        ({"url": '"https://[64:ff9b::7f00:1]/"'}, "url", "NAT64"),
        ({"url": '"https://localhost/"'}, "url", "this machine"),
        (
            {"url": '"http://10.0.0.1/"', "allow_addresses": '["192.168.0.0/16"]'},
            "url",
            "can never be called",
        ),
        ({"allow_addresses": '["10.0.0.1/8"]'}, "allow_addresses[0]", "address range"),
        ({"events": '["task.complete"]'}, "events[0]", "must be one of"),
        ({"events": '["task.failed", "task.failed"]'}, "events", "twice"),
        ({"events": "[]"}, "events", "empty"),
        ({"secrets": "[]"}, "secrets", "empty"),
        (
            {"secrets": '[{ env = "BRIDGE" }, { env = "BRIDGE" }]'},
            "secrets[1]",
            "the same secret",
        ),
        ({"secret": '{ env = "BRIDGE" }'}, "secret", "not a known key"),
    ],
)
def test_what_cannot_be_right_is_an_error_at_its_key(
    tmp_path: Path, changes: dict[str, str], key: str, words: str
) -> None:
    inspection = seen(tmp_path, table(**changes))
    assert [problem.key for problem in inspection.errors] == [f"callbacks.bridge.{key}"]
    assert words in inspection.errors[0].message


@pytest.mark.parametrize(
    "changes",
    [
        {"url": '"http://10.1.2.3:8080/"', "allow_addresses": '["10.0.0.0/8"]'},
        {"url": '"http://bridge.internal/"', "allow_addresses": '["10.0.0.0/8"]'},
        {"url": '"http://localhost:9000/"', "allow_addresses": '["127.0.0.0/8", "::1/128"]'},
        {"url": '"https://[2606:4700::1111]/"'},
        {"url": '"https://bridge.example/?token=x"'},
    ],
)
def test_a_receiver_of_ones_own_is_let_through_by_its_network(
    tmp_path: Path, changes: dict[str, str]
) -> None:
    inspection = seen(tmp_path, table(**changes))
    assert inspection.errors == ()
    assert inspection.warnings == ()


@pytest.mark.parametrize(
    ("secret", "words"),
    [
        ("whsec_???", "no base64"),
        ("whsec_" + base64.b64encode(b"k" * 8).decode(), "8 bytes"),
        ("whsk_" + "A" * 40, "key pair"),
    ],
)
def test_a_secret_that_cannot_sign_is_an_error_that_does_not_show_it(
    tmp_path: Path, secret: str, words: str
) -> None:
    inspection = seen(tmp_path, table(), {"BRIDGE": secret})
    assert [problem.key for problem in inspection.errors] == ["callbacks.bridge.secrets[0]"]
    assert words in inspection.errors[0].message
    assert secret not in str(inspection.errors)


@pytest.mark.parametrize(
    ("text", "whole", "secret", "key", "words"),
    [
        ("", CALLING, WHSEC, "rules[0].publish[1]", "calls nobody back"),
        (table(), GOOD, WHSEC, "callbacks.bridge", "called by no rule"),
        (table(), CALLING, "short", "callbacks.bridge.secrets[0]", "shorter than 24 bytes"),
        (
            table(allow_addresses='["0.0.0.0/0"]'),
            CALLING,
            WHSEC,
            "callbacks.bridge.allow_addresses[0]",
            "every address",
        ),
    ],
)
def test_what_is_unwise_is_a_warning_and_stops_nothing(
    tmp_path: Path, text: str, whole: str, secret: str, key: str, words: str
) -> None:
    inspection = seen(tmp_path, text, {"BRIDGE": secret}, whole)
    assert inspection.settings is not None
    (warning,) = inspection.warnings
    assert warning.key == key
    assert words in warning.message
