"""Who may look, and who may do everything, is told apart by tokens that nobody else has."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.config.files import ENVIRON, GOOD, look

LONG = "0123456789abcdef0123456789abcdef"
ADMIN = '[admin]\ntoken = { env = "ADMIN" }\nreaders = { grafana = { env = "G" } }\n'


def test_readers_are_read_by_name(tmp_path: Path) -> None:
    found = look(tmp_path, GOOD + ADMIN, {**ENVIRON, "ADMIN": LONG, "G": LONG[::-1]})
    assert found.warnings == ()
    assert found.settings is not None
    readers = found.settings.admin.readers
    assert {name: token.reveal() for name, token in readers.items()} == {"grafana": LONG[::-1]}
    assert LONG[::-1] not in repr(found.settings)


def test_a_secret_of_a_reader_is_known_as_one(tmp_path: Path) -> None:
    found = look(tmp_path, GOOD + ADMIN, {**ENVIRON, "ADMIN": LONG, "G": LONG[::-1]})
    assert found.settings is not None
    assert {LONG, LONG[::-1]} <= set(found.settings.secret_texts())
    assert "G" in found.secret_variables


def test_a_reader_with_the_operators_token_is_an_error(tmp_path: Path) -> None:
    found = look(tmp_path, GOOD + ADMIN, {**ENVIRON, "ADMIN": LONG, "G": f" {LONG}"})
    (error,) = found.errors
    assert error.key == "admin.readers.grafana"
    assert "same token as admin.token" in error.message
    assert error.line is not None
    assert LONG not in str(error)


def test_two_readers_with_one_token_are_an_error(tmp_path: Path) -> None:
    text = f'{GOOD}[admin.readers]\none = {{ env = "G" }}\nother = {{ env = "G" }}\n'
    (error,) = look(tmp_path, text, {**ENVIRON, "G": LONG}).errors
    assert (error.key, "admin.readers.one" in error.message) == ("admin.readers.other", True)


def test_nobody_else_is_called_operator(tmp_path: Path) -> None:
    text = f'{GOOD}[admin.readers]\noperator = {{ env = "G" }}\n'
    (error,) = look(tmp_path, text, {**ENVIRON, "G": LONG}).errors
    assert error.key == "admin.readers.operator"


@pytest.mark.parametrize(
    ("name", "key"), [("ADMIN", "admin.token"), ("G", "admin.readers.grafana")]
)
def test_a_token_that_can_be_guessed_is_a_warning(tmp_path: Path, name: str, key: str) -> None:
    tokens = {"ADMIN": LONG, "G": LONG[::-1], name: "hunter2"}
    found = look(tmp_path, GOOD + ADMIN, {**ENVIRON, **tokens})
    assert found.settings is not None
    (warning,) = found.warnings
    assert warning.key == key
    assert "shorter than 20 characters" in warning.message
    assert "hunter2" not in str(warning)
