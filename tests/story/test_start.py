"""What a start refuses: a bad configuration, a directory in use, an address that is taken."""

from __future__ import annotations

import asyncio
import socket
from contextlib import closing
from pathlib import Path

from covend.demo.stage import set_up
from tests.story.agent import WaitingAgent
from tests.story.conftest import SetUp
from tests.story.process import serving, start
from tests.story.test_kill import opened, reviewed

ROOT = Path(__file__).parents[2]
WITHIN_S = 60.0


async def told(*program: str, within_s: float = WITHIN_S) -> tuple[int | None, str]:
    """Run a command to its end; its exit code and all that it wrote."""
    process = await asyncio.create_subprocess_exec(
        *program,
        cwd=ROOT,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        async with asyncio.timeout(within_s):
            said, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return process.returncode, said.decode()


async def test_a_second_covend_on_the_same_directory_ends_and_the_first_goes_on(
    staged: SetUp,
) -> None:
    async with staged() as stage, serving(stage) as first:
        async with start(stage) as second:
            assert await second.exit_code() == 75
            (line,) = second.said
        assert f"another covend (pid {first.pid}) already runs on" in line
        assert str(stage.folder / "state") in line
        await opened(stage, first)
        await reviewed(stage.github)


async def test_a_killed_covend_does_not_keep_its_directory(
    staged: SetUp, agent: WaitingAgent
) -> None:
    """Not even through an agent that lives on."""
    async with staged(agent) as stage:
        async with serving(stage) as first:
            await opened(stage, first)
            await agent.begins()
            await first.hears("published", kind="check")
            await first.kill()
        async with serving(stage):
            agent.ends()
            await reviewed(stage.github)


async def test_a_bad_configuration_ends_with_every_line_of_it(staged: SetUp) -> None:
    async with staged() as stage:
        text = stage.config.read_text().replace("timeout =", "timeuot =")
        stage.config.write_text(text.replace('["review"]', '["reveiw"]'))
        async with start(stage) as covend:
            assert await covend.exit_code() == 78
            said = "\n".join(covend.said)
    assert "covend.toml:" in said
    assert 'did you mean "timeout"' in said
    assert 'did you mean "review"' in said
    assert not (stage.folder / "state").exists()


async def test_an_address_that_is_taken_is_named(staged: SetUp) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]
        async with staged() as stage:
            text = stage.config.read_text()
            stage.config.write_text(text.replace('"127.0.0.1:0"', f'"127.0.0.1:{port}"', 1))
            async with start(stage) as covend:
                assert await covend.exit_code() == 75
                assert str(port) in covend.said[-1]


async def test_without_github_the_first_start_says_so_and_a_later_one_goes_on(
    tmp_path: Path,
) -> None:
    async with set_up(tmp_path) as stage:
        stage.github.faults.add("GET", "/app", "error_500", 1_000)
        async with start(stage) as first:
            assert await first.exit_code() == 69
            assert "which account covend is" in first.said[-1]
        stage.github.faults.clear()
        async with serving(stage):
            pass
        stage.github.faults.add("GET", "/app", "error_500", 1_000)
        async with serving(stage) as third:
            await third.hears("GitHub does not answer; this is who covend was")


async def test_the_demonstration_shows_the_review() -> None:
    code, said = await told(str(ROOT / "run"), "demo", "--once")
    assert code == 0, said
    assert "check covend/review: failure" in said
    assert "src/till/basket.py:" in said


async def test_the_state_directory_is_private(staged: SetUp) -> None:
    async with staged() as stage, serving(stage) as covend:
        await opened(stage, covend)
        await reviewed(stage.github)
        state = stage.folder / "state"
        open_to_others = [
            path for path in (state, *state.rglob("*")) if path.stat().st_mode & 0o077
        ]
    assert open_to_others == []
