"""What the tests of the memory share: an embedder without a model, a memory in a folder, a talk, a writer of notes."""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from memory import answering, cascade
from memory.embedding import Embedder, Unavailable
from memory.forget import Forgetting, Receipt
from memory.index import Index
from memory.manager import MemoryManager
from memory.session import Clock, now
from memory.tokens import Counter
from tests.scripted import vector


class Words:
    """An embedder without a model: texts that share words have near vectors."""

    def __init__(self, name: str = "words") -> None:
        self.name = name

    def __call__(self, texts: Sequence[str]) -> list[list[float]]:
        found = [vector(text) for text in texts]
        return [[number / math.hypot(*one) for number in one] for one in found]


def a_memory(
    home: Path,
    counter: Counter,
    embedder: Embedder | None = None,
    clock: Clock = now,
    known: Sequence[Embedder] = (),
) -> MemoryManager:
    """A memory with indexes of its own, as another process would have it; it still has the `known` older models."""
    models = [embedder or Words(), *known]
    indexes = {one.name: Index(home / "index", one, home / "locks" / "index.lock") for one in reversed(models)}

    def index_of(model: str) -> Index:
        return indexes.setdefault(model, Index(home / "index", Unavailable(model), home / "locks" / "index.lock"))

    return MemoryManager(home, counter, lambda: index_of(models[0].name), clock, index_of)


def leave(memory: MemoryManager) -> None:
    """Close a memory and its indexes."""
    for index in [memory.index, *answering.held(memory.store, memory.index, memory.older_index)]:
        index.close()
    memory.close()


def talk(memory: MemoryManager, *said: str, end: bool = True) -> str:
    """A session of user messages, each answered with "Noted."; gives its id."""
    session = memory.begin("a-model")
    for text in said:
        session.remember(session.make("user", text, origin="user"))
        session.remember(session.make("assistant", "Noted.", origin="assistant"))
    if end:
        session.end()
    return session.id


def forget_session(memory: MemoryManager, session_id: str) -> Receipt:
    """Forget a whole session, as `assistant forget --session` does."""
    return Forgetting(memory).carry_out(cascade.of(memory.store, sessions=[session_id]))


PORTO = "I live in Porto with my dog Rex."
NOTES = {
    "title": "Living in Porto",
    "gist": "The user lives in Porto with their dog Rex.",
    "facts": [
        {
            "kind": "fact",
            "text": "The user lives in Porto with the dog Rex.",
            "date": "",
            "messages": [1],
            "quote": "I live in Porto",
        }
    ],
}


class Scribe:
    """A memory.summary.Writer that always answers the same; an exception is raised."""

    context_tokens = 8_000

    def __init__(self, name: str = "scribe", reply: Any = NOTES) -> None:
        self.name = name
        self._reply = reply
        self.asked: list[str] = []

    def __call__(self, system: str, text: str, schema: Mapping[str, Any] | None, max_tokens: int) -> str:
        self.asked.append(text)
        if isinstance(self._reply, BaseException):
            raise self._reply
        return json.dumps(self._reply)
