"""Carries out a forgetting, in steps that survive a kill, and proves it: begun -> deleted -> done.

begun     the plan is written down; nothing is gone yet
deleted   the rows are gone, in one transaction with their tombstones
done      notes are written again, vectors, lines and backups are gone, no page holds the words, all files were scanned
"""

import contextlib
import json
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from memory import answering, backup, cascade, linefiles, needles, proof
from memory.cascade import Cascade
from memory.errors import Failure
from memory.files import locked
from memory.needles import Key, Needle
from memory.rows import to_text
from memory.session import lock_path, unheld
from memory.store import Store
from memory.tombstones import Grave, Tombstones

if TYPE_CHECKING:
    from memory.manager import MemoryManager

# Rows that tell of others: where they hold words that go, they go whole. With each its key and its columns of text.
DERIVED = {
    "receipts": ("seq", ("request", "said", "error")),
    "calls": ("seq", ("arguments", "said")),
    "pending": ("id", ("shown", "why", "note")),
    "plans": ("turn", ("steps",)),
    "recalls": ("turn", ("note", "gate")),
    "replaced": ("unit", ("text",)),
}
# Rows that are somebody's own words, or notes on these: they stay, and are named where they hold the same.
OWN = {
    "messages": ("session_id || ' ' || id", ("content", "tool_calls")),
    "facts": ("id", ("text", "quote")),
    "summaries": ("session_id", ("title", "gist")),
    "sessions": ("id", ("title",)),
}
BATCH_BYTES = proof.CHUNK
TOLD = 50  # other places that are named in a receipt
OUT_OF_REACH = (
    "what was sent to the model's endpoint, and its logs",
    "what a terminal still shows, and its scrollback",
    "backups of this machine, snapshots and spare blocks of its disk",
)

WriteNotes = Callable[[str], object]  # a session's id: its notes are to be written again


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

    def __init__(self, memory: "MemoryManager", note: WriteNotes | None = None) -> None:
        self._memory, self._store, self._note = memory, memory.store, note or memory.extract

    def owed(self) -> list[int]:
        """The numbers of the deeds that are not done."""
        return [row[0] for row in self._store.rows("SELECT seq FROM forgets WHERE state <> 'done' ORDER BY seq")]

    def receipts(self) -> list[tuple[str, Receipt]]:
        """All deeds, each with its state, the newest first."""
        rows = self._store.rows("SELECT * FROM forgets ORDER BY seq DESC")
        return [(row["state"], self._receipt(row)) for row in rows]

    def carry_out(self, plan: Cascade) -> Receipt:
        """Forget. Raises Refused where a conversation that goes on is touched, or another process is forgetting."""
        with self._alone(plan):
            key = Key.new()
            looked = needles.of_texts(cascade.texts_of(self._store, plan), key)
            at = to_text(self._memory.now()) or ""
            receipt = Receipt(at=at, texts=looked.texts, short=looked.short, left_out=looked.left_out)
            rows = self._store.rows("SELECT kind, path FROM carried ORDER BY seq")
            receipt.out_of_reach = [*(f"{row['kind']} {row['path']}" for row in rows), *OUT_OF_REACH]
            with self._store.writing() as db:
                row = {"at": at, "state": "begun", "plan": cascade.to_json(plan)}
                row |= {"needles": needles.to_json(key, looked.needles), "receipt": json.dumps(asdict(receipt))}
                seq = db.table("forgets").insert(row).last_rowid
            return self._go_on(int(seq or 0))

    def finish(self) -> list[Receipt]:
        """Go on with what is owed, unless another process is at it."""
        with locked(self._memory.locks / "forget.lock", wait_s=0) as mine:
            return [self._go_on(seq) for seq in self.owed()] if mine else []

    @contextlib.contextmanager
    def _alone(self, plan: Cascade) -> Iterator[None]:
        with contextlib.ExitStack() as held:
            if not held.enter_context(locked(self._memory.locks / "forget.lock", wait_s=0)):
                raise Refused("Another process is forgetting.", "Try again when it has ended.")
            for session in [*plan.sessions, *plan.touched]:
                live = lock_path(self._memory.locks, session).exists()
                if live and not held.enter_context(unheld(self._memory.locks, session)):
                    raise Refused(f"{session} is still going on.", "End that conversation first, with Ctrl-D or /quit.")
            yield

    def _go_on(self, seq: int) -> Receipt:
        row = self._store.rows("SELECT * FROM forgets WHERE seq = ?", [seq])[0]
        receipt, plan = self._receipt(row), cascade.from_json(row["plan"])
        key, wanted = needles.from_json(row["needles"])
        if row["state"] == "begun":
            self._delete(seq, plan, key, wanted, receipt)
        receipt.owed = ""
        self._note_again(plan, receipt)
        self._vectors(seq, receipt)
        clean = self._store.purge()
        searcher = proof.Searcher(key, wanted)
        also, legitimate = self._also(searcher)
        receipt.also = also
        looked_for = [one for one in wanted if one.digest not in legitimate]
        self._lines(plan, key, looked_for, receipt)
        self._backups(plan, receipt)
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
            messages, facts = cascade.messages_of(self._store, plan), cascade.facts_of(self._store, plan)
            # A fact whose messages go need not be known by its words: what is said again may be noted again.
            grave = Grave(plan.sessions, tuple(messages), tuple(facts))
            Tombstones(self._store).bury(grave, self._memory.now())
            receipt.went = dict(delete(self._store, plan, holding(self._store, proof.Searcher(key, wanted), DERIVED)))
            db.execute("UPDATE forgets SET state = 'deleted' WHERE seq = ?", [seq])
            self._keep(seq, receipt)

    def _note_again(self, plan: Cascade, receipt: Receipt) -> None:
        for session in plan.noted:
            if self._store.session(session) and not self._store.summary(session):
                try:
                    self._note(session)
                except Failure:
                    self._memory.extract(session)
                receipt.noted += 1

    def _vectors(self, seq: int, receipt: Receipt) -> None:
        """Take the vectors out of the index, and their bytes out of its files."""
        if receipt.compacted or not receipt.went.get("vectors"):
            return
        from memory.sync import remove_orphans

        try:
            for index in answering.held(self._store, self._memory.index, self._memory.older_index):
                remove_orphans(self._store, index)
                index.compact()
                self._store.note_vectors(index.collection)
        except Failure as error:
            receipt.owed = f"the index: {error.message}"
            return
        receipt.compacted = True
        self._keep(seq, receipt)

    def _also(self, searcher: proof.Searcher) -> tuple[list[str], set[str]]:
        """Where the same words stand in rows that stay, and the digests of those."""
        found, digests = list[str](), set[str]()
        for table, (key, columns) in OWN.items():
            for row, told in search_rows(self._store, searcher, table, key, columns):
                digests.add(told)
                name = f"{table.removesuffix('s').replace('summarie', 'summary of')} {row}"
                found += [name] if name not in found and len(found) < TOLD else []
        return found, digests

    def _lines(self, plan: Cascade, key: Key, wanted: Sequence[Needle], receipt: Receipt) -> None:
        searcher = proof.Searcher(key, wanted)
        for name in linefiles.NAMES:
            path = self._memory.home / name
            if not path.is_file():
                continue
            if plan.everything:
                path.write_bytes(b"")
            elif offsets := [offset for offset, _ in searcher(path.read_bytes())]:
                receipt.went[name] = receipt.went.get(name, 0) + linefiles.cut(path, offsets)

    def _backups(self, plan: Cascade, receipt: Receipt) -> None:
        """Put one backup of now in the place of those that may hold what goes: all that were made before it."""
        old = [] if "backups made anew" in receipt.went else backup.listed(self._memory.home)
        if not old:
            return
        if not plan.everything:
            backup.make(self._store, self._memory.home, self._memory.now())
        for path in old:
            path.unlink(missing_ok=True)
        receipt.went["backups made anew"] = len(old)

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
            self._store.purge()  # the digests and the plan go from the disk, too


def search_rows(
    store: Store, searcher: proof.Searcher, table: str, key: str, columns: Sequence[str]
) -> Iterator[tuple[Any, str]]:
    """(key, digest) for each needle in the rows of a table, many rows at once."""
    texts = " || char(10) || ".join(f"coalesce({column}, '')" for column in columns)
    batch, starts, keys = bytearray(), list[int](), list[Any]()

    def searched() -> Iterator[tuple[Any, str]]:
        for offset, told in searcher(bytes(batch)):
            yield keys[bisect_right(starts, offset) - 1], told

    for name, text in store.rows(f"SELECT {key}, {texts} FROM {table}"):
        starts.append(len(batch))
        keys.append(name)
        batch += f"{text}\0\0\0\0\0\0\0\0".encode("utf-8", "replace")
        if len(batch) > BATCH_BYTES:
            yield from searched()
            batch, starts, keys = bytearray(), [], []
    yield from searched()


def holding(
    store: Store, searcher: proof.Searcher, tables: Mapping[str, tuple[str, Sequence[str]]]
) -> list[tuple[str, str, Any]]:
    """(table, key's column, key) of the rows that hold a needle."""
    return [
        (table, key, row)
        for table, (key, columns) in tables.items()
        for row in dict.fromkeys(row for row, _ in search_rows(store, searcher, table, key, columns))
    ]


def delete(store: Store, plan: Cascade, rows: Iterable[tuple[str, str, Any]]) -> Counter[str]:
    """Delete a cascade, and the derived `rows` that hold its words; gives how many rows went, by table."""
    went: Counter[str] = Counter()
    with store.writing() as db:
        before = _counted(store)
        units = [*(("m", one) for one in plan.messages), *(("f", one) for one in plan.facts)]
        units += [("s", row[0]) for row in _summaries(store, [*plan.sessions, *plan.touched])]
        names = json.dumps([f"{kind}{seq}" for kind, seq in units])
        for kind in "mfs":
            seqs = json.dumps([seq for one, seq in units if one == kind])
            sql = "SELECT count(*) FROM vectors WHERE kind = ? AND seq IN (SELECT value FROM json_each(?))"
            went["vectors"] += store.number(sql, [kind, seqs])
        for table, key, row in rows:
            db.execute(f"DELETE FROM {table} WHERE {key} = ?", [row])
        for sql, values in _deletions(plan, names):
            db.execute(sql, [json.dumps(values) if not isinstance(values, str) else values])
        if plan.everything:
            for table in ("changes", "calibrations", "carried", "texts"):
                db.execute(f"DELETE FROM {table}")
        after = _counted(store)
        went.update({table: before[table] - after[table] for table in before})
    return +went


def _deletions(plan: Cascade, units: str) -> list[tuple[str, Sequence[Any] | str]]:
    """What takes a cascade out of the store: SQL, each with the list of values that it is for."""
    listed = "(SELECT value FROM json_each(?))"
    ids = list(plan.fact_ids)
    return [
        (f"DELETE FROM receipts WHERE turn IN {listed}", plan.turns),
        (f"DELETE FROM receipts WHERE purpose = 'notes' AND session_id IN {listed}", plan.touched),
        (f"DELETE FROM recalls WHERE turn IN {listed}", plan.turns),
        (f"DELETE FROM plans WHERE turn IN {listed}", plan.turns),
        (f"DELETE FROM pending WHERE turn IN {listed}", plan.turns),
        (f"DELETE FROM replaced WHERE session_id IN {listed}", plan.touched),
        (f"UPDATE candidates SET why = '{{}}' WHERE unit IN {listed}", units),
        (f"DELETE FROM changes WHERE fact IN {listed}", ids),
        (f"DELETE FROM changes WHERE other IN {listed}", ids),
        (f"DELETE FROM facts WHERE seq IN {listed}", plan.facts),
        (f"UPDATE facts SET same_as = NULL WHERE same_as IN {listed}", ids),
        (f"DELETE FROM summaries WHERE session_id IN {listed}", plan.touched),
        (f"DELETE FROM messages WHERE seq IN {listed}", plan.messages),
        (
            "UPDATE sessions SET title = '', state = CASE state WHEN 'open' THEN 'open' ELSE 'ended' END "
            f"WHERE id IN {listed}",
            plan.touched,
        ),
        (f"DELETE FROM sessions WHERE id IN {listed}", plan.sessions),
    ]


COUNTED = (
    "sessions", "messages", "facts", "summaries", "receipts", "recalls", "candidates", "calls", "replaced", "pending",
    "plans", "changes", "secrets",
)  # fmt: skip


def _counted(store: Store) -> dict[str, int]:
    return {table: store.number(f"SELECT count(*) FROM {table}") for table in COUNTED}


def _summaries(store: Store, sessions: Sequence[str]) -> list[Any]:
    sql = "SELECT seq FROM summaries WHERE session_id IN (SELECT value FROM json_each(?))"
    return store.rows(sql, [json.dumps(list(sessions))])


def preview(store: Store, plan: Cascade) -> dict[str, int]:
    """How many rows of each table would go, by table; derived rows that hold the words are found when it is done."""
    with contextlib.suppress(_Undone), store.writing():
        went = delete(store, plan, ())
        raise _Undone
    return dict(went)


class _Undone(Exception):
    """Takes back a deletion that was only to be counted."""
