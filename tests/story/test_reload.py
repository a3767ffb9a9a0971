"""SIGHUP: other rules from now on, without a restart; a bad file keeps the old ones."""

from __future__ import annotations

import signal

from tests.story.conftest import SetUp
from tests.story.process import serving


async def test_sighup_puts_new_rules_in_force_and_a_bad_file_keeps_them(staged: SetUp) -> None:
    async with staged() as stage, serving(stage) as covend:
        good = stage.config.read_text("utf-8")
        stage.config.write_text(good.replace('name = "review"', 'name = "second-look"'))
        covend.send(signal.SIGHUP)
        await covend.hears("reloaded")
        stage.config.write_text("nonsense")
        covend.send(signal.SIGHUP)
        refused = await covend.hears("the configuration stays as it was")
        _, answer = await covend.post(*stage.signed("pull_request.opened", serial=1))
        [task] = answer["tasks"]
        story = await covend.task_in("completed", task)
        assert "covend.toml" in refused["error"]
        assert story["rule"] == "second-look"
