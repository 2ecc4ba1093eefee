"""Whose words from outside are among what a model is shown: of pages, files and other programs, or imported."""

import json
from collections.abc import Iterable

from memory.records import IMPORTED
from memory.store import Store
from memory.units import parsed

TOOL = "tool:"

FOREIGN = f"(origin = '{IMPORTED}' OR substr(origin, 1, {len(TOOL)}) = '{TOOL}')"
# The answers of tools say in the log whether they hold such words, the assistant's own what they are drawn from; what
# was recalled says it by its origin.
MESSAGES = f"""
SELECT CASE WHEN drawn_from <> '' THEN drawn_from WHEN role = 'tool' THEN name ELSE origin END FROM messages
WHERE seq IN (SELECT value FROM json_each(?))
  AND (drawn_from <> '' OR CASE role
    WHEN 'tool' THEN EXISTS (SELECT 1 FROM calls WHERE result = messages.seq AND outside) ELSE {FOREIGN} END)
ORDER BY seq
"""
NOTES = f"""
SELECT origin FROM {{table}} WHERE seq IN (SELECT value FROM json_each(?)) AND {FOREIGN} {{unless}} ORDER BY seq
"""
TABLES = {
    "m": MESSAGES,
    "s": NOTES.format(table="summaries", unless=""),
    "f": NOTES.format(table="facts", unless="AND NOT handled"),  # what its owner decided on is the owner's word
}


def foreign(store: Store, units: Iterable[str]) -> list[str]:
    """The tools whose words stand in these units ("m12"), and "imported"; each once."""
    seqs: dict[str, list[int]] = {kind: [] for kind in TABLES}
    for kind, seq in map(parsed, units):
        seqs[kind].append(seq)
    origins = [row[0] for kind, sql in TABLES.items() for row in store.rows(sql, [json.dumps(seqs[kind])])]
    return list(dict.fromkeys(name.removeprefix(TOOL) for origin in origins for name in origin.split(",")))


def drawn_from(store: Store, units: Iterable[str]) -> tuple[str, ...]:
    """The tools on whose words from outside a message draws that is written by who sees these units.

    What was imported is no reason to keep from prompts what the assistant made of it: it stands in them itself, as data
    of that origin.
    """
    return tuple(name for name in foreign(store, units) if name != IMPORTED)
