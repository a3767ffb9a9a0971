from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from covend.config.credentials import SECRET_BYTES_MAX, Credentials, read_all
from covend.config.pem import complaint_about_private_key

KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)


def pem(
    format_: PrivateFormat = PrivateFormat.TraditionalOpenSSL,
    encryption: KeySerializationEncryption | None = None,
) -> str:
    return KEY.private_bytes(Encoding.PEM, format_, encryption or NoEncryption()).decode()


def read(
    source: Mapping[str, str], directory: Path = Path("/"), environ: Mapping[str, str] | None = None
) -> Credentials:
    return read_all({"github": {"token": source}}, directory, environ or {})


def the_error(credentials: Credentials) -> str:
    (error,) = credentials.errors
    assert credentials.secrets == {}
    assert error.path == ("github", "token")
    assert error.got is None
    return error.message


def revealed(credentials: Credentials) -> str:
    assert credentials.errors == []
    return credentials.secrets["github", "token"].reveal()


def private_file(path: Path, data: bytes) -> None:
    path.touch(mode=0o600)
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"secret", "secret"),
        (b"secret\n", "secret"),
        (b"secret\r\n", "secret"),
        (b" two words \n", " two words "),
        (b"one\ntwo\n", "one\ntwo"),
    ],
)
def test_a_file_is_read_without_its_last_line_break_only(
    tmp_path: Path, data: bytes, text: str
) -> None:
    private_file(tmp_path / "secret", data)
    assert revealed(read({"file": "secret"}, tmp_path)) == text


def test_a_credential_of_systemd_is_read_from_its_directory(tmp_path: Path) -> None:
    private_file(tmp_path / "hook", b"secret\n")
    found = read({"credential": "hook"}, environ={"CREDENTIALS_DIRECTORY": str(tmp_path)})
    assert revealed(found) == "secret"


def test_a_variable_is_read_from_the_environment() -> None:
    assert revealed(read({"env": "TOKEN"}, environ={"TOKEN": "secret"})) == "secret"


@pytest.mark.parametrize(
    ("source", "environ", "words"),
    [
        ({"env": "TOKEN"}, {}, "needs $TOKEN, which is not set"),
        ({"env": "TOKEN"}, {"TOKEN": ""}, "empty"),
        ({"env": "TOKEN"}, {"TOKEN": " \n"}, "empty"),
        ({"credential": "hook"}, {}, "$CREDENTIALS_DIRECTORY"),
        ({"credential": "../hook"}, {"CREDENTIALS_DIRECTORY": "/"}, "without a directory"),
        ({"credential": ".."}, {"CREDENTIALS_DIRECTORY": "/"}, "without a directory"),
        ({"file": "/nowhere/secret"}, {}, "no such file"),
        ({"file": "/"}, {}, "no ordinary file"),
        ({"file": "/dev/zero"}, {}, "no ordinary file"),
    ],
)
def test_a_secret_that_cannot_be_read_is_an_error(
    source: Mapping[str, str], environ: Mapping[str, str], words: str
) -> None:
    assert words in the_error(read(source, environ=environ))


def test_of_the_apps_key_that_is_not_there_yet_it_is_said_what_makes_it(tmp_path: Path) -> None:
    mends = []
    for key in ("private_key", "token"):
        (error,) = read_all({"github": {key: {"file": "none"}}}, tmp_path, {}).errors
        mends.append("`covend app create`" in error.message)
    assert mends == [True, False]


@pytest.mark.parametrize(
    ("data", "words"),
    [(b"\n", "empty"), (b"\xff\xfe", "no UTF-8"), (b"x" * (SECRET_BYTES_MAX + 1), "64KiB")],
)
def test_a_file_that_holds_no_secret_is_an_error(tmp_path: Path, data: bytes, words: str) -> None:
    private_file(tmp_path / "secret", data)
    assert words in the_error(read({"file": "secret"}, tmp_path))


def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert "no ordinary file" in the_error(read({"file": "pipe"}, tmp_path))


@pytest.mark.parametrize(
    ("mode", "warned"), [(0o600, False), (0o400, False), (0o640, True), (0o604, True)]
)
def test_a_file_that_others_can_open_is_a_warning(tmp_path: Path, mode: int, warned: bool) -> None:
    private_file(tmp_path / "secret", b"secret")
    (tmp_path / "secret").chmod(mode)
    found = read({"file": "secret"}, tmp_path)
    assert revealed(found) == "secret"
    assert [stat.S_IMODE(mode) for _ in found.cautions] == ([mode] if warned else [])
    assert all("chmod 600" in caution.message for caution in found.cautions)


@pytest.mark.parametrize("source", [{}, {"file": ""}, {"plain": "x"}, {"env": "A", "file": "b"}])
def test_what_is_no_well_formed_secret_is_left_to_the_schema(source: Mapping[str, str]) -> None:
    found = read(source)
    assert (found.secrets, found.errors) == ({}, [])


def test_every_place_for_a_secret_is_read() -> None:
    source = {"env": "X"}
    tables = {
        "admin": {"token": source},
        "github": {"token": source, "private_key": source, "webhook_secrets": [source, source]},
        "callbacks": {"a": {"secrets": [source]}},
        "sources": {"b": {"secrets": [source]}},
    }
    assert set(read_all(tables, Path("/"), {"X": pem()}).secrets) == {
        ("admin", "token"),
        ("github", "token"),
        ("github", "private_key"),
        ("github", "webhook_secrets", 0),
        ("github", "webhook_secrets", 1),
        ("callbacks", "a", "secrets", 0),
        ("sources", "b", "secrets", 0),
    }


def test_an_apps_key_that_is_none_is_an_error_that_does_not_show_it() -> None:
    tables = {"github": {"private_key": {"env": "KEY"}}}
    (error,) = read_all(tables, Path("/"), {"KEY": "no-key-at-all"}).errors
    assert error.path == ("github", "private_key")
    assert "no-key-at-all" not in error.message


# --- PEM ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        pem(),
        pem(PrivateFormat.PKCS8),
        f"a comment\n{pem()}\n",
        pem().replace("\n", "\r\n"),
    ],
)
def test_an_rsa_key_in_pem_form_is_accepted(text: str) -> None:
    assert complaint_about_private_key(text) is None


SECRET = BestAvailableEncryption(b"x")
EC = ec.generate_private_key(ec.SECP256R1())


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no private key"),
        ("ghp_0123", "no private key"),
        (pem().replace("\n", "\\n"), r"written as \n"),
        (pem()[:500], "cut off"),
        (pem().replace("MII", "NII"), "damaged"),
        ("-----BEGIN RSA PRIVATE KEY-----\n!\n-----END RSA PRIVATE KEY-----", "damaged"),
        ("\n".join(pem().split("\n")[:9] + pem().split("\n")[-2:]), "damaged"),
        (pem(encryption=SECRET), "passphrase"),
        (pem(PrivateFormat.PKCS8, SECRET), "ENCRYPTED PRIVATE KEY"),
        (
            KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode(),
            "a PUBLIC KEY",
        ),
        (
            EC.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode(),
            "no RSA key",
        ),
        (
            EC.private_bytes(
                Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()
            ).decode(),
            "an EC PRIVATE KEY",
        ),
        (pem(PrivateFormat.OpenSSH), "an OPENSSH PRIVATE KEY"),
    ],
)
def test_what_is_no_private_rsa_key_is_named(text: str, words: str) -> None:
    complaint = complaint_about_private_key(text)
    assert complaint is not None
    assert words in complaint
