"""Work that an operator submits by the API: one rule by name, on a repository or a thing in it.

Refuses what is no submission, field by field, in words for whoever has sent it. By the public
listener nothing comes in from this source, whoever signs it. What it writes is stored like any
delivery, and read again as it was.

The payload, of which every value but the rule and the repository may be null:

    rule            the rule's name
    repository      id, full_name, default_branch, clone_url
    installation    id
    number          of the pull request or issue; which of them it is, is looked up later
    head_sha        the commit that is meant
    inputs          whatever its sender wants the agent to know
    request_sha256  of what was asked for, so that a repetition can be told from another request

Whoever holds the token is the operator: the trust is `admin`, and nobody is its sender.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import orjson
from msgspec import Struct
from msgspec import field as struct_field

from covend.core.errors import UserError
from covend.core.model import (
    DeliveryId,
    Envelope,
    Event,
    Json,
    Repository,
    Subject,
    SubjectType,
    Trust,
)
from covend.core.rules import facts
from covend.core.sources import own
from covend.core.sources.kept import headers_of, read_ask_again
from covend.core.sources.request import Headers, Refused

NAME = "api"
EVENT = "submission"
FIELDS = ("rule", "repository", "number", "head_sha", "inputs")
INPUTS_BYTES_MAX = 16 << 10
KEY_MAX = 255
"""Characters of an `Idempotency-Key`."""

BAD_RECORD = Refused(
    status=400, code="bad_record", message="This is not what covend has written of a submission."
)

check_head = own.check_head
verify = own.verify


class Submission(Struct, frozen=True, kw_only=True):
    """What is asked for, with every field checked."""

    rule: str
    repository: str
    number: int | None = None
    head_sha: str | None = None
    inputs: Json = struct_field(default_factory=dict)


# --- what is asked for ----------------------------------------------------------------------------


def read_submission(given: Mapping[str, object]) -> Submission:
    """Check what was sent, and give it; raises UserError, which names the field."""
    if unknown := given.keys() - set(FIELDS):
        there = ", ".join(FIELDS)
        raise UserError(f"There is no field {min(unknown)!r} here: there are {there}.")
    return Submission(
        rule=_read_rule(given.get("rule")),
        repository=_read_repository(given.get("repository")),
        number=_read_number(given.get("number")),
        head_sha=_read_head(given.get("head_sha")),
        inputs=_read_inputs(given.get("inputs")),
    )


def read_key(given: str | None) -> str | None:
    """Check an `Idempotency-Key`; None where there is none. Raises UserError."""
    if given is None:
        return None
    if not 0 < len(given) <= KEY_MAX or not (given.isascii() and given.isprintable()):
        message = f"Idempotency-Key must be 1 to {KEY_MAX} printable characters of ASCII."
        raise UserError(message, name="Idempotency-Key")
    return given


def sha256_of(submission: Submission) -> str:
    """Tell two requests apart by what they ask for, however it was written."""
    asked = {
        "rule": submission.rule,
        "repository": submission.repository.lower(),
        "number": submission.number,
        "head_sha": submission.head_sha,
        "inputs": submission.inputs,
    }
    return hashlib.sha256(orjson.dumps(asked, option=orjson.OPT_SORT_KEYS)).hexdigest()


def _read_rule(value: object) -> str:
    rule = facts.name(value)
    if rule is None:
        raise UserError("rule must be the name of a rule.", name="rule")
    return rule


def _read_repository(value: object) -> str:
    repository = facts.repository(value)
    if repository is None:
        raise UserError("repository must be OWNER/NAME.", name="repository")
    return repository


def _read_number(value: object) -> int | None:
    number = facts.number(value)
    if number is None and value is not None:
        message = "number must be the number of a pull request or issue, from 1 on."
        raise UserError(message, name="number")
    return number


def _read_head(value: object) -> str | None:
    if value is None:
        return None
    head_sha = facts.sha(value.lower()) if isinstance(value, str) else None
    if head_sha is None:
        message = "head_sha must be a whole commit id: 40 or 64 hexadecimal digits."
        raise UserError(message, name="head_sha")
    return head_sha


def _read_inputs(value: object) -> Json:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise UserError("inputs must be an object of names and values.", name="inputs")
    for name, each in value.items():
        _check_input(name, each)
    if len(orjson.dumps(value)) > INPUTS_BYTES_MAX:
        size = INPUTS_BYTES_MAX >> 10
        raise UserError(f"inputs must have {size} KiB of JSON at most.", name="inputs")
    return value


def _check_input(name: str, value: object) -> None:
    if facts.name(name) is None:
        message = f"A name of inputs must be 1 to {facts.NAME_MAX} printable characters."
        raise UserError(message, name="inputs")
    if isinstance(value, dict | list):
        message = f"inputs must be flat: {name} is a {'list' if isinstance(value, list) else 'set'}"
        raise UserError(f"{message} of values.", name="inputs")
    if isinstance(value, str) and "\0" in value:
        raise UserError(f"inputs: {name} has a NUL in it.", name="inputs")


# --- what is written ------------------------------------------------------------------------------


def submitted(submission: Submission, repository: Repository, delivery: DeliveryId) -> Envelope:
    """Write down what is asked for, in the repository as it is known."""
    body = orjson.dumps(
        {
            "rule": submission.rule,
            "repository": {
                "id": repository.id,
                "full_name": repository.full_name,
                "default_branch": repository.default_branch,
                "clone_url": repository.clone_url,
            },
            "installation": {"id": repository.installation_id},
            "number": submission.number,
            "head_sha": submission.head_sha,
            "inputs": submission.inputs,
            "request_sha256": sha256_of(submission),
        }
    )
    opened = reopen(headers_of(EVENT, delivery), body)
    assert not isinstance(opened, Refused)
    return opened


# --- what is read ---------------------------------------------------------------------------------


def reopen(headers: Headers, body: bytes) -> Envelope | Refused:
    """Read again what was stored."""
    return read_ask_again(headers, body, source=NAME, event=EVENT, otherwise=BAD_RECORD)


def asks_for(envelope: Envelope, submission: Submission) -> bool:
    """Say whether what was stored asks for the very same."""
    return envelope.payload.get("request_sha256") == sha256_of(submission)


def read_event(envelope: Envelope, mention: str | None) -> Event:  # noqa: ARG001
    """Read what the rule is asked for; it commands nothing, so `mention` is not listened to."""
    payload = facts.mapping(envelope.payload)
    repository = facts.mapping(payload.get("repository"))
    return Event(
        source=NAME,
        delivery=envelope.delivery,
        name=envelope.event,
        installation_id=facts.number(facts.mapping(payload.get("installation")).get("id")),
        repository_id=facts.number(repository.get("id")),
        repository=facts.repository(repository.get("full_name")),
        default_branch=facts.name(repository.get("default_branch")),
        clone_url=facts.name(repository.get("clone_url")),
        rule=facts.name(payload.get("rule")),
        inputs=facts.mapping(payload.get("inputs")),
        trust=Trust.ADMIN,
        subject=_subject(facts.number(payload.get("number")), facts.sha(payload.get("head_sha"))),
        payload=envelope.whole,
    )


def _subject(number: int | None, head_sha: str | None) -> Subject:
    """Take what has a number for a pull request, until somebody has looked."""
    kind = SubjectType.PULL_REQUEST
    if number is None:
        kind = SubjectType.NONE if head_sha is None else SubjectType.COMMIT
    return Subject(type=kind, number=number, head_sha=head_sha)
