"""Names safeguards and budgets, as operators, the store and the decisions all write them.

An id is `kind/scope`; a repository and a subject are written as people do, in lower case.
"""

from __future__ import annotations

from covend.core.model import Task

ALL = "all"
DRAIN = "drain/all"
PAUSE_ALL = "pause/all"


def repository_of(task: Task) -> str | None:
    """Give `o/r`, or None where the task has no repository."""
    return task.repository.lower() if task.repository else None


def subject_of(task: Task) -> str | None:
    """Give `o/r#N`, or None where the task is about nothing that has a number."""
    repository, number = repository_of(task), task.subject.number
    return None if repository is None or number is None else f"{repository}#{number}"


def pause_rule(rule: str) -> str:
    """Name the pause of a rule."""
    return f"pause/rule:{rule}"


def pause_agent(agent: str) -> str:
    """Name the pause of an agent."""
    return f"pause/agent:{agent}"


def pause_repository(repository: str) -> str:
    """Name the pause of a repository."""
    return f"pause/repository:{repository.lower()}"


def agent_circuit(agent: str) -> str:
    """Name the circuit of an agent's service."""
    return f"circuit/agent:{agent}"


def host_circuit(host: str) -> str:
    """Name the circuit of an outside host."""
    return f"circuit/host:{host.lower()}"


def callback_circuit(callback: str) -> str:
    """Name the circuit of a callback's receiver."""
    return f"circuit/callback:{callback}"


def crash_loop(agent: str, task: Task) -> str | None:
    """Name the suppression of an agent in the task's repository; None without one."""
    repository = repository_of(task)
    return None if repository is None else f"crash_loop/agent:{agent}@{repository}"


def loop(task: Task) -> str | None:
    """Name the guard of the task's subject; None without one."""
    subject = subject_of(task)
    return None if subject is None else f"loop/{subject}"
