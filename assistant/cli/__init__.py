"""The command line: one file a noun; each reads its arguments, makes one call and prints.

A command's module is imported when the command is called, so that `--help` and the quick ones stay quick.
"""

import gc
import importlib
import os
import sys
from collections.abc import Sequence

import click

from assistant.cli.signals import HungUp, hang_ups_raise
from assistant.cli.terminal import Output, steady_streams
from assistant.settings import PROFILE
from memory.errors import Failure
from tools import usual

# Command: its module in this package (and its name there, where it is not `command`), and the line that
# `assistant --help` shows.
COMMANDS = {
    "chat": ("chat", "Talk; the conversation is remembered."),
    "ask": ("ask", "Ask one question and print the answer alone."),
    "recall": ("recall", "Find what was said before."),
    "why": ("why", "Say what an answer rests on."),
    "trace": ("trace", "Show what happened in a turn, step by step."),
    "usage": ("usage", "Sum up tokens, money and time."),
    "pending": ("pending", "List what waits for your approval."),
    "approve": ("pending:approve", "Say yes to what waits, and go on."),
    "deny": ("pending:deny", "Say no to what waits, and go on."),
    "remember": ("remember", "Note something by hand."),
    "forget": ("forget", "Take things out of the memory, for good, and prove it."),
    "memory": ("memory", "See, accept, edit, pin and undo what is remembered as facts."),
    "sessions": ("sessions", "List, show or summarize conversations."),
    "backup": ("backup", "Copy the memory, and put a copy back."),
    "export": ("export_", "Write the memory to a file: md, json or jsonl."),
    "import": ("import_", "Read conversations from a file."),
    "eval": ("eval_", "Measure recall with cases of your own."),
    "models": ("models", "The models there are, and how to get more."),
    "config": ("config", "Show and change settings."),
    "profiles": ("profiles", "Separate lives, each with its own memory."),
    "encrypt": ("encrypt", "Encrypt the memory, or change its key."),
    "decrypt": ("encrypt:decrypt", "Write the memory in plain again."),
    "doctor": ("doctor", "Check the memory, and mend it."),
}
EXIT_ERROR, EXIT_INTERRUPTED = 1, 130


class Commands(click.Group):
    """A group that imports a command when it is called, and takes anything else as a question to ask."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The commands in the order of a day's use."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of this name, imported now."""
        if cmd_name not in COMMANDS:
            return None
        file, _, name = COMMANDS[cmd_name][0].partition(":")
        command: click.Command = getattr(importlib.import_module(f"assistant.cli.{file}"), name or "command")
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """A known command, or `ask` with all the words. A likely slip of the pen is not sent to a model."""
        name = args[0]
        if name not in COMMANDS and not name.startswith("-"):
            if near := likely(name):
                asked = f"To ask it: assistant ask {name} ..."
                raise click.UsageError(f"There is no command {name!r}. Did you mean {near!r}? {asked}")
            return "ask", self.get_command(ctx, "ask"), args
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list of commands, without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])


def likely(word: str) -> str | None:
    """The command that a word is a likely slip of. Slips keep the first letter; so "what" is a question, not `chat`."""
    first = [name for name in COMMANDS if name[0] == word[:1].lower()]
    if not first:
        return None
    import difflib

    return next(iter(difflib.get_close_matches(word.lower(), first, 1, cutoff=0.75)), None)


def show_version(ctx: click.Context, _option: click.Parameter, wanted: bool) -> None:
    """Print the version and leave; a tree that was never installed has none."""
    if not wanted:
        return
    from importlib.metadata import PackageNotFoundError, version

    try:
        click.echo(f"assistant {version('assistant')}")
    except PackageNotFoundError:
        click.echo("assistant, not installed")
    ctx.exit()


@click.group(
    cls=Commands,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 80},
)
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=show_version, help="Show the version."
)
@click.option("-v", "--verbose", is_flag=True, expose_value=False, help="Show the whole traceback of an error.")
@click.option("-p", "--profile", metavar="NAME", envvar=PROFILE, help="The separate life to use; see `profiles`.")
@click.pass_context
def group(ctx: click.Context, profile: str | None) -> None:
    """A personal assistant that remembers.

    Alone it is `chat` at a terminal, and `ask` when something is piped in or a question is given.
    """
    if profile is not None:
        from assistant.cli import profiles

        profiles.choose(ctx, profile)
    if ctx.invoked_subcommand is None:
        name = "chat" if sys.stdin.isatty() else "ask"
        ctx.invoke(group.get_command(ctx, name))  # type: ignore[arg-type]


def main(args: Sequence[str] | None = None) -> None:
    """The console script: run a command, and leave with its exit code.

    A failure is one line on stderr with its remedy; the traceback comes with -v alone.
    """
    words = list(sys.argv[1:] if args is None else args)
    usual.umask = os.umask(0o077)  # what libraries write is private, too; what tools make for their owner is as usual
    code = run(words, verbose=bool({"-v", "--verbose"} & set(words[:4])))
    # All that is left goes with the process. To look through it for garbage once more is a tenth of a quick command.
    gc.freeze()
    sys.exit(code)


def run(words: list[str], verbose: bool) -> int:
    """Run a command line and return the process's exit code."""
    try:
        # What group.main() adds is click's own view of interrupts and of readers that left, with other exit codes.
        with hang_ups_raise(), steady_streams(), group.make_context("assistant", list(words)) as ctx:
            result = group.invoke(ctx)
    except click.exceptions.Exit as leave:
        return leave.exit_code
    except HungUp as hung_up:
        return hung_up.exit_code
    except (KeyboardInterrupt, click.Abort):
        return EXIT_INTERRUPTED
    except Exception as error:  # noqa: BLE001  the outermost handler: what nobody foresaw is one line, too
        if verbose:
            import traceback

            traceback.print_exc()
        else:
            Output().error(f"assistant: {told(error)}")
        return error.exit_code if isinstance(error, Failure | click.ClickException) else EXIT_ERROR
    return result if isinstance(result, int) else 0


def told(error: Exception) -> str:
    """An error as the one line that a person is told."""
    if isinstance(error, click.UsageError) and error.ctx:
        return f"{error.format_message()} See: {error.ctx.command_path} --help"
    if isinstance(error, click.ClickException):
        return error.format_message()
    if isinstance(error, Failure):
        return str(error)
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename or 'Cannot write'}: {error.strerror}."
    return f"{type(error).__name__}: {error}. `assistant -v ...` shows where."
