from __future__ import annotations

import click

from covend.cli import COMMANDS, exits, main
from covend.cli.examples import EXAMPLES
from docs import make_man


def test_the_page_is_what_the_commands_say() -> None:
    written = make_man.PAGE.read_text(encoding="utf-8")
    assert written == make_man.render(), "run .venv/bin/python docs/make_man.py"


def test_every_command_is_on_the_page_with_an_example() -> None:
    page = make_man.render()
    for name in COMMANDS:
        assert f"\n.SS {name} ".replace("-", "\\-") in page
        assert name in EXAMPLES, f"give {name} an example in covend/cli/examples.py"


def test_an_example_is_one_that_the_command_line_understands() -> None:
    """Its options, that is: nothing is carried out."""
    context = click.Context(main, info_name="covend")
    for name in COMMANDS:
        command = main.get_command(context, name)
        assert command is not None
        known = {"--help", "--config", *_options(command)}
        for example in EXAMPLES[name]:
            words = example.partition(" | ")[0].split()
            assert words[:2] == ["covend", name]
            assert {word for word in words if word.startswith("--")} <= known, example


def test_the_help_of_a_command_within_a_command_ends_with_its_examples() -> None:
    app = main.get_command(click.Context(main), "app")
    assert isinstance(app, click.Group)
    for name, each in app.commands.items():
        assert f"  {EXAMPLES[f'app {name}'][0]}" in (each.epilog or "").splitlines()


def _options(command: click.Command) -> set[str]:
    inner = command.commands.values() if isinstance(command, click.Group) else ()
    own = {option for one in command.params for option in (*one.opts, *one.secondary_opts)}
    return own.union(*map(_options, inner))


def test_every_exit_code_is_on_the_page() -> None:
    codes = {value for value in vars(exits).values() if isinstance(value, int)}
    assert codes <= make_man.EXITS.keys()


def test_a_line_of_help_is_never_taken_for_a_request_of_roff() -> None:
    assert make_man.escape(".ini files\n-x\\y") == "\\&.ini files\n\\-x\\ey"
