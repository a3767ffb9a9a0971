"""Senders beside GitHub, and requests as each of them signs; payloads as their documentation shows
them.
"""

from __future__ import annotations

import base64
import hmac
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from covend.core.intake import Accepted, fold, read_foreign
from covend.core.model import Trust
from covend.core.outside import Source, SourceKind
from covend.core.secret import Secret
from covend.core.sources.request import Refused

NOW = 1_614_265_330_000
"""The moment of the example of Standard Webhooks."""
SECONDS = str(NOW // 1000)
ENCODED = "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
KEY = base64.b64decode(ENCODED)
WHSEC = Secret(f"whsec_{ENCODED}")
PLAIN = Secret("It's a Secret to Everybody")
UUID = "f6266f16-1bf3-46a5-9ea4-602e06ead473"
HEAD = "bffeb74224043ba2feb48d137756c8a9331c449a"
BEFORE = "28e1879d029cb852e4844d9c718537df08844e03"
JSON = "application/json"


@dataclass(frozen=True)
class Kind:
    """A sender, and how it makes the headers of a request."""

    source: Source
    headers: Callable[[bytes], dict[str, str]]

    def read(self, body: bytes, now: int = NOW, /, **changed: str | None) -> Accepted | Refused:
        return read(self.source, self.headers(body), body, now, **changed)


def read(
    source: Source,
    headers: Mapping[str, str],
    body: bytes,
    now: int = NOW,
    /,
    **changed: str | None,
) -> Accepted | Refused:
    """Let a request in; a keyword (`webhook_id`) replaces a header, None leaves it out."""
    whole = {**headers, **{name.replace("_", "-"): value for name, value in changed.items()}}
    given = [(name, value) for name, value in whole.items() if value is not None]
    return read_foreign(source, fold(given), body, now)


def accepted(answer: Accepted | Refused) -> Accepted:
    assert isinstance(answer, Accepted), answer
    return answer


def refused(answer: Accepted | Refused) -> tuple[int, str]:
    assert isinstance(answer, Refused), answer
    return answer.status, answer.code


def hexed(body: bytes, algorithm: str = "sha256", key: str = PLAIN.reveal()) -> str:
    return hmac.digest(key.encode(), body, algorithm).hex()


def standard_headers(
    body: bytes, *, delivery: str = "msg_1", seconds: str = SECONDS, key: bytes = KEY
) -> dict[str, str]:
    digest = hmac.digest(key, f"{delivery}.{seconds}.".encode() + body, "sha256")
    return {
        "content-type": JSON,
        "webhook-id": delivery,
        "webhook-timestamp": seconds,
        "webhook-signature": f"v1,{base64.b64encode(digest).decode()}",
    }


def gitea_headers(body: bytes, *, event: str = "pull_request", of: str = "gitea") -> dict[str, str]:
    return {
        "content-type": JSON,
        f"x-{of}-event": event,
        f"x-{of}-delivery": UUID,
        f"x-{of}-signature": hexed(body),
    }


def gitlab_headers(_body: bytes) -> dict[str, str]:
    return {
        "content-type": JSON,
        "x-gitlab-token": PLAIN.reveal(),
        "x-gitlab-event": "Merge Request Hook",
        "x-gitlab-event-uuid": UUID,
        "idempotency-key": "908a6d9e-45fd-46c8-97e6-c4f350f219dd",
    }


def signed_headers(body: bytes) -> dict[str, str]:
    return {
        "content-type": JSON,
        "x-signature": f"sha256={hexed(body)}",
        "x-event": "build.done",
        "x-request-id": "17",
    }


def source(kind: SourceKind, *secrets: Secret, name: str = "them", **more: Any) -> Source:
    return Source(name=name, kind=kind, secrets=secrets or (PLAIN,), **more)


STANDARD = Kind(source(SourceKind.STANDARD_WEBHOOKS, WHSEC), standard_headers)
SIGNED = Kind(
    source(
        SourceKind.HMAC,
        header="x-signature",
        prefix="sha256=",
        event_header="x-event",
        id_header="x-request-id",
        trust=Trust.MEMBER,
    ),
    signed_headers,
)
GITEA = Kind(source(SourceKind.GITEA), gitea_headers)
GITLAB = Kind(source(SourceKind.GITLAB), gitlab_headers)
SIGNING_GITLAB = Kind(
    source(SourceKind.GITLAB, WHSEC),
    lambda body: {**standard_headers(body), "x-gitlab-event": "Push Hook"},
)
KINDS = {
    "standard": STANDARD,
    "hmac": SIGNED,
    "gitea": GITEA,
    "gitlab": GITLAB,
    "signing gitlab": SIGNING_GITLAB,
}


def dumped(payload: Any) -> bytes:
    return json.dumps(payload).encode()


GITEA_USER = {"id": 1, "login": "gitea", "full_name": "Gitea", "username": "gitea"}
GITEA_REPOSITORY = {
    "id": 140,
    "owner": GITEA_USER,
    "name": "webhooks",
    "full_name": "gitea/webhooks",
    "html_url": "http://localhost:3000/gitea/webhooks",
    "clone_url": "http://localhost:3000/gitea/webhooks.git",
    "default_branch": "master",
}
GITEA_PUSH = {
    "ref": "refs/heads/develop",
    "before": BEFORE,
    "after": HEAD,
    "commits": [
        {
            "id": HEAD,
            "message": "Webhooks Yay!",
            "url": f"http://localhost:3000/gitea/webhooks/commit/{HEAD}",
            "author": {"name": "Gitea", "email": "someone@gitea.io", "username": "gitea"},
            "added": [],
            "removed": [],
            "modified": ["README.md"],
        }
    ],
    "total_commits": 1,
    "head_commit": {
        "id": HEAD,
        "message": "Webhooks Yay!\n\nMore.",
        "url": f"http://localhost:3000/gitea/webhooks/commit/{HEAD}",
        "author": {"name": "Gitea", "username": "gitea"},
    },
    "repository": GITEA_REPOSITORY,
    "pusher": GITEA_USER,
    "sender": GITEA_USER,
}
GITEA_PULL = {
    "action": "opened",
    "number": 7,
    "pull_request": {
        "id": 90,
        "number": 7,
        "user": GITEA_USER,
        "title": "Sort the drawer",
        "body": "It was not sorted.",
        "labels": [{"id": 3, "name": "till"}],
        "state": "open",
        "draft": False,
        "html_url": "http://localhost:3000/gitea/webhooks/pulls/7",
        "updated_at": "2026-11-21T12:00:00Z",
        "head": {"ref": "sorting", "sha": HEAD, "repo": GITEA_REPOSITORY},
        "base": {"ref": "master", "sha": BEFORE, "repo": GITEA_REPOSITORY},
    },
    "repository": GITEA_REPOSITORY,
    "sender": GITEA_USER,
}
GITLAB_PROJECT = {
    "id": 1,
    "name": "Gitlab Test",
    "web_url": "http://example.com/gitlabhq/group/gitlab-test",
    "git_http_url": "http://example.com/gitlabhq/group/gitlab-test.git",
    "path_with_namespace": "gitlabhq/group/gitlab-test",
    "default_branch": "master",
}
GITLAB_USER = {"id": 51, "name": "Administrator", "username": "root"}
GITLAB_MERGE = {
    "object_kind": "merge_request",
    "event_type": "merge_request",
    "user": GITLAB_USER,
    "project": GITLAB_PROJECT,
    "object_attributes": {
        "id": 99,
        "iid": 1,
        "target_branch": "master",
        "source_branch": "ms-viewport",
        "source_project_id": 14,
        "target_project_id": 14,
        "author_id": 51,
        "title": "MS-Viewport",
        "updated_at": "2013-12-03 17:23:34 UTC",
        "state": "opened",
        "draft": False,
        "description": "A viewport.",
        "url": "http://example.com/diaspora/merge_requests/1",
        "source": {"path_with_namespace": "awesome_space/awesome_project"},
        "last_commit": {"id": HEAD, "message": "fixed readme"},
        "action": "open",
    },
    "labels": [{"id": 206, "title": "API"}],
}
GITLAB_PUSH = {
    "object_kind": "push",
    "before": BEFORE,
    "after": HEAD,
    "ref": "refs/heads/master",
    "user_username": "jsmith",
    "project": GITLAB_PROJECT,
    "commits": [
        {
            "id": HEAD,
            "message": "fixed readme\n\nand more",
            "url": f"http://example.com/mike/diaspora/commit/{HEAD}",
            "added": ["CHANGELOG"],
            "modified": ["app/controller.rb"],
            "removed": [],
        }
    ],
    "total_commits_count": 1,
}
