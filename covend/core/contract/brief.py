"""Tells an agent what its work is: the brief (JSON to read) and its environment. No secret enters
either.

The shapes are the agent's contract, version 1; a field may be added, none changes its meaning.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from covend.core.model import Claim, Command, Moment, Subject, Task
from covend.core.presets import PRESETS
from covend.core.settings import Agent, Policy
from covend.core.sources import github, own, submission, ticks

CONTRACT = 1
INHERITED = ("PATH", "HOME", "LANG", "TZ")
DEFAULT_PATH = "/usr/local/bin:/usr/bin:/bin"
OWN_PREFIX = "COVEND_"
_SOURCES = {own.EVENT: own.NAME, submission.EVENT: submission.NAME, ticks.EVENT: ticks.NAME}
"""By the name of the event: every other one is GitHub's, but for those that name their sender."""
_SUPERVISORS = ("NOTIFY_SOCKET", "CREDENTIALS_DIRECTORY", "INVOCATION_ID", "JOURNAL_STREAM")
_SUPERVISORS_PREFIXES = ("LISTEN_", "WATCHDOG_")


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Where an attempt reads, works and writes: absolute paths."""

    workspace: PurePath
    brief: PurePath
    result: PurePath


def brief_of(
    claim: Claim,
    policy: Policy,
    prompt: str,
    deadline: Moment,
    *,
    previous_session: str | None = None,
    previous_result: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Give the brief as JSON-ready values; `deadline` comes in as ms UTC and stands there in unix
    seconds.
    """
    task = claim.task
    return {
        "contract": CONTRACT,
        "task": {"id": task.id, "rule": policy.rule.name, "attempt": claim.attempt},
        "event": _event(task),
        "repository": _repository(task),
        "subject": _subject(task.subject),
        "command": _command(task.command),
        "inputs": dict(task.inputs),
        "trust": task.trust.value,
        "prompt": prompt,
        "previous": {
            "session": previous_session,
            "result": dict(previous_result) if previous_result is not None else None,
        },
        "deadline": deadline // 1000,
    }


def environment_of(
    claim: Claim,
    agent: Agent,
    places: Places,
    deadline: Moment,
    environ: Mapping[str, str],
) -> dict[str, str]:
    """Give the agent's whole environment: what it may inherit from `environ`, its tool's switches,
    and its task.

    What the operator lets through (`agent.env`) wins over a tool's switch of the same name; neither
    can take the place of a COVEND_ variable. Nothing else is inherited, and what a supervisor meant
    for the daemon alone not even where `agent.env` names it.
    """
    allowed = (name for name in (*INHERITED, *agent.env) if not is_reserved(name))
    return {
        "PATH": DEFAULT_PATH,
        **PRESETS[agent.preset].environment,
        **{name: environ[name] for name in allowed if name in environ},
        **marks_of(claim),
        "COVEND_BRIEF": str(places.brief),
        "COVEND_RESULT": str(places.result),
        "COVEND_WORKSPACE": str(places.workspace),
        "COVEND_DEADLINE": str(deadline // 1000),
    }


def is_reserved(name: str) -> bool:
    """Say whether a variable is covend's own or its supervisor's: no agent gets it.

    https://www.freedesktop.org/software/systemd/man/latest/systemd.exec.html#Environment%20Variables%20in%20Spawned%20Processes
    """
    return name in _SUPERVISORS or name.startswith((OWN_PREFIX, *_SUPERVISORS_PREFIXES))


def marks_of(claim: Claim) -> dict[str, str]:
    """Give the variables by which a process is known to be of an attempt."""
    return {"COVEND_TASK": claim.task.id, "COVEND_ATTEMPT": str(claim.attempt)}


def without_credentials(url: str | None) -> str | None:
    """Give the URL without the `user:password@` that someone may have written into it."""
    if not url:
        return None
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def _event(task: Task) -> dict[str, Any]:
    name, _, action = task.event.partition(".")
    source = _SOURCES.get(name, github.NAME)
    if task.is_foreign:
        source, _, name = name.partition(":")
    return {"source": source, "name": name, "action": action or None, "delivery": task.delivery}


def _repository(task: Task) -> dict[str, Any]:
    name = task.repository
    return {
        "full_name": name.partition(":")[2] if name and task.is_foreign else name,
        "default_branch": task.default_branch,
        "url": without_credentials(task.clone_url),
    }


def _subject(subject: Subject) -> dict[str, Any]:
    return {
        "type": subject.type.value,
        "number": subject.number,
        "title": subject.title,
        "url": subject.url,
        "author": subject.author,
        "head_sha": subject.head_sha,
        "base_sha": subject.base_sha,
    }


def _command(command: Command | None) -> dict[str, Any] | None:
    if command is None:
        return None
    return {"verb": command.verb, "text": command.text, "actor": command.actor}
