"""What recall reads of messages, summaries and facts: one flat row each, whose times nobody parses but who shows them.

A recall looks at a thousand rows and shows ten.
"""

import json
from collections.abc import Collection
from typing import NamedTuple

from memory import words
from memory.foreign import TOOL
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
    until: str | None = None  # of a fact that another one took the place of: up to when it held
    same_as: str | None = None  # of a fact: the one that says the same, and stands for both
    drawn_from: str = ""  # the tools whose words from outside it may repeat, with commas

    @property
    def key(self) -> Key:
        """What names it among all of them."""
        return self[:2]

    @property
    def replaced(self) -> bool:
        """Another fact took its place: it is what was so."""
        return self.until is not None

    @property
    def hidden(self) -> bool:
        """Facts wait for their owner's review where no quote of theirs was found."""
        return self.status == "review"

    @property
    def quarantined(self) -> bool:
        """What may repeat words from outside is found by its owner, and never goes into a prompt by itself."""
        return bool(self.drawn_from)


# Of what a tool's name is the origin of; a fact that its owner decided on is the owner's word.
OF_TOOL = f"substr(source.origin, {len(TOOL) + 1})"
IS_TOOLS = f"substr(source.origin, 1, {len(TOOL)}) = '{TOOL}'"
# Up to when a fact held and what stands for it, as far as was known at the time that `_read` puts in for ":known".
REPLACED = """CASE WHEN retired_by IS NOT NULL AND
  (:known IS NULL OR coalesce((SELECT at FROM facts WHERE id = source.retired_by), until, '') < :known) THEN
  coalesce(until, (SELECT at FROM facts WHERE id = source.retired_by), source.at) END"""
JOINED = """CASE WHEN same_as IS NOT NULL AND
  (:known IS NULL OR (SELECT at FROM facts WHERE id = source.same_as) < :known) THEN same_as END"""
COLUMNS = {
    "m": f"source.id, role, name, '', NULL, NULL, NULL, CASE WHEN {IS_TOOLS} THEN {OF_TOOL} ELSE source.drawn_from END",
    "s": f"'', '', NULL, '', NULL, NULL, NULL, CASE WHEN {IS_TOOLS} THEN {OF_TOOL} ELSE '' END",
    "f": f"'', '', NULL, status, valid_from, {REPLACED}, {JOINED}, "
    f"CASE WHEN {IS_TOOLS} AND NOT handled THEN {OF_TOOL} ELSE '' END",
}
TEXT = {"m": "content", "s": "source.title || ': ' || gist", "f": "text"}
# What is searched at all: no tool's result, nothing recalled, no fact that its owner took for wrong.
SEARCHED = {
    "m": "role IN ('user', 'assistant') AND source.origin <> 'recalled' AND content <> ''",
    "s": "true",
    "f": "status <> 'rejected'",
}


def entries(store: Store, keys: Collection[Key], scope: Scope | None = None) -> dict[Key, Entry]:
    """Those of the rows named by `keys` that are there, in the order of `keys`.

    With a `scope` only what is searched at all and lies within it, whatever kinds it asks for.
    """
    found = {one[:2]: one for kind in TEXT for one in _read(store, kind, keys, scope)}
    return {key: found[key] for key in keys if key in found}


def any_replaced(store: Store) -> bool:
    """Whether any fact took another's place at all; most questions are asked of memories where none did."""
    return bool(store.number("SELECT EXISTS (SELECT 1 FROM facts WHERE retired_by IS NOT NULL)"))


def _read(store: Store, kind: str, keys: Collection[Key], scope: Scope | None) -> list[Entry]:
    seqs = [seq for letter, seq in keys if letter == kind]
    if not seqs:
        return []
    table = words.TABLES[kind]
    where, values = _within(kind, scope) if scope else ("", [])
    known = to_text(scope.as_of) if scope else None
    columns = COLUMNS[kind].replace(":known", f"'{known}'" if known else "NULL")
    sql = f"""
        SELECT '{kind}', source.seq, source.session_id, {TEXT[kind]}, {table.at}, source.origin, tokens, {columns}
        FROM {table.rows} AS source {table.join}
        WHERE source.seq IN (SELECT value FROM json_each(?)) {where}"""
    return [Entry._make(row) for row in store.rows(sql, [json.dumps(seqs), *values])]


def _within(kind: str, scope: Scope) -> tuple[str, list[str]]:
    """What is searched within a scope, as SQL with its values."""
    bounds, values = words.conditions(scope, words.TABLES[kind].at)
    return f"AND {SEARCHED[kind]}{bounds}", values
