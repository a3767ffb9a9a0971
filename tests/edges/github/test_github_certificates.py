"""An enterprise's own authority: known by the system's store, and by nothing else."""

from __future__ import annotations

import os
import ssl
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path

import aiohttp
import anyio
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from covend.edges.github.wire import Question, Wire

ASK = f"""
import asyncio, sys
import {__name__} as here
asyncio.run(here.ask(sys.argv[1]))
"""


def tell(_operation: str, status: str) -> None:
    sys.stdout.write(status)


async def ask(api_url: str) -> None:
    """Say what comes of a question, in a process that reads the store at its start."""
    async with aiohttp.ClientSession() as session:
        wire = Wire(session, api_url, tell)
        await wire.exchange(Question(operation="try", method="GET", path="/x"), "token")


def make_authority(folder: Path) -> tuple[Path, Path]:
    """Make a certificate that vouches for itself, for 127.0.0.1; give it and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Example Authority")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), critical=False
        )
        .sign(key, hashes.SHA256())
    )
    paths = folder / "authority.pem", folder / "key.pem"
    paths[0].write_bytes(certificate.public_bytes(Encoding.PEM))
    paths[1].write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return paths


@pytest.mark.parametrize(("is_known", "status"), [(True, "200"), (False, "unreachable")])
async def test_a_certificate_is_trusted_by_the_systems_store_alone(
    is_known: bool, status: str, tmp_path: Path
) -> None:
    authority, key = make_authority(tmp_path)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(authority, key)

    async def answer(_request: web.Request) -> web.Response:
        return web.json_response({})

    app = web.Application()
    app.router.add_get("/api/v3/x", answer)
    server = TestServer(app, scheme="https")
    await server.start_server(ssl=context)
    try:
        known = {"SSL_CERT_FILE": str(authority)} if is_known else {}
        environ = {name: text for name, text in os.environ.items() if name != "SSL_CERT_FILE"}
        done = await anyio.run_process(
            [sys.executable, "-c", ASK, str(server.make_url("/api/v3"))],
            env={**environ, **known},
            check=False,
            stderr=subprocess.DEVNULL,
        )
    finally:
        await server.close()
    assert done.stdout.decode().split() == [status]
