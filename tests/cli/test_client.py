from __future__ import annotations

from pathlib import Path

import pytest

from covend.cli import client
from covend.cli.client import Target, find_target
from covend.cli.exits import CONFIG, NOT_PERMITTED, Failure
from covend.config.load import load
from covend.config.schema import AdminTable, ConfigTable
from covend.core.settings import Settings

GITHUB = '[github]\ntoken = { env = "T" }\nwebhook_secrets = [{ env = "T" }]\n'


def target(folder: Path, text: str, **environ: str) -> Target:
    config = folder / "covend.toml"
    config.write_text(f"{text}\n{GITHUB}")
    return find_target(config, environ)


def settings(folder: Path, environ: dict[str, str]) -> Settings:
    """What `serve` makes of the same file."""
    return load(folder / "covend.toml", environ, read_secrets=False)


def failure(folder: Path, text: str, **environ: str) -> tuple[int, str]:
    with pytest.raises(Failure) as raised:
        target(folder, text, **environ)
    return raised.value.exit_code, raised.value.message


def test_the_defaults_are_those_of_the_configuration() -> None:
    assert ConfigTable().state_dir == client.STATE_DIR
    assert AdminTable().listen == client.LISTEN


@pytest.mark.parametrize(
    ("text", "environ"),
    [
        ("", {}),
        ('[admin]\nlisten = "[::1]:9"', {}),
        ('[admin]\nlisten = "unix:/run/it"', {}),
        ('[admin]\nlisten = "127.0.0.1:9"', {"COVEND_ADMIN__LISTEN": "127.0.0.1:7"}),
    ],
)
def test_the_address_is_the_one_at_which_serve_listens(
    tmp_path: Path, text: str, environ: dict[str, str]
) -> None:
    found = target(tmp_path, text, **environ)
    admin = settings(tmp_path, environ).admin
    host = f"[{admin.host}]" if ":" in admin.host else admin.host
    expected = f"unix:{admin.socket}" if admin.socket else f"{host}:{admin.port}"
    assert found.address == expected


@pytest.mark.parametrize(
    ("text", "environ", "place"),
    [
        ('state_dir = "s"', {}, "s"),
        ('state_dir = "s"', {"COVEND_STATE_DIR": "t"}, "t"),
        ("", {"COVEND_STATE_DIR": "t"}, "t"),
    ],
)
def test_the_token_lies_where_serve_puts_it(
    tmp_path: Path, text: str, environ: dict[str, str], place: str
) -> None:
    (tmp_path / place).mkdir()
    file = tmp_path / place / "admin.token"
    file.write_text("made-by-serve\n")
    found = target(tmp_path, text, **environ)
    assert (found.token, found.token_from) == ("made-by-serve", str(file))
    assert settings(tmp_path, environ).state_dir == file.parent


def test_a_token_of_the_environment_goes_before_all_others(tmp_path: Path) -> None:
    found = target(tmp_path, '[admin]\ntoken = { env = "T" }', COVEND_ADMIN_TOKEN="mine")
    assert (found.token, found.token_from) == ("mine", "$COVEND_ADMIN_TOKEN")


def test_a_configured_token_is_read_as_serve_reads_it(tmp_path: Path) -> None:
    (tmp_path / "t").write_text("of-a-file\n")
    assert target(tmp_path, '[admin]\ntoken = { file = "t" }').token == "of-a-file"
    assert target(tmp_path, '[admin]\ntoken = { env = "T" }', T="of-env").token == "of-env"


def test_a_configured_token_that_cannot_be_read_is_77(tmp_path: Path) -> None:
    exit_code, message = failure(tmp_path, '[admin]\ntoken = { env = "TOKEN_OF_COVEND" }')
    assert exit_code == NOT_PERMITTED
    assert "$TOKEN_OF_COVEND" in message


@pytest.mark.parametrize("text", ["x = ", "\x00", 'a = "\ud800"'])
def test_a_file_that_is_no_toml_is_78(tmp_path: Path, text: str) -> None:
    config = tmp_path / "covend.toml"
    config.write_bytes(text.encode("utf-8", "surrogatepass"))
    with pytest.raises(Failure) as raised:
        find_target(config, {})
    assert raised.value.exit_code == CONFIG
    assert f"{config} cannot be read: it is no TOML" in raised.value.message


def test_a_file_that_is_not_there_is_78(tmp_path: Path) -> None:
    with pytest.raises(Failure) as raised:
        find_target(tmp_path / "none.toml", {})
    assert raised.value.exit_code == CONFIG
    assert "No such file" in raised.value.message


def test_without_any_configuration_it_says_where_it_looked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(Failure) as raised:
        find_target(None, {"HOME": str(tmp_path)})
    assert raised.value.exit_code == CONFIG
    assert "--config" in raised.value.message


@pytest.mark.parametrize("text", ["admin = 7", "admin = []", "state_dir = 7", "admin.listen = 7"])
def test_values_of_another_kind_are_the_configurations_fault(tmp_path: Path, text: str) -> None:
    exit_code, message = failure(tmp_path, text)
    assert exit_code == CONFIG
    assert "covend check" in message
