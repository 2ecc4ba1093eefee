"""A fact in its owner's editor: a private file under the home, and what became of it."""

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path

import click

from assistant.cli.screen import asked
from assistant.cli.terminal import Output
from assistant.editing import Edited, as_text, from_text
from memory.errors import BadInput, Failure
from memory.files import locked, private_file
from memory.records import Fact


@contextlib.contextmanager
def editing(fact: Fact, home: Path, output: Output) -> Iterator[Edited | None]:
    """What the owner made of a fact, to be carried out inside; None where nothing was written.

    A file that cannot be understood is opened again at a terminal. Elsewhere, or if its owner gives up, or if it cannot
    be carried out, it stays and is named. Raises BadInput then, and Failure where the editor fails.
    """
    with locked(home / "locks" / "edit.lock", wait_s=0) as mine:
        if not mine:
            raise Failure("A fact is open in an editor already, in another terminal.", "Finish there, or use --text.")
        for left in home.glob("edit-*.txt"):  # of a process that was killed: whoever edits holds the lock
            left.unlink(missing_ok=True)
        path = private_file(home / f"edit-{fact.id}.txt")
        try:
            path.write_text(as_text(fact), encoding="utf-8", newline="\n")
            yield _until_read(path, fact, output)
        except BadInput as error:
            kept = path.replace(home / f"unread-{fact.id}.txt")
            raise BadInput(error.message, f"Nothing was changed; what you wrote is in {kept}.") from error
        finally:
            path.unlink(missing_ok=True)


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
    """Wait until the editor is closed. VISUAL and EDITOR may have arguments, as "code --wait"."""
    try:
        click.edit(filename=str(path))
    except (click.ClickException, ValueError) as error:  # ValueError: its quotes do not match
        told = error.format_message() if isinstance(error, click.ClickException) else str(error)
        raise Failure(f"The editor failed, and nothing was changed: {told}.", "Set EDITOR, or use --text.") from error


def _read(path: Path) -> str:
    """The file's text. Raises BadInput where it is none."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadInput("The file is not UTF-8 any more.") from error
    except OSError as error:
        raise Failure(f"The file is gone, and nothing was changed: {error.strerror}.") from error
