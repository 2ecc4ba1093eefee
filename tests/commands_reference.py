"""Writes docs/commands.md from the commands themselves: python -m tests.commands_reference"""

from collections.abc import Iterator
from pathlib import Path

import click

from assistant.cli import group

PAGE = Path(__file__).parent.parent / "docs" / "commands.md"
HEAD = """\
# Commands

What `--help` says of each command. Made by `python -m tests.commands_reference`; do not edit.

Exit codes: 0 done, 1 error, 2 usage, 3 nothing found, 4 refused, 5 a limit was reached, 6 waits for approval, 75 rate
limited, 76 key refused, 77 no model reachable, 130 interrupted. Standard output carries the data, standard error the
talk.
"""


def commands(command: click.Command, context: click.Context) -> Iterator[tuple[str, str]]:
    """Each command's name with its help, groups before what they hold."""
    yield context.command_path, context.get_help()
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            assert inner is not None
            yield from commands(inner, click.Context(inner, context, name, **command.context_settings))


def root() -> click.Context:
    """What every command line begins with."""
    return click.Context(group, info_name="assistant", **group.context_settings)


def page() -> str:
    """The whole document."""
    parts = [f"## {name}\n\n```text\n{text}\n```\n" for name, text in commands(group, root())]
    return "\n".join([HEAD, *parts])


if __name__ == "__main__":
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(page(), encoding="utf-8")
