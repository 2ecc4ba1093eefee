"""The gate before a prompt: whether anything that was found is relevant at all. A ranking cannot tell: it has a first.

The best of many unrelated texts looks the more relevant the more there are. Measured with small talk against one to
4,390 messages, the 95th percentile of the best relevance grows with the logarithm of their number, which is the line
below; of questions about the past 99 and 95 per cent reach it.
"""

from collections.abc import Sequence
from math import log
from typing import NamedTuple

from memory import words
from memory.entries import Entry
from memory.ranking import (
    BM25_WEIGHT,
    CEILING,
    FLOOR,
    HELD,
    HELD_SHARE,
    SLOPE,
    TINY,
    WORD,
    WORDS_FLOOR,
    WORDS_LEAST,
    WORDS_MOST,
    WORDS_SLOPE,
)
from memory.scoring import Candidate

# Words of greeting, thanks and assent, also in some languages beside English, and what stands with them. Who says only
# these asks for nothing; "Where did I go?" has others.
PHATIC = frozenset(
    """
    hi hello hey good morning afternoon evening night day welcome bye goodbye cheers thank thanks thx lol haha hm hmm ok
    okay yes yeah yep no nope sure fine great nice cool right sorry please oh ah wow continue stop go on
    a all and for it lot much now so that the there then this to very well you
    danke hallo servus moin tschüss ja nein bitte guten tag abend gracias hola adiós merci bonjour salut oui non ciao
    grazie obrigado olá tchau спасибо привет да нет 谢谢 你好
    """.split()
)
FIRST = (1, 4)  # so many words of a text mostly tell it from a question


class Verdict(NamedTuple):
    """How relevant something is by itself, what the gate asks for, and whether this opens it."""

    relevance: float
    threshold: float
    opens: bool

    @property
    def strength(self) -> float:
        """Its relevance as a share of what is asked for, to compare those judged by words with the others."""
        return self.relevance / self.threshold


NOTHING = Verdict(0.0, FLOOR, opens=False)


def asks_nothing(asked: set[str]) -> bool:
    """Whether a question of these words has no topic: what was said is full of the like, and none of it an answer."""
    return asked <= PHATIC


def judged(one: Candidate, terms: Sequence[str], size: int, by_words: int = 0) -> Verdict:
    """The verdict on a candidate in a memory of `size` messages, for a question of these `terms`.

    `by_words` judges by words alone, for want of a vector, one of so many messages.
    """
    near = agreement(one, terms, size) if by_words else relevance(one, terms, size)
    asked = threshold_of_words(by_words) if by_words else threshold(size)
    return Verdict(near, asked, near >= asked)


def threshold(size: int) -> float:
    """The relevance that is more than chance among `size` messages."""
    return min(CEILING, FLOOR + SLOPE * log(max(1, size)))


def threshold_of_words(count: int) -> float:
    """The agreement in words that is more than chance among so many messages."""
    return max(WORDS_LEAST, WORDS_FLOOR + WORDS_SLOPE * log(max(1, count)))


def relevance(one: Candidate, terms: Sequence[str], size: int) -> float:
    """How relevant a candidate is by itself, on a scale that does not depend on the question."""
    return one.cosine + BM25_WEIGHT * rarity(one, terms, size)


def agreement(one: Candidate, terms: Sequence[str], size: int) -> float:
    """How relevant a candidate is by its words alone: how rare those are that it shares, and how many."""
    return rarity(one, terms, size) + WORD * min(WORDS_MOST, len(words.held(terms, one.entry.text)))


def rarity(one: Candidate, terms: Sequence[str], size: int) -> float:
    """Its bm25 on a scale that does not depend on the memory: the rarest word counts about 1 in any."""
    return one.bm25 / log(size) if size > TINY else float(agrees(one, terms))


def agrees(one: Candidate, terms: Sequence[str]) -> bool:
    """Whether it holds enough of the question's words, by their stems."""
    held = words.held(terms, one.entry.text)
    return len(held) >= HELD and len(held) >= HELD_SHARE * len(terms)


def repeats(entry: Entry, asked: set[str]) -> bool:
    """Whether a text has no other words than the question's, `asked`, and most of them: it adds nothing to a prompt."""
    for first in FIRST:
        if not words.all_words(" ".join(entry.text.split(maxsplit=first)[:first])) <= asked:
            return False  # by far the most, at little cost
    said = words.all_words(entry.text)
    return said <= asked and 2 * len(said) >= len(asked)
