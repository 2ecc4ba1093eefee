"""What recall reads of messages, summaries and facts: one flat row each, whose times nobody parses but who shows them.

A recall looks at a thousand rows and shows ten.
"""

import json
from collections.abc import Collection
from typing import NamedTuple

from memory import words
from memory.records import Scope
from memory.rows import to_text
from memory.store import Store

Key = tuple[str, int]  # (kind, seq)


class Entry(NamedTuple):
    """A message (kind "m"), a summary ("s") or a fact ("f"): what it is searched, scored and shown by.

    `at` is when what it tells of was said, as the store writes times: of a summary the beginning of its session.
    """

    kind: str
    seq: int
    session_id: str
    text: str  # its own words
    at: str
    origin: str
    tokens: int
    id: str = ""  # of a message
    role: str = ""  # of a message
    name: str | None = None  # of a message's speaker
    status: str = ""  # of a fact
    valid_from: str | None = None  # of a fact: since when it holds

    @property
    def key(self) -> Key:
        """What names it among all of them."""
        return self[:2]

    @property
    def hidden(self) -> bool:
        """Facts wait for their owner's review where no quote of theirs was found."""
        return self.status == "review"


COLUMNS = {
    "m": "source.id, role, name",
    "s": "'', '', NULL",
    "f": "'', '', NULL, status, valid_from",
}
TEXT = {"m": "content", "s": "source.title || ': ' || gist", "f": "text"}
# What is searched at all: no tool's result, nothing recalled, no fact that another one took the place of.
SEARCHED = {
    "m": "role IN ('user', 'assistant') AND source.origin <> 'recalled' AND content <> ''",
    "s": "true",
    "f": "(retired_by IS NULL OR EXISTS (SELECT 1 FROM facts WHERE facts.id = source.retired_by AND facts.at >= ?))",
}


def entries(store: Store, keys: Collection[Key], scope: Scope | None = None) -> dict[Key, Entry]:
    """Those of the rows named by `keys` that are there, in the order of `keys`.

    With a `scope` only what is searched at all and lies within it, whatever kinds it asks for.
    """
    found = {one[:2]: one for kind in TEXT for one in _read(store, kind, keys, scope)}
    return {key: found[key] for key in keys if key in found}


def _read(store: Store, kind: str, keys: Collection[Key], scope: Scope | None) -> list[Entry]:
    seqs = [seq for letter, seq in keys if letter == kind]
    if not seqs:
        return []
    table = words.TABLES[kind]
    where, values = _within(kind, scope) if scope else ("", [])
    sql = f"""
        SELECT '{kind}', source.seq, source.session_id, {TEXT[kind]}, {table.at}, source.origin, tokens, {COLUMNS[kind]}
        FROM {table.rows} AS source {table.join}
        WHERE source.seq IN (SELECT value FROM json_each(?)) {where}"""
    return [Entry(*row) for row in store.rows(sql, [json.dumps(seqs), *values])]


def _within(kind: str, scope: Scope) -> tuple[str, list[str | None]]:
    """What is searched within a scope, as SQL with its values."""
    bounds, values = words.conditions(scope, words.TABLES[kind].at)
    known = [to_text(scope.as_of)] if kind == "f" else []
    return f"AND {SEARCHED[kind]}{bounds}", [*known, *values]
