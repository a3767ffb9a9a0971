"""The rules of `rules.py` hold in this tree, and each is seen failing on a planted sample."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import pytest

from tests.tidy import rules
from tests.tidy.rules import Rule, Source

ROOT = Path(__file__).parents[2]
PROGRAMS_UNDER_TEST = "tests/samples"


def read(folder: str) -> list[Source]:
    paths = sorted((ROOT / folder).rglob("*.py"))
    return [planted(str(path.relative_to(ROOT)), path.read_text("utf-8")) for path in paths]


def planted(path: str, text: str) -> Source:
    return Source(path=PurePosixPath(path), text=text)


def broken(rule: Rule, sources: list[Source]) -> list[str]:
    return [finding for source in sources for finding in rule(source)]


def must_hold(rule: Rule, sources: list[Source]) -> None:
    findings = broken(rule, sources)
    if findings:
        pytest.fail("\n".join(findings), pytrace=False)


COVEND = read("covend")
CORE = [source for source in COVEND if source.is_under("covend/core")]
TESTS = [source for source in read("tests") if not source.is_under(PROGRAMS_UNDER_TEST)]

# --- this tree ------------------------------------------------------------------------------------


def test_the_tree_is_read() -> None:
    assert len(CORE) > 1
    assert len(COVEND) > len(CORE)
    assert len(TESTS) > 1


def test_the_core_never_waits() -> None:
    must_hold(rules.waits, CORE)


def test_the_core_imports_only_what_is_pure() -> None:
    must_hold(rules.imports_the_world, CORE)


def test_the_core_is_given_the_time_and_never_looks() -> None:
    must_hold(rules.reads_the_world, CORE)


def test_sql_stands_in_sql_files() -> None:
    must_hold(rules.writes_sql, COVEND)


def test_imports_make_no_circle() -> None:
    assert not rules.circle(COVEND)


def test_lazy_imports_stand_only_in_the_cli_and_the_app() -> None:
    must_hold(rules.imports_lazily, COVEND)


def test_a_file_begins_with_what_it_is_for() -> None:
    must_hold(rules.does_not_say_what_it_is_for, COVEND)


def test_a_file_fits_in_the_head() -> None:
    must_hold(rules.is_long, COVEND + TESTS)


def test_the_forbidden_words_name_nothing() -> None:
    must_hold(rules.uses_forbidden_words, COVEND + TESTS)


def test_no_test_sleeps() -> None:
    must_hold(rules.sleeps, TESTS)


def test_no_test_skips_in_ci() -> None:
    assert not broken(
        rules.skips, [source for source in TESTS if source.path.name != "conftest.py"]
    )


# --- the rules themselves -------------------------------------------------------------------------

CORE_FILE = "covend/core/planted.py"
STORE_FILE = "covend/store/sqlite/planted.py"
SERVICE_FILE = "covend/services/planted.py"
TEST_FILE = "tests/test_planted.py"

FORBIDDEN = [
    (rules.waits, CORE_FILE, "async def decide(): ..."),
    (rules.waits, CORE_FILE, "async def decide():\n    await other()"),
    (rules.imports_the_world, CORE_FILE, "import time"),
    (rules.imports_the_world, CORE_FILE, "import os.path"),
    (rules.imports_the_world, CORE_FILE, "import urllib.request"),
    (rules.imports_the_world, CORE_FILE, "from aiohttp import web"),
    (rules.imports_the_world, CORE_FILE, "from covend.store import rows"),
    (rules.imports_the_world, CORE_FILE, "from ..store import rows"),
    (rules.imports_the_world, CORE_FILE, "def decide():\n    import logging"),
    (rules.reads_the_world, CORE_FILE, "datetime.now(UTC)"),
    (rules.reads_the_world, CORE_FILE, "datetime.datetime.utcnow()"),
    (rules.reads_the_world, CORE_FILE, "date.today()"),
    (rules.reads_the_world, CORE_FILE, "uuid.uuid4()"),
    (rules.reads_the_world, CORE_FILE, "open('brief.json')"),
    (rules.reads_the_world, CORE_FILE, "path.read_text()"),
    (rules.writes_sql, SERVICE_FILE, "query = 'SELECT 1'"),
    (rules.writes_sql, SERVICE_FILE, "query = f'UPDATE tasks SET state = {state}'"),
    (rules.writes_sql, SERVICE_FILE, "query = '''\n    delete from tasks where id = 1'''"),
    (rules.writes_sql, SERVICE_FILE, "connection.execute('PRAGMA user_version')"),
    (rules.writes_sql, SERVICE_FILE, "connection.execute('COMMIT;')"),
    (rules.writes_sql, STORE_FILE, "query = 'INSERT INTO tasks VALUES (1)'"),
    (rules.imports_lazily, SERVICE_FILE, "def run():\n    from covend.core import retry"),
    (rules.does_not_say_what_it_is_for, SERVICE_FILE, ""),
    (rules.does_not_say_what_it_is_for, SERVICE_FILE, "'''planted'''"),
    (rules.is_long, SERVICE_FILE, "\n" * (rules.LINES_MAX + 1)),
    (rules.uses_forbidden_words, "covend/services/utils.py", ""),
    (rules.uses_forbidden_words, "covend/worker/planted.py", ""),
    (rules.uses_forbidden_words, SERVICE_FILE, "class JobManager: ..."),
    (rules.uses_forbidden_words, SERVICE_FILE, "class HTTPWorker: ..."),
    (rules.uses_forbidden_words, SERVICE_FILE, "async def snooze_all(): ..."),
    (rules.sleeps, TEST_FILE, "time.sleep(1)"),
    (rules.sleeps, TEST_FILE, "async def test_it():\n    await anyio.sleep(0.1)"),
    (rules.sleeps, TEST_FILE, "def poll_for_ever():\n    sleep(0.1)"),
    (rules.skips, TEST_FILE, "pytest.skip('not today')"),
    (rules.skips, TEST_FILE, "psycopg = pytest.importorskip('psycopg')"),
    (rules.skips, TEST_FILE, "@pytest.mark.skipif(True, reason='x')\ndef test_it(): ..."),
    (rules.skips, TEST_FILE, "@pytest.mark.skip\ndef test_it(): ..."),
]

ALLOWED = [
    (rules.waits, CORE_FILE, "def decide(): ..."),
    (rules.imports_the_world, CORE_FILE, "import hashlib\nfrom urllib.parse import urlsplit"),
    (rules.imports_the_world, CORE_FILE, "import jinja2.sandbox\nfrom collections.abc import Set"),
    (rules.imports_the_world, CORE_FILE, "from pathlib import Path"),
    (rules.imports_the_world, CORE_FILE, "from covend.core.model import Task\nfrom . import keys"),
    (rules.reads_the_world, CORE_FILE, "datetime.fromtimestamp(at, UTC)"),
    (rules.writes_sql, SERVICE_FILE, "'''SELECT the tasks.'''"),
    (rules.writes_sql, SERVICE_FILE, "reason = 'Update the head, select a rule, delete from it'"),
    (rules.writes_sql, SERVICE_FILE, "request('DELETE', url)"),
    (rules.writes_sql, STORE_FILE, "connection.execute('BEGIN IMMEDIATE')"),
    (rules.writes_sql, STORE_FILE, "connection.execute(f'PRAGMA user_version = {version}')"),
    (rules.imports_lazily, "covend/cli/serve.py", "def serve():\n    from covend.app import run"),
    (rules.imports_lazily, SERVICE_FILE, "if TYPE_CHECKING:\n    from covend.core import retry"),
    (rules.does_not_say_what_it_is_for, SERVICE_FILE, "'''Sends\neffects.\n\nMore'''"),
    (rules.is_long, SERVICE_FILE, "\n" * rules.LINES_MAX),
    (rules.uses_forbidden_words, SERVICE_FILE, "def utility_of_networking(): jobs = 1"),
    (rules.sleeps, TEST_FILE, "await anyio.sleep(0)"),
    (rules.sleeps, TEST_FILE, "def poll_until(it, timeout_s):\n    time.sleep(0.01)"),
    (rules.skips, TEST_FILE, "lacking('git')"),
]


@pytest.mark.parametrize(("rule", "path", "text"), FORBIDDEN)
def test_a_rule_sees_what_it_forbids(rule: Rule, path: str, text: str) -> None:
    assert broken(rule, [planted(path, text)])


@pytest.mark.parametrize(("rule", "path", "text"), ALLOWED)
def test_a_rule_leaves_alone_what_it_allows(rule: Rule, path: str, text: str) -> None:
    assert not broken(rule, [planted(path, text)])


def test_a_circle_is_seen_and_named() -> None:
    one = planted("covend/one.py", "from covend import two")
    two = planted("covend/two.py", "def late():\n    from covend.one import thing")
    alone = planted("covend/__init__.py", "")
    assert set(rules.circle([alone, one, two])) == {"covend.one", "covend.two"}
    assert not rules.circle([alone, one])


def test_an_exception_names_a_file_that_exists() -> None:
    assert not [path for path in rules.LONG if not (ROOT / path).exists()]
