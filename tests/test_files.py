"""Private files whatever the umask says, and locks that another process respects."""

import os
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from memory.errors import Failure
from memory.files import close_to_others, locked, private_file, private_folder
from memory.tokens import Counter
from tests.conftest import ROOT
from tests.memories import a_memory, leave, talk

posix = pytest.mark.skipif(os.name != "posix", reason="only POSIX has such modes")


@pytest.fixture(params=[0, 0o022, 0o077], ids=oct)
def any_umask(request: pytest.FixtureRequest) -> Iterator[None]:
    before = os.umask(request.param)
    yield
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@posix
@pytest.mark.usefixtures("any_umask")
def test_what_is_made_is_private_and_so_is_what_was_missing_above_it(tmp_path: Path) -> None:
    file = private_file(tmp_path / "a" / "b" / "file")
    assert mode(file) == 0o600
    assert [mode(file.parent), mode(file.parent.parent)] == [0o700, 0o700]


@posix
def test_all_of_a_memory_is_private_even_where_the_umask_gives_everything_away(home: Path, counter: Counter) -> None:
    before = os.umask(0)
    try:
        memory = a_memory(home, counter)
        talk(memory, "My dog is called Rex.")
        memory.sync()
        assert memory.recall("dog").hits
        found = {path: mode(path) for path in [home, *home.rglob("*")]}  # while it is open, logs and locks included
        leave(memory)
    finally:
        os.umask(before)
    assert {"memory.db", "memory.db-wal", "chroma.sqlite3", "index.lock"} <= {path.name for path in found}
    assert {path: each for path, each in found.items() if each & 0o077} == {}


@posix
def test_a_folder_that_others_could_enter_is_closed_and_those_above_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "open").mkdir(mode=0o755)
    (tmp_path / "open" / "home").mkdir(mode=0o755)
    private_file(tmp_path / "open" / "home" / "file").chmod(0o644)
    private_file(tmp_path / "open" / "home" / "file")
    assert mode(tmp_path / "open" / "home" / "file") == 0o600
    assert mode(tmp_path / "open" / "home") == 0o700
    assert mode(tmp_path / "open") == 0o755


@posix
def test_a_home_behind_a_link_stays_a_link_and_its_target_is_closed(tmp_path: Path) -> None:
    (tmp_path / "target").mkdir(mode=0o755)
    (tmp_path / "home").symlink_to(tmp_path / "target")
    private_file(tmp_path / "home" / "file")
    assert (tmp_path / "home").is_symlink()
    assert mode(tmp_path / "target") == 0o700
    assert (tmp_path / "target" / "file").exists()


@posix
def test_closing_a_tree_leaves_what_links_point_at_alone(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir(mode=0o755)
    (tmp_path / "tree" / "deep").mkdir(parents=True)
    (tmp_path / "tree" / "deep" / "file").touch(mode=0o666)
    (tmp_path / "tree" / "link").symlink_to(tmp_path / "elsewhere")
    close_to_others(tmp_path / "tree")
    assert mode(tmp_path / "tree" / "deep") == 0o700
    assert mode(tmp_path / "tree" / "deep" / "file") == 0o600
    assert mode(tmp_path / "elsewhere") == 0o755


@pytest.mark.parametrize("make", [private_folder, private_file])
def test_what_cannot_be_made_is_told_in_a_line(tmp_path: Path, make: Callable[[Path], Path]) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(Failure, match=r"Cannot (use the folder|write) .*: (Not a directory|File exists)\."):
        make(tmp_path / "file" / "below")


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "file").touch(mode=0o644)
    with pytest.raises(Failure, match="Cannot use the folder"):
        private_folder(tmp_path / "file")
    assert mode(tmp_path / "file") == 0o644


# ---------------------------------------------------------------------- locks

HOLD = """
import sys, time
from pathlib import Path
from memory.files import locked
with locked(Path(sys.argv[1])) as held:
    print(held, flush=True)
    time.sleep(60)
"""


def test_a_lock_keeps_other_processes_out_until_its_holder_dies(tmp_path: Path) -> None:
    path = tmp_path / "locks" / "one.lock"
    with subprocess.Popen([sys.executable, "-c", HOLD, path], cwd=ROOT, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout and holder.stdout.readline() == "True\n"
        with locked(path, wait_s=0) as mine:
            assert not mine
        began = time.monotonic()
        with locked(path, wait_s=0.2) as mine:
            assert not mine
        assert 0.2 <= time.monotonic() - began < 5
        holder.kill()
    with locked(path, wait_s=5) as mine:
        assert mine


def test_a_lock_keeps_other_threads_out(tmp_path: Path) -> None:
    seen: list[bool] = []

    def look() -> None:
        with locked(tmp_path / "one.lock", wait_s=0) as mine:
            seen.append(mine)

    with locked(tmp_path / "one.lock"):
        thread = threading.Thread(target=look)
        thread.start()
        thread.join()
    look()
    assert seen == [False, True]


def test_a_lock_is_let_go_when_its_work_fails(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="work"), locked(tmp_path / "one.lock"):
        raise ValueError("work")
    with locked(tmp_path / "one.lock", wait_s=0) as mine:
        assert mine
