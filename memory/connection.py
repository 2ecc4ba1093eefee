"""Where every SQLite database of ours is opened: a plain file, an encrypted one, or one in memory."""

import os
import sqlite3
from pathlib import Path

from memory.files import private_file

BUSY_TIMEOUT_S = 30  # another process's write lasts milliseconds, an import's batch some hundred
NOT_PLAIN = "file is not a database"  # SQLite's words (SQLITE_NOTADB) for what has another head than its own


class InMemory:
    """A database in memory. Whoever in this process opens the same one sees the same rows; none leaves the memory.

    It lives while one connection to it is open.
    """

    def __init__(self) -> None:
        self.name = os.urandom(8).hex()

    def __str__(self) -> str:
        return "in memory"


def connect(place: Path | InMemory | None, timeout: float = BUSY_TIMEOUT_S) -> sqlite3.Connection:
    """A connection in autocommit mode whose rows have names. For the thread that makes it alone.

    A file that is missing is made, for its owner alone. One that is encrypted is opened with its key (memory/keys.py);
    the connection then comes from SQLCipher, and acts and fails as sqlite3's do. None is a new database in memory.
    Raises sqlite3.Error, and StoreError where the key is missing or wrong.
    """
    if not isinstance(place, Path):
        return _in_memory(place or InMemory(), timeout)
    connection = sqlite3.connect(private_file(place), timeout=timeout, isolation_level=None)
    try:
        connection.execute("PRAGMA user_version")
    except sqlite3.DatabaseError as error:
        connection.close()
        if NOT_PLAIN not in str(error):
            raise
        from memory import cipher

        if not cipher.seems_encrypted(place):
            raise
        return cipher.connect(place, timeout)
    connection.row_factory = sqlite3.Row
    return connection


def is_encrypted(connection: sqlite3.Connection) -> bool:
    """Whether a connection's file is encrypted."""
    return not isinstance(connection, sqlite3.Connection)  # SQLCipher's are of a class of their own


def _in_memory(place: InMemory, timeout: float) -> sqlite3.Connection:
    """SQLite's memdb keeps the locks of a file, so that threads wait for each other; a shared cache would refuse."""
    uri = f"file:/assistant-{place.name}?vfs=memdb"
    connection = sqlite3.connect(uri, uri=True, timeout=timeout, isolation_level=None)
    connection.row_factory = sqlite3.Row
    connection.execute("PRAGMA temp_store = MEMORY")
    return connection
