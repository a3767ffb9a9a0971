"""What a stranger's repository or an agent plants runs nothing in the daemon's name. Each trap is
first seen working: in a git without the guard.
"""

from __future__ import annotations

import os
import subprocess
from contextlib import suppress
from pathlib import Path

import pytest

from covend.core.errors import GitError
from covend.core.settings import Checkout as Kind
from covend.edges.workspace import git as edge_git
from covend.edges.workspace.checkout import Checkout
from covend.edges.workspace.directory import Directory
from covend.edges.workspace.git import git
from covend.edges.workspace.harvest import take_commits
from tests.edges.forge import ODD, Forge, attempt, commit, make_forge, run_git

Attempt = tuple[Checkout, Directory]


@pytest.fixture
def forge(tmp_path: Path) -> Forge:
    return make_forge(tmp_path)


@pytest.fixture
async def at_work(forge: Forge, tmp_path: Path) -> Attempt:
    return await attempt(tmp_path, forge.spec(Kind.HEAD))


@pytest.fixture
def owned(tmp_path: Path) -> Path:
    """What every trap writes."""
    return tmp_path / "owned"


@pytest.fixture
def script(tmp_path: Path, owned: Path) -> Path:
    path = tmp_path / "trap"
    path.write_text(f"#!/bin/sh\ntouch {owned}\n")
    path.chmod(0o755)
    return path


def spring(folder: Path, *arguments: str) -> None:
    """Run git there as anybody would; whether it succeeds does not matter."""
    who = {"GIT_AUTHOR_NAME": "t", "GIT_AUTHOR_EMAIL": "t@t"}
    who |= {name.replace("AUTHOR", "COMMITTER"): value for name, value in who.items()}
    subprocess.run(
        ["git", "-C", str(folder), *arguments],
        check=False,
        capture_output=True,
        timeout=30,
        stdin=subprocess.DEVNULL,
        env={"PATH": os.environ["PATH"], "HOME": "/nonexistent", **who},
    )


def is_sprung(owned: Path) -> bool:
    """Say whether the trap has worked, and set it again."""
    found = owned.exists()
    owned.unlink(missing_ok=True)
    return found


def walk(folder: Path) -> list[Path]:
    return list(folder.rglob("*"))


# --- in a workspace that an agent had in its hands ------------------------------------------------

CONFIG = {
    "fsmonitor": ("core.fsmonitor", "{script}", ["status"]),
    "hooks": ("core.hooksPath", "{hooks}", ["commit", "--allow-empty", "-m", "x"]),
    "clean filter": ("filter.trap.clean", "{script}", ["add", "--renormalize", "."]),
    "smudge filter": ("filter.trap.smudge", "{script}", ["checkout", "-f", "HEAD~", "--", "."]),
    "process filter": ("filter.trap.process", "{script}", ["add", "--renormalize", "."]),
    "textconv": ("diff.trap.textconv", "{script}", ["show", "--textconv", "HEAD"]),
    "external diff": ("diff.external", "{script}", ["diff", "HEAD~"]),
    "alias": ("alias.x", "!{script}", ["x"]),
    "ssh": ("core.sshCommand", "{script}", ["fetch", "ssh://forge.invalid/x"]),
    "alternate refs": ("core.alternateRefsCommand", "{script}", ["fetch", "origin", "main"]),
    "remote helper": ("remote.origin.uploadpack", "{script}", ["fetch", "origin"]),
    "signature": ("gpg.program", "{script}", ["commit", "--allow-empty", "-S", "-m", "x"]),
    "merge driver": ("merge.trap.driver", "{script}", ["merge", "-m", "x", "origin/clash"]),
}


def plant(workspace: Path, script: Path, key: str, value: str) -> None:
    hooks = script.parent / "hooks"
    hooks.mkdir()
    for name in ("pre-commit", "reference-transaction", "post-checkout", "pre-auto-gc"):
        (hooks / name).symlink_to(script)
    planted = value.format(script=script, hooks=hooks)
    run_git(workspace, "config", key, planted)


def committed(workspace: Path) -> None:
    """Have commits, attributes that name the filter, and a branch that clashes."""
    (workspace / ".gitattributes").write_text("*.txt filter=trap diff=trap merge=trap\n")
    run_git(workspace, "add", ".gitattributes")
    start = commit(workspace, "new.txt", "one\n")
    run_git(workspace, "checkout", "--quiet", "-b", "clash")
    commit(workspace, "new.txt", "two\n")
    run_git(workspace, "update-ref", "refs/remotes/origin/clash", "HEAD")
    run_git(workspace, "checkout", "--quiet", "--detach", start)
    commit(workspace, "new.txt", "three\n")


@pytest.mark.parametrize("trap", CONFIG)
async def test_a_planted_setting_runs_nothing(
    at_work: Attempt, script: Path, owned: Path, trap: str
) -> None:
    made, directory = at_work
    key, value, arguments = CONFIG[trap]
    committed(directory.workspace)
    plant(directory.workspace, script, key, value)
    spring(directory.workspace, *arguments)
    assert is_sprung(owned), "the trap itself does not work"

    assert await take_commits(directory, made, "x") is not None
    assert not is_sprung(owned)


async def test_a_planted_hook_runs_nothing(at_work: Attempt, script: Path, owned: Path) -> None:
    made, directory = at_work
    commit(directory.workspace, "new.txt", "x")
    hooks = directory.workspace / ".git" / "hooks"
    hooks.mkdir()
    (hooks / "post-index-change").symlink_to(script)
    (hooks / "reference-transaction").symlink_to(script)
    spring(directory.workspace, "update-ref", "refs/heads/x", "HEAD")
    assert is_sprung(owned)
    assert await take_commits(directory, made, "x") is not None
    assert not is_sprung(owned)


async def test_a_hook_of_upload_pack_runs_nothing(
    at_work: Attempt, script: Path, owned: Path
) -> None:
    """Git itself reads this one from no repository; said by the caller's own config it works."""
    made, directory = at_work
    commit(directory.workspace, "new.txt", "x")
    config = directory.root.parent.parent / "global"
    config.write_text(f'[uploadpack]\n\tpackObjectsHook = "{script}"\n')
    argv = ["git", "clone", "--quiet", f"file://{directory.workspace}", str(script.parent / "c")]
    env = {"PATH": os.environ["PATH"], "GIT_CONFIG_GLOBAL": str(config)}
    subprocess.run(argv, check=False, capture_output=True, env=env)  # noqa: ASYNC221
    assert is_sprung(owned)
    run_git(directory.workspace, "config", "uploadpack.packObjectsHook", str(script))
    assert await take_commits(directory, made, "x") is not None
    assert not is_sprung(owned)


async def test_a_config_that_includes_another_is_not_read(
    at_work: Attempt, script: Path, owned: Path
) -> None:
    made, directory = at_work
    commit(directory.workspace, "new.txt", "x")
    (directory.workspace / "more").write_text(f'[core]\n\tfsmonitor = "{script}"\n')
    run_git(directory.workspace, "config", "include.path", str(directory.workspace / "more"))
    spring(directory.workspace, "status")
    assert is_sprung(owned)
    assert await take_commits(directory, made, "x") is not None
    assert not is_sprung(owned)


# --- in what is fetched ---------------------------------------------------------------------------


def tree(folder: Path, *entries: tuple[str, str, str]) -> str:
    """Make a tree that `git add` would not."""
    raw = b"".join(f"{mode} {name}\0".encode() + bytes.fromhex(sha) for mode, name, sha in entries)
    (folder / "raw").write_bytes(raw)
    made = run_git(folder, "hash-object", "-t", "tree", "-w", "--literally", "--", "raw")
    (folder / "raw").unlink()
    return made


def blob(folder: Path, text: str) -> str:
    (folder / "raw").write_text(text)
    made = run_git(folder, "hash-object", "-w", "--", "raw")
    (folder / "raw").unlink()
    return made


def push(forge: Forge, folder: Path, made: str) -> str:
    sha = run_git(folder, "commit-tree", "-p", forge.start, "-m", "x", made)
    run_git(folder, "push", "--quiet", str(forge.path), f"+{sha}:refs/pull/7/head")
    return sha


async def test_a_filter_in_the_attributes_runs_nothing(
    forge: Forge, tmp_path: Path, script: Path, owned: Path
) -> None:
    work = tmp_path / "work"
    attributes = blob(work, "* filter=trap diff=trap merge=trap\n")
    file = blob(work, "as it is\n")
    made = tree(work, ("100644", ".gitattributes", attributes), ("100644", "f.txt", file))
    sha = push(forge, work, made)
    spring(work, "-c", f"filter.trap.smudge={script}", "checkout", "--detach", sha)
    assert is_sprung(owned)
    _, directory = await attempt(tmp_path, forge.spec(Kind.HEAD, head_sha=sha))
    assert (directory.workspace / "f.txt").exists()
    assert not is_sprung(owned)


async def test_a_filter_of_the_machine_runs_nothing(
    forge: Forge, tmp_path: Path, script: Path, owned: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A machine with LFS has its filter in everybody's config: it would fetch by itself."""
    work, home = tmp_path / "work", tmp_path / "home"
    home.mkdir()
    (home / ".gitconfig").write_text(f'[filter "lfs"]\n\tsmudge = "{script}"\n')
    monkeypatch.setenv("HOME", str(home))
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"
    attributes = blob(work, "*.bin filter=lfs\n")
    made = tree(
        work, ("100644", ".gitattributes", attributes), ("100644", "f.bin", blob(work, pointer))
    )
    sha = push(forge, work, made)
    run_git(work, "checkout", "--quiet", "--detach", sha)
    assert is_sprung(owned)
    _, directory = await attempt(tmp_path, forge.spec(Kind.HEAD, head_sha=sha))
    assert (directory.workspace / "f.bin").read_text() == pointer
    assert not is_sprung(owned)


async def test_submodules_are_left_alone(forge: Forge, tmp_path: Path) -> None:
    work = tmp_path / "work"
    modules = f'[submodule "x"]\n\tpath = x\n\turl = file://{forge.path}\n'
    made = tree(work, ("100644", ".gitmodules", blob(work, modules)), ("160000", "x", forge.start))
    sha = push(forge, work, made)
    run_git(work, "checkout", "--quiet", "--detach", sha)
    spring(work, "-c", "protocol.file.allow=always", "submodule", "update", "--init")
    assert (work / "x" / "a.txt").exists()
    _, directory = await attempt(tmp_path, forge.spec(Kind.HEAD, head_sha=sha))
    assert list((directory.workspace / "x").iterdir()) == []


@pytest.mark.parametrize("name", [".git", ".GIT", "git~1", ".g\u200cit", "..", "."])
@pytest.mark.parametrize("mode", ["120000", "40000", "100644"])
async def test_a_name_that_would_be_the_repositorys_own_is_not_checked_out(
    forge: Forge, tmp_path: Path, name: str, mode: str
) -> None:
    work = tmp_path / "work"
    inner = blob(work, str(tmp_path))
    if mode == "40000":
        inner = tree(work, ("100644", "config", blob(work, "[core]\n\tfsmonitor = x\n")))
    sha = push(forge, work, tree(work, (mode, name, inner)))
    with pytest.raises(GitError, match=r"[Ii]nvalid path|would be overwritten"):
        await attempt(tmp_path, forge.spec(Kind.HEAD, head_sha=sha))
    config = tmp_path / "workspaces" / "01task-1" / "workspace" / ".git" / "config"
    assert "fsmonitor" not in config.read_text()


@pytest.mark.parametrize("first", ["link", "LINK"])
async def test_nothing_is_written_through_a_link_in_the_tree(
    forge: Forge, tmp_path: Path, first: str
) -> None:
    work, outside = tmp_path / "work", tmp_path / "outside"
    outside.mkdir()
    inner = tree(work, ("100644", "file", blob(work, "x")))
    link = blob(work, str(outside))
    entries = sorted([("120000", first, link), ("40000", "link", inner)], key=lambda each: each[1])
    sha = push(forge, work, tree(work, *entries))
    try:
        await attempt(tmp_path, forge.spec(Kind.HEAD, head_sha=sha))
    except GitError:
        assert first == "link"  # a tree with one name twice
    assert list(outside.iterdir()) == []


async def test_a_link_in_the_tree_stays_a_link(forge: Forge, tmp_path: Path) -> None:
    work = tmp_path / "work"
    made = tree(work, ("120000", "away", blob(work, "/etc/passwd")))
    sha = push(forge, work, made)
    _, directory = await attempt(tmp_path, forge.spec(Kind.HEAD, head_sha=sha))
    assert (directory.workspace / "away").readlink() == Path("/etc/passwd")


@pytest.mark.parametrize(
    "name", [ODD, "-x", "--upload-pack=touch${IFS}owned", "$(id)", "`id`", "a;b"]
)
async def test_a_branchs_name_is_only_ever_a_name(
    forge: Forge, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    run_git(forge.path, "update-ref", f"refs/heads/{name}", forge.base)
    made, directory = await attempt(tmp_path, forge.spec(Kind.HEAD, base_sha=None, base_ref=name))
    assert made.base_sha == forge.base
    assert run_git(directory.workspace, "rev-parse", f"refs/remotes/origin/{name}") == forge.base
    assert not any(path.name.startswith("owned") for path in walk(tmp_path))


# --- the guards themselves ------------------------------------------------------------------------


def without(patch: pytest.MonkeyPatch, switch: str) -> None:
    kept = tuple(each for each in edge_git._SWITCHES if not each.startswith(switch))  # noqa: SLF001
    assert kept != edge_git._SWITCHES  # noqa: SLF001
    patch.setattr(edge_git, "_SWITCHES", kept)


@pytest.mark.parametrize(
    ("switch", "trap"), [("core.fsmonitor", "fsmonitor"), ("core.hooksPath", "hooks")]
)
async def test_each_switch_is_what_keeps_its_trap_from_working(
    at_work: Attempt,
    script: Path,
    owned: Path,
    monkeypatch: pytest.MonkeyPatch,
    switch: str,
    trap: str,
) -> None:
    workspace = at_work[1].workspace
    key, value, arguments = CONFIG[trap]
    plant(workspace, script, key, value)
    await git(*arguments, cwd=workspace, timeout_s=30)
    assert not is_sprung(owned)
    without(monkeypatch, switch)
    with suppress(GitError):
        await git(*arguments, cwd=workspace, timeout_s=30)
    assert is_sprung(owned)
