"""A fact as a text that its owner edits, and back. Pure."""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import get_args

from memory.errors import BadInput
from memory.records import Fact, FactKind

KINDS = get_args(FactKind)
REMEDY = "Mend that line."


@dataclass(frozen=True, slots=True)
class Edited:
    """What its owner wants a fact to say: its text on one line, its kind, and since when it holds."""

    text: str
    kind: FactKind
    valid_from: datetime | None


def as_text(fact: Fact) -> str:
    """A fact as lines to edit."""
    return "\n".join(
        [
            f"# Fact {fact.id}, said on {fact.at.astimezone():%Y-%m-%d}. Without a change nothing happens.",
            f"# kind is one of: {', '.join(KINDS)}. since is a day such as 2026-05-01, or empty.",
            f"kind: {fact.kind}",
            f"since: {day_of(fact.valid_from)}",
            "text:",
            one_line(fact.text),
            "",
        ]
    )


def from_text(text: str, fact: Fact) -> Edited:
    """What the edited lines say. Raises BadInput, with the number of the line, for what cannot be understood."""
    kind, since = fact.kind, day_of(fact.valid_from)
    lines = text.splitlines()
    for number, line in enumerate(lines, 1):
        name, colon, value = (part.strip() for part in line.partition(":"))
        if not line.strip() or line.startswith("#"):
            continue
        if name == "text" and colon:
            return Edited(_said([value, *lines[number:]], number), kind, _valid_from(since, fact))
        if name == "kind" and value in KINDS:
            kind = value  # type: ignore[assignment]
        elif name == "since" and _is_day(value):
            since = value
        else:
            raise BadInput(f"Line {number} cannot be understood: {line[:60]!r}.", REMEDY)
    raise BadInput(f"Line {len(lines) + 1} should be `text:`, with what the fact says below it.", REMEDY)


def day_of(at: datetime | None) -> str:
    """A day as it is edited: that of UTC, in which a bare day is stored; empty for none."""
    return at.astimezone(UTC).date().isoformat() if at else ""


def one_line(text: str) -> str:
    """The text with every run of blanks and line ends as one blank."""
    return " ".join(text.split())


def _said(lines: list[str], number: int) -> str:
    said = one_line(" ".join(lines))
    if not said:
        raise BadInput(f"There is no text below line {number}.", "To take a fact for wrong: assistant memory reject ID")
    return said


def _is_day(text: str) -> bool:
    try:
        return not text or bool(re.fullmatch(r"\d{4}-\d\d-\d\d", text) and date.fromisoformat(text))
    except ValueError:
        return False


def _valid_from(day: str, fact: Fact) -> datetime | None:
    """The time as it was, if its day was not changed."""
    if day == day_of(fact.valid_from):
        return fact.valid_from
    return datetime.combine(date.fromisoformat(day), datetime.min.time(), UTC) if day else None
