"""Does what blocks for agents in threads of their own; refuses to leave an end undone because all
threads are taken, or because the machine has no room for another.

Whoever waits long in anyio's usual threads, as git does, must not keep an agent from its end.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import anyio
import anyio.to_thread

THREADS_MAX = 40
"""How many agents are looked at, or ended, at once."""
_NO_ROOM = "can't start new thread"
"""What CPython says, in a RuntimeError."""
_starter = ThreadPoolExecutor(max_workers=1, thread_name_prefix="start")
_limiter = anyio.CapacityLimiter(THREADS_MAX)
_T = TypeVar("_T")


async def in_starter(step: Callable[[], _T]) -> _T:
    """Take a step in the one thread that starts agents, which lives as long as covend. Within a
    shield, else a cancellation forgets what is done there.

    What is to die with its parent, as bubblewrap, dies with the thread that started it
    (PR_SET_PDEATHSIG, prctl(2)), and anyio's end when they are idle. One after the other also
    leaves the event loop its turn between.
    """
    return await asyncio.get_running_loop().run_in_executor(_starter, step)


async def in_thread(step: Callable[[], _T]) -> _T:
    """Take a step in any thread; within a shield.

    An agent that forks until no thread is to be had is ended by the one that started it.
    """
    try:
        return await anyio.to_thread.run_sync(step, limiter=_limiter)
    except RuntimeError as error:
        if str(error) != _NO_ROOM:
            raise
    return await in_starter(step)
