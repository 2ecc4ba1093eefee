"""Dates from a command line: what they mean, in local time, whatever the clocks do in between."""

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from memory.dates import span
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
        ("last  week", "2026-11-16T00:00+01:00", "2026-11-17T00:00+01:00"),
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


def test_today_is_the_local_day_and_not_that_of_utc(zone: Callable[[str], None]) -> None:
    zone("JST-9")
    late = datetime(2026, 11, 23, 20, tzinfo=UTC)  # 5 o'clock in the morning, on the 24th
    assert span("today", late)[0] == datetime.fromisoformat("2026-11-24T00:00+09:00")


@pytest.mark.parametrize(
    "text",
    ["", "soon", "2026-13", "2026-02-30", "9999 years ago", "9999-12", "9999-12-31", "0001-01-01", "3 days", "5"],
)
def test_what_is_no_date_is_refused_with_examples(zone: Callable[[str], None], text: str) -> None:
    zone(CENTRAL_EUROPE)  # east of Greenwich the year 1 begins before all time
    with pytest.raises(BadInput, match=r"2026-11-23, 2026-11"):
        span(text, NOON)


days = st.dates().map(str)
months = st.dates().map(lambda day: f"{day:%Y-%m}")
moments = st.datetimes(timezones=st.none() | st.just(UTC)).map(str)
ago = st.builds("{} {} ago".format, st.integers(0, 9999), st.sampled_from(["day", "weeks", "months", "year"]))


@given(days | months | moments | ago | st.text(max_size=12), st.datetimes(timezones=st.just(UTC)))
@example("1000-01", NOON)
def test_every_text_is_a_stretch_of_time_or_refused(text: str, now: datetime) -> None:
    try:
        start, end = span(text, now)
    except BadInput:
        return
    assert start.tzinfo and end.tzinfo
    assert timedelta(0) < end - start <= timedelta(days=32)


@given(st.dates(min_value=datetime(1000, 1, 1).date(), max_value=datetime(9000, 1, 1).date()))
def test_days_follow_each_other_without_a_gap(day: object) -> None:
    end = span(str(day), NOON)[1]
    assert span(f"{end:%Y-%m-%d}", NOON)[0] == end
