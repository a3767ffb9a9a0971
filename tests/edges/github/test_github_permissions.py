from __future__ import annotations

import pytest

from covend.demo.github import Fault
from covend.demo.records import Account
from covend.edges.github.client import GitHubClient
from covend.edges.github.errors import BadAnswer, NotFound, Unreachable
from covend.edges.github.permissions import permission_of
from tests.edges.github.github_world import INSTALLATION, REPOSITORY, World
from tests.edges.github.scripted import Reply, ScriptedGitHub


@pytest.mark.parametrize("role", ["admin", "maintain", "write", "triage", "read"])
async def test_the_live_role_counts(role: str, world: World, client: GitHubClient) -> None:
    world.github.add_account(Account(login="pat", id=77))
    world.till.roles["pat"] = role
    assert await permission_of(client, INSTALLATION, REPOSITORY, "pat") == role
    (request,) = [each for each in world.github.requests if each.path.endswith("/permission")]
    assert request.credential.permissions == {"metadata": "read"}


async def test_one_whom_nobody_knows_is_not_found(world: World, client: GitHubClient) -> None:
    with pytest.raises(NotFound):
        await permission_of(client, INSTALLATION, REPOSITORY, "nobody-at-all")
    assert world.github.requests[-1].path.endswith("/collaborators/nobody-at-all/permission")


async def test_no_answer_is_an_error_and_no_permission(world: World, client: GitHubClient) -> None:
    world.github.faults.add("GET", "*/permission", Fault.ERROR_500)
    with pytest.raises(Unreachable):
        await permission_of(client, INSTALLATION, REPOSITORY, "jonas-berg")


@pytest.mark.parametrize(
    ("permission", "role", "expected"),
    [
        ("write", "maintain", "maintain"),
        ("write", "deployer", "write"),
        ("read", "maintain", "read"),
        ("read", "admin", "read"),
        ("admin", "admin", "admin"),
        ("none", "none", "none"),
        ("read", None, "read"),
    ],
)
async def test_a_role_only_makes_the_permission_finer_never_larger(
    permission: str, role: str | None, expected: str, scripted: ScriptedGitHub
) -> None:
    scripted.reply(Reply(data={"permission": permission, "role_name": role}))
    assert await permission_of(scripted.client, None, REPOSITORY, "pat") == expected


@pytest.mark.parametrize("data", [{}, {"permission": "owner"}, {"permission": None}, [], None])
async def test_an_answer_that_says_nothing_is_an_error(
    data: object, scripted: ScriptedGitHub
) -> None:
    scripted.reply(Reply(data=data))
    with pytest.raises(BadAnswer):
        await permission_of(scripted.client, None, REPOSITORY, "pat")


async def test_a_login_cannot_lead_to_another_path(scripted: ScriptedGitHub) -> None:
    scripted.reply(Reply(data={"permission": "none"}))
    await permission_of(scripted.client, None, REPOSITORY, "../../x?y#z")
    assert scripted.seen[0].raw_path == (
        "/repos/acme/till/collaborators/..%2F..%2Fx%3Fy%23z/permission"
    )
