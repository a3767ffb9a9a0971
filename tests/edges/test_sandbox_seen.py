from __future__ import annotations

from pathlib import Path

import pytest

from covend.edges.agents import seen
from covend.edges.agents.seen import INTERPRETERS_MAX, places_of


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home; whoever runs this has another."""
    path = tmp_path / "home" / "ops"
    path.mkdir(parents=True)
    monkeypatch.setenv("HOME", str(path))
    return path


def made(path: Path, text: str = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


def linked(path: Path, target: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(target)
    return path


def test_what_is_of_the_system_needs_nothing() -> None:
    assert places_of("/usr/bin/env", "/usr/bin") == []


def test_a_tool_of_a_node_version_brings_that_version(home: Path) -> None:
    version = home / ".nvm" / "versions" / "node" / "v22"
    made(version / "bin" / "node")
    package = "lib/node_modules/@vendor/tool/cli.js"
    made(version / package, "#!/usr/bin/env node\n")
    tool = linked(version / "bin" / "tool", f"../{package}")
    assert places_of(str(tool), f"{version}/bin:/usr/bin") == [version]


def test_a_binary_behind_a_link_brings_its_directory_and_the_links(home: Path) -> None:
    target = made(home / ".local" / "share" / "tool" / "versions" / "2.1")
    link = linked(home / ".local" / "bin" / "tool", str(target))
    (home / ".local" / "lib").mkdir()
    assert places_of(str(link), "/usr/bin") == [link.parent, target.parent]


def test_a_script_of_a_virtual_environment_brings_it_and_its_python(home: Path) -> None:
    python = made(home / ".pyenv" / "versions" / "3.11" / "bin" / "python3.11")
    (python.parent.parent / "lib").mkdir()
    venv = home / "venv"
    linked(venv / "bin" / "python", str(python))
    made(venv / "pyvenv.cfg")
    tool = made(venv / "bin" / "tool", f"#!{venv}/bin/python\n")
    assert places_of(str(tool), "/usr/bin") == [python.parent.parent, venv]


def test_a_package_of_node_brings_all_that_lie_beside_it(tmp_path: Path) -> None:
    modules = tmp_path / "tools" / "node_modules"
    made(modules / "tool" / "cli.js")
    link = linked(modules / ".bin" / "tool", "../tool/cli.js")
    assert places_of(str(link), "/usr/bin") == [modules]


@pytest.mark.parametrize("folder", [".", "..", "../.."])
def test_a_home_is_never_shown_as_a_whole(home: Path, folder: str) -> None:
    tool = made((home / folder).resolve() / "tool")
    assert places_of(str(tool), "/usr/bin") == [tool]


def test_a_bin_in_a_home_does_not_bring_the_home(home: Path) -> None:
    tool = made(home / "bin" / "tool")
    (home / "lib").mkdir()
    assert places_of(str(tool), "/usr/bin") == [home / "bin"]


def test_a_directory_that_is_a_link_is_found_under_both_its_names(tmp_path: Path) -> None:
    made(tmp_path / "tool-2" / "share" / "main")
    linked(tmp_path / "tool-2" / "bin" / "tool", "../share/main")
    linked(tmp_path / "tool", "tool-2")
    found = places_of(str(tmp_path / "tool" / "bin" / "tool"), "/usr/bin")
    assert set(found) == {tmp_path / name for name in ("tool-2/share", "tool/bin", "tool/share")}


def test_a_link_to_itself_has_an_end(tmp_path: Path) -> None:
    linked(tmp_path / "x" / "loop", "loop")
    assert places_of(str(tmp_path / "x" / "loop"), "/usr/bin") == [tmp_path / "x"]


def test_scripts_that_run_each_other_have_an_end(tmp_path: Path) -> None:
    for number in range(INTERPRETERS_MAX + 3):
        made(tmp_path / str(number) / "run", f"#!{tmp_path}/{number + 1}/run\n")
    assert len(places_of(str(tmp_path / "0" / "run"), "/usr/bin")) == INTERPRETERS_MAX + 1


@pytest.mark.parametrize("line", ["#!\n", "#!/usr/bin/env\n", "#!/usr/bin/env -S A=1\n", "\0\xff"])
def test_an_odd_first_line_names_nothing(tmp_path: Path, line: str) -> None:
    tool = made(tmp_path / "x" / "tool", line)
    assert places_of(str(tool), "/usr/bin") == [tmp_path / "x"]


def test_the_systems_directories_are_what_is_shown_anyway() -> None:
    assert "/usr" in seen.SYSTEM
    assert not {"/etc", "/var", "/run", "/home", "/root"} & set(seen.SYSTEM)
