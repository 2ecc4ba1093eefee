"""Tools offered through a JSON schema that the reply must fit, for models that write no calls by themselves.

The reply is one object: {"tool": name, "arguments": {...}}, where to answer is a tool, too. It is turned back into a
call or into text, which streams as it comes. That the tools are told in words is the quirk no_tools (toolwords.py).
"""

import json
import re
from collections.abc import Generator, Iterable, Sequence
from contextlib import closing
from dataclasses import replace
from itertools import chain
from typing import Any, Protocol

from assistant.asking import Model
from assistant.errors import SchemaRefused
from assistant.reply import Delta, Reply
from assistant.textcalls import calls_in, closable, with_text_calls
from assistant.toolwords import ANSWER
from assistant.wire import Wire, well_formed
from memory.records import Message

HEAD = '{"tool":"answer","arguments":{"text":"'  # how an answer begins, but for blanks

_HEAD = re.compile(r"\s*".join(map(re.escape, ["", *re.findall(r'"\w+"|\W', HEAD)])))
_HEX = "[0-9a-fA-F]"
_HIGH, _LOW = rf"\\u[dD][89abAB]{_HEX}{{2}}", rf"\\u[dD][c-fC-F]{_HEX}{{2}}"
# What of a JSON string can be read although more may follow: half of a surrogate pair waits for the other.
_WHOLE = re.compile(
    rf"""(?:[^"\\]|\\[^u]|{_HIGH}{_LOW}|(?!{_HIGH})\\u{_HEX}{{4}}|\\u(?={_HEX}{{0,3}}(?!{_HEX})[\s\S])"""
    rf"""|{_HIGH}(?=[^\\]|\\[^u]|\\u(?!{_LOW[3:]}){_HEX}{{4}}|\\u{_HEX}{{0,3}}(?!{_HEX})[\s\S]))*"""
)
_ESCAPES = re.compile(rf"(?:\\u{_HEX}{{4}})+|\\[^u]")


class Asked(Protocol):
    """Endpoint.stream with all that stays the same in a conversation: a reply that fits the schema, in pieces."""

    def __call__(
        self, messages: Sequence[Message], tools: Sequence[Wire], *, schema: Wire | None = None
    ) -> Iterable[Delta | Reply]:
        """Ask the model."""


def by_schema(asked: Asked) -> Model:
    """A model that is offered its tools through a schema. Without tools it is asked as ever.

    An endpoint that takes no schema is asked again without one: then the tools are told in words, and the calls are
    looked for in the text.
    """
    takes_schema = True

    def ask(messages: Sequence[Message], tools: Sequence[Wire]) -> Iterable[Delta | Reply]:
        nonlocal takes_schema
        if tools and takes_schema:
            try:
                yield from unwrapped(asked(messages, tools, schema=schema_of(tools)), tools)
            except SchemaRefused:  # before the reply began
                takes_schema = False
            else:
                return
        yield from with_text_calls(asked)(messages, tools)

    return ask


def schema_of(tools: Sequence[Wire]) -> dict[str, Any]:
    """The JSON schema of a reply that calls one of these tools or answers."""
    return {"anyOf": [_call_of(function) for function in (ANSWER, *(one["function"] for one in tools))]}


def _call_of(function: Wire) -> dict[str, Any]:
    properties = {"tool": {"type": "string", "const": function["name"]}, "arguments": function["parameters"]}
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


def unwrapped(events: Iterable[Delta | Reply], tools: Sequence[Wire]) -> Generator[Delta | Reply, None, None]:
    """The events of a reply in that schema: an answer as text, a call as a call.

    What an endpoint that passes over the schema says is read as by textcalls.
    """
    with closing(closable(events)) as stream:  # closed at once: the connection hangs on it
        first, is_answer = yield from _first(stream)
        rest = chain(first, stream)
        yield from _answer(rest) if is_answer else calls_in(rest, tools)


def _first(stream: Iterable[Delta | Reply]) -> Generator[Delta, None, tuple[list[Delta | Reply], bool]]:
    """The events until it is clear whether it is an answer, and whether it is. Thoughts go through."""
    events: list[Delta | Reply] = []
    text = ""
    for event in stream:
        if isinstance(event, Delta) and event.reasoning:
            yield event
            continue
        events.append(event)
        text += event.text if isinstance(event, Delta) else ""
        if _HEAD.match(text):
            return events, True
        if not HEAD.startswith("".join(text.split())):
            break
    return events, False


def _answer(events: Iterable[Delta | Reply]) -> Generator[Delta | Reply, None, None]:
    said = JsonText()
    for event in events:
        if isinstance(event, Reply):
            yield replace(event, text=said.text)
        elif event.reasoning:
            yield event
        elif text := said.feed(event.text):
            yield Delta(text)


class JsonText:
    """The text of an answer in JSON, read while it grows, wherever it is cut."""

    def __init__(self) -> None:
        self.text = ""
        self._held = ""
        self._has_begun = False

    def feed(self, piece: str) -> str:
        """Add a piece of the JSON; returns the piece of text that it completes."""
        self._held += piece
        if not self._has_begun:
            head = _HEAD.match(self._held)
            if not head:
                return ""
            self._has_begun = True
            self._held = self._held[head.end() :]
        whole = _WHOLE.match(self._held)
        length = whole.end() if whole else 0
        text = well_formed(_ESCAPES.sub(_unescaped, self._held[:length]))
        self._held = self._held[length:]
        self.text += text
        return text


def _unescaped(found: re.Match[str]) -> str:
    try:
        return str(json.loads(f'"{found[0]}"'))
    except ValueError:  # no escape of JSON, as a model writes it that no schema holds
        return found[0]
