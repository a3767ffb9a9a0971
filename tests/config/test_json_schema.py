from __future__ import annotations

import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

from covend.config.json_schema import json_schema
from covend.config.schema import ConfigTable
from covend.config.walk import walk
from tests.config.files import GOOD, look

ROOT = Path(__file__).parents[2]
SHIPPED = [ROOT / "config.example.toml", *sorted((ROOT / "examples").glob("*.toml"))]
SCHEMA = json_schema()


def wrong(text: str) -> list[str]:
    """Where the schema says that a text is wrong."""
    found = Draft202012Validator(SCHEMA).iter_errors(tomllib.loads(text))
    return [error.json_path for error in found]


def nodes(node: Any) -> Iterator[dict[str, Any]]:
    if isinstance(node, dict):
        yield node
    for one in node.values() if isinstance(node, dict) else node:
        if isinstance(one, dict | list):
            yield from nodes(one)


def test_it_is_a_json_schema() -> None:
    Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("file", SHIPPED, ids=lambda file: str(file.name))
def test_the_shipped_examples_pass_it(file: Path) -> None:
    assert wrong(file.read_text()) == []


@pytest.mark.parametrize("entry", walk(), ids=lambda entry: str(entry.name))
def test_every_key_says_what_it_is_for(entry: Any) -> None:
    said = entry.field.description
    assert said, f"write a docstring below {entry.name} in its table"
    assert said.strip()[0].isupper()
    assert said.strip().endswith(".")


def test_every_key_of_the_schema_has_a_description_with_its_default() -> None:
    keys = [
        (name, one)
        for node in nodes(SCHEMA)
        if "additionalProperties" in node
        for name, one in node.get("properties", {}).items()
    ]
    assert len(keys) > 120
    for name, one in keys:
        assert one["description"], name
        if one.get("default") not in (None, [], {}):
            assert "Default: " in one["description"], name


def test_it_knows_nothing_that_toml_has_not() -> None:
    assert [node for node in nodes(SCHEMA) if node.get("type") == "null"] == []
    assert [node for node in nodes(SCHEMA) if "default" in node and node["default"] is None] == []


def test_defaults_are_written_as_people_write_them() -> None:
    retention = SCHEMA["$defs"]["RetentionTable"]["properties"]
    assert retention["deliveries"]["default"] == "30d"
    assert SCHEMA["$defs"]["AgentLimitsTable"]["properties"]["output"]["default"] == "64MiB"


def test_its_defaults_are_what_an_empty_file_has() -> None:
    """As written, so that the file with all of them says what the file without any does."""
    tables = {
        "limits": "LimitsTable",
        "server": "ServerTable",
        "admin": "AdminTable",
    }
    written = {
        section: {
            key: node["default"]
            for key, node in SCHEMA["$defs"][name]["properties"].items()
            if "default" in node
        }
        for section, name in tables.items()
    }
    assert ConfigTable.model_validate(written).model_dump() == ConfigTable().model_dump()


PLANTED = [
    ("[limits]\nconcurency = 2", "$.limits"),
    ("[limits]\nconcurrency = 0", "$.limits.concurrency"),
    ('[limits]\nconcurrency = "4"', "$.limits.concurrency"),
    ("[limits]\nlease = 90", "$.limits.lease"),
    ('[limits]\nlease = "90 seconds"', "$.limits.lease"),
    ('[limits]\nworkspaces = "10GB"', "$.limits.workspaces"),
    ("[store]\nretention = { logs = 0 }", "$.store.retention.logs"),
    ('[admin]\ntoken = "secret"', "$.admin.token"),
    ('[admin]\ntoken = { env = "A", file = "b" }', "$.admin.token"),
    ('[agents."two words"]\npreset = "claude"', "$.agents"),
    ('[agents.x]\npreset = "cloude"', "$.agents.x.preset"),
    ('[agents.x]\nexit_codes = { "x" = "retry" }', "$.agents.x.exit_codes"),
    ("[schedules]\nname = 'a'", "$.schedules"),
    ('[[rules]]\nname = "a"', "$.rules[0]"),
    ('[[rules]]\nname = "a"\nagent = "x"\ntimezone = "UTC"', "$.rules[0]"),
    ('[[rules]]\nname = "a"\nagent = "x"\nprompt = "review"', "$.rules[0].prompt"),
    ('[[rules]]\nname = "a"\nagent = "x"\ntrust = { fork = "holdd" }', "$.rules[0].trust.fork"),
    ('[[rules]]\nname = "a"\nagent = "x"\nwhen = { draft = "no" }', "$.rules[0].when.draft"),
    ('[sources.x]\nkind = "gitea"\nsecrets = []', "$.sources.x.secrets"),
]


@pytest.mark.parametrize(("text", "place"), PLANTED, ids=[place for _, place in PLANTED])
def test_it_refuses_a_planted_mistake_and_so_does_the_check(
    tmp_path: Path, text: str, place: str
) -> None:
    assert wrong(text) == [place]
    assert look(tmp_path, f"{GOOD}{text}\n", secrets=False).errors


@pytest.mark.parametrize(
    "text",
    [
        '[[rules]]\nname = "a"\nagent = "x"\ntrust = { fork = "hold" }',
        '[[rules]]\nname = "a"\nagent = "x"\nwhen = { labels = "bug", paths = ["a"] }',
        '[[rules]]\nname = "a"\nagent = "x"\nwhen.payload = { a.b = true, "c.d" = ["x"] }',
        '[safeguards]\nrate = [{ per = "rule,subject", max = 1, window = "1m" }]',
        '[github]\nwebhook_secrets = [{ env = "A" }]\nreconcile_every = 0',
    ],
)
def test_it_accepts_every_way_in_which_a_value_may_be_written(text: str) -> None:
    assert wrong(text) == []
