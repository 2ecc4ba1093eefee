"""Thoughts that a model writes into its reply, told from the reply's text: `<think>...</think>` at its start. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass

OPEN, CLOSE = "<think>", "</think>"

Piece = tuple[str, bool]  # a text, and whether it is a thought


@dataclass(slots=True)
class ThoughtSplitter:
    """Splits a text that comes in pieces, cut anywhere, also within a tag. Only what opens the text is a thought."""

    _state: str = "start"  # then "thinking", "after" and "text"
    _held: str = ""  # what may be the beginning of a tag

    def feed(self, text: str) -> Iterator[Piece]:
        """What is known now, after one piece more."""
        self._held += text
        if self._state == "start":
            self._begin()
        if self._state == "thinking":
            yield from self._think()
        if self._state == "after":
            self._held = self._held.lstrip()
            self._state = "text" if self._held else "after"
        if self._state == "text" and self._held:
            yield self._taken(len(self._held)), False

    def flush(self) -> Iterator[Piece]:
        """What was held back, at the end. A thought that was never closed is a thought."""
        if self._held:
            yield self._taken(len(self._held)), self._state == "thinking"

    def _begin(self) -> None:
        head = self._held.lstrip()
        if head.startswith(OPEN):
            self._held, self._state = head[len(OPEN) :], "thinking"
        elif not OPEN.startswith(head):
            self._state = "text"

    def _think(self) -> Iterator[Piece]:
        thought, closed, rest = self._held.partition(CLOSE)
        if closed:
            self._state = "after"
        else:
            kept = _overlap(thought)
            thought, rest = thought[: len(thought) - kept], thought[len(thought) - kept :]
        self._held = rest
        if thought:
            yield thought, True

    def _taken(self, length: int) -> str:
        taken, self._held = self._held[:length], self._held[length:]
        return taken


def _overlap(text: str) -> int:
    """How many characters at the text's end may begin the closing tag."""
    return next(n for n in range(min(len(CLOSE) - 1, len(text)), -1, -1) if text.endswith(CLOSE[:n]))
