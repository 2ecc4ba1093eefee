"""Store and index brought together: from any state, by any number of processes, each unit ends with its one vector."""

import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from memory.embedding import Embedder
from memory.errors import IndexUnavailable
from memory.files import locked
from memory.index import generations
from memory.manager import MemoryManager
from memory.records import Session
from memory.session import now
from memory.store import Store
from memory.tokens import Counter
from memory.units import unit_id
from tests.conftest import ROOT
from tests.memories import a_memory, leave, talk

Open = Callable[..., MemoryManager]


@pytest.fixture
def opened(home: Path, counter: Counter) -> Iterator[Open]:
    """Opens the memory, each time as another process would; all are closed in the end."""
    made: list[MemoryManager] = []

    def open_it(embedder: Embedder | None = None) -> MemoryManager:
        made.append(a_memory(home, counter, embedder))
        return made[-1]

    yield open_it
    for memory in made:
        leave(memory)


@pytest.fixture
def memory(opened: Open) -> MemoryManager:
    return opened()


@pytest.fixture
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("memory.sync.BATCH", 4)


def wanted(store: Store) -> set[str]:
    """The units that should have a vector, counted from the rows themselves."""
    sql = """SELECT 'm', seq FROM messages WHERE role IN ('user', 'assistant') AND content <> ''
             UNION ALL SELECT 's', seq FROM summaries UNION ALL SELECT 'f', seq FROM facts"""
    return {unit_id(kind, seq) for kind, seq in store.rows(sql)}


def assert_agree(memory: MemoryManager) -> None:
    """Index, list and rows say the same."""
    there = memory.index.ids()
    assert there == wanted(memory.store)
    assert there == {unit_id(*one) for one in memory.store.indexed(memory.index.collection)}


def nearest(memory: MemoryManager, text: str) -> str:
    """What the index alone finds for a text."""
    return memory.recall(text, mode="vectors").hits[0].text


# ---------------------------------------------------------------------- one process


def test_each_message_summary_and_fact_gets_its_vector_and_the_session_is_indexed(memory: MemoryManager) -> None:
    session_id = talk(memory, "My dog is called Rex.", "I live in Porto.")
    memory.extract(session_id)
    done = memory.sync()
    assert (done.added, done.removed, done.rebuilt, done.finished) == (len(wanted(memory.store)), 0, False, True)
    assert_agree(memory)
    found = memory.store.session(session_id)
    assert found and found.state == "indexed"
    assert nearest(memory, "What is my dog called?").startswith("My dog")


def test_to_sync_again_does_nothing(memory: MemoryManager) -> None:
    talk(memory, "My dog is called Rex.")
    memory.sync()
    version = memory.store.version(memory.index.collection)
    assert memory.sync().added == 0
    assert memory.store.version(memory.index.collection) == version, "readers need not open the index again"


@pytest.mark.usefixtures("small_batches")
def test_a_sync_that_was_stopped_goes_on_where_it_was(memory: MemoryManager, opened: Open) -> None:
    session_id = talk(memory, *(f"text {number}" for number in range(10)))
    memory.extract(session_id)
    asked: list[int] = []
    progress: list[tuple[int, int]] = []

    def stop() -> bool:
        asked.append(1)
        return len(asked) > 2

    first = memory.sync(stop=stop, progress=lambda done, total: progress.append((done, total)))
    total = len(wanted(memory.store))
    assert (first.added, first.finished) == (8, False)
    assert progress == [(4, total), (8, total)]
    found = memory.store.session(session_id)
    assert found and found.state == "summarised"

    again = opened()
    second = again.sync()
    assert (second.added, second.finished) == (total - 8, True)
    assert_agree(again)


def test_one_session_can_go_before_the_others(memory: MemoryManager) -> None:
    talk(memory, "My dog is called Rex.")
    newer = talk(memory, "I live in Porto.")
    memory.sync(newer)
    assert memory.index.ids() == {unit_id("m", one.seq) for one in memory.store.transcript(newer)}


def test_what_is_removed_loses_its_vectors(memory: MemoryManager) -> None:
    gone = talk(memory, "My dog is called Rex.")
    talk(memory, "I live in Porto.")
    memory.extract(gone)
    memory.sync()
    memory.store.connection.execute("DELETE FROM sessions WHERE id = ?", [gone])
    assert memory.sync().removed >= 3
    assert_agree(memory)


# ---------------------------------------------------------------------- damage


def test_a_writer_killed_between_index_and_list_is_made_good(memory: MemoryManager) -> None:
    talk(memory, "My dog is called Rex.", "I live in Porto.")
    memory.sync()
    memory.store.note_vectors(memory.index.collection, removed=[("m", 1), ("m", 2)])
    assert memory.sync().added == 2
    assert_agree(memory)


def test_an_index_restored_from_an_old_copy_gets_what_it_lacks(opened: Open, home: Path, counter: Counter) -> None:
    memory = a_memory(home, counter)
    talk(memory, "My dog is called Rex.")
    memory.sync()
    memory.index.close()
    shutil.copytree(home / "index", home / "old")
    talk(memory, "I live in Porto.")
    memory.sync()
    leave(memory)
    shutil.rmtree(home / "index")
    (home / "old").rename(home / "index")

    again = opened()
    assert again.sync().added == 2
    assert_agree(again)
    assert nearest(again, "Where do I live?") == "I live in Porto."


def test_a_store_restored_from_an_old_copy_does_not_inherit_the_vectors_of_lost_texts(
    opened: Open, home: Path, counter: Counter
) -> None:
    """SQLite gives the lost rows' numbers again, and so the names of their vectors."""
    memory = a_memory(home, counter)
    talk(memory, "My dog is called Rex.")
    memory.sync()
    leave(memory)
    shutil.copy(home / "memory.db", home / "old.db")
    memory = a_memory(home, counter)
    talk(memory, "The violin lesson is on Friday.", "I live in Porto.")
    memory.sync()
    leave(memory)
    (home / "old.db").replace(home / "memory.db")

    again = opened()
    talk(again, "My passport number is 4711.")
    again.sync()
    assert_agree(again)
    version = again.store.version(again.index.collection)
    ((best,),) = again.index.search(["The violin lesson is on Friday."], 1, version)
    assert best[1] < 0.9
    assert nearest(again, "passport number") == "My passport number is 4711."


def lost(home: Path) -> None:
    shutil.rmtree(home / "index")


def garbage(home: Path) -> None:
    for path in (home / "index").rglob("*"):
        if path.is_file():
            path.write_bytes(b"garbage" * 1000)


def emptied(home: Path) -> None:
    next((home / "index").rglob("chroma.sqlite3")).unlink()


@pytest.mark.parametrize("damage", [lost, garbage, emptied])
def test_an_index_that_is_lost_or_broken_is_built_anew(
    opened: Open, home: Path, counter: Counter, damage: Callable[[Path], None]
) -> None:
    memory = a_memory(home, counter)
    session_id = talk(memory, "My dog is called Rex.", "I live in Porto.")
    memory.extract(session_id)
    memory.sync()
    leave(memory)
    damage(home)

    again = opened()
    assert again.sync().added == len(wanted(again.store))
    assert_agree(again)
    assert nearest(again, "Where do I live?") == "I live in Porto."


def test_an_index_that_another_process_is_writing_is_not_thrown_away(memory: MemoryManager) -> None:
    talk(memory, "My dog is called Rex.")
    memory.sync()
    memory.index.close()
    talk(memory, "I live in Porto.")
    holds, let_go = threading.Event(), threading.Event()

    def write_slowly() -> None:
        with locked(memory.locks / "index.lock"):
            holds.set()
            let_go.wait(7)  # longer than a reader waits, so that a rebuild would get its turn

    writer = threading.Thread(target=write_slowly)
    writer.start()
    holds.wait()
    with pytest.raises(IndexUnavailable, match="Another process"):
        memory.sync()
    let_go.set()
    writer.join()
    assert list(generations(memory.index.folder)) == [1]
    done = memory.sync()
    assert (done.added, done.rebuilt) == (2, False)


class Deaf:
    """An embedder whose endpoint is down."""

    name = "words"

    def __call__(self, texts: Sequence[str]) -> list[list[float]]:
        from assistant.errors import ModelUnreachable

        raise ModelUnreachable("127.0.0.1 cannot be reached.", "Is the server running?")


def test_an_endpoint_that_is_down_makes_no_vectors_and_breaks_nothing(opened: Open) -> None:
    deaf = opened(Deaf())
    talk(deaf, "My dog is called Rex.")
    with pytest.raises(IndexUnavailable, match=r"cannot be reached\. Is the server running\?"):
        deaf.sync()
    assert deaf.index.ids() == set()
    assert deaf.recall("dog").hits
    again = opened()
    assert again.sync().added == 2


# ---------------------------------------------------------------------- several processes

SYNC = """
import sys
from pathlib import Path
import memory.sync
from memory.tokens import Counter
from tests.memories import a_memory
memory.sync.BATCH = 20
mine = a_memory(Path(sys.argv[1]), Counter("o200k_base", Path(sys.argv[2])))
print("ready", flush=True)
sys.stdin.readline()
done = mine.sync()
assert done.finished
print(done.added)
"""


def test_two_processes_that_sync_at_once_leave_one_vector_a_unit(
    memory: MemoryManager, home: Path, token_cache: Path
) -> None:
    sessions = [talk(memory, *(f"text {number} of {place}" for number in range(25))) for place in range(4)]
    for session_id in sessions:
        memory.extract(session_id)
    command = [sys.executable, "-c", SYNC, str(home), str(token_cache)]
    pipe = subprocess.PIPE
    both = [subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe, text=True) for _ in range(2)]
    for each in both:
        assert each.stdout and each.stdout.readline() == "ready\n"
    for each in both:
        assert each.stdin
        each.stdin.write("go\n")
        each.stdin.flush()
    added = [int(each.communicate(timeout=60)[0]) for each in both]
    assert [each.returncode for each in both] == [0, 0]
    assert sum(added) >= len(wanted(memory.store))
    assert_agree(memory)
    assert memory.index.check() == len(wanted(memory.store))
    assert {one.state for one in memory.store.sessions()} == {"indexed"}
    assert memory.sync().added == 0


# ---------------------------------------------------------------------- any order

steps = st.lists(
    st.sampled_from(["talk", "note", "extract", "remove", "sync", "stop", "forget", "unlist"]), max_size=12
)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory, counter: Counter) -> Iterator[MemoryManager]:
    """One memory for all examples: what one leaves behind is the next one's beginning."""
    made = a_memory(tmp_path_factory.mktemp("any") / "home", counter)
    yield made
    leave(made)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(steps)
def test_whatever_happened_before_a_sync_makes_them_agree(shared: MemoryManager, happened: list[str]) -> None:
    memory, store = shared, shared.store
    for step in happened:
        sessions: list[Session] = store.sessions(5)
        if step == "talk" or not sessions:
            talk(memory, f"Said at {now()}.")
        elif step == "note":
            memory.note(f"Noted at {now()}.")
        elif step == "extract":
            memory.extract(sessions[-1].id)
        elif step == "remove":
            store.connection.execute("DELETE FROM sessions WHERE id = ?", [sessions[0].id])
        elif step == "sync":
            memory.sync()
        elif step == "stop":
            memory.sync(stop=lambda: True)
        elif step == "forget":
            store.forget_vectors(memory.index.collection)
        elif step == "unlist":
            listed = sorted(store.indexed(memory.index.collection))
            store.note_vectors(memory.index.collection, removed=listed[::2])
    memory.sync()
    assert_agree(memory)
    assert all(session.state in ("ended", "indexed") for session in store.sessions())
