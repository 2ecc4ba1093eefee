"""A long made-up history for the benchmarks: the same at each run, with words as frequent as in natural text.

A word's frequency falls with its rank as Zipf and Mandelbrot found it: the commonest stands in most messages, most
words in a few. The words are those of the embedding model's own vocabulary, which is ordered by frequency. Each
session has a topic, whose rarer words come again in it.
"""

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import accumulate
from typing import TYPE_CHECKING

from memory.embedding import TOKENIZER, packaged
from memory.records import Fact, Message, Role, Session, Summary

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SHIFT = 2.7  # Mandelbrot's: the frequency of the word of rank r is proportional to 1 / (r + 2.7)
ON_TOPIC = 0.25  # the share of words that a message takes from its session's topic
TOPIC_WORDS = 40
COMMON = 300  # of these ranks no word makes a topic
MEDIAN_WORDS = {"user": 12, "assistant": 30}  # of a message; lengths are log-normal, up to MOST_WORDS
SPREAD, MOST_WORDS = 0.8, 250
FACTS = 2  # of a session
FIRST_DAY = datetime(2015, 1, 1, 8, tzinfo=UTC)
TOKENS_A_WORD = 1.2

DIMENSION = 384
SESSION_NOISE, TEXT_NOISE = 0.7, 0.9  # a text's vector is its anchor's, moved by noise of these lengths


@dataclass(frozen=True, slots=True)
class Talk:
    """One session with all that belongs to it."""

    session: Session
    messages: tuple[Message, ...]
    summary: Summary
    facts: tuple[Fact, ...]


class Language:
    """A vocabulary with Zipf's frequencies."""

    def __init__(self) -> None:
        vocabulary = json.loads(packaged(TOKENIZER).read_bytes())["model"]["vocab"]
        self.words = [word for word in vocabulary if word.isascii() and word.isalpha() and len(word) > 1]
        self._weights = list(accumulate(1 / (rank + SHIFT) for rank in range(1, len(self.words) + 1)))

    def draw(self, chance: random.Random, count: int) -> list[str]:
        """So many words, each by its frequency."""
        return chance.choices(self.words, cum_weights=self._weights, k=count)

    def topic(self, chance: random.Random) -> list[str]:
        """Rarer words that belong together."""
        return [word for word in self.draw(chance, 8 * TOPIC_WORDS) if word not in self._common][:TOPIC_WORDS]

    @property
    def _common(self) -> list[str]:
        return self.words[:COMMON]

    def text(self, chance: random.Random, topic: list[str], median: int) -> str:
        """Sentences of which a part is on the topic."""
        count = min(MOST_WORDS, max(2, round(chance.lognormvariate(0, SPREAD) * median)))
        words = [chance.choice(topic) if chance.random() < ON_TOPIC else word for word in self.draw(chance, count)]
        return " ".join(sentence(words[start : start + 14]) for start in range(0, count, 14))

    def question(self, chance: random.Random, topic: list[str]) -> str:
        """A question as people ask it: half of it common words, two or three of the topic."""
        middle = [
            *self.draw(chance, chance.randint(3, 6)),
            *chance.sample(topic, min(len(topic), chance.randint(2, 3))),
        ]
        chance.shuffle(middle)
        return f"{chance.choice(['what did I say about', 'when did we talk about', 'do you know'])} {' '.join(middle)}?"


def sentence(words: list[str]) -> str:
    """Words with a capital and a full stop."""
    return " ".join(words).capitalize() + "."


def talks(language: Language, sessions: int, messages: int, seed: int = 1) -> Iterator[Talk]:
    """So many sessions, with so many messages together."""
    chance = random.Random(seed)
    for number in range(sessions):
        count = messages * (number + 1) // sessions - messages * number // sessions
        yield talk(language, chance, number, count)


def talk(language: Language, chance: random.Random, number: int, count: int) -> Talk:
    """A session of `count` messages, with a summary and facts, as they are after its end."""
    session_id = f"bench-{number:06}"
    topic, at = language.topic(chance), FIRST_DAY + timedelta(hours=8 * number)
    messages = tuple(message(language, chance, session_id, place, topic, at) for place in range(count))
    title, gist = language.text(chance, topic, 5), language.text(chance, topic, 40)
    summary = Summary(session_id, title, gist, messages[-1].at, "imported", "imported", tokens=cost(title + gist))
    facts = tuple(fact(language, chance, messages, place, topic) for place in range(FACTS))
    session = Session(session_id, at, title, messages[-1].at, "summarised", "imported")
    return Talk(session, messages, summary, facts)


def message(
    language: Language, chance: random.Random, session_id: str, place: int, topic: list[str], at: datetime
) -> Message:
    """One message; people and the assistant take turns."""
    role: Role = "assistant" if place % 2 else "user"
    text = language.text(chance, topic, MEDIAN_WORDS[role])
    return Message(f"{place}", session_id, role, text, at + timedelta(minutes=place), "imported", tokens=cost(text))


def fact(
    language: Language, chance: random.Random, messages: tuple[Message, ...], place: int, topic: list[str]
) -> Fact:
    """A statement that rests on one of the messages."""
    of, text = chance.choice(messages), language.text(chance, topic, 10)
    return Fact(
        f"{of.session_id}-{place}", of.session_id, text, "fact", of.at, (of.id,), "", "imported", tokens=cost(text)
    )  # fmt: skip


def cost(text: str) -> int:
    """About as many tokens as the text has. Counting them would take longer than all the rest."""
    return 4 + round(TOKENS_A_WORD * len(text.split()))


def questions(language: Language, count: int, seed: int = 2) -> list[str]:
    """So many questions, each on a topic of its own."""
    chance = random.Random(seed)
    return [language.question(chance, language.topic(chance)) for _ in range(count)]


class Vectors:
    """Unit vectors in clusters around real ones, in place of those that the model would need an hour for."""

    def __init__(self, anchors: list[list[float]], seed: int = 3) -> None:
        """`anchors` are vectors of real texts; a session's vectors lie around one of them."""
        import numpy as np

        self._chance = np.random.default_rng(seed)
        self._anchors = np.array(anchors, dtype=np.float32)

    def session(self, count: int) -> list[list[float]]:
        """The vectors of `count` texts of one session."""
        anchor = self._anchors[self._chance.integers(len(self._anchors))]
        centre = anchor + self._noise(1, SESSION_NOISE)
        return self._unit(self._unit(centre) + self._noise(count, TEXT_NOISE)).tolist()

    def _noise(self, count: int, length: float) -> "NDArray[np.float32]":
        made = self._chance.standard_normal((count, DIMENSION), dtype="float32")
        return made * (length / DIMENSION**0.5)

    def _unit(self, vectors: "NDArray[np.float32]") -> "NDArray[np.float32]":
        return vectors / ((vectors**2).sum(axis=1, keepdims=True) ** 0.5)
