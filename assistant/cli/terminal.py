"""The person's side of the program: what they type, and how answers, notes, lists and progress are shown.

The only door to prompt_toolkit, which is loaded by the first line that is read. stdout carries the data, stderr the
talk; streams are looked up when they are used, because the prompt puts others in their place while it is open. What
could steer a terminal is in no list, piped ones neither, since `| head` leads to one; JSON escapes it. An answer goes
into a pipe as it is.
"""

import contextlib
import functools
import io
import json
import os
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TextIO

from assistant.cli.markdown import fitted, laid_out_table, one_line, printable, printable_piece, well_formed
from assistant.cli.screen import (
    BOLD,
    DIM,
    FRAME_S,
    RED,
    Area,
    Growing,
    Plain,
    asked,
    can_redraw,
    say,
    set_in,
    size_of,
    styled,
    unechoed,
)
from memory.errors import Failure
from memory.files import private_file
from memory.visible import as_json

if TYPE_CHECKING:
    from prompt_toolkit import PromptSession
    from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent

BROKEN_PIPE = 141  # what a shell reports for a program that SIGPIPE ended
QUIET_S = 10.0


@contextlib.contextmanager
def steady_streams() -> Iterator[None]:
    """Run the program so that no character and no vanished reader (`| head`) makes its output fail."""
    for stream in (sys.stdin, sys.stdout):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        _drop_output()
        raise SystemExit(BROKEN_PIPE) from None
    except OSError:
        _drop_output()
        raise


def _drop_output() -> None:
    """Let go of what cannot be written: Python flushes once more when it ends, and would fail again."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@contextlib.contextmanager
def document_stream() -> Iterator[TextIO]:
    """Standard output for a document: UTF-8 as it is, or at a terminal without what could steer it."""
    if sys.stdout.isatty():
        held = io.StringIO()
        yield held
        sys.stdout.write(printable(held.getvalue()))
        return
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8", newline="\n")  # whatever the system's: it is read back
    yield sys.stdout


def confirm(question: str) -> bool:
    """Ask before something that cannot be undone; only "y" or "yes" is a yes."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise Failure(f"{question} Nobody can be asked here.", "Add --yes to go ahead without a question.")
    return asked(f"{printable(question)} [y/N] ").strip().lower() in {"y", "yes"}


class Terminal:
    """Reads the user's messages: a prompt with editing, history and completion; plain lines when they are piped in."""

    def __init__(
        self,
        *,
        history: Path | None = None,
        commands: Sequence[str] = (),
        prompt: str = "you> ",
        masked: Callable[[str], str] = str,
    ) -> None:
        """`masked` gives a line as its history keeps it."""
        self._history, self._masked = history, masked
        self._commands = list(commands)
        self._prompt = prompt

    def read(self) -> str | None:
        """Read one message, which may have several lines; None means that there are no more."""
        if not sys.stdin.isatty():
            return _read_piped()
        from prompt_toolkit.patch_stdout import patch_stdout

        # What a thread prints meanwhile appears above the line that is being typed. Where stdout goes to a file the
        # streams stay as they are, or the talk on stderr would land in that file.
        with patch_stdout(raw=True) if sys.stdout.isatty() else contextlib.nullcontext():
            try:
                return self._session.prompt()
            except EOFError:
                return None

    @functools.cached_property
    def _session(self) -> "PromptSession[str]":
        from prompt_toolkit import PromptSession
        from prompt_toolkit.application import get_app
        from prompt_toolkit.completion import WordCompleter
        from prompt_toolkit.filters import Condition
        from prompt_toolkit.history import FileHistory, InMemoryHistory
        from prompt_toolkit.output import create_output
        from prompt_toolkit.styles import Style

        masked = self._masked

        class Masked(FileHistory):
            def store_string(self, string: str) -> None:
                super().store_string(masked(string))

        return PromptSession(
            [("bold", self._prompt)],
            history=Masked(str(private_file(self._history))) if self._history else InMemoryHistory(),
            completer=WordCompleter(self._commands, sentence=True),
            # Where completions may appear, rows are kept free for them: only commands are worth that.
            complete_while_typing=Condition(lambda: get_app().current_buffer.text.startswith("/")),
            reserve_space_for_menu=4,
            key_bindings=_keys(),
            multiline=True,
            prompt_continuation=" " * len(self._prompt),
            style=Style.from_dict(_STYLE),
            include_default_pygments_style=False,
            enable_suspend=True,
            # stdout may go to a file; the prompt stays with the person.
            output=None if sys.stdout.isatty() else create_output(always_prefer_tty=True),
        )


# No colours of its own, so that it reads on light and dark backgrounds.
_STYLE = {
    "completion-menu": "bg:default fg:default",
    "completion-menu.completion.current": "bg:default fg:default reverse",
    "scrollbar.background": "bg:default",
    "scrollbar.button": "bg:default reverse",
}


def _keys() -> "KeyBindings":
    from prompt_toolkit.application import run_in_terminal
    from prompt_toolkit.enums import DEFAULT_BUFFER
    from prompt_toolkit.filters import has_focus
    from prompt_toolkit.key_binding import KeyBindings

    keys = KeyBindings()
    typing = has_focus(DEFAULT_BUFFER)  # not while the history is searched

    @keys.add("enter", filter=typing)
    def send(event: "KeyPressEvent") -> None:
        buffer = event.current_buffer
        if buffer.document.current_line_before_cursor.endswith("\\") and buffer.document.is_cursor_at_the_end_of_line:
            buffer.delete_before_cursor()
            buffer.newline(copy_margin=False)
            return
        # A byte that is no character would break the history file and all that is done with the message later.
        if (text := well_formed(buffer.text)) != buffer.text:
            buffer.text = text
        buffer.validate_and_handle()

    @keys.add("c-j", filter=typing)
    @keys.add("escape", "enter", filter=typing)
    def add_line(event: "KeyPressEvent") -> None:
        event.current_buffer.newline(copy_margin=False)

    @keys.add("c-c", filter=typing)
    @keys.add("<sigint>", filter=typing)
    def clear(event: "KeyPressEvent") -> None:
        if event.current_buffer.text:
            event.current_buffer.reset()
        else:
            run_in_terminal(lambda: say("Ctrl-D or /quit ends.", DIM))

    return keys


def _read_piped() -> str | None:
    line = sys.stdin.readline()
    if not line:
        return None
    message = line.rstrip("\r\n")
    while message.endswith("\\") and (line := sys.stdin.readline()):
        message = message[:-1] + "\n" + line.rstrip("\r\n")
    return message


class Answer(Protocol):
    """An answer that is being shown; `write` takes the pieces as they come."""

    def write(self, delta: str) -> None:
        """Show the next piece."""

    def close(self) -> None:
        """Let what has come stay as it is; the answer may go on below."""


class Output:
    """Shows answers, notes, lists and progress. One lock keeps what several threads print apart."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._area: Area | None = None
        self._answer: Answer | None = None

    @contextlib.contextmanager
    def answer(self) -> Iterator[Answer]:
        """Show one answer: Markdown that grows in place at a terminal, the text as it is elsewhere.

        What has come stays on the screen when the block is left by an exception, Ctrl-C among them. What is printed
        meanwhile by others, as tools of one's own and the programs they start, is beside it and no part of the answer.
        """
        with _set_apart(sys.stdout) as stream, _redirected(Aside(self.note, stream)):
            if not can_redraw(stream):
                with self._shown(Plain(stream, printable_piece if stream.isatty() else str)) as plain:
                    yield plain
                return
            with self._opened(Area(stream)) as area, self._shown(Growing(area, self._lock)) as growing:
                yield growing

    @contextlib.contextmanager
    def _shown(self, answer: Plain | Growing) -> Iterator[Answer]:
        self._answer = answer
        try:
            with contextlib.closing(answer):
                yield answer
        finally:
            self._answer = None

    @contextlib.contextmanager
    def interrupted(self) -> Iterator[None]:
        """Have the terminal for oneself while an answer is under way; what has come of it stays above."""
        with self._lock:
            if self._answer and sys.stdout.isatty():
                self._answer.close()
            yield

    def note(self, text: str) -> None:
        """Say something beside the data, in a dim line."""
        self._aside(text, DIM)

    def error(self, text: str) -> None:
        """Say that something failed, in a red line."""
        self._aside(text, RED)

    def table(self, headers: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
        """Show a list: columns that fit a terminal; elsewhere fields between tabs, below a line of their names."""
        if sys.stdout.isatty():
            width, _ = size_of(sys.stdout)
            lines = laid_out_table(headers, rows, width)
        else:
            lines = ["\t".join(map(one_line, row)) for row in [headers, *rows]]
        with self._lock:
            sys.stdout.writelines(line + "\n" for line in lines)
            sys.stdout.flush()

    def entry(self, head: str, text: str, foot: str = "") -> None:
        """Show one of several finds: a line that names it, and what it says below, set in."""
        lines = [styled(line, BOLD, sys.stdout) for line in set_in(head, sys.stdout, "")]
        lines += set_in(text, sys.stdout, "   ")
        lines += [styled(line, DIM, sys.stdout) for line in set_in(foot, sys.stdout, "   ")]
        with self._lock:
            sys.stdout.writelines(line + "\n" for line in lines)
            sys.stdout.flush()

    def lines(self, lines: Iterable[str]) -> None:
        """Show lines that are laid out already."""
        with self._lock:
            sys.stdout.writelines(printable(line) + "\n" for line in lines)
            sys.stdout.flush()

    def styled_lines(self, lines: Iterable[str]) -> None:
        """Show lines that are laid out and styled already, and can steer no terminal."""
        with self._lock:
            sys.stdout.writelines(line + "\n" for line in lines)
            sys.stdout.flush()

    def json(self, value: Any) -> None:
        """Print an object as JSON on one line; what cannot be seen or encoded is escaped, and so not lost."""
        line = as_json(value)
        try:
            line.encode(getattr(sys.stdout, "encoding", None) or "utf-8")
        except UnicodeEncodeError:
            line = json.dumps(value)
        with self._lock:
            sys.stdout.write(line + "\n")

    @contextlib.contextmanager
    def progress(self, label: str, total: float | None = None) -> Iterator["Progress"]:
        """Show how far something has come: a line that changes at a terminal, a line now and then elsewhere."""
        if can_redraw(sys.stderr) and self._area is None:
            with self._opened(Area(sys.stderr)) as area:
                yield Progress(label, total, lambda line: self._redraw(area, line), FRAME_S)
        else:
            yield Progress(label, total, lambda line: say(line, ""), QUIET_S)

    @contextlib.contextmanager
    def _opened(self, area: Area) -> Iterator[Area]:
        self._area = area
        try:
            with unechoed():
                yield area
        finally:
            with self._lock:
                area.draw([])
                self._area = None

    def _redraw(self, area: Area, line: str) -> None:
        with self._lock:
            area.draw([fitted(line, area.size()[0])])

    def _aside(self, text: str, style: str) -> None:
        with self._lock:
            lines = self._area.lines if self._area else []
            if self._area:
                self._area.draw([])
            say(text, style)
            if self._area:
                self._area.draw(lines)


@contextlib.contextmanager
def _set_apart(stream: TextIO) -> Iterator[TextIO]:
    """The stream, while programs that a tool starts, and that print, find standard error in its place."""
    # At a terminal both are the same. Where standard error was closed, its number may be that of any other file.
    if stream is not sys.__stdout__ or sys.__stderr__ is None or stream.isatty():
        yield stream
        return
    stream.flush()
    number = stream.fileno()
    kept = os.dup(number)
    os.dup2(sys.__stderr__.fileno(), number)
    own = open(kept, "w", encoding=stream.encoding, errors=stream.errors, closefd=False)  # noqa: SIM115
    try:
        yield own
    finally:
        os.dup2(kept, number)
        with contextlib.suppress(OSError):  # all was flushed as it came; what could not be has been told
            own.close()
        os.close(kept)


@contextlib.contextmanager
def _redirected(aside: "Aside") -> Iterator[None]:
    with contextlib.closing(aside), contextlib.redirect_stdout(aside):
        yield


class Aside(io.TextIOBase):
    """Standard output while an answer has the true one: each line that is printed becomes a note."""

    def __init__(self, note: Callable[[str], None], stream: TextIO) -> None:
        self._note, self._stream, self._rest = note, stream, ""
        self._lock = threading.Lock()

    def write(self, text: str) -> int:
        """Note the lines that are whole now."""
        with self._lock:
            *lines, self._rest = (self._rest + text).split("\n")
        for line in filter(str.strip, lines):
            self._note(line)
        return len(text)

    def isatty(self) -> bool:
        """Whether the true one is a terminal."""
        return self._stream.isatty()

    def close(self) -> None:
        """Note what has no line's end. What comes later is noted still: a thread may have kept hold of it."""
        self.write("\n")


class Progress:
    """How far something has come."""

    def __init__(self, label: str, total: float | None, show: Callable[[str], None], every_s: float) -> None:
        self._label = label
        self._total = total
        self._show = show
        self._every_s = every_s
        # A line that changes appears at once; where lines stay, short work needs none.
        self._due = time.monotonic() + (every_s if every_s == QUIET_S else 0)

    def update(self, done: float, text: str = "") -> None:
        """Say how much is done, of `total` where that is known, and in words what is being done."""
        now = time.monotonic()
        if now < self._due:
            return
        self._due = now + self._every_s
        share = f"{done / self._total:4.0%}" if self._total else f"{done:g}" if done else ""
        self._show(one_line(f"{self._label} {share} {text}"))
