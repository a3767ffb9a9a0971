"""Decides to which hosts and addresses a callback may go: public ones, and what is allowed by name
of its network.

Refuses everything it does not know to be public, every form of an address but the plain one, and
what carries another address within it: Python's own `is_global` takes NAT64 and 6to4 forms of
loopback for public. https://www.iana.org/assignments/iana-ipv6-special-registry and
https://cheatsheetseries.owasp.org/cheatsheets/Server_Side_Request_Forgery_Prevention_Cheat_Sheet.html
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from ipaddress import (
    AddressValueError,
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_network,
)
from typing import TypeAlias

Address: TypeAlias = IPv4Address | IPv6Address
Network: TypeAlias = IPv4Network | IPv6Network

_NOT_PUBLIC_4: tuple[tuple[IPv4Network, str], ...] = tuple(
    (IPv4Network(network), what)
    for network, what in (
        ("169.254.169.254/32", "a cloud's metadata"),
        ("168.63.129.16/32", "a cloud's metadata"),
        ("0.0.0.0/8", "unspecified"),
        ("10.0.0.0/8", "private"),
        ("100.64.0.0/10", "shared by a provider's customers"),
        ("127.0.0.0/8", "this machine"),
        ("169.254.0.0/16", "link-local"),
        ("172.16.0.0/12", "private"),
        ("192.0.0.0/24", "reserved"),
        ("192.0.2.0/24", "for documentation"),
        ("192.31.196.0/24", "reserved"),
        ("192.52.193.0/24", "reserved"),
        ("192.88.99.0/24", "a relay of 6to4"),
        ("192.168.0.0/16", "private"),
        ("192.175.48.0/24", "reserved"),
        ("198.18.0.0/15", "for benchmarks"),
        ("198.51.100.0/24", "for documentation"),
        ("203.0.113.0/24", "for documentation"),
        ("224.0.0.0/4", "multicast"),
        ("240.0.0.0/4", "reserved"),
    )
)
_NOT_PUBLIC_6: tuple[tuple[IPv6Network, str], ...] = tuple(
    (IPv6Network(network), what)
    for network, what in (
        ("fd00:ec2::254/128", "a cloud's metadata"),
        ("::/128", "unspecified"),
        ("::1/128", "this machine"),
        ("::ffff:0:0/96", "an IPv4 address within IPv6"),
        ("::ffff:0:0:0/96", "an IPv4 address within IPv6"),
        ("::/96", "an IPv4 address within IPv6"),
        ("64:ff9b::/96", "an IPv4 address behind NAT64"),
        ("64:ff9b:1::/48", "an IPv4 address behind NAT64"),
        ("2001::/32", "a tunnel (Teredo)"),
        ("2001:2::/48", "for benchmarks"),
        ("2001::/23", "reserved"),
        ("2001:db8::/32", "for documentation"),
        ("2002::/16", "a tunnel (6to4)"),
        ("2620:4f:8000::/48", "reserved"),
        ("3fff::/20", "for documentation"),
        ("fc00::/7", "private"),
        ("fe80::/10", "link-local"),
        ("fec0::/10", "private"),
        ("ff00::/8", "multicast"),
    )
)
_UNICAST_6 = IPv6Network("2000::/3")
"""Nothing else of IPv6 has been given out to the public."""

_PLAIN = re.compile(r"[a-z0-9_-]+(\.[a-z0-9_-]+)*")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
_HOST_MAX = 253
_OWN_NAMES = frozenset({"localhost", "ip6-localhost", "ip6-loopback", "localhost.localdomain"})


def networks_of(texts: Iterable[str]) -> tuple[Network, ...]:
    """Read networks as CIDR; raises ValueError."""
    return tuple(ip_network(text) for text in texts)


def why_not(
    address: Address, allowed: Sequence[Network] = (), *, is_plain: bool = False
) -> str | None:
    """Say why nothing may be sent to an address; None where it may.

    What lies in a network of `allowed` may, in just the form that is connected to. Nothing else
    may where the request is `is_plain`, without TLS.
    """
    if getattr(address, "scope_id", None):
        return f"{address} has a zone"
    if any(address in network for network in allowed if network.version == address.version):
        return None
    what = _what_is_not_public(address)
    if what is not None:
        return f"{address} is not public: {what}"
    return f"{address} is reached without TLS" if is_plain else None


def _what_is_not_public(address: Address) -> str | None:
    if isinstance(address, IPv4Address):
        return next((what for network, what in _NOT_PUBLIC_4 if address in network), None)
    what = next((what for network, what in _NOT_PUBLIC_6 if address in network), None)
    return what or (None if address in _UNICAST_6 else "reserved")


def literal_of(host: str) -> Address | None:
    """Read a host that is an address in its plain form, IPv6 without brackets; None for a name."""
    try:
        return IPv6Address(host) if ":" in host else IPv4Address(host)
    except AddressValueError:
        return None


def host_fault(host: str) -> str | None:
    """Say what is wrong with the form of a host, IPv6 without brackets; None where it is a plain
    name or address.

    A resolver takes `127.1`, `0x7f000001` and `2130706433` for this machine, and so do many for
    digits of other scripts: none of them is how anybody writes a receiver.
    """
    if ":" in host and "%" not in host:
        return None if literal_of(host) is not None else "is no IPv6 address"
    return next((fault for is_wrong, fault in _FORMS if is_wrong(host)), None)


def _is_odd_number(host: str) -> bool:
    last = host.lower().rpartition(".")[2]
    return bool(_NUMBER.fullmatch(last)) and literal_of(host) is None


_FORMS: tuple[tuple[Callable[[str], bool], str], ...] = (
    (
        lambda host: not host.isascii(),
        "is not written in ASCII: a name of other letters begins with xn--",
    ),
    (lambda host: len(host) > _HOST_MAX, "is too long"),
    (lambda host: "%" in host, "has a zone or an escaped character"),
    (lambda host: host.endswith("."), "ends in a dot"),
    (lambda host: not _PLAIN.fullmatch(host.lower()), "is no name of a host"),
    (_is_odd_number, "is an address in another form than 192.0.2.1"),
)


def is_own_name(host: str) -> bool:
    """Say whether a name means this machine, whatever a resolver says
    (https://www.rfc-editor.org/rfc/rfc6761#section-6.3).
    """
    name = host.lower()
    return name in _OWN_NAMES or name.endswith(".localhost")
