"""What a running daemon finds out about the world for its page."""

from __future__ import annotations

from pathlib import Path

from covend.cli.examining import examiner
from covend.config.load import inspect

ENVIRON = {"COVEND_TEST_SECRET": "of-no-use-at-all", "PATH": "/usr/bin:/bin"}
CONFIG = """\
state_dir = "state"
[github]
webhook_secrets = [{ env = "COVEND_TEST_SECRET" }]
token = { env = "COVEND_TEST_SECRET" }
api_url = "http://127.0.0.1:1"
[agents.a]
command = ["%s"]
sandbox = "none"
[[rules]]
name = "review"
on = ["pull_request.opened"]
agent = "a"
prompt = { text = "Review." }
"""


def written(folder: Path, command: str = "sh") -> Path:
    path = folder / "covend.toml"
    path.write_text(CONFIG % command)
    return path


def test_it_looks_at_the_world_and_takes_the_daemons_word_for_itself(tmp_path: Path) -> None:
    examine = examiner(inspect(written(tmp_path), ENVIRON), ENVIRON)
    found = {each.name: each for each in examine({"trees": "cgroup /covend"})}
    assert {"config", "python", "git", "agents.a.command", "processes"} <= found.keys()
    assert {"daemon", "admin_api"}.isdisjoint(found)
    assert found["agents.a.command"].level == "ok"
    assert "the covend that runs holds agents' processes by cgroup" in found["processes"].what


def test_a_file_that_was_changed_since_is_looked_at_as_it_is_now(tmp_path: Path) -> None:
    examine = examiner(inspect(written(tmp_path), ENVIRON), ENVIRON)
    written(tmp_path, command="claudius")
    found = {each.name: each for each in examine({})}
    assert found["agents.a.command"].level == "failed"


def test_a_file_that_became_wrong_is_told_and_the_rest_is_still_looked_at(tmp_path: Path) -> None:
    path = written(tmp_path)
    examine = examiner(inspect(path, ENVIRON), ENVIRON)
    for text, told in (("nonsense = 1\n" + CONFIG % "sh", "1 mistake"), ("[[", "covend.toml")):
        path.write_text(text)
        found = {each.name: each for each in examine({})}
        assert found["config"].level == "failed"
        assert told in found["config"].what
        assert found["agents.a.command"].level == "ok"
