"""A window of a real Chromium, asked without holding the event loop up."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, TypeVar

from selenium.common.exceptions import TimeoutException, WebDriverException
from selenium.webdriver import Chrome, ChromeOptions, ChromeService
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.wait import WebDriverWait

CHROMIUM, DRIVER = Path("/usr/bin/chromium"), Path("/usr/bin/chromedriver")
WITHIN_S = 20.0
LOOK_EVERY_S = 0.05
DESKTOP, PHONE = (1280, 900), (390, 844)
"""Width and height, in CSS pixels."""
_FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--force-color-profile=srgb",
    "--hide-scrollbars",
)
Given = TypeVar("Given")


def open_chromium(profile: Path, *, scripts: bool = True) -> Chrome:
    """Start it, with a profile of its own."""
    options = ChromeOptions()
    options.binary_location = str(CHROMIUM)
    for flag in (*_FLAGS, f"--user-data-dir={profile}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    if not scripts:
        forbidden = {"profile.managed_default_content_settings.javascript": 2}
        options.add_experimental_option("prefs", forbidden)
    return Chrome(options=options, service=ChromeService(executable_path=str(DRIVER)))


class Window:
    """Asks one Chromium for pages of one daemon."""

    def __init__(self, chrome: Chrome, address: str) -> None:
        """`address` is that of the admin listener."""
        self._chrome = chrome
        self.address = address

    async def go(self, path: str) -> None:
        """Load a page."""
        await self._do(lambda: self._chrome.get(f"{self.address}{path}"))

    @property
    def path(self) -> str:
        """Where it is now, without the address."""
        return self._chrome.current_url.removeprefix(self.address)

    async def arrives(self, path: str) -> None:
        """Wait until it is there."""
        await self.until(lambda: self.path == path or None, path)

    async def text(self, selector: str = "main") -> str:
        """Give the visible text of the first element that fits."""
        return await self._do(lambda: self._find(selector).text)

    async def source(self) -> str:
        """Give the page as it stands."""
        return await self._do(lambda: self._chrome.page_source)

    async def sees(self, text: str, selector: str = "main") -> str:
        """Wait until an element shows a text, and give all that it shows."""

        def look() -> str | None:
            shown = self._find(selector).text
            return shown if text in shown else None

        return await self.until(look, f"{text!r} in {selector}")

    async def refreshes(self, times: int) -> None:
        """Wait until the page has fetched itself anew so often since it was loaded."""
        of_script = "each => each.initiatorType === 'fetch'"
        count = f"return performance.getEntriesByType('resource').filter({of_script}).length"

        def look() -> bool | None:
            return self._chrome.execute_script(count) >= times or None

        await self.until(look, f"{times} refreshes")

    async def until(self, look: Callable[[], Given | None], what: str) -> Given:
        """Look until there is something; what it looks at may be swapped while it does."""
        told: str | None = ""

        def patiently(_: object) -> Given | Literal[False]:
            nonlocal told
            try:
                found = look()
            except WebDriverException as error:
                told = error.msg
                return False
            return False if found is None else found

        wait = WebDriverWait(self._chrome, WITHIN_S, LOOK_EVERY_S)
        try:
            return await self._do(lambda: wait.until(patiently))
        except TimeoutException as error:
            shown = await self.text("body")
            raise AssertionError(f"never came: {what} ({told}); there is: {shown}") from error

    async def fill(self, selector: str, text: str) -> None:
        """Write into a field."""
        await self._do(lambda: self._find(selector).send_keys(text))

    async def press(self, button: str, within: str = "main") -> None:
        """Press the first button of that name, and be on the page that follows."""
        await self._do(lambda: self._press(button, within))

    async def ask(self, script: str) -> Any:
        """Give what an expression of JavaScript is."""
        return await self._do(lambda: self._chrome.execute_script(f"return {script}"))

    async def resize(self, size: tuple[int, int]) -> None:
        """Be a screen of that size, whatever a window could be."""
        metrics = {"width": size[0], "height": size[1], "deviceScaleFactor": 1, "mobile": False}
        await self._do(lambda: self._command("Emulation.setDeviceMetricsOverride", metrics))

    async def prefer(self, scheme: str) -> None:
        """Ask for `dark` or `light`."""
        features = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
        await self._do(lambda: self._command("Emulation.setEmulatedMedia", features))

    async def picture(self, file: Path) -> None:
        """Write a PNG of what is seen."""
        await self._do(lambda: self._chrome.save_screenshot(str(file)))

    async def complaints(self) -> list[str]:
        """Give what Chromium has complained of since it was last asked."""
        log = await self._do(lambda: self._chrome.get_log("browser"))  # type: ignore[no-untyped-call]
        return [line["message"] for line in log if line["level"] in {"SEVERE", "WARNING"}]

    async def forget(self) -> None:
        """Lose the cookies."""
        await self._do(self._chrome.delete_all_cookies)

    def _command(self, name: str, given: dict[str, Any]) -> None:
        self._chrome.execute_cdp_cmd(name, given)

    def _find(self, selector: str) -> WebElement:
        return self._chrome.find_element(By.CSS_SELECTOR, selector)

    def _press(self, button: str, within: str) -> None:
        for each in self._find(within).find_elements(By.CSS_SELECTOR, "button"):
            if each.text.strip() == button and each.is_displayed():
                self._chrome.execute_script("arguments[0].scrollIntoView()", each)
                each.click()
                return
        raise AssertionError(f"there is no button {button!r}: {self._find(within).text}")

    async def _do(self, act: Callable[[], Given]) -> Given:
        return await asyncio.to_thread(act)
