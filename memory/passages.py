"""A candidate as the line that a prompt shows: the passage that matters, whose words they are, when and where."""

import re
from collections.abc import Callable, Sequence
from datetime import datetime

from memory import words
from memory.entries import Entry
from memory.ranking import CHARACTERS_A_TOKEN, PASSAGE_TOKENS
from memory.records import IMPORTED, USER
from memory.rows import from_text
from memory.visible import visible_line

# Names and ids come in by import, and may hold anything: as much of them is shown as could not pose as something else.
_NO_NAME, _NO_ID = r"[^\w .'’-]", r"[^\w.:@+-]"
NAME_CHARACTERS, ID_CHARACTERS = 40, 200


def line(
    entry: Entry, at: datetime, terms: Sequence[str], count: Callable[[str], int], change: str = ""
) -> tuple[str, int]:
    """The line for an entry of the time `at`, and its tokens with the line's end. A part of a text names the whole.

    `change` is what is to be said of a change: until when it held, or what is so since.
    """
    if entry.until:
        at, change = from_text(entry.valid_from or entry.at), f" {change}"
    elif change:
        change = f"; {change}"
    text, source = entry.text, f"{speaker(entry)}, {at.astimezone():%Y-%m-%d}{change}"
    if entry.tokens > PASSAGE_TOKENS:
        text = passage(text, terms, PASSAGE_TOKENS * CHARACTERS_A_TOKEN)
        source += f", part of {named(entry)}"
    shown = visible_line(f"{text} ({source})")
    return shown, count(shown) + 1


def named(entry: Entry) -> str:
    """An entry by its id, as an owner can ask for it."""
    kind, named = ("message", entry.id) if entry.kind == "m" else ("session", entry.session_id)
    return f"{kind} {re.sub(_NO_ID, '_', named)[:ID_CHARACTERS]}"


def speaker(entry: Entry) -> str:
    """Whose words a line carries, so that a model can weigh them."""
    if entry.kind == "s":
        return "notes"
    if entry.kind == "f":
        return "fact" if entry.origin == USER else f"fact ({entry.origin})"
    who = " ".join(re.sub(_NO_NAME, " ", entry.name or "").split())[:NAME_CHARACTERS] or entry.role
    return f"{who} (imported)" if entry.origin == IMPORTED else who


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
