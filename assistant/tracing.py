"""A turn as a tree of what was recorded of it: its steps, their calls of tools, its helpers' steps, its plan.

Read from the store after the fact; nothing here is noted while a turn runs. The notes on a session, whose requests
belong to no turn, are read the same way.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import takewhile
from typing import Literal

from memory.deltas import LOST
from memory.errors import NothingFound
from memory.manager import MemoryManager
from memory.plans import PlanRow
from memory.receipts import CallRow, Receipt
from memory.records import Message, Session, ToolCall
from memory.usage import Usage, of_receipts

State = Literal["answered", "waiting", "interrupted", "failed", "unfinished"]


@dataclass(frozen=True, slots=True)
class Call:
    """A call of a tool. `ok` and `result` are None where nothing came of it (yet); `decision` says who let it run.

    `ended_at` is when its result was noted; None for a helper's, of which that is not known.
    """

    id: str
    name: str
    arguments: str
    ok: bool | None = None
    result: str | None = None
    decision: str = ""
    outside: bool = False
    ms: int = 0
    ended_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """A call of the model with what came of it. `said` is None where nothing was answered."""

    receipt: Receipt
    said: str | None
    calls: tuple[Call, ...] = ()
    helpers: tuple["Helper", ...] = ()

    @property
    def ended_at(self) -> datetime:
        """When the answer was whole; where none came, when it was asked for."""
        ended = self.receipt.outcome
        return self.receipt.at + timedelta(milliseconds=ended.ms if ended else 0)


@dataclass(frozen=True, slots=True)
class Helper:
    """A helper that a step called, by its number in the turn."""

    number: int
    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Trace:
    """A turn, or one writing of a session's notes: `number` is then 0, and what a turn alone has is None.

    `number` counts the turns of the session that asked a model, from 1. `asked` is None where it was forgotten.
    """

    session: Session
    number: int
    steps: tuple[Step, ...]
    state: State
    asked: Message | None = None
    answer: str | None = None
    plan: PlanRow | None = None

    @property
    def usage(self) -> Usage:
        """What all calls of the model took, those of helpers among them."""
        return of_receipts(step.receipt for step in every(self.steps))

    @property
    def began_at(self) -> datetime:
        """When it was asked, or the first request sent."""
        return self.asked.at if self.asked else self.steps[0].receipt.at

    @property
    def ended_at(self) -> datetime:
        """When the last of it was noted."""
        steps = list(every(self.steps))
        noted = [call.ended_at for step in steps for call in step.calls if call.ended_at]
        return max([self.began_at, *noted, *(step.ended_at for step in steps)])


def every(steps: Sequence[Step]) -> Iterator[Step]:
    """The steps with those of their helpers."""
    for step in steps:
        yield step
        for helper in step.helpers:
            yield from every(helper.steps)


def of_turn(memory: MemoryManager, turn: int) -> Trace:
    """The trace of the turn of this user message (its `seq`). Raises NothingFound where it asked no model."""
    receipts = memory.receipts.all_of_turn(turn)
    if not receipts:
        raise NothingFound("That turn asked no model.")
    session = memory.store.session(receipts[0].session_id)
    assert session is not None  # its receipts would have gone with it
    messages = memory.receipts.messages_of_turn(session.id, turn)
    waiting = [one.call_id for one in memory.pending.of_session(session.id) if one.turn == turn]
    steps = _Tree(memory, receipts, messages, waiting).steps(None)
    number = memory.receipts.turns_of(session.id).index(turn) + 1
    asked = next((one for one in messages if one.seq == turn), None)
    own = [step for step in steps if step.receipt.purpose == "turn"] or steps
    answer = None if own[-1].calls or own[-1].receipt.purpose != "turn" else own[-1].said
    state: State = "waiting" if waiting else _state(own[-1])
    return Trace(session, number, steps, state, asked, answer, memory.plans.of_turn(turn))


def of_session(memory: MemoryManager, session: Session) -> list[Trace]:
    """The traces of a session's turns in order, and of the writings of its notes after them."""
    turns = [of_turn(memory, turn) for turn in memory.receipts.turns_of(session.id)]
    return turns + of_notes(memory, session)


def of_notes(memory: MemoryManager, session: Session) -> list[Trace]:
    """Each time that the model wrote notes on a session."""
    writings: list[list[Step]] = []
    for receipt in memory.receipts.of_notes(session.id):
        if receipt.step == 1 or not writings:
            writings.append([])
        writings[-1].append(Step(receipt, receipt.said))
    return [Trace(session, 0, tuple(steps), _state(steps[-1])) for steps in writings]


def _state(last: Step) -> State:
    """How it ended, by its last step: one with calls has to be followed by another."""
    ended = last.receipt.outcome
    if ended is None:
        return "unfinished"
    if ended.error:
        return "failed"
    if ended.finish == "interrupted" or any(call.decision == "interrupted" for call in last.calls):
        return "interrupted"
    return "unfinished" if last.calls else "answered"


class _Tree:
    """The steps of one turn, each with what belongs below it."""

    def __init__(
        self, memory: MemoryManager, receipts: Sequence[Receipt], messages: Sequence[Message], waiting: Sequence[str]
    ) -> None:
        self._memory, self._receipts, self._waiting = memory, receipts, waiting
        self._messages = {message.seq: message for message in messages}

    def steps(self, helper: int | None) -> tuple[Step, ...]:
        """The steps of a helper, or those of the turn itself."""
        return tuple(self._step(one) for one in self._receipts if one.helper == helper)

    def _step(self, receipt: Receipt) -> Step:
        said = self._messages.get(receipt.answer or 0)
        text = LOST if receipt.answer and not said else said.content if said else receipt.said
        numbers = {one.helper for one in self._receipts if one.helper and one.parent == receipt.seq}
        helpers = tuple(Helper(number, self.steps(number)) for number in sorted(numbers))
        return Step(receipt, text, tuple(self._calls(receipt, said)), helpers)

    def _calls(self, receipt: Receipt, said: Message | None) -> Iterator[Call]:
        """The calls of a step: those that something came of, in the order of the model's answer, then the others."""
        rows = self._memory.receipts.calls_of(receipt.seq)
        asked = {call.id: call for call in said.tool_calls} if said else {}
        for row in rows:
            yield self._ended(row, asked.pop(row.call_id, None))
        for call in asked.values():
            yield self._open(call, receipt.answer or 0)

    def _ended(self, row: CallRow, asked: ToolCall | None) -> Call:
        arguments = row.arguments if row.arguments is not None else asked.arguments if asked else LOST
        result = self._messages.get(row.result or 0)
        text = LOST if row.result and not result else result.content if result else row.said
        at = result.at if result else None
        return Call(row.call_id, row.name, arguments, row.ok, text, row.decision, row.outside, row.ms, at)

    def _open(self, call: ToolCall, said: int) -> Call:
        """A call without a row: it waits for its owner, or the process ended before anything came of it.

        Some endpoints give their calls the same ids in each step: its result stands right behind what was `said`.
        """
        behind = (self._messages[seq] for seq in sorted(self._messages) if seq > said)
        results = takewhile(lambda one: one.role == "tool", behind)
        result = next((one for one in results if one.tool_call_id == call.id), None)
        decision = "interrupted" if result else "waiting" if call.id in self._waiting else ""
        return Call(call.id, call.name, call.arguments, None, result.content if result else None, decision)
