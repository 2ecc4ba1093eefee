"""Dates as people write them: ISO 8601 and English words counted from now. Also the vocabulary of times for `when`."""

import contextlib
import re
from collections.abc import Callable
from datetime import date, datetime, time, timedelta

from memory.errors import BadInput

Days = tuple[date, date]  # the first day meant, and the first no longer meant

MONTHS = "january february march april may june july august september october november december".split()
MONTH = {name[:length]: place for place, name in enumerate(MONTHS, 1) for length in (3, 4, len(name))}
WEEKDAYS = "monday tuesday wednesday thursday friday saturday sunday".split()
WEEKDAY = {name[:length]: place for place, name in enumerate(WEEKDAYS) for length in (3, len(name))}
NUMBERS = {word: n for n, word in enumerate("a two three four five six seven eight nine ten".split(), 1)}
NUMBERS |= {"an": 1, "one": 1, "a couple of": 2, "couple of": 2, "a few": 3, "few": 3, "several": 4}
DAYS = {"day": 1, "week": 7, "month": 30, "year": 365}
SEASONS = {"spring": 3, "summer": 6, "autumn": 9, "fall": 9, "winter": 12}  # the first month, north of the equator
NAMED = {"today": 0, "yesterday": 1, "day before yesterday": 2}

EIGHT_YEARS = 8  # the most from one 29 February to the next


def one_of(words: dict[str, int]) -> str:
    """A pattern for any of `words`, the longest first."""
    return "|".join(sorted(words, key=len, reverse=True))


def number(word: str) -> int:
    """The number that digits or a word of NUMBERS mean."""
    return int(word) if word.isdecimal() else NUMBERS[word]


def span(text: str, now: datetime) -> tuple[datetime, datetime]:
    """The first and the first no longer meant moment of `text`, aware: some days, or the very second of a time of day.

    Knows ISO 8601, "23.11.2026", years, months, days, seasons, weeks and weekdays by name ("May 2024", "3 May", "last
    spring", "monday", "last weekend"), and "3 days ago", which is the day so long ago. Weeks begin on Monday. What has
    no year is the latest that has begun; with "last" the latest that is over. Raises BadInput.
    """
    try:
        return _span(text.strip(), " ".join(text.casefold().split()), now)
    except (ValueError, OverflowError, OSError) as error:
        remedy = "Write 2026-11-23, 2026-11, yesterday, 3 days ago, May 2024 or last spring."
        raise BadInput(f"{text!r} is no date.", remedy) from error


def _span(written: str, words: str, now: datetime) -> tuple[datetime, datetime]:
    words = re.sub(r"^(?:(?:in|on|at|of|during|since) )?(?:the )?", "", words)
    for pattern, read in _READERS:
        if found := re.fullmatch(pattern, words):
            first, after = read(found, now.astimezone().date())
            return _midnight(first), _midnight(after)
    start = datetime.fromisoformat(written)
    if len(written) <= len("2026-11-23"):
        return _midnight(start.date()), _midnight(_next(start.date()))
    start = start.astimezone()
    return start, start + timedelta(seconds=1)


def _midnight(day: date) -> datetime:
    """When `day` begins here: its own offset from UTC, which may not be today's."""
    return datetime.combine(day, time()).astimezone()


def _next(day: date) -> date:
    return day + timedelta(days=1)


# ---------------------------------------------------------------------- counted from today


def _named(found: re.Match[str], today: date) -> Days:
    day = today - timedelta(days=NAMED[found[0]])
    return day, _next(day)


def _ago(found: re.Match[str], today: date) -> Days:
    day = today - timedelta(days=number(found[1]) * DAYS[found[2]])
    return day, _next(day)


def _past(found: re.Match[str], today: date) -> Days:
    """ "The last three weeks" and "the past week" end with today."""
    return today - timedelta(days=number(found[1] or "a") * DAYS[found[2]]), _next(today)


def _week(found: re.Match[str], today: date) -> Days:
    monday = today - timedelta(days=today.weekday() + (7 if _over(found[1]) else 0))
    return monday + timedelta(days=5 if found[2] == "weekend" else 0), monday + timedelta(days=7)


def _calendar_month(found: re.Match[str], today: date) -> Days:
    first = today.replace(day=1)
    return _whole_month((first - timedelta(days=1)).replace(day=1) if _over(found[1]) else first)


def _calendar_year(found: re.Match[str], today: date) -> Days:
    return _whole_year(today.year - _over(found[1]))


def _weekday(found: re.Match[str], today: date) -> Days:
    """The last such day before today; with "this" that of this week, whether it has come or not."""
    back = (today.weekday() - WEEKDAY[found[2]]) % 7 or 7
    if found[1] == "this":
        back = today.weekday() - WEEKDAY[found[2]]
    day = today - timedelta(days=back)
    return day, _next(day)


def _over(word: str | None) -> bool:
    """Whether a word before a time says that it is over."""
    return word in ("last", "past", "previous")


# ---------------------------------------------------------------------- of some year


def _season(found: re.Match[str], today: date) -> Days:
    """Three months."""
    month = SEASONS[found["season"]]
    after, later = (month + 2) % 12 + 1, (month + 2) // 12
    return _latest(found, lambda year: (date(year, month, 1), date(year + later, after, 1)), today)


def _month_by_name(found: re.Match[str], today: date) -> Days:
    return _latest(found, lambda year: _whole_month(date(year, MONTH[found["month"]], 1)), today)


def _day_and_month(found: re.Match[str], today: date) -> Days:
    return _latest(found, lambda year: _whole_day(date(year, MONTH[found["month"]], int(found["day"]))), today)


def _christmas(found: re.Match[str], today: date) -> Days:
    return _latest(found, lambda year: (date(year, 12, 24), date(year, 12, 27)), today)


def _latest(found: re.Match[str], of: Callable[[int], Days], today: date) -> Days:
    """That of the year that `found` names, else the latest that has begun, or with "last" that is over."""
    which, year = (found.groupdict().get(name) for name in ("which", "year"))
    if year:
        return of(int(year))
    for near in range(today.year, today.year - EIGHT_YEARS - 1, -1):
        with contextlib.suppress(ValueError):  # 29 February
            first, after = of(near)
            if (after if _over(which) else first) <= today:
                return first, after
    raise ValueError("no year has that day")


# ---------------------------------------------------------------------- in figures


def _dotted(found: re.Match[str], _today: date) -> Days:
    day, month, year = map(int, found.groups())
    return _whole_day(date(year, month, day))


def _iso_month(found: re.Match[str], _today: date) -> Days:
    return _whole_month(date(int(found[1]), int(found[2]), 1))


def _iso_week(found: re.Match[str], _today: date) -> Days:
    monday = date.fromisocalendar(int(found[1]), int(found[2]), 1)
    return monday, monday + timedelta(days=7)


def _in_year(found: re.Match[str], _today: date) -> Days:
    return _whole_year(int(found[0]))


def _whole_day(day: date) -> Days:
    return day, _next(day)


def _whole_month(first: date) -> Days:
    return first, (first + timedelta(days=32)).replace(day=1)


def _whole_year(year: int) -> Days:
    return date(year, 1, 1), date(year + 1, 1, 1)


_COUNT = rf"(\d{{1,4}}|{one_of(NUMBERS)})"
_UNIT = rf"({one_of(DAYS)})s?"
_WHICH = r"(?:(?P<which>last|past|previous|this) )?"
_MONTH = rf"(?P<month>{one_of(MONTH)})\.?"
_YEAR = r"(?:,? (?:of )?(?P<year>\d{4}))?"

# The first pattern that fits the whole text reads it. They are compiled when a date is read: few commands read any.
_READERS: tuple[tuple[str, Callable[[re.Match[str], date], Days]], ...] = (
    (one_of(NAMED), _named),
    (rf"{_COUNT} {_UNIT} ago", _ago),
    (rf"(?:last|past|previous) {_COUNT} {_UNIT}", _past),
    (rf"past(?: (a))? {_UNIT}", _past),
    (r"(last|previous|this) (weekend|week)", _week),
    (r"(last|previous|this) month", _calendar_month),
    (r"(last|previous|this) year", _calendar_year),
    (rf"(?:(last|past|previous|this) )?({one_of(WEEKDAY)})", _weekday),
    (rf"{_WHICH}(?P<season>{one_of(SEASONS)}){_YEAR}", _season),
    (rf"{_WHICH}{_MONTH}{_YEAR}", _month_by_name),
    (rf"(?P<day>\d{{1,2}})(?:st|nd|rd|th|\.)? (?:of )?{_MONTH}{_YEAR}", _day_and_month),
    (rf"{_MONTH} (?P<day>\d{{1,2}})(?:st|nd|rd|th)?{_YEAR}", _day_and_month),
    (rf"{_WHICH}christmas{_YEAR}", _christmas),
    (r"(\d{1,2})\.(\d{1,2})\.(\d{4})", _dotted),
    (r"(\d{4})-(\d{2})", _iso_month),
    (r"(\d{4})-?w(\d{2})", _iso_week),
    (r"[12]\d{3}", _in_year),
)
