from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from covend.telemetry.notify import notify, take_address


def received(name: str, told: str) -> bytes:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(name)
        listener.settimeout(5)
        notify(told, "READY=1")
        return listener.recv(100)


def test_systemd_is_told(tmp_path: Path) -> None:
    path = str(tmp_path / "notify")
    assert received(path, path) == b"READY=1"


def test_an_address_without_a_file_begins_with_an_at_sign() -> None:
    name = f"covend-test-{os.getpid()}"
    assert received(f"\0{name}", f"@{name}") == b"READY=1"


@pytest.mark.parametrize("address", [None, "", "/no/such/socket"])
def test_where_nobody_listens_nothing_happens(address: str | None) -> None:
    notify(address, "READY=1")


def test_no_child_inherits_the_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", "/run/it")
    assert take_address() == "/run/it"
    assert "NOTIFY_SOCKET" not in os.environ
    assert take_address() is None
