"""Reads a page as strictly as no browser does, and finds in it what could run."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser

VOID = frozenset({"meta", "link", "input", "img", "br", "hr"})
LINKS = frozenset({"href", "src", "action", "formaction", "data", "poster"})


@dataclass
class Parsed:
    """What a page is made of."""

    problems: list[str] = field(default_factory=list)
    """Where it is not well-formed, or something in it could run."""
    tags: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    text: str = ""

    def all(self, tag: str) -> list[dict[str, str]]:
        """Give the attributes of every element of that name."""
        return [attributes for name, attributes in self.tags if name == tag]


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parsed = Parsed()
        self._open: list[str] = []
        self._ids: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = {name: value or "" for name, value in attrs}
        self.parsed.tags.append((tag, attributes))
        if len(attributes) < len(attrs):
            self._complain(f"<{tag}> has an attribute twice: {attrs}")
        for name, value in attributes.items():
            self._look_at(tag, name, value)
        if tag == "script" and not attributes.get("src", "").startswith("/static/"):
            self._complain("a script of the page's own")
        if tag in {"style", "base", "iframe", "object", "embed"}:
            self._complain(f"<{tag}>")
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if not self._open or self._open.pop() != tag:
            self._complain(f"</{tag}> ends nothing")

    def handle_data(self, data: str) -> None:
        self.parsed.text += data
        if self._open and self._open[-1] == "script" and data.strip():
            self._complain("a script within the page")

    def close(self) -> None:
        super().close()
        if self._open:
            self._complain(f"{self._open} never end")

    def _look_at(self, tag: str, name: str, value: str) -> None:
        if name.startswith("on") or name in {"style", "srcdoc"}:
            self._complain(f"<{tag} {name}>")
        if name in LINKS and not value.startswith(("/", "http://", "https://", "?", "#")):
            self._complain(f"<{tag} {name}={value!r}>")
        if name == "id":
            if value in self._ids:
                self._complain(f"the id {value} is there twice")
            self._ids.add(value)

    def _complain(self, problem: str) -> None:
        line, column = self.getpos()
        self.parsed.problems.append(f"{line}:{column}: {problem}")


def parse(page: str) -> Parsed:
    """Read a page."""
    reader = _Reader()
    reader.feed(page)
    reader.close()
    return reader.parsed
