"""Runs one git command, safely: no shell, no config but ours, no prompt, no token on any command
line.

The daemon's git reads neither the machine's nor the user's config, runs no hook and no file-system
monitor, and speaks only http, https and file. It must never run in a directory whose `.git` an
agent had in its hands.
"""

from __future__ import annotations

import base64
import os
import resource
import selectors
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from urllib.parse import urlsplit

import anyio
import anyio.lowlevel
import anyio.to_thread

from covend.core.errors import GitError
from covend.core.redact import Redactor
from covend.core.secret import Secret
from covend.edges import children
from covend.edges.workspace.faults import Fault, fault_in

STDERR_SHOWN_MAX = 2000
STDERR_KEPT_BYTES = 1 << 16
OUTPUT_BYTES_MAX = 64 << 20
"""Of what git prints: a tree made to be endless ends git, and not covend."""
DATA_BYTES_MAX = 4 << 30
"""Of memory, for each process: a tree made to be endless is unfolded there before it is printed."""
NAME, EMAIL = "covend", "covend@localhost"
"""Whose commits those are that nobody else has signed."""
_CHUNK = 1 << 16

_PASSED = (
    "PATH",
    "TMPDIR",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "http_proxy",
    "https_proxy",
    "HTTPS_PROXY",
    "NO_PROXY",
    "no_proxy",
)
"""How this machine reaches the network; everything else of the daemon's environment stays with it.
"""

_CLEAN = {
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_ATTR_NOSYSTEM": "1",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_ALLOW_PROTOCOL": "http:https:file",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_NO_LAZY_FETCH": "1",
    # Neither ~/.netrc nor ~/.config/git: curl looks up the home directory itself where HOME is not
    # set.
    "HOME": "/nonexistent",
    "LC_ALL": "C",
    # For the merge that a checkout may ask for.
    **dict.fromkeys(("GIT_AUTHOR_NAME", "GIT_COMMITTER_NAME"), NAME),
    **dict.fromkeys(("GIT_AUTHOR_EMAIL", "GIT_COMMITTER_EMAIL"), EMAIL),
}

_SWITCHES = (
    "core.fsmonitor=false",
    "core.hooksPath=/dev/null",
    "core.quotePath=false",
    "protocol.file.allow=user",
    "credential.helper=",
    "gc.auto=0",
    "maintenance.auto=false",
    "advice.detachedHead=false",
    "submodule.recurse=false",
    # A redirect could carry the token to another host.
    "http.followRedirects=false",
    # A forge that stands still is asked again, rather than waited for until the timeout.
    "http.lowSpeedLimit=1000",
    "http.lowSpeedTime=60",
    # `.git` in every other spelling that some file system takes for the same.
    "core.protectHFS=true",
    "core.protectNTFS=true",
)


_MARKS: ContextVar[Mapping[str, str]] = ContextVar("marks", default=MappingProxyType({}))


@contextmanager
def marked(marks: Mapping[str, str]) -> Iterator[None]:
    """Put these into the environment of every git that is started meanwhile by this task: by them
    the next daemon knows what a killed one has left.
    """
    before = _MARKS.set(marks)
    try:
        yield
    finally:
        _MARKS.reset(before)


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """A token for everything under one URL's scheme and host."""

    url: str
    token: Secret


async def git(
    *arguments: str,
    cwd: Path,
    timeout_s: float,
    access: Access | None = None,
    git_dir: Path | None = None,
    data_bytes_max: int | None = None,
) -> str:
    """Run `git ARGUMENTS` and give its standard output; raises `GitError` with what git said, and
    the kind of its fault as a detail.

    With `git_dir` the repository is that one or none: no parent directory is looked into. No
    process of it gets more memory than `DATA_BYTES_MAX`, or what is given. Whoever calls puts `--`
    or full refs before what comes from outside. Cancellation and the timeout end git and its
    children.
    """
    command = [word for switch in _SWITCHES for word in ("-c", switch)]
    environment = {**_environment(os.environ, access), **_MARKS.get()}
    if git_dir is not None:
        environment["GIT_DIR"] = str(git_dir)
    bytes_max = data_bytes_max or DATA_BYTES_MAX
    process = _Process(["git", *command, *arguments], cwd, environment, bytes_max)
    name = next(word for word in arguments if not word.startswith("-") and "=" not in word)
    with anyio.move_on_after(timeout_s) as scope:
        code, output, errors = await process.finish()
    if scope.cancelled_caught:
        raise GitError(f"git {name} took longer than {timeout_s:g} s", fault=Fault.OVERDUE)
    if code != 0:
        said = _redactor(access).text(errors.decode("utf-8", "replace").strip())
        why = said[-STDERR_SHOWN_MAX:] or f"exit {code}"
        raise GitError(f"git {name} failed: {why}", fault=fault_in(said))
    return output.decode("utf-8", "replace")


class _Process:
    """One child in a group of its own, waited for in a thread."""

    def __init__(
        self, argv: list[str], cwd: Path, environment: Mapping[str, str], data_bytes_max: int
    ) -> None:
        self._argv = argv
        self._cwd = cwd
        self._environment = environment
        self._data_bytes_max = data_bytes_max
        self._child: subprocess.Popen[bytes] | None = None
        self._is_given_up = False

    async def finish(self) -> tuple[int, bytes, bytes]:
        async with anyio.create_task_group() as group:
            group.start_soon(self._end_when_cancelled)
            # Cancellation waits for the thread, and the thread for a child that is being killed:
            # never for a thread to be free.
            with anyio.CancelScope(shield=True):
                ended = await anyio.to_thread.run_sync(self._run, limiter=anyio.CapacityLimiter(1))
            group.cancel_scope.cancel()
        await anyio.lowlevel.checkpoint_if_cancelled()
        if isinstance(ended, GitError):
            raise ended
        return ended

    def _run(self) -> tuple[int, bytes, bytes] | GitError:
        try:
            child = children.start(
                self._argv,
                cwd=self._cwd,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
            )
        except OSError as error:
            return self._not_started(error)
        self._child = child
        with suppress(ProcessLookupError, PermissionError, ValueError):
            limit = (self._data_bytes_max, self._data_bytes_max)
            resource.prlimit(child.pid, resource.RLIMIT_DATA, limit)
        if self._is_given_up:
            self._end()
        try:
            return self._listened(child)
        finally:
            self._end()
            child.wait()
            children.forget(child)

    def _listened(self, child: subprocess.Popen[bytes]) -> tuple[int, bytes, bytes] | GitError:
        """Read both pipes to their ends, keeping no more than is allowed of either."""
        assert child.stdout is not None
        assert child.stderr is not None
        output, errors = bytearray(), bytearray()
        with selectors.DefaultSelector() as pipes, child.stdout, child.stderr:
            pipes.register(child.stdout, selectors.EVENT_READ, output)
            pipes.register(child.stderr, selectors.EVENT_READ, errors)
            while pipes.get_map():
                for key, _ in pipes.select():
                    chunk = os.read(key.fd, _CHUNK)
                    if not chunk:
                        pipes.unregister(key.fileobj)
                    key.data.extend(chunk)
                del errors[:-STDERR_KEPT_BYTES]
                if len(output) > OUTPUT_BYTES_MAX:
                    return GitError(f"git printed more than {OUTPUT_BYTES_MAX} bytes")
        return child.wait(), bytes(output), bytes(errors)

    def _not_started(self, error: OSError) -> GitError:
        mend = "install git" if self._cwd.is_dir() else f"{self._cwd} is not there"
        why = f"git could not be started ({error.strerror})"
        return GitError(f"{why}: {mend}", fault=fault_in(f"fatal: {error.strerror}"))

    async def _end_when_cancelled(self) -> None:
        try:
            await anyio.sleep_forever()
        finally:
            self._end()

    def _end(self) -> None:
        self._is_given_up = True
        child = self._child
        if child is not None and child.returncode is None:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(child.pid, signal.SIGKILL)


def _environment(environ: Mapping[str, str], access: Access | None) -> dict[str, str]:
    passed = {name: environ[name] for name in _PASSED if name in environ}
    return {**passed, **_CLEAN, **(_headers(access) if access else {})}


def _headers(access: Access) -> dict[str, str]:
    """Give the token as config by environment, bound to the URL's origin."""
    parts = urlsplit(access.url)
    return {
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": f"http.{parts.scheme}://{parts.netloc}/.extraHeader",
        "GIT_CONFIG_VALUE_0": f"Authorization: Basic {_basic(access.token)}",
    }


def _basic(token: Secret) -> str:
    return base64.b64encode(f"x-access-token:{token.reveal()}".encode()).decode()


def _redactor(access: Access | None) -> Redactor:
    return Redactor([access.token.reveal(), _basic(access.token)] if access else [])
