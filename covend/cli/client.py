"""The admin API, from outside: finds its address and token, asks, and says why there is no answer.

It reads three keys of the configuration by itself, with the defaults and overrides of `config`: to
check the whole file costs more than everything else that a command does.
"""

from __future__ import annotations

import http.client
import os
import pwd
import socket
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode

import orjson

from covend import __version__
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
SILENCE_S = 40.0
"""A stream that is silent for longer is dead: covend says every 15 s that it is still there."""
LAST_EVENT_ID = "Last-Event-ID"
EVENT_MAX = 1 << 24
"""Bytes of one line of a stream."""
ANYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - a name, not a listener
"""Where to ask who listens on every address."""
_FAILED = 1
_WENT_WELL = frozenset({http.client.OK, http.client.ACCEPTED})
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


class Event(NamedTuple):
    """One event of a stream; `id` is what a reader that comes back gives as `last`."""

    name: str
    id: int | str
    data: Any


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

    def __init__(self, target: Target, *, within_s: float = ANSWER_S) -> None:
        """Connect for each question anew; an answer that takes longer is none."""
        self._target = target
        self._within_s = within_s

    def get(self, *path: str, **query: object) -> Any:
        """Ask for `/api/v1/PATH?QUERY`, without the parameters that are None; give its JSON.

        Raises NothingThereError, or Failure for any other answer and for none.
        """
        return self._answer("GET", _url(path, query))

    def look(self, path: str) -> Any:
        """Ask for a path beside the API, and give its JSON, whatever its status is; raises
        Failure where none is answered.
        """
        with self._asked("GET", path, None, {}, self._within_s) as answer:
            try:
                return orjson.loads(answer.read())
            except ValueError as error:
                message = f"what answers on {self._target.address} is not covend's admin listener"
                raise Failure(UNREACHABLE, message) from error

    def post(self, *path: str, body: Mapping[str, object]) -> Any:
        """Ask for a change, and give the JSON that says what came of it; raises as `get`."""
        return self._answer("POST", _url(path, {}), orjson.dumps(body))

    def follow(self, *path: str, last: int | str | None = None, **query: object) -> Iterator[Event]:
        """Give events as they come, from behind the event `last` on, up to the one named `end`.

        Raises as `get`; with the exit code 69 where the connection breaks before the end.
        """
        headers = {} if last is None else {LAST_EVENT_ID: str(last)}
        with self._asked("GET", _url(path, query), None, headers, SILENCE_S) as answer:
            if answer.status != http.client.OK:
                self._read(answer.status, answer.read())
            for event in _events(answer):
                yield event
                if event.name == "end":
                    return
        raise self._unreachable(ConnectionResetError())

    def _answer(self, method: str, url: str, body: bytes | None = None) -> Any:
        headers = {} if body is None else {"Content-Type": "application/json"}
        with self._asked(method, url, body, headers, self._within_s) as answer:
            return self._read(answer.status, answer.read())

    def _read(self, status: int, body: bytes) -> Any:
        try:
            data = orjson.loads(body)
            if status in _WENT_WELL:
                return data
            code, message = str(data["error"]["code"]), str(data["error"]["message"])
        except (ValueError, KeyError, TypeError) as error:
            message = f"what answers on {self._target.address} is not covend's admin listener"
            raise Failure(UNREACHABLE, message) from error
        raise self._failure(status, code, message)

    @contextmanager
    def _asked(
        self, method: str, url: str, body: bytes | None, headers: Mapping[str, str], seconds: float
    ) -> Iterator[http.client.HTTPResponse]:
        """Connect, ask, and give what is answered, as long as it lasts."""
        connection = _connect(self._target.address, seconds)
        given = {"Authorization": f"Bearer {self._target.token}", "User-Agent": _who(), **headers}
        try:
            self._send(connection, method, url, body, given)
            yield connection.getresponse()
        except (OSError, http.client.HTTPException) as error:
            raise self._unreachable(error) from error
        finally:
            connection.close()

    def _send(
        self,
        connection: http.client.HTTPConnection,
        method: str,
        url: str,
        body: bytes | None,
        headers: Mapping[str, str],
    ) -> None:
        try:
            connection.request(method, url, body=body, headers=headers)
        except ValueError as error:
            message = f"the token from {self._target.token_from} is none: it has odd characters"
            raise Failure(NOT_PERMITTED, message) from error

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


def _who() -> str:
    """Say for the audit what asks, and as which user of this machine; nothing rests on it."""
    try:
        user = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        user = str(os.getuid())
    return f"covend/{__version__} ({user})" if user.isascii() else f"covend/{__version__}"


class _UnixConnection(http.client.HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def _connect(address: str, seconds: float) -> http.client.HTTPConnection:
    if address.startswith("unix:"):
        return _UnixConnection(address.removeprefix("unix:"), seconds)
    host, _, port = address.rpartition(":")
    host = host.strip("[]")
    if not port.isdigit():
        raise Failure(CONFIG, f'admin.listen is no "host:port": {safe(address)}  (covend check)')
    return http.client.HTTPConnection(ANYWHERE.get(host, host), int(port), timeout=seconds)


def _url(path: Sequence[str], query: Mapping[str, object]) -> str:
    # What was typed need not be UTF-8: it is then the name of nothing, and no fault.
    asked = "/".join(quote(part, safe="", errors="replace") for part in path)
    given = {name: value for name, value in query.items() if value is not None}
    return f"/api/v1/{asked}?{urlencode(given, errors='replace')}".removesuffix("?")


def _events(answer: http.client.HTTPResponse) -> Iterator[Event]:
    """Read https://html.spec.whatwg.org/multipage/server-sent-events.html as covend writes it: one
    line of data an event. What is no event is passed over.
    """
    fields: dict[bytes, bytes] = {}
    while line := answer.readline(EVENT_MAX):
        name, _, value = line.rstrip(b"\n").partition(b": ")
        if name:
            fields[name] = value
            continue
        event = _event(fields)
        if event is not None:
            yield event
        fields = {}


def _event(fields: Mapping[bytes, bytes]) -> Event | None:
    try:
        name, written = fields[b"event"].decode(), fields[b"id"].decode("ascii")
        number = int(written) if written.isdigit() else written
        return Event(name, number, orjson.loads(fields[b"data"]))
    except (KeyError, ValueError):
        return None


def open_client(config: Path | None, *, within_s: float = ANSWER_S) -> Client:
    """Make the client that the configuration and the environment ask for."""
    return Client(find_target(config, os.environ), within_s=within_s)
