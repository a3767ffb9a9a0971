"""Judges GitLab's webhook requests: by the secret token that it repeats, or by its signing token;
what their payloads tell is read in `gitlab_event`.

A secret that begins with `whsec_` is a signing token, and signs by Standard Webhooks; any other one
is a secret token, which proves who sends and says nothing of the body.

https://docs.gitlab.com/user/project/integrations/webhooks/
"""

from __future__ import annotations

import hmac
from dataclasses import replace

from covend.core.model import Moment
from covend.core.outside import Source
from covend.core.sources import standard
from covend.core.sources.request import Headers, Refused

TOKEN = "x-gitlab-token"  # noqa: S105 (the name of a header)
TOKEN_MAX = 1_024

BAD_TOKEN = Refused(
    status=401,
    code="bad_signature",
    message="X-Gitlab-Token or webhook-signature is missing, doubled, or of another secret.",
)


def check_head(headers: Headers) -> Refused | None:
    """Refuse what cannot be signed, by the headers alone."""
    if _is_token(headers.get(TOKEN, "")):
        return None
    if standard.SIGNATURE in headers:
        return standard.check_head(headers)
    return BAD_TOKEN


def refuse(source: Source, headers: Headers, body: bytes, now: Moment) -> Refused | None:
    """Refuse what neither repeats a secret token nor is signed by a signing token."""
    signing = tuple(each for each in source.secrets if _is_signing(each.reveal()))
    tokens = [each.reveal() for each in source.secrets if each not in signing]
    if _repeats(headers.get(TOKEN, ""), tokens):
        return None
    if standard.SIGNATURE not in headers:
        return BAD_TOKEN
    return standard.refuse(replace(source, secrets=signing), headers, body, now)


def id_of(headers: Headers, body_sha256: str) -> str:
    """Give an id that all tries of one delivery have, and no other one.

    `X-Gitlab-Event-UUID` alone is that of all webhooks which one event has set off in turn.
    """
    own = headers.get(standard.ID) or headers.get("idempotency-key")
    return own or f"{headers.get('x-gitlab-event-uuid', '')} {body_sha256}"


def _is_signing(secret: str) -> bool:
    return secret.startswith(standard.SECRET_PREFIX)


def _is_token(text: str) -> bool:
    return 0 < len(text) <= TOKEN_MAX and text.isascii()


def _repeats(given: str, tokens: list[str]) -> bool:
    """Say whether it is one of the secrets; nothing is none of them, not even of an empty one."""
    if not _is_token(given):
        return False
    wanted = [token.encode(errors="surrogateescape") for token in tokens]
    return any(hmac.compare_digest(each, given.encode()) for each in wanted)
