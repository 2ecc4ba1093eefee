"""For tests of the commands: the command line in this process, and a home with the sample history."""

import io
import json
import shutil
import sqlite3
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from assistant.cli import run

ROOT = Path(__file__).parent.parent
SAMPLE = ROOT / "data" / "sample.jsonl"


@dataclass(frozen=True)
class Ran:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Cli = Callable[..., Ran]


@pytest.fixture(name="cli")
def command_line(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Cli:
    """Runs a command in this process, with nothing on its standard input: for those that need none of their own."""

    def ran(*words: str, stdin: str = "") -> Ran:
        monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))
        capsys.readouterr()
        code = run(list(words), verbose=False)
        out, err = capsys.readouterr()
        return Ran(code, out, err)

    return ran


@pytest.fixture(scope="session")
def imported_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample history without vectors, imported once for all tests."""
    home = tmp_path_factory.mktemp("sample") / "home"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ASSISTANT_HOME", str(home))
        assert run(["import", str(SAMPLE), "--no-embed", "--mine"], verbose=False) == 0
    return home


@pytest.fixture(name="sample")
def sample_home(imported_once: Path, home: Path) -> Path:
    """This test's home, with the sample history in it."""
    shutil.copytree(imported_once, home)
    return home


def rows(home: Path, sql: str, *values: object) -> list[tuple[Any, ...]]:
    """What the store holds, read past the program."""
    connection = sqlite3.connect(home / "memory.db")
    try:
        return connection.execute(sql, values).fetchall()
    finally:
        connection.close()
