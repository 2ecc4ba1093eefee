"""Encrypted SQLite files, and the only door to sqlcipher3: its connections act and fail as the standard library's."""

import contextlib
import functools
import importlib.util
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from memory import keys
from memory.errors import StoreError

if TYPE_CHECKING:
    from memory.keys import Key

# What SQLCipher 4 makes: pages of 4,096 bytes, of which the first begins with the salt, 16 random bytes.
PAGE_BYTES, SALT_BYTES = 4096, 16
MISSING = "Install the extra: pip install 'assistant[encrypted]'."

# Salts of the files that this process has open. A file is read once at the most: to close it drops the locks that
# SQLite holds on it in this process.
_salts: dict[Path, bytes] = {}


def available() -> bool:
    """Whether the extra `encrypted` is installed."""
    return importlib.util.find_spec("sqlcipher3") is not None


def seems_encrypted(path: Path) -> bool:
    """Whether a file that is no plain database looks like an encrypted one: whole pages that begin with noise."""
    if path in _salts:
        return True
    head = salt_of(path)
    noise = len(set(head)) > SALT_BYTES // 2 and not head.isascii()
    return noise and path.stat().st_size % PAGE_BYTES == 0


def reopened(path: Path) -> None:
    """Forget what file stood at `path`: another one has taken its place, and no connection to the old one is left."""
    _salts.pop(path, None)


def key_of(path: Path) -> "Key":
    """The key of an encrypted file that this process has open."""
    return keys.known(_salts[path])


def salt_of(path: Path) -> bytes:
    """The first 16 bytes of a file, which name its key."""
    with path.open("rb") as file:
        return file.read(SALT_BYTES)


def connect(path: Path, timeout: float) -> sqlite3.Connection:
    """A connection to an encrypted file with the first key that opens it.

    Raises StoreError where there is none, or the extra is missing.
    """
    if path in _salts:
        connection = _with_any_key(path, _salts[path], timeout)
        if connection:
            return connection
    connection = _with_any_key(path, salt_of(path), timeout)  # also where another file was put in its place
    if connection:
        return connection
    raise StoreError(f"{path} is encrypted, and the key does not open it.", keys.REMEDY)


def _with_any_key(path: Path, salt: bytes, timeout: float) -> sqlite3.Connection | None:
    for key in keys.candidates(salt):
        connection = opened(path, key, timeout)
        if connection:
            keys.remember(key)
            _salts[path] = salt
            return connection
    return None


def opened(path: Path, key: "Key", timeout: float) -> sqlite3.Connection | None:
    """A connection to an encrypted file, or None where this is not its key."""
    connection = raw(path, timeout)
    connection.execute(f'PRAGMA key = "{key.literal}"')
    try:
        connection.execute("SELECT count(*) FROM sqlite_master")
    except sqlite3.DatabaseError as error:
        connection.close()
        if "not a database" in str(error):
            return None
        raise
    return connection


def raw(path: Path, timeout: float) -> sqlite3.Connection:
    """SQLCipher's connection to a file, before it has a key; without one it reads plain files."""
    try:
        made = _connection_class()(str(path), timeout=timeout, isolation_level=None)
    except ImportError as error:
        raise StoreError(f"{path} is encrypted, and the package sqlcipher3 is missing.", MISSING) from error
    made.execute("PRAGMA cipher_log_level = NONE")  # else it writes to stderr what is told in a line here
    connection: sqlite3.Connection = made
    return connection


@contextlib.contextmanager
def as_standard() -> Iterator[None]:
    """SQLCipher's errors as those of sqlite3 with the same names: whoever handles the one handles the other."""
    from sqlcipher3 import dbapi2

    try:
        yield
    except dbapi2.Error as error:
        _raise_as_standard(error)


def _raise_as_standard(error: Exception) -> NoReturn:
    standard = getattr(sqlite3, type(error).__name__, sqlite3.DatabaseError)
    raise standard(*error.args) from error


def _guarded(method: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(method)
    def guarded(*args: Any, **options: Any) -> Any:
        with as_standard():
            return method(*args, **options)

    return guarded


@functools.cache
def _connection_class() -> Any:
    """SQLCipher's Connection, with errors as sqlite3 raises them. Made at first use, since the extra may be missing."""
    from sqlcipher3 import dbapi2

    def guarded(base: type, *names: str) -> dict[str, Any]:
        return {name: _guarded(getattr(base, name)) for name in names}

    steps = ("execute", "executemany", "executescript", "fetchone", "fetchmany", "fetchall", "__next__")
    cursor_class = type("Cursor", (dbapi2.Cursor,), guarded(dbapi2.Cursor, *steps))

    def cursor(self: Any, factory: Any = cursor_class) -> Any:
        made = dbapi2.Connection.cursor(self, factory)
        made.row_factory = dbapi2.Row
        return made

    def through(name: str) -> Callable[..., Any]:
        def call(self: Any, *args: Any) -> Any:
            return getattr(self.cursor(), name)(*args)

        return call

    calls = {name: through(name) for name in ("execute", "executemany", "executescript")}
    whole = guarded(dbapi2.Connection, "commit", "rollback", "backup", "close")
    return type("Connection", (dbapi2.Connection,), {**whole, **calls, "cursor": cursor})
