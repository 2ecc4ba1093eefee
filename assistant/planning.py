"""A turn worked on by a plan: steps are proposed, agreed on, worked through one after the other, and marked.

Each step is a loop of its own, with the plan as its reminder. A step that fails has the rest planned anew. The plan is
in the store before anything is done, and after each mark: a restart finds where it stands.
"""

from collections.abc import Callable, Generator
from dataclasses import dataclass, replace

from assistant import plans, prompt
from assistant.agent import Event, Events
from assistant.errors import LimitReached, Paused, PlanRefused
from assistant.plans import Steps
from memory.plans import PlanRow, PlanRows, PlanState
from memory.records import Message

REPLANS = 2
FEWEST = 2  # a plan of fewer steps is none

# Shown the steps; gives those that are to be worked on, perhaps changed, or None for a no.
Agree = Callable[[Steps], Steps | None]
# Asks the model in words of the program; passes on what is to be counted, and returns what it said.
Propose = Callable[[str], Generator[Event, None, str]]
# A loop with a reminder, perhaps from a paused answer on.
Work = Callable[[str, Message | None], Events]


@dataclass(frozen=True, slots=True)
class Plan:
    """The plan as it stands now: for people to see."""

    steps: Steps


class Planning:
    """The plan of one turn."""

    def __init__(
        self,
        rows: PlanRows,
        plan: PlanRow,
        propose: Propose,
        work: Work,
        spent: Callable[[], str],
        agree: Agree,
    ) -> None:
        """`plan` has no steps before it is proposed. `spent` says what the turn has run out of; empty: nothing.

        `agree` raises Paused where nobody can be asked.
        """
        self._rows, self._plan, self._propose, self._work = rows, plan, propose, work
        self._spent, self._agree = spent, agree
        self._steps = plans.from_json(plan.steps)

    def run(self, paused: Message | None = None) -> Generator[Event | Plan, None, None]:
        """Propose the plan if there is none, agree on it, work through it, and answer.

        `paused` is the answer of a step whose calls waited. Raises PlanRefused, and what `agree` and `respond` raise.
        """
        if not self._steps:
            self._steps = plans.read((yield from self._propose(prompt.PLAN_ASK)))
            if len(self._steps) < FEWEST:  # there is nothing to plan
                yield from self._work("", None)
                return
            self._put("proposed")
        if self._plan.state == "proposed":
            self._ask()
        self._put("working")
        yield Plan(self._steps)
        try:
            yield from self._worked(paused)
        except Paused:
            raise
        except BaseException:
            self._put("stopped")
            raise
        self._put("done")

    def _ask(self) -> None:
        agreed = self._agree(self._steps)
        if not agreed:
            self._put("refused")
            raise PlanRefused("The plan was not carried out.")
        self._steps = agreed

    def _worked(self, paused: Message | None) -> Generator[Event | Plan, None, None]:
        while (place := plans.next_open(self._steps)) is not None:
            answer = yield from self._step(place, paused)
            paused = None
            self._steps = plans.marked(self._steps, place, answer)
            if self._steps[place].state == "failed" and self._plan.replanned < REPLANS:
                yield from self._again(place)
            self._put("working")
            yield Plan(self._steps)
        yield from self._work(prompt.plan_end(plans.lines(self._steps)), None)

    def _step(self, place: int, paused: Message | None) -> Generator[Event, None, str]:
        """Work on one step; returns what was said of it."""
        answer = ""
        reminder = prompt.plan_step(plans.lines(self._steps), place + 1)
        try:
            for event in self._work(reminder, paused):
                if isinstance(event, Message) and event.role == "assistant":
                    answer = event.content
                yield event
        except LimitReached as limit:
            if self._spent():
                raise
            return f"FAILED: {limit.message} {answer}"
        return answer

    def _again(self, place: int) -> Generator[Event, None, None]:
        """Have the steps that are left planned anew after one has failed."""
        said = yield from self._propose(prompt.plan_again(plans.lines(self._steps), place + 1))
        new = plans.read(said)
        if new or plans.is_none(said):  # else no plan can be read in it, and the steps that are left stay
            self._steps = plans.replanned(self._steps, new)
        self._plan = replace(self._plan, replanned=self._plan.replanned + 1)

    def _put(self, state: PlanState) -> None:
        self._plan = replace(self._plan, state=state, steps=plans.to_json(self._steps))
        self._rows.put(self._plan)
