"""Which of git's failures are worth another try, and which mean that a mirror is broken."""

from __future__ import annotations

import pytest

from covend.edges.workspace.faults import Fault, fault_in

SAID = [
    ("fatal: unable to access 'https://x/': Could not resolve host: x", Fault.PASSING),
    ("fatal: unable to access 'https://x/': Failed to connect to x port 443", Fault.PASSING),
    ("error: RPC failed; curl 92 HTTP/2 stream 5 was not closed cleanly", Fault.PASSING),
    ("fetch-pack: unexpected disconnect while reading sideband packet", Fault.PASSING),
    ("fatal: unable to access 'https://x/': The requested URL returned error: 502", Fault.PASSING),
    ("fatal: unable to access 'https://x/': The requested URL returned error: 429", Fault.PASSING),
    ("error: cannot fork to run index-pack: Resource temporarily unavailable", Fault.PASSING),
    ("remote: Repository not found.\nfatal: repository 'https://x/' not found", Fault.REFUSED),
    ("fatal: unable to access 'https://x/': The requested URL returned error: 403", Fault.REFUSED),
    ("fatal: Authentication failed for 'https://x/'", Fault.REFUSED),
    ("fatal: remote error: upload-pack: not our ref " + "f" * 40, Fault.REFUSED),
    ("fatal: couldn't find remote ref refs/heads/x", Fault.REFUSED),
    ("fatal: not a git repository: '/m'", Fault.BROKEN),
    ("error: object file objects/aa/bb is empty\nfatal: bad object HEAD", Fault.BROKEN),
    ("fatal: packed object aa (stored in p.pack) is corrupt", Fault.BROKEN),
    ("fatal: unable to read tree " + "f" * 40, Fault.BROKEN),
    ("remote: error: object file objects/aa/bb is empty", Fault.OTHER),
    ("error: unable to create file fatal: not a git repository: x", Fault.OTHER),
    ("fatal: malformed mode in tree entry", Fault.OTHER),
    ("fatal: Out of memory, malloc failed", Fault.OTHER),
    ("", Fault.OTHER),
]


@pytest.mark.parametrize(("said", "fault"), SAID)
def test_a_fault_is_known_by_what_git_says(said: str, fault: Fault) -> None:
    assert fault_in(said) is fault
