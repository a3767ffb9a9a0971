"""Runs one git command, safely: no shell, no config but ours, no prompt, no token on any command
line.

The daemon's git reads neither the machine's nor the user's config, runs no hook and no file-system
monitor, and speaks only http, https and file. It must never run in a directory whose `.git` an
agent had in its hands.
"""

from __future__ import annotations

import base64
import os
import signal
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import anyio
import anyio.lowlevel
import anyio.to_thread

from covend.core.errors import GitError
from covend.core.redact import Redactor
from covend.core.settings import Secret

STDERR_SHOWN_MAX = 2000
GRACE_S = 2.0

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
    # Neither ~/.netrc nor ~/.config/git: curl looks up the home directory itself where HOME is not
    # set.
    "HOME": "/nonexistent",
    "LC_ALL": "C",
    # For the merge that a checkout may ask for.
    **dict.fromkeys(("GIT_AUTHOR_NAME", "GIT_COMMITTER_NAME"), "covend"),
    **dict.fromkeys(("GIT_AUTHOR_EMAIL", "GIT_COMMITTER_EMAIL"), "covend@localhost"),
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
)


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
) -> str:
    """Run `git ARGUMENTS` and give its standard output; raises `GitError` with what git said.

    Whoever calls puts `--` or full refs before what comes from outside. Cancellation and the
    timeout end git and its children.
    """
    command = [word for switch in _SWITCHES for word in ("-c", switch)]
    process = _Process(["git", *command, *arguments], cwd, _environment(os.environ, access))
    name = arguments[0]
    with anyio.move_on_after(timeout_s) as scope:
        code, output, errors = await process.finish()
    if scope.cancelled_caught:
        raise GitError(f"git {name} took longer than {timeout_s:g} s")
    if code != 0:
        said = _redactor(access).text(errors.decode("utf-8", "replace").strip())
        raise GitError(f"git {name} failed: {said[-STDERR_SHOWN_MAX:] or f'exit {code}'}")
    return output.decode("utf-8", "replace")


class _Process:
    """One child in a group of its own, waited for in a thread."""

    def __init__(self, argv: list[str], cwd: Path, environment: Mapping[str, str]) -> None:
        self._argv = argv
        self._cwd = cwd
        self._environment = environment
        self._child: subprocess.Popen[bytes] | None = None
        self._is_given_up = False

    async def finish(self) -> tuple[int, bytes, bytes]:
        async with anyio.create_task_group() as group:
            group.start_soon(self._end_when_cancelled)
            # Cancellation waits for the thread, and the thread for a child that is being killed.
            with anyio.CancelScope(shield=True):
                ended = await anyio.to_thread.run_sync(self._run)
            group.cancel_scope.cancel()
        await anyio.lowlevel.checkpoint_if_cancelled()
        if isinstance(ended, GitError):
            raise ended
        return ended

    def _run(self) -> tuple[int, bytes, bytes] | GitError:
        try:
            child = subprocess.Popen(
                self._argv,
                cwd=self._cwd,
                env=dict(self._environment),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
            )
        except OSError as error:
            mend = "install git" if self._cwd.is_dir() else f"{self._cwd} is not there"
            return GitError(f"git could not be started ({error.strerror}): {mend}")
        self._child = child
        if self._is_given_up:
            self._end()
        output, errors = child.communicate()
        return child.returncode, output, errors

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
