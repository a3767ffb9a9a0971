"""An agent that takes all it can get: what it finds, in each way to confine it, and what covend
shows of it.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import orjson
import pytest

from covend.demo.stage import Stage
from tests.services.fifo import Fifo
from tests.story import blabbing_agent, prying_agent
from tests.story.agent import Script
from tests.story.conftest import SetUp
from tests.story.process import Covend, serving
from tests.story.secrets_planted import ENVIRON, SECRETS, leaks, planted
from tests.story.test_kill import opened, reviewed
from tests.story.test_sandboxed import USER, poll_until_begun

AGENT = """\
echo begun
until [ -e {place}/plan.json ]; do sleep 0.02; done
exec env -u COVEND_RESULT {python} {place}/prying_agent.py {place}/plan.json
"""
BUBBLEWRAP = f'sandbox = "bubblewrap"\nreadable = ["{{folder}}/place"]\n{USER}'
CONFINED = {"bubblewrap": BUBBLEWRAP} | ({"user": USER} if USER else {})
"""By name, what the agent's configuration says more; only root can give an agent to another."""
RULE = 'checkout = "head"\npublish = ["check"]'
KNOWN = ("admin.token", "marker.key", "covend.db", "covend.db-wal", "covend.db-shm", "planted")
"""In the state directory; what may not be listed can be opened by its name."""
SAME_USER_READS = {
    "admin.token",
    "covend.db",
    "covend.db-shm",
    "covend.db-wal",
    "covend.lock",
    "identity.json",
    "logs",
    "marker.key",
    "mirrors",
}
"""In the state directory beside its own places, by an agent that is not confined; the docs say so
of all of it (docs/security.md).
"""
SAME_USER_FINDS = {
    "admin token": {"state/admin.token"},
    "marker key": {"state/marker.key"},
    "webhook secret": {"webhook.secret"},
    "app key": {"app.pem"},
}
"""The secrets, and where; of them too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prying:
    """The agent, and the place where it finds its plan."""

    folder: Path

    @classmethod
    def at(cls, folder: Path) -> Prying:
        place = folder / "place"
        place.mkdir()
        shutil.copy(prying_agent.__file__, place)
        return cls(folder=folder)

    def script(self, python: str) -> Script:
        place = self.folder / "place"
        return Script.write(place / "agent.sh", AGENT.format(place=place, python=python))

    def tell(self, covend: Covend, needles: Iterable[str]) -> None:
        """Let it go."""
        roots = [self.folder, *(self.folder / "state" / name for name in KNOWN)]
        plan = json.dumps(prying_agent.plan(needles, roots, covend.pid))
        written = self.folder / "plan.json"
        written.write_text(plan)
        written.chmod(0o644)
        written.rename(self.folder / "place" / written.name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Loot:
    """What the agent could read, and in what of it each secret was."""

    read: set[str]
    found: Mapping[str, set[str]]

    def within(self, folder: Path) -> set[str]:
        """Give what was read in a folder, by the first name in it."""
        paths = [Path(place) for place in self.read if Path(place).is_relative_to(folder)]
        return {path.relative_to(folder).parts[0] for path in paths}


async def pried(stage: Stage, covend: Covend, prying: Prying) -> Loot:
    """Let the agent have its way."""
    task, _ = await poll_until_begun(stage, covend)
    secrets = planted(stage)
    assert any(name.startswith("installation token") for name in secrets)
    everything = ""
    prying.tell(covend, [everything, *(secret.part for secret in secrets.values())])
    await covend.task_in("completed", task)
    places: list[set[str]] = [set() for _ in (everything, *secrets)]
    for finding in orjson.loads((await covend.log_of(task))[-1]["text"]):
        places[finding["needle"]].add(finding["where"])
    read, *found = places
    begin = f"{stage.folder}/"
    return Loot(
        read=read,
        found={
            name: {place.removeprefix(begin) for place in where}
            for name, where in zip(secrets, found, strict=True)
            if where
        },
    )


def leave_open(stage: Stage) -> None:
    """Let all users read something of covend's: bubblewrap does not rely on permissions alone."""
    place = stage.folder / "state" / "planted"
    place.write_text("".join(secret.text for secret in planted(stage).values()))
    place.chmod(0o644)


@pytest.fixture
def bubblewrap(lacking: Callable[[str], NoReturn]) -> str:
    return shutil.which("bwrap") or lacking("bwrap")


@pytest.fixture
def python(lacking: Callable[[str], NoReturn]) -> str:
    """One that every user may run."""
    return shutil.which("python3", path=os.defpath) or lacking("a python3 of the system's")


async def test_an_agent_of_the_same_user_finds_secrets_in_files_alone(
    staged: SetUp, tmp_path: Path
) -> None:
    prying = Prying.at(tmp_path)
    async with (
        staged(prying.script(sys.executable), secrets=SECRETS, rule=RULE) as stage,
        serving(stage, environ=ENVIRON) as covend,
    ):
        loot = await pried(stage, covend, prying)
    assert loot.found == SAME_USER_FINDS
    assert loot.within(tmp_path / "state") - {"workspaces"} == SAME_USER_READS
    assert f"/proc/{covend.pid}/environ" in loot.read


@pytest.mark.parametrize("way", CONFINED)
async def test_a_confined_agent_finds_no_secret_anywhere(
    staged: SetUp, open_folder: Path, bubblewrap: str, python: str, way: str
) -> None:
    prying = Prying.at(open_folder)
    settings = f'timeout = "60s"\n{CONFINED[way]}'
    async with (
        staged(
            prying.script(python), folder=open_folder, secrets=SECRETS, rule=RULE, agent=settings
        ) as stage,
        serving(stage, environ=ENVIRON) as covend,
    ):
        if way == "bubblewrap":
            leave_open(stage)
        loot = await pried(stage, covend, prying)
    assert loot.found == {}
    assert loot.within(open_folder / "state") == {"workspaces"}
    assert len(loot.within(open_folder / "state" / "workspaces")) == 1


def shown(stage: Stage, covend: Covend) -> Mapping[str, str]:
    """Give all texts that covend has shown, by where."""
    state, folder = stage.github.state, stage.folder / "state"
    return {
        "the logs": "".join(path.read_text("utf-8") for path in folder.glob("logs/*")),
        "the log of covend": repr(covend.log) + repr(covend.said),
        "the database": "".join(
            path.read_bytes().decode("latin-1") for path in folder.glob("covend.db*")
        ),
        "GitHub": repr((state.reviews, state.review_comments, state.comments, state.check_runs)),
    }


async def test_what_an_agent_tells_on_purpose_is_shown_nowhere(
    staged: SetUp, tmp_path: Path
) -> None:
    with Fifo(tmp_path / "here") as here, Fifo(tmp_path / "word") as word:
        agent = Script((sys.executable, blabbing_agent.__file__, str(here.path), str(word.path)))
        async with (
            staged(agent, secrets=SECRETS) as stage,
            serving(stage, environ=ENVIRON) as covend,
        ):
            task = await opened(stage, covend)
            await here.line()
            secrets = planted(stage)
            word.say(orjson.dumps([secret.text for secret in secrets.values()]).decode())
            await reviewed(stage.github)
            story = await covend.task_in("completed", task)
            log = "\n".join(line["text"] for line in await covend.log_of(task))
            places = {"the task": repr(story), "its log": log, **shown(stage, covend)}
    leaking = {place: leaks(text, secrets) for place, text in places.items()}
    assert not any(leaking.values()), leaking
    for place in ("the task", "its log", "the logs", "GitHub"):
        assert "[redacted]" in places[place], place
