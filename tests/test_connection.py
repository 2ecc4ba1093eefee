"""Databases are opened in one place: files for their owner alone, and rows in memory that threads share."""

import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import pytest

from memory.connection import InMemory, connect, is_encrypted


def test_a_file_is_made_for_its_owner_alone_and_its_rows_have_names(tmp_path: Path) -> None:
    with closing(connect(tmp_path / "one.db")) as connection:
        assert connection.execute("SELECT 1 AS one").fetchone()["one"] == 1
        assert not is_encrypted(connection)
    assert (tmp_path / "one.db").stat().st_mode & 0o077 == 0


def test_a_file_that_is_no_database_is_told_as_such(tmp_path: Path) -> None:
    (tmp_path / "one.db").write_bytes(b"This was never a database. " * 200)
    with pytest.raises(sqlite3.DatabaseError, match="not a database"):
        connect(tmp_path / "one.db")


def test_threads_share_rows_in_memory_and_wait_for_each_other(tmp_path: Path) -> None:
    place, troubles = InMemory(), list[Exception]()

    def write() -> None:
        try:
            with closing(connect(place)) as mine:
                for number in range(50):
                    mine.execute("BEGIN IMMEDIATE")
                    mine.execute("INSERT INTO numbers VALUES (?)", [number])
                    mine.execute("COMMIT")
        except sqlite3.Error as error:
            troubles.append(error)

    with closing(connect(place)) as first:
        first.execute("CREATE TABLE numbers (number)")
        threads = [threading.Thread(target=write) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert first.execute("SELECT count(*) FROM numbers").fetchone()[0] == 200
    assert troubles == []
    assert list(tmp_path.iterdir()) == []


def test_two_databases_in_memory_know_nothing_of_each_other_and_end_with_their_connection() -> None:
    place = InMemory()
    with closing(connect(place)) as one, closing(connect(None)) as other:
        one.execute("CREATE TABLE numbers (number)")
        assert other.execute("SELECT count(*) FROM sqlite_master").fetchone()[0] == 0
    with closing(connect(place)) as again:
        assert again.execute("SELECT count(*) FROM sqlite_master").fetchone()[0] == 0
