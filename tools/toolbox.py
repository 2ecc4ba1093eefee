"""A toolbox runs the calls of a model and always answers with text.

It never raises for what a model wrote or a tool did: the answer says what was wrong, so that the model can mend its
call.
"""

import json
import logging
import math
import re
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from queue import Empty, Queue
from typing import Any

from tools.arguments import RefusedError, checked, quoted, similar
from tools.tool import Outside, Tool

log = logging.getLogger(__name__)

TIMEOUT_S = 60.0
# Longer results are cut before they are counted: tokenising megabytes takes seconds. Text of more characters
# a token than this is nearly all blanks.
CHARACTERS_PER_TOKEN = 8
REASON_CHARACTERS = 500

_UNSAFE = re.compile(r"[\x00\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class ToolResult:
    """What a call gave. `text` is for the model; `ok` is False where the call was refused or failed.

    `outside`: it holds, or may hold, words that are nobody's here: of a page, a file, another program.
    """

    text: str
    ok: bool
    outside: bool = False


@dataclass(frozen=True, slots=True)
class Prepared:
    """A call that can be run: the tool, its arguments as they were checked, and what its owner is shown of it."""

    tool: Tool
    arguments: Mapping[str, Any]
    shown: str


class Toolbox:
    """The tools of one conversation, run by name, with every answer held under a limit of tokens and of time."""

    def __init__(
        self,
        tools: Sequence[Tool],
        count: Callable[[str], int],
        limit_tokens: int,
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        """Keep the tools in the order given. `count` gives a text's tokens.

        Raises ValueError if two tools share a name, or if the limit is too small for the note that marks a cut.
        """
        self.tools = tuple(tools)
        self.names = tuple(each.name for each in tools)
        if len(set(self.names)) < len(self.names):
            raise ValueError(f"two tools share a name: {', '.join(self.names)}")
        if count(_cut_note(987_654_321_987)) > limit_tokens:
            raise ValueError(f"a limit of {limit_tokens} tokens is too small for a tool's result")
        self._count = count
        self._limit_tokens = limit_tokens
        self._timeout_s = timeout_s

    def schemas(self) -> list[dict[str, Any]]:
        """Return all tools as OpenAI's chat API wants them described, always in the same order."""
        return [each.schema() for each in self.tools]

    def run(self, name: str, arguments: str) -> ToolResult:
        """Run one call as the model wrote it; `arguments` is JSON text, and empty text means no arguments.

        Whatever is wrong becomes a result with ok=False: an unknown tool, broken arguments, one that raises or
        hangs.
        """
        prepared = self.prepare(name, arguments)
        return self.perform(prepared) if isinstance(prepared, Prepared) else prepared

    def prepare(self, name: str, arguments: str) -> Prepared | ToolResult:
        """Check a call without running it: what would run, and what its owner is shown; or why it cannot be run."""
        try:
            called = self._tool(name)
            values = checked(name, called.parameters, arguments)
            shown = called.preview(**values) if called.preview else _pretty(values)
            return Prepared(called, values, _safe(shown))
        except RefusedError as error:
            return self._result(str(error), ok=False)
        except Exception as error:  # noqa: BLE001  tools are anybody's code; it is told and logged
            return self._failed(name, error)

    def perform(self, prepared: Prepared) -> ToolResult:
        """Run a prepared call and wait for what it gives."""
        running = self.begin(prepared)
        while (result := running.result(math.inf)) is None:
            pass
        return result

    def begin(self, prepared: Prepared, timeout_s: float = math.inf) -> "Running":
        """Begin a prepared call, which may take `timeout_s`, its tool's own limit, or the toolbox's if it has none.

        Only what was shown is run. A ValueError is a tool's own word to the model; of any other exception its type is
        named too.
        """
        own = self._timeout_s if prepared.tool.timeout_s is None else prepared.tool.timeout_s
        limit_s = min(timeout_s, own)
        late = f"{prepared.tool.name} was given up after {limit_s:g} s; what it had begun may still go on."
        return Running(partial(self._run, prepared), limit_s, self._result(late, ok=False))

    def _run(self, prepared: Prepared) -> ToolResult:
        called = prepared.tool
        try:
            if called.preview and _safe(called.preview(**prepared.arguments)) != prepared.shown:
                return self._result(f"{called.name} was not run: what it would change is not what was shown.", ok=False)
            given = called.run(**prepared.arguments)
            outside = called.is_outside or isinstance(given, Outside)
            return self._result(_text(given), ok=True, outside=outside)
        except BaseException as error:  # noqa: BLE001  tools are anybody's code, and may not end the program either
            return self._failed(called.name, error, outside=called.is_outside)

    def _tool(self, name: str) -> Tool:
        for each in self.tools:
            if each.name == name:
                return each
        there_are = f"the tools are: {', '.join(self.names)}" if self.names else "there are no tools"
        raise RefusedError(f'There is no tool "{quoted(name)}"{similar(name, self.names)}; {there_are}.')

    def _failed(self, name: str, error: BaseException, outside: bool = False) -> ToolResult:
        log.debug("the tool %s failed", name, exc_info=True)
        return self._result(f"{name} failed: {_reason(error)}", ok=False, outside=outside)

    def _result(self, text: str, ok: bool, outside: bool = False) -> ToolResult:
        return ToolResult(self._capped(_safe(text)), ok, outside)

    def _capped(self, text: str) -> str:
        """Return the text, or its head and tail with a note between them, within the limit."""
        kept = min(len(text), self._limit_tokens * CHARACTERS_PER_TOKEN)
        shown = _cut(text, kept)
        while kept > 0 and (tokens := self._count(shown)) > self._limit_tokens:
            # A little less than the share that would fit: the rest may be denser, and each count costs time.
            kept = int(kept * self._limit_tokens / tokens * 0.95)
            shown = _cut(text, kept)
        return shown


class Running:
    """A call that runs in a thread of its own. `ms` are the milliseconds that it took, once it has a result.

    Python cannot end a thread. One that hangs is left behind; being a daemon, it does not keep the program from ending.
    """

    def __init__(self, run: Callable[[], ToolResult], limit_s: float, late: ToolResult) -> None:
        """Begin. `late` is the result if there is none after `limit_s`."""
        self._late, self._began, self._limit_s = late, time.monotonic(), limit_s
        self._done: Queue[tuple[ToolResult, int]] = Queue()
        self.ms = 0
        threading.Thread(target=lambda: self._done.put((run(), self._ran_ms())), daemon=True, name="tool").start()

    def _ran_ms(self) -> int:
        return round((time.monotonic() - self._began) * 1000)

    def result(self, wait_s: float) -> ToolResult | None:
        """What the call gave, or None where it gave nothing yet after `wait_s`."""
        left_s = self._began + self._limit_s - time.monotonic()
        try:
            # Its own time: it may have been done long before those that were waited for first.
            found, self.ms = self._done.get(timeout=max(0.0, min(wait_s, left_s, threading.TIMEOUT_MAX)))
        except Empty:
            if left_s > wait_s:
                return None
            found, self.ms = self._late, self._ran_ms()
        return found


def _safe(text: str) -> str:
    return _UNSAFE.sub("\N{REPLACEMENT CHARACTER}", text)


def _pretty(values: Mapping[str, Any]) -> str:
    """Arguments as their owner is shown them, whole."""
    return json.dumps(values, ensure_ascii=False, indent=2)


def _text(value: object) -> str:
    """Return a tool's return value as text. Raises TypeError or ValueError for what JSON cannot carry."""
    match value:
        case str():
            return value
        case bytes() | bytearray():
            return f"({len(value):,} bytes that are not text)"
        case None:
            return "(done; there is nothing to show)"
    return json.dumps(value, ensure_ascii=False)


def _reason(error: BaseException) -> str:
    """Return an exception as one short line."""
    try:
        said = " ".join(str(error).split())[:REASON_CHARACTERS]
    except Exception as worse:
        log.debug("a %s cannot be shown", type(error).__name__, exc_info=True)
        said = f"(its message cannot be shown: {type(worse).__name__})"
    kind = type(error).__name__
    if not said:
        return kind
    return said if isinstance(error, ValueError) else f"{kind}: {said}"


def _cut(text: str, kept: int) -> str:
    """Keep that many characters, two thirds of them from the head, and say how many were left out."""
    if kept >= len(text):
        return text
    tail = kept // 3
    return text[: kept - tail] + _cut_note(len(text) - kept) + text[len(text) - tail :]


def _cut_note(characters: int) -> str:
    return f"\n[... {characters:,} characters left out ...]\n"
