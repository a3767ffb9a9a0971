"""Makes deduplication keys: two events that ask one rule for the same work get one key.

The same work is the same rule, repository, subject and head. Events about a comment or review add
its id, since the second comment is not the first one said again; where nothing else tells two
events apart (no subject, or a head that nobody knows yet) the delivery's id does. `opened`,
`synchronize` and `ready_for_review` of one head therefore share a key. The end of a task asks for
its followers once, so that the event's id is added, which is made of task and generation; so is
that of a submission, which is made of its `Idempotency-Key`, and of itself alone where it has none.
What all checks of a head have come to is about that head alone, whichever check was the last. A key
is held per generation: whoever wants the same work once more (a re-request, `retry`, a replay)
raises the generation in the store, and the key stays.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from urllib.parse import quote

from jinja2 import StrictUndefined
from jinja2.sandbox import ImmutableSandboxedEnvironment

from covend.core.model import Event, Subject, SubjectType

TEMPLATED_MAX = 200
"""Characters of a rendered template that a key shows; a longer one is replaced by its SHA-256."""

MakeKey = Callable[[Event, Subject, str | None], str]
"""The last argument is the name by which all checks of a head are asked for, if they are."""

Render = Callable[[Event, Subject], str | None]

_ENVIRONMENT = ImmutableSandboxedEnvironment(undefined=StrictUndefined, autoescape=False)


def prepare_key(rule: str, template: str | None) -> MakeKey:
    """Prepare a rule's keys; they begin with the rule and the repository, template or not.

    jinja2.TemplateSyntaxError for a template that cannot be read; one that fails at work (an
    unknown name), or says nothing, gives the default key.
    """
    prefix = quote(rule, safe="")
    render = compile_template(template) if template is not None else None

    def make(event: Event, subject: Subject, of_checks: str | None) -> str:
        chosen = render(event, subject) if render else None
        own = f"key:{chosen}" if chosen else _tell_apart(event, subject, of_checks)
        if chosen and event.rule is not None:
            own = f"{own}:{event.delivery}"
        return f"{prefix}:{_name_repository(event)}:{own}"

    return make


def compile_template(template: str) -> Render:
    """Compile a `key` template over the names of `template_values`."""
    compiled = _ENVIRONMENT.from_string(template)

    def render(event: Event, subject: Subject) -> str | None:
        # It computes with strangers' words: whatever it stumbles over must not stop the delivery.
        try:
            text = compiled.render(template_values(event, subject)).strip()
        except Exception:  # noqa: BLE001
            return None
        fits = len(text) <= TEMPLATED_MAX
        return text if fits else hashlib.sha256(text.encode(errors="replace")).hexdigest()

    return render


def template_values(event: Event, subject: Subject) -> dict[str, object]:
    """Give the names that a `key` template may use; what is not known is empty text."""
    command = event.command
    values = {
        "repository": event.repository,
        "event": event.name,
        "action": event.action,
        "delivery": event.delivery,
        "sender": event.sender,
        "ref": event.ref,
        "conclusion": event.conclusion,
        "labels": event.labels,
        "comment_id": event.comment_id,
        "command": {"verb": command.verb, "text": command.text} if command else None,
        "subject": subject.type,
        "number": subject.number,
        "title": subject.title,
        "author": subject.author,
        "head_sha": subject.head_sha,
        "base_sha": subject.base_sha,
        "head_ref": subject.head_ref,
        "base_ref": subject.base_ref,
    }
    return {name: "" if value is None else value for name, value in values.items()}


def _name_repository(event: Event) -> str:
    """Give the id, which survives a renaming, else the name, whose case means nothing."""
    return str(event.repository_id or (event.repository or "-").lower())


def _tell_apart(event: Event, subject: Subject, of_checks: str | None) -> str:
    if of_checks is not None:
        return f"{of_checks}:{subject.head_sha}"
    parts = [subject.type.value]
    if subject.number is not None:
        parts.append(str(subject.number))
    if subject.head_sha is not None:
        parts.append(subject.head_sha)
    if event.comment_id is not None:
        parts.append(f"{event.name}:{event.comment_id}")
    elif event.parent is not None or event.rule is not None or _is_vague(subject):
        parts.append(event.delivery)
    return ":".join(parts)


def _is_vague(subject: Subject) -> bool:
    if subject.type is SubjectType.ISSUE:
        return subject.number is None
    return subject.head_sha is None
