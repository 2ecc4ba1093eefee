"""Plans as the store keeps them: one for a turn that was begun with one, to be gone on with after a restart."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from memory.rows import from_text, to_text
from memory.store import Store

PlanState = Literal["proposed", "working", "done", "stopped", "refused"]
UNFINISHED = ("proposed", "working", "stopped")


@dataclass(frozen=True, slots=True)
class PlanRow:
    """A plan. `turn` is the user message's `seq`; `steps` is JSON, see assistant/plans.py; `replanned`: how often."""

    turn: int
    session_id: str
    at: datetime
    state: PlanState
    steps: str
    replanned: int = 0

    @property
    def id(self) -> str:
        """What a person types for it."""
        return f"p{self.turn}"


class PlanRows:
    """The rows of plans. Raises StoreError for whatever SQLite refuses."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def put(self, plan: PlanRow) -> None:
        """Write a plan as it is now."""
        row = {name: getattr(plan, name) for name in ("turn", "session_id", "state", "steps", "replanned")}
        with self._store.writing() as db:
            db.table("plans").upsert(row | {"at": to_text(plan.at)}, pk="turn")

    def of_turn(self, turn: int) -> PlanRow | None:
        """The plan of a turn, or None."""
        return next(iter(self._select("turn = ?", turn)), None)

    def of_session(self, session_id: str) -> PlanRow | None:
        """The newest plan of a session, or None."""
        return next(iter(self._select("session_id = ?", session_id)), None)

    def unfinished(self) -> list[PlanRow]:
        """Plans that wait for their owner's yes, or have steps left; the newest first."""
        return self._select(f"state IN ({', '.join('?' * len(UNFINISHED))})", *UNFINISHED)

    def _select(self, where: str, *values: Any) -> list[PlanRow]:
        rows = self._store.rows(f"SELECT * FROM plans WHERE {where} ORDER BY turn DESC", values)
        return [PlanRow(**dict(row) | {"at": from_text(row["at"])}) for row in rows]
