"""The command line: one file a noun; each reads its arguments, makes one call and prints.

A command's module is imported when the command is called, so that `--help` and the quick ones stay quick.
"""

import difflib
import importlib
import logging
import sys
from collections.abc import Sequence
from typing import Any

import click

from assistant.cli.terminal import steady_streams
from memory.errors import Failure

# Command: its module in this package and the line that `assistant --help` shows.
COMMANDS = {
    "chat": ("chat", "Talk; the conversation is remembered."),
    "ask": ("ask", "Ask one question and print the answer alone."),
    "recall": ("recall", "Find what was said before."),
    "remember": ("remember", "Note something by hand."),
    "sessions": ("sessions", "List, show, summarize or remove conversations."),
    "export": ("export_", "Write the memory to a file: md, json or jsonl."),
    "import": ("import_", "Read conversations from a file."),
    "models": ("models", "The models there are, and how to get more."),
    "config": ("config", "Show and change settings."),
    "doctor": ("doctor", "Check the memory, and mend it."),
}
EXIT_USAGE, EXIT_INTERRUPTED = 2, 130


class Commands(click.Group):
    """A group that imports a command when it is called, and takes anything else as a question to ask."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The commands in the order of a day's use."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of this name, imported now."""
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"assistant.cli.{COMMANDS[cmd_name][0]}")
        command: click.Command = module.command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """A known command, or `ask` with all the words. A likely slip of the pen is not sent to a model."""
        name = args[0]
        if name not in COMMANDS and not name.startswith("-"):
            near = difflib.get_close_matches(name, COMMANDS, 1, cutoff=0.75)
            if near:
                ctx.fail(f"There is no command {name!r}. Did you mean {near[0]!r}? To ask it: assistant ask {name} ...")
            return "ask", self.get_command(ctx, "ask"), args
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command with streams that neither odd characters nor a reader that left can break."""
        with steady_streams():
            return super().invoke(ctx)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list of commands, without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])


@click.group(
    cls=Commands,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 80},
)
@click.version_option(package_name="assistant", prog_name="assistant")
@click.option("-v", "--verbose", is_flag=True, help="Show the whole traceback of an error.")
@click.pass_context
def group(ctx: click.Context, verbose: bool) -> None:
    """A personal assistant that remembers.

    Alone it is `chat` at a terminal, and `ask` when something is piped in or a question is given.
    """
    ctx.obj = verbose
    if ctx.invoked_subcommand is None:
        name = "chat" if sys.stdin.isatty() else "ask"
        ctx.invoke(group.get_command(ctx, name))  # type: ignore[arg-type]


def main(args: Sequence[str] | None = None) -> None:
    """The console script: run a command, and leave with its exit code.

    A failure is one line on stderr with its remedy; the traceback comes with -v alone.
    """
    words = list(sys.argv[1:] if args is None else args)
    logging.getLogger().addHandler(logging.NullHandler())
    sys.exit(run(words, verbose=bool({"-v", "--verbose"} & set(words[:2]))))


def run(words: list[str], verbose: bool) -> int:
    """Run a command line and return the process's exit code."""
    try:
        result = group.main(words, prog_name="assistant", standalone_mode=False)
    except click.exceptions.Exit as leave:
        return leave.exit_code
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (KeyboardInterrupt, click.Abort):
        return EXIT_INTERRUPTED
    except Failure as error:
        if verbose:
            raise
        click.echo(f"assistant: {error}", err=True)
        return error.exit_code
    return result if isinstance(result, int) else 0
