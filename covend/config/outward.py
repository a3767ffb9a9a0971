"""Whom covend calls back: the settings of `[callbacks.NAME]`, and what is wrong or unwise in them.

No network is asked: what a receiver's name stands for is judged when it is called.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from pydantic_core import PydanticCustomError

from covend.config.locate import KeyPath
from covend.config.outside import CallbackTable
from covend.config.problems import Finding
from covend.config.schema import ConfigTable
from covend.config.tables import named_tables, tables_in, texts_in
from covend.config.values import read_callback_url
from covend.core.addresses import Network, is_own_name, literal_of, networks_of, why_not
from covend.core.effects.callback import KEY_BYTES, BadSecretError, key_of
from covend.core.outside import Callback
from covend.core.secret import Secret

SHARED = ("callbacks",)
"""Sections whose secrets sign what covend sends."""


def callbacks_of(
    tables: Mapping[str, CallbackTable], secrets: Mapping[KeyPath, Secret]
) -> Mapping[str, Callback]:
    """Give the callbacks by name; without their secrets where none were read."""
    return {name: _callback(name, table, secrets) for name, table in tables.items()}


def _callback(name: str, table: CallbackTable, secrets: Mapping[KeyPath, Secret]) -> Callback:
    paths = (("callbacks", name, "secrets", index) for index in range(len(table.secrets)))
    return Callback(
        name=name,
        url=table.url,
        secrets=tuple(secrets[path] for path in paths if path in secrets),
        allow_addresses=tuple(table.allow_addresses),
        events=tuple(table.events),
    )


# --- errors ---------------------------------------------------------------------------------------


def check_callbacks(tables: Mapping[str, Any]) -> Iterator[Finding]:
    """Find what one key of a callback says against another."""
    for name, entry in named_tables(tables.get("callbacks")):
        path = ("callbacks", name)
        if (why := _why_never(entry)) is not None:
            yield Finding(path=(*path, "url"), message=why)
        sources = [source for _, source in tables_in(entry.get("secrets"))]
        for index, source in enumerate(sources):
            if source in sources[:index]:
                message = "is the same secret once more"
                yield Finding(path=(*path, "secrets", index), message=message)


def _why_never(entry: Mapping[str, Any]) -> str | None:
    """Say why nothing could ever be sent to the url; what is no url is the schema's to refuse."""
    try:
        parts = urlsplit(read_callback_url(entry.get("url", "")))
        allowed = networks_of(text for _, text in texts_in(entry.get("allow_addresses")))
    except (PydanticCustomError, ValueError, AttributeError, TypeError):
        return None
    host, is_plain = parts.hostname or "", parts.scheme == "http"
    if is_plain and not allowed:
        return "must begin with https:// (plain http only to receivers in allow_addresses)"
    if is_own_name(host) and not _reaches_this_machine(allowed):
        return 'is this machine: allow_addresses = ["127.0.0.0/8", "::1/128"] would let it through'
    address = literal_of(host)
    why = why_not(address, allowed, is_plain=is_plain) if address is not None else None
    return f"can never be called: {why}; allow_addresses does not name it" if why else None


def _reaches_this_machine(allowed: tuple[Network, ...]) -> bool:
    own = (literal_of("127.0.0.1"), literal_of("::1"))
    return any(each is not None and why_not(each, allowed) is None for each in own)


def complaint_about_secret(path: KeyPath, text: str) -> str | None:
    """Say why a secret of a callback cannot sign; None where it can, or is not one."""
    if path[0] not in SHARED:
        return None
    try:
        key_of(Secret(text))
    except BadSecretError as error:
        return str(error)
    return None


# --- cautions -------------------------------------------------------------------------------------


def find_callback_cautions(config: ConfigTable) -> Iterator[Finding]:
    """Find callbacks that nobody makes, rules that call nobody, and doors that are too wide."""
    is_published = False
    for index, rule in enumerate(config.rules):
        if "callback" in rule.publish:
            is_published = True
            if not config.callbacks:
                path: KeyPath = ("rules", index, "publish", rule.publish.index("callback"))
                message = "calls nobody back: there is no [callbacks.NAME]"
                yield Finding(path=path, message=message)
    for name, table in config.callbacks.items():
        if not is_published:
            message = 'is called by no rule: none has "callback" in `publish`'
            yield Finding(path=("callbacks", name), message=message, is_about_key=True)
        yield from _wide_doors(("callbacks", name), table)


def _wide_doors(path: KeyPath, table: CallbackTable) -> Iterator[Finding]:
    for index, network in enumerate(networks_of(table.allow_addresses)):
        if network.prefixlen == 0:
            message = "lets callbacks reach every address, those of this machine as well"
            yield Finding(path=(*path, "allow_addresses", index), message=message)


def caution_about_secret(path: KeyPath, text: str) -> str | None:
    """Say that a secret of a callback is short; one that begins with whsec_ cannot be."""
    if path[0] not in SHARED or len(text.encode()) >= KEY_BYTES.start:
        return None
    made = "{ printf whsec_; openssl rand -base64 32; }"
    return f"is shorter than {KEY_BYTES.start} bytes: make one by  {made}"
