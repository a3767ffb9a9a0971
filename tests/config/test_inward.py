"""Senders beside GitHub and schedules: what they are set to, and what is refused of them and of the
rules that they start.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from covend.core.model import Trust
from covend.core.outside import Missed, Schedule, SourceKind
from covend.core.settings import Settings
from tests.config.files import ENVIRON, GOOD, look

SECRETS = 'secrets = [{ env = "HOOK" }]'
HMAC = f'[sources.ci]\nkind = "hmac"\nheader = "X-Signature"\n{SECRETS}'
FORGE = f'[sources.forge]\nkind = "gitea"\n{SECRETS}'
DEPLOY = """\
[[rules]]
name = "deploy"
on = ["forge:push", "ci:build.done"]
agent = "claude"
prompt = { text = "Look." }
checkout = "none"
"""
AUDIT = """\
[[rules]]
name = "audit"
agent = "claude"
prompt = { text = "Look." }
"""
WEEKLY = '[[schedules]]\nname = "weekly"\ncron = "0 6 * * 1"\nrule = "audit"'
SENDERS = f"{GOOD}{HMAC}\n{FORGE}\n{DEPLOY}"


def settings_of(tmp_path: Path, text: str) -> Settings:
    found = look(tmp_path, text)
    assert found.errors == ()
    assert found.settings is not None
    return found.settings


def complaint(tmp_path: Path, text: str) -> tuple[str, str, str | None]:
    (problem,) = look(tmp_path, text).errors
    assert problem.line is not None
    return problem.key, problem.message, problem.suggestion


# --- senders --------------------------------------------------------------------------------------


def test_a_sender_is_what_its_table_says(tmp_path: Path) -> None:
    text = f"""{GOOD}
[sources.ci]
kind = "hmac"
{SECRETS}
trust = "write"
header = "X-Signature"
algorithm = "sha512"
encoding = "base64"
prefix = "v0="
timestamp_header = "X-Timestamp"
tolerance = "1m"
event_header = "X-Event"
id_header = "X-Id"
"""
    source = settings_of(tmp_path, text).sources["ci"]
    assert (source.name, source.kind, source.trust) == ("ci", SourceKind.HMAC, Trust.WRITE)
    assert [secret.reveal() for secret in source.secrets] == [ENVIRON["HOOK"]]
    assert (source.header, source.algorithm, source.encoding) == ("x-signature", "sha512", "base64")
    assert (source.prefix, source.timestamp_header, source.tolerance_s) == (
        "v0=",
        "x-timestamp",
        60.0,
    )
    assert (source.event_header, source.id_header) == ("x-event", "x-id")


@pytest.mark.parametrize(
    ("kind", "known_as", "trust"),
    [
        ("standard-webhooks", SourceKind.STANDARD_WEBHOOKS, Trust.MEMBER),
        ("gitea", SourceKind.GITEA, Trust.NONE),
        ("forgejo", SourceKind.GITEA, Trust.NONE),
        ("gitlab", SourceKind.GITLAB, Trust.NONE),
    ],
)
def test_a_forge_is_trusted_with_nothing_by_itself(
    tmp_path: Path, kind: str, known_as: SourceKind, trust: Trust
) -> None:
    text = f'{GOOD}[sources.x]\nkind = "{kind}"\n{SECRETS}'
    source = settings_of(tmp_path, text).sources["x"]
    assert (source.kind, source.trust, source.tolerance_s) == (known_as, trust, 300.0)


@pytest.mark.parametrize(
    ("line", "key", "words"),
    [
        ('algorithm = "sha1"', "algorithm", "can be forged"),
        ('algorithm = "sha3"', "algorithm", '"sha512"'),
        ('encoding = "base32"', "encoding", '"base64"'),
        ('event_header = "X Event"', "event_header", "name of a header"),
        ('tolerance = "1m"', "tolerance", "timestamp_header"),
        ('timestamp_header = "X-T"\ntolerance = 0', "tolerance", "greater than 0"),
        ('trust = "fork"', "trust", '"member"'),
        ('id_headr = "X-Id"', "id_headr", "not a known key"),
    ],
)
def test_what_no_sender_can_be_is_an_error(tmp_path: Path, line: str, key: str, words: str) -> None:
    found, message, _ = complaint(tmp_path, f"{GOOD}{HMAC}\n{line}\n")
    assert found == f"sources.ci.{key}"
    assert words in message


@pytest.mark.parametrize(
    ("kind", "line"),
    [
        ("gitea", 'header = "X-Signature"'),
        ("forgejo", 'tolerance = "1m"'),
        ("gitlab", 'event_header = "X-Event"'),
        ("gitlab", 'prefix = "x"'),
        ("standard-webhooks", 'algorithm = "sha256"'),
        ("standard-webhooks", 'id_header = "X-Id"'),
        ("standard-webhooks", 'timestamp_header = "X-T"'),
    ],
)
def test_a_key_that_its_kind_does_not_know_is_an_error(
    tmp_path: Path, kind: str, line: str
) -> None:
    text = f'{GOOD}[sources.x]\nkind = "{kind}"\n{SECRETS}\n{line}\n'
    key, message, _ = complaint(tmp_path, text)
    assert key == f"sources.x.{line.partition(' ')[0]}"
    assert kind in message


@pytest.mark.parametrize("kind", ["standard-webhooks", "gitlab"])
def test_a_secret_that_could_never_verify_is_an_error(tmp_path: Path, kind: str) -> None:
    text = f'{GOOD}[sources.x]\nkind = "{kind}"\n{SECRETS}\n'
    (problem,) = look(tmp_path, text, {**ENVIRON, "HOOK": "whsec_no base64"}).errors
    assert problem.key == "sources.x.secrets[0]"
    assert "no base64" in str(problem)
    assert "whsec_no" not in str(problem)


def test_a_secret_of_another_sender_may_begin_as_it_likes(tmp_path: Path) -> None:
    assert look(tmp_path, GOOD + HMAC, {**ENVIRON, "HOOK": "whsec_no base64"}).errors == ()


@pytest.mark.parametrize("name", ["github", "covend", "api", "schedule", "task", "command"])
def test_a_name_that_is_taken_is_an_error(tmp_path: Path, name: str) -> None:
    key, message, _ = complaint(tmp_path, GOOD + FORGE.replace("forge", name))
    assert key == f"sources.{name}"
    assert "is taken" in message


def test_without_github_senders_are_enough(tmp_path: Path) -> None:
    text = SENDERS.replace(GOOD, 'state_dir = "state"\n[agents.claude]\npreset = "claude"\n')
    assert settings_of(tmp_path, text).github.webhook_secrets == ()


# --- rules that senders start ---------------------------------------------------------------------


def test_a_rule_names_the_events_of_senders(tmp_path: Path) -> None:
    found = look(tmp_path, SENDERS)
    assert (found.errors, found.warnings) == ((), ())


@pytest.mark.parametrize(
    ("event", "words", "suggestion"),
    [
        ("forgge:push", "not there: add [sources.forgge]", '"forge:push"'),
        ("cii:build.done", "not there", '"ci:build.done"'),
        ("*:push", "not there", None),
        ("github:push", "without a name", '"push"'),
        ("forge:", "behind the colon", None),
        ("forge:.opened", "behind the colon", None),
        ("forge.push", "forge:push", None),
        ("forge", "forge:EVENT", None),
    ],
)
def test_an_event_of_nobody_is_an_error(
    tmp_path: Path, event: str, words: str, suggestion: str | None
) -> None:
    text = SENDERS.replace('"forge:push"', f'"forge:push", "{event}"')
    key, message, near = complaint(tmp_path, text)
    assert key == "rules[1].on[1]"
    assert words in message
    assert suggestion is None or near == suggestion


@pytest.mark.parametrize(
    ("line", "key", "words"),
    [
        ('checkout = "head"', "checkout", 'must be "none"'),
        ("", "checkout", 'must be "none"'),
        ('checkout = "none"\npublish = ["comment"]', "publish[0]", 'only "callback"'),
        ('checkout = "none"\nallow = ["write"]', "allow", "permission on GitHub"),
    ],
)
def test_what_only_githubs_events_can_have_is_an_error(
    tmp_path: Path, line: str, key: str, words: str
) -> None:
    found, message, _ = complaint(tmp_path, SENDERS.replace('checkout = "none"', line))
    assert found == f"rules[1].{key}"
    assert words in message


def test_what_a_forge_tells_is_not_said_to_be_impossible(tmp_path: Path) -> None:
    when = 'when = { labels = ["till"], author = ["a"], draft = false, ref = ["main"] }\n'
    trust = 'trust = { member = "run", first_time = "refuse" }\n'
    assert look(tmp_path, SENDERS.replace("checkout", f"{when}{trust}checkout")).warnings == ()


def test_a_sender_whom_nobody_hears_is_a_warning(tmp_path: Path) -> None:
    (warning,) = look(tmp_path, GOOD + FORGE).warnings
    assert (warning.key, "heard by no rule" in warning.message) == ("sources.forge", True)


# --- schedules ------------------------------------------------------------------------------------


def test_schedules_are_what_their_tables_say(tmp_path: Path) -> None:
    more = 'repository = "acme/till"\nmissed = "skip"'
    nightly = '[[schedules]]\nname = "nightly"\ncron = "0  3 * * *"\nrule = "still"'
    still = AUDIT.replace("audit", "still") + 'checkout = "none"\n'
    text = f"{GOOD}{AUDIT}{still}{WEEKLY}\n{more}\n{nightly}\n"
    assert settings_of(tmp_path, text).schedules == (
        Schedule(
            name="weekly",
            cron="0 6 * * 1",
            rule="audit",
            repository="acme/till",
            missed=Missed.SKIP,
        ),
        Schedule(name="nightly", cron="0 3 * * *", rule="still"),
    )
    assert look(tmp_path, text).warnings == ()


@pytest.mark.parametrize(
    ("was", "line", "key", "words"),
    [
        ('rule = "audit"', 'rule = "audits"', "rule", "not there"),
        ("0 6 * * 1", "0 6 * *", "cron", "five cron fields"),
        ("0 6 * * 1", "0 26 * * 1", "cron", "'hour'"),
        ("0 6 * * 1", "0 0 31 2 *", "cron", "'day of month'"),
        ("0 6 * * 1", "0 0 LW 2 */7", "cron", "never comes"),
        ("acme/till", "till", "repository", "repository on GitHub"),
        ("acme/till", "../till", "repository", "repository on GitHub"),
        ('rule = "audit"', 'rule = "audit"\nmissed = "all"', "missed", '"run_once"'),
        ('repository = "acme/till"', "", "repository", 'checkout = "none"'),
    ],
)
def test_what_no_schedule_can_be_is_an_error_with_its_line(
    tmp_path: Path, was: str, line: str, key: str, words: str
) -> None:
    schedule = f'{WEEKLY}\nrepository = "acme/till"\n'.replace(was, line)
    found, message, suggestion = complaint(tmp_path, f"{GOOD}{AUDIT}{schedule}")
    assert found == f"schedules[0].{key}"
    assert words in message
    assert suggestion == ('"audit"' if key == "rule" else suggestion)


def test_two_schedules_of_one_name_are_an_error(tmp_path: Path) -> None:
    schedule = f'{WEEKLY}\nrepository = "acme/till"\n'
    found, message, _ = complaint(tmp_path, f"{GOOD}{AUDIT}{schedule}{schedule}")
    assert (found, "earlier schedule" in message) == ("schedules[1].name", True)


def test_a_rule_that_waits_for_the_tick_of_anothers_schedule_is_an_error(tmp_path: Path) -> None:
    schedule = f'{WEEKLY}\nrepository = "acme/till"\n'
    other = GOOD.replace('"pull_request.opened"', '"pull_request.opened", "schedule.weekly"')
    found, message, _ = complaint(tmp_path, f"{other}{AUDIT}{schedule}")
    assert (found, "its own rule, audit" in message) == ("rules[0].on[1]", True)


@pytest.mark.parametrize(("kind", "is_told"), [("check", True), ("callback", False)])
def test_what_a_schedule_can_show_nowhere_is_told(tmp_path: Path, kind: str, is_told: bool) -> None:
    text = f'{GOOD}{AUDIT}publish = ["{kind}"]\n{WEEKLY}\nrepository = "acme/till"\n'
    told = [each.message for each in look(tmp_path, text).warnings if "its tick" in each.message]
    assert bool(told) is is_told
