"""Reads `covend.toml`, the environment over it, and the secrets it names; refuses it with every
error at once.

Nothing here writes, and nothing asks the network.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from covend.config import credentials, prompts, samples
from covend.config.assemble import assemble
from covend.config.cautions import find_cautions
from covend.config.inward import check_secrets
from covend.config.locate import KeyPath, locate
from covend.config.not_yet import find_not_yet
from covend.config.overrides import has_units, kind_at, override
from covend.config.presets import filled_in, preset_of
from covend.config.problems import ConfigErrors, Finding, Problem, Source, masked_line
from covend.config.references import check_references
from covend.config.reserved import find_reserved
from covend.config.schema import ConfigTable
from covend.config.shape import fit, salvage
from covend.config.tokens import check_tokens
from covend.core.settings import Settings
from covend.core.units import print_duration, print_size

CONFIG_BYTES_MAX = 4 << 20

_WHERE = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspection:
    """All that reading a configuration found out; with errors there are no settings."""

    path: Path
    settings: Settings | None
    errors: tuple[Problem, ...]
    warnings: tuple[Problem, ...]
    config: ConfigTable | None = None
    """The file as it was understood, with all defaults."""
    source: Source | None = None
    secret_variables: frozenset[str] = frozenset()
    """The variables of the environment that hold covend's own secrets."""


def load(path: Path, environ: Mapping[str, str], *, read_secrets: bool = True) -> Settings:
    """Give the settings, or raise `ConfigErrors` with every problem; warnings are for `inspect` to
    tell.
    """
    inspection = inspect(path, environ, read_secrets=read_secrets)
    if inspection.settings is None:
        raise ConfigErrors(inspection.errors)
    return inspection.settings


def inspect(path: Path, environ: Mapping[str, str], *, read_secrets: bool = True) -> Inspection:
    """Read a configuration and say everything that is to be said of it; never raises for its
    content.

    Without `read_secrets` the settings have none, and it does not matter whether they could be
    read.
    """
    try:
        text = _read(path)
        written = _parse(path, text)
    except ConfigErrors as errors:
        return Inspection(path=path, settings=None, errors=errors.problems, warnings=())
    tables, variables, findings = override(written, environ)
    source = Source(
        file=str(path), lines=text.split("\n"), places=locate(text), variables=variables
    )
    return _judge(path, tables, source, findings, environ if read_secrets else None)


def _judge(
    path: Path,
    tables: Mapping[str, Any],
    source: Source,
    findings: Sequence[Finding],
    environ: Mapping[str, str] | None,
) -> Inspection:
    """Hold the tables against everything; `environ` None leaves the secrets unread."""
    directory = path.absolute().parent
    config, misfits = fit(tables)
    templates, unreadable = prompts.read_all(tables, directory)
    bodies, unfit = samples.read_all(tables, directory)
    kept = credentials.Credentials()
    if environ is not None:
        kept = credentials.read_all(tables, directory, environ)
    references = check_references(tables, templates)
    others = [
        *find_reserved(tables),
        *check_secrets(tables, kept.secrets),
        *check_tokens(kept.secrets),
    ]
    errors = [*findings, *misfits, *unreadable, *unfit, *kept.errors, *references, *others]
    cautions = [*kept.cautions, *find_not_yet(tables), *_cautions(tables, config, misfits)]
    settings = None
    if config is not None and not errors:
        settings = assemble(config, templates, kept.secrets, directory, bodies)
    return Inspection(
        path=path,
        settings=settings,
        errors=source.locate_all(errors),
        warnings=source.locate_all(cautions),
        config=config,
        source=source,
        secret_variables=credentials.variables_named(tables),
    )


def _cautions(
    tables: Mapping[str, Any], config: ConfigTable | None, misfits: Sequence[Finding]
) -> list[Finding]:
    """Give the cautions, also of a file that has errors, but for what those errors touch."""
    seen = config or salvage(tables, misfits)
    found = find_cautions(seen) if seen is not None else ()
    return [one for one in found if not any(_touches(one.path, wrong.path) for wrong in misfits)]


def _touches(one: KeyPath, other: KeyPath) -> bool:
    """Say whether one of the keys stands in the other."""
    shorter = min(len(one), len(other))
    return one[:shorter] == other[:shorter]


def origins(inspection: Inspection) -> Iterator[tuple[KeyPath, Any, str]]:
    """Give every value that is in force with where it comes from: `file:line`, `$VARIABLE`,
    `preset NAME` or `default`.
    """
    assert inspection.config is not None
    assert inspection.source is not None
    for path, value in _leaves(inspection.config.model_dump(exclude_none=True), ()):
        yield path, _as_written(path, value), inspection.source.origin(path)
    for name, agent in inspection.config.agents.items():
        for key, value in filled_in(agent.preset, agent.command, agent.stop_signal):
            origin = f"preset {preset_of(agent.preset, agent.command)}"
            yield ("agents", name, key), value, origin


def _as_written(path: KeyPath, value: Any) -> Any:
    if not has_units(kind_at(path)):
        return value
    return print_duration(value) if isinstance(value, float) else print_size(value)


def _leaves(value: Any, path: KeyPath) -> Iterator[tuple[KeyPath, Any]]:
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from _leaves(inner, (*path, key))
    elif isinstance(value, list) and any(isinstance(inner, dict) for inner in value):
        for index, inner in enumerate(value):
            yield from _leaves(inner, (*path, index))
    else:
        yield path, value


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(CONFIG_BYTES_MAX + 1)
    except OSError as error:
        message = f"cannot be read: {(error.strerror or str(error)).lower()}"
        raise ConfigErrors([Problem(file=str(path), message=message)]) from error
    if len(data) > CONFIG_BYTES_MAX:
        raise ConfigErrors([Problem(file=str(path), message="is larger than 4MiB")])
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        problem = Problem(file=str(path), line=line, message="is no UTF-8 text")
        raise ConfigErrors([problem]) from error
    return text.replace("\r\n", "\n")


def _parse(path: Path, text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigErrors([_syntax_problem(path, text, str(error))]) from error
    except RecursionError as error:
        message = "has brackets within brackets beyond all measure"
        raise ConfigErrors([Problem(file=str(path), message=message)]) from error


def _syntax_problem(path: Path, text: str, message: str) -> Problem:
    lines = text.split("\n")
    where = _WHERE.search(message)
    line = int(where[1]) if where and where[1] else len(lines)
    column = int(where[2]) if where and where[2] else len(lines[-1]) + 1
    what = _WHERE.sub("", message)
    hint = " (text needs quotes)" if what == "Invalid value" else ""
    return Problem(
        file=str(path),
        line=line,
        column=column,
        message=f"is no TOML: {what[:1].lower()}{what[1:]}{hint}",
        source_line=masked_line(lines, line) if line <= len(lines) else None,
    )
