"""Writes a receipt before each model call, fills it in after, and builds the request again from its receipt."""

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import TYPE_CHECKING, Any

from assistant.acting import Acted
from assistant.llm import Ended
from assistant.models import Prices, cost
from assistant.prompt import HELPER, LAST_STEP, MEMORY_INTRO, PERSONA, PINNED_INTRO, RECALLED_INTRO, TOOLS_NOTE
from assistant.references import Basis, Sources, rebuilt, referred
from assistant.wire import to_bytes
from memory.deltas import decoded
from memory.manager import MemoryManager, Recalled
from memory.receipts import CallRow, Purpose, Receipt
from memory.records import Hit, Message, Outcome
from memory.session import LiveSession, now

if TYPE_CHECKING:
    from assistant.delegate import Parent

# What of the program's own words stands between texts of the memory.
OURS = (PERSONA, TOOLS_NOTE, HELPER, MEMORY_INTRO, PINNED_INTRO, RECALLED_INTRO, LAST_STEP)


class TurnRecorder:
    """The receipts of a conversation's turns. It belongs to the thread of its memory."""

    def __init__(self, memory: MemoryManager, session: LiveSession, model: str, prices: Prices | None) -> None:
        self._memory, self._session, self._model, self._prices = memory, session, model, prices
        self._notes: dict[str, str] = {}  # id of a system message -> its name in receipts
        self._acted: dict[str, Acted] = {}  # by the id of the call, until its answer is stored
        self.go_on(0)

    def go_on(self, turn: int) -> None:
        """Begin the turn of this user message (its `seq`), or go on with it after a pause."""
        made = self._memory.receipts.of_turn(turn) if turn else []
        self.turn, self._step = turn, len(made)
        self.last = made[-1].seq if made else 0
        self._before: tuple[int, Sequence[Mapping[str, Any]]] | None = None

    def looked(self, asked: Message, recalled: Recalled, note: Message | None, pinned: Sequence[Hit] = ()) -> None:
        """Begin a turn: what the past said to its stored user message, and the system message made of it, if any.

        `pinned` is what else that message shows.
        """
        self.go_on(asked.seq)
        hits, text = [*recalled.hits, *pinned], note.content if note else ""
        name = self._memory.receipts.looked(asked, hits, recalled.cut, text, OURS, recalled.gate, recalled.trouble)
        if note:
            self._notes[note.id] = name

    def sending(
        self,
        shown: Sequence[Message],
        request: Mapping[str, Any],
        body: bytes,
        ours: Collection[str] = (),
        purpose: Purpose = "turn",
    ) -> Ended:
        """Write the receipt of a request made of the messages `shown`. Raises StoreError.

        `ours` are texts of the program that may stand in it besides the usual ones: its tools, told in words.
        """
        request, body = _masked(self._memory, request, body)
        stored = self._session.as_stored(message for message in self._session.transcript if message.seq)
        basis = Basis(stored, self._session.as_stored(shown), self._notes, [*OURS, *ours], self._before)
        self._step += 1
        seq = _begun(self._memory, request, body, basis, purpose, self._session.id, self.turn, self._step, self._model)
        self._before, self.last = (seq, request["messages"]), seq
        return partial(_ended, self._memory, seq, self._prices)

    def planned(self, text: str) -> None:
        """Note what the model said of a plan, which is no message of the session."""
        self._memory.receipts.answered_with(self.last, text)

    def acted(self, acted: Acted) -> None:
        """Hold what came of a call until its answer is stored."""
        self._acted[acted.call.id] = acted

    def stored(self, message: Message) -> None:
        """Note a message that came of the last call of the model, or answers one of its calls of tools."""
        receipts = self._memory.receipts
        if message.role == "assistant" and self.last:
            receipts.answered(self.last, message)
        if acted := self._acted.pop(message.tool_call_id or "", None):
            result = acted.result
            row = CallRow(
                self.last, acted.call.id, acted.call.name, result.ok, result.outside, acted.decision, acted.ms,
                result=message.seq,
            )  # fmt: skip
            receipts.acted(row)


class HelperRecorder:
    """The receipts of a helper. Its messages are none of the session's, so their words stand in its rows."""

    def __init__(self, memory: MemoryManager, parent: "Parent", number: int, model: str, prices: Prices | None) -> None:
        self._memory, self._parent, self._number = memory, parent, number
        self._model, self._prices = model, prices
        self._step = 0
        self._before: tuple[int, Sequence[Mapping[str, Any]]] | None = None

    def sending(
        self, _shown: Sequence[Message], request: Mapping[str, Any], body: bytes, ours: Collection[str] = ()
    ) -> Ended:
        """Write the receipt of a request: what the helper's last one added to the one before. Raises StoreError."""
        request, body = _masked(self._memory, request, body)
        basis = Basis((), constants=[*OURS, *ours], before=self._before)
        self._step += 1
        parent = self._parent
        seq = _begun(
            self._memory, request, body, basis, "helper", parent.session_id, parent.turn, self._step, self._model,
            parent.receipt, self._number,
        )  # fmt: skip
        self._before = seq, request["messages"]
        return partial(_ended, self._memory, seq, self._prices)

    def answered(self, message: Message) -> None:
        """Note what the helper said."""
        if self._before:
            self._memory.receipts.answered_with(self._before[0], message.content)

    def acted(self, acted: Acted) -> None:
        """Write down what came of a call."""
        if self._before:
            call, result = acted.call, acted.result
            row = CallRow(
                self._before[0], call.id, call.name, result.ok, result.outside, acted.decision, acted.ms,
                call.arguments, None, result.text,
            )  # fmt: skip
            self._memory.receipts.acted(row)


class NotesRecorder:
    """The receipts of the calls that write the notes on one session."""

    def __init__(self, memory: MemoryManager, session_id: str, model: str, prices: Prices | None) -> None:
        self._memory, self._session_id, self._model, self._prices = memory, session_id, model, prices
        self._step = 0

    def sending(self, instructions: str, request: Mapping[str, Any], body: bytes) -> Ended:
        """Write the receipt of a request for notes: the program's own `instructions`, and what was said.

        Raises StoreError.
        """
        basis = Basis(self._memory.store.transcript(self._session_id), constants=[instructions])
        self._step += 1
        seq = _begun(self._memory, request, body, basis, "notes", self._session_id, None, self._step, self._model)
        return partial(_ended, self._memory, seq, self._prices)


def _masked(memory: MemoryManager, request: Mapping[str, Any], body: bytes) -> tuple[Mapping[str, Any], bytes]:
    """The request as it may be stored, and its bytes: secrets that the model sees in this turn alone are masked."""
    messages = memory.store.masking.values(request["messages"])
    if messages == request["messages"]:
        return request, body
    masked = {**request, "messages": messages}
    return masked, to_bytes(masked)


def _ended(memory: MemoryManager, seq: int, prices: Prices | None, outcome: Outcome) -> None:
    """Write down how a call ended, with what it cost."""
    usd = None
    if outcome.prompt_tokens is not None and outcome.completion_tokens is not None:
        usd = cost(prices, outcome.prompt_tokens, outcome.cached_tokens or 0, outcome.completion_tokens)
    memory.receipts.end(seq, outcome, usd)


def _begun(
    memory: MemoryManager,
    request: Mapping[str, Any],
    body: bytes,
    basis: Basis,
    purpose: Purpose,
    session_id: str,
    turn: int | None,
    step: int,
    model: str,
    parent: int | None = None,
    helper: int | None = None,
) -> int:
    """Write a receipt with the constant texts that it needs; gives its `seq`."""
    references = referred(request, basis)
    digest = hashlib.sha256(body).hexdigest()
    receipt = Receipt(
        0,
        session_id,
        purpose,
        turn,
        step,
        now(),
        model,
        len(body),
        digest,
        references.request,
        parent=parent,
        helper=helper,
    )
    with memory.store.writing():
        memory.receipts.keep(references.texts)
        return memory.receipts.begin(receipt)


@dataclass(frozen=True, slots=True)
class Sent:
    """A request's body. `problem` says why these are not the very bytes that were sent; empty: they are."""

    body: bytes
    problem: str = ""


def sent(memory: MemoryManager, receipt: Receipt) -> Sent:
    """The request of a receipt, built again; what was forgotten since is marked in it."""
    lost = set[str]()
    body = rebuilt(receipt.request, sources_of(memory, receipt, lost))
    if hashlib.sha256(body).hexdigest() == receipt.sha256:
        return Sent(body)
    return Sent(body, _problem(lost))


def sources_of(memory: MemoryManager, receipt: Receipt, lost: set[str]) -> Sources:
    """Where the references of a receipt lead. Units that were forgotten are added to `lost` when they are met."""
    receipts = memory.receipts

    @cache
    def text(unit: str) -> str | None:
        note = receipts.note(unit)
        found = receipts.text(unit) if note is None else decoded(note, text)
        if found is None:
            lost.add(unit)
        return found

    def said(first: int, last: int) -> Sequence[Message]:
        return receipts.said(receipt.session_id, first, last)

    return Sources(text, said, lambda seq: receipts.receipt(seq).request)


def _problem(lost: set[str]) -> str:
    if lost:
        return f"Not the very request: forgotten since {'are' if len(lost) > 1 else 'is'} {', '.join(sorted(lost))}."
    return "Not the very request: what it was made of is there, but gives other bytes now."
