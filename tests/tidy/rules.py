"""The rules of the tree that no linter has: each takes a source and yields `path:line: fault`."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from graphlib import CycleError, TopologicalSorter
from pathlib import PurePosixPath


@dataclass(frozen=True, kw_only=True)
class Source:
    """A Python file by its path under the project's root."""

    path: PurePosixPath
    text: str

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text, str(self.path))

    @cached_property
    def module(self) -> str:
        return ".".join(self.path.with_suffix("").parts).removesuffix(".__init__")

    def is_under(self, *places: str) -> bool:
        return any(self.path.is_relative_to(place) for place in places)

    def at(self, node: ast.AST, what: str) -> str:
        return f"{self.path}:{getattr(node, 'lineno', 1)}: {what}"


Rule = Callable[[Source], Iterator[str]]
FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef

# --- the core -------------------------------------------------------------------------------------

# What the core may import: pure by their nature, or used by it in a pure way only.
PURE = {
    *("__future__", "abc", "base64", "binascii", "bisect", "calendar", "codecs", "collections"),
    *("contextlib", "copy", "dataclasses", "datetime", "decimal", "difflib", "enum", "fnmatch"),
    *(
        "fractions",
        "functools",
        "hashlib",
        "heapq",
        "hmac",
        "html",
        "ipaddress",
        "itertools",
        "json",
        "msgspec",
    ),
    *(
        "keyword",
        "math",
        "operator",
        "pathlib",
        "re",
        "shlex",
        "statistics",
        "string",
        "struct",
        "textwrap",
    ),
    *("types", "typing", "unicodedata", "urllib.parse", "uuid", "zlib"),
    *("cronsim", "jinja2", "orjson", "pydantic"),
}
CLOCK = {"now", "utcnow", "today"}
CHANCE = {"uuid1", "uuid4"}
DISK = {"cwd", "exists", "expanduser", "glob", "home", "is_dir", "is_file", "iterdir", "mkdir"}
DISK |= {
    "open",
    "read_bytes",
    "read_text",
    "resolve",
    "stat",
    "unlink",
    "write_bytes",
    "write_text",
}
SCREEN = {"print", "input", "breakpoint"}
WORLD = CLOCK | CHANCE | DISK | SCREEN


def waits(source: Source) -> Iterator[str]:
    kinds = (ast.AsyncFunctionDef, ast.Await, ast.AsyncFor, ast.AsyncWith)
    for node in ast.walk(source.tree):
        if isinstance(node, kinds):
            yield source.at(node, "the core waits")


def imports_the_world(source: Source) -> Iterator[str]:
    for node, name in _imports(source):
        if not _is_pure(name):
            yield source.at(node, f"the core imports {name}")


def reads_the_world(source: Source) -> Iterator[str]:
    """The clock, chance, the disk or the screen, through something that may be imported."""
    for node in ast.walk(source.tree):
        match node:
            case ast.Call(func=ast.Attribute(attr=name) | ast.Name(id=name)) if name in WORLD:
                yield source.at(node, f"the core calls {name}()")


def _is_pure(name: str) -> bool:
    allowed = PURE | {"covend.core"}
    return any(name == pure or name.startswith(f"{pure}.") for pure in allowed)


# --- SQL ------------------------------------------------------------------------------------------

SQL = re.compile(
    r"(?:SELECT|INSERT|UPDATE|DELETE|REPLACE|WITH|CREATE|ALTER|DROP|PRAGMA|ATTACH|DETACH)\s+\S"
    r"|(?:BEGIN|COMMIT|ROLLBACK|SAVEPOINT|RELEASE|VACUUM|ANALYZE|LISTEN|NOTIFY)\b"
    r"|(?i:select\s.+\sfrom|insert\s+into|update\s+\w+\s+set|delete\s+from)\s",
    re.DOTALL,
)

# What a dialect says to its own connection is no query; anything else stands in a `.sql` file.
SPOKEN = {
    "covend/store/sqlite": {
        *("PRAGMA", "BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT", "RELEASE", "VACUUM"),
    },
    "covend/bench/plain.py": {"BEGIN", "COMMIT"},  # the ordinary way, to compare with
    "covend/store/sqlite/migrate.py": {"DROP"},  # of the triggers that core.states has outgrown
    "covend/store/postgres": {"BEGIN", "COMMIT", "ROLLBACK", "LISTEN", "NOTIFY"},
    "covend/store/queries.py": {"INSERT", "UPDATE"},  # patterns that read SQL, no statements
}


def writes_sql(source: Source) -> Iterator[str]:
    spoken = {word for place, words in SPOKEN.items() if source.is_under(place) for word in words}
    docstrings = {id(node) for node in _docstrings(source)}
    for node in ast.walk(source.tree):
        match node:
            case ast.Constant(value=str(text)) if id(node) not in docstrings:
                if SQL.match(text.lstrip()) and _verb(text) not in spoken:
                    yield source.at(node, "SQL outside of a .sql file")


def _verb(statement: str) -> str:
    return statement.split(maxsplit=1)[0].rstrip(";").upper()


def _docstrings(source: Source) -> Iterator[ast.Constant]:
    """Every text that stands alone as a statement."""
    for node in ast.walk(source.tree):
        match node:
            case ast.Expr(value=ast.Constant() as text):
                yield text


# --- imports --------------------------------------------------------------------------------------

LAZY = ("covend/cli", "covend/app")


def imports_lazily(source: Source) -> Iterator[str]:
    if source.is_under(*LAZY):
        return
    for function in _functions(source):
        for node in ast.walk(function):
            if isinstance(node, ast.Import | ast.ImportFrom):
                yield source.at(node, f"a lazy import, allowed in {' and '.join(LAZY)} only")


def circle(sources: list[Source]) -> list[str]:
    """The modules of one circle of imports, or none."""
    known = {source.module for source in sources}
    graph = {source.module: set(_imported_modules(source, known)) for source in sources}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def _imported_modules(source: Source, known: set[str]) -> Iterator[str]:
    """`from a.b import c` imports the module a.b.c where there is one, else a.b."""
    for _, name in _imports(source):
        module = name if name in known else name.rpartition(".")[0]
        if module in known and module != source.module:
            yield module


def _imports(source: Source) -> Iterator[tuple[ast.AST, str]]:
    """Each imported thing by its full name, also relative ones and those within functions."""
    for node in ast.walk(source.tree):
        match node:
            case ast.Import(names=names):
                yield from ((node, alias.name) for alias in names)
            case ast.ImportFrom(names=names):
                origin = _origin(source, node)
                yield from ((node, f"{origin}.{alias.name}") for alias in names)


def _origin(source: Source, node: ast.ImportFrom) -> str:
    if not node.level:
        return node.module or ""
    folders = source.path.parent.parts
    above = folders[: len(folders) - node.level + 1]
    return ".".join([*above, *([node.module] if node.module else [])])


# --- files and words ------------------------------------------------------------------------------

LINES_MAX = 400
LONG: dict[str, str] = {}  # path: why it may be longer

WORDS = re.compile(r"[A-Z]?[a-z0-9]+|[A-Z]+(?![a-z])")
FORBIDDEN = {"job", "worker", "snooze", "util", "helper", "manager"}


def is_long(source: Source) -> Iterator[str]:
    count = source.text.count("\n")
    if count > LINES_MAX and str(source.path) not in LONG:
        yield f"{source.path}: {count} lines, more than {LINES_MAX}: cut it by noun or phase"


def does_not_say_what_it_is_for(source: Source) -> Iterator[str]:
    first_paragraph = (ast.get_docstring(source.tree) or "").partition("\n\n")[0]
    if not first_paragraph.endswith((".", ":")):
        yield f"{source.path}: the file does not begin with a sentence that says what it is for"


def uses_forbidden_words(source: Source) -> Iterator[str]:
    named: list[tuple[ast.AST, str]] = [
        (source.tree, part) for part in source.path.with_suffix("").parts
    ]
    kinds = (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    named += [(node, node.name) for node in ast.walk(source.tree) if isinstance(node, kinds)]
    for node, name in named:
        for word in WORDS.findall(name):
            if word.lower().removesuffix("s") in FORBIDDEN:
                yield source.at(node, f"{name}: covend has no {word.lower()}")


# --- tests ----------------------------------------------------------------------------------------

POLLS = re.compile("poll|until")
LIMIT = re.compile("limit|timeout|within|deadline|_max$|_s$")


def sleeps(source: Source) -> Iterator[str]:
    """`sleep(0)` is no sleep: it lets others run."""
    polls = {
        id(node)
        for function in _functions(source)
        if _polls(function)
        for node in ast.walk(function)
    }
    for node in ast.walk(source.tree):
        match node:
            case ast.Call(args=[ast.Constant(value=0)]):
                continue
            case ast.Call(func=ast.Attribute(attr="sleep") | ast.Name(id="sleep")) if (
                id(node) not in polls
            ):
                yield source.at(
                    node, "a test sleeps, outside of a function that polls with a limit"
                )


def _polls(function: FunctionNode) -> bool:
    arguments = [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]
    return bool(POLLS.search(function.name)) and any(LIMIT.search(one.arg) for one in arguments)


def skips(source: Source) -> Iterator[str]:
    for node in ast.walk(source.tree):
        match node:
            case (
                ast.Call(
                    func=ast.Attribute(attr="skip" | "importorskip")
                    | ast.Name(id="skip" | "importorskip")
                )
                | ast.Attribute(value=ast.Attribute(attr="mark"), attr="skip" | "skipif")
            ):
                yield source.at(node, "a test skips; the fixture `lacking` does not in CI")


def _functions(source: Source) -> Iterator[FunctionNode]:
    for node in ast.walk(source.tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node
