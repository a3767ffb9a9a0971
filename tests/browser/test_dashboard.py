"""The dashboard in a real Chromium, before a daemon that works: what people do on it, and what
hostile texts cannot.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from selenium.webdriver import Chrome

from tests.browser.house import HOSTILE, STRANGER, House, open_house
from tests.browser.window import DESKTOP, PHONE, Window
from tests.story.conftest import SetUp

PAGES = (
    "/",
    "/tasks",
    "/deliveries",
    "/effects",
    "/agents",
    "/safeguards",
    "/rules",
    "/doctor",
    "/audit",
)


@pytest.fixture
async def house(staged: SetUp, tmp_path: Path) -> AsyncIterator[House]:
    async with open_house(staged, tmp_path) as house:
        yield house


@pytest.fixture
async def window(house: House, chromium: Chrome) -> AsyncIterator[Window]:
    """A desktop's window, logged in; nothing that Chromium complains of is left unseen."""
    window = Window(chromium, house.admin)
    await window.resize(DESKTOP)
    await log_in(window, house.token)
    yield window
    assert await window.complaints() == []


async def log_in(window: Window, token: str, then: str = "/") -> None:
    """Lose the session of before, and open another."""
    await window.go("/login")
    await window.forget()
    await window.complaints()
    await window.go(then)
    await window.fill("#token", token)
    await window.press("Log in")
    await window.arrives(then)


async def test_a_wrong_token_is_told_so_and_the_right_one_leads_where_one_wanted_to_go(
    house: House, chromium: Chrome
) -> None:
    window = Window(chromium, house.admin)
    await window.go("/login")
    await window.forget()
    await window.go("/tasks?state=failed")
    assert window.path == "/login?next=/tasks%3Fstate%3Dfailed"
    await window.fill("#token", "a wrong one")
    await window.press("Log in")
    await window.sees("There is no such token")
    await window.fill("#token", house.token)
    await window.press("Log in")
    await window.arrives("/tasks?state=failed")
    await window.press("Log out", "header")
    await window.arrives("/login")
    await window.go("/tasks")
    assert window.path.startswith("/login")


async def test_a_running_tasks_log_arrives_line_by_line_and_moves_nothing_but_itself(
    house: House, window: Window
) -> None:
    house.shows_its_work()
    _, (task,) = await house.open_pull(HOSTILE, serial=1)
    await house.here.line()
    await window.go(f"/tasks/{task}")
    shown = await window.sees("reading src/till/basket.py", "#log")
    assert "a title cleared" in shown
    assert "<b id=owned>bold</b> link" in shown
    assert await window.ask("document.querySelector('#owned')") is None
    house.word.say("there")
    await window.sees("then there", "#log")
    await window.sees("completed")
    await is_not_owned(window)


async def test_what_runs_is_cancelled_and_retried_by_a_button(house: House, window: Window) -> None:
    house.shows_its_work()
    _, (task,) = await house.open_pull("Round to the cent", serial=1)
    await house.here.line()
    await window.go(f"/tasks/{task}")
    await window.press("Cancel")
    await window.sees("cancelled", "#task-head .badge")
    assert (await house.covend.task(task))["state"] == "cancelled"
    await window.press("Retry")
    assert await house.here.line() == task
    await window.sees("running", "#task-head .badge")
    house.word.say("there")
    await window.sees("completed", "#task-head .badge")


async def test_a_strangers_work_waits_until_somebody_presses_approve(
    house: House, window: Window
) -> None:
    _, (task,) = await house.open_pull("Help out", serial=1, author=STRANGER)
    await window.go("/")
    await window.sees("Help out")
    await window.go(f"/tasks/{task}")
    await window.sees("approval")
    assert house.cast.who_ran(task) == []
    await window.press("Approve")
    await window.sees("completed", "#task-head .badge")
    await window.go("/audit")
    await window.sees("approve")


async def test_an_ignored_delivery_says_why_it_was_ignored(house: House, window: Window) -> None:
    body, headers = house.stage.signed("pull_request.closed", serial=3)
    _, answer = await house.covend.post(body, headers)
    assert answer["state"] == "ignored"
    await window.go("/deliveries")
    await window.sees("ignored")
    await window.go(f"/deliveries/{answer['delivery']}")
    shown = await window.sees("ignored")
    assert "pull_request.closed" in shown
    assert "review" in shown


async def test_nothing_that_strangers_write_does_anything_on_any_page(
    house: House, window: Window
) -> None:
    delivery, (task,) = await house.open_pull(HOSTILE, serial=1)
    await house.covend.task_in("completed", task)
    for page in (*PAGES, f"/tasks/{task}", f"/deliveries/{delivery}"):
        await window.go(page)
        await is_not_owned(window)
    await window.go("/tasks")
    await window.sees("<script>window.owned = 1</script>")


async def is_not_owned(window: Window) -> None:
    assert await window.ask("window.owned === undefined") is True
    assert await window.ask("document.querySelectorAll('[onerror]').length") == 0
    links = await window.ask("[...document.links].map(each => each.protocol)")
    assert set(links) <= {"http:", "https:"}


async def test_a_page_shows_what_happens_without_being_loaded_again(
    house: House, window: Window
) -> None:
    await window.go("/tasks")
    await window.ask("window.stays = true")
    _, (task,) = await house.open_pull("Round to the cent", serial=1)
    await window.sees("Round to the cent")
    await house.covend.task_in("completed", task)
    await window.sees("completed")
    assert await window.ask("window.stays === true")


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
async def test_every_page_fits_its_screen(
    house: House, window: Window, size: tuple[int, int], tmp_path: Path
) -> None:
    delivery, (task,) = await house.open_pull(HOSTILE, serial=1)
    await house.covend.task_in("completed", task)
    await window.resize(size)
    for page in (*PAGES, f"/tasks/{task}", f"/deliveries/{delivery}"):
        await window.go(page)
        assert await window.ask("document.documentElement.scrollWidth") <= size[0], page
        assert await window.text("h1")


async def test_without_scripts_one_logs_in_reads_and_cancels(
    house: House, plain_chromium: Chrome
) -> None:
    house.shows_its_work()
    _, (task,) = await house.open_pull("Round to the cent", serial=1)
    await house.here.line()
    window = Window(plain_chromium, house.admin)
    await log_in(window, house.token, f"/tasks/{task}")
    assert "reading src/till/basket.py" in await window.text("#log")
    await window.press("Cancel")
    await house.covend.task_in("cancelled", task)
    await window.go(f"/tasks/{task}")
    assert "cancelled" in await window.text("#task-head .badge")


async def test_what_somebody_has_begun_to_write_stays_while_the_page_changes(
    house: House, window: Window
) -> None:
    await window.go("/deliveries")
    await window.fill("[name=search]", "acme")
    await window.ask("document.activeElement.blur()")
    await house.open_pull("Round to the cent", serial=1)
    await window.refreshes(1)
    await house.open_pull("Count bottles", serial=2)
    await window.refreshes(2)  # which begins when what came with the one before is shown
    assert await window.ask("document.querySelector('[name=search]').value") == "acme"
    await window.ask("document.querySelector('[name=search]').value = ''")
    await house.open_pull("Drop a version", serial=3)
    await window.sees("pull_request.opened")
