"""The loop: the model is asked, the tools it calls are run, and it is asked again, until it calls none.

A generator of events that keeps no memory and prints nothing. Its caller commits each Message before it asks for the
next event, so that no tool runs and no model is asked before what led there is stored.
"""

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any, Protocol

from assistant.errors import ContextOverflow, Interrupted, LimitReached
from assistant.prompt import LAST_STEP
from assistant.reply import Delta, Reply
from memory.records import ASSISTANT, SYSTEM, Message, Role, ToolCall
from tools.toolbox import ToolResult

Event = Delta | Message | Reply
Events = Generator[Event, None, None]
# Endpoint.stream, or what answers like it: messages and tools -> Deltas, and the Reply last.
Model = Callable[[Sequence[Message], Sequence[Mapping[str, Any]]], Iterable[Delta | Reply]]
# What was spent so far in this turn -> what has run out, in words ("10 steps"); "" while nothing has.
Limit = Callable[[Sequence[Reply]], str]

THREADS = 8  # tools that run at the same time

INTERRUPTED = "[interrupted]"
NOT_ANSWERED = "[interrupted: this call may or may not have run]"
# What a person and the model see where a reply is not whole.
MARKS = {
    "broken": "[the connection broke off here]",
    "length": "[cut off: the reply reached its length limit]",
    "content_filter": "[withheld by the endpoint's content filter]",
}


class Window(Protocol):
    """Where the loop finds what to show the model."""

    def __call__(self, *, tighter: bool = False) -> Sequence[Message]:
        """The messages to show now. `tighter`: the endpoint found the last ones too long."""


class Tools(Protocol):
    """A Toolbox, or something around one."""

    def schemas(self) -> Sequence[Mapping[str, Any]]:
        """The tools as the model is told of them."""

    def run(self, name: str, arguments: str) -> ToolResult:
        """Run one call. Whatever fails is told in the result, not raised."""


class Make(Protocol):
    """Where the loop gets its messages."""

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


def at_most(steps: int) -> Limit:
    """A limit of so many model calls in a turn, not counting the one that follows it."""
    return lambda spent: f"{steps} steps" if len(spent) >= steps else ""


TEN_STEPS = at_most(10)


def respond(window: Window, model: Model, tools: Tools, make: Make, limit: Limit = TEN_STEPS) -> Events:
    """Answer the window's last user message: Deltas as they come, each Message once it is whole, and then its Reply.

    Where the limit is reached, one last call without tools asks for the best answer, which is marked as such.
    Raises LimitReached after that answer, Interrupted and KeyboardInterrupt after what was said so far, marked, and
    whatever the model raises. After an interrupt too, each tool call has its answer.
    """
    spent: list[Reply] = []
    while not (reached := limit(spent)):
        reply, said = yield from _step(window, model, tools.schemas(), make)
        spent.append(reply)
        yield from _act(said, reply, tools, make)
        if not said.tool_calls:
            return
    note = make("system", LAST_STEP, origin=SYSTEM)
    reply, said = yield from _step(window, model, (), make, last=(note,), mark=f"[stopped at the limit of {reached}]")
    yield from _act(said, reply, tools, make)
    raise LimitReached(f"The turn reached its limit of {reached}.", "Ask on, or raise the limit.")


def last_words(events: Events, stop: KeyboardInterrupt) -> Iterator[Message]:
    """The messages still to be committed after `stop` was raised in the caller's own code, between two events.

    Commit the Message in hand before, if it was one. Gives none if `stop` came out of `events`: then all were given.
    """
    try:
        event = events.throw(stop)
        while True:
            if isinstance(event, Message):
                yield event
            event = next(events)
    except KeyboardInterrupt:
        return


def _step(
    window: Window,
    model: Model,
    tools: Sequence[Mapping[str, Any]],
    make: Make,
    last: tuple[Message, ...] = (),
    mark: str = "",
) -> Generator[Event, None, tuple[Reply, Message]]:
    """Ask the model once. An interrupt leaves what was said so far as a message, marked."""
    pieces: list[str] = []
    try:
        reply = yield from _heard(_asked(window, model, tools, last), pieces)
        text = yield from _marked(reply, mark)
        calls = reply.tool_calls if tools else ()  # a model may call what it was not given
        return reply, make("assistant", text, origin=ASSISTANT, tool_calls=calls)
    except (KeyboardInterrupt, Interrupted):
        yield make("assistant", _joined("".join(pieces), INTERRUPTED), origin=ASSISTANT)
        raise


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


def _asked(
    window: Window, model: Model, tools: Sequence[Mapping[str, Any]], last: tuple[Message, ...]
) -> Generator[Delta | Reply, None, None]:
    """The model's stream; where the prompt is too long, once more with a tighter window."""
    try:
        yield from model([*window(), *last], tools)
    except ContextOverflow:
        yield from model([*window(tighter=True), *last], tools)


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


def _act(said: Message, reply: Reply, tools: Tools, make: Make) -> Iterator[Event]:
    """Give the message and its Reply, then run its calls. An interrupt leaves each call with an answer."""
    waiting = list(said.tool_calls)
    try:
        yield said
        yield reply
        for result in _results(said.tool_calls, tools):
            answer = _answer(waiting[0], result.text, make)
            del waiting[0]  # only now: until its answer exists, an interrupt must find the call
            yield answer
    except (KeyboardInterrupt, Interrupted):
        for call in waiting:
            yield _answer(call, NOT_ANSWERED, make)
        raise


def _answer(call: ToolCall, text: str, make: Make) -> Message:
    return make("tool", text, origin=f"tool:{call.name}", name=call.name, tool_call_id=call.id)


def _results(calls: Sequence[ToolCall], tools: Tools) -> Iterator[ToolResult]:
    """The calls' results in their order. One is run here; several run together, since none has seen another's."""
    if len(calls) < 2:
        for call in calls:
            yield tools.run(call.name, call.arguments)
        return
    pool = ThreadPoolExecutor(max_workers=THREADS)
    try:
        running = [pool.submit(tools.run, call.name, call.arguments) for call in calls]
        for each in running:
            yield each.result()
    finally:
        # After an interrupt nobody waits for a slow tool, and those that have not begun do not begin.
        pool.shutdown(wait=False, cancel_futures=True)
