"""Goes through all checks; one that breaks is a failure of its own, and the others go on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from covend.doctor.agents import check_agents, check_processes
from covend.doctor.daemon import check_daemon, check_missed
from covend.doctor.finding import Case, Finding, failed
from covend.doctor.github import check_github
from covend.doctor.machine import (
    check_ca_store,
    check_git,
    check_home,
    check_python,
    check_sqlite,
)
from covend.doctor.state import check_database, check_disk, check_github_key, check_state_dir

Check = Callable[[Case], Finding | Iterable[Finding] | None]
CHECKS: tuple[Check, ...] = (
    check_python,
    check_sqlite,
    check_git,
    check_ca_store,
    check_home,
    check_state_dir,
    check_disk,
    check_database,
    check_github_key,
    check_github,
    check_agents,
    check_processes,
    check_daemon,
    check_missed,
)
"""What a check has nothing to say about is not listed: a finding that is good was looked at."""
FROM_WITHIN = tuple(each for each in CHECKS if each not in {check_daemon, check_missed})
"""What a daemon asks of the world; of itself it knows."""


def examine(case: Case, checks: Iterable[Check] = CHECKS) -> Iterator[Finding]:
    """Give every finding, as it is made."""
    for check in checks:
        try:
            yield from _found(check(case))
        except Exception as error:  # noqa: BLE001  what is broken here is what is asked for
            name = check.__name__.removeprefix("check_")
            what = f"could not be looked at: {type(error).__name__}: {error}"
            yield failed(name, what, "mend that, or report it as a fault of covend's")


def _found(result: Finding | Iterable[Finding] | None) -> Iterable[Finding]:
    if result is None:
        return ()
    return (result,) if isinstance(result, Finding) else result
