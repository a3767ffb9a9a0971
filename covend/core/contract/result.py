"""Reads an agent's result file; refuses what breaks the contract, and says where.

Strict about types, tolerant about the rest: unknown keys are passed over, and `null` stands for
absent, because models like to fill in every key they have seen.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from typing import Annotated, Any, Literal

import orjson
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from covend.core.ending import Finding, Result
from covend.core.errors import InvalidResultError
from covend.core.model import Conclusion, Usage

RESULT_BYTES_MAX = 1 << 20
COMMENTS_MAX = 200
LABELS_MAX = 100
ERRORS_SHOWN_MAX = 5
SEVERITIES = ["info", "warning", "error"]
_LINE_MAX = 2**31 - 1
_TOKENS_MAX = 2**53
_VALUE_SHOWN_MAX = 60

_Line = Annotated[int, Field(ge=1, le=_LINE_MAX)]
_Tokens = Annotated[int, Field(ge=0, le=_TOKENS_MAX)]
_Text = Annotated[str, Field(min_length=1)]
_ReviewEvent = Literal["comment", "approve", "request_changes"]


class _Part(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore", frozen=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _null_is_absent(cls, value: Any) -> Any:
        if not isinstance(value, Mapping):
            return value
        return {key: item for key, item in value.items() if item is not None}


def _upper(value: Any) -> Any:
    return value.upper() if isinstance(value, str) else value


def _lower(value: Any) -> Any:
    return value.lower() if isinstance(value, str) else value


class _Comment(_Part):
    path: _Text
    line: _Line
    start_line: _Line | None = None
    side: Annotated[Literal["LEFT", "RIGHT"], BeforeValidator(_upper)] = "RIGHT"
    # Any word is taken: a review is not lost because it calls a remark `nit`.
    severity: Annotated[_Text, Field(json_schema_extra={"examples": SEVERITIES})] = "info"
    body: _Text
    suggestion: str | None = None


class _Review(_Part):
    event: Annotated[_ReviewEvent, BeforeValidator(_lower)] = "comment"
    comments: list[_Comment] = Field(default=[], max_length=COMMENTS_MAX)


class _PullRequest(_Part):
    title: _Text
    body: str = ""
    draft: bool = True


class _Usage(_Part):
    input_tokens: _Tokens | None = None
    output_tokens: _Tokens | None = None
    cost_usd: Annotated[float, Field(ge=0, le=1e9)] | None = None


class _Error(_Part):
    code: _Text
    message: str = ""
    retryable: bool = False


class _File(_Part):
    conclusion: Literal["success", "failure", "neutral", "needs_input"] = "success"
    summary: str = ""
    review: _Review | None = None
    pull_request: _PullRequest | None = None
    labels: list[_Text] = Field(default=[], max_length=LABELS_MAX)
    outputs: dict[str, Any] = {}
    session: _Text | None = None
    usage: _Usage = _Usage()
    error: _Error | None = None


def parse_result(data: bytes) -> Result:
    """Read a result file of at most `RESULT_BYTES_MAX`; raises `InvalidResultError` with the path
    of each fault.
    """
    if len(data) > RESULT_BYTES_MAX:
        raise InvalidResultError(f"the result is larger than {RESULT_BYTES_MAX} bytes")
    try:
        file = _File.model_validate(_decode(data))
    except ValidationError as error:
        raise InvalidResultError(f"the result is invalid: {_faults(error)}") from None
    return _to_result(file)


def result_in(text: str) -> Result | None:
    """Read the result out of the fenced `json` block that ends a message, if there is one and it is
    valid.

    A kindness to agents that answer instead of writing the file. What stands before the block is
    the summary where the block has none of its own.
    """
    found = _split_fence(text)
    if found is None:
        return None
    before, block = found
    try:
        file = _File.model_validate(_decode(block.encode("utf-8", "replace")))
    except (ValidationError, InvalidResultError):
        return None
    # Any JSON object would do as an empty result; without one of our keys it is just a listing.
    if not file.model_fields_set:
        return None
    return _to_result(file.model_copy(update={"summary": file.summary or before.strip()}))


@cache
def result_schema_text() -> str:
    """Give the JSON Schema of the result file on one line, for a prompt."""
    return orjson.dumps(result_schema()).decode()


def result_schema() -> dict[str, Any]:
    """Give the JSON Schema of the result file, without references and titles."""
    schema = _File.model_json_schema()
    definitions = schema.pop("$defs", {})
    compact: dict[str, Any] = _compact(schema, definitions)
    return compact


def _decode(data: bytes) -> dict[str, Any]:
    try:
        value = orjson.loads(data.removeprefix(b"\xef\xbb\xbf"))
    except orjson.JSONDecodeError as error:
        raise InvalidResultError(f"the result is no JSON: {error}") from None
    if not isinstance(value, dict):
        raise InvalidResultError("the result is no JSON object")
    try:
        orjson.dumps(value)
    except orjson.JSONEncodeError as error:  # nested deeper than can be written again
        raise InvalidResultError(f"the result cannot be kept: {error}") from None
    return value


def _faults(error: ValidationError) -> str:
    faults = error.errors(include_url=False, include_context=False)
    shown = [
        f"{_path(fault['loc'])}: {fault['msg']} (got {_shown(fault['input'])})"
        for fault in faults[:ERRORS_SHOWN_MAX]
    ]
    rest = len(faults) - len(shown)
    return "; ".join(shown) + (f"; and {rest} more" if rest else "")


def _path(location: tuple[int | str, ...]) -> str:
    path = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in location)
    return path.removeprefix(".") or "result"


def _shown(value: object) -> str:
    if isinstance(value, Mapping | list):
        return "an object" if isinstance(value, Mapping) else f"a list of {len(value)}"
    text = orjson.dumps(value).decode()
    return text if len(text) <= _VALUE_SHOWN_MAX else text[: _VALUE_SHOWN_MAX - 1] + "…"


def _to_result(file: _File) -> Result:
    review = file.review
    error = file.error
    return Result(
        conclusion=Conclusion(file.conclusion),
        summary=file.summary,
        review_event=review.event if review else None,
        findings=tuple(_to_finding(comment) for comment in review.comments) if review else (),
        pull_request=file.pull_request.model_dump() if file.pull_request else None,
        labels=tuple(file.labels),
        outputs=file.outputs,
        session=file.session,
        usage=Usage(**file.usage.model_dump()),
        error_code=error.code if error else None,
        error_message=error.message if error else None,
        retryable=error.retryable if error else False,
    )


def _to_finding(comment: _Comment) -> Finding:
    values = comment.model_dump()
    return Finding(**{**values, "path": comment.path.removeprefix("./")})


_FENCE = re.compile(r"^```(json)?[ \t]*$", re.MULTILINE)


def _split_fence(text: str) -> tuple[str, str] | None:
    text = text.rstrip()
    fences = list(_FENCE.finditer(text))
    if len(fences) < 2 or fences[-1].end() != len(text) or fences[-1][1] or not fences[-2][1]:  # noqa: PLR2004
        return None
    return text[: fences[-2].start()], text[fences[-2].end() : fences[-1].start()]


def _compact(schema: Any, definitions: Mapping[str, Any]) -> Any:
    """Put each definition in its place and drop what only repeats a name."""
    if isinstance(schema, list):
        return [_compact(item, definitions) for item in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return _compact(definitions[schema["$ref"].rpartition("/")[2]], definitions)
    if "anyOf" in schema:  # always "this or null": leave out the null, which only means absent
        return _compact(schema["anyOf"][0], definitions)
    kept = {key: item for key, item in schema.items() if key not in {"title", "default"}}
    if "properties" in kept:
        fields = {key: _compact(item, definitions) for key, item in kept["properties"].items()}
        kept["properties"] = fields
    return kept if "items" not in kept else {**kept, "items": _compact(kept["items"], definitions)}
