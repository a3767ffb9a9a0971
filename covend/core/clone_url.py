"""Which address covend clones from: the forge's own, never one that only a payload names."""

from __future__ import annotations

from ipaddress import ip_address
from urllib.parse import urlsplit

GITHUB_API_HOST = "api.github.com"
GITHUB_HOST = "github.com"


def is_own(clone_url: str, api_url: str) -> bool:
    """Say whether a clone URL belongs to the forge behind `api_url`.

    It must be https on the forge's host (`github.com` for `api.github.com`, else the same host and
    port), or
    plain http on loopback where the API itself is there; and it carries no user and no password.
    """
    clone, api = urlsplit(clone_url), urlsplit(api_url)
    if clone.username or clone.password or clone.hostname is None:
        return False
    if clone.scheme == "http" and api.scheme == "http":
        return _is_loopback(clone.hostname) and _is_loopback(api.hostname or "")
    if clone.scheme != "https" or api.scheme != "https":
        return False
    if api.hostname == GITHUB_API_HOST:
        return clone.netloc.lower() == GITHUB_HOST
    return clone.netloc.lower() in {api.netloc.lower(), api.netloc.lower().removeprefix("api.")}


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
