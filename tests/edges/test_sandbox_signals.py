"""Who inside bubblewrap hears what is sent from outside, and who dies with whom."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path
from time import monotonic, sleep

import pytest

from covend.edges.agents.bubblewrap import inner_group
from covend.edges.agents.sandbox import confine
from tests.edges.confined import SOON, House, agent, poll_until_gone

UP = "echo up; while :; do sleep 1000 & wait $!; done"


def start(home: House, *argv: str, before: tuple[str, ...] = ()) -> subprocess.Popen[bytes]:
    """Start a confined agent, and wait until it has said that it is up."""
    confined = confine(home.wish(agent()))
    process = subprocess.Popen(
        [*before, *confined.prefix, *argv],
        env=dict(confined.environment),
        cwd=home.workspace,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"up\n"
    return process


def descendants_of(pid: int) -> list[int]:
    """Give them by their pids outside."""
    found = children_of(pid)
    return [*found, *(below for child in found for below in descendants_of(child))]


def children_of(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 8), (signal.SIGTERM, 7)])
def test_a_polite_signal_reaches_the_agent_and_its_last_words_are_heard(
    home: House, number: signal.Signals, code: int
) -> None:
    script = f'trap "echo int; exit 8" INT; trap "echo term; exit 7" TERM; {UP}'
    process = start(home, "sh", "-c", script)
    group = inner_group(process.pid)
    assert group is not None
    os.killpg(group, number)
    output, _ = process.communicate(timeout=SOON)
    assert (output.decode().split()[-1], process.returncode) == (
        "int" if code == 8 else "term",
        code,
    )


def test_an_agent_that_does_not_listen_ends_of_it_like_any_program(home: House) -> None:
    process = start(home, "sh", "-c", "echo up; exec sleep 1000")
    os.killpg(inner_group(process.pid) or 0, signal.SIGTERM)
    process.communicate(timeout=SOON)
    assert process.returncode == 128 + signal.SIGTERM


def test_an_agent_that_ignores_it_goes_on(home: House) -> None:
    process = start(home, "sh", "-c", f'trap "" INT TERM; {UP}')
    for number in (signal.SIGINT, signal.SIGTERM):
        os.killpg(inner_group(process.pid) or 0, number)
    assert process.poll() is None
    pids = descendants_of(process.pid)
    process.kill()
    process.communicate(timeout=SOON)
    for pid in pids:
        poll_until_gone(pid)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_the_end_of_the_outer_one_ends_all_also_who_has_left_every_group(
    home: House, number: signal.Signals
) -> None:
    process = start(home, "sh", "-c", f"setsid sh -c 'setsid sleep 1000 & sleep 1000' & {UP}")
    pids = descendants_of(process.pid)
    process.send_signal(number)
    process.communicate(timeout=SOON)
    assert len(pids) > 1
    for pid in pids:
        poll_until_gone(pid)


def test_the_end_of_the_agent_ends_all_that_it_has_left(home: House) -> None:
    process = start(home, "sh", "-c", f"trap 'exit 3' TERM; setsid sleep 1000 & {UP}")
    group = inner_group(process.pid)
    pids = descendants_of(process.pid)
    os.killpg(group or 0, signal.SIGTERM)
    process.communicate(timeout=SOON)
    assert process.returncode == 3
    assert len(pids) > 2
    for pid in pids:
        poll_until_gone(pid)


def test_the_death_of_the_parent_ends_all(home: House) -> None:
    parent = start(home, "sh", "-c", UP, before=("/bin/sh", "-c", '"$@" & wait', "sh"))
    pids = descendants_of(parent.pid)
    parent.kill()
    parent.communicate(timeout=SOON)
    for pid in pids:
        poll_until_gone(pid)


def test_there_is_nobody_to_ask_where_nothing_runs() -> None:
    process = subprocess.Popen(["true"])
    process.wait()
    assert inner_group(process.pid) is None


def test_a_child_that_leads_no_group_is_not_the_inner_one() -> None:
    process = subprocess.Popen(["sh", "-c", "sleep 1000 & wait"], start_new_session=True)
    try:
        poll_until_it_has_a_child(process.pid, SOON)
        assert inner_group(process.pid) is None
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def poll_until_it_has_a_child(pid: int, within_s: float) -> None:
    until = monotonic() + within_s
    while not children_of(pid):
        assert monotonic() < until
        sleep(0.01)
