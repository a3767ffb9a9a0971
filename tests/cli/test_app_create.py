"""The App is made by a browser that goes to GitHub and comes back, over real HTTP."""

from __future__ import annotations

import json
import re
import signal
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import aiohttp

from covend.demo.github import StandInGitHub
from covend.demo.github.registering import WEBHOOK_SECRET
from tests.cli.app_maker import (
    APP,
    OWN_SECRET,
    URL,
    fetch,
    form_of,
    make,
    run,
    running,
    settings_are_good,
    submit,
)


async def test_the_app_is_made_with_just_what_the_rules_need(
    folder: Path, github: StandInGitHub
) -> None:
    code, said = await make(folder, "--name", "our covend")
    assert code == 0, said
    settings_are_good(folder)
    text = (folder / "covend.toml").read_text()
    assert "[github]  # the forge\napp_id = 777001\nprivate_key" in text
    assert f'[server]\npublic_url = "{URL}"\nlisten' in text
    assert (folder / "app.pem").stat().st_mode & 0o777 == 0o600
    assert (folder / "app.pem").read_text() == github.key.private
    assert github.state.app_permissions == {
        "checks": "write",
        "contents": "read",
        "issues": "write",
        "metadata": "read",
        "pull_requests": "write",
    }
    assert set(github.state.app_events) == {
        "issue_comment",
        "pull_request",
        "pull_request_review",
        "pull_request_review_comment",
    }
    assert github.state.app_hook.url == f"{URL}/webhooks/github"
    assert github.state.app_hook.secret == OWN_SECRET
    assert f"/apps/{APP.slug}/installations/new" in said
    assert "installed on acme: it has all" in said


async def test_no_secret_is_shown(folder: Path, github: StandInGitHub) -> None:
    _, said = await make(folder)
    for secret in (WEBHOOK_SECRET, OWN_SECRET, "demo-client-secret"):
        assert secret not in said
    assert github.key.private.splitlines()[1] not in said


async def test_the_manifest_is_for_its_owner_alone(folder: Path) -> None:
    async with running(folder, "app", "create", "--url", URL, "--organization", "acme") as made:
        address = (await made.hears(r"http://127\.0\.0\.1:\d+/\S+"))[0]
        action, manifest = form_of((await fetch(address))[1])
        assert urlsplit(action).path == "/organizations/acme/settings/apps/new"
        told = json.loads(manifest)
        assert told["public"] is False
        assert told["hook_attributes"] == {"url": f"{URL}/webhooks/github", "active": True}
        assert told["redirect_url"].startswith("http://127.0.0.1:")


async def test_a_wrong_state_is_refused_and_the_right_one_goes_on(
    folder: Path, github: StandInGitHub
) -> None:
    async with running(folder, "app", "create", "--url", URL) as made:
        address = (await made.hears(r"http://127\.0\.0\.1:\d+/\S+"))[0]
        back = await submit((await fetch(address))[1])
        asked = parse_qs(urlsplit(back).query)
        root = back.partition("?")[0]
        for wrong in ("", "x" * len(asked["state"][0]), "%C3%A9"):
            assert (await fetch(f"{root}?code=evil&state={wrong}"))[0] == 400
        assert (await fetch(f"{root}?state={asked['state'][0]}"))[0] == 400
        assert (await fetch(address.rpartition("/")[0] + "/"))[0] == 404
        assert (await fetch(back))[0] == 200
        assert await made.ends() == 0, made.said
    assert [each.path for each in github.requests if "evil" in each.path] == []
    settings_are_good(folder)


async def test_a_name_that_somebody_gave_to_loopback_is_refused(folder: Path) -> None:
    async with running(folder, "app", "create", "--url", URL) as made:
        address = (await made.hears(r"http://127\.0\.0\.1:\d+/\S+"))[0]
        headers = {"Host": "rebound.example.org"}
        async with aiohttp.ClientSession() as browser, browser.get(address, headers=headers) as got:
            assert got.status == 421


async def test_nothing_is_overwritten_and_github_is_not_even_asked(
    folder: Path, github: StandInGitHub
) -> None:
    (folder / "app.pem").write_text("mine")
    code, said = await run(folder, "app", "create", "--url", URL)
    assert (code, "app.pem is there already" in said) == (1, True)
    assert (folder / "app.pem").read_text() == "mine"
    assert github.requests == []


async def test_a_number_of_somebodys_stays_and_the_line_is_printed(folder: Path) -> None:
    config = folder / "covend.toml"
    config.write_text(re.sub(r"app_id = .*", "app_id = 99", config.read_text()))
    code, said = await make(folder)
    assert code == 0, said
    assert "app_id = 99" in config.read_text()
    assert f"[github] app_id = {APP.id}" in said


async def test_a_configuration_without_an_app_gets_its_number_and_is_told_the_rest(
    folder: Path,
) -> None:
    config = folder / "covend.toml"
    config.write_text(re.sub(r"app_id = .*\n|private_key = .*\n", "", config.read_text()))
    code, said = await make(folder)
    assert code == 0, said
    assert f"[github]  # the forge\napp_id = {APP.id}\n" in config.read_text()
    assert '[github] private_key = { file = "app.pem" }' in said


async def test_a_mistake_elsewhere_is_told_first(folder: Path, github: StandInGitHub) -> None:
    config = folder / "covend.toml"
    config.write_text(config.read_text().replace('agent = "a"', 'agent = "b"'))
    code, said = await run(folder, "app", "create", "--url", URL)
    assert (code, "rules[0].agent" in said) == (78, True), said
    assert github.requests == []


async def test_without_a_secret_at_hand_githubs_own_is_kept(folder: Path) -> None:
    (folder / "webhook.secret").unlink()
    code, said = await make(folder)
    assert code == 0, said
    kept = folder / "webhook.secret"
    assert kept.read_text().strip() == WEBHOOK_SECRET
    assert kept.stat().st_mode & 0o777 == 0o600


async def test_a_browser_elsewhere_brings_the_code_by_hand(folder: Path) -> None:
    code, said = await run(folder, "app", "create", "--url", URL, "--no-browser")
    assert code == 0, said
    assert f"\n  covend app create --url {URL} --code CODE\n" in said
    page = folder / "covend-app.html"
    assert page.stat().st_mode & 0o777 == 0o600
    back = await submit(page.read_text())
    given = parse_qs(urlsplit(back).query)["code"][0]
    assert not (folder / "app.pem").exists()
    async with running(folder, "app", "create", "--url", URL, "--code", "-") as made:
        assert await made.ends(f"{given}\n") == 0, made.said
    assert f"{page} is of no more use" in made.said
    settings_are_good(folder)


async def test_a_code_that_github_does_not_take_leaves_nothing(folder: Path) -> None:
    code, said = await run(folder, "app", "create", "--url", URL, "--code", "used")
    assert (code, "GitHub does not take the code: 404" in said) == (1, True), said
    assert not (folder / "app.pem").exists()
    assert "CHANGE ME" in (folder / "covend.toml").read_text()


async def test_the_json_is_whole_and_the_story_goes_to_standard_error(folder: Path) -> None:
    async with running(folder, "app", "create", "--url", URL, "--json") as made:
        address = (await made.hears(r"http://127\.0\.0\.1:\d+/\S+"))[0]
        await fetch(await submit((await fetch(address))[1]))
        assert await made.ends() == 0
        told = json.loads(made.said[made.said.index("\n{\n") :])
    assert told["app_id"] == APP.id
    assert told["installations"] == [{"id": 1, "account": "acme", "lacking": []}]
    assert told["delivery"]["ok"] is False
    assert "covend" in told["delivery"]["what"]


async def test_to_stop_waiting_for_the_installation_does_no_harm(
    folder: Path, github: StandInGitHub
) -> None:
    github.state.is_installed = False
    async with running(folder, "app", "create", "--url", URL) as made:
        address = (await made.hears(r"http://127\.0\.0\.1:\d+/\S+"))[0]
        await fetch(await submit((await fetch(address))[1]))
        await made.hears("Ctrl-C does no harm")
        await github.wait_for(
            lambda: [each for each in github.requests if each.path == "/app/installations"]
        )
        made.process.send_signal(signal.SIGINT)
        assert await made.ends() == 0, made.said
    assert "not waited for; then: covend app test" in made.said
    settings_are_good(folder)
    code, said = await run(folder, "app", "test")
    assert (code, "installed nowhere yet" in said) == (1, True), said
