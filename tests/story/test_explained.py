"""What an operator does before a rule is let loose: send an event, ask why, try another rule on
what came in, all from the command line against a covend that runs.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from covend.demo.stage import Stage
from tests.story.agent import Script
from tests.story.config import ALONE, ONCE
from tests.story.conftest import SetUp
from tests.story.process import Covend, serving
from tests.story.test_cancel import run

CHANGES = ("--set", "pull_request.draft=true", "--set", "pull_request.labels=[]")


def url(covend: Covend) -> tuple[str, str]:
    return "--url", covend.public


def edited(stage: Stage, text: str) -> Stage:
    """Write a configuration that is to be tried, for whoever acts on this stage."""
    path = stage.folder / "edited.toml"
    path.write_text(stage.config.read_text().replace("draft = false", text))
    return replace(stage, config=path)


async def test_an_event_is_sent_explained_and_tried_on_other_rules(staged: SetUp) -> None:
    async with staged() as stage, serving(stage) as covend:
        code, told, wrong = await run(
            stage, "trigger", "pull_request.opened", *CHANGES, *url(covend), "--json"
        )
        assert (code, wrong) == (0, "")
        sent = json.loads(told)
        assert (sent["state"], sent["reason"], sent["tasks"]) == ("ignored", "no_match", [])
        code, told, _ = await run(stage, "explain", "--delivery", sent["delivery"])
        assert code == 0
        assert "  ✗  when.draft  is true  wants false" in told
        assert told.splitlines()[-1] == "starts nothing: review: when.draft is true, wants false"
        other = edited(stage, "draft = true")
        code, told, _ = await run(other, "replay", "--since", "1h", "--dry-run", "--json")
        found = json.loads(told)
        (line,) = found["summary"]
        assert (code, found["deliveries"]) == (0, 1)
        assert (line["rule"], line["started_then"], line["new"]) == ("review", 0, 1)
        assert [each["delivery"] for each in found["changed"]] == [sent["delivery"]]
        _, told, _ = await run(stage, "replay", "--since", "1h", "--dry-run", "--json")
        assert json.loads(told)["changed"] == []
        _, tasks = await covend.get("/api/v1/tasks")
        assert tasks["items"] == []


async def test_each_trigger_is_a_new_event_and_can_be_waited_for(staged: SetUp) -> None:
    async with staged() as stage, serving(stage) as covend:
        first = await run(stage, "trigger", "ping", *url(covend))
        assert first[0] == 0
        ids = set()
        for _ in range(2):
            code, told, _ = await run(stage, "trigger", "push", *url(covend), "--json")
            assert code == 0
            ids.add(json.loads(told)["delivery"])
        assert len(ids) == 2
        _, pages = await covend.get("/api/v1/deliveries")
        assert {each["duplicates"] for each in pages["items"]} == {0}


@pytest.mark.parametrize(("text", "code"), [("exit 0", 0), ("exit 1", 1)], ids=["good", "bad"])
async def test_what_was_sent_is_waited_for_and_its_end_is_the_exit_code(
    staged: SetUp, tmp_path: Path, text: str, code: int
) -> None:
    agent = Script.write(tmp_path / "agent.sh", text)
    async with staged(agent, rule=ALONE, retry=ONCE) as stage, serving(stage) as covend:
        sent = await run(stage, "trigger", "pull_request", *url(covend), "--wait")
        assert sent[0] == code, sent


async def test_a_live_pull_request_is_explained_as_if_it_had_just_been_pushed(
    staged: SetUp,
) -> None:
    async with staged() as stage, serving(stage) as covend:
        code, told, wrong = await run(stage, "explain", "--pr", "acme/till#7", "--json")
        assert (code, wrong) == (0, "")
        found = json.loads(told)
        assert (found["starts"], found["event"]["name"]) == (True, "pull_request.synchronize")
        head = stage.till.live_pull(7).head_sha
        assert found["event"]["subject"]["head_sha"] == head
        _, deliveries = await covend.get("/api/v1/deliveries")
        assert deliveries["items"] == []
