"""The memory of a conversation of which nothing is kept: a store in memory, and at most a look into the real one."""

import contextlib
from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from memory.connection import InMemory
from memory.errors import Refused
from memory.manager import MemoryManager, Recalled
from memory.records import USER, Fact, FactKind, Hit, Message, Scope
from memory.session import LiveSession
from memory.store import Store
from memory.sync import Synced
from memory.tokens import Counter
from memory.units import parsed

if TYPE_CHECKING:
    from memory.index import Index
    from memory.masks import Masking
    from memory.sync import Progress

# Rows in memory are numbered from here on, far from those of the file: a window may show units of both.
FIRST = 1 << 40
NOT_KEPT = "Not kept: this conversation is incognito."
REMEDY = 'Note it from outside: assistant remember "..."'
UNREAD = "Nothing is recalled: this conversation is incognito."

Past = Callable[[], MemoryManager | None]


class IncognitoMemory(MemoryManager):
    """A MemoryManager that writes to no file and holds no lock. One per thread, as any; all on one store in memory.

    `past` gives the memory that is read, for the thread that calls; None where there is none, or it is not to be read.
    `outside` names whose words from outside the conversation began with; `say` tells a person what is not kept.
    """

    def __init__(
        self,
        home: Path,
        place: InMemory,
        counter: Counter,
        index: "Callable[[], Index]",
        past: Past,
        outside: Sequence[str],
        masking: "Masking",
        say: Callable[[str], None],
    ) -> None:
        super().__init__(home, counter, index, store=_opened(place, masking))
        self._past_of, self._outside = past, tuple(outside)
        self._say = say

    @cached_property
    def _past(self) -> MemoryManager | None:
        past = self._past_of()
        if past:
            past.store.connection.execute("PRAGMA query_only = ON")
        return past

    def begin(self, model: str) -> LiveSession:
        """A new conversation with `model`, which no other process can see."""
        return LiveSession(self.store, self.counter, None, model, self._clock)

    def close(self) -> None:
        """Close the store, and what was read of the past."""
        super().close()
        if "_past" in self.__dict__ and self._past:
            self._past.close()

    # ------------------------------------------------------------------ what is read

    def recall(
        self,
        question: str,
        scope: Scope = Scope(),
        limit: int = 10,
        mode: str = "both",
        at: datetime | None = None,
        live: str = "",
    ) -> Recalled:
        """What the past has for its owner. Raises Refused where it is not to be read."""
        if self._past is None:
            raise Refused(UNREAD, "Begin it with --with-memory, or look from outside: assistant recall")
        return self._past.recall(question, scope, limit, mode, at, live)

    def recall_for_prompt(
        self,
        question: str,
        budget: int,
        scope: Scope = Scope(),
        mode: str = "both",
        skip: Collection[str] = (),
        at: datetime | None = None,
        live: str = "",
    ) -> Recalled:
        """What of the past goes into a prompt; nothing where it is not to be read."""
        if self._past is None:
            return Recalled(())
        return self._past.recall_for_prompt(question, budget, scope, mode, skip, at, live)

    def pinned(self, budget: int) -> tuple[Hit, ...]:
        """What its owner pinned, where the past is read."""
        return self._past.pinned(budget) if self._past else ()

    def foreign(self, units: Iterable[str]) -> list[str]:
        """Whose words from outside stand in these units, and in what the conversation began with."""
        own, past = _parted(units)
        found = [*self._outside, *super().foreign(own), *(self._past.foreign(past) if self._past else ())]
        return list(dict.fromkeys(found))

    def drawn_from(self, units: Iterable[str]) -> tuple[str, ...]:
        """The tools on whose words from outside a message draws that is written by who sees these units."""
        own, past = _parted(units)
        found = [*self._outside, *super().drawn_from(own), *(self._past.drawn_from(past) if self._past else ())]
        return tuple(dict.fromkeys(found))

    # ------------------------------------------------------------------ what is not kept

    def note(self, text: str, origin: str = USER, since: datetime | None = None, kind: FactKind | None = None) -> Fact:
        """Raises Refused."""
        raise Refused(NOT_KEPT, REMEDY)

    def note_said(self, message: Message, statement: str, kind: FactKind) -> Fact | None:
        """Keep nothing, and say so: the message is answered all the same."""
        self._say(f"{NOT_KEPT} {REMEDY}")
        return None

    def sync(
        self,
        session_id: str | None = None,
        progress: "Progress | None" = None,
        stop: Callable[[], bool] = lambda: False,
    ) -> Synced:
        """Make no vectors."""
        return Synced()


def _opened(place: InMemory, masking: "Masking") -> Store:
    """The store in memory; whoever opens it first sets where its numbers begin."""
    store = Store(place, masking)
    with contextlib.ExitStack() as undone, store.writing() as db:
        undone.callback(store.close)
        if not store.number("SELECT count(*) FROM sqlite_sequence WHERE name = 'messages' AND seq >= ?", [FIRST]):
            db.conn.execute("DELETE FROM sqlite_sequence WHERE name = 'messages'")
            db.conn.execute("INSERT INTO sqlite_sequence (name, seq) VALUES ('messages', ?)", [FIRST])
        undone.pop_all()
    return store


def _parted(units: Iterable[str]) -> tuple[list[str], list[str]]:
    """The units of the store in memory, and those of the past."""
    found = list(units)
    return [one for one in found if parsed(one)[1] >= FIRST], [one for one in found if parsed(one)[1] < FIRST]
