"""Dates as people write them on a command line: ISO 8601, or a few words counted from now."""

import re
from datetime import datetime, timedelta

from memory.errors import BadInput

DAYS = {"day": 1, "week": 7, "month": 30, "year": 365}
NAMED = {"today": 0, "yesterday": 1, "last week": 7, "last month": 30, "last year": 365}


def span(text: str, now: datetime) -> tuple[datetime, datetime]:
    """The first and the first no longer meant moment of `text`, aware: a day, or the very second of a time of day.

    Knows ISO 8601 dates, months ("2026-05") and times (local where they name no zone), "today", "yesterday", "last
    week", "last month", "last year" and "3 days ago"; the last kinds mean the day so long ago. Raises BadInput.
    """
    words = " ".join(text.casefold().split())
    if (days := _days_ago(words)) is not None:
        start = _midnight(now.astimezone() - timedelta(days=days))
        return start, start + timedelta(days=1)
    if re.fullmatch(r"\d{4}-\d{2}", words):
        start = _read(words + "-01", text)
        return start, (start + timedelta(days=32)).replace(day=1)
    start = _read(text.strip(), text)
    return start, start + (timedelta(days=1) if len(words) <= len("2026-11-23") else timedelta(seconds=1))


def _days_ago(words: str) -> int | None:
    if words in NAMED:
        return NAMED[words]
    counted = re.fullmatch(r"(\d{1,4}) (day|week|month|year)s? ago", words)
    return int(counted[1]) * DAYS[counted[2]] if counted else None


def _read(iso: str, text: str) -> datetime:
    try:
        return datetime.fromisoformat(iso).astimezone()
    except (ValueError, OverflowError) as error:
        raise BadInput(f"{text!r} is no date.", "Write 2026-11-23, 2026-11, yesterday or 3 days ago.") from error


def _midnight(at: datetime) -> datetime:
    return at.replace(hour=0, minute=0, second=0, microsecond=0)
