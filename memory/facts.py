"""What is done to facts after they were noted: accepted, edited, retired, pinned; each deed with its rows, and undone.

A fact's text never changes: an edit is a new fact. A row of `changes` holds no words, only the ids and what the changed
columns held before, so that undoing a deed puts back exactly that. What was done at once is one deed.
"""

import contextlib
import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from memory.errors import BadInput, NothingFound
from memory.listing import NAMED_AT_ONCE, Change, FactReader, as_change
from memory.records import USER, Fact, FactKind
from memory.rows import to_text
from memory.session import Clock, now
from memory.store import Store

OWNER, RULES = "owner", "rules"  # who does deeds, besides a model by its name
MADE = ("noted", "remembered", "made")  # acts by which a fact came in: undone, it goes again


class FactRows(FactReader):
    """The facts of one store, as their owner, the rules and models change them. Raises StoreError."""

    def __init__(self, store: Store, clock: Clock = now) -> None:
        super().__init__(store)
        self._clock = clock
        self._deed = 0

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
            for fact in map(self.exactly, fact_ids):
                if fact.retired_by or fact.same_as:
                    self.must_stand(fact.id)
                self._set(fact.id, who, "accepted", status="kept", handled=1)
        return number

    def reject(self, fact_ids: Sequence[str], who: str = OWNER) -> int:
        """Take facts for wrong: they are found no more, and what they had taken the place of holds again."""
        with self.deed() as number:
            for fact in map(self.exactly, fact_ids):
                self._set(fact.id, who, "rejected", status="rejected", handled=1, pinned=0)
                for old in self._facts("retired_by = ? AND status <> 'rejected'", [fact.id]):
                    self._set(old.id, who, "given back", fact.id, retired_by=None, until=None, pinned=int(fact.pinned))
        return number

    def edit(
        self, fact: Fact, text: str, kind: FactKind | None = None, valid_from: datetime | None = None, tokens: int = 0
    ) -> Fact:
        """Put a new wording of its owner's in a fact's place; gives the new fact. `tokens` are those of `text`.

        It rests on the same messages. What was tied to the old one is tied to it, and a title in the old words is in
        the new ones. Raises BadInput where the fact stands no more: another terminal may have changed it meanwhile.
        """
        edited = self._edited(fact, text, kind or fact.kind, valid_from, tokens)
        with self.deed():
            self.must_stand(fact.id)
            self.add([edited], OWNER, "made", fact.id)
            self._set(fact.id, OWNER, "edited", edited.id, status="rejected", retired_by=edited.id, handled=1, pinned=0)
            for column in ("retired_by", "same_as"):
                for one in self._facts(f"{column} = ? AND id <> ?", [fact.id, fact.id]):
                    self._set(one.id, OWNER, "tied anew", edited.id, **{column: edited.id})
            self._retitle(fact.session_id, fact.text, text)
        return edited

    def _edited(self, fact: Fact, text: str, kind: FactKind, valid_from: datetime | None, tokens: int) -> Fact:
        """The fact in its owner's new words."""
        from memory.extract import fact_id

        made = [*fact.message_ids, str(to_text(self._clock()))]
        return fact._replace(
            id=fact_id(fact.session_id, text, made), text=text, kind=kind, valid_from=valid_from, origin=USER,
            status="kept", handled=True, tokens=tokens, retired_by=None, until=None, same_as=None,
        )  # fmt: skip

    def _retitle(self, session_id: str, old: str, new: str) -> None:
        """Let a session's title follow a fact, where it is the fact's own words: it would say the old ones else."""
        from memory.extract import TITLE_CHARS, shortened

        session = self._store.session(session_id)
        if session and session.title == shortened(old, TITLE_CHARS):
            with self._store.writing() as db:
                title = shortened(new, TITLE_CHARS)
                db.execute("UPDATE sessions SET title = ? WHERE id = ?", [title, session_id])

    def pin(self, fact_id: str) -> None:
        """Let a fact be in every prompt. To pin is to accept. Raises BadInput for one that does not stand."""
        with self.deed():
            self.must_stand(fact_id)
            self._set(fact_id, OWNER, "pinned", pinned=1, handled=1, status="kept")

    def unpin(self, fact_id: str) -> None:
        """Let a fact be in prompts only where it is recalled."""
        with self.deed():
            self._set(fact_id, OWNER, "unpinned", pinned=0)

    def retire(self, old: str, new: str, until: datetime | None, who: str) -> None:
        """Say that the fact `new` took the place of `old`, which held until then; its pin goes on to it. Both are ids.

        Raises BadInput where `new` was itself, at one or more removes, replaced by `old`.
        """
        with self.deed():
            self._no_circle(old, new, "retired_by")
            self._set(old, who, "retired", new, retired_by=new, until=to_text(until))
            self._pass_pin(old, new, who)

    def supersede(self, old: str, new: str, until: datetime) -> None:
        """The same by the owner's hand: what takes the place is accepted with it.

        Raises BadInput where one of them does not stand.
        """
        with self.deed():
            self.must_stand(old)
            if not self.must_stand(new).handled:
                self._set(new, OWNER, "accepted", status="kept", handled=1)
            self.retire(old, new, until, OWNER)

    def _pass_pin(self, old: str, new: str, who: str) -> None:
        if self.exactly(old).pinned:
            self._set(old, who, "unpinned", new, pinned=0)
            self._set(new, who, "pinned", old, pinned=1)

    def join(self, duplicate: str, standing: str, who: str) -> None:
        """Say that `duplicate` says the same as `standing`, which stands for both from now on. Both are ids."""
        with self.deed():
            self._no_circle(duplicate, standing, "same_as")
            self._set(duplicate, who, "joined", standing, same_as=standing)
            self._pass_pin(duplicate, standing, who)
            for one in self._facts("same_as = ?", [duplicate]):  # what it stood for
                self._set(one.id, who, "joined", standing, same_as=standing)

    def restore(self, fact_id: str) -> None:
        """Let a fact that was rejected, retired or joined stand again by itself.

        Raises BadInput for one whose new wording stands: both would.
        """
        fact = self.exactly(fact_id)
        if (
            fact.status == "rejected"
            and fact.retired_by
            and self._facts("id = ? AND status <> 'rejected'", [fact.retired_by])
        ):
            raise BadInput(f"{fact.id} was changed; it is {fact.retired_by} now.", "Undo that, or edit that one.")
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
        changes = [as_change(row) for row in found]
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
            self._put(change.fact, self._still_there(change.before))
            return
        fact = next(iter(self._facts("id = ?", [change.fact])), None)
        if fact and change.act == "remembered":
            self._unremember(fact)
        elif fact:
            for old in self._facts("id = ?", [change.other]):
                self._retitle(fact.session_id, fact.text, old.text)
            self._store.remove_fact(fact)

    def _still_there(self, before: Mapping[str, Any]) -> Mapping[str, Any]:
        """What columns held, but for a fact that stood for this one and was forgotten since."""
        gone = before.get("same_as") and not self.seq(before["same_as"])
        return {**before, "same_as": None} if gone else before

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
