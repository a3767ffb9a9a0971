"""Finds the program that an agent is, on the agent's own PATH, and starts it behind its gate; says
what to mend where that fails, and refuses to look in a checkout, which strangers write.
"""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from covend.core.errors import (
    AgentArgumentsError,
    AgentError,
    AgentNotFoundError,
    AgentShortageError,
)
from covend.edges import children
from covend.edges.agents.gate import gated
from covend.edges.agents.spec import Spec

SHORTAGES = frozenset({errno.EAGAIN, errno.EMFILE, errno.ENFILE, errno.ENOMEM})
"""Of processes, descriptors or memory: it may pass by itself."""

_BEGIN = 256
"""Bytes of a file of which a program that is no script has a zero among."""


def start_gated(spec: Spec) -> subprocess.Popen[bytes]:
    """Start the agent's gate, which becomes the agent once it is opened; blocks.

    Raises `AgentError`: of what keeps the program from running, nearly all is found here, while
    somebody can be told.
    """
    if not spec.cwd.is_dir():
        raise AgentError(f"the workspace {spec.cwd} is not there")
    argv = gated(_resolved(spec), has_input=spec.stdin is not None)
    try:
        return children.start(
            argv,
            bufsize=0,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=spec.cwd,
            env=dict(spec.environment),
        )
    except (OSError, ValueError) as error:
        raise why_not(spec.argv[0], error) from error


def find_program(program: str, environment: Mapping[str, str], cwd: Path) -> str:
    """Give the absolute path of a program; raises `AgentNotFoundError` with the mend.

    A word with a slash is a path from `cwd` on, as in execve(2). Entries of PATH that are not
    absolute are passed over: they would lead into the checkout.
    """
    path = environment.get("PATH", "")
    found = _executable(program, cwd) if "/" in program else _on_path(program, path)
    if _is_plain_text(found):
        mend = "begin it with a line as #!/bin/sh, or mend the agent's `command`"
        raise AgentNotFoundError(f"{found} cannot be executed, it is plain text: {mend}")
    return found


def beginning(path: str | Path, size: int) -> bytes:
    """Read the first bytes of a file, and none of a pipe that somebody has put in its place: nobody
    may ever write to that. Raises OSError.
    """
    file = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        return os.read(file, size)
    finally:
        os.close(file)


def why_not(program: str, error: OSError | ValueError) -> AgentError:
    """Say why a program that is there could not be started."""
    if isinstance(error, ValueError):
        mend = "pass the prompt by standard input"
        return AgentArgumentsError(f"a NUL stands in the agent's command line: {mend}")
    if error.errno == errno.E2BIG:
        mend = "take {prompt} out of its command, then the prompt comes by standard input"
        return AgentArgumentsError(f"the agent's command line is too long: {mend}")
    kind = AgentShortageError if error.errno in SHORTAGES else AgentError
    return kind(f"{program!r} could not be started: {error.strerror or error}")


def _resolved(spec: Spec) -> list[str]:
    program, *rest = spec.argv
    if not spec.is_elsewhere:
        program = find_program(program, spec.environment, spec.cwd)
    return [*spec.prefix, program, *rest]


def _on_path(program: str, path: str) -> str:
    absolute = os.pathsep.join(one for one in path.split(os.pathsep) if one.startswith("/"))
    found = shutil.which(program, path=absolute)
    if found is None:
        mend = "install it there, or name it by its full path in the agent's `command`"
        raise AgentNotFoundError(f"no program {program!r} on the agent's PATH ({path}): {mend}")
    return found


def _executable(program: str, cwd: Path) -> str:
    path = cwd / program
    if shutil.which(path) is not None:
        return str(path)
    if not os.access(path, os.F_OK):  # which is also false where one may not look
        mend = "install it, or mend the agent's `command`"
        raise AgentNotFoundError(f"there is no program {program!r}: {mend}")
    mend = f"chmod +x {path}, or mend the agent's `command`"
    raise AgentNotFoundError(f"{program!r} cannot be executed: {mend}")


def _is_plain_text(path: str) -> bool:
    """Say whether the kernel would refuse a file, which a shell would then read as a script."""
    try:
        begin = beginning(path, _BEGIN)
    except OSError:  # it may be executed, and not read
        return False
    return not begin.startswith(b"#!") and b"\0" not in begin
