"""GitHub's own description of its API, held against what is asked and what is answered.

Only tests import this file: `openapi-schema-validator` is a dependency of theirs. Without a
description the stand-in answers all the same.
"""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from openapi_schema_validator import OAS30Validator, oas30_format_checker

from covend.demo.records import JsonObject

_ONE_OF = ("oneOf", "anyOf")
_CHOICES = (*_ONE_OF, "allOf")
_MESSAGE_MAX = 300


@dataclass(slots=True)
class Description:
    """An OpenAPI 3.0 document; schemas are prepared once, on first use."""

    document: JsonObject
    _components: JsonObject = field(init=False)
    _validators: dict[tuple[str, ...], OAS30Validator | None] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._components = _mended(self.document["components"])

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a description from disk."""
        return cls(json.loads(path.read_text(encoding="utf-8")))

    def request_fault(self, method: str, path: str, body: object) -> str | None:
        """Say what a request body has that the operation does not allow, or None.

        Fields that the description does not name count as misspelt.
        """
        key = (method, path, "request")
        if key not in self._validators:
            schema = self._schema(method, path, "requestBody")
            self._validators[key] = self._validator(self._closed(schema) if schema else None)
        return _first_error(self._validators[key], {} if body is None else body)

    def response_fault(self, method: str, path: str, status: int, body: object) -> str | None:
        """Say where an answer falls short of the description, or None."""
        key = (method, path, str(status))
        if key not in self._validators:
            schema = self._schema(method, path, "responses", str(status))
            self._validators[key] = self._validator(schema)
        return _first_error(self._validators[key], body)

    def _schema(self, method: str, path: str, *steps: str) -> JsonObject | None:
        found: Any = self.document["paths"].get(path, {}).get(method.lower(), {})
        for step in (*steps, "content", "application/json", "schema"):
            found = self._followed(found).get(step, {})
        return found or None

    def _followed(self, schema: JsonObject) -> JsonObject:
        while "$ref" in schema:
            found: Any = self.document
            for step in schema["$ref"].removeprefix("#/").split("/"):
                found = found[step.replace("~1", "/").replace("~0", "~")]
            schema = found
        return schema

    def _closed(self, schema: JsonObject) -> JsonObject:
        """Copy a schema with `additionalProperties: false` wherever it says nothing on them."""
        closed = dict(self._followed(schema))
        if "properties" in closed:
            parts = closed["properties"].items()
            closed["properties"] = {name: self._closed(part) for name, part in parts}
            closed.setdefault("additionalProperties", False)
        if isinstance(closed.get("items"), dict):
            closed["items"] = self._closed(closed["items"])
        for name in _ONE_OF:
            if name in closed:
                closed[name] = [self._closed(part) for part in closed[name]]
        return closed

    def _validator(self, schema: JsonObject | None) -> OAS30Validator | None:
        if schema is None:
            return None
        whole = {**_mended(schema), "components": self._components}
        return OAS30Validator(whole, format_checker=oas30_format_checker)


def _mended(schema: Any) -> Any:
    """Copy a schema so that `nullable` means what GitHub does.

    OpenAPI 3.0 lets null only beside a `type` and inside an `enum`; GitHub's description says
    `nullable` alone, and answers null. It also writes `allOf` for "a user or an enterprise".
    """
    if isinstance(schema, list):
        return [_mended(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    mended = {name: _mended(part) for name, part in schema.items()}
    if mended.get("nullable") is not True:
        return mended
    if isinstance(mended.get("enum"), list):
        return mended | {"enum": [*mended["enum"], None]}
    choices = [part for name in _CHOICES for part in mended.pop(name, ())]
    return mended | ({"anyOf": [{"enum": [None]}, *choices]} if choices else {})


def _first_error(validator: OAS30Validator | None, instance: object) -> str | None:
    if validator is None:
        return None
    for error in validator.iter_errors(instance):
        place = "/".join(str(step) for step in error.absolute_path)
        return f"{place or 'body'}: {error.message}"[-_MESSAGE_MAX:]
    return None
