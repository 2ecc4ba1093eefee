"""A model's reply: its pieces as they come, the whole, and how it grows from one to the other. Pure."""

import json
import uuid
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from assistant.errors import Interrupted
from assistant.wire import well_formed
from memory.errors import Failure
from memory.records import Outcome, ToolCall


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens as the endpoint counted them. `cached` are those of the prompt that it had read before."""

    prompt: int
    completion: int
    cached: int


@dataclass(frozen=True, slots=True)
class Delta:
    """A piece of a reply as it comes; with `reasoning`, a piece of the model's thoughts."""

    text: str
    reasoning: bool = False


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole reply. `finish` is the endpoint's word (stop, length, tool_calls, content_filter), or ours: broken.

    A broken reply has the text that came before the connection broke, and no tool calls: half a call is none.
    """

    text: str
    tool_calls: tuple[ToolCall, ...]
    finish: str
    usage: Usage | None
    model: str
    reasoning: str


@dataclass(slots=True)
class Draft:
    """What has come of a reply so far. Chunks are plain dicts: servers leave out fields that the types promise."""

    model: str
    finish: str | None = None
    usage: Usage | None = None
    retries: int = 0
    stopped: BaseException | None = None
    has_choice: bool = False
    text: list[str] = field(default_factory=list)
    reasoning: list[str] = field(default_factory=list)
    calls: list[ToolCall] = field(default_factory=list)
    places: dict[int | None, int] = field(default_factory=dict)  # in `calls`, by the index the server gave

    @property
    def is_worth_keeping(self) -> bool:
        """Whether text or the end came; half a tool call or thoughts alone are of no use."""
        return bool(self.text or self.finish)

    def take(self, chunk: Mapping[str, Any]) -> Iterator[Delta]:
        """Add a chunk; give the pieces of text it brings."""
        self.model = chunk.get("model") or self.model
        self.usage = _usage(chunk.get("usage")) or self.usage
        for choice in (chunk.get("choices") or ())[:1]:
            self.has_choice = True
            self.finish = choice.get("finish_reason") or self.finish
            yield from self._add(choice.get("delta") or {})

    def _add(self, delta: Mapping[str, Any]) -> Iterator[Delta]:
        for piece in delta.get("tool_calls") or ():
            self._add_call(piece)
        # Two names for thoughts are in use; neither is OpenAI's.
        if thought := delta.get("reasoning_content") or delta.get("reasoning"):
            self.reasoning.append(well_formed(thought))
            yield Delta(self.reasoning[-1], reasoning=True)
        if said := delta.get("content") or delta.get("refusal"):
            self.text.append(well_formed(said))
            yield Delta(self.text[-1])

    def _add_call(self, piece: Mapping[str, Any]) -> None:
        """Add a piece of a tool call to the call of its index, or begin another call."""
        index = piece.get("index")
        place = self.places.get(index)
        if place is None or _is_another(piece, self.calls[place]):
            place = self.places[index] = len(self.calls)
            self.calls.append(ToolCall("", "", ""))
        self.calls[place] = _grown(self.calls[place], piece)

    def reply(self) -> Reply:
        """The reply as far as it came; without the endpoint's word for its end it is broken."""
        calls = _with_ids(self.calls) if self.finish else ()
        finish = self.finish or "broken"
        return Reply("".join(self.text), calls, finish, self.usage, self.model, "".join(self.reasoning))

    def outcome(self, ms: int) -> Outcome:
        """How the call ended, after so many milliseconds."""
        usage = (self.usage.prompt, self.usage.completion, self.usage.cached) if self.usage else ()
        if self.stopped is None:
            return Outcome(ms, self.finish or "broken", "", self.retries, *usage)
        if isinstance(self.stopped, Interrupted | KeyboardInterrupt | GeneratorExit):
            return Outcome(ms, "interrupted", "", self.retries, *usage)
        said = self.stopped.message if isinstance(self.stopped, Failure) else str(self.stopped)
        return Outcome(ms, "", f"{type(self.stopped).__name__}: {said}", self.retries, *usage)


def _is_another(piece: Mapping[str, Any], known: ToolCall) -> bool:
    """Whether the piece begins another call than the one at its index: some servers give no index, or always 0."""
    if not (piece.get("function") or {}).get("name"):
        return False
    return piece["id"] != known.id if piece.get("id") else piece.get("index") is None


def _grown(known: ToolCall, piece: Mapping[str, Any]) -> ToolCall:
    """The call with one piece more. Id and name come whole, and again and again from some servers."""
    function = piece.get("function") or {}
    more = function.get("arguments") or ""
    return ToolCall(
        known.id or piece.get("id") or "",
        known.name or function.get("name") or "",
        known.arguments + (more if isinstance(more, str) else json.dumps(more)),
    )


def _with_ids(calls: Collection[ToolCall]) -> tuple[ToolCall, ...]:
    """The calls, each with an id of its own: some servers give none, or give one to all."""
    found: dict[str, ToolCall] = {}
    for call in calls:
        own = call.id if call.id and call.id not in found else f"call_{uuid.uuid4().hex}"
        found[own] = replace(call, id=own, arguments=well_formed(call.arguments))
    return tuple(found.values())


def _usage(told: Mapping[str, Any] | None) -> Usage | None:
    if not told:
        return None
    cached = (told.get("prompt_tokens_details") or {}).get("cached_tokens")
    return Usage(told.get("prompt_tokens") or 0, told.get("completion_tokens") or 0, cached or 0)
