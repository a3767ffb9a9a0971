"""One try: what is sent, what is heard, and within which limits."""

from __future__ import annotations

import asyncio
import base64
import gzip
import hashlib
import hmac
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from time import monotonic

import aiohttp
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from covend.core.effects.delivering import Code, Heard, Reply, Unheard
from covend.core.model import EffectId
from covend.core.outside import Callback
from covend.core.secret import Secret
from covend.edges.callbacks import sender as module
from covend.edges.callbacks.sender import ANSWER_BYTES_MAX, Sender
from tests.receivers import RESET, SECRET, SILENT, Answer, Receiver, receiving

ID = EffectId("01kaj3v8qk7w2m5p9x4r6t1zbc")
WALL = 1_795_262_400_000
BODY = '{"type":"task.completed","data":{"summary":"Grüße"}}'


async def send(callback: Callback, body: str = BODY) -> Reply:
    return await Sender(wall=lambda: WALL).send(callback, ID, body)


async def heard(*answers: Answer) -> Heard:
    async with receiving(*answers) as receiver:
        reply = await send(receiver.callback())
    assert isinstance(reply, Heard)
    return reply


async def test_the_stored_text_is_sent_as_it_is_and_signed_for_this_moment() -> None:
    async with receiving() as receiver:
        await send(receiver.callback())
        (seen,) = receiver.seen
    assert seen.body == BODY.encode()
    assert seen.headers["Content-Type"] == "application/json"
    assert seen.headers["webhook-id"] == ID
    timestamp = seen.headers["webhook-timestamp"]
    assert timestamp == str(WALL // 1000)
    key = base64.b64decode(SECRET.removeprefix("whsec_"))
    signed = f"{ID}.{timestamp}.".encode() + seen.body
    expected = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    assert seen.headers["webhook-signature"] == f"v1,{expected}"


async def test_both_secrets_sign_while_they_rotate() -> None:
    async with receiving() as receiver:
        secrets = (Secret(SECRET), Secret("an-older-one-of-at-least-24"))
        await send(receiver.callback(secrets=secrets))
        (seen,) = receiver.seen
    assert [part[:3] for part in seen.headers["webhook-signature"].split(" ")] == ["v1,", "v1,"]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_not_followed(status: int) -> None:
    async with receiving() as elsewhere:
        to = {"Location": f"http://127.0.0.1:{elsewhere.port}/"}
        async with receiving(Answer(status=status, headers=to)) as receiver:
            reply = await send(receiver.callback())
        assert elsewhere.seen == []
    assert isinstance(reply, Heard)
    assert reply.status == status


async def test_no_cookie_comes_back() -> None:
    async with receiving(Answer(headers={"Set-Cookie": "a=b; Path=/"})) as receiver:
        sender = Sender(wall=lambda: WALL)
        for _ in range(2):
            await sender.send(receiver.callback(), ID, BODY)
        assert all("Cookie" not in each.headers for each in receiver.seen)
        assert len(receiver.seen) == 2


async def test_a_proxy_of_the_environment_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    async with receiving() as proxy, receiving() as receiver:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        await send(receiver.callback())
        assert (len(proxy.seen), len(receiver.seen)) == (0, 1)


async def test_no_more_of_an_answer_is_read_than_is_kept() -> None:
    reply = await heard(Answer(status=500, body=b"x" * (1 << 20)))
    assert reply.body == b"x" * ANSWER_BYTES_MAX


async def test_a_packed_answer_is_not_unpacked() -> None:
    packed = gzip.compress(b"x" * (1 << 20))
    reply = await heard(Answer(body=packed, headers={"Content-Encoding": "gzip"}))
    assert reply.body == packed


async def test_a_header_tells_that_it_was_there_already() -> None:
    assert (await heard(Answer(status=409, headers={"Idempotent-Replayed": "true"}))).is_replayed
    other = Answer(status=409, headers={"Idempotent-Replayed": "false"})
    assert not (await heard(other)).is_replayed


def in_s(seconds: float) -> str:
    at = datetime.fromtimestamp(WALL / 1000, UTC) + timedelta(seconds=seconds)
    return format_datetime(at, usegmt=True)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("120", 120.0),
        ("0", 0.0),
        (in_s(90), 90.0),
        (in_s(-90), 0.0),
        ("soon", None),
        ("-1", None),
        ("9" * 11, None),
        ("\u0661", None),
        ("Mon, 99 Foo 2026", None),
        ("", None),
    ],
)
async def test_a_wish_to_wait_is_read_in_seconds_and_as_a_date(
    text: str, seconds: float | None
) -> None:
    reply = await heard(Answer(status=429, headers={"Retry-After": text}))
    assert reply.retry_after_s == seconds


async def test_a_broken_connection_is_no_answer() -> None:
    async with receiving(RESET) as receiver:
        reply = await send(receiver.callback())
    assert isinstance(reply, Unheard)
    assert (reply.code, reply.is_final) == (Code.NO_ANSWER, False)


async def test_nobody_at_the_door_is_unreachable() -> None:
    async with receiving() as receiver:
        target = receiver.callback()
    reply = await send(target)
    assert isinstance(reply, Unheard)
    assert (reply.code, reply.is_final) == (Code.UNREACHABLE, False)
    assert reply.message == "not reached: connection refused"


async def test_a_silent_receiver_is_given_up_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_TIMEOUT", aiohttp.ClientTimeout(total=0.05))
    async with receiving(SILENT) as receiver:
        reply = await send(receiver.callback())
    assert isinstance(reply, Unheard)
    assert (reply.code, reply.is_final) == (Code.TIMEOUT, False)


async def test_a_body_that_dribbles_holds_up_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The status is there, and says what has to be known."""
    monkeypatch.setattr(module, "BODY_S", 0.05)
    closed = asyncio.Event()

    async def dribble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nx")
        await writer.drain()
        await closed.wait()
        writer.close()

    server = await asyncio.start_server(dribble, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        started = monotonic()
        reply = await send(
            Callback(
                name="bridge",
                url=f"http://127.0.0.1:{port}/",
                secrets=(Secret(SECRET),),
                allow_addresses=("127.0.0.1/32",),
            )
        )
        closed.set()
    assert reply == Heard(status=200, body=b"x")
    assert monotonic() - started < module.TOTAL_S


async def test_what_is_no_http_is_no_answer() -> None:
    async def babble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"SSH-2.0-OpenSSH_9.6\r\n")
        writer.close()

    server = await asyncio.start_server(babble, "127.0.0.1", 0)
    async with server, receiving() as receiver:
        port = server.sockets[0].getsockname()[1]
        reply = await send(receiver.callback(url=f"http://127.0.0.1:{port}/"))
    assert isinstance(reply, Unheard)
    assert reply.code is Code.NO_ANSWER


async def test_no_error_shows_more_of_an_address_than_its_host() -> None:
    async with receiving() as receiver:
        target = receiver.callback(url=f"http://127.0.0.1:{receiver.port}/T0K3N?key=T0K3N")
    for each in (target, Callback(name="x", url="https://127.0.0.1/T0K3N", secrets=())):
        assert "T0K3N" not in str(await send(each))


@pytest.mark.parametrize(
    "told",
    [
        b"Cannot POST /services/T0K3N-of-a-receiver?key=T0K3N-of-a-query",
        rb'{"path": "\/services\/T0K3N-of-a-receiver"}',
        b"T0K3N-of-a-query is not known",
    ],
)
async def test_a_receiver_that_repeats_its_address_gives_away_nothing(told: bytes) -> None:
    async with receiving(Answer(status=404, body=told)) as receiver:
        address = f"http://127.0.0.1:{receiver.port}/services/T0K3N-of-a-receiver"
        reply = await send(receiver.callback(url=f"{address}?key=T0K3N-of-a-query&n=1"))
    assert isinstance(reply, Heard)
    assert b"T0K3N-of" not in reply.body


# --- TLS ------------------------------------------------------------------------------------------


def certificate(name: str, folder: Path) -> Path:
    """Make a certificate for one name, signed by itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = folder / "certificate.pem"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + made.public_bytes(serialization.Encoding.PEM)
    )
    return path


@asynccontextmanager
async def receiving_tls(pem: Path, names: list[str | None]) -> AsyncIterator[Receiver]:
    """A receiver behind TLS that notes which name it was asked for."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    context.sni_callback = lambda _, name, __: names.append(name)
    receiver = Receiver()
    await receiver.server.start_server(ssl=context)
    yield receiver
    await receiver.server.close()


def sending(tls: ssl.SSLContext | None) -> Sender:
    async def look_up(host: str, port: int) -> Sequence[str]:
        return ["127.0.0.1"]

    return Sender(wall=lambda: WALL, look_up=look_up, tls=tls)


async def test_tls_is_spoken_in_the_receivers_name_to_the_checked_address(tmp_path: Path) -> None:
    pem, names = certificate("bridge.example", tmp_path), list[str | None]()
    trusted = ssl.create_default_context(cafile=str(pem))
    async with receiving_tls(pem, names) as receiver:
        url = f"https://bridge.example:{receiver.port}/hook"
        reply = await sending(trusted).send(receiver.callback(url=url), ID, BODY)
        (seen,) = receiver.seen
        assert seen.headers["Host"] == f"bridge.example:{receiver.port}"
    assert reply == Heard(status=200)
    assert names == ["bridge.example"]


@pytest.mark.parametrize("is_trusted", [True, False])
async def test_a_certificate_that_is_another_s_or_nobody_s_is_not_spoken_to(
    tmp_path: Path, is_trusted: bool
) -> None:
    pem = certificate("other.example" if is_trusted else "bridge.example", tmp_path)
    trusted = ssl.create_default_context(cafile=str(pem)) if is_trusted else None
    async with receiving_tls(pem, []) as receiver:
        url = f"https://bridge.example:{receiver.port}/hook"
        reply = await sending(trusted).send(receiver.callback(url=url), ID, BODY)
        assert receiver.seen == []
    assert isinstance(reply, Unheard)
    assert (reply.code, reply.is_final) == (Code.TLS, False)
