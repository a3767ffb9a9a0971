"""Renders a rule's prompt over the brief: sandboxed, strict about names, bounded in size.

What strangers write (titles, comments) comes in as values and is never itself taken for a template.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from functools import cache
from pathlib import PurePath
from typing import Any

import jinja2
from jinja2 import meta, nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment

from covend.core.contract.result import result_schema_text
from covend.core.errors import PromptError

PROMPT_BYTES_MAX = 1 << 20
NO_COMMAND_PREFIX = "The task:\n\n"
"""Stands before a prompt that would begin with `/`, which claude takes as a command of its own."""

FIELDS: Mapping[str, frozenset[str] | None] = {
    "contract": None,
    "task": frozenset({"id", "rule", "attempt"}),
    "event": frozenset({"source", "name", "action", "delivery"}),
    "repository": frozenset({"full_name", "default_branch", "url"}),
    "subject": frozenset({"type", "number", "title", "url", "author", "head_sha", "base_sha"}),
    "command": frozenset({"verb", "text", "actor"}),
    "inputs": None,
    "trust": None,
    "previous": frozenset({"session", "result"}),
    "deadline": None,
    "result_path": None,
    "brief_path": None,
    "result_schema": None,
}
"""The names a template may use, and the fields of those that have some."""

_IMPORTING = (nodes.Include, nodes.Import, nodes.FromImport, nodes.Extends)


def render(
    template: str,
    brief: Mapping[str, Any],
    *,
    result_path: PurePath | str,
    brief_path: PurePath | str,
) -> str:
    """Give the prompt: not empty, at most `PROMPT_BYTES_MAX` of UTF-8; raises `PromptError`."""
    values = {name: brief[name] for name in FIELDS if name in brief}
    places = {"result_path": str(result_path), "brief_path": str(brief_path)}
    try:
        source = _environment().from_string(template)
        pieces = source.generate({**values, **places, "result_schema": result_schema_text()})
        text = _bounded(pieces)
    except jinja2.TemplateError as error:
        raise PromptError(f"the prompt's template failed: {error}") from error
    except (TypeError, ValueError, ArithmeticError, LookupError) as error:
        raise PromptError(f"the prompt's template failed: {error}") from error
    return _sendable(text)


def check_template(text: str) -> str | None:
    """Say what is wrong with a template, with its line, or None; needs no brief."""
    try:
        tree = _environment().parse(text)
        _environment().compile(tree)
    except jinja2.TemplateSyntaxError as error:
        return f"line {error.lineno}: {error.message}"
    return next(_complaints(tree), None)


@cache
def _environment() -> ImmutableSandboxedEnvironment:
    return ImmutableSandboxedEnvironment(
        undefined=jinja2.StrictUndefined,
        autoescape=False,  # a prompt is plain text, never shown as HTML
        keep_trailing_newline=True,
    )


def _bounded(pieces: Iterable[str]) -> str:
    kept: list[str] = []
    size = 0
    for piece in pieces:
        size += len(piece.encode("utf-8", "replace"))
        if size > PROMPT_BYTES_MAX:
            raise PromptError(f"the prompt is larger than {PROMPT_BYTES_MAX} bytes")
        kept.append(piece)
    return "".join(kept)


def _sendable(text: str) -> str:
    # A lone surrogate can come out of a payload's JSON, and no pipe takes it.
    text = text.encode("utf-8", "replace").decode()
    beginning = text.lstrip()
    if not beginning:
        raise PromptError("the prompt is empty")
    return NO_COMMAND_PREFIX + text if beginning.startswith("/") else text


def _complaints(tree: nodes.Template) -> Iterator[str]:
    for importing in tree.find_all(_IMPORTING):
        yield f"line {importing.lineno}: a prompt cannot include or import another template"
    unknown = meta.find_undeclared_variables(tree) - FIELDS.keys()
    for name in sorted(unknown):
        yield f"line {_line_of(tree, name)}: unknown name {name!r}{_hint(name, FIELDS)}"
    for node in tree.find_all(nodes.Getattr):
        yield from _field_complaint(node)


def _field_complaint(node: nodes.Getattr) -> Iterator[str]:
    if not isinstance(node.node, nodes.Name):
        return
    known = FIELDS.get(node.node.name)
    if known is not None and node.attr not in known:
        name = f"{node.node.name}.{node.attr}"
        yield f"line {node.lineno}: unknown name {name!r}{_hint(node.attr, known)}"


def _line_of(tree: nodes.Template, name: str) -> int:
    return next((node.lineno for node in tree.find_all(nodes.Name) if node.name == name), 1)


def _hint(name: str, known: Iterable[str]) -> str:
    names = sorted(known)
    near = get_close_matches(name, names, n=1)
    return f", did you mean {near[0]!r}?" if near else f" (there are: {', '.join(names)})"
