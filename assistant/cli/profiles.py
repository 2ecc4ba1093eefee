"""`assistant profiles`, and the option -p: separate lives, each a home of its own, of which nothing is shared."""

import os
import sys

import click

from assistant import settings as settings_file
from assistant.cli.terminal import Output, confirm
from assistant.settings import PROFILE
from memory.errors import BadInput, NothingFound, Refused
from memory.files import PROFILES, private_folder


@click.group(invoke_without_command=True)
@click.pass_context
def command(ctx: click.Context) -> None:
    """Separate lives: each has its own memory, settings and log. Choose one with -p NAME."""
    if ctx.invoked_subcommand is None:
        ctx.invoke(list_)


@command.command("list")
def list_() -> None:
    """List the profiles and where they lie. One without a name is what is used without -p."""
    base = settings_file.base_folder(os.environ)
    rows = [("", str(base)), *((name, str(base / PROFILES / name)) for name in _names())]
    chosen = os.environ.get(PROFILE, "")
    Output().table(["profile", "folder", "chosen"], [(*row, "yes" if row[0] == chosen else "") for row in rows])


@command.command()
@click.argument("name")
def add(name: str) -> None:
    """Make a new profile, which knows nothing yet."""
    if settings_file.profile_name(name) in _names():
        raise BadInput(f"There is a profile {name!r} already.", f"Use it: assistant -p {name} chat")
    _make(name)
    Output().note(f"Made. Use it: assistant -p {name} chat")


def choose(ctx: click.Context, name: str) -> None:
    """Let the command have this profile, if there is one; at a terminal it can be made on the spot.

    It is told to all parts, and to programs that tools begin, by the environment variable, until the command has ended.
    Raises BadInput for what is no name, NothingFound for an unknown profile, Refused where it is not to be made.
    """
    if settings_file.profile_name(name) not in _names() and ctx.invoked_subcommand != "profiles":
        _offer(name)
    before = os.environ.get(PROFILE)
    os.environ[PROFILE] = name
    ctx.find_root().call_on_close(lambda: _restore(before))


def _restore(before: str | None) -> None:
    if before is None:
        os.environ.pop(PROFILE, None)
    else:
        os.environ[PROFILE] = before


def _offer(name: str) -> None:
    """Ask whether to make a profile: a slip of the pen must not begin an empty life."""
    import difflib

    near = difflib.get_close_matches(name, _names(), 1)
    meant = f" Did you mean {near[0]}?" if near else ""
    if not at_terminal():
        raise NothingFound(f"There is no profile {name!r}.{meant}", f"To make it: assistant profiles add {name}")
    if not confirm(f"There is no profile {name!r}.{meant} Make it, with a memory of its own?"):
        raise Refused("Nothing was made.", "See `assistant profiles`.")
    _make(name)


def at_terminal() -> bool:
    """Whether somebody can be asked."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def _make(name: str) -> None:
    folder = settings_file.base_folder(os.environ) / PROFILES / name
    for each in (folder.parent, folder):
        if each.is_symlink() or (each.exists() and not each.is_dir()):
            raise BadInput(f"{each} is a link or a file: no profile can lie there.", "Move it away.")
    private_folder(folder)


def _names() -> list[str]:
    return settings_file.profiles(os.environ)
