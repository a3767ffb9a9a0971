"""Holds an agent back until it is adopted and noted, and takes what would let it look into covend
from it; refuses to let anything through that was not opened.

A shell stands where the agent will be: it has the agent's pid, session and environment already,
waits for one line, and then becomes the agent. So the agent is in its tree and on disk before an
instruction of it runs. Whoever holds the other end may die: then the shell meets the end of its
input, and the agent never runs.

The line comes on standard input, in front of the prompt. A descriptor of its own would have to be
inherited under a number of two digits, for which POSIX's shell has no redirection, and so could not
be closed before the agent has it. `read` takes no byte after the line's end from a pipe
(https://pubs.opengroup.org/onlinepubs/9799919799/utilities/read.html).
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

OPEN = b"go\n"
"""What opens the gate; the prompt follows it."""

_SHELL = "/bin/sh"
_NAME = "covend-gate"
# A shell exports these of its own accord, and the agent's environment is exactly what it is given.
_WAIT = "read -r go && unset go PWD OLDPWD SHLVL && exec "

_SETPCAP = 8
_UNWANTED = {19: "sys_ptrace", 21: "sys_admin", 38: "perfmon"}
"""Number and name (capabilities(7)) of what opens other processes' memory to an agent of uid 0,
also that of a process that is not dumpable.
"""


def gated(argv: Sequence[str], *, has_input: bool) -> list[str]:
    """Give the argv of a gate before `argv`, whose first word is an absolute path."""
    become = '"$@"' if has_input else '"$@" </dev/null'
    return [_SHELL, "-c", _WAIT + become, _NAME, *argv]


def without_capabilities() -> tuple[str, ...]:
    """Give the words before an agent's argv that take from root what would let it read covend's
    memory and environment; none where covend is not root, or may not take it.

    It is no boundary. Such an agent is still root: it opens every file of covend's, writes where
    covend's own program lies, signals any process and loads kernel modules. Another uid, bubblewrap
    or a container closes that. Not to be put before bubblewrap, which needs CAP_SYS_ADMIN.
    """
    setpriv = shutil.which("setpriv")
    if os.geteuid() != 0 or setpriv is None or not _may_take_away():
        return ()
    last = int(Path("/proc/sys/kernel/cap_last_cap").read_text("ascii"))
    names = ",".join(f"-{name}" for number, name in _UNWANTED.items() if number <= last)
    # The inheritable ones as well: root keeps those across execve whatever the bounding set says.
    return (setpriv, f"--bounding-set={names}", f"--inh-caps={names}")


def _may_take_away() -> bool:
    status = Path("/proc/self/status").read_text("utf-8", "replace")
    effective = status.partition("CapEff:")[2].split(maxsplit=1)[0]
    return bool(int(effective, 16) >> _SETPCAP & 1)
