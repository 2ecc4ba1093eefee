"""The gate before a prompt: whether anything that was found is relevant at all. A ranking cannot tell: it has a first.

The best of many unrelated texts looks the more relevant the more there are. Measured with small talk against one to
4,390 messages, the 95th percentile of the best relevance grows with the logarithm of their number, which is the line
below; of questions about the past 99 and 95 per cent reach it.
"""

from collections.abc import Sequence
from math import log

from memory import words
from memory.scoring import Candidate, Record, plain

BM25_WEIGHT = 0.2  # bm25 over the logarithm of the messages runs to about 2.5, a cosine to about 0.8
FLOOR, SLOPE = 0.20, 0.064  # what small talk reaches in a memory of one message, and more for each factor e
CEILING = 0.75  # in a memory of many thousands some small talk was talked about before; let it through

# Words agree where so many of the question's are held, and that share of them. It stands in for bm25 where that knows
# no rare word yet (it is 0 for what half of all messages hold), and counts as much as the rarest word there.
HELD, HELD_SHARE = 2, 0.5
TINY = 20

WORDS_ALONE = 1.2  # bm25 over the logarithm of the messages, without vectors: words alone say less, so more must agree

NEAR_BEST = 0.6  # of the best hit's score: what is far below the best is not what was meant, and costs tokens


def opens(found: Sequence[Candidate], terms: Sequence[str], size: int) -> bool:
    """Whether the best of `found`, in a memory of `size` messages, is relevant to a question of these `terms`."""
    if any(one.cosine for one in found):
        return max(relevance(one, terms, size) for one in found) >= threshold(size)
    return any(rarity(one, terms, size) >= WORDS_ALONE or agrees(one, terms) for one in found)


def threshold(size: int) -> float:
    """The relevance that is more than chance among `size` messages."""
    return min(CEILING, FLOOR + SLOPE * log(max(1, size)))


def relevance(one: Candidate, terms: Sequence[str], size: int) -> float:
    """How relevant a candidate is by itself, on a scale that does not depend on the question."""
    return one.cosine + BM25_WEIGHT * rarity(one, terms, size)


def rarity(one: Candidate, terms: Sequence[str], size: int) -> float:
    """Its bm25 on a scale that does not depend on the memory: the rarest word counts about 1 in any."""
    return one.bm25 / log(size) if size > TINY else float(agrees(one, terms))


def agrees(one: Candidate, terms: Sequence[str]) -> bool:
    """Whether it holds enough of the question's words, by their stems."""
    held = words.held(terms, plain(one.record))
    return len(held) >= HELD and len(held) >= HELD_SHARE * len(terms)


def repeats(record: Record, question: str) -> bool:
    """Whether a text has no word that the question has not, and most of them: it adds nothing to a prompt."""
    said, asked = words.all_words(plain(record)), words.all_words(question)
    return said <= asked and 2 * len(said) >= len(asked)
