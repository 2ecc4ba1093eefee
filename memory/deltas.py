"""A text as pieces of other texts, and built again from them: what a receipt keeps in place of a copy. Pure.

A piece is a string, which stands for itself, or a reference: [name] is the whole of a source, [name, start, end] the
characters of a source from `start` up to `end`.
"""

import re
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

Piece = str | list[Any]

# Characters that must agree to begin a span. Fewer would cost more than they save; more would leave short stored words
# in plain sight. The longer ones are looked for first: they find the right place in a text that repeats itself.
GRAMS = (256, 64, 16, 4)
LEAST = GRAMS[-1]
# Where the last span ended, the source often goes on after a change of a few characters: a line's end that became a
# space, a sign that was put in another's place. What follows so may be as short as this.
SHORTEST = 2
BETWEEN = 3  # characters of such a change at most
HEAD = 16  # characters by which a source is known that stands in a text whole

LOST = "[forgotten since]"  # in place of a source that is no longer there
END = "\0"  # between two sources; no stored text holds it
_START = re.compile(r"(?<![A-Za-z0-9])[A-Za-z0-9]|[^\x00-\x7f]")  # where a word begins: spans are looked for there
_SPACES = re.compile(r"\s*")


def encoded(text: str, sources: Mapping[str, str], constants: Mapping[str, str] = {}) -> list[Piece]:
    """The text as pieces, as much of it as can be from `sources` (texts by name), whole or in part.

    `constants`, texts by name too, stand in a text whole or not at all.
    """
    return Encoder(sources, constants)(text)


def decoded(pieces: Sequence[Piece], source: Callable[[str], str | None]) -> str:
    """The inverse of `encoded`; `source` gives a text by its name, or None for one that is LOST."""
    return "".join(piece if isinstance(piece, str) else _taken(source(piece[0]), piece[1:]) for piece in pieces)


def _taken(text: str | None, span: Sequence[int]) -> str:
    if text is None:
        return LOST
    return text[span[0] : span[1]] if span else text


def names(pieces: Sequence[Piece]) -> set[str]:
    """The sources that the pieces refer to."""
    return {piece[0] for piece in pieces if not isinstance(piece, str)}


@dataclass(frozen=True, slots=True)
class _Match:
    """A piece that stands in a text from `start` to `end`; its span ends in the sources at `last` (-1: it has none)."""

    piece: Piece
    start: int
    end: int
    last: int = -1


class Encoder:
    """`encoded` for many texts over the same sources."""

    def __init__(self, sources: Mapping[str, str], constants: Mapping[str, str] = {}) -> None:
        self._names = list(sources)
        self._all = "".join(text + END for text in sources.values())
        self._starts = [0, *accumulate(len(text) + 1 for text in sources.values())]
        self._heads: dict[str, list[tuple[str, str]]] = {}
        for name, text in {**constants, **sources}.items():
            if len(text) >= HEAD:
                self._heads.setdefault(text[:HEAD], []).append((name, text))

    def __call__(self, text: str) -> list[Piece]:
        """The text as pieces."""
        pieces: list[Piece] = []
        at = told = 0  # what stands before `told` is in the pieces
        last = -1  # where in the sources the last span ended
        while at < len(text):
            near = at - told <= BETWEEN and last >= 0
            match = self._whole(text, at) or self._part(text, at, last if near else -1)
            if match:
                pieces += [text[told : match.start], match.piece] if match.start > told else [match.piece]
                at, told, last = match.end, match.end, match.last
            else:
                at = self._next(text, at, near and at - told < BETWEEN)
        return pieces + ([text[told:]] if told < len(text) else [])

    def _whole(self, text: str, at: int) -> _Match | None:
        """A source that stands in the text whole, here or hardly later."""
        for start in range(at, at + BETWEEN):
            for name, source in self._heads.get(text[start : start + HEAD], ()):
                if text.startswith(source, start):
                    return _Match([name], start, start + len(source))
        return None

    def _part(self, text: str, at: int, last: int) -> _Match | None:
        """The longest part of a source that stands in the text here."""
        place, length = self._longest(text, at, last)
        return _Match(self._reference(place, length), at, at + length, place + length) if length else None

    def _next(self, text: str, at: int, near: bool) -> int:
        """The next place to look at: the next character soon after a span, else the next word."""
        if near:
            return at + 1
        found = _START.search(text, at + 1)
        return found.start() if found else len(text)

    def _longest(self, text: str, at: int, last: int) -> tuple[int, int]:
        """The place in the sources and the length of what agrees with the text from `at` on; a length of 0: nothing."""
        found = [(self._agreeing(text, at, place), place) for place in self._places(text, at)]
        going_on = [(self._agreeing(text, at, place), place) for place in self._after(last)]
        found += [one for one in going_on if one[0] >= SHORTEST or self._to_the_end(one[1], one[0])]
        length, place = max(found, key=lambda one: one[0], default=(0, 0))
        return place, length

    def _places(self, text: str, at: int) -> list[int]:
        """Where the sources hold the next characters of the text."""
        if self._all.find(text[at : at + LEAST]) < 0 or len(text) - at < LEAST:
            return []
        grams = (text[at : at + size] for size in GRAMS if len(text) - at >= size)
        return next(([place] for gram in grams if (place := self._all.find(gram)) >= 0), [])

    def _after(self, last: int) -> list[int]:
        """Where the source of the last span may go on."""
        if last < 0:
            return []
        spaces = _SPACES.match(self._all, last)
        return [last, last + 1, spaces.end() if spaces else last]

    def _agreeing(self, text: str, at: int, place: int) -> int:
        """How many characters agree from there on, within one source."""
        source = bisect_right(self._starts, place) - 1
        low, high = 0, min(len(text) - at, self._starts[min(source + 1, len(self._starts) - 1)] - 1 - place)
        while low < high:
            middle = (low + high + 1) // 2
            if text[at + low : at + middle] == self._all[place + low : place + middle]:
                low = middle
            else:
                high = middle - 1
        return max(low, 0)

    def _to_the_end(self, place: int, length: int) -> bool:
        return length > 0 and self._all[place + length] == END

    def _reference(self, place: int, length: int) -> Piece:
        source = bisect_right(self._starts, place) - 1
        start, end = self._starts[source], self._starts[source + 1] - 1
        whole = (place, place + length) == (start, end)
        return [self._names[source]] if whole else [self._names[source], place - start, place - start + length]
