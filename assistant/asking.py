"""One call of the model inside a turn: what it is shown, what it said as a message, and what of it was not whole."""

from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import closing
from typing import Any, Protocol

from assistant.errors import ContextOverflow, Interrupted
from assistant.prompt import LAST_STEP
from assistant.reply import Delta, Reply
from memory.errors import ContextTooSmall
from memory.records import ASSISTANT, SYSTEM, Message, Role, ToolCall

# Endpoint.stream, or what answers like it: messages and tools -> Deltas, and the Reply last.
Model = Callable[[Sequence[Message], Sequence[Mapping[str, Any]]], Iterable[Delta | Reply]]

INTERRUPTED = "[interrupted]"
# What a person and the model see where a reply is not whole.
MARKS = {
    "broken": "[the connection broke off here]",
    "deadline": "[cut off: the time was up]",
    "length": "[cut off: the reply reached its length limit]",
    "content_filter": "[withheld by the endpoint's content filter]",
}


class Window(Protocol):
    """Where is found what to show the model."""

    def __call__(self, *, refused: ContextOverflow | None = None, last: bool = False) -> Sequence[Message]:
        """The messages to show now. `refused`: the endpoint found the last too long; `last`: a limit is reached."""


class Make(Protocol):
    """Where messages come from."""

    def __call__(
        self,
        role: Role,
        content: str,
        *,
        origin: str,
        name: str | None = None,
        tool_calls: tuple[ToolCall, ...] = (),
        tool_call_id: str | None = None,
    ) -> Message:
        """A message of this session, with an id, a time and its cost."""


class Asking:
    """Asks the model, and makes a message of what it says."""

    def __init__(
        self,
        window: Window,
        model: Model,
        schemas: Sequence[Mapping[str, Any]],
        make: Make,
        reminder: str = "",
    ) -> None:
        """`reminder` stands after the conversation in each request, and is not kept: where a plan has come to."""
        self._window, self._model, self._schemas, self._make = window, model, schemas, make
        self._reminder = reminder
        self.was_cut = False

    def __call__(self, reached: str = "") -> Generator[Delta | Reply | Message, None, Message]:
        """Ask once; see agent.Ask. An interrupt gives what was said so far as a message, marked, and goes on."""
        pieces: list[str] = []
        mark = f"[stopped by {reached}]" if reached else ""
        try:
            reply = yield from _heard(self._asked(bool(reached)), pieces)
            self.was_cut = reply.finish == "deadline"
            text = yield from _marked(reply, mark)
            calls = reply.tool_calls if not reached and self._schemas else ()  # a model may call what it was not given
            yield reply
            return self._make("assistant", text, origin=ASSISTANT, tool_calls=calls)
        except ContextTooSmall:
            if not reached:
                raise
            yield Delta(mark)  # what is left is too little for an answer
            return self._make("assistant", mark, origin=ASSISTANT)
        except (KeyboardInterrupt, Interrupted):
            yield self._make("assistant", _joined("".join(pieces), INTERRUPTED), origin=ASSISTANT)
            raise

    def _asked(self, last: bool) -> Generator[Delta | Reply, None, None]:
        """The model's stream; where the prompt is too long, once more with a tighter window."""
        # The reminder is the user's turn to speak: some templates go on with what the assistant said last instead.
        notes = [self._make("user", text, origin=SYSTEM) for text in [self._reminder] if text]
        notes += [self._make("system", LAST_STEP, origin=SYSTEM)] if last else []
        schemas = () if last else self._schemas
        try:
            yield from self._model([*self._window(last=last), *notes], schemas)
        except ContextOverflow as error:
            yield from self._model([*self._window(refused=error, last=last), *notes], schemas)


def as_thoughts(model: Model) -> Model:
    """The model, whose words are thoughts: for what it says to the program and not to the user."""

    def ask(messages: Sequence[Message], tools: Sequence[Mapping[str, Any]]) -> Iterable[Delta | Reply]:
        for event in model(messages, tools):
            yield Delta(event.text, reasoning=True) if isinstance(event, Delta) else event

    return ask


def _heard(stream: Generator[Delta | Reply, None, None], pieces: list[str]) -> Generator[Delta, None, Reply]:
    """Pass the Deltas on, gather their text in `pieces`, and return the Reply."""
    # Closed at once, not when the garbage is collected: the connection hangs on it.
    with closing(stream):
        for event in stream:
            if isinstance(event, Reply):
                return event
            if not event.reasoning:
                pieces.append(event.text)
            yield event
    raise AssertionError("a model's stream ends with its Reply")


def _marked(reply: Reply, mark: str) -> Generator[Delta, None, str]:
    """The reply's text with its marks, which are shown as well."""
    text = reply.text
    empty = "" if text or reply.tool_calls or reply.finish in MARKS else "[the model said nothing]"
    for each in filter(None, (MARKS.get(reply.finish, empty), mark)):
        longer = _joined(text, each)
        yield Delta(longer[len(text) :])
        text = longer
    return text


def _joined(text: str, mark: str) -> str:
    return f"{text}\n\n{mark}" if text else mark
