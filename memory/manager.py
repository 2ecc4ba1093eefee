"""MemoryManager: the one door to the memory. It puts the store, the index, recall and the notes together.

begin()      a live session: remember, window, end
recall()     what the past has to say, for the owner or for a prompt
summarise()  an ended session folded into notes
sync()       the index brought up to date
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from memory import answering
from memory import recall as recalling
from memory.entries import any_replaced, entries
from memory.errors import BadInput
from memory.files import locked, own_home
from memory.records import (
    ASSISTANT,
    NOTHING,
    USER,
    Cut,
    Fact,
    FactKind,
    FactStatus,
    Hit,
    Message,
    Role,
    Scope,
    Session,
    Summary,
)
from memory.rows import from_text
from memory.session import Clock, LiveSession, abandoned, clean, new_message_id, new_session_id, now, unheld
from memory.store import Store
from memory.tokens import Counter
from memory.units import parsed, unit_id

if TYPE_CHECKING:
    from collections.abc import Iterator

    from memory.answering import Older
    from memory.events import Event
    from memory.facts import FactRows
    from memory.index import Index
    from memory.masks import Masking
    from memory.pending import PendingRows
    from memory.plans import PlanRow, PlanRows
    from memory.receipts import Receipts
    from memory.summary import Notes, Writer
    from memory.supersede import Decide, Settled
    from memory.sync import Progress, Synced


class Recalled(NamedTuple):
    """What a recall gave. `trouble` says in one line why the vectors had no say, if they should have had.

    `cut` is what was found for a prompt and is not shown there, best first; `gate` the verdict on all of it.
    """

    hits: tuple[Hit, ...]
    trouble: str = ""
    cut: tuple[Cut, ...] = ()
    gate: Mapping[str, Any] = NOTHING


class MemoryManager:
    """The memory of one home folder. One per thread: its SQLite connection belongs to the thread that made it.

    `index` gives the index, which the managers of one process share, since Chroma is one for the process; `older` that
    of an earlier embedding model by its name, which answers until the chosen one's is complete (without: words do).
    """

    def __init__(
        self,
        home: Path,
        counter: Counter,
        index: Callable[[], "Index"],
        clock: Clock = now,
        older: "Older | None" = None,
        masking: "Masking | None" = None,
        store: Store | None = None,
    ) -> None:
        """`masking` is what is done to texts before they are stored; None: secrets are masked.

        With a `store` of its own nothing is made in the home.
        """
        self.home = home if store else own_home(home)
        self.locks = home / "locks"
        self.counter = counter
        self.store = store or Store(home / "memory.db", masking)
        self.plain_vectors = False  # an encrypted memory keeps vectors all the same
        self.review_facts = False  # every new fact of notes waits for its owner's review
        self._index = index
        self._older = older
        self._clock = clock

    @property
    def keeps_vectors(self) -> bool:
        """Whether texts get vectors: they cannot be encrypted, so those of an encrypted memory only if it is asked."""
        return self.plain_vectors or not self.store.encrypted

    @property
    def index(self) -> "Index":
        """The vector index, opened when it is first needed."""
        return self._index()

    def older_index(self, model: str) -> "Index":
        """The index of an earlier embedding model, by the model's name."""
        if self._older:
            return self._older(model)
        from memory.embedding import Unavailable
        from memory.index import Index

        return Index(self.home / "index", Unavailable(model), self.locks / "index.lock")

    @cached_property
    def receipts(self) -> "Receipts":
        """What each model call was shown. Most commands ask for none, and start the faster."""
        from memory.receipts import Receipts

        return Receipts(self.store)

    @cached_property
    def pending(self) -> "PendingRows":
        """What waits for its owner's yes."""
        from memory.pending import PendingRows

        return PendingRows(self.store)

    @cached_property
    def facts(self) -> "FactRows":
        """What is done to facts after they were noted."""
        from memory.facts import FactRows

        return FactRows(self.store, self._clock)

    @cached_property
    def plans(self) -> "PlanRows":
        """The plans of turns."""
        from memory.plans import PlanRows

        return PlanRows(self.store)

    def foreign(self, units: Iterable[str]) -> list[str]:
        """The tools whose words from outside stand in these units, and "imported"; each once."""
        from memory.foreign import foreign

        return foreign(self.store, units)

    def drawn_from(self, units: Iterable[str]) -> tuple[str, ...]:
        """The tools on whose words from outside a message draws that is written by who sees these units."""
        from memory.foreign import drawn_from

        return drawn_from(self.store, units)

    def now(self) -> datetime:
        """This moment, by the clock of this memory."""
        return self._clock()

    def begin(self, model: str) -> LiveSession:
        """A new conversation with `model`. Nothing is written before its first message."""
        return LiveSession(self.store, self.counter, self.locks, model, self._clock)

    def resume(self, session_id: str, model: str) -> LiveSession:
        """The session of this id, to go on with `model`: with what was recalled in it, as far as that is still there.

        Raises BadInput where another process is at it, or it waits for nothing any more.
        """
        session = self._resumed(session_id, model)
        if not self.pending.of_session(session_id):  # looked up only now that nobody else can go on with it
            session.let_go()
            raise BadInput(f"{session_id} waits for nothing any more.", "See `assistant pending`.")
        return session

    def _resumed(self, session_id: str, model: str) -> LiveSession:
        session = self.begin(model)
        notes, shows = self.receipts.notes_of(session_id)
        session.resume(session_id, notes, shows)
        return session

    def unfinished(self) -> list["PlanRow"]:
        """Plans with steps left that nobody works on: they were stopped, or their process was killed; newest first.

        One that waits for its owner's yes, or has calls that do, is none of them.
        """
        return [plan for plan in self.plans.unfinished() if self._left(plan)]

    def _left(self, plan: "PlanRow") -> bool:
        with unheld(self.locks, plan.session_id) as free:
            return free and not self.pending.of_session(plan.session_id)

    def resume_plan(self, plan: "PlanRow", model: str) -> LiveSession:
        """The session of an unfinished plan, to go on with it: its owner has agreed to the plan as it stands.

        A session that has ended is open again. Raises BadInput where another process is at it, or it goes on otherwise.
        """
        session = self._resumed(plan.session_id, model)
        current = self.plans.of_turn(plan.turn)
        if current != plan or self.pending.of_session(plan.session_id):  # looked up only now, as above
            session.let_go()
            raise BadInput(f"The plan {plan.id} is not what it was any more.", "See `assistant pending`.")
        self.plans.put(replace(plan, state="working"))
        self.store.reopen(plan.session_id)
        return session

    def give_up(self, plan: "PlanRow") -> None:
        """End an unfinished plan. Raises BadInput where another process is at it."""
        with unheld(self.locks, plan.session_id) as free:
            if not free or self.plans.of_turn(plan.turn) != plan:
                raise BadInput(f"The plan {plan.id} is being worked on.", "See `assistant pending`.")
            self.plans.put(replace(plan, state="refused"))

    def waits(self, session: Session) -> bool:
        """Whether a session waits for its owner, and nobody goes on with it right now."""
        with abandoned(self.store, self.locks, session) as free:
            return free and bool(self.pending.of_session(session.id))

    # ------------------------------------------------------------------ recall

    def recall(
        self,
        question: str,
        scope: Scope = Scope(),
        limit: int = 10,
        mode: str = "both",
        at: datetime | None = None,
        live: str = "",
    ) -> Recalled:
        """The best `limit` hits for the owner: everything that may fit, whole texts. `at` is "now" for "last week".

        `live` is the id of the session in which it is asked, which is not the "last time".
        """
        occasion, answer = self._by_occasion(question, scope, at, live)
        if answer:
            hits = [recalling.hit(self.store, one) for one in answer[:limit]]
            return Recalled(tuple(hit._replace(why={**hit.why, "occasion": occasion}) for hit in hits))
        found, trouble = self._find(question, scope, mode, at)
        return Recalled(tuple(recalling.hit(self.store, one) for one in found[:limit]), trouble)

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
        """What goes into a prompt, as shown there, in at most `budget` tokens: only what passes the gate.

        A question of time or kind has its answer past the gate. `skip` names the units that the prompt shows already.
        """
        occasion, answer = self._by_occasion(question, scope, at, live)
        if answer:
            chosen = recalling.select_all(self.store, occasion, answer, budget, self.counter.text, skip)
            return Recalled(chosen.hits, "", chosen.cut, chosen.gate)
        found, trouble = self._find(question, scope, mode, at)
        chosen = recalling.select(self.store, question, found, budget, self.counter.text, skip)
        return Recalled(chosen.hits, trouble, chosen.cut, chosen.gate)

    def _by_occasion(
        self, question: str, scope: Scope, at: datetime | None, live: str
    ) -> tuple[str, list[recalling.Candidate]]:
        """The name of the time or kind that is asked for, and what answers it."""
        from memory import occasions

        asked = occasions.read(question, at or self._clock())
        if asked is None:
            return "", []
        from memory.lookup import look_up

        known = scope._replace(before=min(at, scope.before or at)) if at else scope  # what is asked then is of before
        return asked.name, look_up(self.store, asked, known, live)

    def event(self, clause: str) -> "Event | None":
        """When what `clause` names ("I moved") happened, as its owner told it; None where nothing said tells of it."""
        from memory import events

        scope = Scope(kinds=("message", "fact"))
        return events.best(recalling.find(self.store, clause, None, scope, "words", self._clock()), clause)

    def pinned(self, budget: int) -> tuple[Hit, ...]:
        """What its owner pinned, as a prompt shows it, the oldest first, as far as it fits in `budget` tokens."""
        hits, room = [], budget
        for hit in self.pinned_lines():
            if hit.tokens <= room:
                hits.append(hit)
                room -= hit.tokens
        return tuple(hits)

    def says_no_more(self, facts: Iterable[Hit]) -> set[str]:
        """The units of facts, and of the messages that they rest on and say in full."""
        from memory.grounding import same

        numbers = [parsed(hit.unit)[1] for hit in facts]
        found, evidence = self.store.facts(numbers), self.store.evidence_seqs(numbers)
        said = self.store.messages(seq for seqs in evidence.values() for seq in seqs)
        whole = {
            unit_id("m", seq)
            for fact, seqs in evidence.items()
            for seq in seqs
            if same(said[seq].content) == same(found[fact].text)
        }
        return whole | {unit_id("f", number) for number in numbers}

    def pinned_lines(self) -> list[Hit]:
        """All that is pinned, as a prompt shows it."""
        return [self.line(seq) for seq, _ in self.facts.pinned()]

    def line(self, fact: int) -> Hit:
        """A fact (its `seq`) as the line that a prompt shows where it is pinned."""
        from memory.scoring import Candidate

        (entry,) = entries(self.store, [("f", fact)]).values()
        return recalling.shown(self.store, Candidate(entry), [], self.counter.text)._replace(why={"pinned": True})

    def texts(self, units: Iterable[str]) -> dict[str, str]:
        """The words of those of `units` that are still there."""
        found = entries(self.store, [parsed(unit) for unit in units])
        return {unit_id(*key): one.text for key, one in found.items()}

    def _find(
        self, question: str, scope: Scope, mode: str, at: datetime | None
    ) -> tuple[list[recalling.Candidate], str]:
        trouble: list[str] = []

        def nearest(question: str, limit: int) -> Iterable[tuple[str, float]]:
            if not self.store.collections():  # an empty index need not be opened
                return ()
            return taken(answering.begin(self.store, self.index, self.older_index, question, limit))

        def taken(answer: Callable[[], tuple[answering.Found, str]]) -> Iterable[tuple[str, float]]:
            found, failed = answer()
            trouble.append(failed)
            yield from found

        if any_replaced(self.store):
            from memory.succession import asks_past

            scope = scope._replace(past=asks_past(question))
        found = recalling.find(self.store, question, nearest, scope, mode, at or self._clock())
        return found, "".join(trouble)

    # ------------------------------------------------------------------ by hand

    def note(self, text: str, origin: str = USER, since: datetime | None = None, kind: FactKind | None = None) -> Fact:
        """Keep what the owner says by hand: a session of one message, and the fact that it is.

        Another `origin` says that the owner only agreed to it: then it is the assistant's message, and marked so.
        `since` is when it began to hold; None: what it says of that, else now.
        """
        from memory.extract import fact_id, kind_of, shortened
        from memory.since import begins

        at, session_id = self._clock(), new_session_id(self._clock())
        role: Role = "user" if origin == USER else "assistant"
        raw = Message(new_message_id(), session_id, role, clean(text.strip()), at, origin)
        message = self.store.masking.message(raw)
        said = message.content
        message = message._replace(tokens=self.counter.message(role, said))
        fact = Fact(
            fact_id(session_id, said, [message.id]), session_id, said, kind or kind_of(said), at, (message.id,), said,
            origin,
            tokens=self.counter.text(said), valid_from=since or begins(said, at) or at,
            handled=origin != ASSISTANT,  # asked for what draws on outside words, always
        )  # fmt: skip
        session = Session(session_id, at, title=shortened(said, 60), ended_at=at, state="summarised")
        with self.facts.deed():
            self.store.merge(session, [message], None, [], owes=False)
            self._remember(fact)
        self.store.masking.tell()
        return fact

    def note_said(self, message: Message, statement: str, kind: FactKind) -> Fact | None:
        """Keep a statement of its owner's as a fact at once: it stands literally in a stored message of a session.

        None where nothing is kept (memory/incognito.py).
        """
        from memory.extract import fact_id
        from memory.since import begins

        session_id, ids = message.session_id, (message.id,)
        fact = Fact(
            fact_id(session_id, statement, ids), session_id, statement, kind, message.at, ids, statement,
            message.origin, tokens=self.counter.text(statement), handled=True,
            valid_from=begins(statement, message.at) or message.at,
        )  # fmt: skip
        with self.facts.deed():
            self._remember(fact)
        return fact

    def _remember(self, fact: Fact) -> None:
        """Write a fact of its owner's. One that stands in the same words is heard once more instead of doubled."""
        from memory.facts import OWNER

        standing = self.facts.saying(fact.text)
        self.facts.add([fact], OWNER, "remembered")
        if standing:
            self.facts.join(fact.id, standing.id, OWNER)
        else:
            self.settle([fact], by_meaning=False)

    def supersede(self, old: Fact, text: str, since: datetime | None = None) -> Fact:
        """Keep by hand what took a fact's place, and since when; gives the new fact."""
        with self.facts.deed():
            self.facts.must_stand(old.id)
            new = self.note(text, since=since)
            found, left = self.facts.exactly(new.id), self.facts.exactly(old.id)  # the rules saw it already
            standing = found.same_as or new.id
            if old.id == standing or left.same_as:
                raise BadInput(f"{old.id} says the same.", f"For other words: assistant memory edit {old.id}")
            self.facts.retire(old.id, standing, since or new.at, "owner")
        return self.facts.exactly(standing)

    def edit(self, fact: Fact, text: str, kind: FactKind, valid_from: datetime | None) -> Fact:
        """Put a new wording of its owner's in a fact's place; gives the new fact. What says the same is joined to it.

        Raises BadInput where the fact stands no more.
        """
        said = self.store.masking.noted(clean(text.strip()))
        with self.facts.deed():
            same = self.facts.saying(said, but=fact.id)
            new = self.facts.edit(fact, said, kind, valid_from, self.counter.text(said))
            if same:
                self.facts.join(same.id, new.id, "owner")
            self.settle([new], by_meaning=False)
        self.store.masking.tell()
        return new

    def settle(self, facts: Iterable[Fact], decide: "Decide | None" = None, by_meaning: bool = True) -> "Settled":
        """Retire and join the facts that these, which are stored, take the place of or repeat.

        Without `decide`, a model, plain rules decide alone; so they do where it fails. Inside of a transaction
        nothing is asked `by_meaning`: who writes the index may wait for the store.
        """
        from memory.supersede import settle

        return settle(self.store, self.facts, facts, self._nearest_facts if by_meaning else _no_nearest, decide)

    def _nearest_facts(self, text: str, limit: int) -> list[tuple[int, float]]:
        """The facts nearest in meaning; none where there is no index to ask."""
        if not self.store.collections():
            return []
        found, _ = answering.nearest(self.store, self.index, self.older_index, text, 10 * limit)
        facts = [(seq, score) for (kind, seq), score in ((parsed(unit), score) for unit, score in found) if kind == "f"]
        return facts[:limit]

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

    def summarise(self, session_id: str, write: "Writer", decide: "Decide | None" = None) -> "Notes":
        """Have the model fold a session into notes, and keep them. Whatever `write` raises leaves them owed.

        `decide` says what the new facts do to earlier ones, beside the rules.
        """
        from memory.summary import summarise

        at, seen = self._clock().astimezone(), self.store.deeds_of_forgetting()
        notes = summarise(session_id, self.store.transcript(session_id), write, self.counter.text, at)
        return self._keep(notes, seen, decide)

    def extract(self, session_id: str, tried_by: str = "") -> "Notes":
        """Notes without a model, marked as such: they are written again when another model than `tried_by` is there."""
        from memory.extract import extract

        seen = self.store.deeds_of_forgetting()
        return self._keep(extract(session_id, self.store.transcript(session_id), self._clock(), tried_by), seen)

    def _keep(self, notes: "Notes", seen: int, decide: "Decide | None" = None) -> "Notes":
        """Keep notes and give what is kept: extracted ones do not take the place of better ones."""
        from memory.extract import EXTRACTED
        from memory.facts import RULES

        session_id = notes.summary.session_id
        held = self.store.summary(session_id)
        if notes.summary.written_by == EXTRACTED and held and held.written_by != EXTRACTED:
            return replace(notes, summary=held, facts=tuple(self.store.facts_of(session_id)))
        summary = self._counted_summary(notes.summary)
        counted = [self._counted_fact(fact) for fact in notes.facts]
        foreseen = self._foreseen(counted, decide) if decide else None
        with self.store.writing():
            facts = self.store.put_notes(summary, counted, seen)
            self.facts.noted(facts, RULES if notes.summary.written_by == EXTRACTED else notes.summary.written_by)
        self.settle(facts, foreseen)
        return replace(notes, summary=summary, facts=tuple(facts))

    def _foreseen(self, facts: Iterable[Fact], decide: "Decide") -> "Decide":
        """The model is asked before anything is written: where it is stopped, the notes stay owed."""
        from memory.supersede import foresee

        return foresee(self.store, self.facts, facts, self._nearest_facts, decide)

    def _counted_summary(self, summary: Summary) -> Summary:
        return summary._replace(tokens=self.counter.text(f"{summary.title}: {summary.gist}"))

    def _counted_fact(self, fact: Fact) -> Fact:
        status: FactStatus = "review" if self.review_facts else fact.status
        return fact._replace(tokens=self.counter.text(fact.text), status=status)

    # ------------------------------------------------------------------ the index

    def sync(
        self,
        session_id: str | None = None,
        progress: "Progress | None" = None,
        stop: Callable[[], bool] = lambda: False,
    ) -> "Synced":
        """Give vectors to what has none. Raises IndexUnavailable."""
        from memory.sync import Synced, sync

        if not self.keeps_vectors:
            return Synced()
        return sync(self.store, self.index, session_id, progress, stop)

    def close(self) -> None:
        """Close the store."""
        self.store.close()


def _no_nearest(_text: str, _limit: int) -> list[tuple[int, float]]:
    return []
