"""The example agent: reads a brief, looks for four well-known slips in changed Python, reports.

It stands alone (standard library only) and knows nothing of covend but the contract: the brief in
$COVEND_BRIEF, the result in $COVEND_RESULT. Started for `fix`, it also applies what it suggests and
commits. It is honest and small: it reads syntax, it does not understand.
"""

import ast
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

_HUNK = re.compile(r"@@ -\S+ \+(\d+)(?:,(\d+))? @@")
_IDENTITY = ("-c", "user.name=example agent", "-c", "user.email=agent@covend.invalid")


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One inline comment, in the words of the result contract."""

    path: str
    line: int
    severity: str
    body: str
    suggestion: str | None = None
    side: str = "RIGHT"


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A Python file of the workspace."""

    path: str
    lines: tuple[str, ...]

    def finding(self, node: ast.stmt | ast.expr | ast.excepthandler, **said: str | None) -> Finding:
        severity, body = said["severity"] or "", said["body"] or ""
        return Finding(
            path=self.path,
            line=node.lineno,
            severity=severity,
            body=body,
            suggestion=said.get("suggestion"),
        )


def mutable_default(node: ast.AST, source: Source) -> Iterator[Finding]:
    """A default like `[]` is made once and shared by every call."""
    if not isinstance(node, ast.FunctionDef):
        return
    mutable = (ast.List, ast.Dict, ast.Set)
    found = [(name, value) for name, value in _with_defaults(node) if isinstance(value, mutable)]
    for argument, default in found:
        body = (
            f"`{argument.arg}` keeps its value from one call to the next: the default is made "
            "once, when the function is defined, and every call without that argument shares it."
        )
        suggestion = _with_none(node, argument, default, source) if len(found) == 1 else None
        yield source.finding(node, severity="error", body=body, suggestion=suggestion)


def bare_except(node: ast.AST, source: Source) -> Iterator[Finding]:
    """`except:` also catches what ends the program."""
    if isinstance(node, ast.ExceptHandler) and node.type is None:
        body = "`except:` also swallows `KeyboardInterrupt` and `SystemExit`."
        line = source.lines[node.lineno - 1].replace("except:", "except Exception:", 1)
        yield source.finding(node, severity="error", body=body, suggestion=line)


def compares_with_none(node: ast.AST, source: Source) -> Iterator[Finding]:
    """`== None` asks the other side; `is None` asks the truth."""
    if isinstance(node, ast.Compare) and _is_none(node.comparators[0]):
        words = {ast.Eq: ("== None", "is None"), ast.NotEq: ("!= None", "is not None")}
        old, new = words.get(type(node.ops[0]), ("", ""))
        if old:
            line = source.lines[node.lineno - 1].replace(old, new)
            body = f"Write `{new}`: `{old}` can be answered by the object's own `__eq__`."
            yield source.finding(node, severity="warning", body=body, suggestion=line)


def equal_floats(node: ast.AST, source: Source) -> Iterator[Finding]:
    """`0.1 + 0.2 == 0.3` is False, which matters for money."""
    if not isinstance(node, ast.Compare) or not isinstance(node.ops[0], ast.Eq | ast.NotEq):
        return
    sides = (node.left, *node.comparators)
    if any(isinstance(side, ast.Constant) and isinstance(side.value, float) for side in sides):
        body = "Floats are rarely equal: compare whole cents instead."
        yield source.finding(node, severity="error", body=body)


RULES: tuple[Callable[[ast.AST, Source], Iterator[Finding]], ...] = (
    mutable_default,
    bare_except,
    compares_with_none,
    equal_floats,
)


def inspect(path: str, text: str) -> list[Finding]:
    """Look for every slip in one file; a file that is no Python has none."""
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError):
        return []
    source = Source(path=path, lines=tuple(text.splitlines()))
    found = [each for node in ast.walk(tree) for rule in RULES for each in rule(node, source)]
    return sorted(found, key=lambda finding: finding.line)


def changed_lines(workspace: Path, base: str, head: str) -> dict[str, set[int]] | None:
    """Lines that `head` added since `base`, by file; None where git cannot tell."""
    asked = ("diff", "--no-ext-diff", "--no-color", "--unified=0", f"{base}...{head}", "--")
    if not base or not head:
        return None
    shown = _git(workspace, *asked)
    return None if shown is None else _added_lines(shown)


def review(workspace: Path, subject: Mapping[str, Any]) -> tuple[list[Finding], int]:
    """Inspect what the subject changed, or else everything; findings and the number of files."""
    changed = changed_lines(workspace, subject.get("base_sha") or "", subject.get("head_sha") or "")
    if changed is None:
        _say("no diff at hand, reading every file")
        every = sorted(workspace.rglob("*.py"))
        paths = [str(path.relative_to(workspace)) for path in every]
    else:
        paths = [path for path in changed if (workspace / path).is_file()]
    findings = []
    for path in paths:
        _say(f"reading {path}")
        found = inspect(path, (workspace / path).read_text(encoding="utf-8", errors="replace"))
        findings += [each for each in found if changed is None or each.line in changed[path]]
    return findings, len(paths)


def fix(workspace: Path, findings: list[Finding]) -> int:
    """Apply the suggestions, last line first, and commit; how many there were."""
    fixable = [each for each in findings if each.suggestion is not None]
    for finding in sorted(fixable, key=lambda each: each.line, reverse=True):
        file = workspace / finding.path
        lines = file.read_text(encoding="utf-8").splitlines(keepends=True)
        lines[finding.line - 1] = f"{finding.suggestion}\n"
        file.write_text("".join(lines), encoding="utf-8")
    if fixable:
        message = f"Fix {_counted(len(fixable), 'finding')}"
        _git(workspace, *_IDENTITY, "commit", "--quiet", "--all", "--message", message)
    return len(fixable)


def conclude(findings: list[Finding]) -> str:
    """An error is a failure, a warning is worth a look."""
    severities = {finding.severity for finding in findings}
    if "error" in severities:
        return "failure"
    return "neutral" if severities else "success"


def summarize(findings: list[Finding], file_count: int) -> str:
    """Write the summary in Markdown."""
    title = f"### {_counted(len(findings), 'finding')} in {_counted(file_count, 'file').lower()}"
    rows = [f"- `{each.path}:{each.line}` {each.severity}: {each.body}" for each in findings]
    return "\n".join([title, "", *(rows or ["Nothing to complain about."])])


def result_of(brief: Mapping[str, Any], workspace: Path) -> dict[str, Any]:
    """Do what the brief asks for, and tell it in the words of the result contract."""
    subject = brief.get("subject") or {}
    findings, file_count = review(workspace, subject)
    _say(f"{_counted(len(findings), 'finding')}")
    command = brief.get("command") or {}
    if command.get("verb") == "fix":
        return _fixed(workspace, findings)
    return {
        "conclusion": conclude(findings),
        "summary": summarize(findings, file_count),
        "review": {"event": "comment", "comments": [asdict(each) for each in findings]},
    }


def main() -> int:
    """Read the brief, write the result; exits 0, or 64 without the two paths."""
    environment = os.environ
    if "COVEND_BRIEF" not in environment or "COVEND_RESULT" not in environment:
        sys.stderr.write("COVEND_BRIEF and COVEND_RESULT must name files\n")
        return os.EX_USAGE
    brief = json.loads(Path(environment["COVEND_BRIEF"]).read_text(encoding="utf-8"))
    repository = (brief.get("repository") or {}).get("full_name", "the workspace")
    _say(f"looking at {repository}")
    result = result_of(brief, Path(environment.get("COVEND_WORKSPACE") or "."))
    Path(environment["COVEND_RESULT"]).write_text(json.dumps(result), encoding="utf-8")
    _say(f"done: {result['conclusion']}")
    return os.EX_OK


def _fixed(workspace: Path, findings: list[Finding]) -> dict[str, Any]:
    count = fix(workspace, findings)
    if count == 0:
        return {"conclusion": "neutral", "summary": "Nothing here that I can fix by myself."}
    said = f"Fixed {_counted(count, 'finding')}."
    return {
        "conclusion": "success",
        "summary": said,
        "pull_request": {"title": f"Fix {_counted(count, 'finding')}", "body": said, "draft": True},
    }


def _with_defaults(node: ast.FunctionDef) -> Iterator[tuple[ast.arg, ast.expr]]:
    positional = [*node.args.posonlyargs, *node.args.args]
    start = len(positional) - len(node.args.defaults)
    yield from zip(positional[start:], node.args.defaults, strict=True)
    for argument, default in zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True):
        if default is not None:
            yield argument, default


def _with_none(
    node: ast.FunctionDef, argument: ast.arg, default: ast.expr, source: Source
) -> str | None:
    """Rewrite `x: T = []` to `x: T | None = None`, where the signature is one plain line."""
    line, first = source.lines[node.lineno - 1], node.body[0]
    if first.lineno == node.lineno or ast.get_docstring(node) is not None or not line.isascii():
        return None
    if default.lineno != node.lineno or not line.endswith(":"):
        return None
    value = line[default.col_offset : default.end_col_offset]
    rest = line[default.end_col_offset :]
    until = argument.annotation.end_col_offset if argument.annotation else None
    kept = line[: default.col_offset]
    if until is not None:
        kept = f"{line[:until]} | None{line[until : default.col_offset]}"
    name, indent = argument.arg, " " * first.col_offset
    return f"{kept}None{rest}\n{indent}{name} = {value} if {name} is None else {name}"


def _is_none(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


def _added_lines(diff: str) -> dict[str, set[int]]:
    added: dict[str, set[int]] = {}
    path = ""
    for line in diff.splitlines():
        if line.startswith("+++ "):
            path = line.removeprefix("+++ ").removeprefix("b/").rstrip("\t")
        found = _HUNK.match(line)
        if found:
            start, count = int(found[1]), int(found[2] or 1)
            added.setdefault(path, set()).update(range(start, start + count))
    return added


def _git(workspace: Path, *arguments: str) -> str | None:
    argv = ["git", "-c", "core.quotePath=false", "-C", str(workspace), *arguments]
    try:
        done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None


def _counted(count: int, noun: str) -> str:
    return f"{count or 'No'} {noun}{'' if count == 1 else 's'}"


def _say(what: str) -> None:
    sys.stdout.write(f"example agent: {what}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
