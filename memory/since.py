"""Since when a statement holds, by its own words: "since last May", "yesterday". English, by plain rules."""

import re
from datetime import UTC, datetime

from memory.errors import BadInput

# What is looked up by memory/dates.py, in the statement's own words.
_SINCE = re.compile(r"\b(?:since|as of|from|starting)\s+((?:[\w.-]+\s?){1,4})", re.IGNORECASE)
_DAY = re.compile(
    r"\b(yesterday|today|\w+ (?:day|week|month|year)s? ago|last (?:week|month|year|spring|summer|autumn|fall|winter"
    r"|(?:mon|tues|wednes|thurs|fri|satur|sun)day)|(?:19|20)\d\d-\d\d-\d\d)\b",
    re.IGNORECASE,
)

# "in March 2024", "in 2019": only where something began or ended then; "my birthday is in March" is of every year.
_MONTHS = "january|february|march|april|may|june|july|august|september|october|november|december"
_BEGAN = re.compile(
    r"\b(?:moved|started|began|joined|quit|left|married|divorced|bought|sold|became|retired|adopted|switched|stopped"
    rf"|changed|died|founded|opened)\b[^.!?]{{0,60}}?\bin\s+((?:{_MONTHS})(?:\s+(?:19|20)\d\d)?|(?:19|20)\d\d)\b",
    re.IGNORECASE,
)


def begins(text: str, said: datetime) -> datetime | None:
    """The day that a statement names as its beginning, as midnight UTC; None where it names none that was past.

    `said` is when it was said, aware: "yesterday" counts from its local day.
    """
    phrases = [words for found in _SINCE.finditer(text) for words in _shorter(found[1])]
    for phrase in [*phrases, *_DAY.findall(text), *_BEGAN.findall(text)]:
        start = _start(phrase, said)
        if start and start <= said:
            return start
    return None


def _shorter(words: str) -> list[str]:
    """A stretch of words, then all of them but the last, and so on."""
    parts = words.split()
    return [" ".join(parts[:end]).rstrip(".") for end in range(len(parts), 0, -1)]


def _start(phrase: str, said: datetime) -> datetime | None:
    from memory.dates import span

    try:
        first = span(phrase, said.astimezone())[0]
    except BadInput:
        return None
    return datetime.combine(first.astimezone().date(), datetime.min.time(), UTC)
