"""What is put into a vector: one text for each message, summary and fact. Changing a form here asks for a new index."""

from memory.records import Fact, Message, Summary

LETTERS = {"m": "message", "s": "summary", "f": "fact"}


def unit_id(kind: str, seq: int) -> str:
    """The opaque name of a unit in the index: "m12"."""
    return f"{kind}{seq}"


def parsed(unit: str) -> tuple[str, int]:
    """The inverse of `unit_id`. Raises ValueError for what it cannot have made."""
    if unit[:1] not in LETTERS:
        raise ValueError(f"not a unit: {unit!r}")
    return unit[0], int(unit[1:])


def text_of(record: Message | Summary | Fact) -> str:
    """The words that a unit's vector stands for."""
    if isinstance(record, Message):
        return f"{record.name}: {record.content}" if record.name else record.content
    if isinstance(record, Summary):
        return f"{record.title}. {record.gist}"
    return record.text
