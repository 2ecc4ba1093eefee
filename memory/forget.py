"""Carries out a forgetting, in steps that survive a kill, and proves it: begun -> deleted -> done.

begun     the plan is written down; nothing is gone yet
deleted   the rows are gone, in one transaction with their tombstones
done      notes are written again, vectors, lines and backups are gone, no page holds the words, all files were scanned
"""

import contextlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from memory import answering, backup, cascade, linefiles, needles, proof
from memory.cascade import Cascade
from memory.deletion import DERIVED, OWN, PROGRAM, delete, holding, search_rows
from memory.errors import Failure
from memory.files import locked
from memory.needles import Key, Looked, Needle
from memory.rows import to_text
from memory.session import lock_path, unheld
from memory.tombstones import Grave, Tombstones

if TYPE_CHECKING:
    from memory.index import Index
    from memory.manager import MemoryManager

TOLD = 50  # other places that are named in a receipt
BACKUPS = "backups"  # what `went` calls them: one of now is in their place
OUT_OF_REACH = (
    "what was sent to the model's endpoint, and its logs",
    "what a terminal still shows, and its scrollback",
    "backups of this machine, snapshots and spare blocks of its disk",
)

WriteNotes = Callable[[str], object]  # a session's id: its notes are to be written again
Say = Callable[[str], None]  # what is being done


class Refused(Failure):
    """It cannot be forgotten now; nothing was changed."""

    exit_code = 4


@dataclass(slots=True)
class Receipt:
    """What a forgetting did. `went` counts by place; `found` are [path, offset] where words still stand on the disk.

    `also` names rows that stay and hold the same words. `owed` says why it is not done yet (empty: it is).
    """

    number: int = 0
    at: str = ""
    went: dict[str, int] = field(default_factory=dict)
    noted: int = 0
    files: int = 0
    bytes: int = 0
    texts: int = 0
    short: int = 0
    left_out: int = 0
    found: list[tuple[str, int]] = field(default_factory=list)
    also: list[str] = field(default_factory=list)
    unread: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    out_of_reach: list[str] = field(default_factory=list)
    compacted: bool = False
    owed: str = ""


class Forgetting:
    """Forgets for one home. `note` writes a session's notes again; without, they are extracted."""

    def __init__(self, memory: "MemoryManager", note: WriteNotes | None = None, say: Say = lambda _line: None) -> None:
        self._memory, self._store, self._note, self._say = memory, memory.store, note or memory.extract, say

    def owed(self) -> list[int]:
        """The numbers of the deeds that are not done."""
        return [row[0] for row in self._store.rows("SELECT seq FROM forgets WHERE state <> 'done' ORDER BY seq")]

    def receipts(self) -> list[tuple[str, Receipt]]:
        """All deeds, each with its state, the newest first."""
        rows = self._store.rows("SELECT * FROM forgets ORDER BY seq DESC")
        return [(row["state"], self._receipt(row)) for row in rows]

    def preview(self, plan: Cascade) -> dict[str, int]:
        """What would go, counted by place as in a receipt: all is deleted, counted and taken back."""
        key, looked = self._needles(plan)
        with contextlib.suppress(_Undone), self._store.writing():
            searcher = proof.Searcher(key, looked.needles)
            went = delete(self._store, plan, holding(self._store, searcher, DERIVED))
            _, elsewhere = self._also(plan, searcher)
            raise _Undone
        searcher = proof.Searcher(key, [one for one in looked.needles if one.digest not in elsewhere])
        for name, lines in self._held_lines(plan, searcher).items():
            went[name] = linefiles.count(self._memory.home / name, lines)
        went[BACKUPS] = len(backup.listed(self._memory.home))
        return dict(+went)

    def carry_out(self, plan: Cascade) -> Receipt:
        """Forget. Raises Refused where a conversation that goes on is touched, or another process is forgetting."""
        with self._alone(plan):
            key, looked = self._needles(plan)
            at = to_text(self._memory.now()) or ""
            receipt = Receipt(at=at, texts=looked.texts, short=looked.short, left_out=looked.left_out)
            rows = self._store.rows("SELECT kind, path FROM carried ORDER BY seq")
            carried = [f"the {row['kind']} {row['path']}" for row in rows]
            receipt.out_of_reach = [*carried, *self._still_shown(plan), *OUT_OF_REACH]
            with self._store.writing() as db:
                row = {"at": at, "state": "begun", "plan": cascade.to_json(plan)}
                row |= {"needles": needles.to_json(key, looked.needles), "receipt": json.dumps(asdict(receipt))}
                seq = db.table("forgets").insert(row).last_rowid
            return self._go_on(int(seq or 0))

    def finish(self) -> list[Receipt]:
        """Go on with what is owed, unless another process is at it."""
        with locked(self._memory.locks / "forget.lock", wait_s=0) as mine:
            return [self._finish(seq) for seq in self.owed()] if mine else []

    def _finish(self, seq: int) -> Receipt:
        """Go on with a deed; one that was only begun waits for the end of the conversations that it touches."""
        row = self._store.rows("SELECT * FROM forgets WHERE seq = ?", [seq])[0]
        plan = cascade.from_json(row["plan"])
        with contextlib.ExitStack() as held:
            live = [one for one in [*plan.sessions, *plan.touched] if self._live(one, held)]
            if not live or row["state"] != "begun":
                return self._go_on(seq)
            receipt = self._receipt(row)
            receipt.owed = f"{live[0]} is still going on"
            return receipt

    def _needles(self, plan: Cascade) -> tuple[Key, Looked]:
        key = Key.new()
        return key, needles.of_texts(cascade.texts_of(self._store, plan), key)

    @contextlib.contextmanager
    def _alone(self, plan: Cascade) -> Iterator[None]:
        with contextlib.ExitStack() as held:
            if not held.enter_context(locked(self._memory.locks / "forget.lock", wait_s=0)):
                raise Refused("Another process is forgetting.", "Try again when it has ended.")
            for session in [*plan.sessions, *plan.touched]:
                if self._live(session, held):
                    raise Refused(f"{session} is still going on.", "End that conversation first, with Ctrl-D or /quit.")
            yield

    def _live(self, session: str, held: contextlib.ExitStack) -> bool:
        """Whether a process is at a session; else none will be until `held` is let go."""
        there = lock_path(self._memory.locks, session).exists()
        return there and not held.enter_context(unheld(self._memory.locks, session))

    def _still_shown(self, plan: Cascade) -> list[str]:
        """The conversations that go on and were shown some of what goes: it stays in their windows."""
        sql = """SELECT DISTINCT session_id FROM recalls JOIN candidates ON candidates.turn = recalls.turn
                 JOIN sessions ON sessions.id = session_id
                 WHERE state = 'open' AND tokens > 0 AND unit IN (SELECT value FROM json_each(?)) ORDER BY session_id"""
        units = [*(f"m{seq}" for seq in plan.messages), *(f"f{seq}" for seq in plan.facts)]
        summaries = "SELECT seq FROM summaries WHERE session_id IN (SELECT value FROM json_each(?))"
        sessions = json.dumps([*plan.sessions, *plan.touched])
        units += [f"s{row[0]}" for row in self._store.rows(summaries, [sessions])]
        with contextlib.ExitStack() as held:
            shown = [row[0] for row in self._store.rows(sql, [json.dumps(units)]) if self._live(row[0], held)]
        return [f"what {one}, which goes on, was shown of it: end that" for one in shown]

    def _go_on(self, seq: int) -> Receipt:
        row = self._store.rows("SELECT * FROM forgets WHERE seq = ?", [seq])[0]
        receipt, plan = self._receipt(row), cascade.from_json(row["plan"])
        key, wanted = needles.from_json(row["needles"])
        if row["state"] == "begun":
            self._say("deleting")
            self._delete(seq, plan, key, wanted, receipt)
        receipt.owed = ""
        self._note_again(plan, receipt)
        self._vectors(plan, seq, receipt)
        self._say("taking free pages off the disk")
        clean = self._store.purge()
        receipt.also, elsewhere = self._also(plan, proof.Searcher(key, wanted))
        looked_for = [one for one in wanted if one.digest not in elsewhere]
        self._lines(plan, key, looked_for, receipt)
        self._backups(plan, receipt)
        self._say("looking through every file")
        self._scan(key, looked_for, receipt)
        if not clean:
            receipt.owed = receipt.owed or "another process still reads the old pages"
        self._close(seq, receipt)
        return receipt

    def _receipt(self, row: Any) -> Receipt:
        return Receipt(**json.loads(row["receipt"]) | {"number": row["seq"]})

    def _keep(self, seq: int, receipt: Receipt) -> None:
        with self._store.writing() as db:
            db.execute("UPDATE forgets SET receipt = ? WHERE seq = ?", [json.dumps(asdict(receipt)), seq])

    def _delete(self, seq: int, plan: Cascade, key: Key, wanted: Sequence[Needle], receipt: Receipt) -> None:
        with self._store.writing() as db:
            grave = Grave(
                plan.sessions,
                tuple(cascade.messages_of(self._store, plan)),
                tuple(cascade.facts_of(self._store, plan)),
            )
            Tombstones(self._store).bury(grave, self._memory.now())
            receipt.went = dict(delete(self._store, plan, holding(self._store, proof.Searcher(key, wanted), DERIVED)))
            db.execute("UPDATE forgets SET state = 'deleted' WHERE seq = ?", [seq])
            self._keep(seq, receipt)

    def _note_again(self, plan: Cascade, receipt: Receipt) -> None:
        for session in plan.noted:
            if self._store.session(session) and not self._store.summary(session):
                self._say(f"notes on {session}")
                try:
                    self._note(session)
                except Failure:
                    self._memory.extract(session)
                receipt.noted += 1

    def _vectors(self, plan: Cascade, seq: int, receipt: Receipt) -> None:
        """Take the vectors out of the index, and their bytes out of its files."""
        if receipt.compacted:
            return
        try:
            memory = self._memory
            for index in answering.on_disk(self._store, lambda: memory.index, memory.older_index):
                self._without_vectors(plan, index)
        except Failure as error:
            receipt.owed = f"the index: {error.message}"
            return
        receipt.compacted = True
        self._keep(seq, receipt)

    def _without_vectors(self, plan: Cascade, index: "Index") -> None:
        from memory.sync import rebuild, reconcile, remove_orphans

        self._say("vectors")
        if plan.everything:
            rebuild(self._store, index)
        else:
            reconcile(self._store, index)  # what a killed writer has put in and not written down goes, too
            remove_orphans(self._store, index)
            index.erase_deleted(lambda done, total: self._say(f"vectors: {done:,} of {total:,} written anew"))
        known = [name for (name,) in self._store.rows("SELECT name FROM collections")]
        with index.writing():
            index.delete_others(but=known)
        self._store.note_vectors(index.collection)

    def _also(self, plan: Cascade, searcher: proof.Searcher) -> tuple[list[str], set[str]]:
        """Where the same words stand in rows that stay, and the digests of those."""
        found, digests = list[str](), set[str]()
        for table, column in PROGRAM.items():
            digests |= {told for _, told in search_rows(self._store, searcher, table, "rowid", (column,))}
        for table, (noun, key, columns) in () if plan.everything else OWN.items():
            for row, told in search_rows(self._store, searcher, table, key, columns):
                digests.add(told)
                name = f"{noun} {row}"
                found += [name] if name not in found and len(found) < TOLD else []
        return found, digests

    def _held_lines(self, plan: Cascade, searcher: proof.Searcher) -> dict[str, list[int] | None]:
        """Of each file of lines the bytes where words stand that go; None: all of it goes."""
        paths = [path for path in (self._memory.home / name for name in linefiles.NAMES) if path.is_file()]
        if plan.everything:
            return {path.name: None for path in paths}
        return {path.name: [offset for offset, _ in searcher(path.read_bytes())] for path in paths}

    def _lines(self, plan: Cascade, key: Key, wanted: Sequence[Needle], receipt: Receipt) -> None:
        for name, offsets in self._held_lines(plan, proof.Searcher(key, wanted)).items():
            if gone := linefiles.cut(self._memory.home / name, offsets):
                receipt.went[name] = receipt.went.get(name, 0) + gone

    def _backups(self, plan: Cascade, receipt: Receipt) -> None:
        """Put one backup of now in the place of those that may hold what goes: all that were made before it."""
        old = [] if BACKUPS in receipt.went else backup.listed(self._memory.home)
        if not old:
            return
        self._say("backups")
        if not plan.everything:
            backup.make(self._store, self._memory.home, self._memory.now())
        for path in old:
            path.unlink(missing_ok=True)
        receipt.went[BACKUPS] = len(old)

    def _scan(self, key: Key, wanted: Sequence[Needle], receipt: Receipt) -> None:
        done = proof.scan(self._memory.home, key, wanted)
        receipt.files, receipt.bytes = done.files, done.bytes
        receipt.found = sorted({(one.path, one.offset) for one in done.found})[:TOLD]
        receipt.unread, receipt.skipped = list(done.unread), list(done.skipped)

    def _close(self, seq: int, receipt: Receipt) -> None:
        with self._store.writing() as db:
            self._keep(seq, receipt)
            if not receipt.owed:
                db.execute("UPDATE forgets SET state = 'done', plan = '{}', needles = '[]' WHERE seq = ?", [seq])
        if not receipt.owed:
            self._store.truncate_log()  # the digests and the plan go from the disk, too


class _Undone(Exception):
    """Takes back a deletion that was only to be counted."""
