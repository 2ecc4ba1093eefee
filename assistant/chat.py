"""One conversation with its memory: the way of a user message from reading to reply. Start reading here.

A message is committed before anything else happens to it; then the past is asked what it has to say about it; the
window is trimmed; the model answers, perhaps through tools; and every message is committed as it comes.
"""

from collections.abc import Generator
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from assistant import prompt
from assistant.acting import Acting
from assistant.agent import Event, Events, last_words, respond
from assistant.approval import Answer, Approval, AskOwner, Desk, Question
from assistant.asking import Asking, as_thoughts
from assistant.budget import Budget
from assistant.delegate import Helpers, Parent
from assistant.limits import Limits, Meter
from assistant.planning import Agree, Plan, Planning
from assistant.recorder import TurnRecorder
from assistant.repeats import Repeats
from assistant.reply import Reply
from assistant.toolset import stop_commands
from assistant.waiting import Waiting, agree_on
from memory.errors import ContextTooSmall
from memory.manager import Recalled
from memory.plans import PlanRow
from memory.records import USER, Message, ToolCall
from memory.session import LiveSession, now

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
        self._app = app
        self._memory = app.memory
        self.session = session or app.memory.begin(app.choice.name)
        self._recorder = TurnRecorder(app.memory, self.session, app.choice.name, app.prices)
        self._helpers = Helpers(app, self._parent)
        self._toolbox = app.toolbox(app.memory, lambda: self.session, self._helpers.tools())
        self._session_meter = app.session_meter(app.memory, self.session.id)
        self._budget = self._budgeted()
        self._ask_owner, self._agree = ask_owner, agree
        self._always = set[str]()  # tools with their owner's yes for this session
        self._desk, self._approval = self._deciding()

    def _budgeted(self, turn: int = 0, planned: bool = False) -> Budget:
        """What a new turn may take, or one that was paused (its `seq`) still may."""
        meter = self._turn_meter = self._app.turn_meter(self._session_meter, turn, planned)
        schemas = self._memory.counter.tools(self._toolbox.schemas())
        return Budget(self._app, self._memory, meter, schemas, self.session.window)

    def turn(self, text: str, planned: bool = False) -> Generator[Event | Recalled | Plan]:
        """Answer a message: what was recalled for it, then the events of `agent.respond`; if `planned`, by a plan.

        Raises what the model raises, and LimitReached and Paused; the message is committed all the same. Closing the
        iterator, or Ctrl-C, keeps what was said so far, marked as interrupted.
        """
        session = self.session
        self._app.check_price()
        asked = session.remember(session.make("user", text, origin=USER))
        self._budget = self._budgeted(planned=planned)
        self._desk, self._approval = self._deciding(asked.seq)
        yield self._recall(asked)
        yield from self._kept(self._planned(asked.seq) if planned else self._loop())

    def go_on(self, turn: int | None = None) -> Generator[Event | Plan]:
        """Go on with a turn that waited for approval, the last or that of this user message. Raises what `turn` does.

        Where a process was killed in the middle of that, what has its answer is not run again.
        """
        transcript = self.session.transcript
        turn = turn or max(message.seq for message in transcript if message.role == "user")
        paused = self._paused(turn)
        self._recorder.go_on(turn)
        plan = self._memory.plans.of_turn(turn)
        self._budget = self._budgeted(0 if plan else turn, planned=plan is not None)  # a plan gone on with has all anew
        self._desk, self._approval = self._deciding(turn, paused=paused is not None)
        self._stays(0)  # what the next request has no room for leaves the window, as before the pause
        yield from self._kept(self._planned(turn, paused) if plan else self._loop(paused))

    def _paused(self, turn: int) -> Message | None:
        """The last answer of a turn with those of its calls that were not answered; None: there are none."""
        after = [message for message in self.session.transcript if message.seq > turn]
        said = next((message for message in reversed(after) if message.role == "assistant"), None)
        if said is None:
            return None
        answered = {message.tool_call_id for message in after if message.seq > said.seq}
        left = tuple(call for call in said.tool_calls if call.id not in answered)
        return replace(said, tool_calls=left) if left else None

    def _planned(self, turn: int, paused: Message | None = None) -> Generator[Event | Plan]:
        """The events of a turn (its `seq`) that is worked on by a plan."""
        rows = self._memory.plans
        plan = rows.of_turn(turn) or PlanRow(turn, self.session.id, now(), "proposed", "[]")
        agree = partial(agree_on, self._memory.pending, self.session.id, turn, self._agree)
        return Planning(rows, plan, self._propose, self._step, self._spent, agree).run(paused)

    def _propose(self, words: str) -> Generator[Event, None, str]:
        """Ask the model for a plan. What it says is shown as a thought, and kept in the log alone."""
        model = self._budget.model(lambda shown: partial(self._recorder.sending, shown, purpose="plan"))
        said = yield from Asking(self._budget.window, as_thoughts(model), (), self.session.make, words)()
        self._recorder.planned(said.content)
        return said.content

    def _step(self, reminder: str, paused: Message | None) -> Events:
        """The loop of one step of a plan, which may take as many steps as a turn."""
        limits = Limits(steps=self._app.settings.max_steps)
        self._budget = self._budget.under(Meter("step", limits, self._app.prices, self._turn_meter, own_steps=True))
        return self._loop(paused, reminder)

    def _spent(self) -> str:
        return self._turn_meter.reached(0)

    def _loop(self, paused: Message | None = None, reminder: str = "") -> Events:
        """The loop of a turn with its parts."""
        budget, make, watch = self._budget, self.session.make, Repeats(self._made_before(paused))
        model = budget.model(lambda shown: partial(self._recorder.sending, shown))
        ask = Asking(budget.window, model, self._toolbox.schemas(), make, reminder)
        act = Acting(
            self._toolbox, make, self._approval, watch, budget.seconds_left, self._recorder.acted, self._desk.serve
        )  # fmt: skip
        return respond(ask, act, lambda: watch.stuck or budget.reached(), paused)

    def _made_before(self, paused: Message | None) -> list[ToolCall]:
        """The calls of the steps of this turn before it was paused."""
        last, turn = paused.seq if paused else 0, self._recorder.turn
        earlier = [message for message in self.session.transcript if turn < message.seq < last]
        return [call for message in earlier for call in message.tool_calls]

    def _deciding(self, turn: int = 0, paused: bool = False) -> tuple[Desk, Approval]:
        """Who asks the owner, and who decides on the calls of a turn (its `seq`); `paused`: its first step waited."""
        desk = Desk(self._answered)
        policy = self._app.policy(self._toolbox.names)
        waiting = Waiting(self._memory.pending, self.session.id, turn, paused)
        return desk, Approval(policy, self._outside, desk if self._ask_owner else None, waiting, self._always)

    def _outside(self) -> list[str]:
        """Whose words from outside the model can see."""
        return self._memory.foreign(self.session.shown())

    def _answered(self, question: Question) -> Answer:
        """Ask the owner. The time that they take is not the turn's."""
        assert self._ask_owner is not None
        meters = (self._session_meter, self._turn_meter)
        for meter in meters:
            meter.stop()
        try:
            return self._ask_owner(question)
        finally:
            for meter in meters:
                meter.begin()

    def _parent(self) -> Parent:
        """The step that is acted on, from which helpers are begun."""
        recorder = self._recorder
        return Parent(self.session.id, recorder.turn, recorder.last, self._budget.meter, self._approval)

    def _kept(self, events: Generator[Event | Plan]) -> Generator[Event | Plan]:
        """Commit each event's message before anybody sees it."""
        self._session_meter.begin()
        self._turn_meter.begin()
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
            self._desk.close()
            self._turn_meter.stop()
            self._session_meter.stop()
            if self._app.telemetry:
                self._app.telemetry.turn(self._memory, self._recorder.turn)

    def _keep(self, event: Event | Plan) -> None:
        if isinstance(event, Message):
            if event.role == "assistant":  # the turn is past the calls that it waited for
                self._memory.pending.past(self.session.id)
            self._recorder.stored(self.session.remember(event))
        elif isinstance(event, Reply):
            self._budget.heard(event)

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
                self.session.window(self._budget.room() - note)
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
