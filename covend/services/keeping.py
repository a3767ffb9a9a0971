"""Runs the services of a daemon, each until its end.

Refuses to hide that one has died: without any of them covend only looks as if it worked, so its
error ends them all, and the process with them; whoever supervises it starts it again.
"""

from __future__ import annotations

from typing import Protocol

from covend.telemetry.logs import Log

log = Log("keeping")


class Service(Protocol):
    """Something that runs beside the others."""

    async def run(self) -> None:
        """Run until drained or cancelled."""
        ...


async def keep(service: Service) -> None:
    """Run a service; say which one it was that died, and raise what it died of."""
    try:
        await service.run()
    except Exception:
        log.exception("a service has died, and covend ends", service=type(service).__name__)
        raise
