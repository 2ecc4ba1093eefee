"""The loop: the model is asked, the calls of its answer are acted on, and it is asked again, until it calls no tool.

A generator of events that keeps no memory and prints nothing. Its caller commits each Message before it asks for the
next event, so that no tool runs and no model is asked before what led there is stored. What asking, acting and limits
are is handed to it: assistant/asking.py, acting.py, limits.py.
"""

from collections.abc import Callable, Generator, Iterable, Iterator
from typing import Protocol

from assistant.errors import LimitReached
from assistant.reply import Delta, Reply
from memory.records import Message

Event = Delta | Message | Reply
Events = Generator[Event, None, None]
# What has run out ("the limit of 10 steps"), or "" while nothing has. Asked before each step.
Limit = Callable[[], str]


class Ask(Protocol):
    """One call of the model: Deltas as they come and the Reply; returns the message that it makes.

    `was_cut`: the time was up before the answer's end.
    """

    was_cut: bool

    def __call__(self, reached: str = "") -> Generator[Event, None, Message]:
        """Ask. `reached` is what has run out: then for the best answer without tools, which is marked as such."""


class Act(Protocol):
    """What is done with an answer: it is given itself, and what its calls come to."""

    def __call__(self, said: Message) -> Iterable[Message]:
        """The message, and an answer to each of its calls. Raises Paused where its owner must be asked first."""

    def go_on(self, said: Message) -> Iterable[Message]:
        """The answers to the calls of a message that was given before."""


def respond(ask: Ask, act: Act, limit: Limit, paused: Message | None = None) -> Events:
    """Answer the last user message: Deltas as they come, then the Reply, and each Message once it is whole.

    `paused` is the stored answer whose calls waited for approval: they are acted on first. At a limit one last call
    without tools asks for the best answer. Raises LimitReached after that answer, Paused before any call of a step is
    run, Interrupted and KeyboardInterrupt after what was said so far, marked, and whatever the model raises. After an
    interrupt too, each tool call has its answer.
    """
    if paused is not None:
        yield from act.go_on(paused)
    while not (reached := limit()):
        said = yield from ask()
        yield from act(said)
        if not said.tool_calls and not ask.was_cut:
            return
    said = yield from ask(reached)
    yield from act(said)
    raise LimitReached(f"The turn was ended by {reached}.", "Ask on, or raise the limit.")


def last_words(events: Generator[object], stop: KeyboardInterrupt) -> Iterator[Message]:
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
