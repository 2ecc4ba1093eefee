"""What time it is, here or elsewhere: a model cannot know."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from difflib import get_close_matches
from functools import cache
from zoneinfo import ZoneInfo, available_timezones

from tools.tool import Tool, tool

# Python's own names of the days follow the machine's language.
_WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


def _now() -> datetime:
    return datetime.now(UTC)


def clock_tool(now: Callable[[], datetime] = _now) -> Tool:
    """Return the clock as a tool. `now` gives the present time as an aware datetime."""

    def current_time(timezone: str = "") -> str:
        """Tell the present date, time and day of the week.

        Args:
            timezone: An IANA name such as Europe/Berlin or UTC. Empty means the user's own time zone.

        Raises:
            ValueError: There is no such time zone; the message names similar ones.
        """
        zone = _zone(timezone.strip()) if timezone.strip() else None
        then = now().astimezone(zone)
        name = zone.key if zone else f"local time, {then.tzname()}"
        return f"{_WEEKDAYS[then.weekday()]}, {then.isoformat(timespec='seconds')} ({name})"

    return tool(current_time)


def _zone(name: str) -> ZoneInfo:
    """Return the zone of that name, whatever its case. Only listed names reach the file system."""
    zones = _zones()
    wanted = name.replace(" ", "_").lower()
    if wanted not in zones:
        raise ValueError(f"{_quoted(name)} is no IANA time zone such as Europe/Berlin{_similar(wanted, zones)}")
    return ZoneInfo(zones[wanted])


@cache
def _zones() -> Mapping[str, str]:
    return {name.lower(): name for name in sorted(available_timezones())}


def _similar(wanted: str, zones: Mapping[str, str]) -> str:
    # The names under Etc/ count their hours backwards (Etc/GMT+2 is west), so they are never suggested.
    known = [name for name in zones if not name.startswith("etc/")]
    in_city = [name for name in known if name.rpartition("/")[2] == wanted]
    close = in_city or get_close_matches(wanted, known, n=3)
    return f"; similar names: {', '.join(zones[name] for name in close)}" if close else ""


def _quoted(name: str) -> str:
    return f'"{name}"' if len(name) <= 60 else f'"{name[:60]}…"'
