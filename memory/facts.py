"""What is done to facts after they were noted: accepted, edited, retired, pinned; each deed with its rows, and undone.

A fact's text never changes: an edit is a new fact. A row of `changes` holds no words, only the ids and what the changed
columns held before, so that undoing a deed puts back exactly that. What was done at once is one deed.
"""

import contextlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from memory.errors import BadInput, NothingFound
from memory.foreign import TOOL
from memory.records import USER, Fact, FactKind
from memory.rows import from_text, or_none, to_text
from memory.session import Clock, now
from memory.store import Store

OWNER, RULES = "owner", "rules"  # who does deeds, besides a model by its name
MADE = ("noted", "remembered", "made")  # acts by which a fact came in: undone, it goes again
LEAST_PREFIX = 4  # characters of an id
NAMED_AT_ONCE = 5  # facts that an unclear id may mean, in an error

# What is held for true at present; what of it a model may be shown without its owner having looked at it.
PRESENT = "status = 'kept' AND retired_by IS NULL AND same_as IS NULL"
OUTSIDE = f"substr(origin, 1, {len(TOOL)}) = '{TOOL}' AND NOT handled"
WAITS = f"status <> 'rejected' AND retired_by IS NULL AND same_as IS NULL AND (status = 'review' OR {OUTSIDE})"


@dataclass(frozen=True, slots=True)
class Change:
    """One row of what was done: to the fact `fact`, together with the fact `other` where there are two.

    `before` holds what the changed columns held. `undone_at` is None while it stands.
    """

    deed: int
    at: datetime
    who: str
    act: str
    fact: str
    other: str
    before: Mapping[str, Any]
    undone_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Listing:
    """Which facts are listed. What is empty does not matter; `review` and `outside` are what waits for its owner.

    Without `retired` only what stands at present is listed, and what waits for review. `words` is a full-text query.
    """

    kind: str = ""
    session_id: str = ""
    review: bool = False
    outside: bool = False
    retired: bool = False
    pinned: bool = False
    words: str = ""


class FactRows:
    """The facts of one store, as their owner, the rules and models change them. Raises StoreError."""

    def __init__(self, store: Store, clock: Clock = now) -> None:
        self._store, self._clock = store, clock
        self._deed = 0

    # ------------------------------------------------------------------ reading

    def find(self, prefix: str) -> Fact:
        """The fact of this id, or whose id begins so. Raises BadInput where several do, and NothingFound."""
        asked = prefix.strip().lower()
        found = self._matching(asked)
        if len(found) > 1:
            named = ", ".join(fact.id for fact in found[:NAMED_AT_ONCE])
            raise BadInput(f"{prefix!r} begins several facts: {named}.", "Write more of the id.")
        if not found:
            raise NothingFound(f"There is no fact {prefix!r}.", "See `assistant memory list --all`.")
        return found[0]

    def known(self, text: str) -> Fact | None:
        """The fact that a text names by its id or the beginning of one; None where it is no id. Raises BadInput."""
        asked = text.strip().lower()
        return self.find(asked) if set(asked) <= set("0123456789abcdef") and self._matching(asked) else None

    def _matching(self, asked: str) -> list[Fact]:
        exact = self._facts("id = ?", [asked])
        if exact or len(asked) < LEAST_PREFIX:
            return exact
        return self._facts("substr(id, 1, ?) = ?", [len(asked), asked])

    def of_deed(self, deed: int) -> list[Change]:
        """What one deed did, in order."""
        return [_change(row) for row in self._store.rows("SELECT * FROM changes WHERE deed = ? ORDER BY seq", [deed])]

    def _facts(self, where: str, values: Sequence[Any] = ()) -> list[Fact]:
        """Facts in the order in which they came in."""
        seqs = [row[0] for row in self._store.rows(f"SELECT seq FROM facts WHERE {where}", values)]
        return [fact for _, fact in sorted(self._store.facts(seqs).items())]

    def seq(self, fact_id: str) -> int:
        """A fact's row number, or 0."""
        return self._store.number("SELECT seq FROM facts WHERE id = ?", [fact_id])

    def listed(self, which: Listing, limit: int = -1) -> list[Fact]:
        """Facts, the newest first; -1 means all."""
        where, values = _conditions(which)
        sql = f"SELECT seq FROM facts WHERE {where} ORDER BY at DESC, seq DESC LIMIT ?"
        seqs = [row[0] for row in self._store.rows(sql, [*values, limit])]
        found = self._store.facts(seqs)
        return [found[seq] for seq in seqs]

    def waiting(self) -> list[Fact]:
        """What waits for its owner, the oldest first: facts in review, and those with words from outside."""
        return self._facts(WAITS)

    def count_waiting(self, session_id: str = "") -> int:
        """How many facts are in review; those of one session, if one is named."""
        where = f"status = 'review' AND {WAITS}" + (" AND session_id = ?" if session_id else "")
        return self._store.number(f"SELECT count(*) FROM facts WHERE {where}", [session_id] if session_id else [])

    def replaced_by(self, session_id: str) -> list[Fact]:
        """What the facts of a session took the place of."""
        return self._facts(
            "retired_by IN (SELECT id FROM facts WHERE session_id = ?) AND status = 'kept'", [session_id]
        )

    def pinned(self) -> list[tuple[int, Fact]]:
        """What its owner pinned and holds at present, with the row numbers, in the order in which it came in."""
        rows = self._store.rows(f"SELECT seq FROM facts WHERE pinned AND {PRESENT} AND NOT ({OUTSIDE})")
        return sorted(self._store.facts(row[0] for row in rows).items())

    def saying(self, text: str) -> Fact | None:
        """The fact in these words that stands at present, the oldest where there are several."""
        from memory.grounding import same

        where = f"{PRESENT} AND seq IN (SELECT rowid FROM facts_fts WHERE facts_fts MATCH ?)"
        return next((fact for fact in self._facts(where, [_query(text)]) if same(fact.text) == same(text)), None)

    def heard(self, fact_ids: Sequence[str]) -> dict[str, int]:
        """How often each of the facts was heard: once, and once more for each that says the same."""
        sql = """SELECT same_as, count(*) FROM facts WHERE same_as IN (SELECT value FROM json_each(?))
                 AND status <> 'rejected' GROUP BY same_as"""
        more = {row[0]: int(row[1]) for row in self._store.rows(sql, [json.dumps(list(fact_ids))])}
        return {one: 1 + more.get(one, 0) for one in fact_ids}

    def history(self, fact_id: str = "") -> list[Change]:
        """What was done to a fact, the oldest first; without an id what was done to any."""
        where, values = ("WHERE fact = ? OR other = ?", [fact_id, fact_id]) if fact_id else ("", [])
        return [_change(row) for row in self._store.rows(f"SELECT * FROM changes {where} ORDER BY seq", values)]

    def chain(self, fact: Fact) -> list[Fact]:
        """The facts that a fact is tied to, the oldest first: what took its place or whose it took, and the same."""
        known, fresh = {fact.id}, {fact.id}
        while fresh:
            named = json.dumps(sorted(fresh))
            sql = """SELECT id, retired_by, same_as FROM facts WHERE id IN (SELECT value FROM json_each(:named))
                     OR retired_by IN (SELECT value FROM json_each(:named))
                     OR same_as IN (SELECT value FROM json_each(:named))"""
            met = {one for row in self._store.connection.execute(sql, {"named": named}) for one in row if one}
            fresh = met - known
            known |= fresh
        return self._facts("id IN (SELECT value FROM json_each(?))", [json.dumps(sorted(known - {fact.id}))])

    # ------------------------------------------------------------------ deeds

    @contextlib.contextmanager
    def deed(self) -> Iterator[int]:
        """All that is done inside is one deed, in one transaction; gives its number."""
        if self._deed:
            yield self._deed
            return
        with self._store.writing():
            self._deed = 1 + self._store.number("SELECT max(deed) FROM changes")
            try:
                yield self._deed
            finally:
                self._deed = 0

    def accept(self, fact_ids: Sequence[str], who: str = OWNER) -> int:
        """Let facts stand: they are shown to models from now on, those from outside, too. Gives the deed's number."""
        with self.deed() as number:
            for one in fact_ids:
                self._set(one, who, "accepted", status="kept", handled=1)
        return number

    def reject(self, fact_ids: Sequence[str], who: str = OWNER) -> int:
        """Take facts for wrong: they are found no more, and what they had taken the place of holds again."""
        with self.deed() as number:
            for one in fact_ids:
                self._set(one, who, "rejected", status="rejected", handled=1, pinned=0)
                for old in self._facts("retired_by = ? AND status <> 'rejected'", [one]):
                    self._set(old.id, who, "given back", one, retired_by=None, until=None)
        return number

    def edit(
        self, fact: Fact, text: str, kind: FactKind | None = None, valid_from: datetime | None = None, tokens: int = 0
    ) -> Fact:
        """Put a new wording of its owner's in a fact's place; gives the new fact. `tokens` are those of `text`.

        It rests on the same messages. What was tied to the old one is tied to it.
        """
        from memory.extract import fact_id

        at = self._clock()
        edited = replace(
            fact,
            id=fact_id(fact.session_id, text, [*fact.message_ids, str(to_text(at))]),
            text=text,
            kind=kind or fact.kind,
            valid_from=valid_from,
            origin=USER,
            status="kept",
            handled=True,
            tokens=tokens,
            retired_by=None,
            until=None,
            same_as=None,
        )
        with self.deed():
            self.add([edited], OWNER, "made", fact.id)
            self._set(fact.id, OWNER, "edited", edited.id, status="rejected", retired_by=edited.id, handled=1, pinned=0)
            for column in ("retired_by", "same_as"):
                for one in self._facts(f"{column} = ? AND id <> ?", [fact.id, fact.id]):
                    self._set(one.id, OWNER, "tied anew", edited.id, **{column: edited.id})
        return edited

    def pin(self, fact_id: str) -> None:
        """Let a fact be in every prompt. To pin is to accept."""
        with self.deed():
            self._set(fact_id, OWNER, "pinned", pinned=1, handled=1, status="kept")

    def unpin(self, fact_id: str) -> None:
        """Let a fact be in prompts only where it is recalled."""
        with self.deed():
            self._set(fact_id, OWNER, "unpinned", pinned=0)

    def retire(self, old: str, new: str, until: datetime | None, who: str) -> None:
        """Say that the fact `new` took the place of `old`, which held until then. Both are ids.

        Raises BadInput where `new` was itself, at one or more removes, replaced by `old`.
        """
        self._no_circle(old, new, "retired_by")
        with self.deed():
            self._set(old, who, "retired", new, retired_by=new, until=to_text(until))

    def join(self, duplicate: str, standing: str, who: str) -> None:
        """Say that `duplicate` says the same as `standing`, which stands for both from now on. Both are ids."""
        self._no_circle(duplicate, standing, "same_as")
        with self.deed():
            self._set(duplicate, who, "joined", standing, same_as=standing)
            for one in self._facts("same_as = ?", [duplicate]):  # what it stood for
                self._set(one.id, who, "joined", standing, same_as=standing)

    def restore(self, fact_id: str) -> None:
        """Let a fact that was rejected, retired or joined stand again by itself."""
        with self.deed():
            self._set(
                fact_id, OWNER, "restored", status="kept", handled=1, retired_by=None, until=None, same_as=None
            )  # fmt: skip

    def add(self, facts: Sequence[Fact], who: str, act: str = "noted", other: str = "") -> None:
        """Write new facts of sessions that are there, with a row for each that was new."""
        with self.deed(), self._store.writing():
            there = {fact.id for fact in facts if self.seq(fact.id)}
            self._store.insert_facts(facts)
            for fact in facts:
                if fact.id not in there:
                    self._write(who, act, fact.id, other, {})

    def noted(self, facts: Sequence[Fact], who: str, act: str = "noted") -> None:
        """Write down who noted facts that are written already."""
        with self.deed():
            for fact in facts:
                self._write(who, act, fact.id, "", {})

    def _no_circle(self, old: str, new: str, column: str) -> None:
        """Raises BadInput where `old` would stand in its own place."""
        met = new
        seen = set[str]()
        while met and met not in seen:
            if met == old:
                raise BadInput(f"{old} would take its own place.", "See `assistant memory history`.")
            seen.add(met)
            rows = self._store.rows(f"SELECT {column} FROM facts WHERE id = ?", [met])
            met = rows[0][0] if rows else ""

    def _set(self, fact_id: str, who: str, act: str, other: str = "", **columns: Any) -> None:
        """Change columns of a fact, and write down what they held."""
        rows = self._store.rows(f"SELECT {', '.join(columns)} FROM facts WHERE id = ?", [fact_id])
        if not rows:
            raise NothingFound(f"There is no fact {fact_id!r}.", "See `assistant memory list --all`.")
        before = {name: rows[0][name] for name in columns if rows[0][name] != columns[name]}
        self._put(fact_id, columns)
        self._write(who, act, fact_id, other, before)

    def _put(self, fact_id: str, columns: Mapping[str, Any]) -> None:
        if columns:
            names = ", ".join(f"{name} = ?" for name in columns)
            with self._store.writing() as db:
                db.execute(f"UPDATE facts SET {names} WHERE id = ?", [*columns.values(), fact_id])

    def _write(self, who: str, act: str, fact_id: str, other: str, before: Mapping[str, Any]) -> None:
        row = {
            "deed": self._deed,
            "at": to_text(self._clock()),
            "who": who,
            "act": act,
            "fact": fact_id,
            "other": other,
            "before": json.dumps(before),
        }
        with self._store.writing() as db:
            db.table("changes").insert(row)

    # ------------------------------------------------------------------ undo

    def last_deeds(self, number: int = 1) -> list[int]:
        """The last deeds of the owner's that stand, the newest first."""
        sql = "SELECT DISTINCT deed FROM changes WHERE who = ? AND undone_at IS NULL ORDER BY deed DESC LIMIT ?"
        return [row[0] for row in self._store.rows(sql, [OWNER, number])]

    def undo(self, deeds: Sequence[int]) -> list[Change]:
        """Take back exactly what the deeds did, the newest first; gives their rows.

        Raises BadInput, and changes nothing, where a later deed on one of their facts stands; NothingFound for no deed.
        """
        with self._store.writing():
            return [change for deed in sorted(set(deeds), reverse=True) for change in self._undo(deed)]

    def _undo(self, deed: int) -> list[Change]:
        found = self._store.rows("SELECT * FROM changes WHERE deed = ? AND undone_at IS NULL ORDER BY seq DESC", [deed])
        changes = [_change(row) for row in found]
        if not changes:
            raise NothingFound(f"There is no deed {deed} to undo.", "See `assistant memory history`.")
        self._nothing_later(deed)
        if any(change.act == "noted" for change in changes):
            raise BadInput(f"Deed {deed} are the notes on a session.", "Say: assistant memory reject ID...")
        for change in changes:
            self._take_back(change)
        with self._store.writing() as db:
            db.execute("UPDATE changes SET undone_at = ? WHERE deed = ?", [to_text(self._clock()), deed])
        return changes

    def _nothing_later(self, deed: int) -> None:
        sql = """SELECT DISTINCT deed FROM changes WHERE deed > ? AND undone_at IS NULL
                   AND (fact IN (SELECT fact FROM changes WHERE deed = ?)
                     OR other IN (SELECT fact FROM changes WHERE deed = ?)) ORDER BY deed DESC"""
        if later := self._store.rows(sql, [deed, deed, deed]):
            named = ", ".join(str(row[0]) for row in later[:NAMED_AT_ONCE])
            raise BadInput(f"Deed {deed} cannot be undone: later ones stand on it, {named}.", "Undo them first.")

    def _take_back(self, change: Change) -> None:
        if change.act not in MADE:
            self._put(change.fact, change.before)
            return
        fact = next(iter(self._facts("id = ?", [change.fact])), None)
        if fact and change.act == "remembered":
            self._unremember(fact)
        elif fact:
            self._store.remove_fact(fact)

    def _unremember(self, fact: Fact) -> None:
        """What was noted by hand goes with its session; of a conversation it is rejected, or its notes had it again."""
        from memory.export import by_hand

        session_id = fact.session_id
        summary, facts = self._store.summary(session_id), self._store.facts_of(session_id)
        transcript = self._store.transcript(session_id)
        whole = [one.content for one in transcript] == [fact.text]
        if whole and len(facts) == 1 and by_hand(transcript, summary, facts):
            self._store.remove_fact(fact)
            with self._store.writing() as db:
                db.execute("DELETE FROM sessions WHERE id = ?", [session_id])
        else:
            self._put(fact.id, {"status": "rejected", "handled": 1, "retired_by": None, "same_as": None})


def _conditions(which: Listing) -> tuple[str, list[Any]]:
    """Which rows are listed, as SQL with its values."""
    if which.retired:
        shown = "(retired_by IS NOT NULL OR same_as IS NOT NULL OR status = 'rejected')"
    elif which.review or which.outside:
        shown = f"({WAITS})" if which.review else f"({OUTSIDE}) AND status <> 'rejected'"
    else:
        shown = "status <> 'rejected' AND retired_by IS NULL AND same_as IS NULL"
    bounds: list[tuple[str, list[Any]]] = [
        ("kind = ?", [which.kind] if which.kind else []),
        ("session_id = ?", [which.session_id] if which.session_id else []),
        ("pinned", [True] if which.pinned else []),
        ("seq IN (SELECT rowid FROM facts_fts WHERE facts_fts MATCH ?)", [_query(which.words)] if which.words else []),
    ]
    used = [(sql, values) for sql, values in bounds if values]
    asked = [value for sql, values in used if "?" in sql for value in values]
    return " AND ".join([shown, *(sql for sql, _ in used)]), asked


def _query(text: str) -> str:
    """A full-text query for all words of a text."""
    from memory import forms, words

    found = words.terms(text) or list(dict.fromkeys(forms.words(text)))
    return " AND ".join(map(words.phrase, found[: words.MAX_TERMS])) or '""'


def _change(row: Any) -> Change:
    return Change(
        row["deed"],
        from_text(row["at"]),
        row["who"],
        row["act"],
        row["fact"],
        row["other"],
        json.loads(row["before"]),
        or_none(row["undone_at"]),
    )
