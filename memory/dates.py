"""Dates as people write them on a command line: ISO 8601, or a few words counted from now."""

import re
from datetime import date, datetime, time, timedelta

from memory.errors import BadInput

DAYS = {"day": 1, "week": 7, "month": 30, "year": 365}
NAMED = {"today": 0, "yesterday": 1, "last week": 7, "last month": 30, "last year": 365}


def span(text: str, now: datetime) -> tuple[datetime, datetime]:
    """The first and the first no longer meant moment of `text`, aware: a day, or the very second of a time of day.

    Knows ISO 8601 dates, months ("2026-05") and times (local where they name no zone), "today", "yesterday", "last
    week", "last month", "last year" and "3 days ago"; the last kinds mean the day so long ago. Raises BadInput.
    """
    try:
        return _span(text.strip(), " ".join(text.casefold().split()), now)
    except (ValueError, OverflowError) as error:
        raise BadInput(f"{text!r} is no date.", "Write 2026-11-23, 2026-11, yesterday or 3 days ago.") from error


def _span(written: str, words: str, now: datetime) -> tuple[datetime, datetime]:
    if (days := _days_ago(words)) is not None:
        day = now.astimezone().date() - timedelta(days=days)
        return _midnight(day), _midnight(day + timedelta(days=1))
    if re.fullmatch(r"\d{4}-\d{2}", words):
        first = date.fromisoformat(words + "-01")
        return _midnight(first), _midnight((first + timedelta(days=32)).replace(day=1))
    start = datetime.fromisoformat(written)
    if len(words) <= len("2026-11-23"):
        return _midnight(start.date()), _midnight(start.date() + timedelta(days=1))
    start = start.astimezone()
    return start, start + timedelta(seconds=1)


def _days_ago(words: str) -> int | None:
    if words in NAMED:
        return NAMED[words]
    counted = re.fullmatch(r"(\d{1,4}) (day|week|month|year)s? ago", words)
    return int(counted[1]) * DAYS[counted[2]] if counted else None


def _midnight(day: date) -> datetime:
    """When `day` begins here: its own offset from UTC, which may not be today's."""
    return datetime.combine(day, time()).astimezone()
