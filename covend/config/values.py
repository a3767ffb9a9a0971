"""The kinds of single values in `covend.toml`, each with the sentence that is said of a wrong one.

Nothing here knows a key: which key holds which kind is said in `schema`.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from typing import Annotated, Any, Literal, TypeVar
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

from covend.core.addresses import host_fault
from covend.core.cron import CronError, check_cron
from covend.core.rules import facts
from covend.core.units import DURATION_FORMS, SIZE_FORMS, UnitError, parse_duration, parse_size

Number = TypeVar("Number", int, float)
Word = TypeVar("Word", bound=str)

_PORT_MAX = 65_535
_WHOLE_MAX = 10**15
"""Beyond it, a number is a slip of the hand, and soon no number that the store can hold."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_LOGIN = re.compile(r"@?([A-Za-z0-9][A-Za-z0-9-]{0,38})(\[bot\])?")
_IMAGE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/:@+-]{0,254}")
_USER_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,31}")
_NOT_IN_A_MOUNT = frozenset(',"\n\0')
DURATION_PATTERN = r"^(0|[0-9]{1,19} ?(ms|s|m|h|d))$"
SIZE_PATTERN = r"^[0-9]{1,19} ?(B|KiB|MiB|GiB|TiB)$"
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


def wrong(message: str) -> PydanticCustomError:
    return PydanticCustomError("covend", "{message}", {"message": message})


def _read_unit(
    parse: Callable[[str], Number], forms: str, *, may_be_zero: bool
) -> Callable[[Any], Number]:
    def read(value: Any) -> Number:
        if may_be_zero and value == 0 and not isinstance(value, bool):
            return parse("0")
        if not isinstance(value, str):
            raise wrong(f"must be text: {forms}")
        try:
            return parse(value)
        except UnitError as error:
            raise wrong(str(error)) from error

    return read


def _name(value: str) -> str:
    if not _NAME.fullmatch(value):
        raise wrong(
            "must be 1 to 64 letters, digits, '.', '_' or '-', and begin with a letter or digit"
        )
    return value


def _variable(value: str) -> str:
    if not _VARIABLE.fullmatch(value):
        raise wrong("must be the name of an environment variable")
    return value


def _login(value: str) -> str:
    found = _LOGIN.fullmatch(value)
    if not found:
        raise wrong("must be the name of a GitHub account")
    return found[1] + (found[2] or "")


def _absolute_or_relative(value: str) -> str:
    if not value or "\0" in value:
        raise wrong("must be a path")
    if value.startswith("~"):
        raise wrong("must be a path without '~', which is not expanded")
    return value


def _whole_path(value: str) -> str:
    """Refuse what cannot be written in a container's list of mounts."""
    if not value.startswith("/") or not value.strip("/"):
        raise wrong('must be a whole path such as "/opt/tools", and not all of "/"')
    if _NOT_IN_A_MOUNT & set(value) or ".." in value.split("/"):
        raise wrong("must be a path without '..', comma, quote or line break")
    return value.rstrip("/")


def _image(value: str) -> str:
    if not _IMAGE.fullmatch(value):
        raise wrong('must be the name of an image, such as "registry.example/agents:1"')
    return value


def _user_name(value: str) -> str:
    if not _USER_NAME.fullmatch(value):
        raise wrong("must be the name of a user of this machine, not a number")
    return value


def read_address(value: str) -> tuple[str, int]:
    """Split "host:port" ("[::1]:8787" for IPv6; port 0 lets the system choose); raises
    PydanticCustomError.
    """
    host, colon, port = value.rpartition(":")
    if not colon or not host or not (port.isascii() and port.isdigit()) or int(port) > _PORT_MAX:
        raise wrong('must be "host:port", such as "127.0.0.1:8787"')
    if ":" in host and not (host.startswith("[") and host.endswith("]")):
        raise wrong('must have its IPv6 address in brackets, such as "[::1]:8787"')
    return host.strip("[]"), int(port)


def _address(value: str) -> str:
    read_address(value)
    return value


def _admin_address(value: str) -> str:
    if not value.startswith("unix:"):
        return _address(value)
    if not value.removeprefix("unix:").startswith("/"):
        raise wrong('must have a whole path after "unix:", such as "unix:/run/covend/admin.sock"')
    return value


def _url(value: str) -> str:
    if " " in value or not value.isprintable():
        raise wrong("must hold no blanks and nothing that cannot be printed")
    try:
        parts = urlsplit(value)
        _ = parts.port
    except ValueError as error:
        raise wrong(f"is no URL: {error}") from error
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise wrong("must be a URL that begins with https://")
    if parts.username is not None or parts.password is not None:
        raise wrong("must not hold a user name or password")
    return value.rstrip("/")


def read_guarded_url(value: str) -> str:
    """Check an address that secrets or findings go to; raises PydanticCustomError."""
    cleaned = _url(value)
    if urlsplit(cleaned).scheme == "http" and urlsplit(cleaned).hostname not in LOOPBACK:
        raise wrong("must begin with https:// (plain http only to this machine itself)")
    return cleaned


def read_callback_url(value: str) -> str:
    """Check the address of a receiver, as it is written; raises PydanticCustomError.

    Unlike other addresses it keeps the slash at its end, which may mean another place.
    """
    if not value.isascii() or any(letter <= " " or letter in "\\\x7f" for letter in value):
        raise wrong("must be written in ASCII, without blanks and backslashes")
    _url(value)
    if "#" in value:
        raise wrong("must have no part after '#', which is never sent")
    if (fault := host_fault(urlsplit(value).hostname or "")) is not None:
        raise wrong(f"has a host that {fault}")
    return value


def _store_url(value: str) -> str:
    if value.startswith("postgres"):
        raise wrong('names PostgreSQL, which this version cannot use yet: write "sqlite:covend.db"')
    if not value.startswith("sqlite:") or not value.removeprefix("sqlite:"):
        raise wrong('must be "sqlite:" and a path, such as "sqlite:covend.db"')
    return value


def _network(value: str) -> str:
    try:
        ipaddress.ip_network(value)
    except ValueError as error:
        raise wrong('must be an address range, such as "10.0.0.0/8"') from error
    return value


def _cron(value: str) -> str:
    try:
        check_cron(value)
    except CronError as error:
        raise wrong(str(error)) from error
    return " ".join(value.split())


def _header_name(value: str) -> str:
    if not _HEADER_NAME.fullmatch(value):
        raise wrong('must be the name of a header, such as "X-Signature"')
    return value.lower()


def _repository_name(value: str) -> str:
    if facts.repository(value) is None:
        raise wrong('must be the name of a repository on GitHub, such as "acme/widgets"')
    return value


def never_sha1(value: Any) -> Any:
    if isinstance(value, str) and value.lower() in {"sha1", "sha-1", "md5"}:
        raise wrong(f"must be sha256 or sha512: {value} can be forged")
    return value


def _one_or_several(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def split_at_commas(value: Any) -> Any:
    return [part.strip() for part in value.split(",")] if isinstance(value, str) else value


def never_twice(values: list[Word]) -> list[Word]:
    for place, value in enumerate(values):
        if value in values[:place]:
            raise wrong(f"names {value} twice")
    return values


def payload_values(value: Any) -> Any:
    values = value if isinstance(value, list) else [value]
    return [_as_json_text(single) for single in values]


def _as_json_text(value: Any) -> Any:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, int | float) else value


def flat(value: Any) -> Any:
    """Read `a.b = "x"`, which TOML takes for tables in tables, as the field "a.b"."""
    if not isinstance(value, dict):
        return value
    found: dict[str, Any] = {}
    for key, inner in value.items():
        nested = flat(inner) if isinstance(inner, dict) else {"": inner}
        found |= {f"{key}.{rest}".removesuffix("."): single for rest, single in nested.items()}
    return found


def never_plain(value: Any) -> Any:
    if isinstance(value, str):
        raise wrong(
            "must not be in the file itself: write"
            ' { file = "…" }, { env = "NAME" } or { credential = "NAME" }'
        )
    return value


def just_what_to_do(value: Any) -> Any:
    """Read `fork = "hold"` as `fork = { do = "hold" }`."""
    if isinstance(value, str):
        return {"do": value}
    if not isinstance(value, dict):
        raise wrong('must be "run", "hold", "refuse", or a table such as { do = "hold" }')
    return value


def never_just_text(value: Any) -> Any:
    if isinstance(value, str):
        raise wrong('must be { builtin = "review" }, { file = "…" } or { text = "…" }')
    return value


def _written(pattern: re.Pattern[str]) -> WithJsonSchema:
    """Say of a text how it is written, for editors; what is wrong is said by its validator."""
    return WithJsonSchema({"type": "string", "pattern": f"^{pattern.pattern}$"})


Duration = Annotated[
    float,
    BeforeValidator(
        _read_unit(parse_duration, DURATION_FORMS, may_be_zero=True),
        json_schema_input_type=Annotated[str, Field(pattern=DURATION_PATTERN)] | Literal[0],
    ),
]
Positive = Annotated[Duration, Field(gt=0)]
Bytes = Annotated[
    int,
    BeforeValidator(
        _read_unit(parse_size, SIZE_FORMS, may_be_zero=False),
        json_schema_input_type=Annotated[str, Field(pattern=SIZE_PATTERN)],
    ),
]
Text = Annotated[str, Field(min_length=1)]
Name = Annotated[str, AfterValidator(_name), _written(_NAME)]
Variable = Annotated[str, AfterValidator(_variable), _written(_VARIABLE)]
Login = Annotated[str, AfterValidator(_login), _written(_LOGIN)]
WholePath = Annotated[str, AfterValidator(_whole_path)]
Image = Annotated[str, AfterValidator(_image), _written(_IMAGE)]
UserName = Annotated[str, AfterValidator(_user_name), _written(_USER_NAME)]
FilePath = Annotated[str, AfterValidator(_absolute_or_relative)]
Address = Annotated[str, AfterValidator(_address)]
AdminAddress = Annotated[str, AfterValidator(_admin_address)]
Url = Annotated[str, AfterValidator(_url)]
GuardedUrl = Annotated[str, AfterValidator(read_guarded_url)]
CallbackUrl = Annotated[str, AfterValidator(read_callback_url)]
StoreUrl = Annotated[str, AfterValidator(_store_url)]
Network = Annotated[str, AfterValidator(_network)]
Cron = Annotated[str, AfterValidator(_cron)]
HeaderName = Annotated[str, AfterValidator(_header_name), _written(_HEADER_NAME)]
RepositoryName = Annotated[str, AfterValidator(_repository_name)]
RateScope = Literal["rule", "subject", "repository", "installation", "actor", "agent"]
RateScopes = Annotated[
    list[RateScope],
    BeforeValidator(split_at_commas, json_schema_input_type=Text | list[RateScope]),
    AfterValidator(never_twice),
    Field(min_length=1),
]
Retried = Literal["agent", "temporary", "timeout", "invalid_result", "outside", "refused"]
RetriedKinds = Annotated[list[Retried], AfterValidator(never_twice)]
Globs = Annotated[
    list[Text],
    BeforeValidator(_one_or_several, json_schema_input_type=Text | list[Text]),
    Field(min_length=1),
]
Money = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Tokens = Annotated[int, Field(gt=0, le=_WHOLE_MAX)]
Count = Annotated[int, Field(ge=1, le=_WHOLE_MAX)]
