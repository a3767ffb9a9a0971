"""Whatever an agent prints, however much: it is heard, costs little, and the rest goes on."""

from __future__ import annotations

from pathlib import Path
from statistics import median
from time import monotonic

import anyio
import anyio.lowlevel
import pytest

from covend.core.settings import AgentLimits
from covend.edges.agents.output import CUT_LINE, LINE_MAX, Stream
from covend.edges.agents.pipes import LINES_MAX
from covend.edges.agents.process import Agent
from tests.edges.agent_process import WALKED, Heard, agent, cancelled, ignore, ran, shell

LAG_S = 0.02
MEMORY_MAX = 100_000_000
ENOUGH_S = 110.0


class Beside:
    """The event loop while something else goes on: how late it was, and how much memory it had."""

    def __init__(self) -> None:
        self.lags: list[float] = []
        self._resident_before = self._resident_most = resident()

    @property
    def memory_more(self) -> int:
        return self._resident_most - self._resident_before

    async def watch_until(self, over: anyio.Event, limit_s: float) -> None:
        with anyio.fail_after(limit_s):
            while not over.is_set():
                before = monotonic()
                await anyio.sleep(0.002)
                self.lags.append(monotonic() - before - 0.002)
                self._resident_most = max(self._resident_most, resident())


def resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


@pytest.mark.parametrize(
    ("letter", "secrets"), [("x", ()), (".", ("hunter2hunter2", "0" * 40))], ids=["few", "secrets"]
)
async def test_a_gigabyte_without_a_newline_costs_little_and_the_attempt_goes_on(
    tmp_path: Path, letter: str, secrets: tuple[str, ...]
) -> None:
    script = f"head -c 1000000000 /dev/zero | tr '\\0' {letter}; echo; echo after"
    what = shell(tmp_path, script, timeout_s=ENOUGH_S, secrets=secrets)
    beside, heard, over = Beside(), Heard(), anyio.Event()
    async with anyio.create_task_group() as group:
        group.start_soon(beside.watch_until, over, ENOUGH_S)
        exit_ = await agent(what, heard).run(ignore)
        over.set()
    assert exit_.code == 0
    assert heard.of() == [letter * LINE_MAX + CUT_LINE, "after"]
    assert beside.memory_more < MEMORY_MAX
    assert median(beside.lags) < LAG_S


async def test_a_million_lines_are_all_told_and_let_everything_else_go_on(tmp_path: Path) -> None:
    told, turns = 0, 0

    def on_line(stream: Stream, line: str) -> bool:
        nonlocal told
        told += 1
        return True

    async def turn() -> None:
        nonlocal turns
        while True:
            await anyio.lowlevel.checkpoint()
            turns += bool(told)

    what = shell(tmp_path, "yes '' | head -n 1000000", timeout_s=ENOUGH_S)
    tree = WALKED.tree(f"{what.environment['COVEND_TASK']}-1", AgentLimits())
    async with anyio.create_task_group() as group:
        group.start_soon(turn)
        await Agent(what, tree, on_line).run(ignore)
        group.cancel_scope.cancel()
    assert told == 1_000_000
    assert turns >= told / LINES_MAX


async def test_a_flood_that_is_stopped_loses_no_line_that_was_read(tmp_path: Path) -> None:
    async def begun(heard: Heard) -> None:
        await heard.wait_for("1")

    what = shell(tmp_path, "exec seq 100000000", grace_s=0.1)
    it = await cancelled(what, begun)
    told = it.heard.of()
    assert told[:-1] == [str(number) for number in range(1, len(told))]


async def test_binary_output_is_heard_as_text(tmp_path: Path) -> None:
    _, heard = await ran(shell(tmp_path, "printf '\\377\\000\\376ok\\n'"))
    assert heard.of() == ["\ufffd\0\ufffdok"]


async def test_noise_does_no_harm(tmp_path: Path) -> None:
    exit_, heard = await ran(shell(tmp_path, "head -c 3000000 /dev/urandom; echo; echo after"))
    assert exit_.code == 0
    assert heard.of()[-1] == "after"


async def test_known_secrets_never_leave_even_where_reads_meet(tmp_path: Path) -> None:
    script = "printf hunter2; sleep 0.05; echo hunter2 now; printf hunter2hunter2 >&2"
    _, heard = await ran(shell(tmp_path, script, secrets=("hunter2hunter2",)))
    assert [line for _, line in heard.lines] == ["[redacted] now", "[redacted]"]
