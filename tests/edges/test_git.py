from __future__ import annotations

import base64
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import ClassVar
from urllib.parse import urlsplit

import anyio
import pytest

from covend.core.errors import GitError
from covend.core.secret import Secret
from covend.edges.workspace.git import Access, git, marked
from tests.edges.forge import poll_until

TOKEN = "ghs_" + "secret" * 8
ACCESS = Access(url="https://forge.example/acme/widget.git", token=Secret(TOKEN))


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    subprocess.run(["git", "init", "--quiet", str(tmp_path)], check=True)
    return tmp_path


def plant_monitor(repository: Path) -> None:
    plant = ["git", "-C", str(repository), "config", "core.fsmonitor", "touch owned; false"]
    subprocess.run(plant, check=True)


def fake_git(folder: Path, monkeypatch: pytest.MonkeyPatch, body: str) -> None:
    """Put a `git` of our own first on the PATH."""
    script = folder / "bin" / "git"
    script.parent.mkdir()
    script.write_text(f"#!{sys.executable}\n{body}\n")
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{script.parent}:/usr/bin:/bin")


async def test_output_comes_back(repository: Path) -> None:
    assert await git("rev-parse", "--is-inside-work-tree", cwd=repository, timeout_s=10) == "true\n"


async def test_a_failure_says_what_git_said(repository: Path) -> None:
    with pytest.raises(GitError, match=r"git cat-file failed: .*nonesuch"):
        await git("cat-file", "-e", "nonesuch", cwd=repository, timeout_s=10)


async def test_the_users_config_and_the_daemons_variables_are_not_read(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (repository / "config").write_text("[alias]\n x = !touch owned\n[user]\n name = someone\n")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(repository / "config"))
    monkeypatch.setenv("GIT_DIR", "/nonexistent")
    with pytest.raises(GitError, match="not a git command"):
        await git("x", cwd=repository, timeout_s=10)
    assert not (repository / "owned").exists()


async def test_planted_hooks_and_monitors_do_not_run(repository: Path) -> None:
    hook = repository / ".git" / "hooks" / "post-checkout"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\ntouch owned\n")
    hook.chmod(0o755)
    plant_monitor(repository)
    await git("commit", "--quiet", "--allow-empty", "-m", "x", cwd=repository, timeout_s=10)
    await git("status", cwd=repository, timeout_s=10)
    await git("checkout", "--quiet", "-b", "other", cwd=repository, timeout_s=10)
    assert not (repository / "owned").exists()


@pytest.mark.parametrize("url", ["ext::sh -c 'touch owned'", "ssh://forge.example/x", "git://x/y"])
async def test_other_protocols_are_refused(repository: Path, url: str) -> None:
    with pytest.raises(GitError, match="not allowed"):
        await git("fetch", "--", url, cwd=repository, timeout_s=10)
    assert not (repository / "owned").exists()


async def test_git_carries_the_marks_of_its_attempt(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A killed covend left three processes of git with a token, and the next one did not know
    them.
    """
    fake_git(repository, monkeypatch, "import os; print(os.environ.get('COVEND_TASK'))")
    with marked({"COVEND_TASK": "t1"}):
        assert await git("fetch", cwd=repository, timeout_s=10) == "t1\n"
    assert await git("fetch", cwd=repository, timeout_s=10) == "None\n"


async def test_the_token_is_in_no_argument_and_only_for_its_host(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = "import os, sys; print(sys.argv, os.environ)"
    fake_git(repository, monkeypatch, body)
    told = await git("fetch", cwd=repository, timeout_s=10, access=ACCESS)
    argv, _, environment = told.partition("environ(")
    assert "Authorization" not in argv
    assert TOKEN not in told
    assert "'GIT_CONFIG_KEY_0': 'http.https://forge.example/.extraHeader'" in environment
    assert "'GIT_CONFIG_VALUE_0': 'Authorization: Basic " in environment


async def test_the_token_is_in_no_error(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    body = f"import os, sys; sys.exit(os.environ['GIT_CONFIG_VALUE_0'] + ' {TOKEN} ' + 'x' * 9999)"
    fake_git(repository, monkeypatch, body)
    with pytest.raises(GitError) as caught:
        await git("fetch", cwd=repository, timeout_s=10, access=ACCESS)
    assert TOKEN not in str(caught.value)
    assert "eC1hY2Nlc3M" not in str(caught.value)
    assert len(str(caught.value)) < 3000


class Forge(BaseHTTPRequestHandler):
    """Sends everyone on to `elsewhere` and remembers what came."""

    elsewhere = ""
    seen: ClassVar[list[tuple[str, str | None]]] = []

    def do_GET(self) -> None:
        self.seen.append((self.headers["Host"], self.headers["Authorization"]))
        self.send_response(302)
        self.send_header("Location", self.elsewhere)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the base class)
        pass


@pytest.fixture
def forge() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), Forge) as server:
        here = f"127.0.0.1:{server.server_port}"
        Forge.elsewhere = f"http://localhost:{server.server_port}/other.git"
        Forge.seen.clear()
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://{here}/widget.git"
        server.shutdown()
        thread.join()


async def test_the_token_is_sent_to_its_host_and_does_not_follow_a_redirect(
    repository: Path, forge: str
) -> None:
    access = Access(url=forge, token=Secret(TOKEN))
    with pytest.raises(GitError):
        await git("fetch", "--", forge, cwd=repository, timeout_s=10, access=access)
    basic = base64.b64encode(f"x-access-token:{TOKEN}".encode()).decode()
    assert Forge.seen == [(urlsplit(forge).netloc, f"Basic {basic}")]


async def test_a_token_for_another_host_is_not_sent(repository: Path, forge: str) -> None:
    with pytest.raises(GitError):
        await git("fetch", "--", forge, cwd=repository, timeout_s=10, access=ACCESS)
    assert [authorization for _, authorization in Forge.seen] == [None]


async def test_over_its_time_git_and_its_children_end(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_git(repository, monkeypatch, "import subprocess; subprocess.run(['sleep', '100'])")
    with anyio.fail_after(10), pytest.raises(GitError, match=r"longer than 0\.3 s"):
        await git("fetch", cwd=repository, timeout_s=0.3)


async def test_cancellation_ends_git(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_git(repository, monkeypatch, "import time; time.sleep(100)")
    with anyio.fail_after(10), anyio.move_on_after(0.2) as scope:
        await git("fetch", cwd=repository, timeout_s=50)
    assert scope.cancelled_caught


async def test_a_git_that_waits_for_others_can_be_cancelled_at_once(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = repository / "begun"
    fake_git(repository, monkeypatch, f"open({str(begun)!r}, 'w'); import time; time.sleep(100)")
    threads = anyio.to_thread.current_default_thread_limiter()
    monkeypatch.setattr(threads, "total_tokens", 1)
    with anyio.fail_after(10):
        async with anyio.create_task_group() as group:
            group.start_soon(partial(git, "fetch", cwd=repository, timeout_s=100))
            await poll_until(begun.exists)
            with anyio.move_on_after(0.2):
                await git("fetch", cwd=repository, timeout_s=100)
            group.cancel_scope.cancel()


async def test_a_missing_git_says_so(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(GitError, match="install git"):
        await git("status", cwd=repository, timeout_s=10)
