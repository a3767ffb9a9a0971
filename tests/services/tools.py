"""Puts stand-ins of claude and codex before an attempt, and tells how they were called."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import anyio

from covend.core.settings import Agent, Preset
from covend.store.protocol import TaskStory
from tests.services import stand_in_tool
from tests.services.house import House, an_agent


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One run of a stand-in, as it tells it."""

    argv: list[str]
    cwd: str
    previous: dict[str, Any]

    @property
    def resumed(self) -> str | None:
        """The session that it was asked to go on with."""
        asked = stand_in_tool.word_after("--resume", self.argv)
        return asked or stand_in_tool.word_after("resume", self.argv)


def a_tool(name: str = "claude", **changes: Any) -> Agent:
    """An agent that is the bare tool."""
    return an_agent(name=name, preset=Preset(name), command=(name,), **changes)


async def install(house: House) -> None:
    """Put the tools on the PATH of the house, and give it a HOME of its own."""
    tools, home = house.folder / "tools", house.folder / "home"
    tools.mkdir()
    home.mkdir()
    script = await anyio.Path(stand_in_tool.__file__).read_text()
    for name in ("claude", "codex"):
        (tools / name).write_text(f"#!/usr/bin/env python3\n{script}")
        (tools / name).chmod(0o755)
    house.environ |= {"HOME": str(home), "PATH": f"{tools}:{house.environ['PATH']}"}


def tell(house: House, what: str) -> None:
    """Say what the next call does: `hang FIFO`, `exit CODE`, `idle SECONDS`, `busy SECONDS`,
    `turns COUNT`, `turning SECONDS`.
    """
    (house.folder / "home" / "next").write_text(what)


def logged(house: House, story: TaskStory, number: int = 1) -> list[str]:
    """Give the lines of an attempt's log, whoever wrote them."""
    path = house.folder / "logs" / f"{story.task.id}-{number}.jsonl"
    return [json.loads(line)[2] for line in path.read_text().splitlines()]


def calls(house: House, story: TaskStory, number: int = 1) -> list[Call]:
    """Give the calls of one attempt."""
    lines = [line.partition(" ") for line in logged(house, story, number)]
    return [Call(**json.loads(rest)) for word, _, rest in lines if word == "called"]
