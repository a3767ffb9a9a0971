"""The shipped examples are what they say: each passes `covend check` as it stands, routes what its
tests name, and is listed among the recipes.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import orjson
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from covend.cli.samples import make_all
from covend.config.load import inspect

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
NAMES = sorted(path.name for path in EXAMPLES.glob("*.toml"))
SECRET = "whsec_YW4gZXhhbXBsZSBzZWNyZXQgb2YgdGhpcnR5LXR3byE="
ENVIRON = {
    "COVEND_WEBHOOK_SECRET": SECRET,
    "GITLAB_SECRET": SECRET,
    "CI_SECRET": SECRET,
    "BRIDGE_SECRET": SECRET,
    "ANTHROPIC_API_KEY": "an example of a key",
    "OPENAI_API_KEY": "another example of a key",
}
_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
_STARTED_BY_NO_PAYLOAD = {"nightly-audit.toml", "other-senders.toml"}
"""A schedule's tick has none, and `[[tests]]` read GitHub's alone."""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The examples as somebody would install them: in a folder with the App's key."""
    folder = tmp_path_factory.mktemp("installed") / "examples"
    shutil.copytree(EXAMPLES, folder)
    key = folder / "app.pem"
    key.touch(mode=0o600)
    key.write_bytes(
        _KEY.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    )
    return folder


def test_there_are_at_least_ten_examples() -> None:
    assert len(NAMES) >= 10


@pytest.mark.parametrize("name", NAMES)
def test_an_example_has_neither_errors_nor_warnings(installed: Path, name: str) -> None:
    found = inspect(installed / name, ENVIRON)
    assert found.errors == ()
    assert found.warnings == ()


@pytest.mark.parametrize("name", NAMES)
def test_an_example_that_a_payload_can_start_has_tests(installed: Path, name: str) -> None:
    config = inspect(installed / name, ENVIRON).config
    assert config is not None
    assert bool(config.tests) is (name not in _STARTED_BY_NO_PAYLOAD)


@pytest.mark.parametrize("name", NAMES)
def test_an_example_s_own_tests_hold(installed: Path, name: str) -> None:
    settings = inspect(installed / name, ENVIRON).settings
    assert settings is not None
    assert [made.mismatches for made in make_all(settings)] == [()] * len(settings.tests)


@pytest.mark.parametrize("name", NAMES)
def test_an_example_confines_every_agent(installed: Path, name: str) -> None:
    config = inspect(installed / name, ENVIRON).config
    assert config is not None
    assert {agent.sandbox for agent in config.agents.values()} == {"bubblewrap"}


@pytest.mark.parametrize("name", NAMES)
def test_the_recipes_tell_of_every_example(name: str) -> None:
    assert f"(../examples/{name})" in (ROOT / "docs/recipes.md").read_text()


def test_no_payload_or_prompt_lies_there_unused() -> None:
    texts = "".join((EXAMPLES / name).read_text() for name in NAMES)
    used = set(re.findall(r'"((?:payloads|prompts)/[^"]+)"', texts))
    folders = (EXAMPLES / "payloads", EXAMPLES / "prompts")
    there = {str(path.relative_to(EXAMPLES)) for folder in folders for path in folder.iterdir()}
    assert used == there


def test_every_payload_is_an_object_of_a_repository() -> None:
    for path in (EXAMPLES / "payloads").iterdir():
        assert orjson.loads(path.read_bytes())["repository"]["full_name"] == "acme/till"
