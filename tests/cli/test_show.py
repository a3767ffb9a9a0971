from __future__ import annotations

import json
import re
import time
from pathlib import Path

import pytest
from aiohttp import web

from covend.cli import lists, show
from covend.core.model import Need
from covend.core.rules.verdicts import ClauseResult, Routing, Verdict
from covend.core.states import DeliveryState
from covend.store.protocol import Arrival
from tests.cli.operator_desk import Operator, invoke
from tests.store.arrivals import NOW, arrival
from tests.web.door import listening
from tests.web.test_admin_held import failed, held_fork

RAW = "\x1b[31m\x1b]0;owned\x07\r\x9b2J\u202egnp.exe\x7f [bold]<script>alert(1)</script>"
HARMFUL = re.compile("[\x00-\x08\x0b-\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e]")
COLOURS = re.compile(r"\x1b\[[0-9;]*m")


def without_colours(seen: str) -> str:
    return COLOURS.sub("", seen).replace("\r\n", "\n")


def judged(*verdicts: Verdict) -> Arrival:
    come = arrival()
    return Arrival(
        envelope=come.envelope,
        event=come.event,
        via=come.via,
        routing=Routing(state=DeliveryState.IGNORED, reason="no_match", verdicts=verdicts),
        received_at=NOW,
        task_ids=(),
    )


# --- lists ----------------------------------------------------------------------------------------


async def test_tasks_are_listed_in_columns(operator: Operator) -> None:
    task = await operator.desk.arrive(title="Mend the till")
    done = await operator.run("tasks")
    assert done.exit_code == 0
    head, row = done.stdout.splitlines()
    assert head.split() == ["TASK", "STATE", "WHY", "RULE", "SUBJECT", "TITLE", "CREATED"]
    assert row.startswith(f"{task}  queued ")
    assert row.index("Mend the till") == head.index("TITLE")
    assert row.endswith("2026-09-21T14:13:20.000Z")


async def test_json_is_what_the_api_says(operator: Operator) -> None:
    await operator.desk.arrive()
    await operator.desk.complete(await operator.desk.claim())
    for noun in ("tasks", "deliveries", "effects"):
        done = await operator.run(noun, "--json")
        assert json.loads(done.output) == await operator.desk.get(noun)


async def test_filters_reach_the_api(operator: Operator) -> None:
    await operator.desk.arrive()
    assert len((await operator.run("tasks", "--state", "queued")).stdout.splitlines()) == 2
    assert (await operator.run("tasks", "--state", "failed")).stdout == ""
    assert (await operator.run("tasks", "--rule", "other")).stdout == ""
    assert (await operator.run("deliveries", "--repository", "a/b")).stdout == ""


async def test_a_state_that_does_not_exist_is_a_usage_error(operator: Operator) -> None:
    done = await operator.run("tasks", "--state", "finished")
    assert done.exit_code == 2
    assert "completed" in done.output


async def test_a_list_turns_as_many_pages_as_it_needs(
    operator: Operator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lists, "PAGE_MAX", 2)
    made = [await operator.desk.arrive() for _ in range(6)]
    done = await operator.run("tasks", "--limit", "5", "--json")
    found = json.loads(done.output)
    assert [item["id"] for item in found["items"]] == made[:0:-1]
    assert found["next_cursor"] == made[1]


async def test_a_list_says_when_there_is_more(operator: Operator) -> None:
    for _ in range(2):
        await operator.desk.arrive()
    assert "--limit" in (await operator.run("tasks", "--limit", "1")).stderr
    assert "--limit" not in (await operator.run("tasks", "--limit", "2")).stderr


async def test_an_empty_list_says_so_beside_the_data(operator: Operator) -> None:
    done = await operator.run("tasks")
    assert (done.exit_code, done.stdout, done.stderr) == (0, "", "nothing there\n")


# --- stories --------------------------------------------------------------------------------------


async def test_show_tells_the_story_of_a_task(operator: Operator) -> None:
    task = await operator.desk.arrive(title="Mend the till")
    await operator.desk.complete(await operator.desk.claim(), "All\nis well.")
    done = await operator.run("show", task)
    assert done.exit_code == 0
    assert done.output.startswith(f"task  {task}  completed\n")
    words = re.sub(" +", " ", done.output)
    for said in (
        "conclusion success",
        "Mend the till",
        "2026-09-21T14:13:20.000Z queued new for 1.0 s",
        "2026-09-21T14:13:21.000Z running claimed for 4.0 s",
        "#1 echo succeeded 4.0 s exit 0 0.2500 USD 10 B printed",
        "comment pending 0 tries acme/r1#1",
        "\n All\n is well.\n",
    ):
        assert said in words


async def test_a_running_attempt_is_not_said_to_have_printed_nothing(operator: Operator) -> None:
    task = await operator.desk.arrive()
    await operator.desk.claim()
    assert "printed" not in (await operator.run("show", task)).output


async def test_show_tells_why_a_task_waits(operator: Operator) -> None:
    task = await operator.desk.arrive()
    words = re.sub(" +", " ", (await operator.run("show", task)).output)
    assert "waits for new" in words
    assert "that is it runs as soon as a slot is free" in words
    assert "not before 2026-09-21T14:13:20.000Z" in words


async def paused(operator: Operator) -> None:
    """Nothing may start, and what waits has been told so."""
    assert (await operator.run("pause", "--why", "deploy")).exit_code == 0
    with pytest.raises(AssertionError):
        await operator.desk.claim()


async def test_a_list_says_below_it_why_work_waits_once_for_each_reason(
    operator: Operator,
) -> None:
    for _ in range(2):
        await operator.desk.arrive()
    await paused(operator)
    await held_fork(operator.desk)
    done = await operator.run("tasks")
    first, second = done.stderr.splitlines()
    assert first == (
        "2 tasks wait (paused): everything is paused, by operator: deploy; "
        "`covend resume` lets it go on"
    )
    assert second.startswith("1 task waits (approval): it comes from a fork; `covend approve ")
    assert "everything" not in done.stdout


async def test_a_list_does_not_explain_more_than_can_be_read(
    operator: Operator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(show, "EXPLAINED_MAX", 1)
    await operator.desk.arrive()
    await held_fork(operator.desk)
    assert (await operator.run("tasks")).stderr.endswith("see `covend show TASK`\n")


async def test_what_waits_for_somebody_is_due_at_no_moment(operator: Operator) -> None:
    task = await operator.desk.arrive()
    await paused(operator)
    words = re.sub(" +", " ", (await operator.run("show", task)).output)
    assert "waits for paused" in words
    assert "that is everything is paused, by operator: deploy; `covend resume`" in words
    assert "not before" not in words


async def test_show_of_what_has_failed_says_how_it_is_run_again(operator: Operator) -> None:
    task = await failed(operator.desk)
    words = re.sub(" +", " ", (await operator.run("show", task)).output)
    assert f"again `covend retry {task}` runs it once more" in words
    assert "error exit_code\n" in words


async def test_show_tells_who_has_approved_it(operator: Operator) -> None:
    task = await held_fork(operator.desk)
    await operator.run("approve", task)
    words = re.sub(" +", " ", (await operator.run("show", task)).output)
    assert "\n approved by operator\n" in words


async def test_a_terminal_says_when_a_task_goes_on(operator: Operator) -> None:
    task = await operator.desk.arrive(now=round(time.time() * 1000) + 3_600_000)
    seen = without_colours(await operator.see("show", task))
    assert re.search(r"not before +in 59 min", seen)


async def test_show_tells_what_each_rule_said_of_a_delivery(operator: Operator) -> None:
    clauses = (
        ClauseResult(name="on", satisfied=True, values=("push",), conditions=("push",)),
        ClauseResult(name="when.draft", satisfied=False, values=("true",), conditions=("false",)),
        ClauseResult(name="when.paths", satisfied=None, conditions=("src/**",), need=Need.PATHS),
    )
    verdict = Verdict(rule="review", matched=False, reason="draft", clauses=clauses)
    accepted = await operator.desk.deliveries.accept(judged(verdict))
    for identifier in (accepted.delivery, accepted.delivery.upper()):
        done = await operator.run("show", identifier)
        assert done.exit_code == 0
        lines = [line.split() for line in done.output.splitlines()]
        assert ["delivery", accepted.delivery, "ignored"] in lines
        assert ["✗", "review", "draft"] in lines
        assert ["✓", "on", "push", "push"] in lines
        assert ["✗", "when.draft", "true", "false"] in lines
        assert ["?", "when.paths", "to", "be", "looked", "up:", "paths", "src/**"] in lines


async def test_show_as_json_is_the_whole_thing(operator: Operator) -> None:
    task = await operator.desk.arrive()
    done = await operator.run("show", task[:8], "--json")
    assert json.loads(done.output) == await operator.desk.get(f"tasks/{task}")


async def test_a_beginning_that_fits_two_is_refused(operator: Operator) -> None:
    first = await operator.desk.arrive()
    await operator.desk.arrive()
    done = await operator.run("show", first[:10])
    assert (done.exit_code, done.stdout) == (2, "")
    assert f"{first[:10]} is the beginning of several tasks" in done.stderr


@pytest.mark.parametrize("identifier", ["zzz", "00000000-0000-4000-8000-000000000000", "../stats"])
async def test_what_is_not_there_ends_with_1(operator: Operator, identifier: str) -> None:
    done = await operator.run("show", identifier)
    assert (done.exit_code, done.stdout) == (1, "")
    assert re.fullmatch(r"covend: There is no (task|delivery) .*\.\n", done.stderr)


async def test_the_beginning_of_a_deliverys_guid_is_told_not_to_do(operator: Operator) -> None:
    done = await operator.run("show", "456b4485")
    assert "a delivery is named by its whole GUID" in done.stderr


# --- a terminal -----------------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["tasks", "show"])
@pytest.mark.parametrize("is_json", [False, True])
async def test_what_a_title_says_never_reaches_a_terminal_as_an_order(
    operator: Operator, command: str, is_json: bool
) -> None:
    task = await operator.desk.arrive(title=RAW)
    args = [command, *([task] if command == "show" else []), *(["--json"] if is_json else [])]
    seen = without_colours(await operator.see(*args))
    printed = (await operator.run(*args)).output
    for text in (seen, printed):
        assert not HARMFUL.search(text)
        assert "[bold]<script>alert(1)</script>" in text
    if is_json:
        told = json.loads(printed)
        story = told if command == "show" else told["items"][0]
        assert story["subject"]["title"] == RAW


async def test_an_error_from_outside_is_made_harmless_too(operator: Operator) -> None:
    done = await operator.run("show", "\x1b[31m")
    assert done.exit_code == 1
    assert not HARMFUL.search(done.output)


async def test_a_terminal_gets_colours_and_ages(operator: Operator) -> None:
    await operator.desk.arrive()
    seen = await operator.see("tasks")
    assert COLOURS.search(seen)
    assert " ago" in seen
    assert "2026-" not in seen


async def test_no_color_is_obeyed(operator: Operator) -> None:
    task = await operator.desk.arrive()
    for args in (["tasks"], ["show", task]):
        assert not re.search(r"\x1b\[[0-9;]*3[0-7]", await operator.see(*args, NO_COLOR="1"))


async def test_ids_stay_in_one_piece_on_a_narrow_terminal(operator: Operator) -> None:
    task = await operator.desk.arrive(title="A title that is much longer than there is room for it")
    seen = without_colours(await operator.see("tasks", COLUMNS="80"))
    assert task in seen
    assert "queued" in seen
    # What is said below the list is for the terminal to wrap: it is copied from there.
    *table, said = seen.splitlines()
    assert "1 task waits" in said
    assert max(len(line) for line in table) <= 80


LISTS = ("tasks", "deliveries", "effects")


@pytest.mark.parametrize("width", [40, 60, 80, 100])
async def test_a_list_stays_readable_however_narrow_the_terminal_is(
    operator: Operator, width: int
) -> None:
    task = await operator.desk.arrive(title="A title that is much longer than there is room for it")
    await operator.desk.complete(await operator.desk.claim(), "Done.")
    for command, state in zip(LISTS, ("completed", "routed", "pending"), strict=True):
        seen = without_colours(await operator.see(command, COLUMNS=str(width)))
        assert state in seen
        assert task in seen or command == "deliveries"
        assert max(len(line) for line in seen.splitlines()) <= width
        assert len(seen.splitlines()) < 25  # nothing stands a letter a line


# --- no answer ------------------------------------------------------------------------------------


def test_a_daemon_that_does_not_run_is_69(tmp_path: Path) -> None:
    config = tmp_path / "covend.toml"
    config.write_text('state_dir = "."\n[admin]\nlisten = "127.0.0.1:1"\n')
    done = invoke("tasks", "--config", str(config))
    assert (done.exit_code, done.stdout) == (69, "")
    assert done.stderr == (
        "covend: covend is not answering on 127.0.0.1:1: is it running?"
        f"  (covend serve --config {config})\n"
    )


async def test_a_wrong_token_is_77(operator: Operator) -> None:
    done = await operator.run("tasks", COVEND_ADMIN_TOKEN="wrong")
    assert done.exit_code == 77
    assert "$COVEND_ADMIN_TOKEN" in done.stderr
    assert "wrong" not in done.stderr


async def test_a_token_that_is_not_there_is_77_and_says_where_it_should_be(
    operator: Operator,
) -> None:
    token = operator.config.with_name("admin.token")
    token.unlink()
    done = await operator.run("tasks")
    assert done.exit_code == 77
    assert str(token) in done.stderr


@pytest.mark.parametrize("token", ["a\nb", "é€"])
async def test_a_token_that_cannot_be_sent_is_77(operator: Operator, token: str) -> None:
    assert (await operator.run("tasks", COVEND_ADMIN_TOKEN=token)).exit_code == 77


async def test_a_store_that_cannot_answer_is_75(operator: Operator) -> None:
    busy = {"error": {"code": "store_busy", "message": "The store cannot answer now."}}

    async def say(_request: web.BaseRequest) -> web.Response:
        return web.json_response(busy, status=503)

    async with listening(web.ServerRunner(web.Server(say))) as port:
        done = await operator.run("tasks", COVEND_ADMIN__LISTEN=f"127.0.0.1:{port}")
    assert done.exit_code == 75
    assert done.stderr == "covend: The store cannot answer now. (store_busy)\n"


@pytest.mark.parametrize("answer", ["hello", "[]", '{"error": 7}'])
async def test_another_server_on_that_port_is_told_apart(operator: Operator, answer: str) -> None:
    async def say(_request: web.BaseRequest) -> web.Response:
        return web.Response(status=404, text=answer)

    async with listening(web.ServerRunner(web.Server(say))) as port:
        done = await operator.run("tasks", COVEND_ADMIN__LISTEN=f"127.0.0.1:{port}")
    assert done.exit_code == 69
    assert "is not covend's admin listener" in done.stderr


async def test_a_unix_socket_is_as_good_as_a_port(operator: Operator, tmp_path: Path) -> None:
    task = await operator.desk.arrive()
    path = str(tmp_path / "admin.sock")
    await web.UnixSite(operator.desk.runner, path).start()
    done = await operator.run("tasks", COVEND_ADMIN__LISTEN=f"unix:{path}")
    assert done.exit_code == 0
    assert task in done.output
    gone = await operator.run("tasks", COVEND_ADMIN__LISTEN=f"unix:{path}.not")
    assert gone.exit_code == 69
