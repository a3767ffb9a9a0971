"""Connects to checked addresses alone: what a name stands for is asked once, judged, and connected
to; it cannot stand for something else a moment later.

Refuses a name as a whole where one of its addresses is refused: who may choose between them is the
network, not the receiver.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from ipaddress import ip_address
from typing import TypeAlias

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from covend.core.addresses import Network, why_not

_THREADS = ThreadPoolExecutor(max_workers=16, thread_name_prefix="callback-names")
LookUp: TypeAlias = Callable[[str, int], Awaitable[Sequence[str]]]
"""Gives the addresses of a name, for a port; raises OSError where it has none."""


class RefusedAddressError(OSError):
    """An address to which nothing may be sent; its message says which and why."""


async def ask_system(host: str, port: int) -> Sequence[str]:
    """Ask this machine's own resolver, in threads that nothing else needs: a name for which nobody
    answers keeps its thread for longer than its try.
    """
    ask = partial(
        socket.getaddrinfo,
        host,
        port,
        type=socket.SOCK_STREAM,
        flags=socket.AI_ADDRCONFIG | socket.AI_NUMERICSERV,
    )
    found = await asyncio.get_running_loop().run_in_executor(_THREADS, ask)
    return tuple(dict.fromkeys(str(address[0]) for *_, address in found))


def checked_connector(
    allowed: Sequence[Network], look_up: LookUp, *, is_plain: bool
) -> aiohttp.TCPConnector:
    """Make the connector of one try: no connection outlives it, and no answer of a resolver.

    The resolver checks every address of a name; the sockets check once more what they are made
    for, which is all there is of a host that is an address itself.
    """

    def check(address: str) -> None:
        try:
            why = why_not(ip_address(address), allowed, is_plain=is_plain)
        except ValueError:
            why = "the resolver gave what is no address"
        if why is not None:
            raise RefusedAddressError(why)

    def make_socket(info: aiohttp.AddrInfoType) -> socket.socket:
        family, kind, proto, _, address = info
        check(str(address[0]))
        return socket.socket(family, kind, proto)

    return aiohttp.TCPConnector(
        resolver=_CheckedResolver(look_up, check),
        socket_factory=make_socket,
        use_dns_cache=False,
        force_close=True,
        limit=1,
    )


class _CheckedResolver(AbstractResolver):
    def __init__(self, look_up: LookUp, check: Callable[[str], None]) -> None:
        self._look_up = look_up
        self._check = check

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Give every address of a name; raises RefusedAddressError where one is refused."""
        del family
        addresses = await self._look_up(host, port)
        for each in addresses:
            self._check(each)
        return [_result(host, each, port) for each in addresses]

    async def close(self) -> None:
        """Hold nothing."""


def _result(host: str, address: str, port: int) -> ResolveResult:
    return ResolveResult(
        hostname=host,
        host=address,
        port=port,
        family=socket.AF_INET6 if ":" in address else socket.AF_INET,
        proto=0,
        flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
    )
