"""What a reader of a foreign history yields: whole conversations, and lines that it cannot use."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

from memory.records import Fact, Message, Session, Summary


@dataclass(frozen=True, slots=True)
class Conversation:
    """One session from outside with all that belongs to it. Nothing in it has its tokens counted yet."""

    session: Session
    messages: tuple[Message, ...] = ()
    summary: Summary | None = None
    facts: tuple[Fact, ...] = ()


@dataclass(frozen=True, slots=True)
class Bad:
    """A line that cannot be used, and why. In a file that is one document, `line` is the number of the session."""

    line: int
    reason: str


# Reads a file from its beginning. The flag says that its owner vouches for it. Raises BadInput for what is no text.
Reader = Callable[[BinaryIO, bool], Iterator[Conversation | Bad]]
