"""One conversation with its memory: the way of a user message from reading to reply. Start reading here.

A message is committed before anything else happens to it; then the past is asked what it has to say about it; the
window is trimmed; the model answers, perhaps through tools; and every message is committed as it comes.
"""

from collections.abc import Generator, Set
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from assistant import prompt
from assistant.agent import Event, last_words
from assistant.approval import AskOwner
from assistant.delegate import Helpers, Parent
from assistant.planning import Agree, Plan
from assistant.recorder import TurnRecorder
from assistant.reply import Reply
from assistant.toolset import stop_commands
from assistant.turn import Shared, Turn, unanswered
from memory.errors import ContextTooSmall
from memory.manager import Recalled
from memory.records import USER, Fact, Hit, Message
from memory.session import LiveSession, now
from memory.units import unit_id

if TYPE_CHECKING:
    from assistant.app import App


class Chat:
    """One conversation: turns, and an end. It belongs to the thread that made it."""

    def __init__(
        self,
        app: "App",
        session: LiveSession | None = None,
        ask_owner: AskOwner | None = None,
        agree: Agree | None = None,
    ) -> None:
        """Begin a conversation, or go on with a session that was paused.

        `ask_owner` and `agree`, which asks for a plan, are None where its owner cannot be asked now: a turn that needs
        their yes is paused.
        """
        self._app, self._memory = app, app.memory
        self.session = session or app.memory.begin(app.choice.name)
        self._recorder = TurnRecorder(app.memory, self.session, app.choice.name, app.prices)
        self._helpers = Helpers(app, self._parent)
        toolbox = app.toolbox(app.memory, lambda: self.session, self._helpers.tools())
        meter = app.session_meter(app.memory, self.session.id)
        self._shared = Shared(app, self.session, self._recorder, toolbox, meter, ask_owner, agree)
        self._turn = Turn(self._shared, 0)

    def _parent(self) -> Parent:
        """The step that is acted on, from which helpers are begun."""
        return self._turn.parent()

    def turn(
        self, text: str, planned: bool = False, drawn_from: tuple[str, ...] = ()
    ) -> Generator[Event | Recalled | Plan | Fact]:
        """Answer a message: what was recalled for it, then the events of `agent.respond`; if `planned`, by a plan.

        Before these comes the fact that the message asks to remember, where it does; it is kept then. `drawn_from`
        names whose words stand in the message that are not its owner's.

        Raises what the model raises, and LimitReached and Paused; the message is committed all the same. Closing the
        iterator, or Ctrl-C, keeps what was said so far, marked as interrupted.
        """
        session = self.session
        self._app.check_price()
        asked = session.remember(session.make("user", text, origin=USER)._replace(drawn_from=drawn_from))
        self._turn = Turn(self._shared, asked.seq, planned)
        kept = self._keep_said(asked)
        if kept:
            yield kept
        yield self._recall(asked, {unit_id("f", self._memory.facts.seq(kept.id))} if kept else set())
        yield from self._kept()

    def go_on(self, turn: int | None = None) -> Generator[Event | Plan]:
        """Go on with a turn that waited for approval: the last, or that of this user message.

        Raises what `turn` raises.
        """
        transcript = self.session.transcript
        turn = turn or max(message.seq for message in transcript if message.role == "user")
        self._recorder.go_on(turn)
        planned = self._memory.plans.of_turn(turn) is not None
        self._turn = Turn(self._shared, turn, planned, unanswered(transcript, turn))
        self._stays(0)  # what the next request has no room for leaves the window, as before the pause
        yield from self._kept()

    def _kept(self) -> Generator[Event | Plan]:
        """The events of the turn, each one's message committed before anybody sees it."""
        events, meters = self._turn.events(), (self._shared.meter, self._turn.meter)
        for meter in meters:
            meter.begin()
        try:
            for event in events:
                self._keep(event)
                yield event
        except (KeyboardInterrupt, GeneratorExit):
            self._helpers.stop()
            stop_commands()
            for message in last_words(events, KeyboardInterrupt()):
                self._keep(message)
            self._memory.pending.past(self.session.id)
            raise
        finally:
            self._turn.desk.close()
            for meter in meters:
                meter.stop()
            if self._app.telemetry:
                self._app.telemetry.turn(self._memory, self._recorder.turn)

    def _keep(self, event: Event | Plan) -> None:
        if isinstance(event, Message):
            if event.role == "assistant":  # the turn is past the calls that it waited for
                self._memory.pending.past(self.session.id)
                event = event._replace(drawn_from=self._turn.drawn_from())
            self._recorder.stored(self.session.remember(event))
        elif isinstance(event, Reply):
            self._turn.budget.heard(event)

    def _keep_said(self, asked: Message) -> Fact | None:
        """Keep what a message asks to remember, as "remember that ...": at once, and whatever the model makes of it."""
        from memory.asked import to_remember

        found = to_remember(asked.content) if not asked.drawn_from else None
        return self._memory.note_said(asked, *found) if found else None

    def _pinned(self) -> tuple[Hit, ...]:
        """What is pinned, for the first system message, which shows it for good."""
        if self.session.system is not None:
            return ()
        return self._memory.pinned(self._app.pinned_budget(self._app.context_tokens(self._memory)))

    def _recall(self, asked: Message, kept: Set[str]) -> Recalled:
        """Ask the past, put what it says where the model will read it, and write down what was found.

        `kept` are units that say no more than the message.
        """
        pinned = self._pinned()
        told = self._memory.says_no_more(pinned)
        recalled = self._found(asked.content, kept | told)
        units = [hit.unit for hit in recalled.hits]
        note: Message | None = None
        if self.session.system is None:
            text = prompt.system(now(), recalled.hits, bool(self._shared.toolbox.tools), pinned)
            note = self.session.open_with(text, [*units, *told])
        elif units:
            note = self.session.note(prompt.fenced(recalled.hits), units)
        self._recorder.looked(asked, recalled, note, pinned)
        return recalled

    def _found(self, text: str, told: Set[str]) -> Recalled:
        """What the past says that the next request does not show; asked again if its note pushes something out.

        `told` are units that it is about to show, or says anyway.
        """
        budget = self._app.recall_budget(self._app.context_tokens(self._memory))
        ask = partial(self._memory.recall_for_prompt, text, budget, live=self.session.id)
        stays = self._stays(0)
        recalled = ask(skip=stays | told)
        note = self._memory.counter.message("system", prompt.fenced(recalled.hits)) if recalled.hits else 0
        left = self._stays(note)
        return recalled if left == stays else ask(skip=left | told)

    def _stays(self, note: int) -> set[str]:
        """The units that the next request shows with a note of so many tokens; what it has no room for goes now."""
        if self.session.system is not None:
            with suppress(ContextTooSmall):  # told when the model is asked
                self.session.window(self._turn.budget.room() - note)
        return self.session.shown()

    def end(self) -> bool:
        """Mark the session as ended; says whether its notes are owed. Safe to repeat.

        One that waits for its owner stays open, and another process may go on with it.
        """
        if self._memory.pending.of_session(self.session.id):
            self.session.let_go()
            return False
        self.session.end()
        return self.session.started
