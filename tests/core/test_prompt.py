from __future__ import annotations

from typing import Any

import pytest

from covend.core.contract.prompt import PROMPT_BYTES_MAX, check_template, render
from covend.core.errors import PromptError

BRIEF: dict[str, Any] = {
    "contract": 1,
    "task": {"id": "t", "rule": "review", "attempt": 1},
    "event": {"source": "github", "name": "pull_request", "action": "opened", "delivery": "d"},
    "repository": {"full_name": "acme/widget", "default_branch": "main", "url": "https://x/w"},
    "subject": {"type": "pull_request", "number": 7, "title": "{{ 7 * 7 }} <b>", "head_sha": "a"},
    "command": None,
    "trust": "write",
    "prompt": "",
    "previous": {"session": None, "result": None},
    "deadline": 1,
}


def rendered(template: str, **brief: Any) -> str:
    return render(template, {**BRIEF, **brief}, result_path="/x/r.json", brief_path="/x/b.json")


def test_the_brief_and_the_paths_stand_in_the_template() -> None:
    text = rendered("{{ repository.full_name }}#{{ subject.number }} {{ result_path }} {{ trust }}")
    assert text == "acme/widget#7 /x/r.json write"


def test_a_title_is_a_value_and_never_a_template_nor_html() -> None:
    assert rendered("{{ subject.title }}") == "{{ 7 * 7 }} <b>"


def test_the_schema_of_the_result_is_at_hand() -> None:
    assert '"needs_input"' in rendered("{{ result_schema }}")


@pytest.mark.parametrize("title", ["/clear", "  /clear", "\n\t/x"])
def test_a_prompt_never_begins_with_a_slash(title: str) -> None:
    text = rendered("{{ subject.title }}", subject={"title": title})
    assert not text.lstrip().startswith("/")
    assert text.endswith(title)


def test_a_lone_surrogate_does_not_reach_a_pipe() -> None:
    rendered("x{{ subject.title }}", subject={"title": "\ud800"}).encode()


@pytest.mark.parametrize(
    "template",
    [
        "{{ nonesuch }}",
        "{{ subject.nonesuch }}",
        "{{ command.text }}",
        "{{ 1 / 0 }}",
        "{{ subject.title.__class__.__mro__ }}",
        "{{ task.update({'id': 1}) }}",
        "{{ deadline + trust }}",
        "{% include 'x' %}",
        "",
        " \n",
        "{% for i in range(100000) %}{{ subject.title * 100 }}{% endfor %}",
    ],
)
def test_what_cannot_be_rendered_is_a_prompt_error(template: str) -> None:
    with pytest.raises(PromptError):
        rendered(template)


def test_a_prompt_may_be_just_as_large_as_the_limit() -> None:
    assert len(rendered("x" * PROMPT_BYTES_MAX)) == PROMPT_BYTES_MAX
    with pytest.raises(PromptError, match="larger"):
        rendered("x" * (PROMPT_BYTES_MAX + 1))


@pytest.mark.parametrize(
    "template",
    [
        "plain",
        "{{ subject.title }}{% if command %}{{ command.text }}{% endif %}",
        "{% for c in previous.result.items() %}{{ c }}{% endfor %}{{ result_schema }}",
        "{% set task_id = task.id %}{{ task_id }}",
    ],
)
def test_a_good_template_has_no_complaint(template: str) -> None:
    assert check_template(template) is None


@pytest.mark.parametrize(
    ("template", "complaint"),
    [
        ("a\n{{ subject.title", "line 2: "),
        ("a\nb\n{{ subjetc.title }}", "line 3: unknown name 'subjetc', did you mean 'subject'?"),
        (
            "\n{{ subject.titel }}",
            "line 2: unknown name 'subject.titel', did you mean 'title'?",
        ),
        ("{{ zzz }}", "line 1: unknown name 'zzz' (there are: brief_path, command"),
        ("{{ trust | nonesuch }}", "line 1: No filter named 'nonesuch'"),
        ("{% include 'x' %}", "line 1: a prompt cannot include"),
        ("{% endif %}", "line 1: "),
    ],
)
def test_a_bad_template_is_named_with_its_line(template: str, complaint: str) -> None:
    assert (check_template(template) or "").startswith(complaint)
