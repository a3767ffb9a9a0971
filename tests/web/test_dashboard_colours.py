"""Who sees little reads every badge: text and its ground differ enough, in light and in dark."""

from __future__ import annotations

import re
from importlib.resources import files

import pytest

from covend.core.ansi import read_line

_FILE = files("covend.web.dashboard") / "static" / "style.css"
STYLE = re.sub(r"/\*.*?\*/", "", _FILE.read_text("utf-8"), flags=re.DOTALL)
LIGHT, DARK = (
    dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6});", block))
    for block in re.findall(r":root \{(.*?)\}", STYLE, re.DOTALL)
)
PAIRS = [
    *((name, f"{name}-wash") for name in ("good", "bad", "warn", "busy", "still")),
    *((text, ground) for text in ("ink", "soft", "accent") for ground in ("paper", "ground")),
    ("ink", "code"),
    ("accent-ink", "accent"),
    ("terminal-ink", "terminal"),
]
PLAIN_WHITE, BRIGHT = 7, 8
ENOUGH = 4.5
"""For small text: https://www.w3.org/TR/WCAG22/#contrast-minimum"""


def luminance(colour: str) -> float:
    parts = (int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5))
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


@pytest.mark.parametrize("pair", PAIRS, ids="-on-".join)
@pytest.mark.parametrize("scheme", [LIGHT, DARK], ids=["light", "dark"])
def test_a_colour_can_be_read_on_its_ground(scheme: dict[str, str], pair: tuple[str, str]) -> None:
    text, ground = ({**LIGHT, **scheme}[name] for name in pair)
    assert contrast(text, ground) >= ENOUGH


FRONTS, BACKS = (
    dict(re.findall(rf"\.{letter}([0-9]+) {{ {name}: (#[0-9a-f]{{6}}); }}", STYLE))
    for letter, name in (("f", "color"), ("b", "background"))
)


@pytest.mark.parametrize("place", range(16))
def test_each_colour_of_a_log_can_be_read(place: int) -> None:
    assert contrast(FRONTS[str(place)], LIGHT["terminal"]) >= ENOUGH


@pytest.mark.parametrize("place", range(16))
def test_what_a_log_shows_inversely_can_be_read(place: int) -> None:
    chosen = "" if place == PLAIN_WHITE else f";3{place}" if place < BRIGHT else f";9{place - 8}"
    ((_, classes),), _ = read_line(f"\x1b[7{chosen}mtext")
    assert classes == f"f0 b{place}"
    told = re.findall(r"([^{}]+) \{ color: (#[0-9a-f]{6}); \}", STYLE)
    colours = {selector.strip(): colour for selector, colour in told}
    text = colours.get(f".f0.b{place}", colours['[class*="f0 b"]'])
    assert contrast(text, BACKS[str(place)]) >= ENOUGH
