"""What an agent commits becomes one branch and one draft pull request, whatever is killed when."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

from covend.demo.github import Fault
from covend.demo.records import PullRequest
from covend.demo.stage import NUMBER, Stage
from tests.story.agent import Script
from tests.story.conftest import SetUp
from tests.story.process import WITHIN_S, serving
from tests.story.test_kill import opened

SOONER = (sys.executable, "-P", str(Path(__file__).with_name("sooner.py")))
COMMITS = """\
#!/bin/sh
cat > /dev/null
echo "Mended." > MENDED.md
git add MENDED.md
git -c user.name=agent -c user.email=agent@example.org commit --quiet --message "Mend it"
printf '{"conclusion": "success", "summary": "Mended."}' > "$COVEND_RESULT"
"""
PROPOSES = 'checkout = "head"\npublish = ["check", "pull_request"]'
PULLS = "/repos/acme/till/pulls"


@pytest.fixture
def committer(tmp_path: Path) -> Script:
    return Script.write(tmp_path / "commits.sh", COMMITS)


def proposed(stage: Stage) -> list[PullRequest]:
    """Give the pull requests that were not there before."""
    return [pull for number, pull in stage.till.pulls.items() if number != NUMBER]


@pytest.mark.parametrize("arrives", [False, True], ids=["lost", "arrived"])
async def test_killed_between_push_and_opening_it_is_proposed_once(
    staged: SetUp, committer: Script, *, arrives: bool
) -> None:
    """The opening was on its way: it gets lost with covend, or reaches GitHub all the same."""
    async with staged(committer, rule=PROPOSES) as stage:
        head = stage.till.live_pull(NUMBER).head_sha
        held = stage.github.faults.add("POST", PULLS, Fault.HELD)
        async with serving(stage, SOONER) as first:
            task = await opened(stage, first)
            await asyncio.wait_for(held.reached.wait(), WITHIN_S)
            await first.kill()
        branch = f"covend/{task}"
        tip = stage.till.git.commit_at(f"refs/heads/{branch}")
        if arrives:
            held.release()
            await stage.github.wait_for(lambda: proposed(stage))
        async with serving(stage, SOONER) as second:
            await second.hears("published", kind="pull_request")
            story = await second.task_in("completed", task)
        # What was thought to be lost may still come.
        held.release()
        await stage.github.wait_for(
            lambda: all(each.status for each in stage.github.requests if each.path == PULLS)
        )
        (pull,) = proposed(stage)
        assert (pull.head_ref, pull.base_ref, pull.draft) == (branch, "scan-by-code", True)
        assert stage.till.git.commit_at(f"refs/heads/{branch}") == tip
        assert stage.till.git.merge_base(head, tip) == head
    (effect,) = [each for each in story["effects"] if each["kind"] == "pull_request"]
    assert (effect["state"], effect["remote_url"].endswith(f"/{pull.number}")) == ("done", True)
