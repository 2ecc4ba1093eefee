"""What waits for its owner's yes: calls of tools and plans of turns that were paused, until their turn is past them."""

import os
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Literal

from memory.rows import from_text, or_none, to_text
from memory.session import clean
from memory.store import Store

Kind = Literal["call", "plan"]
Said = Literal["approved", "denied"]


@dataclass(frozen=True, slots=True)
class Pending:
    """Something that waits, and what was said to it. Exactly what is `shown` is approved.

    `turn` is the user message's `seq`, `why` the rule by which it waits: empty for a call that asks nothing and waits
    with others of its step. `note` is what the owner said with the decision. From `begun_at` on it may have run.
    """

    id: str
    session_id: str
    turn: int
    kind: Kind
    shown: str
    why: str
    at: datetime
    call_id: str = ""
    name: str = ""
    decision: Said | None = None
    decided_at: datetime | None = None
    note: str = ""
    begun_at: datetime | None = None

    @property
    def waits(self) -> bool:
        """Whether its owner has something to say to it."""
        return bool(self.why) and self.decision is None


def new_pending_id() -> str:
    """An id for a person to type; it means nothing."""
    return os.urandom(4).hex()


class PendingRows:
    """The rows of what waits. Raises StoreError for whatever SQLite refuses."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def all(self) -> list[Pending]:
        """All that there is, the oldest first."""
        return self._select("1")

    def of_session(self, session_id: str) -> list[Pending]:
        """What a session waits for, in order; nothing where it does not wait."""
        return self._select("session_id = ?", session_id)

    def matching(self, prefix: str) -> list[Pending]:
        """What has an id that begins so, and asks something."""
        return self._select("why <> '' AND substr(id, 1, ?) = ?", len(prefix), prefix)

    def _select(self, where: str, *values: object) -> list[Pending]:
        rows = self._store.rows(f"SELECT * FROM pending WHERE {where} ORDER BY rowid", values)
        return [_as_pending(dict(row)) for row in rows]

    def wait(self, session_id: str, pending: Sequence[Pending]) -> None:
        """Let a session wait for these, and for nothing else."""
        with self._store.writing() as db:
            db.execute("DELETE FROM pending WHERE session_id = ?", [session_id])
            db.table("pending").insert_all([_as_row(one) for one in pending])

    def decide(self, ids: Iterable[str], decision: Said, at: datetime, note: str = "") -> int:
        """Write down what the owner said; returns how many it still could be said to: none that has begun."""
        sql = "UPDATE pending SET decision = ?, decided_at = ?, note = ? WHERE id = ? AND begun_at IS NULL"
        with self._store.writing() as db:
            return sum(db.execute(sql, [decision, to_text(at), clean(note), one]).rowcount for one in ids)

    def begin(self, pending: Sequence[Pending], at: datetime) -> bool:
        """Mark what is about to run; False, and nothing is marked, where anything was said to it meanwhile."""
        sql = "UPDATE pending SET begun_at = coalesce(begun_at, ?) WHERE id = ?"
        with self._store.writing() as db:
            held = {one.id: one.decision for one in self.of_session(pending[0].session_id)} if pending else {}
            if any(held.get(one.id, "gone") != one.decision for one in pending):
                return False
            db.conn.executemany(sql, [(to_text(at), one.id) for one in pending])
        return True

    def past(self, session_id: str) -> None:
        """The session waits for nothing any more."""
        with self._store.writing() as db:
            db.execute("DELETE FROM pending WHERE session_id = ?", [session_id])


def _as_pending(row: dict[str, Any]) -> Pending:
    times = {"decided_at": or_none(row["decided_at"]), "begun_at": or_none(row["begun_at"])}
    return Pending(**row | {"at": from_text(row["at"])} | times)


def _as_row(pending: Pending) -> dict[str, Any]:
    times = {name: to_text(getattr(pending, name)) for name in ("at", "decided_at", "begun_at")}
    return asdict(pending) | times
