"""The times that a question names ("on 13 October 2023", "in May", "two weeks ago"), for a boost in recall.

English words and ISO dates; what it does not understand it leaves out. A filter of the command line is `dates.span`.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from datetime import date, datetime, timedelta

from memory.dates import DAYS, MONTH, NUMBERS, SEASONS, number, one_of
from memory.ranking import FORGOTTEN_AFTER, TOLD_WITHIN

_MONTH = one_of(MONTH)
_COUNT = one_of(NUMBERS)

# Patterns are compiled where they are looked for: few questions name a time, and together they take some milliseconds.
_DATED = (
    rf"\b(?:(\d{{1,2}})(?:st|nd|rd|th)?\s+(?:of\s+)?)?({_MONTH})\b\.?"
    rf"(?:\s+(\d{{1,2}})(?:st|nd|rd|th)?\b(?!:))?(?:,?\s*(\d{{4}})\b)?"
)
_ISO = r"\b(\d{4})-(\d{1,2})(?:-(\d{1,2}))?\b"
_YEAR = r"\b(?:in|of|during|since|year) ((?:19|20)\d\d)\b"
_AGO = rf"\b(\d{{1,3}}|{_COUNT}) (day|week|month|year)s? ago\b"
_PAST = rf"\b(?:last|past|previous|this) (?:(\d{{1,3}}|{_COUNT}) )?(day|week|weekend|month|year)s?\b"
_WEEKDAY = r"\b(?:last|past|on|this) (?:mon|tues|wednes|thurs|fri|satur|sun)day\b"
_SEASON = rf"\b(?:last|this|past) ({one_of(SEASONS)})\b"
# No time is named without a figure or one of these.
_HINTS = (*MONTH, "ago", "day", "last", "past", "previous", "this")

_BEFORE = "in|of|last|since|until|during|early|late|mid|this|next"

Span = tuple[date, date]  # the first day meant, and the first no longer meant


def spans(question: str, at: datetime) -> list[Span]:
    """The times named in `question`, which was asked at `at`."""
    text, today = " ".join(question.casefold().split()), at.date()
    if not (any(map(str.isdecimal, text)) or any(hint in text for hint in _HINTS)):
        return []
    readers: tuple[Callable[[str, date], Iterator[Span]], ...] = (_dated, _iso, _ago, _past)
    found = []
    for read in readers:
        try:
            found += list(read(text, today))
        except (ValueError, OverflowError):  # 31 February, a million years ago
            continue
    return found or [(date(int(year), 1, 1), date(int(year) + 1, 1, 1)) for year in re.findall(_YEAR, text)]


def nearness(day: date, named: Sequence[Span]) -> float:
    """1 within a named time or a few days after, when people tell of it; then less and less; 0 before."""
    return max((_near(day, start, end) for start, end in named), default=0.0)


def _near(day: date, start: date, end: date) -> float:
    if (start - day).days > 1:  # a day for the difference of time zones
        return 0.0
    late = (day - end).days
    return 1.0 if late <= TOLD_WITHIN else max(0.0, 1 - late / FORGOTTEN_AFTER)


def _dated(text: str, today: date) -> Iterator[Span]:
    """Days and months by name; without a year the last such one."""
    for before, name, after, year in re.findall(_DATED, text):
        day, month = before or after, MONTH[name]
        if name in ("may", "mar", "march", "dec") and not (
            day or year or re.search(rf"\b(?:{_BEFORE}) {name}\b", text)
        ):
            continue  # a word of its own, or a part of one
        first = date(int(year or today.year), month, int(day or 1))
        if not year and first > today:
            first = first.replace(year=today.year - 1)
        yield first, first + timedelta(days=1) if day else _next_month(first)


def _iso(text: str, today: date) -> Iterator[Span]:
    for year, month, day in re.findall(_ISO, text):
        first = date(int(year), int(month), int(day or 1))
        yield first, first + timedelta(days=1) if day else _next_month(first)


def _ago(text: str, today: date) -> Iterator[Span]:
    """ "Two weeks ago" means that day, give or take half of the unit."""
    for count, unit in [*re.findall(_AGO, text), *[("1", "day")] * ("yesterday" in text)]:
        middle, half = today - timedelta(days=number(count) * DAYS[unit]), timedelta(days=max(1, DAYS[unit] // 2))
        yield middle - half, middle + half


def _past(text: str, today: date) -> Iterator[Span]:
    """ "Last week" is used of the seven days before and of the calendar's week: take both. So with the others."""
    for count, unit in re.findall(_PAST, text):
        days = DAYS["week" if unit == "weekend" else unit]
        yield today - timedelta(days=number(count or "1") * days + days // 2), today
    if re.search(_WEEKDAY, text):
        yield today - timedelta(days=8), today
    for season in re.findall(_SEASON, text):
        first = date(today.year, SEASONS[season], 1)
        first = first if first <= today else first.replace(year=today.year - 1)
        yield first, first + timedelta(days=92)


def _next_month(first: date) -> date:
    return (first + timedelta(days=32)).replace(day=1)
