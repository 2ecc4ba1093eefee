"""Whose words from outside are among what a model is shown: of pages, files and other programs, or imported."""

import json
from collections.abc import Iterable

from memory.records import IMPORTED
from memory.store import Store
from memory.units import parsed

TOOL = "tool:"

FOREIGN = f"(origin = '{IMPORTED}' OR substr(origin, 1, {len(TOOL)}) = '{TOOL}')"
# The answers of tools say in the log whether they hold such words; what was recalled says it by its origin.
MESSAGES = f"""
SELECT CASE role WHEN 'tool' THEN '{TOOL}' || name ELSE origin END FROM messages
WHERE seq IN (SELECT value FROM json_each(?))
  AND CASE role WHEN 'tool' THEN EXISTS (SELECT 1 FROM calls WHERE result = messages.seq AND outside) ELSE {FOREIGN} END
ORDER BY seq
"""
NOTES = f"""
SELECT origin FROM {{table}} WHERE seq IN (SELECT value FROM json_each(?)) AND {FOREIGN} ORDER BY seq
"""
TABLES = {"m": MESSAGES, "s": NOTES.format(table="summaries"), "f": NOTES.format(table="facts")}


def foreign(store: Store, units: Iterable[str]) -> list[str]:
    """The tools whose words stand in these units ("m12"), and "imported"; each once."""
    seqs: dict[str, list[int]] = {kind: [] for kind in TABLES}
    for kind, seq in map(parsed, units):
        seqs[kind].append(seq)
    origins = [row[0] for kind, sql in TABLES.items() for row in store.rows(sql, [json.dumps(seqs[kind])])]
    return list(dict.fromkeys(origin.removeprefix(TOOL) for origin in origins))
