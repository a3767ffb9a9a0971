"""Checks of a daemon that runs: does it say that it is ready, and does its API let us in."""

from __future__ import annotations

from collections.abc import Iterator

from covend.doctor.finding import Case, Finding, failed, good, warning
from covend.store.sqlite.lock import held_by


def check_daemon(case: Case) -> Iterator[Finding]:
    """Ask for /readyz, and then with the token."""
    told = case.ask("/readyz")
    if isinstance(told, str):
        yield _unanswered(told, case)
        return
    state = f"{told.get('state')}, store {told.get('store')}, version {told.get('version')}"
    if told.get("ready") is True:
        yield good("daemon", state)
    else:
        fix = "`covend resume`, if it was drained; else wait for its start or end, and see its log"
        yield failed("daemon", f"not ready: {state}", fix)
    answer = case.ask("/api/v1/stats")
    if isinstance(answer, str):
        yield failed("admin_api", answer, "let this read covend's own configuration and token")
    else:
        yield good("admin_api", "answers with the token")


def _unanswered(told: str, case: Case) -> Finding:
    state_dir = case.settings.state_dir
    pid = held_by(state_dir)
    if pid is None:
        return warning("daemon", f"no covend runs on {state_dir}", case.serve)
    what = f"covend (pid {pid}) runs on {state_dir}, yet {told.partition(': is it')[0]}"
    return failed("daemon", what, "see its log, and whether it was started with this configuration")


def check_missed(case: Case) -> Finding | None:
    """Ask what the last looks through GitHub's delivery log came to."""
    told = case.ask("/api/v1/reconcile")
    looks = () if isinstance(told, str) else told.get("items", ())
    ended = [each for each in looks if each["state"] == "ended"]
    if not ended:
        return None
    last = ended[0]
    if last["error"] is not None:
        what = f"GitHub's delivery log was not looked through: {last['error']['message']}"
        return warning("missed", what, "until it is, what GitHub cannot deliver stays lost")
    lost = sum(each["unknown_delivered"] for each in ended)
    if lost:
        what = f"{lost} deliveries that GitHub calls delivered were not here, and were taken in"
        fix = "if neither the database nor the webhook's address was changed, see covend's log"
        return warning("missed", what, fix)
    kept = sum(each["kept"] for each in ended)
    return good("missed", f"the log was looked through at {last['ended_at']}; {kept} taken in")
