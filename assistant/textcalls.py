"""Tool calls that a model writes as text, as small models do, turned into calls while the reply streams.

What may still become a call is held back until it is clear, so that no JSON flashes on the screen. Where a call may
stand, and what becomes of the words around it:

- With a tag (<tool_call>) anywhere outside code. The words before it stay.
- Without one at the very beginning; or as the end of a reply, after a few words ("I will use the calculator:"), which
  stay. With words on both sides it is an example that somebody is shown, and stays text.
- Words after the last call are dropped: a small model invents the result there.
"""

import re
from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from typing import Any

from assistant.asking import Model
from assistant.callforms import FENCE, TAGS, Tools, may_be, read, read_lines, tools_by_name
from assistant.reply import Delta, Reply
from memory.records import Message, ToolCall

INTRODUCTION = 300  # characters that may stand before a call without a tag; what is longer explains something
HALF = ("broken", "deadline", "content_filter")  # a reply that ends so has no calls: half a call is none
HEAD = 1000  # characters by which it is judged whether something may be a call: the name stands there
LONG = 4000  # characters; what is longer is not read at each line's end, but once
TRIES = 8  # places read for calls at a reply's end: each costs the reply's length, and a model may loop
BLANKS = " \t\n\r\v\f"

_MARK = re.compile(r"(?<!`)(?:<|\[T)")  # how a tag begins
_OPENING = re.compile(r"\n[ \t]*(?=[{\[`])")  # how a line begins that may be a call without a tag, or any fence
_CLOSING = re.compile(r"\n[ \t]*```[^\n]*")


def with_text_calls(model: Model) -> Model:
    """The model, with the calls that it writes as text as tool calls; a reply with true calls stays as it is."""

    def ask(messages: Sequence[Message], tools: Sequence[Mapping[str, Any]]) -> Iterable[Delta | Reply]:
        events = model(messages, tools)
        return calls_in(events, tools) if tools else events

    return ask


def calls_in(
    events: Iterable[Delta | Reply], tools: Sequence[Mapping[str, Any]]
) -> Generator[Delta | Reply, None, None]:
    """The events of one reply, with the calls of these tools that stand in its text as tool calls.

    An interrupt loses what is held back then: half a call is none.
    """
    scan = _Scan(tools_by_name(tools))
    with closing(closable(events)) as stream:  # closed at once: the connection hangs on it
        for event in stream:
            if isinstance(event, Reply):
                yield from _ended(scan, event)
            elif event.reasoning:
                yield event
            elif text := scan.feed(event.text):
                yield Delta(text)


def closable(events: Iterable[Delta | Reply]) -> Generator[Delta | Reply, None, None]:
    """The events as a generator, so that to close it closes whatever they come from."""
    yield from events


def _ended(scan: "_Scan", reply: Reply) -> Generator[Delta | Reply, None, None]:
    """The last of the text, and the reply. Half a reply has no calls."""
    if any(call.name in scan.held for call in reply.tool_calls):
        # Some servers' parsers let the beginning of a call through as text, before they know it for one.
        yield replace(reply, text=scan.said)
        return
    is_text = bool(reply.tool_calls) or reply.finish in HALF
    text, calls = (scan.held, ()) if is_text else scan.end(whole=reply.finish != "length")
    if text:
        yield Delta(text)
    yield replace(reply, text=scan.said, tool_calls=calls, finish="tool_calls") if calls else reply


class _Scan:
    """A growing text: what of it is surely no call is let go, the rest is held."""

    def __init__(self, tools: Tools) -> None:
        self._tools = tools
        self.said = ""  # what was let go
        self.held = ""
        self._is_candidate = False  # whether what is held, past blanks, may be a call
        self._in_code = False  # in a fence that holds no call

    def feed(self, piece: str) -> str:
        """Add a piece; returns what is surely text."""
        begin = len(self.said)
        is_blank = not (self.held[-1:] + piece).strip(BLANKS)
        self.held += piece
        if is_blank:
            return ""  # blanks after blanks decide nothing, and a model may loop in them
        while self._step(at_line_end="\n" in piece):
            pass
        return self.said[begin:]

    def end(self, whole: bool) -> tuple[str, tuple[ToolCall, ...]]:
        """The last of the text, and the calls. `whole`: the reply was not cut off."""
        begin = len(self.said)
        for _ in range(TRIES):
            while self._step(at_line_end=True):
                pass
            if not self._is_candidate:
                break
            if calls := self._calls(whole):
                return self.said[begin:], calls
            self._refute()
        self._let_go(len(self.held))
        return self.said[begin:], ()

    def _let_go(self, length: int) -> None:
        self.said += self.held[:length]
        self.held = self.held[length:]

    def _step(self, at_line_end: bool) -> bool:
        """Decide one thing about what is held; False where it needs more text for that."""
        if self._in_code:
            return self._through_code()
        if not self._is_candidate:
            return self._to_candidate()
        if not self._is_refuted(at_line_end):
            return False
        self._refute()
        return True

    def _is_refuted(self, at_line_end: bool) -> bool:
        """Whether what is held cannot be a call any more. Only at a line's end the whole of it is read for that."""
        head = self.held[:HEAD]
        if not may_be(head, self._tools, first=not self.said):
            return True
        if any(mark.startswith(head.strip(BLANKS)) for mark in (FENCE, *TAGS)):
            return False  # not before it is clear whether it is a tag, or begins code
        return self._is_bare() and (
            not self._is_introduced() or (at_line_end and len(self.held) <= LONG and self._is_example())
        )

    def _through_code(self) -> bool:
        """Let code go, up to and with the fence that closes it."""
        found = _CLOSING.search(self.held)
        if found and found.end() < len(self.held):
            self._in_code = False
            self._let_go(found.end())
            return True
        line = self.held.rfind("\n")
        self._let_go(line if line >= 0 and self.held[line:].lstrip()[:3] in FENCE else len(self.held))
        return False

    def _to_candidate(self) -> bool:
        """Let text go up to the next place where a call may stand; the blanks before it are held with it."""
        found = self._next()
        if found is None:
            self._let_go(len(self.held.rstrip(BLANKS + "[")))
            return False
        self._is_candidate = True
        self._let_go(len(self.held[:found].rstrip(BLANKS)))
        return True

    def _next(self) -> int | None:
        if not self.said and self.held.strip(BLANKS):
            return 0
        before = self.said[-1:]
        line = _OPENING.search(self.held)
        mark = _MARK.search(before + self.held, len(before))
        places = [line.end()] if line else []
        places += [mark.start() - len(before)] if mark else []
        return min(places, default=None)

    def _refute(self) -> None:
        """Let the beginning of what is held go: it is no call. A fence there begins code."""
        self._is_candidate = False
        start = len(self.held) - len(self.held.lstrip())
        self._in_code = self.held.startswith(FENCE, start)
        self._let_go(start + (len(FENCE) if self._in_code else 1))

    def _is_introduced(self) -> bool:
        """Whether what stands before is so little that a call without a tag may follow."""
        return len(self.said) <= INTRODUCTION and FENCE not in self.said

    def _is_bare(self) -> bool:
        """Whether what is held has no tag."""
        return _MARK.match(self.held[:HEAD].lstrip()) is None

    def _is_example(self) -> bool:
        """Whether what is held are calls with words on both sides."""
        if not self.said.strip():
            return False
        held = self.held.lstrip()
        calls, end = read(held, self._tools, whole=False)
        return bool(calls) and not may_be(held[end:], self._tools)

    def _calls(self, whole: bool) -> tuple[ToolCall, ...]:
        held = self.held.lstrip()
        calls, _ = read(held, self._tools, whole)
        return calls or (() if self.said.strip() else read_lines(held, self._tools))
