"""The clock tells the time of any zone by name, and nothing of the file system."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tools.clock import clock_tool

NOON = datetime(2025, 3, 1, 12, 4, 5, 678, UTC)
ASK = clock_tool(lambda: NOON).run


@pytest.fixture
def in_tokyo(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    if not hasattr(time, "tzset"):
        pytest.skip("this system cannot change its zone for one process")
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(
    ("zone", "told"),
    [
        ("Europe/Berlin", "Saturday, 2025-03-01T13:04:05+01:00 (Europe/Berlin)"),
        ("UTC", "Saturday, 2025-03-01T12:04:05+00:00 (UTC)"),
        ("utc", "Saturday, 2025-03-01T12:04:05+00:00 (UTC)"),
        (" pacific/auckland ", "Sunday, 2025-03-02T01:04:05+13:00 (Pacific/Auckland)"),
        ("America/New York", "Saturday, 2025-03-01T07:04:05-05:00 (America/New_York)"),
    ],
)
def test_the_time_of_a_zone(zone: str, told: str) -> None:
    assert ASK(timezone=zone) == told


@pytest.mark.parametrize("zone", ["", "  "])
@pytest.mark.usefixtures("in_tokyo")
def test_without_a_zone_it_is_the_machines_own_time(zone: str) -> None:
    assert ASK(timezone=zone) == "Saturday, 2025-03-01T21:04:05+09:00 (local time, JST)"


def test_summer_time_is_kept() -> None:
    summer = clock_tool(lambda: datetime(2025, 7, 1, 12, tzinfo=UTC)).run
    assert "14:00:00+02:00" in summer(timezone="Europe/Berlin")


@pytest.mark.parametrize(
    ("zone", "similar"),
    [("Berlin", "Europe/Berlin"), ("Europe/Berlln", "Europe/Berlin"), ("new york", "America/New_York")],
)
def test_an_unknown_zone_is_answered_with_similar_names(zone: str, similar: str) -> None:
    with pytest.raises(ValueError, match=similar):
        ASK(timezone=zone)


def test_zones_that_count_backwards_are_not_suggested() -> None:
    with pytest.raises(ValueError, match="no IANA time zone") as caught:
        ASK(timezone="GMT+2")
    assert "Etc" not in str(caught.value)


@pytest.mark.parametrize(
    "zone", ["../../etc/passwd", "/etc/localtime", "Europe", "Europe/", "a\0b", "\ud800", "x" * 100_000, "."]
)
def test_a_path_is_no_zone(zone: str) -> None:
    with pytest.raises(ValueError, match="no IANA time zone") as caught:
        ASK(timezone=zone)
    assert len(str(caught.value)) < 250


@given(st.text(st.characters()))
def test_any_text_is_a_zone_or_a_value_error(zone: str) -> None:
    try:
        assert "2025-03-0" in ASK(timezone=zone)
    except ValueError as error:
        assert "no IANA time zone" in str(error)


def test_the_ready_clock_tells_the_present() -> None:
    told = clock_tool().run(timezone="UTC")
    then = datetime.fromisoformat(told.split(", ")[1].removesuffix(" (UTC)"))
    assert abs((datetime.now(UTC) - then).total_seconds()) < 60


def test_the_tool_has_no_effects() -> None:
    found = clock_tool()
    assert (found.name, found.effects) == ("current_time", frozenset())
