"""Dates from a command line: what they mean, in local time, whatever the clocks do in between."""

import time
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from memory.dates import MONTH, SEASONS, WEEKDAY, span
from memory.errors import BadInput

NOON = datetime(2026, 11, 23, 11, tzinfo=UTC)
CENTRAL_EUROPE = "CET-1CEST,M3.5.0/2,M10.5.0/3"


@pytest.fixture
def zone(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """Sets this machine's time zone."""

    def enter(name: str) -> None:
        monkeypatch.setenv("TZ", name)
        time.tzset()

    yield enter
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(
    ("text", "start", "end"),
    [
        ("2026-11-23", "2026-11-23T00:00+01:00", "2026-11-24T00:00+01:00"),
        ("20261123", "2026-11-23T00:00+01:00", "2026-11-24T00:00+01:00"),
        ("  TODAY ", "2026-11-23T00:00+01:00", "2026-11-24T00:00+01:00"),
        ("yesterday", "2026-11-22T00:00+01:00", "2026-11-23T00:00+01:00"),
        ("last  week", "2026-11-16T00:00+01:00", "2026-11-23T00:00+01:00"),
        ("3 days ago", "2026-11-20T00:00+01:00", "2026-11-21T00:00+01:00"),
        ("1 week ago", "2026-11-16T00:00+01:00", "2026-11-17T00:00+01:00"),
        ("2026-12", "2026-12-01T00:00+01:00", "2027-01-01T00:00+01:00"),
        ("2024-02", "2024-02-01T00:00+01:00", "2024-03-01T00:00+01:00"),
        ("2026-11-23T10:15", "2026-11-23T10:15+01:00", "2026-11-23T10:15:01+01:00"),
        ("2026-11-23 10:15:30Z", "2026-11-23T10:15:30+00:00", "2026-11-23T10:15:31+00:00"),
        # In summer the clocks are an hour ahead: a day then begins at its own midnight.
        ("2026-07-01", "2026-07-01T00:00+02:00", "2026-07-02T00:00+02:00"),
        ("6 months ago", "2026-05-27T00:00+02:00", "2026-05-28T00:00+02:00"),
        ("29 days ago", "2026-10-25T00:00+02:00", "2026-10-26T00:00+01:00"),
        ("2026-10-25", "2026-10-25T00:00+02:00", "2026-10-26T00:00+01:00"),
        ("2026-03", "2026-03-01T00:00+01:00", "2026-04-01T00:00+02:00"),
    ],
)
def test_a_date_means_a_stretch_of_local_time(zone: Callable[[str], None], text: str, start: str, end: str) -> None:
    zone(CENTRAL_EUROPE)
    assert span(text, NOON) == (datetime.fromisoformat(start), datetime.fromisoformat(end))


@pytest.mark.parametrize(
    ("text", "first", "after"),
    [
        ("last spring", "2026-03-01", "2026-06-01"),
        ("this Spring", "2026-03-01", "2026-06-01"),
        ("spring 2025", "2025-03-01", "2025-06-01"),
        ("in the summer of 2024", "2024-06-01", "2024-09-01"),
        ("this autumn", "2026-09-01", "2026-12-01"),  # it is going on
        ("last fall", "2025-09-01", "2025-12-01"),
        ("last winter", "2025-12-01", "2026-03-01"),
        ("winter 2023", "2023-12-01", "2024-03-01"),
        ("may", "2026-05-01", "2026-06-01"),
        ("in May", "2026-05-01", "2026-06-01"),
        ("May 2024", "2024-05-01", "2024-06-01"),
        ("december", "2025-12-01", "2026-01-01"),
        ("november", "2026-11-01", "2026-12-01"),
        ("last november", "2025-11-01", "2025-12-01"),
        ("sept. 2025", "2025-09-01", "2025-10-01"),
        ("3 May", "2026-05-03", "2026-05-04"),
        ("3rd of May, 2024", "2024-05-03", "2024-05-04"),
        ("May 3rd 2024", "2024-05-03", "2024-05-04"),
        ("24 dec", "2025-12-24", "2025-12-25"),
        ("29 february", "2024-02-29", "2024-03-01"),
        ("christmas", "2025-12-24", "2025-12-27"),
        ("monday", "2026-11-16", "2026-11-17"),  # the 23rd is a Monday itself
        ("last Sunday", "2026-11-22", "2026-11-23"),
        ("this friday", "2026-11-27", "2026-11-28"),
        ("last weekend", "2026-11-21", "2026-11-23"),
        ("this week", "2026-11-23", "2026-11-30"),
        ("last month", "2026-10-01", "2026-11-01"),
        ("this month", "2026-11-01", "2026-12-01"),
        ("last year", "2025-01-01", "2026-01-01"),
        ("this year", "2026-01-01", "2027-01-01"),
        ("2024", "2024-01-01", "2025-01-01"),
        ("since 2024", "2024-01-01", "2025-01-01"),
        ("a year ago", "2025-11-23", "2025-11-24"),
        ("two weeks ago", "2026-11-09", "2026-11-10"),
        ("a couple of days ago", "2026-11-21", "2026-11-22"),
        ("the last three weeks", "2026-11-02", "2026-11-24"),
        ("the past week", "2026-11-16", "2026-11-24"),
        ("the day before yesterday", "2026-11-21", "2026-11-22"),
        ("23.11.2026", "2026-11-23", "2026-11-24"),
        ("2026-W05", "2026-01-26", "2026-02-02"),
        ("2026-W05-2", "2026-01-27", "2026-01-28"),
    ],
)
def test_words_mean_whole_days(zone: Callable[[str], None], text: str, first: str, after: str) -> None:
    zone("UTC0")
    assert [f"{moment:%Y-%m-%d %H:%M}" for moment in span(text, NOON)] == [f"{first} 00:00", f"{after} 00:00"]


@pytest.mark.parametrize(("today", "first"), [("2026-01-10", "2024-12-01"), ("2026-03-01", "2025-12-01")])
def test_last_winter_is_over(zone: Callable[[str], None], today: str, first: str) -> None:
    zone("UTC0")
    assert f"{span('last winter', datetime.fromisoformat(today))[0]:%Y-%m-%d}" == first


def test_today_is_the_local_day_and_not_that_of_utc(zone: Callable[[str], None]) -> None:
    zone("JST-9")
    late = datetime(2026, 11, 23, 20, tzinfo=UTC)  # 5 o'clock in the morning, on the 24th
    assert span("today", late)[0] == datetime.fromisoformat("2026-11-24T00:00+09:00")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "soon",
        "2026-13",
        "2026-02-30",
        "9999 years ago",
        "9999-12",
        "9999-12-31",
        "0001-01-01",
        "3 days",
        "5",
        "30 feb",
        "31.2.2026",
        "23/11/2026",
        "last spring 20255",
        "9999",
        "mayday",
        "last",
        "2026-W60",
    ],
)
def test_what_is_no_date_is_refused_with_examples(zone: Callable[[str], None], text: str) -> None:
    zone(CENTRAL_EUROPE)  # east of Greenwich the year 1 begins before all time
    with pytest.raises(BadInput, match=r"2026-11-23, 2026-11"):
        span(text, NOON)


days = st.dates().map(str)
months = st.dates().map(lambda day: f"{day:%Y-%m}")
moments = st.datetimes(timezones=st.none() | st.just(UTC)).map(str)
ago = st.builds("{} {} ago".format, st.integers(0, 9999), st.sampled_from(["day", "weeks", "months", "year"]))
named = st.sampled_from([*WEEKDAY, *MONTH, *SEASONS, "week", "weekend", "month", "year", "christmas"])
in_words = st.builds(
    "{}{}{}".format,
    st.sampled_from(["", "last ", "this ", "in ", "the past ", "29 "]),
    named,
    st.just("") | st.integers(0, 99999).map(" {}".format),
)


@given(days | months | moments | ago | in_words | st.text(max_size=12), st.datetimes(timezones=st.just(UTC)))
@example("1000-01", NOON)
def test_every_text_is_a_stretch_of_time_or_refused(text: str, now: datetime) -> None:
    try:
        start, end = span(text, now)
    except BadInput:
        return
    assert start.tzinfo and end.tzinfo
    assert timedelta(0) < end - start <= timedelta(days=366, hours=2)


@given(st.dates(min_value=datetime(1000, 1, 1).date(), max_value=datetime(9000, 1, 1).date()))
def test_a_day_is_read_back(day: date) -> None:
    start, end = span(str(day), NOON)
    assert (start.date(), end.date()) == (day, day + timedelta(days=1))
    assert span(f"{day:%d.%m.%Y}", NOON) == span(f"{day.day} {day:%B %Y}", NOON) == (start, end)


@given(st.dates(min_value=datetime(1000, 1, 1).date(), max_value=datetime(9000, 1, 1).date()))
def test_days_follow_each_other_without_a_gap(day: object) -> None:
    end = span(str(day), NOON)[1]
    assert span(f"{end:%Y-%m-%d}", NOON)[0] == end
