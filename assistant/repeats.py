"""A model that makes the same call again and again: noticed, told, and then ended. Pure."""

import json
from collections.abc import Iterable

from memory.records import ToolCall

IN_A_ROW = 3  # the same call
ALTERNATING = 4  # two calls, each twice


class Repeats:
    """Watches the calls of one turn. `stuck` says in words why the turn must end; it is empty while it need not."""

    def __init__(self, before: Iterable[ToolCall] = ()) -> None:
        """`before` are the calls that the turn made before it was paused."""
        self._seen: list[str] = []
        self._told = False
        self.stuck = ""
        for call in before:
            self(call)

    def __call__(self, call: ToolCall) -> str:
        """What the model is told instead of running the call; empty: it may run."""
        self._seen.append(_key(call))
        pattern = self._pattern()
        if pattern and self._told:
            self.stuck = "the same calls being made again and again"
        # What is told once is forgiven once something else was tried.
        self._told = bool(pattern)
        if not pattern:
            return ""
        return f"Not run: {pattern}, and it would give the same again. Use what you have, or do something else."

    def _pattern(self) -> str:
        row, turns = self._seen[-IN_A_ROW:], self._seen[-ALTERNATING:]
        if len(row) == IN_A_ROW and len(set(row)) == 1:
            return f"you have made this very call {IN_A_ROW} times in a row"
        if len(turns) == ALTERNATING and turns[:2] == turns[2:]:
            return "you keep making the same two calls in turn"
        return ""


def _key(call: ToolCall) -> str:
    """The same for calls that mean the same."""
    try:
        arguments = json.dumps(json.loads(call.arguments or "{}"), sort_keys=True)
    except (ValueError, RecursionError):
        arguments = call.arguments
    return f"{call.name} {arguments}"
