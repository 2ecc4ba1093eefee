"""What a question expects of a text that answers it, by plain English rules: a time, a name, its own phrases.

A question asks for what it does not say itself: "When did Ana move?" shares its words with all that was said of Ana's
flat, and is answered by "we finally moved last week". What the rules do not understand they leave out.
"""

import re
from collections.abc import Collection, Sequence
from functools import cache
from itertools import islice, pairwise
from typing import NamedTuple

from memory import words
from memory.ranking import PHRASES

# Looked for in case-folded text, but for names. "Not after a letter" is three times as fast as the edge of a word.
_TIME = r"""(?x)
    (?<!\w)(?:
        yesterday | today | tonight | tomorrow | ago | recently | just | since
        | (?:last|next|this)\s
          (?:night|morning|afternoon|past|week|weekend|month|year|spring|summer|autumn|fall|winter)
        | (?:mon|tues|wednes|thurs|fri|satur|sun)day
        | january | february | march | april | june | july | august | september | october | november | december
        | \d{1,2}(?:st|nd|rd|th) | \d{1,2}/\d{1,2} | (?:19|20)\d\d
    )\b"""
# A word with a capital inside a sentence ("I", which is shorter, is none), or something in quotation marks.
_NAME = r'(?<!\w)(?<!^)(?<![.!?]\s)[A-Z][a-z]+|["“][^"”]{2,60}["”]'

_ASKS_WHEN = (
    *("when", "how long", "first", "before", "after", "order"),
    *(f"{asking} {unit}" for asking in ("what", "which") for unit in ("date", "day", "week", "month", "year", "time")),
    *(f"how many {unit}" for unit in ("days", "weeks", "months", "years")),
)
_ASKS_NAME = (
    *("who", "whose", "whom", "where", "name", "names", "named", "called", "title", "titles", "brand", "book", "books"),
    *("movie", "movies", "film", "films", "song", "songs", "game", "games", "band", "bands", "artist", "artists"),
    *(f"{asking} {place}" for asking in ("what", "which") for place in ("city", "country", "place", "state", "town")),
)

_compiled = cache(re.compile)  # when first asked for: together they take some milliseconds of a start


def _found(pattern: str, text: str) -> bool:
    return _compiled(pattern).search(text) is not None


class Kinds(NamedTuple):
    """The kinds of answer that a question asks for."""

    time: bool
    name: bool

    def stands_in(self, text: str, plain: str) -> bool:
        """Whether a text, which is `plain` when case-folded, holds an answer of one of these kinds."""
        return (self.time and _found(_TIME, plain)) or (self.name and _found(_NAME, text))


def kinds(question: str) -> Kinds:
    """What kinds of answer a question asks for; none for most questions."""
    said = " ".join(re.findall(r"\w+", question.casefold()))
    asked = f" {said} "
    time, name = (any(f" {one} " in asked for one in asking) for asking in (_ASKS_WHEN, _ASKS_NAME))
    return Kinds(time, name)


def phrases(question: str, names: Collection[str]) -> Sequence["Phrase"]:
    """Each two words of `question` that follow one another, where both are worth searching; of many the first.

    `names` are the words of speakers' names, which stand beside anything.
    """
    worth = {*words.terms(question)} - {*names}
    pairs = dict.fromkeys(pair for pair in pairwise(re.findall(r"\w+", question.casefold())) if worth.issuperset(pair))
    return [Phrase(*map(words.stem, pair)) for pair in islice(pairs, PHRASES)]


class Phrase:
    """Two words, by their stems, to be found side by side in a text."""

    def __init__(self, first: str, second: str) -> None:
        self._first, self._second = first, second
        self._pattern = rf"\b{first}\w*\W+{second}"

    def stands_in(self, plain: str) -> bool:
        """Whether the case-folded text has them; most texts lack one of them, and that costs least to see."""
        return self._first in plain and self._second in plain and re.search(self._pattern, plain) is not None
