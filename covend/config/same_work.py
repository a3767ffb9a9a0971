"""Keys of rules that do not tell one piece of work from another; each is a warning.

A task that is waiting, running or completed holds its key, so that a key which is always the same
lets a rule work once, and never again.
"""

from __future__ import annotations

from collections.abc import Iterator

import jinja2
from jinja2 import meta

from covend.config.github_events import COMMAND
from covend.config.locate import KeyPath
from covend.config.problems import Finding
from covend.config.rule_tables import RuleTable
from covend.core.model import Command, DeliveryId, Event, Subject, SubjectType
from covend.core.rules.keys import compile_template, template_values

DISTINCT = frozenset(
    {
        *("delivery", "comment_id", "number", "title", "ref"),
        *("head_sha", "base_sha", "head_ref", "base_ref"),
    }
)
"""Names of which another piece of work has another value."""

_SHA = "0123456789abcdef0123456789abcdef01234567"
_EVENT = Event(
    source="github",
    delivery=DeliveryId("00000000-0000-4000-8000-000000000000"),
    name="issue_comment",
    action="created",
    repository="acme/widgets",
    sender="octocat",
    ref="refs/heads/main",
    conclusion="success",
    labels=("bug",),
    comment_id=1,
    command=Command(verb="fix", text="it", actor="octocat", comment_id=1, place="issue_comment"),
)
_SUBJECT = Subject(
    type=SubjectType.PULL_REQUEST,
    number=1,
    title="A title",
    author="octocat",
    head_sha=_SHA,
    base_sha=_SHA,
    head_ref="topic",
    base_ref="main",
)


def find_key_cautions(path: KeyPath, rule: RuleTable, events: frozenset[str]) -> Iterator[Finding]:
    """Give what is unwise in one rule's `key`; `events` are the names of all that it wants."""
    if rule.key is None:
        return
    where = (*path, "key")
    try:
        tree = jinja2.Environment(autoescape=True).parse(rule.key)
        names = meta.find_undeclared_variables(tree)
        made = compile_template(rule.key)(_EVENT, _SUBJECT)
    except jinja2.TemplateError:
        return  # it is an error, and told as one
    if names - template_values(_EVENT, _SUBJECT).keys():
        return  # as well
    if not names:
        message = (
            "is the same for all work: this rule would do one task in a repository, and no other;"
            ' name what makes work differ, such as "{{ number }}:{{ head_sha }}"'
        )
        yield Finding(path=where, message=message)
    elif not made:
        message = (
            "cannot be made even where every name has a value, so that the default key is taken"
        )
        yield Finding(path=where, message=message)
    elif names == {"command"} and events and COMMAND not in events:
        message = "names command, and no event in `on` is one: the default key is taken"
        yield Finding(path=where, message=message)
    elif not names & {*DISTINCT, "command"}:
        message = (
            f"does not tell one piece of work from the next: {', '.join(sorted(names))} can be the"
            f" same again, and that work is then taken as done; add one of {_listed()}"
        )
        yield Finding(path=where, message=message)


def _listed() -> str:
    return ", ".join(sorted(DISTINCT))
