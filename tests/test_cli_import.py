"""`assistant import` killed and interrupted half way: what is there stays, the next run does the rest."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from memory.embedding import MiniLM
from memory.index import Index
from memory.units import unit_id
from tests.conftest import ROOT, Run

SESSIONS, MESSAGES = 20, 40  # messages of one session; more together than a sync writes at once


def history(path: Path) -> Path:
    """A file of sessions in which each message has words of its own."""
    with path.open("w", encoding="utf-8") as out:
        for number in range(SESSIONS):
            said = [
                {"id": str(place), "role": "user", "content": f"In talk {number} I said number {place}."}
                for place in range(MESSAGES)
            ]
            one = {"schema": "assistant.session/1", "id": f"s{number}", "started_at": "2026-03-01", "messages": said}
            out.write(json.dumps(one) + "\n")
    return path


def read(home: Path, sql: str) -> list[tuple[int]]:
    """What the store holds, read past the program; nothing as long as it is not there."""
    try:
        with closing(sqlite3.connect(f"file:{home / 'memory.db'}?mode=ro", uri=True)) as connection:
            return connection.execute(sql).fetchall()
    except sqlite3.OperationalError:
        return [(0,)]


def count(home: Path, table: str) -> int:
    """Rows of a table."""
    return read(home, f"SELECT count(*) FROM {table}")[0][0]


@pytest.fixture
def started(home: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """An import that was just started; the test ends it."""
    words = [sys.executable, "-m", "assistant", "import", str(history(home.parent / "in.jsonl"))]
    environment = {**os.environ, "ASSISTANT_HOME": str(home)}
    with subprocess.Popen(words, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        yield process
        process.kill()


def reaches(process: "subprocess.Popen[bytes]", home: Path, table: str) -> bool:
    """Wait until a table has rows, as long as the process lives."""
    while process.poll() is None:
        if count(home, table):
            return True
        time.sleep(0.01)
    return False


@pytest.mark.parametrize(
    ("table", "ends"), [("messages", signal.SIGKILL), ("vectors", signal.SIGKILL), ("vectors", signal.SIGINT)]
)
def test_an_import_that_was_broken_off_is_done_by_the_next(
    started: "subprocess.Popen[bytes]", assistant: Run, home: Path, table: str, ends: signal.Signals
) -> None:
    assert reaches(started, home, table)
    started.send_signal(ends)
    started.wait(timeout=60)
    assert started.returncode != 0
    assert count(home, "messages") == MESSAGES * count(home, "sessions")
    done = count(home, "vectors")

    again = assistant("import", str(home.parent / "in.jsonl"))
    assert again.returncode == 0, again.stderr
    assert count(home, "messages") == count(home, "vectors") == SESSIONS * MESSAGES
    assert table == "messages" or 0 < done < SESSIONS * MESSAGES  # else the test was too slow to break it off
    with closing(Index(home / "index", MiniLM(), home / "locks" / "index.lock")) as index:
        assert index.ids() == {unit_id("m", seq) for (seq,) in read(home, "SELECT seq FROM messages")}
        assert index.check() == SESSIONS * MESSAGES
