"""The home's files of lines, the typed history and the log: entries that hold what was forgotten are cut out."""

import re
from bisect import bisect_right
from collections.abc import Iterable
from pathlib import Path

# A typed line of the history is a comment with its time, then each of its lines with a plus before it.
HISTORY = re.compile(rb"^\n?# ", re.MULTILINE)
LINE = re.compile(rb"^(?=\d{4}-\d\d-\d\d )", re.MULTILINE)  # a log entry may have more lines, as a traceback has
NAMES = {"history": HISTORY, "assistant.log": LINE, "assistant.log.1": LINE}


def _starts(path: Path, data: bytes) -> list[int]:
    """Where the entries begin; of an empty file nowhere."""
    return sorted({0, *(found.start() for found in NAMES[path.name].finditer(data))}) if data else []


def _entries(starts: list[int], offsets: Iterable[int] | None) -> set[int]:
    """The numbers of the entries in which these bytes lie; None: of all."""
    return set(range(len(starts))) if offsets is None else {bisect_right(starts, offset) - 1 for offset in offsets}


def count(path: Path, offsets: Iterable[int] | None) -> int:
    """How many entries `cut` would take out."""
    return len(_entries(_starts(path, path.read_bytes()), offsets))


def cut(path: Path, offsets: Iterable[int] | None) -> int:
    """Take the entries out in which these bytes lie (None: all); returns how many they were.

    It is written in place, since another process may have it open to append to it.
    """
    with path.open("r+b") as file:
        data = file.read()
        starts = _starts(path, data)
        gone = _entries(starts, offsets)
        if not gone:
            return 0
        ends = [*starts[1:], len(data)]
        parts = [data[start:end] for start, end in zip(starts, ends, strict=True)]
        file.seek(0)
        file.write(b"".join(part for place, part in enumerate(parts) if place not in gone))
        file.truncate()
    return len(gone)
