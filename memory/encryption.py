"""The store and its copies written anew: encrypted, with another key, or in plain."""

import contextlib
import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from memory import cipher, keys
from memory.connection import connect, is_encrypted
from memory.errors import Failure, StoreError
from memory.files import own_home, private_file
from memory.keys import Key
from memory.store import Store, translated

WAIT_S = 1.0  # for another process that has the store open
PLAIN_HEAD = b"SQLite format 3\0"
BLOCK = 1 << 20


def new_key(passphrase: str | None) -> Key:
    """A key for a file that is about to be written: from a passphrase, or 32 random bytes, put into the keyring."""
    salt = os.urandom(cipher.SALT_BYTES)
    if passphrase:
        return keys.derived(passphrase, salt)
    key = Key(os.urandom(keys.KEY_BYTES), salt)
    keys.to_keyring(key)
    return key


def rewrite_home(home: Path, key: Key | None, keep_vectors: bool) -> None:
    """Write the store of `home` and the backups in it anew with `key`, or in plain (None).

    An encrypted home keeps neither line history nor, without `keep_vectors`, vectors. Killed half-way it leaves each
    file whole, as it was or as it will be; the same call finishes. Raises Failure where another process is at it.
    """
    store = own_home(home) / "memory.db"
    Store(store).close()  # a new home's store is made, an older one's schema brought up to date
    earlier = rewrite(store, key)
    for backup in backups(home):
        earlier |= rewrite(backup, key)
    if key:
        erase(home / "history")
        if not keep_vectors:
            drop_vectors(home)
    for salt in earlier:
        keys.out_of_keyring(salt)


def let_go(key: Key, home: Path) -> None:
    """Take a new key out of the keyring again, unless the store is its already."""
    if cipher.salt_of(home / "memory.db") != key.salt:
        keys.out_of_keyring(key.salt)


def backups(home: Path) -> list[Path]:
    """The copies of the store in the home."""
    return sorted(path for path in (home / "backups").glob("*.db") if path.is_file() and not path.is_symlink())


def left_plain(home: Path, keep_vectors: bool = False) -> list[Path]:
    """What of an encrypted home still stands in plain: backups, the line history, and vectors it is not to keep."""
    plain = [path for path in backups(home) if cipher.salt_of(path) == PLAIN_HEAD]
    never = [home / "history", *([] if keep_vectors else [home / "index"])]
    return [*plain, *(path for path in never if path.exists())]


def drop_vectors(home: Path) -> None:
    """Delete the index, from which something of the texts could be guessed, and write down that it is gone."""
    with closing(Store(home / "memory.db")) as store:
        for collection, _ in store.collections():
            store.forget_vectors(collection)
    index = home / "index"
    if index.exists():
        for path in index.rglob("*"):
            erase(path)
        shutil.rmtree(index)


def rewrite(path: Path, key: Key | None) -> set[bytes]:
    """Write one database anew and put it in the old one's place; returns the old file's salt, if it had one.

    The old file's bytes are written over afterwards, which flash disks and journals of file systems may not honour.
    """
    new = path.with_name(path.name + ".new")
    new.unlink(missing_ok=True)
    _check_alone(path)
    with translated(path), path.open("r+b", buffering=0) as old, _source(path) as (source, salt):
        try:
            _export(source, private_file(new), key)
            _check(new, key)
            new.replace(path)
        except BaseException:
            new.unlink(missing_ok=True)
            with contextlib.suppress(sqlite3.Error):  # a full disk refuses this, too; then it works without that log
                source.execute("PRAGMA locking_mode = NORMAL")
                source.execute("PRAGMA journal_mode = WAL")
            raise
        _synced_folder(path.parent)
        source.close()  # first: to close `old` drops the locks that keep other processes out
        cipher.reopened(path)
        _overwrite(old.fileno())  # of an encrypted file, too: who opened it meanwhile would write where nobody reads
    if key:
        keys.remember(key)
    return {salt} if salt else set()


def _check_alone(path: Path) -> None:
    """Raise Failure where the file has another name, as hard links give it: it would stay as it is, or become noise."""
    if path.stat().st_nlink > 1:
        raise Failure(f"{path} has another name elsewhere (a hard link).", "Copy it, and put the copy in its place.")


def fitting_copy(path: Path, copy: Path, store: Store) -> None:
    """Copy a database so that it is encrypted or in plain as `store` is: nothing plain comes into an encrypted home.

    Raises StoreError where it cannot be read.
    """
    if store.encrypted and isinstance(store.path, Path) and cipher.salt_of(path) == PLAIN_HEAD:
        key = cipher.key_of(store.path)
        with translated(path), closing(cipher.raw(path, WAIT_S)) as source:
            _export(source, private_file(copy), key)
            _check(copy, key)
        return
    shutil.copyfile(path, private_file(copy))
    fit(copy, store)


def fit(copy: Path, store: Store) -> None:
    """Write a copy of a store anew, if need be, so that it is encrypted or in plain as `store` is."""
    with closing(connect(copy, WAIT_S)) as connection:
        encrypted = is_encrypted(connection)
    if encrypted != store.encrypted and isinstance(store.path, Path):
        rewrite(copy, cipher.key_of(store.path) if store.encrypted else None)


@contextlib.contextmanager
def _source(path: Path) -> Iterator[tuple[sqlite3.Connection, bytes | None]]:
    """The only connection to a database, by SQLCipher, and the salt of an encrypted one."""
    with closing(connect(path, WAIT_S)) as connection:
        encrypted = is_encrypted(connection)
    salt = cipher.salt_of(path) if encrypted else None
    with closing(connect(path, WAIT_S) if encrypted else cipher.raw(path, WAIT_S)) as source:
        try:
            source.execute("PRAGMA journal_mode = DELETE")  # refused while anybody else has it open
            source.execute("PRAGMA locking_mode = EXCLUSIVE")
            source.execute("BEGIN EXCLUSIVE")
            source.execute("COMMIT")
        except sqlite3.OperationalError as error:
            if "locked" not in str(error):
                raise
            raise Failure(f"Another process has {path} open.", "End it, and try again.") from error
        yield source, salt


def _export(source: sqlite3.Connection, new: Path, key: Key | None) -> None:
    version = source.execute("PRAGMA user_version").fetchone()[0]  # which sqlcipher_export leaves out
    source.execute("ATTACH ? AS new KEY ?", [str(new), key.literal if key else ""])
    source.execute("SELECT sqlcipher_export('new')").fetchall()
    source.execute(f"PRAGMA new.user_version = {version}")
    source.execute("DETACH new")


def _check(new: Path, key: Key | None) -> None:
    """Raise StoreError unless the new file is sound; leave it safe on the disk, with a write-ahead log as usual."""
    connection = cipher.opened(new, key, WAIT_S) if key else sqlite3.connect(new, isolation_level=None)
    if connection is None:
        raise StoreError(f"{new} cannot be read back.", "Nothing was changed.")
    with closing(connection):
        if connection.execute("PRAGMA integrity_check").fetchone()[0] != "ok":
            raise StoreError(f"{new} is not sound.", "Nothing was changed; run `assistant doctor`.")
        connection.execute("PRAGMA journal_mode = WAL")
    with new.open("rb") as file:
        os.fsync(file.fileno())


def erase(path: Path) -> None:
    """Write over a file, if it is there, and delete it."""
    if not path.is_file():
        return
    with path.open("r+b", buffering=0) as file:
        _overwrite(file.fileno())
    path.unlink()


def _overwrite(descriptor: int) -> None:
    """Put noise in the place of a file's bytes: not nothing, which SQLite would take for a new database."""
    left = os.fstat(descriptor).st_size
    os.lseek(descriptor, 0, os.SEEK_SET)
    while left > 0:
        left -= os.write(descriptor, os.urandom(min(BLOCK, left)))
    os.fsync(descriptor)


def _synced_folder(folder: Path) -> None:
    """See to it that a rename survives a loss of power. Windows does so by itself."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
