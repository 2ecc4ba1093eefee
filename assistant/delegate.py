"""Helpers: the tool `delegate` gives a task to a loop of its own, with its own window and a share of the limits.

Several run at once where a model delegates several tasks in one answer. A helper has the same tools but this one, sees
nothing of the conversation but its task, and answers with one text. Its calls are logged under the step that began it.
"""

import math
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING

from assistant import prompt
from assistant.acting import Acted, Acting
from assistant.agent import Event, respond
from assistant.approval import Approval
from assistant.asking import Asking
from assistant.budget import Budget
from assistant.errors import LimitReached
from assistant.limits import Limits, Meter
from assistant.recorder import HelperRecorder
from assistant.repeats import Repeats
from assistant.reply import Reply
from assistant.toolwords import descriptions
from memory.errors import Failure
from memory.manager import MemoryManager
from memory.records import ASSISTANT, SYSTEM, Message
from memory.session import MessageMaker, now
from memory.window import Window, fit
from tools.tool import Outside, OutsideError, Tool, tool
from tools.toolbox import Toolbox

if TYPE_CHECKING:
    from assistant.app import App

MOST = 12  # helpers in one turn; how many of them work at a time is a setting
TASK_CHARACTERS = 8_000


@dataclass(frozen=True, slots=True)
class Parent:
    """The step of the turn from which helpers are begun."""

    session_id: str
    turn: int
    receipt: int
    meter: Meter
    approval: Approval


class Helpers:
    """The helpers of one conversation. Made and closed in its thread; they work in threads of their own."""

    def __init__(self, app: "App", parent: Callable[[], Parent]) -> None:
        """`parent` tells the step that is acted on, when it is asked in a helper's thread."""
        self._app, self._parent = app, parent
        self._places = threading.BoundedSemaphore(max(app.settings.helpers, 1))
        self._lock = threading.Lock()
        self._turn, self._begun = 0, 0
        self._stopped = threading.Event()

    def stop(self) -> None:
        """Let those who work stop as soon as they can: nobody waits for them any more."""
        self._stopped.set()
        self._stopped = threading.Event()

    def tools(self) -> list[Tool]:
        """The tool `delegate`; none where the settings allow no helper."""
        if not self._app.settings.helpers:
            return []

        def delegate(task: str) -> str:
            """Give a task to a helper who works on it alone with the same tools, and get its answer.

            It knows nothing of this conversation. Delegate tasks that do not need each other in one reply: they are
            worked on at the same time.

            Args:
                task: What is to be done and what the answer must tell, with all that must be known for it.

            Raises:
                ValueError: The task is empty or too long, or there were too many helpers in this turn.
            """
            if not 0 < len(task.strip()) <= TASK_CHARACTERS:
                raise ValueError(f"a task has 1 to {TASK_CHARACTERS:,} characters")
            parent, stopped = self._parent(), self._stopped
            number = self._number(parent.turn)
            with self._places:
                return self._work(parent, number, task.strip(), stopped)

        return [tool(delegate, timeout_s=math.inf)]  # its limits are those of its calls and of the turn

    def _number(self, turn: int) -> int:
        with self._lock:
            if turn != self._turn:  # a new one, or one that was paused, maybe in another process
                with closing(self._app.another_memory()) as memory:
                    self._turn, self._begun = turn, memory.receipts.helpers_of(turn)
            self._begun += 1
            if self._begun > MOST:
                raise ValueError(f"no more than {MOST} helpers work in one turn")
            return self._begun

    def _work(self, parent: Parent, number: int, task: str, stopped: threading.Event) -> str:
        with closing(self._app.another_memory()) as memory:
            helper = _Helper(self._app, memory, parent, number, stopped)
            try:
                text = helper.answer(task)
            except Failure as error:
                told = f"helper {number} failed: {error.message} {helper.cost()}"
                raise (OutsideError if helper.outside else ValueError)(told) from error
        told = f"{text}\n\n({helper.cost()})"
        return Outside(told) if helper.outside else told


@dataclass(slots=True)
class _Helper:
    """One helper at work, in its own thread."""

    app: "App"
    memory: MemoryManager
    parent: Parent
    number: int
    stopped: threading.Event
    outside: list[str] = field(default_factory=list)  # the tools whose results may hold foreign words
    _transcript: list[Message] = field(default_factory=list, init=False)
    _meter: Meter = field(init=False)
    _toolbox: Toolbox = field(init=False)
    _budget: Budget = field(init=False)
    _recorder: HelperRecorder = field(init=False)
    _make: MessageMaker = field(init=False)
    _system: Message = field(init=False)

    def answer(self, task: str) -> str:
        """Work on the task; gives the last answer, also one that a limit ended. Raises what the model raises."""
        app, parent, counter = self.app, self.parent, self.memory.counter
        self._meter = Meter("helper", self._share(), app.prices, parent.meter, own_steps=True)
        self._toolbox = app.toolbox(self.memory)
        self._budget = Budget(app, self.memory, self._meter, counter.tools(self._toolbox.schemas()), self._window)
        self._recorder = HelperRecorder(self.memory, parent, self.number, app.choice.name, app.prices)
        self._make = MessageMaker(parent.session_id, counter, now)
        self._system = self._make("system", prompt.helper(now()), origin=SYSTEM)
        self._transcript.append(self._make("user", prompt.unmarked(task), origin=ASSISTANT))
        self._meter.begin()
        try:
            for event in self._loop():
                self._keep(event)
        except LimitReached:
            pass  # the last answer says so
        finally:
            self._meter.stop()
        return self._transcript[-1].content

    def cost(self) -> str:
        """What it took, in words."""
        spent = self._meter.spent
        usd = "price unknown" if spent.usd is None else f"{spent.usd:.4f} USD"
        return f"helper {self.number}: {spent.steps} step{'s' * (spent.steps != 1)}, {spent.tokens:,} tokens, {usd}"

    def _share(self) -> Limits:
        """As many steps as a turn, and of what is left an equal share for each helper and their parent."""
        return replace(self.parent.meter.share(self.app.settings.helpers + 1), steps=self.app.settings.max_steps)

    def _loop(self) -> Iterator[Event]:
        budget, watch = self._budget, Repeats()
        approval = self.parent.approval.helper(lambda: self.outside)
        schemas = self._toolbox.schemas()
        sending = partial(self._recorder.sending, ours=descriptions(schemas))
        model = budget.model(lambda shown: partial(sending, shown), self.stopped.is_set)
        ask = Asking(budget.window, model, schemas, self._make)
        act = Acting(self._toolbox, self._make, approval, watch, budget.seconds_left, self._noted)
        return respond(ask, act, lambda: watch.stuck or budget.reached())

    def _noted(self, acted: Acted) -> None:
        if acted.result.outside:
            self.outside.append(acted.call.name)
        self._recorder.acted(acted)

    def _keep(self, event: Event) -> None:
        if isinstance(event, Message):
            self._transcript.append(event)
            if event.role == "assistant":
                self._recorder.answered(event)
        elif isinstance(event, Reply):
            self._budget.heard(event)

    def _window(self, budget: int) -> Window:
        return fit(self._system, self._transcript, budget, None, self._counted)

    def _counted(self, message: Message) -> int:
        return self.memory.counter.message(message.role, message.content, message.name, message.tool_calls)
