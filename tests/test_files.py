"""Private files whatever the umask says, and locks that another process respects."""

import json
import os
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from assistant.cli import main
from assistant.settings import load
from memory.errors import Failure
from memory.files import close_to_others, locked, own_home, private_file, private_folder
from memory.importers.run import import_file
from memory.session import lock_path
from memory.tokens import Counter
from tests.conftest import ROOT
from tests.memories import a_memory, leave, talk
from tools import usual
from tools.shell import shell_tool

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


# ---------------------------------------------------------------------- the home


@posix
@pytest.mark.parametrize("name", ["memory.db", "index", "locks", "history", "config.toml", "backups"])
def test_a_link_that_leads_out_of_the_home_is_refused_in_a_line(tmp_path: Path, counter: Counter, name: str) -> None:
    outside, home = tmp_path / "outside", private_folder(tmp_path / "home")
    outside.mkdir()
    (home / name).symlink_to(outside / name)
    with pytest.raises(Failure, match=f"{name} is a link that leads out of the home"):
        a_memory(home, counter)
    assert list(outside.iterdir()) == []


@posix
def test_weights_may_lie_elsewhere_and_links_within_the_home_are_its_owners_choice(
    tmp_path: Path, counter: Counter
) -> None:
    home = private_folder(tmp_path / "home")
    (tmp_path / "weights").mkdir()
    (home / "models").symlink_to(tmp_path / "weights")
    (home / "notes").symlink_to(home / "elsewhere")
    leave(a_memory(home, counter))
    assert (home / "memory.db").exists()


@posix
def test_no_private_file_is_made_or_opened_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "target").write_text("theirs")
    (tmp_path / "target").chmod(0o644)
    for target in ("target", "missing"):
        (tmp_path / f"to-{target}").symlink_to(tmp_path / target)
        with pytest.raises(Failure, match="is a link"):
            private_file(tmp_path / f"to-{target}")
    assert mode(tmp_path / "target") == 0o644
    assert not (tmp_path / "missing").exists()


@posix
def test_settings_of_a_home_that_is_not_its_users_are_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They choose the endpoint and the tools: whoever wrote them would read what is said."""
    home, base = private_folder(tmp_path / "base" / "profiles" / "work"), tmp_path / "base"
    (tmp_path / "theirs.toml").write_text('model = "theirs"')
    told = {"ASSISTANT_HOME": str(base), "ASSISTANT_PROFILE": "work"}
    assert load(environment=told)[0].model == ""
    for folder in (base, home):
        (folder / "config.toml").symlink_to(tmp_path / "theirs.toml")
        with pytest.raises(Failure, match="leads out of the home"):
            load(environment=told)
        (folder / "config.toml").unlink()
    monkeypatch.setattr(os, "geteuid", lambda: base.stat().st_uid + 1)
    with pytest.raises(Failure, match="belongs to another user"):
        load(environment=told)


@posix
def test_a_link_deep_in_the_home_is_refused_too_but_for_those_of_other_lives(tmp_path: Path) -> None:
    for name in ("profiles/job/index", "models/small", "index/model/chroma-1"):
        private_folder(tmp_path / "home" / name)
        (tmp_path / "home" / name / "deep").symlink_to(tmp_path)
    with pytest.raises(Failure, match="chroma-1/deep is a link"):
        own_home(tmp_path / "home")
    (tmp_path / "home" / "index" / "model" / "chroma-1" / "deep").unlink()
    own_home(tmp_path / "home")


@posix
def test_a_home_of_another_user_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = private_folder(tmp_path / "home")
    monkeypatch.setattr(os, "geteuid", lambda: home.stat().st_uid + 1)
    with pytest.raises(Failure, match="belongs to another user"):
        own_home(home)


HOSTILE = [
    "../../outside", "/outside", "..", ".", "", "a/../../b", "a\\..\\b", "CON", "NUL.txt", "\x00", "~root", "$HOME",
    "-rf", "x" * 5000, "\u202e../", "．．／outside", "session\n../x", "%2e%2e%2f",
]  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE, ids=lambda name: repr(name)[:20])
def test_ids_from_outside_are_never_paths(tmp_path: Path, counter: Counter, name: str) -> None:
    home, file = tmp_path / "deep" / "home", tmp_path / "import.jsonl"
    said = {"id": name, "role": "user", "content": "hello there", "name": name}
    line = {"schema": "assistant.session/1", "id": name, "title": name, "started_at": "2026-01-01T00:00:00Z"}
    file.write_text(json.dumps({**line, "messages": [said]}) + "\n")
    memory = a_memory(home, counter)
    before = {path for path in tmp_path.rglob("*") if home not in path.parents}
    import_file(file, memory.store, counter, mine=False, owes=True)
    for session in memory.store.sessions():
        with locked(lock_path(home / "locks", session.id), wait_s=0) as held:
            assert held
        memory.extract(session.id)
    made = {path.relative_to(home).parts[0] for path in home.rglob("*")}
    leave(memory)
    assert {path for path in tmp_path.rglob("*") if home not in path.parents} == before
    assert made <= {"memory.db", "memory.db-wal", "memory.db-shm", "locks"}
    assert all(path.parent == home / "locks" for path in home.rglob("*.lock"))


@posix
def test_what_libraries_write_is_private_and_what_tools_write_for_their_owner_is_as_usual(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = os.umask(0o022)
    try:
        monkeypatch.setattr(usual, "umask", -1)
        with pytest.raises(SystemExit):
            main(["--version"])
        (tmp_path / "library").touch()
        shown = str(shell_tool(tmp_path).run(command="umask; mkdir made; touch made/file"))
        usual.grant(tmp_path / "library", 0o666)
        assert mode(tmp_path / "library") == 0o644
        assert "0022" in shown
        assert (mode(tmp_path / "made"), mode(tmp_path / "made" / "file")) == (0o755, 0o644)
        assert os.umask(0o077) == 0o077
    finally:
        os.umask(before)
