"""What is known of one answer: the question, what was found for it, what the model was shown, and its calls."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

from assistant.recorder import sources_of
from assistant.references import made_of
from memory.manager import MemoryManager
from memory.receipts import Looked, Receipt
from memory.records import Message, Session

Span = Sequence[int]  # of a text, where it begins and ends


@dataclass(frozen=True, slots=True)
class Conversation:
    """How many messages of the conversation itself the model was shown, and how many by then not any more.

    `shortened` are the ids of those of which a part was shown.
    """

    shown: int
    left_out: int
    shortened: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Account:
    """One answer. `earlier` is what was recalled for earlier messages and stood in the prompt still.

    `answer` is None where none came. `calls`, in order, are at least one; the last is what the rest is about.
    """

    session: Session
    asked: Message
    answer: Message | None
    looked: Looked
    earlier: tuple[Looked, ...]
    conversation: Conversation
    calls: tuple[Receipt, ...]


def account(memory: MemoryManager, turn: int) -> Account:
    """The account of the answer to the user message `turn` (its `seq`), which has a receipt."""
    calls = memory.receipts.of_turn(turn)
    messages = memory.store.messages([turn, *(call.answer for call in calls if call.answer)])
    answer = messages.get(calls[-1].answer or 0)
    session = memory.store.session(calls[-1].session_id)
    assert session is not None  # its receipts would have gone with it
    made = chain.from_iterable(made_of(calls[-1].request, sources_of(memory, calls[-1], set())))
    spans = defaultdict[str, list[Span]](list)
    for unit, *span in (piece for piece in made if isinstance(piece, list)):
        spans[unit].append(span)
    notes = [int(unit[1:]) for unit in spans if unit[0] == "n" and unit != f"n{turn}"]
    return Account(
        session,
        messages[turn],
        answer,
        memory.receipts.looked_for(turn),
        tuple(memory.receipts.looked_for(note) for note in notes),
        _conversation(memory, session.id, spans, answer),
        tuple(calls),
    )


def _conversation(
    memory: MemoryManager, session_id: str, spans: Mapping[str, Sequence[Span]], answer: Message | None
) -> Conversation:
    shown = [int(unit[1:]) for unit in spans if unit[0] == "m"]
    before = memory.receipts.said(session_id, 0, answer.seq - 1 if answer else max(shown, default=0))
    cut = [one.id for one in before if _is_cut(one, spans.get(f"m{one.seq}", ()))]
    return Conversation(len(shown), len(before) - len(shown), tuple(cut))


def _is_cut(message: Message, spans: Sequence[Span]) -> bool:
    """Whether a part of the message was shown, and not all its words. An empty span is the whole."""
    if not spans or not all(spans):
        return False
    words = len(message.content) + sum(len(call.arguments) for call in message.tool_calls)
    return sum(end - start for start, end in spans) < words
