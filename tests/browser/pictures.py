"""Takes pictures of every page, at a desk and on a phone, in light and dark, before a daemon with
work of every kind in it:

    .venv/bin/python -m tests.browser.pictures FOLDER

The one of README is FOLDER/desktop-light-overview.png.
"""

from __future__ import annotations

import asyncio
import itertools
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import orjson

from covend.demo.stage import free_port, set_up
from tests.browser.house import STRANGER, House
from tests.browser.window import DESKTOP, PHONE, Window, open_chromium
from tests.services.fifo import Fifo
from tests.story.cast import Cast
from tests.story.config import config
from tests.story.held import told
from tests.story.process import serving

LIMITS = "concurrency = 4\nbudget_usd_per_day = 25.0"
RULE = 'checkout = "head"\npublish = ["check", "comment", "review"]\ntrust = {{ fork = "hold" }}'
MORE = """
[agents.fixer]
preset = "command"
command = {command}

[[rules]]
name = "triage"
on = ["issues.opened"]
agent = "fixer"
prompt = {{ builtin = "triage" }}
publish = ["comment", "labels"]

[[schedules]]
name = "nightly"
cron = "0 3 * * *"
rule = "triage"
repository = "acme/till"
"""
TITLES = (
    "Round every total to the cent",
    "Read prices from the till's own file",
    "Count returned bottles",
    "Print the receipt in the customer's language",
    "Drop Python 3.10",
    "Take the discount before the tax",
)
WORKS = r"""
printf '\033[2m$\033[0m \033[1mpython -m pytest -q\033[0m\n'
printf '\033[32m........................................\033[0m [ 62%%]\n'
printf '\033[31mF\033[0m\033[32m.......................\033[0m [100%%]\n'
printf '\033[1;31mFAILED\033[0m tests/test_basket.py::test_a_basket_begins_empty\n'
printf 'reading \033[36msrc/till/basket.py\033[0m\n'
"""
NAMES = ("", "tasks", "deliveries", "effects", "agents", "safeguards", "rules", "doctor", "audit")


def result(conclusion: str, summary: str, cost: float) -> str:
    """Write a part that prints, and ends so."""
    told = {
        "conclusion": conclusion,
        "summary": summary,
        "usage": {"input_tokens": 41_800, "output_tokens": 2_310, "cost_usd": cost},
    }
    return f'{WORKS}cat > "$COVEND_RESULT" <<END\n{orjson.dumps(told).decode()}\nEND\n'


async def furnish(house: House) -> dict[str, str]:
    """Let work of every kind happen; give the pages that are about one thing."""
    serial = itertools.count(1)
    for title, (verdict, cost) in zip(
        TITLES[:3], (("success", 0.42), ("failure", 1.31), ("neutral", 0.18)), strict=True
    ):
        house.cast.plays(result(verdict, f"Looked at *{title}*.\n\nNothing else.", cost))
        _, (done,) = await house.open_pull(title, serial=next(serial))
        await house.covend.task_in("completed", done)
    house.cast.plays(f"{WORKS}echo 'the model does not answer' >&2\nexit 3\n")
    _, (failed,) = await house.open_pull(TITLES[3], serial=next(serial))
    await house.covend.task_in("failed", failed)
    await house.open_pull("Help out", serial=next(serial), author=STRANGER)
    body, headers = house.stage.signed("pull_request.closed", serial=next(serial))
    await house.covend.post(body, headers)
    house.cast.plays(
        f'{WORKS}echo "$COVEND_TASK" > {house.here.path}\nread -r word < {house.word.path}\n'
    )
    delivery, (running,) = await house.open_pull(TITLES[4], serial=next(serial))
    await house.here.line()
    await told(house.stage, "pause", "--agent", "example", "--why", "the provider has an outage")
    await house.open_pull(TITLES[5], serial=next(serial))
    return {
        "task-done": f"/tasks/{done}",
        "task-failed": f"/tasks/{failed}",
        "task-running": f"/tasks/{running}",
        "delivery": f"/deliveries/{delivery}",
    }


@asynccontextmanager
async def furnished(folder: Path) -> AsyncIterator[tuple[House, dict[str, str]]]:
    """Start everything in a folder of its own."""
    cast = Cast(folder)
    text = config(limits=LIMITS, rule=RULE, more=MORE)
    ports = (0, free_port())
    async with set_up(folder, config=text, command=cast.command, ports=ports) as stage:
        with Fifo(folder / "here") as here, Fifo(folder / "word") as word:
            async with serving(stage) as covend:
                house = House(stage=stage, covend=covend, cast=cast, here=here, word=word)
                yield house, await furnish(house)
                word.say("done")


async def main(into: Path) -> None:
    """Take them all."""
    with tempfile.TemporaryDirectory(prefix="covend-pictures-") as name:
        async with furnished(Path(name)) as (house, more):
            chrome = open_chromium(Path(name) / "profile")
            try:
                await take(Window(chrome, house.admin), house.token, more, into)
            finally:
                chrome.quit()


async def take(window: Window, token: str, more: dict[str, str], into: Path) -> None:
    """Look at every page in every way."""
    await window.go("/login")
    await window.picture(into / "login.png")
    await window.fill("#token", token)
    await window.press("Log in")
    pages = {name or "overview": f"/{name}" for name in NAMES} | more
    for (size, width), scheme in itertools.product(
        ((DESKTOP, "desktop"), (PHONE, "phone")), ("light", "dark")
    ):
        await window.resize(size)
        await window.prefer(scheme)
        for name, path in pages.items():
            await window.go(path)
            await window.picture(into / f"{width}-{scheme}-{name}.png")


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    asyncio.run(main(folder))
