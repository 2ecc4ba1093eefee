"""A fact in its owner's editor: a private file under the home, and what became of it."""

import os
import sys
from pathlib import Path

import click

from assistant.cli.screen import asked
from assistant.cli.terminal import Output
from assistant.editing import Edited, as_text, from_text
from memory.errors import BadInput, Failure
from memory.files import private_file
from memory.records import Fact


def edited(fact: Fact, home: Path, output: Output) -> Edited | None:
    """What the owner made of a fact; None where nothing was written.

    A file that cannot be understood is opened again at a terminal. Elsewhere, or if its owner gives up, it stays and is
    named. Raises BadInput then, and Failure where the editor fails.
    """
    path = private_file(home / f"edit-{fact.id}-{os.getpid()}.txt")
    path.write_text(as_text(fact), encoding="utf-8", newline="\n")
    try:
        found = _until_read(path, fact, output)
    except BadInput as error:
        raise BadInput(error.message, f"Nothing was changed; what you wrote is in {path}.") from error
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    path.unlink(missing_ok=True)
    return found


def _until_read(path: Path, fact: Fact, output: Output) -> Edited | None:
    while True:
        _open(path)
        text = _read(path)
        if not text.strip() or text == as_text(fact):
            return None
        try:
            return from_text(text, fact)
        except BadInput as error:
            if not sys.stdin.isatty():
                raise
            output.error(str(error))
            if asked("Open it again? [Y/n] ").strip().lower() in {"n", "no"}:
                raise


def _open(path: Path) -> None:
    try:
        click.edit(filename=str(path))
    except click.ClickException as error:
        told = f"The editor failed, and nothing was changed: {error.format_message()}."
        raise Failure(told, "Set EDITOR, or use --text.") from error


def _read(path: Path) -> str:
    """The file's text. Raises BadInput where it is none."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadInput("The file is not UTF-8 any more.") from error
    except OSError as error:
        raise Failure(f"The file is gone, and nothing was changed: {error.strerror}.") from error
