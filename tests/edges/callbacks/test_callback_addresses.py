"""However an address is written, and whatever a resolver says: nothing inside is reached."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field

import aiohttp
import pytest

from covend.core.effects.delivering import Code, Heard, Unheard
from covend.core.model import EffectId
from covend.core.outside import Callback
from covend.core.secret import Secret
from covend.edges.callbacks.sender import Sender
from tests.receivers import SECRET, receiving

ID = EffectId("01kaj3v8qk7w2m5p9x4r6t1zbc")


@dataclass
class Canary:
    """Listens on one port of every loopback address, and sings when somebody connects."""

    port: int
    heard: list[str] = field(default_factory=list)


@pytest.fixture
async def canary() -> AsyncIterator[Canary]:
    """Listen at 0.0.0.0 (all of 127/8) and at ::, with and without IPv4 within."""
    canary = Canary(port=0)

    async def sing(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        canary.heard.append(str(writer.get_extra_info("sockname")))
        writer.close()

    ipv4 = await asyncio.start_server(sing, "0.0.0.0", 0)
    canary.port = ipv4.sockets[0].getsockname()[1]
    ipv6 = await asyncio.start_server(sing, "::1", canary.port)
    async with ipv4, ipv6:
        yield canary


def callback(url: str, *allowed: str) -> Callback:
    return Callback(
        name="bridge",
        url=url,
        secrets=(Secret(SECRET),),
        allow_addresses=allowed,
        events=("task.completed",),
    )


def sender(*addresses: str) -> Sender:
    """One whose resolver gives these addresses for every name; without any, the machine's own."""

    async def look_up(host: str, port: int) -> Sequence[str]:
        return addresses

    return Sender(wall=lambda: 0, look_up=look_up) if addresses else Sender(wall=lambda: 0)


async def test_the_canary_does_sing(canary: Canary) -> None:
    """Else none of what follows would show anything."""
    for host in ("127.0.0.1", "127.1.2.3", "::1"):
        _, writer = await asyncio.open_connection(host, canary.port)
        writer.close()
    reply = await sender().send(callback(f"http://127.1.2.3:{canary.port}", "127.0.0.0/8"), ID, "")
    assert isinstance(reply, Unheard)
    assert reply.code is Code.NO_ANSWER
    assert len(canary.heard) == 4


FORMS = [
    "127.0.0.1",
    "127.1",
    "127.0.1",
    "127.127.127.127",
    "0",
    "0.0.0.0",
    "2130706433",
    "4294967296",
    "017700000001",
    "0177.0.0.1",
    "0177.0.0.01",
    "00000177.0.0.1",
    "0x7f000001",
    "0x7F000001",
    "0x7f.0x0.0x0.0x1",
    "0x7f.1",
    "127.0.0.1.",
    "127.0.0.1..",
    "localhost",
    "LOCALHOST",
    "localhost.",
    "LocalHost.LocalDomain",
    "ip6-localhost",
    "ip6-loopback",
    "[::1]",
    "[0:0:0:0:0:0:0:1]",
    "[0000::1]",
    "[::]",
    "[::ffff:127.0.0.1]",
    "[::FFFF:7f00:1]",
    "[0:0:0:0:0:ffff:127.0.0.1]",
    "[::ffff:0:127.0.0.1]",
    "[::127.0.0.1]",
    "[64:ff9b::127.0.0.1]",
    "[64:ff9b::7f00:1]",
    "[64:ff9b:1::7f00:1]",
    "[2002:7f00:1::]",
    "[2002:7f00:0001::1]",
    "[2001:0:7f00:1::]",
    "[::1%25lo]",
    "[::1%lo]",
    "[fe80::1%25lo]",
    "user@127.0.0.1",
    "user:pass@localhost",
    "receiver.example@127.0.0.1",
    "127.0.0.1%00.receiver.example",
    "127.0.0.1%2f",
    "receiver.example\\@127.0.0.1",
    "\uff11\uff12\uff17.0.0.1",
    "127\u30020\u30020\u30021",
    "127\uff0e0\uff0e0\uff0e1",
    "\u2460\u2461\u2466.0.0.1",
    "\u24db\u24de\u24d2\u24d0\u24db\u24d7\u24de\u24e2\u24e3",
    "169.254.169.254",
    "[fd00:ec2::254]",
    "10.0.0.1",
    "192.168.0.1",
    "100.64.0.1",
    "224.0.0.1",
    "255.255.255.255",
    "168.63.129.16",
]


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("host", FORMS)
async def test_no_form_of_an_address_inside_reaches_it(
    canary: Canary, host: str, scheme: str
) -> None:
    reply = await sender().send(callback(f"{scheme}://{host}:{canary.port}/hook"), ID, "{}")
    assert isinstance(reply, Unheard)
    assert reply.code in {Code.ADDRESS, Code.UNREACHABLE}
    assert canary.heard == []


@pytest.mark.parametrize(
    "addresses",
    [
        ("127.0.0.1",),
        ("::1",),
        ("::ffff:127.0.0.1",),
        ("64:ff9b::7f00:1",),
        ("2002:7f00:1::",),
        ("0.0.0.0",),
        ("10.1.2.3",),
        ("169.254.169.254",),
        ("fe80::1%lo",),
        ("8.8.8.8", "127.0.0.1"),
        ("2606:4700::1111", "::1"),
        ("nonsense",),
    ],
)
async def test_no_name_that_leads_inside_reaches_it(
    canary: Canary, addresses: tuple[str, ...]
) -> None:
    url = f"https://receiver.example:{canary.port}/hook"
    reply = await sender(*addresses).send(callback(url), ID, "{}")
    assert isinstance(reply, Unheard)
    assert (reply.code, reply.is_final) == (Code.ADDRESS, True)
    assert canary.heard == []


async def test_a_name_is_looked_up_once_and_what_was_checked_is_connected_to() -> None:
    """A second answer of the resolver is what DNS rebinding lives on."""
    asked: list[str] = []

    async def look_up(host: str, port: int) -> Sequence[str]:
        asked.append(host)
        return ["127.0.0.1"] if len(asked) == 1 else ["127.6.6.6"]

    async with receiving() as receiver:
        target = receiver.callback(url=f"http://bridge.example:{receiver.port}/hook?a=b")
        reply = await Sender(wall=lambda: 0, look_up=look_up).send(target, ID, "{}")
        assert isinstance(reply, Heard)
        assert reply.status == 200
        (seen,) = receiver.seen
        assert seen.headers["Host"] == f"bridge.example:{receiver.port}"
        assert seen.path == "/hook?a=b"
    assert asked == ["bridge.example"]


async def test_an_allowed_network_lets_nothing_but_its_own_through(canary: Canary) -> None:
    async with receiving() as receiver:
        reply = await sender().send(receiver.callback(), ID, "{}")
        assert isinstance(reply, Heard)
        for url in (f"http://127.0.0.2:{canary.port}", f"http://[::1]:{canary.port}"):
            refused = await sender().send(receiver.callback(url=url), ID, "{}")
            assert isinstance(refused, Unheard)
            assert refused.code is Code.ADDRESS
            assert "allow_addresses" in refused.message
    assert canary.heard == []


async def test_every_address_of_a_name_has_to_be_allowed(canary: Canary) -> None:
    url = f"http://bridge.example:{canary.port}"
    reply = await sender("127.0.0.1", "127.0.0.2").send(callback(url, "127.0.0.1/32"), ID, "{}")
    assert isinstance(reply, Unheard)
    assert "127.0.0.2" in reply.message
    assert canary.heard == []


async def test_plain_http_goes_to_no_public_address() -> None:
    reply = await sender("8.8.8.8").send(callback("http://bridge.example", "10.0.0.0/8"), ID, "{}")
    assert isinstance(reply, Unheard)
    assert "without TLS" in reply.message


async def test_a_name_that_stands_for_nothing_is_tried_again() -> None:
    async def look_up(host: str, port: int) -> Sequence[str]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    reply = await Sender(wall=lambda: 0, look_up=look_up).send(
        callback("https://nobody.example"), ID, "{}"
    )
    assert reply == Unheard(
        code=Code.UNREACHABLE, message="the host's name cannot be resolved", is_final=False
    )


async def test_names_that_nobody_answers_for_keep_no_other_name_waiting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """GitHub's name is looked up by the threads of the loop, of which there are few."""
    hangs = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: hangs.wait(20) and [])
    monkeypatch.setattr("covend.edges.callbacks.sender._TIMEOUT", aiohttp.ClientTimeout(total=0.2))
    try:
        async with asyncio.TaskGroup() as group:
            for number in range(40):
                target = callback(f"https://receiver-{number}.example/")
                group.create_task(sender().send(target, ID, ""))
        async with asyncio.timeout(5):
            assert await asyncio.get_running_loop().run_in_executor(None, lambda: "free") == "free"
    finally:
        hangs.set()
