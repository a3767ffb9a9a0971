"""Tell the service manager how this process is: sd_notify(3) without its library.

Source: https://www.freedesktop.org/software/systemd/man/latest/sd_notify.html
"""

from __future__ import annotations

import os
import socket


def take_address() -> str | None:
    """Take $NOTIFY_SOCKET out of the environment, so that no child speaks in our name."""
    return os.environ.pop("NOTIFY_SOCKET", None)


def notify(address: str | None, state: str) -> None:
    """Send a state such as `READY=1`; without an address, or where nobody listens, do nothing."""
    if not address:
        return
    target = "\0" + address[1:] if address.startswith("@") else address
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
        try:
            sender.sendto(state.encode(), target)
        except OSError:
            return
