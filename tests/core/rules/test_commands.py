from __future__ import annotations

import pytest

from covend.core.rules.commands import TEXT_MAX, read_command


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("@covend review", ("review", "")),
        ("@covend review ", ("review", "")),
        ("/covend fix the tests", ("fix", "the tests")),
        ("/covend\tfix", ("fix", "")),
        ("@CovEnd Review this", ("review", "this")),
        (
            "\r\n\n  @covend fix\r\nline one\r\n\r\nline two\r\n",
            ("fix", "line one\r\n\r\nline two"),
        ),
        ("@covend re-run-2 now", ("re-run-2", "now")),
        ("@covend " + "v" * 32, ("v" * 32, "")),
        ("@covend " + "v" * 33, None),
        ("@covend 2fast", None),
        ("@covend -fix", None),
        ("@covend fix.", None),
        ("@covend f\N{LATIN SMALL LETTER DOTLESS I}x", None),
        ("@covend", None),
        ("@covend\nfix", None),
        ("@covend: fix", None),
        ("@covend-bot fix", None),
        ("@covender fix", None),
        ("/covender fix", None),
        ("thanks @covend fix", None),
        ("> @covend fix", None),
        ("- @covend fix", None),
        ("```\n@covend fix\n```", None),
        ("`@covend fix`", None),
        ("    @covend fix", None),
        ("\n\t@covend fix", None),
        ("    \n@covend fix", ("fix", "")),
        ("<!-- x --> @covend fix", None),
        ("", None),
        (None, None),
        ("@", None),
    ],
)
def test_only_the_first_words_command(body: str | None, expected: tuple[str, str] | None) -> None:
    assert read_command(body, "covend") == expected


def test_without_a_mention_only_the_slash_commands() -> None:
    assert read_command("/covend fix", None) == ("fix", "")
    assert read_command("@covend fix", None) is None
    assert read_command("@None fix", None) is None


def test_a_mention_is_taken_by_the_letter() -> None:
    assert read_command("@covendXdev fix", "covend.dev") is None
    assert read_command("@covend.dev fix", "covend.dev") == ("fix", "")


def test_a_text_is_cut_between_two_characters() -> None:
    found = read_command("/covend fix " + "ä" * TEXT_MAX, None)
    assert found is not None
    assert found[1] == "ä" * (TEXT_MAX // 2)


@pytest.mark.parametrize("body", [" " * 65_536, "\n " * 32_768 + "@covend", "@covend " * 8_192])
def test_a_long_body_is_read_at_once(body: str) -> None:
    for _ in range(200):  # seconds each, if it went over the body more than a few times
        read_command(body, "covend")
