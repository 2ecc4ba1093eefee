"""Which facts there are: found by their ids, listed, counted, and what was done to them.

A fact stands where it is held for true at present, or waits for its owner's review.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from memory.errors import BadInput, NothingFound
from memory.foreign import TOOL
from memory.records import Fact
from memory.rows import from_text, or_none
from memory.store import Store

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


class FactReader:
    """The facts of one store, as they are read. Raises StoreError."""

    def __init__(self, store: Store) -> None:
        self._store = store

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
        return [as_change(row) for row in self._store.rows("SELECT * FROM changes WHERE deed = ? ORDER BY seq", [deed])]

    def _facts(self, where: str, values: Sequence[Any] = ()) -> list[Fact]:
        """Facts in the order in which they came in."""
        seqs = [row[0] for row in self._store.rows(f"SELECT seq FROM facts WHERE {where}", values)]
        return [fact for _, fact in sorted(self._store.facts(seqs).items())]

    def exactly(self, fact_id: str) -> Fact:
        """The fact of this very id, as it is now. Raises NothingFound."""
        for fact in self._facts("id = ?", [fact_id]):
            return fact
        raise NothingFound(f"There is no fact {fact_id!r}.", "See `assistant memory list --all`.")

    def must_stand(self, fact_id: str) -> Fact:
        """The fact as it is now. Raises BadInput where it was rejected or another stands in its place."""
        fact = self.exactly(fact_id)
        back = f"Bring it back: assistant memory restore {fact.id}"
        if fact.same_as:
            raise BadInput(f"{fact.id} says the same as {fact.same_as}, which stands for both.", "Name that one.")
        if fact.retired_by and fact.status == "rejected":
            raise BadInput(f"{fact.id} was changed; it is {fact.retired_by} now.", "Name that one.")
        if fact.retired_by:
            raise BadInput(f"{fact.id} was replaced by {fact.retired_by}.", f"Name that one. {back}")
        if fact.status == "rejected":
            raise BadInput(f"{fact.id} was rejected.", back)
        return fact

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

    def of_session(self, session_id: str) -> list[Fact]:
        """The facts of a session but those that were rejected, in the order in which they were noted."""
        return self._facts("session_id = ? AND status <> 'rejected'", [session_id])

    def waits(self, fact_id: str) -> bool:
        """Whether a fact waits for its owner."""
        return self._store.number(f"SELECT count(*) FROM facts WHERE id = ? AND {WAITS}", [fact_id]) > 0

    def count_waiting(self, session_id: str = "") -> int:
        """How many facts are in review; those of one session, if one is named."""
        where = f"status = 'review' AND {WAITS}" + (" AND session_id = ?" if session_id else "")
        return self._store.number(f"SELECT count(*) FROM facts WHERE {where}", [session_id] if session_id else [])

    def count_outside(self, session_id: str) -> int:
        """How many facts of a session are quarantined, since they rest on words of tools."""
        sql = f"SELECT count(*) FROM facts WHERE session_id = ? AND status = 'kept' AND {OUTSIDE} AND {WAITS}"
        return self._store.number(sql, [session_id])

    def replaced_by(self, session_id: str) -> list[Fact]:
        """What the facts of a session took the place of."""
        return self._facts(
            "retired_by IN (SELECT id FROM facts WHERE session_id = ?) AND status = 'kept'", [session_id]
        )

    def pinned(self) -> list[tuple[int, Fact]]:
        """What its owner pinned and holds at present, with the row numbers, in the order in which it came in."""
        rows = self._store.rows(f"SELECT seq FROM facts WHERE pinned AND {PRESENT} AND NOT ({OUTSIDE})")
        return sorted(self._store.facts(row[0] for row in rows).items())

    def saying(self, text: str, but: str = "") -> Fact | None:
        """The fact in these words that holds at present, the oldest where there are several; `but` is none of them."""
        from memory.grounding import same

        where = f"{PRESENT} AND id <> ? AND seq IN (SELECT rowid FROM facts_fts WHERE facts_fts MATCH ?)"
        return next((fact for fact in self._facts(where, [but, _query(text)]) if same(fact.text) == same(text)), None)

    def heard(self, fact_ids: Sequence[str]) -> dict[str, int]:
        """How often each of the facts was heard: once, and once more for each that says the same."""
        sql = """SELECT same_as, count(*) FROM facts WHERE same_as IN (SELECT value FROM json_each(?))
                 AND status <> 'rejected' GROUP BY same_as"""
        more = {row[0]: int(row[1]) for row in self._store.rows(sql, [json.dumps(list(fact_ids))])}
        return {one: 1 + more.get(one, 0) for one in fact_ids}

    def history(self, fact_id: str = "") -> list[Change]:
        """What was done to a fact, the oldest first; without an id what was done to any."""
        where, values = ("WHERE fact = ? OR other = ?", [fact_id, fact_id]) if fact_id else ("", [])
        return [as_change(row) for row in self._store.rows(f"SELECT * FROM changes {where} ORDER BY seq", values)]

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


def as_change(row: Any) -> Change:
    """A row of `changes`."""
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
