"""Who covend is: asked at each start, remembered for the starts at which nobody answers."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from covend.core.errors import OutsideError
from covend.core.secret import Secret
from covend.core.settings import GitHub, Settings
from covend.demo.github import FOREVER, Fault
from covend.services.identity import kept_secret, learn_own_login
from tests.services.house import House

OWN = "covend-demo[bot]"


@pytest.fixture
async def settings(house: House) -> Settings:
    return Settings(
        state_dir=house.folder,
        github=GitHub(
            app_id=house.github.state.app.id,
            private_key=Secret(house.github.key.private),
            api_url=house.github.api_url,
        ),
    )


def take_github_down(house: House) -> None:
    house.github.faults.add("*", "*", Fault.ERROR_500, FOREVER)


async def test_covend_is_its_apps_bot(house: House, settings: Settings) -> None:
    assert await learn_own_login(settings, house.client) == OWN


async def test_without_github_the_first_start_fails_and_says_so(
    house: House, settings: Settings
) -> None:
    take_github_down(house)
    with pytest.raises(OutsideError, match="which account covend is"):
        await learn_own_login(settings, house.client)


async def test_without_github_a_later_start_remembers(house: House, settings: Settings) -> None:
    await learn_own_login(settings, house.client)
    take_github_down(house)
    assert await learn_own_login(settings, house.new_client()) == OWN


async def test_another_apps_name_is_not_remembered_as_ours(
    house: House, settings: Settings
) -> None:
    await learn_own_login(settings, house.client)
    take_github_down(house)
    other = replace(settings, github=replace(settings.github, app_id=1))
    with pytest.raises(OutsideError):
        await learn_own_login(other, house.new_client())


async def test_a_memory_that_cannot_be_read_is_none(house: House, settings: Settings) -> None:
    (house.folder / "identity.json").write_text("[]")
    take_github_down(house)
    with pytest.raises(OutsideError):
        await learn_own_login(settings, house.client)


def test_a_kept_secret_is_made_once_and_private(tmp_path: Path) -> None:
    path = tmp_path / "made.secret"
    made = kept_secret(path)
    assert kept_secret(path) == made
    assert len(made) >= 32
    assert path.stat().st_mode & 0o777 == 0o600
    assert [each.name for each in tmp_path.iterdir()] == ["made.secret"]


@pytest.mark.parametrize("left", ["", "\n", "\0" * 44])
def test_what_a_crash_of_the_machine_left_empty_is_no_secret(tmp_path: Path, left: str) -> None:
    path = tmp_path / "made.secret"
    path.write_text(left)
    made = kept_secret(path)
    assert len(made) >= 32
    assert kept_secret(path) == made
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_secret_that_never_reached_the_disk_is_not_in_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "made.secret"

    def fail(_: int) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fail)
        with pytest.raises(OSError, match="Input/output"):
            kept_secret(path)
    assert not path.exists()
    assert len(kept_secret(path)) >= 32
