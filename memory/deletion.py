"""Takes a cascade out of the store, and the derived rows that hold its words; says how many rows that were."""

import json
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from memory import proof
from memory.cascade import Cascade
from memory.store import Store

# Words of the program's own, which any short text may hold: the schema with its comments, and receipts.
PROGRAM = {"sqlite_master": "sql", "forgets": "receipt"}
# Rows that tell of others: where they hold words that go, they go whole. With each its key and its columns of text.
DERIVED = {
    "receipts": ("seq", ("request", "said", "error")),
    "calls": ("seq", ("arguments", "said")),
    "pending": ("id", ("shown", "why", "note")),
    "plans": ("turn", ("steps",)),
    "recalls": ("turn", ("note", "gate")),
    "replaced": ("unit", ("text",)),
}
# Rows that are somebody's own words, or notes on these: they stay, and are named where they hold the same. With each
# what one is called, too.
OWN = {
    "messages": ("message", "session_id || '/' || id", ("content", "tool_calls")),
    "facts": ("fact", "id", ("text", "quote")),
    "summaries": ("summary of", "session_id", ("title", "gist")),
    "sessions": ("title of", "id", ("title",)),
}
BATCH_BYTES = proof.READ


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
