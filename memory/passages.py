"""A candidate as the line that a prompt shows: the passage that matters, whose words they are, when and where."""

import re
from collections.abc import Callable, Sequence
from datetime import datetime

from memory import words
from memory.ranking import CHARACTERS_A_TOKEN, PASSAGE_TOKENS
from memory.records import IMPORTED, USER, Fact, Message, Summary
from memory.scoring import Record, plain


def line(record: Record, at: datetime, terms: Sequence[str], count: Callable[[str], int]) -> tuple[str, int]:
    """The line for a record of the time `at`, and its tokens with the line's end. A part of a text names the whole."""
    text, source = plain(record), f"{speaker(record)}, {at.astimezone():%Y-%m-%d}"
    if record.tokens > PASSAGE_TOKENS:
        text = passage(text, terms, PASSAGE_TOKENS * CHARACTERS_A_TOKEN)
        source += f", part of {named(record)}"
    shown = f"{' '.join(text.split())} ({source})"
    return shown, count(shown) + 1


def named(record: Record) -> str:
    """A record by its id, as an owner can ask for it."""
    if isinstance(record, Message):
        return f"message {record.id}"
    return f"session {record.session_id}"


def speaker(record: Record) -> str:
    """Whose words a line carries, so that a model can weigh them."""
    if isinstance(record, Summary):
        return "notes"
    if isinstance(record, Fact):
        return "fact" if record.origin == USER else f"fact ({record.origin})"
    who = record.name or record.role
    return f"{who} (imported)" if record.origin == IMPORTED else who


def passage(text: str, terms: Sequence[str], size: int) -> str:
    """The stretch of whole sentences, up to about `size` characters, with the most of `terms`; "…" where text is cut.

    Of equal ones the first: what a message is about stands at its head.
    """
    sentences = [part for part in re.split(r"(?<=[.!?\n])\s+|(?<=[。！？])", text) if part.strip()] or [text]
    held = [words.held(terms, sentence) for sentence in sentences]
    stretches = [_stretch(sentences, start, size) for start in range(len(sentences))]
    best = max(stretches, key=lambda one: (len(set[str]().union(*held[one[0] : one[1]])), -one[0]))
    return _cut(text, " ".join(sentences[best[0] : best[1]])[:size], best[0] > 0)


def _stretch(sentences: Sequence[str], start: int, size: int) -> tuple[int, int]:
    """The places from `start` of as many sentences as fit, at least one."""
    end, length = start + 1, len(sentences[start])
    while end < len(sentences) and length + len(sentences[end]) < size:
        length += len(sentences[end]) + 1
        end += 1
    return start, end


def _cut(text: str, taken: str, later: bool) -> str:
    before, after = "… " if later else "", "" if text.rstrip().endswith(taken[-20:]) else " …"
    return f"{before}{taken}{after}"
