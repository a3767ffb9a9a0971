"""A mirror stays while what an agent committed waits in it to be pushed, and not for ever."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from covend.core.settings import Checkout as Kind
from covend.edges.workspace.checkout import Checkout
from covend.edges.workspace.directory import Directory
from covend.edges.workspace.harvest import take_commits
from covend.edges.workspace.mirror import WAITING_S
from tests.edges.forge import attempt, commit, make_forge

NAME = "01task-1"
Attempt = tuple[Checkout, Directory]


@pytest.fixture
async def at_work(tmp_path: Path) -> Attempt:
    return await attempt(tmp_path, make_forge(tmp_path).spec(Kind.HEAD))


async def test_what_is_taken_keeps_its_mirror_until_it_is_pushed(
    at_work: tuple[Checkout, Directory],
) -> None:
    made, directory = at_work
    assert made.mirror is not None
    assert not made.mirror.is_waited_for
    commit(directory.workspace, "one.txt", "1")
    await take_commits(directory, made, NAME)
    assert made.mirror.is_waited_for
    made.mirror.let_go("01task-2")
    assert made.mirror.is_waited_for
    made.mirror.let_go(NAME)
    made.mirror.let_go(NAME)
    assert not made.mirror.is_waited_for


async def test_what_is_never_pushed_does_not_keep_its_mirror_for_ever(
    at_work: tuple[Checkout, Directory],
) -> None:
    made, directory = at_work
    assert made.mirror is not None
    commit(directory.workspace, "one.txt", "1")
    await take_commits(directory, made, NAME)
    (note,) = (made.mirror.path / "waiting").iterdir()
    then = time.time() - WAITING_S - 1
    os.utime(note, (then, then))
    assert not made.mirror.is_waited_for
