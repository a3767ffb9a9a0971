"""What every table of `covend.toml` is made of: no unknown keys, and no secret in plain text."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from covend.config.values import FilePath, Name, Variable, never_plain, wrong


class Table(BaseModel):
    """A table of the file: no unknown keys, and no value taken for one of another kind."""

    model_config = ConfigDict(
        extra="forbid", strict=True, frozen=True, defer_build=True, use_attribute_docstrings=True
    )


class OneOf(Table):
    """A table of which exactly one key is written."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1, "maxProperties": 1})

    @model_validator(mode="after")
    def _has_exactly_one(self) -> Self:
        if len(self.model_fields_set) != 1:
            names = ", ".join(type(self).model_fields)
            raise wrong(f"must have exactly one of {names}")
        return self


class SecretTable(OneOf):
    """Where a secret is read from."""

    file: FilePath | None = None
    """A file that holds it, with a mode that lets nobody else read it; relative to this file."""
    env: Variable | None = None
    """The variable of covend's environment that holds it."""
    credential: Name | None = None
    """The name of a credential of systemd, as in `LoadCredential=`."""


SecretSource = Annotated[SecretTable, BeforeValidator(never_plain)]
Secrets = Annotated[list[SecretSource], Field(min_length=1)]
