"""A toolbox runs the calls of a model and always answers with text.

It never raises for what a model wrote or a tool did: the answer says what was wrong, so that the model can mend its
call.
"""

import json
import logging
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from tools.arguments import RefusedError, checked, quoted, safe, similar
from tools.running import Running, message
from tools.tool import Outside, OutsideError, Tool

log = logging.getLogger(__name__)

TIMEOUT_S = 60.0
# Longer results are cut before they are counted: tokenising megabytes takes seconds. Text of more characters
# a token than this is nearly all blanks.
CHARACTERS_PER_TOKEN = 8


@dataclass(frozen=True, slots=True)
class ToolResult:
    """What a call gave. `text` is for the model; `ok` is False where the call was refused or failed.

    `outside`: it holds, or may hold, words that are nobody's here: of a page, a file, another program. `whose` they
    are, where they are not the tool's own.
    """

    text: str
    ok: bool
    outside: bool = False
    whose: str = ""


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
        except RefusedError as error:
            return self._result(str(error), ok=False)
        if called.preview is None:
            return Prepared(called, values, _pretty(values))
        looking = partial(self._previewed, called, called.preview, values)
        return Running[Prepared | ToolResult](looking, self._limit_s(called), self._instead(called)).wait()

    def _previewed(self, called: Tool, preview: Callable[..., str], values: Mapping[str, Any]) -> Prepared | ToolResult:
        try:
            return Prepared(called, values, safe(preview(**values)))
        except BaseException as error:  # noqa: BLE001  anybody's code, as the tool itself
            return self._failed(called, error)

    def perform(self, prepared: Prepared) -> ToolResult:
        """Run a prepared call and wait for what it gives."""
        return self.begin(prepared).wait()

    def begin(self, prepared: Prepared, timeout_s: float = math.inf) -> Running[ToolResult]:
        """Begin a prepared call, which may take `timeout_s`, its tool's own limit, or the toolbox's if it has none.

        Only what was shown is run. A ValueError is a tool's own word to the model; of any other exception its type is
        named too.
        """
        called, instead = prepared.tool, self._instead(prepared.tool)
        running: Running[ToolResult] | None = None

        def given_up(why: str) -> ToolResult:
            if called.abandon and running and running.thread:
                called.abandon(running.thread)
                why = f"{why.partition(';')[0]}, and stopped"
            return instead(why)

        running = Running(partial(self._run, prepared), min(timeout_s, self._limit_s(called)), given_up)
        return running

    def _limit_s(self, called: Tool) -> float:
        return self._timeout_s if called.timeout_s is None else called.timeout_s

    def _instead(self, called: Tool) -> Callable[[str], ToolResult]:
        """Makes the result of a call that gave none."""
        return lambda why: self._result(f"{called.name} {why}.", ok=False)

    def _run(self, prepared: Prepared) -> ToolResult:
        called = prepared.tool
        try:
            if called.preview and safe(called.preview(**prepared.arguments)) != prepared.shown:
                return self._result(f"{called.name} was not run: what it would change is not what was shown.", ok=False)
            return self._given(called, called.run(**prepared.arguments))
        except BaseException as error:  # noqa: BLE001  tools are anybody's code, and may not end the program either
            return self._failed(called, error)

    def _given(self, called: Tool, given: object) -> ToolResult:
        outside = called.is_outside or isinstance(given, Outside)
        try:
            result = self._result(_text(given), ok=True, outside=outside)
            return replace(result, whose=given.whose) if isinstance(given, Outside) else result
        except (TypeError, ValueError, RecursionError) as error:
            # It did its work: a model that takes it for undone would have it done twice.
            told = f"{called.name} has run, but what it gave cannot be shown: {_reason(error)}"
            return self._result(told, ok=False, outside=outside)

    def _tool(self, name: str) -> Tool:
        for each in self.tools:
            if each.name == name:
                return each
        there_are = f"the tools are: {', '.join(self.names)}" if self.names else "there are no tools"
        raise RefusedError(f'There is no tool "{quoted(name)}"{similar(name, self.names)}; {there_are}.')

    def _failed(self, called: Tool, error: BaseException) -> ToolResult:
        log.debug("the tool %s failed", called.name, exc_info=True)
        outside = called.is_outside or isinstance(error, OutsideError)
        return self._result(f"{called.name} failed: {_reason(error)}", ok=False, outside=outside)

    def _result(self, text: str, ok: bool, outside: bool = False) -> ToolResult:
        return ToolResult(self._capped(text), ok, outside)

    def _capped(self, text: str) -> str:
        """Return the text made safe, or its head and tail with a note between them, within the limit."""
        kept = min(len(text), self._limit_tokens * CHARACTERS_PER_TOKEN)
        shown = safe(_cut(text, kept))
        while kept > 0 and (tokens := self._count(shown)) > self._limit_tokens:
            # A little less than the share that would fit: the rest may be denser, and each count costs time.
            kept = int(kept * self._limit_tokens / tokens * 0.95)
            shown = safe(_cut(text, kept))
        return shown


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
    kind, said = type(error).__name__, message(error)
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
