"""A model's reply: its pieces as they come, the whole, and how it grows from one to the other. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from assistant.assembly import CallAssembly
from assistant.errors import Interrupted
from assistant.thoughts import ThoughtSplitter
from assistant.wire import well_formed
from memory.errors import Failure
from memory.records import Outcome, ToolCall

# Other words for OpenAI's. None is no end at all: the endpoint gave up.
FINISHES = {
    "max_tokens": "length",
    "max_length": "length",
    "model_length": "length",
    "safety": "content_filter",
    "recitation": "content_filter",
    "error": None,
    "abort": None,
    "cancelled": None,
    "insufficient_system_resource": None,
}


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
    """A whole reply. `finish` is the endpoint's word (stop, length, tool_calls, content_filter, or one of its own), or
    ours: broken, deadline.

    A reply that broke or met its deadline has the text that came before, and no tool calls: half a call is none.
    """

    text: str
    tool_calls: tuple[ToolCall, ...]
    finish: str
    usage: Usage | None
    model: str
    reasoning: str


@dataclass(slots=True)
class Draft:
    """What has come of a reply so far. Chunks are plain dicts: servers leave out fields that the types promise.

    `cut` is why it ended without the endpoint's own word; `advanced` counts what came of use, to tell it from blanks.
    """

    model: str
    retries: int = 0
    stopped: BaseException | None = None
    cut: str = "broken"
    finish: str | None = None
    usage: Usage | None = None
    spent: Usage | None = None  # by attempts that broke before anything of use came, where the endpoint told
    has_choice: bool = False
    advanced: int = 0
    _text: list[str] = field(default_factory=list)
    _reasoning: list[str] = field(default_factory=list)
    _calls: CallAssembly = field(default_factory=CallAssembly)
    _splitter: ThoughtSplitter = field(default_factory=ThoughtSplitter)

    @property
    def is_worth_keeping(self) -> bool:
        """Whether text or the end came; half a tool call, blanks or thoughts alone are of no use."""
        return bool(self.finish) or any(not piece.isspace() for piece in self._text)

    def begin_again(self) -> None:
        """Forget what came: the request is sent once more."""
        self._text, self._reasoning, self._calls = [], [], CallAssembly()
        self._splitter, self.has_choice = ThoughtSplitter(), False
        self.spent, self.usage = self._whole_usage() or self.spent, None
        self.retries += 1

    def _whole_usage(self) -> Usage | None:
        """What this attempt and those before it took; None where this one told nothing."""
        now, before = self.usage, self.spent
        if not (now and before):
            return now
        return Usage(before.prompt + now.prompt, before.completion + now.completion, before.cached + now.cached)

    def take(self, chunk: Mapping[str, Any]) -> Iterator[Delta]:
        """Add a chunk of a stream, or a whole answer; give the pieces of text it brings."""
        self.model = _text(chunk.get("model")) or self.model
        self.usage = _usage(chunk.get("usage")) or self.usage
        for choice in _mappings(chunk.get("choices"))[:1]:
            self.has_choice = True
            yield from self._add(choice)
            if word := _text(choice.get("finish_reason")):
                self.finish = FINISHES.get(word.lower(), word)
                self.advanced += 1

    def flush(self) -> Iterator[Delta]:
        """The pieces that were held back, at the end."""
        yield from map(self._heard, self._splitter.flush())

    def _add(self, choice: Mapping[str, Any]) -> Iterator[Delta]:
        delta = choice.get("delta")
        if not delta and not self.advanced:  # some answer whole, also where a stream was asked for
            delta = choice.get("message")
        if isinstance(delta, Mapping):
            self._add_calls(delta)
            yield from self._add_words(delta)

    def _add_calls(self, delta: Mapping[str, Any]) -> None:
        pieces = list(_mappings(delta.get("tool_calls")))
        if old_form := _mappings([delta.get("function_call")]):
            pieces += [{"index": "function_call", "function": old_form[0]}]
        for piece in pieces:
            self._calls.add(piece)
        self.advanced += len(pieces)

    def _add_words(self, delta: Mapping[str, Any]) -> Iterator[Delta]:
        # Two names for thoughts are in use; neither is OpenAI's.
        thought = _text(delta.get("reasoning_content")) or _text(delta.get("reasoning"))
        said, thought_parts = _content(delta.get("content"))
        said = said or _text(delta.get("refusal"))
        if thought := thought or thought_parts:
            yield self._heard((well_formed(thought), True))
        yield from map(self._heard, self._splitter.feed(well_formed(said)))

    def _heard(self, piece: tuple[str, bool]) -> Delta:
        text, reasoning = piece
        (self._reasoning if reasoning else self._text).append(text)
        self.advanced += not text.isspace()
        return Delta(text, reasoning)

    def reply(self) -> Reply:
        """The reply as far as it came; without the endpoint's word for its end it was cut."""
        calls = self._calls.whole() if self.finish else ()
        finish = self.finish or self.cut
        return Reply("".join(self._text), calls, finish, self._whole_usage(), self.model, "".join(self._reasoning))

    def outcome(self, ms: int) -> Outcome:
        """How the call ended, after so many milliseconds."""
        whole = self._whole_usage()
        usage = (whole.prompt, whole.completion, whole.cached) if whole else ()
        if self.stopped is None:
            return Outcome(ms, self.finish or self.cut, "", self.retries, *usage)
        if isinstance(self.stopped, Interrupted | KeyboardInterrupt | GeneratorExit):
            return Outcome(ms, "interrupted", "", self.retries, *usage)
        said = self.stopped.message if isinstance(self.stopped, Failure) else str(self.stopped)
        return Outcome(ms, "", f"{type(self.stopped).__name__}: {said}", self.retries, *usage)


def _content(given: object) -> tuple[str, str]:
    """A content's text and thoughts: a text, or a list of parts, some of which are thoughts."""
    if isinstance(given, str):
        return given, ""
    parts = _mappings(given)
    said = [_text(part.get("text")) for part in parts]
    thoughts = [text for part in parts for text in _content(part.get("thinking"))]
    return "".join(said), "".join(thoughts)


def _usage(told: object) -> Usage | None:
    """The tokens told of. Any may be missing or null; where both counts are, nothing was told."""
    if not isinstance(told, Mapping):
        return None
    prompt, completion = _count(told.get("prompt_tokens")), _count(told.get("completion_tokens"))
    if prompt is None and completion is None:
        return None
    details = told.get("prompt_tokens_details")
    cached = _count(details.get("cached_tokens")) if isinstance(details, Mapping) else None
    return Usage(prompt or 0, completion or 0, min(cached or 0, prompt or 0))


def _count(given: object) -> int | None:
    if isinstance(given, bool) or not isinstance(given, int | float):
        return None
    return int(given) if 0 <= given < 2**53 else None


def _text(given: object) -> str:
    return given if isinstance(given, str) else ""


def _mappings(given: object) -> Sequence[Mapping[str, Any]]:
    return [each for each in given if isinstance(each, Mapping)] if isinstance(given, list) else []
