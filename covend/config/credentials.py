"""Reads secrets from where the configuration says they are, and says why one cannot be read; it
never shows one.

A secret is a file (relative to the configuration's directory), a variable of the environment, or a
systemd credential (https://systemd.io/CREDENTIALS/), which lies as a file in
`$CREDENTIALS_DIRECTORY`.
"""

from __future__ import annotations

import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from covend.config.locate import KeyPath
from covend.config.outward import caution_about_secret, complaint_about_secret
from covend.config.pem import complaint_about_private_key
from covend.config.problems import Finding, without_opaque
from covend.config.tables import named_tables, table, tables_in
from covend.config.tokens import caution_about_token
from covend.core.secret import Secret

SECRET_BYTES_MAX = 64 * 1024
_KEY = ("github", "private_key")
_OTHERS = stat.S_IRWXG | stat.S_IRWXO


class CredentialError(Exception):
    """Why a secret cannot be read; the message completes "the key …"."""


@dataclass(slots=True, kw_only=True)
class Credentials:
    """The secrets by the key that asked for them, and what was found out on the way."""

    secrets: dict[KeyPath, Secret] = field(default_factory=dict)
    errors: list[Finding] = field(default_factory=list)
    cautions: list[Finding] = field(default_factory=list)


def read_all(tables: Mapping[str, Any], directory: Path, environ: Mapping[str, str]) -> Credentials:
    """Read every secret that the tables name; relative files are relative to `directory`."""
    credentials = Credentials()
    for path, source in _sources(tables):
        _read_one(credentials, path, source, directory, environ)
    return credentials


def variables_named(tables: Mapping[str, Any]) -> frozenset[str]:
    """Give the variables of the environment that hold covend's own secrets."""
    sources = (source for _, source in _sources(tables))
    return frozenset(source["env"] for source in sources if "env" in source)


def _read_one(
    credentials: Credentials,
    path: KeyPath,
    source: Mapping[str, str],
    directory: Path,
    environ: Mapping[str, str],
) -> None:
    ((kind, name),) = source.items()
    try:
        file = _file_of(kind, name, directory, environ)
        text = _read_variable(name, environ) if file is None else _read_file(file)
    except CredentialError as error:
        is_to_come = path == _KEY and isinstance(error.__cause__, FileNotFoundError)
        mend = "; `covend app create` has GitHub make it" if is_to_come else ""
        credentials.errors.append(Finding(path=path, message=f"{error}{mend}"))
        return
    credentials.secrets[path] = Secret(text)
    if file is not None and kind == "file" and file.stat().st_mode & _OTHERS:
        message = f"is read from {file}, which others than its owner can open: chmod 600 it"
        credentials.cautions.append(Finding(path=path, message=message))
    if complaint := complaint_about_secret(path, text):
        credentials.errors.append(Finding(path=path, message=complaint))
    elif caution := caution_about_secret(path, text) or caution_about_token(path, text):
        credentials.cautions.append(Finding(path=path, message=caution))
    if path == _KEY and (complaint := complaint_about_private_key(text)):
        credentials.errors.append(Finding(path=path, message=complaint))


def _sources(tables: Mapping[str, Any]) -> Iterator[tuple[KeyPath, Mapping[str, str]]]:
    """Give each well-formed secret of the tables; what is ill-formed is the schema's to refuse."""
    for path, value in _candidates(tables):
        if isinstance(value, dict) and len(value) == 1:
            kind, name = next(iter(value.items()))
            if kind in {"file", "env", "credential"} and isinstance(name, str) and name:
                yield path, value


def _candidates(tables: Mapping[str, Any]) -> Iterator[tuple[KeyPath, Any]]:
    for section, key in (("github", "private_key"), ("github", "token"), ("admin", "token")):
        yield (section, key), table(tables.get(section)).get(key)
    for name, value in named_tables(table(tables.get("admin")).get("readers")):
        yield ("admin", "readers", name), value
    for index, value in tables_in(table(tables.get("github")).get("webhook_secrets")):
        yield ("github", "webhook_secrets", index), value
    for section in ("callbacks", "sources"):
        for name, entry in named_tables(tables.get(section)):
            for index, value in tables_in(entry.get("secrets")):
                yield (section, name, "secrets", index), value


def _file_of(kind: str, name: str, directory: Path, environ: Mapping[str, str]) -> Path | None:
    if kind == "file":
        return directory / name
    if kind == "env":
        return None
    if "/" in name or name in {".", ".."}:
        raise CredentialError("must be a credential's name, without a directory")
    if not environ.get("CREDENTIALS_DIRECTORY"):
        raise CredentialError(
            "needs $CREDENTIALS_DIRECTORY, which systemd sets for LoadCredential="
        )
    return Path(environ["CREDENTIALS_DIRECTORY"]) / name


def _read_variable(name: str, environ: Mapping[str, str]) -> str:
    if name not in environ:
        # Who mistakes the variable's name for its value must not find it in a log.
        raise CredentialError(f"needs ${without_opaque(name)}, which is not set")
    return _not_empty(environ[name], f"${name}")


def _read_file(file: Path) -> str:
    try:
        # A pipe would be waited for, a device never ends.
        if not stat.S_ISREG(file.stat().st_mode):
            raise CredentialError(f"cannot be read from {file}: it is no ordinary file")
        with file.open("rb") as opened:
            data = opened.read(SECRET_BYTES_MAX + 1)
    except OSError as error:
        raise CredentialError(f"cannot be read from {file}: {_reason(error)}") from error
    if len(data) > SECRET_BYTES_MAX:
        raise CredentialError(f"cannot be read from {file}: it is larger than 64KiB")
    return _not_empty(_decoded(data, file), str(file))


def _decoded(data: bytes, file: Path) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise CredentialError(f"cannot be read from {file}: it is no UTF-8 text") from error


def _not_empty(text: str, where: str) -> str:
    # Editors end a file with a line break, which is never meant; other white space may be.
    text = text.rstrip("\r\n")
    if not text.strip():
        raise CredentialError(f"is read from {where}, which is empty")
    return text


def _reason(error: OSError) -> str:
    return (error.strerror or str(error)).lower()
