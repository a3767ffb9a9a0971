"""Checks of what covend keeps: its state directory, the disk, the database, the App's key."""

from __future__ import annotations

import os
import pwd
import shutil
import stat
from pathlib import Path

from covend.core.errors import ConfigError, StoreError
from covend.core.settings import GIB, MIB
from covend.core.units import print_size
from covend.doctor.finding import Case, Finding, failed, good, nearest_existing, warning
from covend.edges.github.auth import load_key
from covend.store.sqlite.soundness import faults_of

FREE_MIN_BYTES = 512 * MIB
FREE_MIN_FILES = 100_000
"""A large checkout or two."""
CHECK_S = 60.0
"""How long the database is read at most: what it holds back meanwhile is only a checkpoint."""
_GIB_FROM = 10
PRIVATE = 0o700
PASSABLE = 0o711
"""Where agents have users of their own."""


def check_state_dir(case: Case) -> Finding:
    path = case.settings.state_dir
    try:
        status = path.stat()
    except FileNotFoundError:
        return _not_made(path)
    except OSError as error:
        return failed("state_dir", f"{path}: {error.strerror}", "run this as covend's user")
    if not stat.S_ISDIR(status.st_mode):
        return failed("state_dir", f"{path} is no directory", "name another state_dir")
    has_users = any(agent.user is not None for agent in case.settings.agents.values())
    wanted = PASSABLE if has_users else PRIVATE
    mode = stat.S_IMODE(status.st_mode)
    if mode & ~wanted:
        what = f"{path} is open to other users (mode {mode:04o})"
        return failed("state_dir", what, f"chmod {wanted:o} {path}")
    return _owned(path, status.st_uid)


def _owned(path: Path, owner: int) -> Finding:
    name, own = _name_of(owner), _name_of(os.geteuid())
    if owner != os.geteuid():
        report = warning if os.geteuid() == 0 else failed
        fix = f"run this as {name}, or: chown -R {own} {path}"
        return report("state_dir", f"{path} belongs to {name}, and this runs as {own}", fix)
    if not os.access(path, os.R_OK | os.W_OK | os.X_OK):
        what = f"{path} cannot be written"
        return failed("state_dir", what, "mount it for writing; systemd: StateDirectory=")
    return good("state_dir", f"{path} belongs to {own} alone")


def _not_made(path: Path) -> Finding:
    above = nearest_existing(path)
    if os.access(above, os.W_OK | os.X_OK):
        return good("state_dir", f"{path} is not there yet; the first start makes it")
    own = _name_of(os.geteuid())
    what = f"{path} is not there, and {own} may not make it in {above}"
    return failed("state_dir", what, f"as root: install -d -m 700 -o {own} {path}")


def check_disk(case: Case) -> Finding:
    """Compare what is free with what covend may come to use."""
    place = nearest_existing(case.settings.state_dir)
    free, budget = shutil.disk_usage(place).free, case.settings.limits.workspaces_bytes
    told = f"{_rounded(free)} are free below {place}"
    if free < FREE_MIN_BYTES:
        return failed("disk", told, f"free some: deliveries need {print_size(FREE_MIN_BYTES)}")
    if free < budget:
        what = f"{told}, and limits.workspaces lets {print_size(budget)} be used"
        return warning("disk", what, "free some, or set limits.workspaces lower")
    files = os.statvfs(place)
    if files.f_files and files.f_favail < FREE_MIN_FILES:
        what = f"only {files.f_favail} more files can be made below {place}"
        return warning("disk", what, "remove files there: one large checkout makes many")
    return good("disk", told)


def _rounded(count: int) -> str:
    unit = GIB if count >= _GIB_FROM * GIB else MIB
    return print_size(count // unit * unit)


def check_database(case: Case) -> Finding | None:
    """Read the database as it lies there, also beside a daemon that runs."""
    scheme, _, name = case.settings.store.url.partition(":")
    path = case.settings.state_dir / name
    if scheme != "sqlite" or not os.path.lexists(path):
        return None
    try:
        faults = faults_of(path, CHECK_S)
    except StoreError as error:
        return failed("database", f"{path}: {error}", "run this as covend's user")
    if faults is None:
        what = f"{path} could not be read through within {CHECK_S:g} s"
        return warning("database", what, "run this again while less is going on")
    if faults:
        fix = "stop covend, keep a copy of the file, and restore a backup"
        return failed("database", f"{path} is damaged: {'; '.join(faults)}", fix)
    return good("database", f"{path} is sound")


def check_github_key(case: Case) -> Finding | None:
    """Load the App's key as the daemon does."""
    pem = case.settings.github.private_key
    if pem is None:
        return None
    try:
        key = load_key(pem)
    except ConfigError as error:
        fix = "make a new private key in the App's settings on GitHub, and put it there"
        return failed("github_key", str(error), fix)
    return good("github_key", f"an RSA key of {key.key_size} bits")


def _name_of(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
