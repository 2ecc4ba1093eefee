"""A transcript as data for a model: numbered, dated, cut to size, and such that nothing in it can pose as its frame."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, tzinfo

from memory.drafts import one_line
from memory.records import RECALLED, Message
from memory.visible import visible

Count = Callable[[str], int]
NAME_CHARS = 40


@dataclass(frozen=True, slots=True)
class Said:
    """A message that may be noted."""

    number: int
    message: Message

    @property
    def origin(self) -> str:
        """Whose words it is."""
        return self.message.origin


@dataclass(frozen=True, slots=True)
class Block:
    """A piece of the transcript as the model sees it; `number` is None for a stub, which cannot be cited."""

    number: int | None
    text: str
    tokens: int


def spoken(messages: Sequence[Message]) -> Iterator[Said]:
    """What user and assistant said, numbered from 1. What was recalled, and what may repeat a page, is left out.

    So neither is learned: notes on it would carry orders that nobody gave into every later conversation.
    """
    spoken = [one for one in messages if one.role in ("user", "assistant") and one.content.strip()]
    own = [one for one in spoken if one.origin != RECALLED and not one.drawn_from]
    yield from (Said(number, message) for number, message in enumerate(own, start=1))


def blocks_of(
    messages: Sequence[Message], said: Sequence[Said], count: Count, most: int, zone: tzinfo | None
) -> list[Block]:
    """The transcript piece by piece, each of less than `most` tokens. Tools are stubs, system messages are left out."""
    numbers = {id(one.message): one.number for one in said}
    blocks = []
    for message in messages:
        number = numbers.get(id(message))
        text = _shown(message, number, count, most, zone) if number else _stub(message, count)
        if text:
            blocks.append(Block(number, text, count(text) + 1))  # one for the line's end between two blocks
    return blocks


def _shown(message: Message, number: int, count: Count, most: int, zone: tzinfo | None) -> str:
    """A message under its header; one that is too large loses its middle, visibly."""
    speaker = f"{message.role} ({label(message.name)})" if message.name else message.role
    header = f"[{number}] {message.at.astimezone(zone):%Y-%m-%d %A} {speaker}:"
    text = header + "\n" + fenced(message.content)
    size = len(message.content)
    while count(text) >= most and size:
        size = min(size - 1, int(size * 0.9 * most / count(text)))
        head, tail = message.content[: size - size // 2], message.content[len(message.content) - size // 2 :]
        cut = f"({len(message.content) - size} characters not shown)"
        text = "\n".join(piece for piece in (header, fenced(head), cut, fenced(tail)) if piece)
    return text


def _stub(message: Message, count: Count) -> str:
    """One line for what is not shown: a tool's result, a reply drawn from one or that only calls tools; else empty."""
    if message.origin == RECALLED or message.role in ("system", "user"):
        return ""
    if message.role == "tool":
        return f"(tool {_tool_name(message)} returned {message.tokens or count(message.content)} tokens, not shown)"
    if message.drawn_from and message.content.strip():
        names = ", ".join(map(label, message.drawn_from))
        return f"(assistant answered from {names}, {len(message.content.split())} words, not shown)"
    called = ", ".join(dict.fromkeys(label(call.name) for call in message.tool_calls))
    return f"(assistant calls {called})" if called else ""


def fenced(content: str) -> str:
    """The content as data: every line begins with "| ", so that none can be a header or close the fence.

    Unseen characters are spelled out, and a chat template's own marks broken up: a local server would obey them.
    """
    lines = [_MARKS.sub(lambda found: f"{found[0][0]} {found[0][1:]}", visible(line)) for line in content.splitlines()]
    return "\n".join(f"| {line.strip()}" for line in lines if line.strip())


_MARKS = re.compile(
    r"<[|｜]|</?s>|\[/?INST\]|<</?SYS>>|</?(?:start|end)_of_(?:turn|text|utterance)>|<(?:eos|bos|pad|unk)>",
    re.IGNORECASE,
)


def label(name: str | None) -> str:
    """A name fit for a header: letters, digits and a few signs in one line of at most 40 characters."""
    return " ".join(re.sub(r"[^\w .'’-]", " ", one_line(name or "")).split())[:NAME_CHARS]


def _tool_name(message: Message) -> str:
    _, _, named = message.origin.partition("tool:")
    return label(named or message.name or "unknown")


def packed(blocks: Sequence[Block], room: int) -> list[list[Block]]:
    """The blocks in order, in as few parts as fit: each of at most `room` tokens, if no block is larger."""
    parts: list[list[Block]] = []
    left = 0
    for block in blocks:
        if not parts or block.tokens > left:
            parts.append([])
            left = room
        parts[-1].append(block)
        left -= block.tokens
    return parts


def cut_to(text: str, most: int, count: Count) -> str:
    """The beginning of `text` that has at most `most` tokens."""
    while count(text) >= most:
        text = text[: min(len(text) - 1, int(len(text) * 0.95 * most / count(text)))]
    return text


def days_of(said: Sequence[Said], zone: tzinfo | None) -> tuple[date, ...]:
    """The first and the last day on which these were said, where the owner is."""
    days = [one.message.at.astimezone(zone).date() for one in said]
    return (min(days), max(days)) if days else ()
