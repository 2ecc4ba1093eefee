"""Backups of the store: consistent copies, without the index, which is made anew."""

import contextlib
import sqlite3
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from memory import cascade
from memory.connection import NOT_PLAIN
from memory.encryption import fitting_copy
from memory.errors import BadInput, NothingFound
from memory.files import private_file, private_folder
from memory.rows import as_fact, as_message, to_text
from memory.store import Store, translated
from memory.tombstones import Tombstones

if TYPE_CHECKING:
    from memory.manager import MemoryManager

KEPT = 7  # the newest backups in the home
FOLDER = "backups"


def listed(home: Path) -> list[Path]:
    """The backups in the home, the newest first."""
    return sorted((home / FOLDER).glob("memory-*.db"), reverse=True)


def write(store: Store, path: Path) -> Path:
    """Write a copy of the store as it is now, without what was deleted, to a new file. Raises BadInput, StoreError."""
    if path.exists():
        raise BadInput(f"{path} is there already.", "Choose another name.")
    making = path.with_name(path.name + ".making")
    making.unlink(missing_ok=True)
    with contextlib.ExitStack() as left:
        left.callback(making.unlink, missing_ok=True)
        with translated(path):
            store.connection.execute("VACUUM INTO ?", [str(private_file(making))])
        making.rename(path)
    return path


def make(store: Store, home: Path, at: datetime) -> Path:
    """Write a backup into the home, named by the local time, and let go of all but the newest."""
    folder = private_folder(home / FOLDER)
    name = f"memory-{at.astimezone():%Y%m%d-%H%M%S}"
    path = next(one for one in (folder / f"{name}{more}.db" for more in ("", *"abcdefghij")) if not one.exists())
    write(store, path)
    for old in listed(home)[KEPT:]:
        old.unlink()
    return path


def carry(store: Store, home: Path, path: Path, at: datetime) -> Path:
    """Write a backup to a place outside, where no later forgetting can reach it; that is written down."""
    write(store, path)
    carried(store, home, path, "backup", at)
    return path


def carried(store: Store, home: Path, path: Path, kind: str, at: datetime) -> None:
    """Write down that a copy of what is remembered was written to a file, unless it lies in the home."""
    if path.resolve().is_relative_to(home.resolve()):
        return
    with store.writing() as db:
        db.execute("DELETE FROM carried WHERE path = ?", [str(path.resolve())])
        db.table("carried").insert({"at": to_text(at), "kind": kind, "path": str(path.resolve())})


def named(home: Path, name: str) -> Path:
    """The backup of this name in the home, or the file at this path. Raises NothingFound."""
    for path in (*(one for one in listed(home) if name in (one.name, one.stem)), Path(name)):
        if path.is_file():
            return path
    raise NothingFound(f"There is no backup {name!r}.", "See `assistant backup --list`.")


def restore(memory: "MemoryManager", path: Path, at: datetime) -> Path:
    """Put what a backup holds in the store's place; gives the backup of what was there.

    What was forgotten since stays forgotten. The index is to be made anew. Raises BadInput where the file is damaged.
    """
    store = memory.store
    making = private_folder(memory.home / FOLDER) / "restoring.db"
    _delete(making)
    try:
        _copy(path, making, store)
        source = Store(making)
        try:
            if damage := source.damage():
                raise BadInput(f"{path} is damaged: {damage[0]}.", "Choose another with `assistant backup --list`.")
            _bury_again(source, store)
            kept = make(store, memory.home, at)
            with translated(store.path):
                source.connection.backup(store.connection)
        finally:
            source.close()
    finally:
        _delete(making)
    store.purge()
    return kept


def _copy(path: Path, copy: Path, store: Store) -> None:
    """Raises BadInput where the file is no database, and so no backup."""
    try:
        fitting_copy(path, copy, store)
    except sqlite3.DatabaseError as error:
        if NOT_PLAIN not in str(error):
            raise
        raise BadInput(f"{path} is no backup.", "Choose another with `assistant backup --list`.") from error


def _delete(path: Path) -> None:
    for one in (path, path.with_name(path.name + "-wal"), path.with_name(path.name + "-shm")):
        one.unlink(missing_ok=True)


# What a restored store must not lose, or must not say: what was forgotten since, and vectors of other rows.
OF_NOW = ("salts", "tombstones", "forgets", "carried")


def _bury_again(source: Store, store: Store) -> None:
    """Give an old store the tombstones of now, and take what they name out of it."""
    with source.writing() as db:
        for table in OF_NOW:
            rows = [dict(row) for row in store.rows(f"SELECT * FROM {table}")]
            db.execute(f"DELETE FROM {table}")
            db.table(table).insert_all(rows)
        db.execute("DELETE FROM vectors")
        db.execute("UPDATE sessions SET state = 'summarised' WHERE state = 'indexed'")
        for name, version in store.rows("SELECT name, version FROM collections"):
            db.execute("INSERT OR IGNORE INTO collections (name) VALUES (?)", [name])
            db.execute("UPDATE collections SET version = ? WHERE name = ?", [version + 1, name])
        _take_out(source)


def _take_out(source: Store) -> None:
    from memory.deletion import delete

    graves = Tombstones(source)
    if not graves:
        return
    sessions = graves.sessions(one.id for one in source.sessions())
    messages = [as_message(row) for row in source.rows("SELECT * FROM messages")]
    gone = graves.messages_by_seq(messages)
    facts = [(row["seq"], as_fact(dict(row), ())) for row in source.rows("SELECT * FROM facts")]
    kept = {one.id for one in graves.facts([fact for _, fact in facts])}
    buried = [seq for seq, fact in facts if fact.id not in kept]
    delete(source, cascade.of(source, gone, buried, sessions), ())
