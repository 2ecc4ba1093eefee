"""One conversation with its memory: the way of a user message from reading to reply. Start reading here.

A message is committed before anything else happens to it; then the past is asked what it has to say about it; the
window is trimmed; the model answers, perhaps through tools; and every message is committed as it comes.
"""

import logging
import math
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from assistant import prompt
from assistant.acting import Acting
from assistant.agent import Event, Events, last_words, respond
from assistant.approval import allow_all
from assistant.asking import Asking
from assistant.recorder import TurnRecorder
from assistant.repeats import Repeats
from assistant.reply import Delta, Reply, Usage
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

    def __init__(self, app: "App", session: LiveSession | None = None) -> None:
        """Begin a conversation, or go on with a session that was paused."""
        self._app = app
        self._memory = app.memory
        self.session = session or app.memory.begin(app.choice.name)
        self._recorder = TurnRecorder(app.memory, self.session, app.choice.name, app.prices)
        self._session_meter = app.session_meter(self.session.id if session else "")
        self._meter = app.turn_meter(self._session_meter)
        self._asked_tokens = 0  # counted for the last request, to be compared with what the endpoint reports
        self._window_tokens = 0  # of these, the messages'
        self._last = False  # whether the last request was a turn's last one, at a limit

    def turn(self, text: str) -> Generator[Event | Recalled]:
        """Answer a message: what was recalled for it, then the events of `agent.respond`.

        Raises what the model raises, and LimitReached and Paused; the message is committed all the same. Closing the
        iterator, or Ctrl-C, keeps what was said so far, marked as interrupted.
        """
        session = self.session
        self._app.check_price()
        asked = session.remember(session.make("user", text, origin=USER))
        self._meter = self._app.turn_meter(self._session_meter)
        yield self._recall(asked)
        yield from self._kept(self._loop())

    def go_on(self) -> Generator[Event]:
        """Go on with a turn that waited for approval. Raises what `turn` raises."""
        transcript = self.session.transcript
        asked = next(message for message in reversed(transcript) if message.role == "user")
        said = next(message for message in reversed(transcript) if message.role == "assistant")
        self._recorder.go_on(asked.seq)
        self._meter = self._app.turn_meter(self._session_meter, asked.seq)
        yield from self._kept(self._loop(said))

    def _loop(self, paused: Message | None = None) -> Events:
        """The loop of a turn with its parts."""
        toolbox, make, watch = self._app.toolbox, self.session.make, Repeats()
        ask = Asking(self._window, self._model, toolbox.schemas(), make)
        act = Acting(toolbox, make, allow_all, watch, lambda: self._meter.room(0).seconds, self._recorder.acted)
        return respond(ask, act, lambda: watch.stuck or self._meter.reached(self._next_tokens()), paused)

    def _kept(self, events: Events) -> Generator[Event]:
        """Commit each event's message before anybody sees it."""
        self._session_meter.begin()
        self._meter.begin()
        try:
            for event in events:
                self._keep(event)
                yield event
        except (KeyboardInterrupt, GeneratorExit):
            for message in last_words(events, KeyboardInterrupt()):
                self._keep(message)
            raise
        finally:
            self._meter.stop()
            self._session_meter.stop()

    def _keep(self, event: Event) -> None:
        if isinstance(event, Message):
            self._recorder.stored(self.session.remember(event))
        elif isinstance(event, Reply):
            self._meter.charge(event.usage or self._estimated(event))
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
        room = self._meter.room(self._as_the_model_counts(self._asked_tokens), self._last)
        most = min(self._app.reply_limit or math.inf, room.reply)
        return self._app.endpoint.stream(
            messages,
            tools,
            None if most == math.inf else max(int(most), 1),
            sending=sending,
            **({} if room.seconds == math.inf else {"deadline_s": room.seconds}),
        )

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

    def _window(self, *, tighter: bool = False, last: bool = False) -> Sequence[Message]:
        """What the model is shown; at a limit no more than what is left for it."""
        tools, budget, self._last = 0 if last else self._app.schema_tokens, self._room(), last
        if last and (room := self._meter.room(0, last=True).prompt) < math.inf:
            budget = min(budget, int(room / self._memory.store.calibration(self._app.choice.name)) - REPLY_PRIMING)
        window = self.session.window(int(min(budget, self._window_tokens) * TIGHTER) if tighter else budget)
        self._window_tokens = window.tokens
        self._asked_tokens = window.tokens + tools + REPLY_PRIMING
        return window.messages

    def _next_tokens(self) -> int:
        """What the next request would cost, as the endpoint counts."""
        window = self.session.window(self._room())
        return self._as_the_model_counts(window.tokens + self._app.schema_tokens + REPLY_PRIMING)

    def _as_the_model_counts(self, tokens: int) -> int:
        return int(tokens * self._memory.store.calibration(self._app.choice.name))

    def _estimated(self, reply: Reply) -> Usage:
        """The usage of a reply whose endpoint tells none."""
        said = "".join([reply.text, reply.reasoning, *(call.arguments for call in reply.tool_calls)])
        return Usage(self._as_the_model_counts(self._asked_tokens), self._memory.counter.text(said), 0)

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
