"""The story that `covend demo` tells: a signed webhook becomes a posted review, step by step, all
of it real.

Only GitHub is a stand-in. Each step is checked while it is told; one that is wrong ends the story
with 1.
"""

from __future__ import annotations

import os
import signal
import tempfile
import textwrap
from collections.abc import Callable, Mapping
from pathlib import Path

import anyio

from covend.app import Daemon, running
from covend.demo.github.state import State
from covend.demo.stage import NUMBER, Stage, free_port, set_up
from covend.services.known_secrets import Secrets
from covend.telemetry import logs
from covend.web.findings import Examine

PATIENCE_S = 60.0
WIDTH = 74
ACCEPTED = 202


class StoryError(Exception):
    """A step of the story did not go as it should."""


def run(*, once: bool, examining: Callable[[Path], Examine]) -> int:
    """Tell the story and stay up until Ctrl-C, or return after it; 0 where every step was right.

    `examining` makes of a configuration's file what looks at the real world for the dashboard.
    """
    with tempfile.TemporaryDirectory(prefix="covend-demo-") as folder:
        try:
            anyio.run(_play, Path(folder), once, examining)
        except StoryError as error:
            _tell("wrong", str(error))
            _show_log(Path(folder))
            return 1
        except KeyboardInterrupt:
            _say("")
    return 0


async def _play(
    folder: Path,
    once: bool,  # noqa: FBT001  anyio.run passes by place
    examining: Callable[[Path], Examine],
) -> None:
    async with set_up(folder, ports=(free_port(), free_port())) as stage:
        settings = stage.settings(os.environ)
        with (folder / "covend.log").open("w", encoding="utf-8") as log:
            secrets = Secrets(settings.secret_texts())
            logs.configure(stream=log, redact=secrets.text)
            examine = examining(stage.config)
            async with running(settings, os.environ, secrets, examine=examine) as daemon:
                _introduce(stage, daemon)
                with anyio.move_on_after(PATIENCE_S) as patience:
                    task = await _tell_story(stage, daemon)
                if patience.cancelled_caught:
                    raise StoryError(f"nothing more happened within {PATIENCE_S:.0f} s")
                if not once:
                    _invite(stage, daemon, task)
                    await _until_stopped()


async def _until_stopped() -> None:
    with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async for _ in signals:
            return


def _introduce(stage: Stage, daemon: Daemon) -> None:
    _say(f"covend is up: webhooks at {daemon.addresses.public}/webhooks/github")
    _say(f"A stand-in of GitHub answers at {stage.github.api_url}, with a real git repository.")
    _say("")


async def _tell_story(stage: Stage, daemon: Daemon) -> str:
    """Send one webhook, follow it to the review, and give its task."""
    body, headers = stage.signed("pull_request.opened", serial=1)
    what = f"mara-quist opens pull request #{NUMBER} of acme/till"
    _tell("delivery", f"{what}: {len(body):,} bytes, signed")
    status, answer = await stage.send(daemon.addresses.public, body, headers)
    _expect(status == ACCEPTED, f"the webhook was answered with {status}: {answer}")
    _tell("answer", f"{status}, after the commit was on disk: {answer['delivery']}")
    task = _one_task(answer)
    _tell("rule", f"`review` matches, so there is task {task}")
    status, again = await stage.send(daemon.addresses.public, body, headers)
    _expect(again.get("tasks") == [task], f"the same delivery again gave {again}")
    _tell("again", f"{status}: GitHub sends it a second time, and nothing runs twice")
    await _follow(stage)
    return task


async def _follow(stage: Stage) -> None:
    github = stage.github
    await github.wait_for(lambda: github.state.check_runs, within_s=PATIENCE_S)
    _tell("attempt", "claimed, checked out at the head's commit; a check says it is in progress")
    await github.wait_for(lambda: github.state.reviews, within_s=PATIENCE_S)
    await github.wait_for(lambda: _is_concluded(github.state), within_s=PATIENCE_S)
    _expect(len(github.state.reviews) == 1, "there is more than one review")
    _expect(not github.violations, f"GitHub would not have taken this: {github.violations}")
    _tell("review", "posted, once; the check is concluded:")
    _say("")
    _show_review(github.state)


def _is_concluded(state: State) -> bool:
    return any(run.conclusion for run in state.check_runs)


def _show_review(state: State) -> None:
    review = state.reviews[0]
    for check in state.check_runs:
        _quote(f"check {check.name}: {check.conclusion}")
    _quote(f"review by {review.author.login}:")
    _quote(_visible(review.body))
    for comment in review.comments:
        _quote(f"{comment.path}:{comment.line}")
        _quote(_visible(comment.body), indent=4)


def _invite(stage: Stage, daemon: Daemon, task: str) -> None:
    token = stage.folder / "state" / "admin.token"
    _say("")
    _say(f"Its dashboard: {daemon.addresses.admin}/tasks/{task}")
    _say(f"    log in with the token in {token}")
    _say("")
    _say("covend stays up until Ctrl-C. In another terminal:")
    config = stage.config
    for command in ("tasks", f"show {task}", f"logs {task}", "deliveries", "effects", "doctor"):
        _say(f"    ./run {command} --config {config}")
    _say(f"Its log: {stage.folder / 'covend.log'}")
    _say(f"Its admin API: {daemon.addresses.admin}/api/v1/tasks  (the same token)")
    _say(f"Its metrics: {daemon.addresses.admin}/metrics")


def _one_task(answer: Mapping[str, object]) -> str:
    tasks = answer.get("tasks")
    if not isinstance(tasks, list) or len(tasks) != 1:
        raise StoryError(f"one task was expected: {answer}")
    return str(tasks[0])


def _expect(is_so: bool, otherwise: str) -> None:  # noqa: FBT001  reads as a sentence
    if not is_so:
        raise StoryError(otherwise)


def _visible(text: str) -> str:
    """Leave out what GitHub does not show."""
    lines = (line for line in text.splitlines() if not line.startswith("<!--"))
    return "\n".join(lines).strip()


def _tell(what: str, text: str) -> None:
    _say(f"{what:>10}  {text}")


def _quote(text: str, indent: int = 0) -> None:
    for line in text.splitlines():
        for part in textwrap.wrap(line, WIDTH - indent) or [""]:
            _say(f"    │ {' ' * indent}{part}")


def _show_log(folder: Path) -> None:
    log = folder / "covend.log"
    if log.exists():
        _say("The last of covend's log:")
        for line in log.read_text(encoding="utf-8").splitlines()[-15:]:
            _say(f"    {line}")


def _say(text: str) -> None:
    print(text, flush=True)  # noqa: T201  the story is what it prints
