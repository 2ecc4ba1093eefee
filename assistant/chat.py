"""One conversation with its memory: the way of a user message from reading to reply. Start reading here.

A message is committed before anything else happens to it; then the past is asked what it has to say about it; the
window is trimmed; the model answers, perhaps through tools; and every message is committed as it comes.
"""

import logging
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from assistant import prompt
from assistant.agent import Event, at_most, last_words, respond
from assistant.recorder import TurnRecorder
from assistant.reply import Delta, Reply
from memory.errors import ContextTooSmall
from memory.manager import Recalled
from memory.records import USER, Message
from memory.session import LiveSession, now
from memory.tokens import REPLY_PRIMING, Calibration, calibrated

if TYPE_CHECKING:
    from assistant.app import App

log = logging.getLogger(__name__)

TIGHTER = 0.75  # of what was sent, for the one retry after the endpoint found it too long


class Chat:
    """One conversation: turns, and an end. It belongs to the thread that made it."""

    def __init__(self, app: "App") -> None:
        self._app = app
        self._memory = app.memory
        self.session: LiveSession = app.memory.begin(app.choice.name)
        self._recorder = TurnRecorder(app.memory, self.session, app.choice.name)
        self._asked_tokens = 0  # counted for the last request, to be compared with what the endpoint reports
        self._window_tokens = 0  # of these, the messages'

    def turn(self, text: str) -> Generator[Event | Recalled]:
        """Answer a message: what was recalled for it, then the events of `agent.respond`.

        Raises what the model raises; the message is committed all the same. Closing the iterator, or Ctrl-C, keeps
        what was said so far, marked as interrupted.
        """
        session = self.session
        asked = session.remember(session.make("user", text, origin=USER))
        yield self._recall(asked)
        app = self._app
        limit = at_most(app.settings.max_steps)
        events = respond(self._window, self._model, app.toolbox, session.make, limit)
        try:
            for event in events:
                self._keep(event)
                yield event
        except (KeyboardInterrupt, GeneratorExit):
            for message in last_words(events, KeyboardInterrupt()):
                self._keep(message)
            raise

    def _keep(self, event: Event) -> None:
        if isinstance(event, Message):
            stored = self.session.remember(event)
            if stored.role == "assistant":
                self._recorder.answered(stored)
        elif isinstance(event, Reply):
            self._calibrate(event)

    def _recall(self, asked: Message) -> Recalled:
        """Ask the past, put what it says where the model will read it, and write down what was found."""
        recalled = self._found(asked.content)
        units = [hit.unit for hit in recalled.hits]
        note: Message | None = None
        if self.session.system is None:
            note = self.session.open_with(prompt.system(now(), recalled.hits), units)
        elif units:
            note = self.session.note(prompt.fenced(recalled.hits), units)
        self._recorder.looked(asked, recalled, note)
        return recalled

    def _model(self, messages: Sequence[Message], tools: Sequence[Mapping[str, Any]]) -> Iterator[Delta | Reply]:
        """Ask the model. Each request has its receipt before it is sent."""
        sending = partial(self._recorder.sending, messages)
        return self._app.endpoint.stream(messages, tools, self._app.reply_limit, sending=sending)

    def _found(self, text: str) -> Recalled:
        """What the past says that the next request does not show; asked again if its note pushes something out."""
        budget = self._app.recall_budget(self._app.context_tokens(self._memory))
        ask = partial(self._memory.recall_for_prompt, text, budget, live=self.session.id)
        stays = self._stays(0)
        recalled = ask(skip=stays)
        note = self._memory.counter.message("system", prompt.fenced(recalled.hits)) if recalled.hits else 0
        left = self._stays(note)
        return recalled if left == stays else ask(skip=left)

    def _stays(self, note: int) -> set[str]:
        """The units that the next request shows with a note of so many tokens; what it has no room for goes now."""
        if self.session.system is not None:
            with suppress(ContextTooSmall):  # told when the model is asked
                self.session.window(self._room() - note)
        return self.session.shown()

    def _room(self) -> int:
        """The window's budget in counted tokens: the context less the reply, the tools and the priming."""
        return self._app.prompt_tokens(self._memory) - self._app.schema_tokens - REPLY_PRIMING

    def _window(self, *, tighter: bool = False) -> Sequence[Message]:
        """What the model is shown."""
        tools, budget = self._app.schema_tokens, self._room()
        window = self.session.window(int(min(budget, self._window_tokens) * TIGHTER) if tighter else budget)
        self._window_tokens = window.tokens
        self._asked_tokens = window.tokens + tools + REPLY_PRIMING
        return window.messages

    def _calibrate(self, reply: Reply) -> None:
        """Learn how the endpoint counts from what it reports."""
        name, store = self._app.choice.name, self._memory.store
        old = Calibration(store.calibration(name))
        new = calibrated(old, self._asked_tokens, reply.usage.prompt if reply.usage else None)
        if new is not old:
            store.calibrate(name, new.factor)
            log.info("%s counts %.2f tokens for one counted here; its window is used accordingly", name, new.factor)

    def end(self) -> None:
        """Mark the session as ended; its notes are owed. Safe to repeat."""
        self.session.end()
