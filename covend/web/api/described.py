"""What routes of the API say of themselves: parameters, bodies and answers that several have."""

from __future__ import annotations

from collections.abc import Iterable

from covend.web.api import schemas
from covend.web.api.query import LIMIT_DEFAULT, LIMIT_MAX, PHRASE_MAX
from covend.web.api.wishes import REASON_MAX, SCOPE_MAX
from covend.web.routes import Answer, Parameter, Schema

PRINTABLE = r"^[^\x00-\x1f\x7f]*$"


def limit() -> Parameter:
    """Describe how many items a page has."""
    bounds = {"minimum": 1, "maximum": LIMIT_MAX, "default": LIMIT_DEFAULT}
    return Parameter(name="limit", schema={"type": "integer", **bounds}, about="Items of a page.")


def cursor(pattern: str) -> Parameter:
    """Describe where a page begins."""
    words = "Where the page begins: a `next_cursor` of this list."
    return Parameter(name="cursor", schema={**schemas.TEXT, "pattern": f"^{pattern}$"}, about=words)


ID_CURSOR = cursor("[0-9a-z]{1,32}")
NUMBER_CURSOR = cursor("[0-9]{1,18}")


def named(name: str, words: str, names: Iterable[str]) -> Parameter:
    """Describe a parameter that is one of a fixed set of names."""
    return Parameter(name=name, schema=schemas.one_of(names), about=words)


def text(name: str, words: str) -> Parameter:
    """Describe a parameter that is some text."""
    return Parameter(name=name, schema=schemas.TEXT, about=words)


def phrase(name: str, words: str) -> Parameter:
    """Describe a parameter that is searched for."""
    return Parameter(name=name, schema={**schemas.TEXT, "maxLength": PHRASE_MAX}, about=words)


def moment(name: str, words: str) -> Parameter:
    """Describe a parameter that is a moment."""
    schema = {"type": "string", "format": "date-time"}
    return Parameter(name=name, schema=schema, about=words)


def flag(name: str, words: str) -> Parameter:
    """Describe a parameter that is 1 or 0."""
    schema = {"type": "integer", "minimum": 0, "maximum": 1, "default": 0}
    return Parameter(name=name, schema=schema, about=words)


def item(name: str, words: str) -> Answer:
    """Describe an answer that is one noun."""
    return Answer(about=words, schema=schemas.ref(name))


def items(name: str) -> Answer:
    """Describe an answer that is a list of nouns."""
    return Answer(about="A page of them.", schema=schemas.page_of(name))


def refusal(words: str) -> Answer:
    """Describe an answer that is an error."""
    return Answer(about=words, schema=schemas.ref("Problem"))


def fields(**members: Schema) -> Schema:
    """Describe a body: an object with these fields alone, none of which must be there."""
    return {"type": "object", "properties": members, "additionalProperties": False}


REASON = {
    "type": ["string", "null"],
    "maxLength": REASON_MAX,
    "pattern": PRINTABLE,
    "description": "Your own words, for the timeline and the audit.",
}
SCOPE = {
    "type": ["string", "null"],
    "maxLength": SCOPE_MAX,
    "pattern": PRINTABLE,
    "description": "all, rule:NAME, agent:NAME or repository:OWNER/NAME; all where it is missing.",
}
WHY = fields(reason=REASON)
WHAT_AND_WHY = fields(scope=SCOPE, reason=REASON)
