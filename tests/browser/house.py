"""A daemon with work of every kind in it, and hostile texts among it, for people to look at."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from covend.demo.payloads import AUTHOR
from covend.demo.records import Account
from covend.demo.stage import Stage
from tests.services.fifo import Fifo
from tests.story.cast import FINE, Cast
from tests.story.conftest import SetUp
from tests.story.process import Covend, serving

STRANGER = Account(login="passing-by", id=4_711)
HOSTILE = '<script>window.owned = 1</script><img src=x onerror="window.owned = 2">'
"""A title that would do something where it is taken for a part of the page."""
RULE = 'checkout = "head"\npublish = ["check", "comment", "review"]\ntrust = {{ fork = "hold" }}'
_SHOWS = """\
printf '\\033[32mreading\\033[0m src/till/basket.py\\n'
printf 'a \\033]0;owned\\007\\033]52;c;b3duZWQ=\\007title \\033[2J\\033[Hcleared\\n'
printf '<b id=owned>bold</b> \\033]8;;javascript:window.owned=3\\007link\\033]8;;\\007\\n'
echo "$COVEND_TASK" > {here}
read -r word < {word}
printf 'then \\033[1;31m%s\\033[0m\\n' "$word"
"""


@dataclass(frozen=True, kw_only=True)
class House:
    """What a test does from outside, beside what it does in the browser."""

    stage: Stage
    covend: Covend
    cast: Cast
    here: Fifo
    word: Fifo

    @property
    def token(self) -> str:
        return (self.stage.folder / "state" / "admin.token").read_text("ascii").strip()

    @property
    def admin(self) -> str:
        return self.covend.admin

    def shows_its_work(self) -> None:
        """Let agents print, say that they are there, and wait for a word."""
        shows = _SHOWS.format(here=self.here.path, word=self.word.path)
        self.cast.plays(shows + FINE)

    async def open_pull(
        self, title: str, *, serial: int, author: Account | None = None
    ) -> tuple[str, list[str]]:
        """Open a pull request, out of a fork where it has an author; give delivery and tasks."""
        if author is not None:
            self.stage.github.add_account(author)
        pull = self.stage.till.open_pull(
            head_ref=f"change-{serial}",
            files={f"src/till/change_{serial}.py": f"CHANGE = {serial}\n"},
            title=title,
            author=author or AUTHOR,
            now=self.stage.github.state.now(),
            from_fork=author is not None,
        )
        body, headers = self.stage.signed(
            "pull_request.opened", serial=serial, sender=author, number=pull.number
        )
        status, answer = await self.covend.post(body, headers)
        assert status == 202, answer
        return answer["delivery"], answer["tasks"]


@asynccontextmanager
async def open_house(staged: SetUp, folder: Path, more: str = "") -> AsyncIterator[House]:
    """Start it; agents play `FINE` until they are told otherwise."""
    cast = Cast(folder)
    async with staged(cast, rule=RULE, more=more) as stage, serving(stage) as covend:
        here, word = Fifo(folder / "browser.here"), Fifo(folder / "browser.word")
        with here, word:
            yield House(stage=stage, covend=covend, cast=cast, here=here, word=word)
