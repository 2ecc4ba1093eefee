"""The parts of one turn, put together: its limits, its window and model, who decides, and the loop or the plan."""

from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from assistant.acting import Acting
from assistant.agent import Event, Events, respond
from assistant.approval import Answer, Approval, AskOwner, Desk, Question
from assistant.asking import Asking, as_thoughts
from assistant.budget import Budget
from assistant.delegate import Parent
from assistant.limits import Limits, Meter
from assistant.planning import Agree, Plan, Planning
from assistant.plans import Steps
from assistant.recorder import TurnRecorder
from assistant.repeats import Repeats
from assistant.toolwords import descriptions
from assistant.waiting import Waiting, agree_on
from memory.plans import PlanRow
from memory.records import IMPORTED, Message, ToolCall
from memory.session import LiveSession, now
from tools.toolbox import Toolbox

T = TypeVar("T")

if TYPE_CHECKING:
    from assistant.app import App


@dataclass(frozen=True, slots=True)
class Shared:
    """What all turns of a conversation share. `always` are the tools that have their owner's yes for this session.

    `ask_owner` and `agree`, which asks for a plan, are None where its owner cannot be asked now.
    """

    app: "App"
    session: LiveSession
    recorder: TurnRecorder
    toolbox: Toolbox
    meter: Meter
    ask_owner: AskOwner | None
    agree: Agree | None
    always: set[str] = field(default_factory=set)


class Turn:
    """One turn of a conversation: that of the user message `seq`."""

    def __init__(self, shared: Shared, seq: int, planned: bool = False, paused: Message | None = None) -> None:
        """`paused` is the stored answer whose calls waited, with those of them that were not answered.

        A plan that is gone on with has all its limits anew, another turn what it has left of them.
        """
        self._shared, self._app, self._memory = shared, shared.app, shared.app.memory
        self._seq, self._is_planned, self._paused = seq, planned, paused
        self.meter = self._app.turn_meter(shared.meter, 0 if planned else seq, planned)
        schemas = self._memory.counter.tools(shared.toolbox.schemas())
        self.budget = Budget(self._app, self._memory, self.meter, schemas, shared.session.window)
        self.desk = Desk(self._asked)
        said = [message for message in shared.session.transcript if seq and message.seq > seq]  # before a pause
        self._drawn_from = dict.fromkeys(name for message in said for name in message.drawn_from if name != IMPORTED)
        self._approval = self._deciding()

    def events(self) -> Generator[Event | Plan]:
        """The events of the turn's loop, or of its plan. Nothing is committed here."""
        return self._planned() if self._is_planned else self._loop(self._paused)

    def parent(self) -> Parent:
        """The step that is acted on, from which helpers are begun."""
        step = self._shared.recorder.last
        return Parent(self._shared.session.id, self._seq, step, self.budget.meter, self._approval)

    # ------------------------------------------------------------------ the loop

    def _loop(self, paused: Message | None = None, reminder: str = "") -> Events:
        shared, budget, make = self._shared, self.budget, self._shared.session.make
        watch = Repeats(self._made_before(paused))
        schemas = shared.toolbox.schemas()
        ours = descriptions(schemas)
        model = budget.model(lambda shown: partial(shared.recorder.sending, shown, ours=ours))
        ask = Asking(budget.window, model, schemas, make, reminder)
        noted, serve = shared.recorder.acted, self.desk.serve
        act = Acting(shared.toolbox, make, self._approval, watch, budget.seconds_left, noted, serve)
        return respond(ask, act, lambda: watch.stuck or budget.reached(), paused)

    def _made_before(self, paused: Message | None) -> list[ToolCall]:
        """The calls of the steps of this turn before it was paused."""
        last = paused.seq if paused else 0
        earlier = [message for message in self._shared.session.transcript if self._seq < message.seq < last]
        return [call for message in earlier for call in message.tool_calls]

    # ------------------------------------------------------------------ who decides

    def _deciding(self) -> Approval:
        shared = self._shared
        policy = self._app.policy(shared.toolbox.names)
        waiting = Waiting(self._memory.pending, shared.session.id, self._seq, self._paused is not None)
        return Approval(policy, self.outside, self.desk if shared.ask_owner else None, waiting, shared.always)

    def outside(self) -> list[str]:
        """Whose words from outside the model can see."""
        return self._memory.foreign(self._shared.session.shown())

    def drawn_from(self) -> tuple[str, ...]:
        """The tools whose words from outside the turn has seen: what is said now may repeat them.

        What the window loses within a turn counts on, since a plan made of it stands in later requests.
        """
        self._drawn_from |= dict.fromkeys(self._memory.drawn_from(self._shared.session.shown()))
        return tuple(self._drawn_from)

    def _asked(self, question: Question) -> Answer:
        """Ask the owner."""
        assert self._shared.ask_owner is not None
        ask = self._shared.ask_owner
        return self._untimed(lambda: ask(question))

    def _untimed(self, ask: Callable[[], T]) -> T:
        """The time that its owner takes is not the turn's."""
        meters = (self._shared.meter, self.meter)
        for meter in meters:
            meter.stop()
        try:
            return ask()
        finally:
            for meter in meters:
                meter.begin()

    # ------------------------------------------------------------------ the plan

    def _planned(self) -> Generator[Event | Plan]:
        rows, session_id = self._memory.plans, self._shared.session.id
        plan = rows.of_turn(self._seq) or PlanRow(self._seq, session_id, now(), "proposed", "[]")
        planning = Planning(rows, plan, self._propose, self._step, lambda: self.meter.reached(0), self._agreed)
        return planning.run(self._paused)

    def _agreed(self, steps: Steps) -> Steps | None:
        shared = self._shared
        return self._untimed(lambda: agree_on(self._memory.pending, shared.session.id, self._seq, shared.agree, steps))

    def _propose(self, words: str) -> Generator[Event, None, str]:
        """Ask the model for a plan. What it says is shown as a thought, and kept in the log alone."""
        recorder, make = self._shared.recorder, self._shared.session.make
        model = self.budget.model(lambda shown: partial(recorder.sending, shown, purpose="plan"))
        said = yield from Asking(self.budget.window, as_thoughts(model), (), make, words)()
        recorder.planned(said.content)
        return said.content

    def _step(self, reminder: str, paused: Message | None) -> Events:
        """The loop of one step of a plan, which may take as many steps as a turn."""
        limits = Limits(steps=self._app.settings.max_steps)
        self.budget = self.budget.under(Meter("step", limits, self._app.prices, self.meter, own_steps=True))
        return self._loop(paused, reminder)


def unanswered(transcript: list[Message], seq: int) -> Message | None:
    """The last answer of the turn `seq` with those of its calls that were not answered; None: there are none.

    What has its answer is not run again, though a process was killed in the middle of its step.
    """
    after = [message for message in transcript if message.seq > seq]
    said = next((message for message in reversed(after) if message.role == "assistant"), None)
    if said is None:
        return None
    answered = {message.tool_call_id for message in after if message.seq > said.seq}
    left = tuple(call for call in said.tool_calls if call.id not in answered)
    return said._replace(tool_calls=left) if left else None
