"""The key pair of the demonstration's App."""

from dataclasses import dataclass
from functools import cache

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class AppKey:
    """An RSA key pair in PEM: the App keeps `private`, GitHub keeps `public`."""

    private: str
    public: str


def new_key() -> AppKey:
    """Make a fresh key pair; takes a tenth of a second."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    private = key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return AppKey(private=private.decode(), public=public.decode())


@cache
def demo_key() -> AppKey:
    """Make one key pair for the life of this process."""
    return new_key()
