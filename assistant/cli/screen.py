"""What is drawn at a terminal: answers that grow in place, lines in a style, and keys that stay out of them.

Streams are looked up when they are used, because the prompt puts others in their place while it is open.
"""

import contextlib
import io
import os
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import IO

from assistant.cli.markdown import Blocks, laid_out, one_line, printable, rows_of, well_formed

FRAME_S = 0.05


class Area:
    """The lines at the cursor that are drawn anew in place. The cursor stays visible, so nothing has to restore it."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream
        self.lines: list[str] = []

    def size(self) -> tuple[int, int]:
        """Tell the terminal's columns and rows as they are now."""
        return size_of(self._stream)

    def draw(self, lines: list[str], above: Iterable[str] = ()) -> None:
        """Put `lines` in the place of those drawn before; the lines `above` them stay for good."""
        text = self._erased() + "".join(line + "\n" for line in above) + "\n".join(lines)
        self.lines = lines
        if text:
            # In one piece, so that no half-drawn state is seen.
            self._stream.write(text)
            self._stream.flush()

    def _erased(self) -> str:
        if not self.lines:
            return ""
        width, height = self.size()
        # Lines drawn on a wider terminal have been wrapped since.
        rows = min(sum(rows_of(line, width) for line in self.lines), height)
        # Row by row: to clear all from the top of the screen makes some terminals keep it in their history.
        return "\r\x1b[2K" + "\x1b[A\x1b[2K" * (rows - 1)


class Plain:
    """An answer passed on as it comes, piece by piece: no terminal, or one that cannot move its cursor."""

    def __init__(self, stream: IO[str], clean: Callable[[str], str]) -> None:
        self._stream = stream
        self._clean = clean
        self._half = ""
        self._last = "\n"

    def write(self, delta: str) -> None:
        """Pass the next piece on; the first half of a character waits for the second."""
        text = self._half + delta
        self._half = text[-1] if text and "\ud800" <= text[-1] <= "\udbff" else ""
        self._put(text.removesuffix(self._half))

    def close(self) -> None:
        """End the answer with a line's end, unless it has one or is empty. It may go on, on the next line."""
        self._put(self._half)
        self._half = ""
        if self._last != "\n":
            self._put("\n")

    def _put(self, text: str) -> None:
        if text := self._clean(well_formed(text)):
            self._last = text[-1]
            self._stream.write(text)
            self._stream.flush()


class Growing:
    """An answer at a terminal: finished blocks are printed for good, the end of the unfinished one is drawn anew."""

    def __init__(self, area: Area, lock: threading.RLock) -> None:
        self._area = area
        self._lock = lock
        self._blocks = Blocks()
        self._begun = False
        self._due = 0.0

    def write(self, delta: str) -> None:
        """Take the next piece and show it, though not more often than eyes can follow."""
        finished = self._blocks.feed(delta)
        if not finished and time.monotonic() < self._due:
            return
        with self._lock:
            above = [line for block in finished for line in self._block(block)]
            self._area.draw(self._preview(), above)
        # Counted from the end, so that slow drawing never takes more than its share of the time.
        self._due = time.monotonic() + FRAME_S

    def close(self) -> None:
        """Print for good what is left. The answer may go on, in a block of its own."""
        with self._lock:
            self._area.draw([], self._block(self._blocks.rest))
            self._blocks = Blocks()

    def _block(self, text: str) -> list[str]:
        lines = laid_out(text, self._area.size()[0])
        if not lines:
            return []
        gap = [""] if self._begun else []
        self._begun = True
        return [*gap, *lines]

    def _preview(self) -> list[str]:
        width, height = self._area.size()
        lines = laid_out(self._blocks.tail(min(2 * width * height, 8000)), width)
        gap = [""] if self._begun and lines else []
        # One row fewer than the terminal has: a line that has scrolled out could not be drawn anew.
        return [*gap, *lines][-max(height - 1, 1) :]


@contextlib.contextmanager
def unechoed() -> Iterator[None]:
    """Keep typed keys (an impatient Enter, the ^C of Ctrl-C) out of what is drawn; the next prompt receives them."""
    with _keys_shown(False):
        yield


@contextlib.contextmanager
def awaiting_keys() -> Iterator[None]:
    """Show what is typed, a line at a time; what was typed before is thrown away: it was no answer to what is asked."""
    with _keys_shown(True):
        if sys.platform != "win32" and sys.stdin.isatty():
            import termios

            termios.tcflush(sys.stdin, termios.TCIFLUSH)
        yield


def asked(question: str) -> str:
    """The line that a person at the terminal answers with; "" at the end of input. Raises KeyboardInterrupt at Ctrl-C.

    Whatever ends it, what is shown next begins a line of its own.
    """
    line = ""
    try:
        sys.stderr.write(question)
        sys.stderr.flush()
        line = sys.stdin.readline()
    finally:
        if not line.endswith("\n"):
            with contextlib.suppress(OSError):  # the terminal is gone
                sys.stderr.write("\n")
                sys.stderr.flush()
    return line


@contextlib.contextmanager
def _keys_shown(wanted: bool) -> Iterator[None]:
    if sys.platform == "win32" or not sys.stdin.isatty():
        yield
        return
    import termios

    before = termios.tcgetattr(sys.stdin)
    echo = before[3] | termios.ECHO | termios.ICANON if wanted else before[3] & ~termios.ECHO
    termios.tcsetattr(sys.stdin, termios.TCSADRAIN, [*before[:3], echo, *before[4:]])
    try:
        yield
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)


BOLD = "\x1b[1m"
GREEN = "\x1b[32m"
DIM = "\x1b[2m"
RED = "\x1b[31m"


def say(text: str, style: str) -> None:
    """Say something on stderr."""
    lines = [part for line in printable(text).split("\n") for part in wrapped(line, sys.stderr, "")]
    sys.stderr.write(styled("\n".join(lines), style, sys.stderr) + "\n")
    sys.stderr.flush()


def set_in(text: str, stream: IO[str], indent: str) -> list[str]:
    """A text as one line, cut for the stream where it is a terminal; nothing for an empty one."""
    return wrapped(one_line(text), stream, indent) if text else []


def wrapped(line: str, stream: IO[str], indent: str) -> list[str]:
    """Cut a line between words to a terminal's width; elsewhere it stays one line."""
    if not stream.isatty() or len(indent + line) < size_of(stream)[0]:
        return [indent + line]
    import textwrap

    return textwrap.wrap(
        line,
        size_of(stream)[0] - 1,
        initial_indent=indent,
        subsequent_indent=indent,
        break_long_words=False,  # what is copied, such as a path, stays whole
        break_on_hyphens=False,
    )


def styled(text: str, style: str, stream: IO[str]) -> str:
    """A text in a style, where the stream is a terminal that knows them and NO_COLOR does not forbid it."""
    plain = printable(text)
    wanted = style and stream.isatty() and not _is_dumb() and not os.environ.get("NO_COLOR")
    return f"{style}{plain}\x1b[0m" if wanted else plain


def can_redraw(stream: IO[str]) -> bool:
    """Whether the stream is a terminal that can move its cursor."""
    # While the prompt is open its own stream stands here, which has no cursor to move.
    return isinstance(stream, io.TextIOWrapper) and stream.isatty() and not _is_dumb()


def _is_dumb() -> bool:
    return os.environ.get("TERM", "") in {"", "dumb", "unknown"}


def size_of(stream: IO[str]) -> tuple[int, int]:
    """A terminal's columns and rows."""
    try:
        size = os.get_terminal_size(stream.fileno())
    except OSError:
        return 80, 24
    return size.columns or 80, size.lines or 24
