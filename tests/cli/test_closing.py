from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from covend.cli.closing import read_again
from covend.config.load import load
from covend.services.known_secrets import Secrets

CONFIG = """\
state_dir = "state"
[github]
token = {{ env = "FORGE_TOKEN" }}
webhook_secrets = [{{ file = "{hook}" }}]
[agents.x]
command = ["x"]
env = ["MODEL_KEY", "MODEL_URL"]
[[rules]]
name = "r"
on = ["pull_request.opened"]
agent = "x"
prompt = {{ text = "x" }}
"""
ENVIRON = {
    "PATH": os.environ["PATH"],
    "FORGE_TOKEN": "ghs_of-a-test",
    "MODEL_KEY": "a-key-of-a-model",
    "MODEL_URL": "https://model.example",
    "CREDENTIALS_DIRECTORY": "/run/c",
    "WATCHDOG_USEC": "1",
    "OTHER": "stays",
}
OLD, NEW = "the-first-webhook-secret", "the-second-webhook-secret"
PROGRAM = """
import json, os, subprocess, sys
from pathlib import Path
from covend.cli.closing import close_up, without_own
from covend.config.load import inspect

environ = dict(os.environ)
inspection = inspect(Path(sys.argv[1]), environ)
secrets = close_up(inspection.settings, inspection, environ)
child = subprocess.run(["env", "-0"], capture_output=True, text=True, check=True)
core = [line for line in Path("/proc/self/limits").read_text().splitlines() if "core file" in line]
print(json.dumps({
    "inherited": sorted(line.partition("=")[0] for line in child.stdout.split("\\0") if line),
    "handed": sorted(without_own(inspection, environ)),
    "known": secrets.text(f"{environ['FORGE_TOKEN']} {environ['MODEL_KEY']} {environ['OTHER']}"),
    "core": core[0].split()[4:6],
}))
"""


def written(tmp_path: Path, hook: str = "old") -> Path:
    (tmp_path / "old").write_text(OLD)
    (tmp_path / "new").write_text(NEW)
    path = tmp_path / "covend.toml"
    path.write_text(CONFIG.format(hook=hook))
    return path


def told(tmp_path: Path) -> dict[str, Any]:
    """What a process tells of itself that was closed up."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(written(tmp_path))],
        env=ENVIRON,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_no_child_inherits_what_is_secret(tmp_path: Path) -> None:
    assert set(told(tmp_path)["inherited"]) - {"LC_CTYPE"} == {"MODEL_URL", "OTHER", "PATH"}


def test_what_was_taken_out_is_still_known(tmp_path: Path) -> None:
    assert told(tmp_path)["known"] == "[redacted] [redacted] stays"


def test_an_agent_can_be_handed_its_key_and_nothing_of_covends(tmp_path: Path) -> None:
    handed = set(told(tmp_path)["handed"])
    assert handed - {"LC_CTYPE"} == {"MODEL_KEY", "MODEL_URL", "OTHER", "PATH"}


def test_a_closed_process_leaves_no_core(tmp_path: Path) -> None:
    assert told(tmp_path)["core"] == ["0", "0"]


def test_after_a_reload_the_old_secret_and_the_new_one_are_known(tmp_path: Path) -> None:
    path = written(tmp_path)
    secrets = Secrets(load(path, ENVIRON).secret_texts())
    written(tmp_path, "new")
    settings = read_again(path, ENVIRON, secrets)
    assert [each.reveal() for each in settings.github.webhook_secrets] == [NEW]
    assert secrets.text(f"{OLD} {NEW} {ENVIRON['FORGE_TOKEN']}") == " ".join(["[redacted]"] * 3)
