"""When something happened that its owner told of: "I moved", "we got the dog". Plain rules, no model."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from memory import words
from memory.rows import from_text
from memory.scoring import Candidate

MOST = 0.5  # a sentence that tells of it holds more than this share of the clause's words

# Notes call their owner "the user", and "we" of today was "I" yesterday.
_FIRST_PERSON = ((re.compile(r"\b(?:the user|we|me|us)\b"), "i"), (re.compile(r"\b(?:i's|our)\b"), "my"))
_BEGINNING = re.compile(r"^(?:when|after|before|since|until|that)\b")
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+|\n+|(?<=[。！？])")


@dataclass(frozen=True, slots=True)
class Event:
    """What was found: the sentence that tells of it, whether its owner said it or a note does, and when it was."""

    sentence: str
    said: bool
    at: datetime


def best(found: Sequence[Candidate], clause: str) -> Event | None:
    """Of candidates for `clause` the one that tells of it: its owner's words or a kept fact; None where none does.

    A sentence must hold most of the clause's words, and most of those that mean something. The clause as it stands
    counts first, then how many of its words are held, then the score.
    """
    asked = _in_first_person(_BEGINNING.sub("", clause.strip().casefold())).strip()
    every = sorted(words.all_words(asked))
    telling = words.terms(asked) or every
    ranked = [
        ((asked in text, len(words.held(every, text)), one.score), one, sentence)
        for one, sentence in _sentences(found)
        if _most(telling, text := _in_first_person(sentence)) and _most(every, text)
    ]
    if not ranked:
        return None
    _, one, sentence = max(ranked, key=lambda each: each[0])
    return Event(" ".join(sentence.split()), one.entry.kind == "m", _happened_at(one))


def _sentences(found: Sequence[Candidate]) -> Iterator[tuple[Candidate, str]]:
    """The statements of the owner among `found`; a question tells of nothing."""
    for one in found:
        if _tells(one):
            for sentence in _SENTENCE_END.split(one.entry.text):
                if not sentence.rstrip().endswith(("?", "？")):
                    yield one, sentence


def _tells(one: Candidate) -> bool:
    return one.entry.role == "user" or one.entry.status == "kept"


def _happened_at(one: Candidate) -> datetime:
    """The best that is known: since when a fact holds, else when it was said."""
    return from_text(one.entry.valid_from or one.entry.at)


def _in_first_person(text: str) -> str:
    text = text.casefold()
    for pattern, person in _FIRST_PERSON:
        text = pattern.sub(person, text)
    return text


def _most(terms: Sequence[str], text: str) -> bool:
    return len(words.held(terms, text)) > MOST * len(terms)
