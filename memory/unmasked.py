"""Finds secrets that were stored before they were masked, or while masking was off, and masks them where they stand."""

from collections.abc import Iterator
from dataclasses import dataclass

from memory.forms import forms
from memory.masking import masked
from memory.store import Store

# By table its key, and the columns with words in them.
WORDS = {
    "sessions": ("rowid", ("title",)),
    "messages": ("seq", ("content", "name", "tool_calls")),
    "summaries": ("seq", ("title", "gist")),
    "facts": ("seq", ("text", "quote")),
    "recalls": ("turn", ("note",)),
    "receipts": ("seq", ("request", "said", "error")),
    "calls": ("seq", ("arguments", "said")),
    "pending": ("rowid", ("shown", "why", "note")),
    "plans": ("turn", ("steps",)),
    "replaced": ("unit", ("text",)),
}
# What has a vector and words that are searched for: its letter, and what those words are made of.
SEARCHED = {"messages": ("m", ("name", "content")), "summaries": ("s", ("title", "gist")), "facts": ("f", ("text",))}


@dataclass(frozen=True, slots=True)
class Found:
    """A row with secrets: its table, its key, the columns as they should be, and how many secrets there are."""

    table: str
    key: int | str
    texts: dict[str, str | None]
    secrets: int


def unmasked(store: Store) -> Iterator[Found]:
    """The rows that hold a secret in plain. Reads all words that are stored."""
    for table, (key, columns) in WORDS.items():
        for row in store.rows(f"SELECT {key} AS place, {', '.join(columns)} FROM {table}"):
            changed = {name: masked(row[name]) for name in columns if row[name]}
            secrets = sum(len(names) for _, names in changed.values())
            if secrets:
                texts = {name: changed[name][0] if name in changed else row[name] for name in columns}
                yield Found(table, row["place"], texts, secrets)


def mask(store: Store) -> bool:
    """Mask them all, and take their bytes off the disk; False while another process reads the old pages.

    Their vectors are made anew with the next sync. Receipts that showed such a text tell that it is another one now.
    """
    with store.writing() as db:
        for found in list(unmasked(store)):
            key, _ = WORDS[found.table]
            texts = dict(found.texts)
            if found.table in SEARCHED:
                letter, parts = SEARCHED[found.table]
                texts["forms"] = forms(*(texts[part] for part in parts))
                db.execute("DELETE FROM vectors WHERE kind = ? AND seq = ?", [letter, found.key])
            sets = ", ".join(f"{name} = ?" for name in texts)
            db.execute(f"UPDATE {found.table} SET {sets} WHERE {key} = ?", [*texts.values(), found.key])
            if found.table == "messages":
                db.execute("UPDATE messages SET masked = masked + ? WHERE seq = ?", [found.secrets, found.key])
        store.rebuild_words()
    return store.purge()
