"""covend for which time passes faster: the product's own daemon, with another clock.

It is started by `covend.bench.mortal`, and ends by SIGTERM, or when whoever started it has ended.
It answers to nobody else, and has none of the command line's ways to explain a failure.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from functools import partial
from pathlib import Path

import anyio

from covend.app.daemon import running
from covend.bench.hurry import HurriedClock, HurriedLoop, Pace
from covend.config.load import load
from covend.services.known_secrets import Secrets
from covend.telemetry import logs


def main(config: str, pace_text: str) -> None:
    """Serve by a config, at a pace."""
    pace = Pace.parse(pace_text)
    with asyncio.Runner(loop_factory=partial(HurriedLoop, pace.speed)) as runner:
        runner.run(_serve(Path(config), pace))


async def _serve(config: Path, pace: Pace) -> None:
    environ, secrets = dict(os.environ), Secrets()
    settings = load(config, environ)
    logs.configure(redact=secrets.text)
    async with (
        running(settings, environ, secrets, clock_of=partial(HurriedClock, pace)),
        anyio.create_task_group() as group,
    ):
        group.start_soon(_until_told, group.cancel_scope)
        group.start_soon(_until_left_alone, group.cancel_scope)


async def _until_told(scope: anyio.CancelScope) -> None:
    with anyio.open_signal_receiver(signal.SIGTERM) as signals:
        async for _ in signals:
            scope.cancel()


async def _until_left_alone(scope: anyio.CancelScope) -> None:
    """Nothing is ever written to it: to be able to read is to be at its end."""
    await anyio.wait_readable(sys.stdin)
    scope.cancel()


if __name__ == "__main__":
    main(*sys.argv[1:])
