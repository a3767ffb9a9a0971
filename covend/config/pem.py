"""Tells whether a text is the private key of a GitHub App: PEM, RSA, not encrypted. It verifies no
number in it.

GitHub hands out PKCS#1 (RFC 8017, appendix A.1.2); PKCS#8 (RFC 5958) is what other tools make of
it. A look at the outermost fields is enough to tell a wrong file, and far cheaper than to load the
key.
"""

from __future__ import annotations

import base64
import binascii
import re

_BLOCK = re.compile(r"-----BEGIN ([A-Z0-9 ]+)-----\s+(.*?)\s*-----END \1-----", re.DOTALL)
_VERSION_0 = bytes.fromhex("020100")
_RSA = bytes.fromhex("300d06092a864886f70d0101010500")
_PKCS1 = "RSA PRIVATE KEY"
_PKCS8 = "PRIVATE KEY"
_SEQUENCE = 0x30
_LONG = 0x80


def complaint_about_private_key(text: str) -> str | None:
    """Say what the text is instead of an App's private key; None where it is one."""
    block = _BLOCK.search(text)
    if block is None:
        return f"is no private key in PEM form{_hint(text)}"
    label, inner = block[1], block[2]
    if label not in {_PKCS1, _PKCS8}:
        return f"is {_article(label)} {label}, not the RSA PRIVATE KEY that GitHub gave for the App"
    if "ENCRYPTED" in inner:
        return "is encrypted with a passphrase, which covend cannot ask for"
    return _complaint_about_fields(label, _decoded(inner))


def _hint(text: str) -> str:
    if "-----BEGIN" in text and r"\n" in text:
        return r" (its line breaks are written as \n: put the file's text there as it is)"
    if "-----BEGIN" in text:
        return " (it is cut off)"
    return ""


def _article(label: str) -> str:
    return "an" if label[0] in "AEIOU" else "a"


def _decoded(inner: str) -> bytes:
    try:
        return base64.b64decode("".join(inner.split()), validate=True)
    except binascii.Error:
        return b""


def _complaint_about_fields(label: str, der: bytes) -> str | None:
    fields = _sequence(der)
    if fields is None or not fields.startswith(_VERSION_0):
        return "is a private key in PEM form that is damaged or cut off"
    if label == _PKCS8 and not fields.startswith(_VERSION_0 + _RSA):
        return "is a private key, but no RSA key, which GitHub Apps have"
    return None


def _sequence(der: bytes) -> bytes | None:
    """Give the content of a DER sequence that is all there."""
    if len(der) < 2 or der[0] != _SEQUENCE:  # noqa: PLR2004
        return None
    size_length = der[1] - _LONG if der[1] > _LONG else 0
    start = 2 + size_length
    size = int.from_bytes(der[2:start]) if size_length else der[1]
    content = der[start:]
    return content if len(content) == size else None
