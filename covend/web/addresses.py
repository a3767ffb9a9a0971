"""Says where a running covend listens; refuses to open anything itself."""

from __future__ import annotations

from dataclasses import dataclass

from aiohttp import web

from covend.core.secret import Secret


@dataclass(frozen=True, slots=True, kw_only=True)
class Addresses:
    """Both listeners, as URLs (`unix:PATH` for a socket)."""

    public: str
    admin: str
    admin_token: Secret


def url_of(runner: web.BaseRunner) -> str:
    """Give the URL of the first address that a runner listens at."""
    host, port, *_ = runner.addresses[0]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
