"""Makes this process one that others of the same user cannot look into: no `/proc/PID/environ`, no
`/proc/PID/mem`, no debugger, no core dump.

Root can all the same, unless it gives up CAP_SYS_PTRACE. What the process starts is not concerned:
it can be looked into from its `execve` on.
https://man7.org/linux/man-pages/man2/PR_SET_DUMPABLE.2const.html
"""

from __future__ import annotations

import ctypes
import resource
import sys

_PR_GET_DUMPABLE = 3
_PR_SET_DUMPABLE = 4


def become_unreadable() -> bool:
    """Close this process to its own user; False where that cannot be, as on another system.

    Its `/proc/self` belongs to root from then on: it may go on to read what all may (`stat`,
    `cgroup`) and its own descriptors, yet not its own `environ` or `mem`.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform != "linux":
        return False
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    if prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0) != 0:
        return False
    return bool(prctl(_PR_GET_DUMPABLE, 0, 0, 0, 0) == 0)
