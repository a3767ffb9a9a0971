"""What templates turn values into: moments, durations, money, links. All of it is harmless HTML."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from urllib.parse import quote, urlsplit

import orjson
from jinja2 import pass_context
from jinja2.runtime import Context
from markupsafe import Markup, escape

from covend.core import amounts
from covend.core.ansi import harmless
from covend.core.model import Moment
from covend.core.safeguards.shapes import FOREVER
from covend.web.api.shapes import moment as written

DASH = "\u2013"
NOTHING = Markup('<span class="nothing">\u2013</span>')
_OUTWARD = Markup('<a class="outward" href="{}" rel="noopener noreferrer" target="_blank">{}</a>')
_CODE = Markup("<code>{}</code>")
_TIME = Markup('<time datetime="{}" title="{}">{}</time>')
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ID_SHOWN = 6
_SHA_SHOWN = 8
_JUST_NOW_S = 1
_CENT = 0.01


def finalize(value: object) -> object:
    """Make harmless whatever a template shows; nothing is shown as nothing."""
    if value is None:
        return ""
    if isinstance(value, str) and not isinstance(value, Markup):
        return harmless(str(value))
    return value


@pass_context
def ago(context: Context, at: Moment | None) -> Markup:
    """Show a moment by its distance from now, and whole where one asks: 3 min ago, in 2 h."""
    if not at or at >= FOREVER:
        return NOTHING
    now: Moment = context["now"]
    seconds = (now - at) / 1000
    if abs(seconds) < _JUST_NOW_S:
        text = "just now"
    else:
        distance = amounts.roughly(abs(seconds))
        text = f"{distance} ago" if seconds > 0 else f"in {distance}"
    return _time(at, text)


def clock(at: Moment | None) -> Markup:
    """Show a moment by the time of its day, in UTC."""
    if not at or at >= FOREVER:
        return NOTHING
    told = (_EPOCH + timedelta(milliseconds=at)).strftime("%H:%M:%S")
    return _time(at, told)


def _time(at: Moment, text: str) -> Markup:
    exact = written(at)
    told = f"{exact}".replace("T", " ").replace("Z", " UTC")
    return _TIME.format(exact, told, text)


def duration(seconds: float | None) -> str:
    """Say a duration."""
    return DASH if seconds is None else amounts.duration(seconds)


def money(usd: float | None) -> str:
    """Write US dollars: cents, and more digits for what is less than one."""
    if usd is None:
        return DASH
    return f"${usd:,.4f}" if 0 < usd < _CENT else f"${usd:,.2f}"


def count(number: int | None) -> str:
    """Write a number with its thousands apart."""
    return DASH if number is None else f"{number:,}"


def size(bytes_count: int | None) -> str:
    """Say a number of bytes."""
    return DASH if bytes_count is None else amounts.size(bytes_count)


def outward(url: object, text: object = None) -> Markup:
    """Link to the outside, where that is http or https; anything else is shown as text."""
    label = text if text not in (None, "") else url
    if label in (None, ""):
        return NOTHING
    shown = escape(harmless(str(label)))
    if not is_web(url):
        return shown
    return _OUTWARD.format(harmless(str(url)), shown)


def is_web(url: object) -> bool:
    """Say whether a browser may be sent there."""
    if not isinstance(url, str):
        return False
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme in {"http", "https"} and bool(parts.netloc)


def short(identifier: object) -> str:
    """Show the end of an id, which differs most: those that were made together begin alike."""
    text = str(identifier)
    return text if len(text) <= _ID_SHOWN + 2 else f"…{text[-_ID_SHOWN:]}"


def sha(value: str | None) -> str:
    """Show the beginning of a commit's or a body's hash."""
    return (value or DASH)[:_SHA_SHOWN]


def segment(text: object) -> str:
    """Write a text so that it is one part of a path."""
    return quote(str(text), safe="")


def words(name: object) -> str:
    """Write a name of code's as words: timed_out, timed out."""
    return str(name).replace("_", " ")


def pretty(value: object) -> str:
    """Write a value as JSON of several lines."""
    return orjson.dumps(value, default=str, option=orjson.OPT_INDENT_2).decode()


def details(text: str) -> str:
    """Write what was asked for, kept as a JSON object, as people say it; what was cut stays as it
    is kept.
    """
    try:
        asked = orjson.loads(text)
    except orjson.JSONDecodeError:
        return text
    told = (
        each if isinstance(each, str) else orjson.dumps(each).decode() for each in asked.values()
    )
    return "; ".join(f"{words(name)}: {each}" for name, each in zip(asked, told, strict=True))


def ticks(text: str) -> Markup:
    """Show what stands between backticks as code."""
    parts = harmless(text).split("`")
    shown = (_CODE.format(part) if place % 2 else escape(part) for place, part in enumerate(parts))
    return Markup("").join(shown)


FILTERS = {
    "ago": ago,
    "clock": clock,
    "count": count,
    "details": details,
    "duration": duration,
    "money": money,
    "outward": outward,
    "pretty": pretty,
    "segment": segment,
    "sha": sha,
    "short": short,
    "size": size,
    "ticks": ticks,
    "words": words,
}
