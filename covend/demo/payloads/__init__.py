"""Webhook payloads of our own, in the shape and size of GitHub's.

scene = payloads.scene(now=now, serial=4711, head_sha=head, base_sha=base)
body = payloads.encode(payloads.SAMPLES["pull_request.opened"](scene))
headers = payloads.signed(body, secret, "pull_request", str(uuid4()))
"""

from covend.demo.payloads.events import SAMPLES, Builder, find_sample
from covend.demo.payloads.scene import (
    AUTHOR,
    CI,
    COVEND,
    MAINTAINER,
    OWNER,
    TILL,
    repository_named,
    scan_pull,
    scene,
)
from covend.demo.payloads.signing import HOOK_ID, encode, signed

__all__ = [
    "AUTHOR",
    "CI",
    "COVEND",
    "HOOK_ID",
    "MAINTAINER",
    "OWNER",
    "SAMPLES",
    "TILL",
    "Builder",
    "encode",
    "find_sample",
    "repository_named",
    "scan_pull",
    "scene",
    "signed",
]
