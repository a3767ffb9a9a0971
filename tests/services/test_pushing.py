"""An agent's commits are pushed once and proposed once, whatever is lost on the way; and covend
pushes nothing else, and over nobody's work.
"""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest

from covend.core.model import EffectKind
from covend.core.states import EffectState, TaskState
from covend.demo import payloads
from covend.demo.github import Fault
from covend.edges.github.errors import MissingPermission, OutcomeUnknown, Refused, Unreachable
from covend.edges.workspace import push
from covend.services import pushing
from tests.edges.forge import fake_git
from tests.services.committing import PERSONAL, TITLE, Committed, a_fix, committing
from tests.services.house import House, an_agent

PUSH = ("POST", "*/git-receive-pack")
LOOK = ("GET", "*/info/refs")
CREATE = ("POST", "*/pulls")
LIST = ("GET", "*/pulls")
WITHIN_S = 30.0
PULL_REQUEST = EffectKind.PULL_REQUEST


@pytest.fixture
async def done(house: House) -> Committed:
    return await Committed.make(house)


# --- what is published ----------------------------------------------------------------------------


async def test_commits_become_a_branch_and_a_draft_onto_the_branch_they_are_about(
    done: Committed,
) -> None:
    before = done.branches
    sent = await done.publish()
    (pull,) = done.opened
    assert (pull.head_ref, pull.base_ref) == (done.branch, "scan-by-code")
    assert (pull.title, pull.draft) == (TITLE, True)
    assert done.tip == done.sha
    assert done.branches == before | {f"refs/heads/{done.branch}"}
    assert sent.remote_id == str(pull.number)
    assert sent.remote_url is not None
    assert sent.remote_url.endswith(f"/acme/till/pull/{pull.number}")
    assert "It is mended." in (pull.body or "")
    assert "For #7." in (pull.body or "")


async def test_nothing_committed_is_nothing_to_publish(house: House) -> None:
    await house.adopt(a_fix(), an_agent("true"))
    story = await house.attempt()
    assert story.task.state is TaskState.COMPLETED
    assert await house.outbox() == []


async def test_what_is_found_again_is_not_done_again(done: Committed) -> None:
    assert await done.look_up() is None
    first = await done.send()
    assert await done.look_up() == first
    assert await done.send() == first
    assert (len(done.opened), done.pushes()) == (1, 1)


async def test_a_plain_token_publishes_too(done: Committed) -> None:
    done.be_a_person()
    await done.publish()
    assert done.tip == done.sha


# --- once, through whatever is lost ---------------------------------------------------------------


@pytest.mark.parametrize(
    "kind", [Fault.RESET, Fault.ANSWER_LOST, Fault.ERROR_500, Fault.ERROR_500_APPLIED]
)
@pytest.mark.parametrize("step", [LIST, LOOK, PUSH, CREATE])
async def test_it_is_pushed_and_opened_once_through_a_fault_at_each_step(
    done: Committed, step: tuple[str, str], kind: Fault
) -> None:
    done.house.github.faults.add(*step, kind)
    sent = await done.publish()
    (pull,) = done.opened
    assert sent.remote_id == str(pull.number)
    assert done.tip == done.sha
    assert not done.waits


@pytest.mark.parametrize("step", [LIST, LOOK, PUSH, CREATE])
async def test_it_is_pushed_and_opened_once_through_a_kill_at_each_step(
    done: Committed, step: tuple[str, str]
) -> None:
    """What was under way goes on at GitHub; who began it knows nothing of it any more."""
    held = done.house.github.faults.add(*step, Fault.HELD)
    async with anyio.create_task_group() as group:
        group.start_soon(done.send)
        with anyio.fail_after(WITHIN_S):
            await held.reached.wait()
        group.cancel_scope.cancel()
    held.release()
    assert done.waits
    done.house.client = done.house.new_client()
    sent = await done.look_up() or await done.publish()
    (pull,) = done.opened
    assert sent.remote_id == str(pull.number)
    assert done.tip == done.sha


async def test_a_forge_that_is_not_there_was_not_pushed_to(
    done: Committed, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    refuse = 'case " $* " in *" ls-remote "*) set -- ls-remote http://127.0.0.1:9/;; esac'
    fake_git(tmp_path, monkeypatch, refuse)
    with pytest.raises(Unreachable, match="git_push"):
        await done.send()
    assert done.tip is None


async def test_a_push_that_nobody_can_look_for_is_of_unknown_outcome(
    done: Committed, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    script = f'case " $* " in *" push "*) touch {tmp_path}/pushed;; *" ls-remote "*)'
    script += f" test ! -e {tmp_path}/pushed || set -- ls-remote http://127.0.0.1:9/;; esac"
    fake_git(tmp_path, monkeypatch, script)
    done.house.github.faults.add(*PUSH, Fault.ANSWER_LOST)
    with pytest.raises(OutcomeUnknown):
        await done.send()
    assert done.tip == done.sha
    assert done.waits


async def test_a_token_that_is_not_taken_any_more_is_made_anew(done: Committed) -> None:
    house = done.house
    await done.house.client.auth.token_for(1, "acme/till", {"contents": "write"})
    house.github.state.tokens.clear()
    await done.publish()
    assert done.tip == done.sha


# --- a later version ------------------------------------------------------------------------------


async def test_an_open_pull_request_is_brought_up_to_date(done: Committed) -> None:
    first, later = await done.publish(), done.later()
    assert await done.look_up(later) is None
    assert await done.send(later) == first
    (pull,) = done.opened
    assert (done.tip, pull.title) == (later.request["sha"], "Mend it better")
    assert await done.look_up(later) == first


async def test_work_that_was_merged_is_followed_by_a_pull_request_of_its_own(
    done: Committed,
) -> None:
    first, later = await done.publish(), done.later()
    done.closed(merged=True)
    assert await done.send(later) != first
    assert [pull.state for pull in done.opened] == ["closed", "open"]


async def test_what_people_have_closed_is_not_opened_again(done: Committed) -> None:
    await done.publish()
    later = done.later()
    done.closed()
    with pytest.raises(Refused, match=f"#{done.opened[0].number} of {done.branch} was closed"):
        await done.send(later)
    assert done.tip == done.sha
    assert [pull.state for pull in done.opened] == ["closed"]


async def test_who_deletes_the_branch_lets_it_be_opened_again(done: Committed) -> None:
    await done.publish()
    later = done.later()
    done.closed()
    done.house.till.git.delete_ref(f"refs/heads/{done.branch}")
    await done.send(later)
    assert [pull.state for pull in done.opened] == ["closed", "open"]


async def test_what_was_closed_after_it_was_opened_stays_as_it_is(done: Committed) -> None:
    first = await done.publish()
    done.closed()
    assert await done.look_up() == first
    assert await done.send() == first


async def test_a_pull_request_that_somebody_else_has_opened_keeps_its_words(
    done: Committed,
) -> None:
    done.house.github.faults.add(*CREATE, Fault.ERROR_500)
    with pytest.raises(OutcomeUnknown):
        await done.send()
    house = done.house
    house.github.add_personal_token(PERSONAL, payloads.MAINTAINER)
    headers = {"Authorization": f"Bearer {PERSONAL}"}
    body = {"title": "By hand", "head": done.branch, "base": "main", "body": "Mine."}
    url = f"{house.github.api_url}/repos/acme/till/pulls"
    async with house.session.post(url, json=body, headers=headers) as answer:
        assert answer.status == 201
    sent = await done.send()
    (pull,) = done.opened
    assert sent.remote_id == str(pull.number)
    assert (pull.title, pull.body) == ("By hand", "Mine.")


# --- what is measured -----------------------------------------------------------------------------


async def test_the_time_it_takes_is_measured_by_its_result(
    done: Committed, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(push, "PUSH_S", 0.5)
    fake_git(tmp_path, monkeypatch, 'case " $* " in *" push "*) exec sleep 1000;; esac')
    with pytest.raises(OutcomeUnknown):
        await done.send()
    monkeypatch.undo()
    done.house.till.protected.add("*")
    with pytest.raises(Refused):
        await done.send()
    done.house.till.protected.clear()
    await done.send()
    told = done.house.metrics.render().decode()
    for result in ("unknown", "failed", "ok"):
        assert f'phase_seconds_count{{phase="publish",result="{result}"}} 1.0' in told
    assert 'covend_phase_timeouts_total{phase="publish"} 1.0' in told


# --- what is refused ------------------------------------------------------------------------------


async def test_commits_of_somebody_else_are_never_written_over(done: Committed) -> None:
    await done.publish()
    git, later = done.house.till.git, done.later()
    theirs = git.commit(f"refs/heads/{done.branch}", {"a.txt": "a"}, "Mine")
    done.house.till.refresh_pulls()
    with pytest.raises(Refused) as refused:
        await done.send(later)
    assert done.tip == theirs
    for word in (done.branch, theirs, "Delete or rename", f"covend retry --effect {later.id}"):
        assert word in str(refused.value)


async def test_a_branch_that_moves_meanwhile_is_not_written_over(
    done: Committed, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Between the look and the push: the lease is what refuses."""
    git = done.house.till.git
    main = git.commit_at("refs/heads/main")
    move = f"git --git-dir={git.path} update-ref refs/heads/{done.branch} {main}"
    fake_git(tmp_path, monkeypatch, f'case " $* " in *" push "*) {move};; esac')
    with pytest.raises(Refused, match=f"is at {main}, which covend did not push"):
        await done.send()
    assert done.tip == main


async def test_a_missing_permission_to_push_is_named(done: Committed) -> None:
    done.house.github.state.permissions["contents"] = "read"
    with pytest.raises(MissingPermission) as refused:
        await done.send()
    assert refused.value.permission == "contents=write"
    assert done.tip is None


async def test_a_workflow_is_never_pushed_and_the_reason_is_named(house: House) -> None:
    """Also where the App has that permission: covend's token has not."""
    house.github.state.permissions["workflows"] = "write"
    done = await Committed.make(house, committing(".github/workflows/ci.yml"))
    with pytest.raises(MissingPermission, match="never asks for that") as refused:
        await done.send()
    assert refused.value.permission == "workflows=write"
    assert ".github/workflows/ci.yml" in str(refused.value)
    assert (done.tip, done.opened) == (None, [])


async def test_a_protected_branch_refuses_for_good(done: Committed) -> None:
    done.house.till.protected.add("covend/*")
    with pytest.raises(Refused, match="protected branch hook declined"):
        await done.send()
    assert done.tip is None


async def test_commits_that_are_merged_already_are_no_proposal(done: Committed) -> None:
    git = done.house.till.git
    done.house.github.faults.add(*CREATE, Fault.ERROR_500)
    with pytest.raises(OutcomeUnknown):
        await done.send()
    git.set_ref("refs/heads/scan-by-code", done.sha)
    with pytest.raises(Refused, match="nothing to propose: scan-by-code has all commits"):
        await done.send()


async def test_commits_that_are_gone_are_not_waited_for(done: Committed) -> None:
    done.mirror.rename(done.mirror.with_name("elsewhere"))
    with pytest.raises(Refused, match="ask for the work once more"):
        await done.send()


async def test_a_repository_elsewhere_is_not_pushed_to(done: Committed) -> None:
    stranger = pushing.Pushing(
        mirrors=done.house.workspaces.mirrors,
        api_url="https://github.example.org/api/v3",
        metrics=done.house.metrics,
    )
    with pytest.raises(Refused, match="not an address of the forge"):
        await stranger.send(done.house.client, done.effect, None)
    assert done.pushes() == 0


# --- what nobody sees -----------------------------------------------------------------------------


async def test_the_token_is_in_no_argument_and_can_do_nothing_else(
    done: Committed, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    seen = tmp_path / "seen"
    note = f"tr '\\0' '\\n' < /proc/$$/cmdline >> {seen}; env | sort >> {seen}.env"
    fake_git(tmp_path, monkeypatch, note)
    monkeypatch.setenv("GIT_DIR", "/elsewhere")
    monkeypatch.setenv("GIT_SSH_COMMAND", "false")
    await done.publish()
    (token,) = {
        each.credential.token
        for each in done.house.github.requests
        if each.path.endswith("/git-receive-pack")
    }
    assert done.house.github.state.tokens[token].permissions == {
        "contents": "write",
        "metadata": "read",
    }
    assert "push" in seen.read_text()
    assert token not in seen.read_text()
    environment = seen.with_name("seen.env").read_text()
    assert "http.extraHeader" not in environment
    assert "GIT_CONFIG_VALUE_0=Authorization: Basic" in environment
    assert "/elsewhere" not in environment
    assert "GIT_SSH_COMMAND" not in environment


async def test_no_hook_runs_while_covend_pushes(done: Committed, tmp_path: Path) -> None:
    hooks = done.mirror / "hooks"
    hooks.mkdir(exist_ok=True)
    for name in ("pre-push", "reference-transaction", "post-index-change"):
        (hooks / name).write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\nexit 1\n")
        (hooks / name).chmod(0o755)
    await done.publish()
    assert not (tmp_path / "ran").exists()


# --- what waits -----------------------------------------------------------------------------------


async def test_a_mirror_is_kept_until_what_it_holds_is_pushed(
    done: Committed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("covend.edges.workspace.keeping.REST_S", 0.0)
    tidied = await done.house.workspaces.tidy(age_s=1.0, budget_bytes=0)
    assert (tidied.mirrors_count, done.waits) == (0, True)
    await done.publish()
    tidied = await done.house.workspaces.tidy(age_s=1.0, budget_bytes=0)
    assert tidied.mirrors_count == 1


async def test_the_draft_waits_in_the_outbox_with_all_that_is_needed(done: Committed) -> None:
    assert done.effect.state is EffectState.PENDING
    assert done.effect.kind is EffectKind.PULL_REQUEST
    redacted = done.house.secrets.values(done.effect.request)
    assert redacted == done.effect.request
