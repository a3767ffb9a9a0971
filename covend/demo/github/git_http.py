"""git's smart HTTP: clone, fetch and push, answered by git itself; what GitHub alone refuses is
taken back, and refused in its words.

https://git-scm.com/docs/http-protocol
"""

import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from types import MappingProxyType

from covend.demo.git import clean_environment, git
from covend.demo.github.answers import Answer, Refused
from covend.demo.github.auth import ANYONE, Kind, require, require_repository
from covend.demo.github.routes import Call, get, in_thread, post
from covend.demo.github.state import Hosted

SERVICES = MappingProxyType(
    {"git-upload-pack": "contents:read", "git-receive-pack": "contents:write"}
)
"""What a client may ask for, and the permission it takes."""

WORKFLOWS = ".github/workflows/"
TIMEOUT_S = 120.0
_VERSION_2 = b"000eversion 2"
_NOTHING = "0" * 40
_COMMAND = re.compile(rb"[0-9a-f]{4}([0-9a-f]{40}) ([0-9a-f]{40}) (refs/[^\0\n]+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Update:
    """What a push wants to do to one ref; forty zeros stand for none."""

    old: str
    new: str
    ref: str


async def advertise(call: Call) -> Answer:
    """Answer the first request of a clone, fetch or push: which refs there are."""
    service = call.query.get("service", "")
    hosted = _admitted(call, service)
    output = await _run(call, hosted, service, "--advertise-refs")
    if not output.startswith(_VERSION_2):
        output = _packet(f"# service={service}\n") + b"0000" + output
    return Answer(body=output, headers=_headers(service, "advertisement"))


async def upload_pack(call: Call) -> Answer:
    """Send what a clone or fetch wants."""
    hosted = _admitted(call, "git-upload-pack")
    output = await _run(call, hosted, "git-upload-pack")
    return Answer(body=output, headers=_headers("git-upload-pack", "result"))


async def receive_pack(call: Call) -> Answer:
    """Take a push, then bring the pull requests' refs up to date."""
    hosted = _admitted(call, "git-receive-pack")
    output = await _run(call, hosted, "git-receive-pack")
    refused = await in_thread(_take_back, call, hosted)
    if refused:
        output = _report(refused)
    await in_thread(hosted.refresh_pulls)
    return Answer(body=output, headers=_headers("git-receive-pack", "result"))


def _admitted(call: Call, service: str) -> Hosted:
    need = SERVICES.get(service)
    if need is None:
        raise Refused(403, "Please upgrade your git client.")
    hosted, caller = call.hosted, call.credential
    private = hosted.repository.private
    if caller.kind is Kind.ANONYMOUS:
        if private or service == "git-receive-pack":
            ask = {"WWW-Authenticate": 'Basic realm="GitHub"'}
            raise Refused(401, "Requires authentication", headers=ask)
        return hosted
    require(caller, (need,))
    require_repository(caller, hosted.full_name, private=private)
    return hosted


# --- what GitHub refuses and git would not --------------------------------------------------------


def _take_back(call: Call, hosted: Hosted) -> dict[str, str]:
    """Put every ref back where it was if one of them is refused; say why of each that is."""
    updates = [each for each in _updates(call.body) if hosted.git.resolve(each.ref) == each.new]
    for update in updates:
        _put(hosted, update.ref, update.old)
    refused = {each.ref: why for each in updates if (why := _objection(call, hosted, each))}
    for update in updates:
        if not refused:
            _put(hosted, update.ref, update.new)
    return refused


def _objection(call: Call, hosted: Hosted, update: Update) -> str | None:
    branch = update.ref.removeprefix("refs/heads/")
    if any(fnmatchcase(branch, glob) for glob in hosted.protected):
        return "protected branch hook declined"
    if call.credential.kind is Kind.INSTALLATION and not call.credential.allows("workflows:write"):
        changed = next(_changed_workflows(hosted, update.new), None)
        words = "refusing to allow a GitHub App to create or update workflow"
        return f"{words} `{changed}` without `workflows` permission" if changed else None
    return None


def _changed_workflows(hosted: Hosted, sha: str) -> Iterator[str]:
    """Name the workflows that commits change which no branch has yet."""
    if sha == _NOTHING:
        return
    told = git(hosted.git.path, "log", "-m", "--format=", "--name-only", sha, "--not", "--branches")
    yield from (path for path in told.decode().splitlines() if path.startswith(WORKFLOWS))


def _updates(body: object) -> list[Update]:
    """Read the commands that stand before the pack."""
    commands = body.partition(b"PACK")[0] if isinstance(body, bytes) else b""
    return [
        Update(old=old.decode(), new=new.decode(), ref=ref.decode())
        for old, new, ref in _COMMAND.findall(commands)
    ]


def _put(hosted: Hosted, ref: str, sha: str) -> None:
    if sha == _NOTHING:
        hosted.git.delete_ref(ref)
    else:
        hosted.git.set_ref(ref, sha)


def _report(refused: dict[str, str]) -> bytes:
    """Tell a client what became of its push, on the band that reports have."""
    lines = ["unpack ok\n", *(f"ng {ref} {why}\n" for ref, why in refused.items())]
    report = b"".join(map(_packet, lines)) + b"0000"
    return f"{len(report) + 5:04x}".encode() + b"\x01" + report + b"0000"


def _packet(line: str) -> bytes:
    data = line.encode()
    return f"{len(data) + 4:04x}".encode() + data


# --- git ------------------------------------------------------------------------------------------


async def _run(call: Call, hosted: Hosted, service: str, *options: str) -> bytes:
    argv = ("git", service.removeprefix("git-"), "--stateless-rpc", *options)
    done = await in_thread(
        subprocess.run,
        [*argv, str(hosted.git.path)],
        input=call.body if isinstance(call.body, bytes) else b"",
        capture_output=True,
        env=clean_environment() | {"GIT_PROTOCOL": call.headers.get("Git-Protocol", "")},
        timeout=TIMEOUT_S,
        check=False,
    )
    return done.stdout


def _headers(service: str, part: str) -> dict[str, str]:
    return {"Content-Type": f"application/x-{service}-{part}", "Cache-Control": "no-cache"}


_ROOT = "/{owner}/{repo}.git"

ROUTES = (
    get(f"{_ROOT}/info/refs", advertise, ANYONE),
    post(f"{_ROOT}/git-upload-pack", upload_pack, ANYONE),
    post(f"{_ROOT}/git-receive-pack", receive_pack, ANYONE),
)
