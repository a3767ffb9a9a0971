"""The commands that let tasks run again, hold work back, and let it go on."""

from __future__ import annotations

import json
import re

import pytest

from tests.cli.operator_desk import Operator
from tests.cli.test_show import without_colours
from tests.store.arrivals import NOW
from tests.web.test_admin_held import AT, failed, failed_effect, guard, held_fork

COMMANDS = (
    ("safeguards",),
    ("retry", "a"),
    ("approve", "a"),
    ("unblock", "acme/till#7"),
    ("wait", "a"),
    ("pause",),
    ("resume",),
    ("drain",),
)


async def ids(operator: Operator) -> list[str]:
    return [each["id"] for each in (await operator.desk.get("safeguards"))["items"]]


# --- retry and approve ----------------------------------------------------------------------------


async def test_retry_says_of_each_task_what_became_of_it(operator: Operator) -> None:
    ended, waiting = await failed(operator.desk), await operator.desk.arrive()
    done = await operator.run("retry", ended, waiting, "zzz", "--why", "mended")
    assert done.exit_code == 1
    _, row = done.stdout.splitlines()
    assert row.split(maxsplit=2)[:2] == [ended, "queued"]
    assert "it runs as soon as a slot is free" in row
    told, missing = done.stderr.splitlines()
    assert f"Task {waiting} is queued already: it runs as soon as" in told
    assert missing == "covend: There is no task zzz."
    assert (await operator.desk.get(f"tasks/{ended}"))["reason"] == "operator: mended"


async def test_retry_sends_effects_again_and_says_what_became_of_each(operator: Operator) -> None:
    effect = await failed_effect(operator.desk)
    done = await operator.run("retry", "--effect", effect, "--effect", "zzz", "--why", "mended")
    assert done.exit_code == 1
    _, row = done.stdout.splitlines()
    assert row.split() == [effect, "comment", "acme/r1#1", "pending"]
    assert done.stderr == "covend: There is no effect zzz.\n"
    again = await operator.run("retry", "--effect", effect, "--json")
    (error,) = json.loads(again.stdout)["errors"]
    assert (again.exit_code, error["effect"]) == (1, effect)


@pytest.mark.parametrize("args", [(), ("a", "--effect", "b")])
async def test_retry_wants_tasks_or_effects(operator: Operator, args: tuple[str, ...]) -> None:
    done = await operator.run("retry", *args)
    assert done.exit_code == 2
    assert "one of both" in done.stderr


async def test_a_list_of_effects_says_how_what_has_failed_is_sent_again(
    operator: Operator,
) -> None:
    effect = await failed_effect(operator.desk)
    done = await operator.run("effects")
    assert f"`covend retry --effect {effect}` sends it" in done.stderr
    assert "issues=write" in done.stdout
    (listed,) = (await operator.desk.get("effects"))["items"]
    shown = await operator.run("show", listed["task"])
    assert shown.stderr == done.stderr
    await operator.run("retry", "--effect", effect)
    assert (await operator.run("effects")).stderr == ""


async def test_approve_lets_what_waits_for_it_run(operator: Operator) -> None:
    task = await held_fork(operator.desk)
    for _ in range(2):
        done = await operator.run("approve", task[:20], "--json")
        assert done.exit_code == 0
        (told,) = json.loads(done.stdout)["items"]
        assert (told["id"], told["approved_by"]) == (task, "operator")
    assert (await operator.desk.claim(at=AT)).task.id == task


async def test_what_failed_for_good_is_what_a_list_of_the_failed_shows(operator: Operator) -> None:
    task = await failed(operator.desk)
    await operator.desk.arrive()
    (row,) = (await operator.run("tasks", "--state", "failed")).stdout.splitlines()[1:]
    assert row.startswith(task)
    assert "covend retry" in (await operator.run("tasks", "--help")).stdout
    assert "covend tasks --state failed" in (await operator.run("retry", "--help")).stdout


# --- pause, resume and drain ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "identifier", "resume"),
    [
        ((), "pause/all", "covend resume"),
        (("--rule", "review"), "pause/rule:review", "covend resume --rule review"),
        (("--agent", "echo"), "pause/agent:echo", "covend resume --agent echo"),
        (("--repo", "Acme/R1"), "pause/repository:acme/r1", "covend resume --repo acme/r1"),
        (("--repository", "acme/r1"), "pause/repository:acme/r1", "covend resume --repo acme/r1"),
    ],
)
async def test_what_is_paused_is_resumed_by_the_command_that_it_tells(
    operator: Operator, options: tuple[str, ...], identifier: str, resume: str
) -> None:
    done = await operator.run("pause", *options, "--why", "deploy")
    assert done.exit_code == 0
    assert "is paused, by operator: deploy" in done.stdout
    assert f"`{resume}` lets it go on" in done.stdout
    assert await ids(operator) == [identifier]
    done = await operator.run(*resume.split()[1:])
    assert (done.exit_code, done.stdout.startswith("lifted: the pause of ")) == (0, True)
    assert await ids(operator) == []


async def test_resume_of_nothing_is_no_fault_and_tells_what_is_still_paused(
    operator: Operator,
) -> None:
    await operator.run("pause", "--rule", "review")
    done = await operator.run("resume")
    assert (done.exit_code, done.stdout) == (0, "")
    assert done.stderr.splitlines() == [
        "nothing to lift: there is no pause of everything",
        "still: rule review is paused, by operator; `covend resume --rule review` lets it go on",
    ]


async def test_drain_takes_nothing_until_it_is_resumed(operator: Operator) -> None:
    done = await operator.run("drain", "--why", "new disk")
    assert (done.exit_code, operator.desk.drains) == (0, [True])
    assert "nothing is taken in and nothing starts, by operator: new disk" in done.stdout
    assert (await operator.run("resume")).stdout == "lifted: the drain (operator: new disk)\n"
    assert operator.desk.drains == [True, False]


async def test_two_scopes_at_once_are_a_usage_error(operator: Operator) -> None:
    for verb in ("pause", "resume"):
        done = await operator.run(verb, "--rule", "a", "--agent", "b")
        assert done.exit_code == 2
        assert "exclude each other" in done.stderr
    assert await ids(operator) == []


@pytest.mark.parametrize("verb", ["pause", "resume"])
@pytest.mark.parametrize("option", ["--rule", "--agent", "--repo"])
async def test_a_name_that_is_empty_is_not_everything(
    verb: str, option: str, operator: Operator
) -> None:
    """As of a variable of the shell that is not set."""
    done = await operator.run(verb, option, "")
    assert done.exit_code == 2
    assert "need a name" in done.stderr


async def test_what_is_no_scope_is_a_usage_error_that_names_the_forms(operator: Operator) -> None:
    done = await operator.run("pause", "--repo", "till")
    assert done.exit_code == 2
    assert "repository:OWNER/NAME" in done.stderr
    assert (await operator.run("pause", "--rule", "\udcff")).exit_code == 2


async def test_json_is_what_the_api_answers(operator: Operator) -> None:
    assert json.loads((await operator.run("pause", "--json")).stdout)["id"] == "pause/all"
    assert json.loads((await operator.run("drain", "--json")).stdout)["id"] == "drain/all"
    listed = json.loads((await operator.run("safeguards", "--json")).stdout)
    assert listed == await operator.desk.get("safeguards")
    lifted = json.loads((await operator.run("resume", "--json")).stdout)
    assert [each["id"] for each in lifted["items"]] == ["pause/all", "drain/all"]


# --- safeguards -----------------------------------------------------------------------------------


async def test_safeguards_lists_what_holds_and_with_all_what_counts(operator: Operator) -> None:
    await operator.desk.guards.put(guard("loop/acme/till#7", "counting"), NOW)
    done = await operator.run("safeguards")
    assert (done.exit_code, done.stdout) == (0, "")
    assert done.stderr == "nothing holds work back\n1 more only counts so far: see --all\n"
    await operator.desk.guards.put(guard("loop/acme/till#8", "blocked"), NOW)
    done = await operator.run("safeguards", "--all")
    head, blocked, counting = done.stdout.splitlines()
    assert head.split() == ["SAFEGUARD", "STATE", "CAUSE", "UNTIL", "LET", "GO", "BY"]
    assert re.fullmatch(
        "loop/acme/till#8  blocked   acme/till#8 goes round in circles: 20 turns without progress"
        "  -"
        " +covend unblock acme/till#8",
        blocked,
    )
    assert counting.startswith("loop/acme/till#7  counting")
    assert done.stderr == ""


@pytest.mark.parametrize("width", [40, 80, 200])
async def test_the_command_that_lets_go_stays_in_one_piece(operator: Operator, width: int) -> None:
    rests = guard("crash_loop/agent:codex@acme/till", "suppressed", until=NOW + 10**13)
    await operator.desk.guards.put(rests, NOW)
    seen = without_colours(await operator.see("safeguards", COLUMNS=str(width), NO_COLOR="1"))
    assert max(len(line) for line in seen.splitlines()) <= width
    if width > 40:
        assert f"covend unblock {rests.id}" in seen
        assert re.search(r" in [0-9]+ d ", seen)


async def test_unblock_lets_a_subject_go_on_in_any_case(operator: Operator) -> None:
    await operator.desk.guards.put(guard("loop/acme/till#7", "blocked"), NOW)
    done = await operator.run("unblock", "Acme/Till#7", "--why", "looked at it")
    assert done.exit_code == 0
    assert done.stdout == "acme/till#7 goes on; what held it: 20 turns without progress\n"
    assert await ids(operator) == []


@pytest.mark.parametrize(
    ("identifier", "state", "told"),
    [
        ("budget/all", "holding", "everything goes on; what held it: "),
        ("budget/rule:review@acme/till#7", "holding", "rule review at acme/till#7 goes on; what "),
        ("circuit/agent:claude", "closed", "agent claude counts from nought again; it had counted"),
    ],
)
async def test_unblock_says_what_goes_on_as_people_name_it(
    operator: Operator, identifier: str, state: str, told: str
) -> None:
    await operator.desk.guards.put(guard(identifier, state), NOW)
    assert (await operator.run("unblock", identifier)).stdout.startswith(told)


async def test_unblock_takes_the_id_of_another_safeguard_as_well(operator: Operator) -> None:
    await operator.desk.guards.put(guard("budget/rule:review@acme/till#7"), NOW)
    done = await operator.run("unblock", "acme/till#7")
    assert done.exit_code == 1
    assert "there is budget/rule:review@acme/till#7." in done.stderr
    done = await operator.run("unblock", "budget/rule:review@acme/till#7", "--json")
    assert (done.exit_code, json.loads(done.stdout)["state"]) == (0, "holding")
    assert await ids(operator) == []


# --- no answer ------------------------------------------------------------------------------------


@pytest.mark.parametrize("args", COMMANDS)
async def test_without_a_daemon_each_says_so_in_one_line(
    operator: Operator, args: tuple[str, ...]
) -> None:
    await operator.desk.runner.cleanup()
    done = await operator.run(*args)
    assert (done.exit_code, done.stdout) == (69, "")
    assert re.fullmatch(r"covend: covend is not answering on .*: is it running\?.*\n", done.stderr)


@pytest.mark.parametrize("args", COMMANDS)
async def test_with_a_wrong_token_nothing_is_changed(
    operator: Operator, args: tuple[str, ...]
) -> None:
    assert (await operator.run(*args, COVEND_ADMIN_TOKEN="wrong")).exit_code == 77
    assert await ids(operator) == []
