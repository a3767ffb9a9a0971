"""`backup`, `restore` and `verify` as an operator types them."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from covend.store.sqlite.connection import WRITER_PRAGMAS, connect
from covend.store.sqlite.lock import hold_state_directory, make_state_directory
from covend.store.sqlite.migrate import migrate
from tests.cli.operator_desk import invoke, on_terminal

CONFIG = """\
state_dir = "state"
[github]
app_id = 1
private_key = { file = "none.pem" }
webhook_secrets = [{ env = "COVEND_TEST_NOT_THERE" }]
[agents.a]
command = ["sh"]
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A configuration whose secrets nobody can read here, and a store that was used."""
    path = tmp_path / "covend.toml"
    path.write_text(CONFIG)
    state = tmp_path / "state"
    make_state_directory(state)
    (state / "marker.key").write_text("key")
    with closing(connect(state / "covend.db", WRITER_PRAGMAS)) as writer:
        migrate(writer)
    return path


def database(config: Path) -> Path:
    return config.parent / "state" / "covend.db"


def break_it(path: Path) -> None:
    with closing(sqlite3.connect(path)) as other:
        other.execute(
            "INSERT INTO timeline (task_id, at, target, reason)"
            " VALUES ('evil\x1b[2J', 1, 'queued', 'r')"
        )
        other.commit()


def test_a_backup_goes_there_and_back(config: Path) -> None:
    made = invoke("backup", "--json", "--config", str(config), str(config.parent))
    told = json.loads(made.output)
    assert made.exit_code == 0, made.output
    assert Path(told["path"]).parent == config.parent
    assert Path(told["path"]).name.startswith("covend-backup-20")
    assert {part["name"] for part in told["files"]} == {"covend.db", "marker.key"}
    assert told["faults"] == []
    database(config).unlink()
    done = invoke("restore", told["path"], "--json", "--config", str(config))
    assert done.exit_code == 0, done.output
    back = json.loads(done.output)
    assert (back["aside"], back["warnings"]) == ([], [])
    assert database(config).exists()


def test_a_name_of_its_own_is_taken_and_never_twice(config: Path) -> None:
    target = str(config.parent / "mine")
    assert invoke("backup", target, "--config", str(config)).exit_code == 0
    Path(target).rename(config.parent / "moved")
    (config.parent / "mine").write_text("x")
    again = invoke("backup", target, "--config", str(config))
    assert again.exit_code == 1
    assert "is there already" in again.output


def test_people_are_told_what_is_in_it(config: Path) -> None:
    made = invoke("backup", str(config.parent / "mine"), "--config", str(config))
    for word in ("mine", "sha256", "marker.key", "schema", "deliveries", "tasks"):
        assert word in made.output
    back = invoke("restore", str(config.parent / "mine"), "--replace", "--config", str(config))
    assert back.exit_code == 0, back.output
    for word in ("kept aside", ".replaced-", "to recover", "to look for"):
        assert word in back.output


def test_a_backup_without_a_marker_key_warns(config: Path) -> None:
    (config.parent / "state" / "marker.key").unlink()
    invoke("backup", str(config.parent / "mine"), "--config", str(config))
    back = invoke("restore", str(config.parent / "mine"), "--replace", "--config", str(config))
    assert "no marker.key" in back.output


def test_a_restore_beside_a_covend_says_what_to_stop(config: Path) -> None:
    invoke("backup", str(config.parent / "mine"), "--config", str(config))
    with hold_state_directory(config.parent / "state"):
        back = invoke("restore", str(config.parent / "mine"), "--replace", "--config", str(config))
    assert back.exit_code == 75
    assert "systemctl stop covend" in back.output


def test_a_restore_as_another_user_is_refused(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    invoke("backup", str(config.parent / "mine"), "--config", str(config))
    before = database(config).read_bytes()
    monkeypatch.setattr("os.geteuid", lambda: 12_345)
    back = invoke("restore", str(config.parent / "mine"), "--replace", "--config", str(config))
    assert back.exit_code == 77
    assert "runuser" in back.output
    assert database(config).read_bytes() == before


def test_a_restore_over_a_database_names_the_way(config: Path) -> None:
    invoke("backup", str(config.parent / "mine"), "--config", str(config))
    back = invoke("restore", str(config.parent / "mine"), "--config", str(config))
    assert back.exit_code == 1
    assert "--replace" in back.output


@pytest.mark.parametrize("name", ["none", "covend.toml", "state"])
def test_what_is_no_backup_is_told_in_one_line(config: Path, name: str) -> None:
    back = invoke("restore", str(config.parent / name), "--replace", "--config", str(config))
    assert back.exit_code == 1
    assert len(back.output.strip().splitlines()) == 1


def test_a_sound_store_is_told_to_be(config: Path) -> None:
    done = invoke("verify", "--json", "--config", str(config))
    assert done.exit_code == 0, done.output
    assert json.loads(done.output)["ok"] is True


def test_a_backup_is_verified_by_its_name_without_a_configuration(config: Path) -> None:
    target = config.parent / "mine"
    invoke("backup", str(target), "--config", str(config))
    assert invoke("verify", str(target)).exit_code == 0
    assert invoke("verify", str(target / "covend.db")).exit_code == 0
    assert invoke("verify", str(config.parent / "none")).exit_code == 1


def test_a_backup_that_a_restore_would_refuse_is_not_called_sound(config: Path) -> None:
    target = config.parent / "mine"
    invoke("backup", str(target), "--config", str(config))
    with (target / "marker.key").open("a") as key:
        key.write("x")
    done = invoke("verify", str(target))
    assert (done.exit_code, "marker.key is not as it was" in done.output) == (1, True)


def test_each_fault_is_told_with_its_mend_and_nothing_a_terminal_obeys(config: Path) -> None:
    break_it(database(config))
    done = on_terminal("verify", "--config", str(config))
    assert "NOT SOUND" in done
    assert "a story has no task" in done
    assert "covend restore" in done
    assert "\x1b[2J" not in done
    told = invoke("verify", "--json", "--config", str(config))
    assert told.exit_code == 1
    assert [fault["name"] for fault in json.loads(told.output)["faults"]] == ["stories"]


def test_without_a_store_nothing_is_backed_up(config: Path) -> None:
    database(config).unlink()
    made = invoke("backup", str(config.parent / "mine"), "--config", str(config))
    assert made.exit_code == 1
    assert "nothing has been stored yet" in made.output
    assert invoke("verify", "--config", str(config)).exit_code == 1
