"""MemoryManager: the one door to the memory. It puts the store, the index, recall and the notes together.

begin()      a live session: remember, window, end
recall()     what the past has to say, for the owner or for a prompt
summarise()  an ended session folded into notes
sync()       the index brought up to date
"""

from collections.abc import Callable, Collection, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from memory import recall as recalling
from memory.errors import Failure, IndexBroken
from memory.files import locked, private_folder
from memory.records import USER, Fact, Hit, Message, Scope, Session, Summary
from memory.rows import from_text
from memory.session import Clock, LiveSession, abandoned, clean, new_message_id, new_session_id, now
from memory.store import Store
from memory.tokens import Counter

if TYPE_CHECKING:
    from collections.abc import Iterator

    from memory.index import Index
    from memory.summary import Notes, Writer
    from memory.sync import Progress, Synced


@dataclass(frozen=True, slots=True)
class Recalled:
    """What a recall gave. `trouble` says in one line why the vectors had no say, if they should have had."""

    hits: tuple[Hit, ...]
    trouble: str = ""


class MemoryManager:
    """The memory of one home folder. One per thread: its SQLite connection belongs to the thread that made it.

    `index` gives the index, which the managers of one process share, since Chroma is one for the process.
    """

    def __init__(self, home: Path, counter: Counter, index: Callable[[], "Index"], clock: Clock = now) -> None:
        self.home = private_folder(home)
        self.locks = home / "locks"
        self.counter = counter
        self.store = Store(home / "memory.db")
        self._index = index
        self._clock = clock

    @property
    def index(self) -> "Index":
        """The vector index, opened when it is first needed."""
        return self._index()

    def begin(self, model: str) -> LiveSession:
        """A new conversation with `model`. Nothing is written before its first message."""
        return LiveSession(self.store, self.counter, self.locks, model, self._clock)

    # ------------------------------------------------------------------ recall

    def recall(
        self,
        question: str,
        scope: Scope = Scope(),
        limit: int = 10,
        mode: str = "both",
        at: datetime | None = None,
    ) -> Recalled:
        """The best `limit` hits for the owner: everything that may fit, whole texts. `at` is "now" for "last week"."""
        found, trouble = self._find(question, scope, mode, (), at)
        return Recalled(tuple(recalling.hit(self.store, one) for one in found[:limit]), trouble)

    def recall_for_prompt(
        self,
        question: str,
        budget: int,
        scope: Scope = Scope(),
        mode: str = "both",
        skip: Collection[str] = (),
        at: datetime | None = None,
    ) -> Recalled:
        """What goes into a prompt: only what passes the gate, as shown there, in at most `budget` tokens."""
        found, trouble = self._find(question, scope, mode, skip, at)
        return Recalled(tuple(recalling.select(self.store, question, found, budget, self.counter.text)), trouble)

    def _find(
        self, question: str, scope: Scope, mode: str, skip: Collection[str], at: datetime | None
    ) -> tuple[list[recalling.Candidate], str]:
        trouble: list[str] = []

        def nearest(question: str, limit: int) -> Sequence[tuple[str, float]]:
            try:
                return self._nearest(question, limit)
            except Failure as error:  # the index, or the endpoint that makes vectors
                trouble.append(f"{error.message} Words alone answered. {error.remedy}".strip())
                return []

        found = recalling.find(self.store, question, nearest, scope, skip, mode, at or self._clock())
        return found, "".join(trouble)

    def _nearest(self, question: str, limit: int) -> Sequence[tuple[str, float]]:
        """Ask the index, if the store says that it holds anything: an empty one need not be opened."""
        if not self.store.rows("SELECT 1 FROM vectors LIMIT 1"):
            return []
        collection = self.index.collection
        found = self.index.search([question], limit, self.store.version(collection))[0]
        if not found and self.store.count_indexed(collection):
            raise IndexBroken("The index was lost.")
        return found

    # ------------------------------------------------------------------ by hand

    def note(self, text: str) -> Fact:
        """Keep what the owner says by hand: a session of one message, and the fact that it is."""
        from memory.extract import fact_id, shortened

        at, session_id = self._clock(), new_session_id(self._clock())
        said = clean(text.strip())
        message = Message(
            new_message_id(), session_id, "user", said, at, USER, tokens=self.counter.message("user", said)
        )  # fmt: skip
        fact = Fact(
            fact_id(session_id, said, [message.id]), session_id, said, "fact", at, (message.id,), said, USER,
            tokens=self.counter.text(said),
        )  # fmt: skip
        session = Session(session_id, at, title=shortened(said, 60), ended_at=at, state="summarised")
        self.store.merge(session, [message], None, [fact], owes=False)
        return fact

    def by_hand(self, session_id: str) -> bool:
        """Whether a session is what `note` made: its fact is its notes, and none are to replace it."""
        from memory.export import by_hand

        transcript = self.store.transcript(session_id)
        return by_hand(transcript, self.store.summary(session_id), self.store.facts_of(session_id))

    # ------------------------------------------------------------------ the end of a session

    def close_abandoned(self) -> list[str]:
        """Mark as ended what no live process holds any more; returns the ids of those sessions."""
        closed = []
        for session in self.store.open_sessions():
            with abandoned(self.store, self.locks, session) as dead:
                if dead:
                    last = self.store.rows("SELECT max(at) FROM messages WHERE session_id = ?", [session.id])[0][0]
                    self.store.set_state(session.id, "ended", from_text(last) if last else session.started_at)
                    closed.append(session.id)
        return closed

    @contextmanager
    def owing(self) -> "Iterator[bool]":
        """Hold the lock of owed work; False where another process is at it (no session is summarised twice)."""
        with locked(self.locks / "owed.lock", wait_s=0) as mine:
            yield mine

    def owed(self, writer: str) -> list[Session]:
        """The sessions that the model named `writer` owes notes, oldest first."""
        return self.store.owed(writer)

    def summarise(self, session_id: str, write: "Writer") -> "Notes":
        """Have the model fold a session into notes, and keep them. Whatever `write` raises leaves them owed."""
        from memory.summary import summarise

        at = self._clock().astimezone()
        return self._keep(summarise(session_id, self.store.transcript(session_id), write, self.counter.text, at))

    def extract(self, session_id: str, tried_by: str = "") -> "Notes":
        """Notes without a model, marked as such: they are written again when another model than `tried_by` is there."""
        from memory.extract import extract

        return self._keep(extract(session_id, self.store.transcript(session_id), self._clock(), tried_by))

    def _keep(self, notes: "Notes") -> "Notes":
        summary = self._counted_summary(notes.summary)
        facts = tuple(self._counted_fact(fact) for fact in notes.facts)
        self.store.put_notes(summary, facts)
        return replace(notes, summary=summary, facts=facts)

    def _counted_summary(self, summary: Summary) -> Summary:
        return replace(summary, tokens=self.counter.text(f"{summary.title}: {summary.gist}"))

    def _counted_fact(self, fact: Fact) -> Fact:
        return replace(fact, tokens=self.counter.text(fact.text))

    # ------------------------------------------------------------------ the index

    def sync(
        self,
        session_id: str | None = None,
        progress: "Progress | None" = None,
        stop: Callable[[], bool] = lambda: False,
    ) -> "Synced":
        """Give vectors to what has none. Raises IndexUnavailable."""
        from memory.sync import sync

        return sync(self.store, self.index, session_id, progress, stop)

    def remove(self, session_id: str) -> bool:
        """Delete a session with its notes and vectors; says whether the text's bytes are gone. Raises IndexUnavailable.

        They stay while another process reads the old pages, and go with the store's next purge.
        """
        gone = self.store.remove(session_id)
        if self.store.rows("SELECT 1 FROM vectors LIMIT 1"):
            from memory.sync import remove_orphans

            remove_orphans(self.store, self.index)
        return gone

    def close(self) -> None:
        """Close the store."""
        self.store.close()
