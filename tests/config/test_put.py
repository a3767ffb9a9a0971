"""A key is put where it is missing or nobody's, and nothing else of the text changes."""

from __future__ import annotations

import pytest

from covend.config.put import PLACEHOLDER, put_app_id, put_public_url

KEPT = '# mine\n[github]  # the forge\n{}private_key = {{ file = "k" }} # keep\n\n[limits]\n'


def test_the_placeholder_gives_way_and_its_comment_too() -> None:
    text = KEPT.format(f"app_id =   123456   # {PLACEHOLDER}: the App ID\n")
    assert put_app_id(text, 42) == KEPT.format("app_id =   42\n")


def test_a_missing_number_is_written_below_its_table() -> None:
    assert put_app_id(KEPT.format(""), 42) == KEPT.format("app_id = 42\n")


def test_line_ends_stay_what_they_are() -> None:
    text = KEPT.format(f"app_id = 1 # {PLACEHOLDER}\n").replace("\n", "\r\n")
    assert put_app_id(text, 42) == KEPT.format("app_id = 42\n").replace("\n", "\r\n")


@pytest.mark.parametrize(
    "text",
    [
        "[github]\napp_id = 123456\n",
        "[github]\napp_id = 7 # mine\n",
        f"[github]\napp_id = 1_000 # {PLACEHOLDER}\n",
        'github = { private_key = { file = "k" } }\n',
        "github.private_key.file = 'k'\n",
        "[limits]\n",
    ],
    ids=["example", "other", "odd", "inline", "dotted", "none"],
)
def test_what_somebody_has_written_is_never_changed(text: str) -> None:
    assert put_app_id(text, 42) is None


def test_the_public_address_is_added_and_never_changed() -> None:
    text = "[server] # s\nlisten = 'x'\n"
    wanted = "[server] # s\npublic_url = \"https://h\"\nlisten = 'x'\n"
    assert put_public_url(text, "https://h") == wanted
    assert put_public_url(wanted, "https://other") is None
    assert put_public_url("server.listen = 'x'\n", "https://h") is None


def test_the_example_of_the_project_has_a_placeholder() -> None:
    from tests.conftest import ROOT

    changed = put_app_id((ROOT / "config.example.toml").read_text(), 42)
    assert changed is not None
    assert "app_id = 42\n" in changed
