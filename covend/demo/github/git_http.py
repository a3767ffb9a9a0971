"""git's smart HTTP: clone, fetch and push, answered by git itself.

https://git-scm.com/docs/http-protocol
"""

import subprocess
from types import MappingProxyType

from covend.demo.git import clean_environment
from covend.demo.github.answers import Answer, Refused
from covend.demo.github.auth import ANYONE, Kind, require, require_repository
from covend.demo.github.routes import Call, get, in_thread, post
from covend.demo.github.state import Hosted

SERVICES = MappingProxyType(
    {"git-upload-pack": "contents:read", "git-receive-pack": "contents:write"}
)
"""What a client may ask for, and the permission it takes."""

TIMEOUT_S = 120.0
_VERSION_2 = b"000eversion 2"


async def advertise(call: Call) -> Answer:
    """Answer the first request of a clone, fetch or push: which refs there are."""
    service = call.query.get("service", "")
    hosted = _admitted(call, service)
    output = await _run(call, hosted, service, "--advertise-refs")
    if not output.startswith(_VERSION_2):
        line = f"# service={service}\n".encode()
        output = f"{len(line) + 4:04x}".encode() + line + b"0000" + output
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
