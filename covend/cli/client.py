"""The admin API, from outside: finds its address and token, asks, and says why there is no answer.

It reads three keys of the configuration by itself, with the defaults and overrides of `config`: to
check the whole file costs more than everything else that a command does. It cannot change anything.
"""

from __future__ import annotations

import http.client
import os
import socket
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode

import orjson

from covend.cli.exits import (
    CONFIG,
    NOT_FOUND,
    NOT_PERMITTED,
    TRY_LATER,
    UNREACHABLE,
    USAGE,
    Failure,
)
from covend.cli.render import safe
from covend.config.find import find_config
from covend.config.problems import ConfigErrors

STATE_DIR = "/var/lib/covend"
LISTEN = "127.0.0.1:8788"
TOKEN_VARIABLE = "COVEND_ADMIN_TOKEN"  # noqa: S105 - a name
ANSWER_S = 15.0
_ANYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - where to ask who listens there
_FAILED = 1
_EXITS = {
    400: USAGE,
    403: NOT_PERMITTED,
    421: NOT_PERMITTED,
    503: TRY_LATER,
}


class Target(NamedTuple):
    """Where the daemon is to be asked, and as whom."""

    address: str
    """`host:port`, or `unix:PATH`."""
    token: str
    token_from: str
    serve: str
    """The command that would start it."""


class NothingThereError(Failure):
    """The daemon knows no such thing."""


def find_target(config: Path | None, environ: Mapping[str, str]) -> Target:
    """Read address and token; Failure where the configuration or the token cannot be read."""
    path, tables = _read(config, environ)
    admin = tables.get("admin", {})
    written = admin.get("listen", LISTEN) if isinstance(admin, dict) else None
    address = environ.get("COVEND_ADMIN__LISTEN") or written
    state_dir = environ.get("COVEND_STATE_DIR") or tables.get("state_dir", STATE_DIR)
    if not (isinstance(address, str) and isinstance(state_dir, str)):
        message = f"{path} has an admin.listen or a state_dir that is no text  (covend check)"
        raise Failure(CONFIG, message)
    token, token_from = _token(path.absolute().parent, state_dir, admin, environ)
    return Target(
        address=address,
        token=token,
        token_from=token_from,
        serve=f"covend serve --config {config}" if config else "covend serve",
    )


def _read(config: Path | None, environ: Mapping[str, str]) -> tuple[Path, dict[str, Any]]:
    try:
        path = find_config(config, environ)
    except ConfigErrors as errors:
        raise Failure(CONFIG, str(errors)) from errors
    try:
        return path, tomllib.loads(path.read_text("utf-8-sig"))
    except (OSError, ValueError) as error:
        told = error.strerror if isinstance(error, OSError) else "it is no TOML"
        message = f"{path} cannot be read: {told}  (covend check)"
        raise Failure(CONFIG, message) from error


def _token(
    directory: Path, state_dir: str, admin: Mapping[str, Any], environ: Mapping[str, str]
) -> tuple[str, str]:
    """Give the token, and where it is from; one that is not made yet is empty."""
    if given := environ.get(TOKEN_VARIABLE):
        return given.strip(), f"${TOKEN_VARIABLE}"
    if "token" in admin:
        return _configured_token(directory, admin["token"], environ), "admin.token"
    file = directory / state_dir / "admin.token"
    try:
        return file.read_text("ascii").strip(), str(file)
    except FileNotFoundError:
        return "", str(file)
    except (OSError, ValueError) as error:
        told = error.strerror if isinstance(error, OSError) else "it is no token"
        message = f"{file}: {told}: run this as covend's user, or set {TOKEN_VARIABLE}"
        raise Failure(NOT_PERMITTED, message) from error


def _configured_token(directory: Path, source: Any, environ: Mapping[str, str]) -> str:
    from covend.config.credentials import read_all

    found = read_all({"admin": {"token": source}}, directory, environ)
    if found.errors:
        raise Failure(NOT_PERMITTED, f"admin.token {found.errors[0].message}")
    return "".join(secret.reveal() for secret in found.secrets.values())


class Client:
    """Asks one daemon."""

    def __init__(self, target: Target) -> None:
        """Connect for each question anew."""
        self._target = target

    def get(self, *path: str, **query: object) -> Any:
        """Ask for `/api/v1/PATH?QUERY`, without the parameters that are None; give its JSON.

        Raises NothingThereError, or Failure for any other answer and for none.
        """
        asked = "/".join(quote(part, safe="") for part in path)
        given = {name: value for name, value in query.items() if value is not None}
        status, body = self._ask(f"/api/v1/{asked}?{urlencode(given)}".removesuffix("?"))
        try:
            data = orjson.loads(body)
            if status == http.client.OK:
                return data
            code, message = str(data["error"]["code"]), str(data["error"]["message"])
        except (ValueError, KeyError, TypeError) as error:
            message = f"what answers on {self._target.address} is not covend's admin listener"
            raise Failure(UNREACHABLE, message) from error
        raise self._failure(status, code, message)

    def _ask(self, path: str) -> tuple[int, bytes]:
        connection = _connect(self._target.address)
        headers = {"Authorization": f"Bearer {self._target.token}", "Accept": "application/json"}
        try:
            connection.request("GET", path, headers=headers)
            answer = connection.getresponse()
            return answer.status, answer.read()
        except (OSError, http.client.HTTPException) as error:
            raise self._unreachable(error) from error
        except ValueError as error:
            message = f"the token from {self._target.token_from} is none: it has odd characters"
            raise Failure(NOT_PERMITTED, message) from error
        finally:
            connection.close()

    def _unreachable(self, error: Exception) -> Failure:
        address = self._target.address
        if isinstance(error, PermissionError):
            return Failure(NOT_PERMITTED, f"{address}: {error.strerror}: run this as covend's user")
        return Failure(
            UNREACHABLE,
            f"covend is not answering on {address}: is it running?  ({self._target.serve})",
        )

    def _failure(self, status: int, code: str, message: str) -> Failure:
        if status == http.client.NOT_FOUND:
            return NothingThereError(NOT_FOUND, safe(message))
        if status == http.client.UNAUTHORIZED:
            what = (
                "the token from" if self._target.token else "to answer without a token: none is in"
            )
            told = f"covend refuses {what} {self._target.token_from}"
            mend = f"set {TOKEN_VARIABLE}, or read the config it was started with (--config)"
            return Failure(NOT_PERMITTED, f"{told}: {mend}")
        return Failure(_EXITS.get(status, _FAILED), safe(f"{message} ({code})"))


class _UnixConnection(http.client.HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def _connect(address: str) -> http.client.HTTPConnection:
    if address.startswith("unix:"):
        return _UnixConnection(address.removeprefix("unix:"), ANSWER_S)
    host, _, port = address.rpartition(":")
    host = host.strip("[]")
    if not port.isdigit():
        raise Failure(CONFIG, f'admin.listen is no "host:port": {safe(address)}  (covend check)')
    return http.client.HTTPConnection(_ANYWHERE.get(host, host), int(port), timeout=ANSWER_S)


def open_client(config: Path | None) -> Client:
    """Make the client that the configuration and the environment ask for."""
    return Client(find_target(config, os.environ))
