"""What a reader of a foreign history yields: whole conversations, and lines that it cannot use."""

import re
from collections.abc import Callable, Iterator, Sequence
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


def drawn(messages: Sequence[Message], told: Sequence[Sequence[str] | None]) -> Iterator[Message]:
    """The messages, those of the assistant with the tools that they are drawn from.

    `told` is what the file says of each. Where it says nothing, a message may repeat whatever tool its turn has read.
    """
    read: dict[str, None] = {}
    for message, names in zip(messages, told, strict=True):
        if message.role == "user":
            read = {}
        if message.role == "tool":
            read[_tool(message)] = None
        mine = message.role == "assistant"
        yield message._replace(drawn_from=tuple(read if names is None else names)) if mine else message


def _tool(message: Message) -> str:
    """A tool's name as a list with commas can hold it."""
    named = message.origin.removeprefix("tool:") if message.origin.startswith("tool:") else message.name
    return re.sub(r"[^\w.-]", "_", named or "unknown")[:100]
