"""The vector index on a real Chroma in a temporary folder, with other processes that write, and with damage."""

import hashlib
import math
import multiprocessing
import os
import random
import resource
import shutil
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from memory import index as index_module
from memory.embedding import MiniLM
from memory.errors import IndexBroken, IndexUnavailable
from memory.files import locked
from memory.graphfiles import links_end, torn
from memory.index import HNSW, Index, Unit, collection_name, generations, translated

SPAWN = multiprocessing.get_context("spawn")


class Hashed:
    """An embedder without a model: a text's vector is drawn by its hash. Like texts are not near each other."""

    def __init__(self, dimension: int = 8, name: str = "hashed") -> None:
        self.dimension = dimension
        self.name = name

    def __call__(self, texts: Sequence[str]) -> list[list[float]]:
        return [self._one(text) for text in texts]

    def _one(self, text: str) -> list[float]:
        source = random.Random(hashlib.sha256(text.encode()).digest())
        vector = [source.gauss(0, 1) for _ in range(self.dimension)]
        length = math.hypot(*vector)
        return [each / length for each in vector]


def made(home: Path, embedder: Hashed | MiniLM | None = None) -> Index:
    return Index(home / "index", embedder or Hashed(), home / "index.lock")


def units(start: int, stop: int) -> list[Unit]:
    return [Unit(f"m{each}", f"text {each}") for each in range(start, stop)]


def put(index: Index, batch: Sequence[Unit]) -> None:
    vectors = index.embed(batch)
    with index.writing():
        index.upsert(vectors)


@pytest.fixture
def index(tmp_path: Path) -> Iterator[Index]:
    made_here = made(tmp_path)
    yield made_here
    made_here.close()


@pytest.fixture
def small_files() -> Iterator[None]:
    """No file above 50 MB: a damaged graph that gets past our checks shall not fill the disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000_000, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


# ---------------------------------------------------------------------- reading and writing


def test_what_is_put_in_is_found_and_what_is_taken_out_is_not(index: Index) -> None:
    put(index, units(0, 20))
    assert index.count() == 20
    ((best, *others),) = index.search(["text 7"], 5, version=1)
    assert best == ("m7", pytest.approx(1.0))
    assert len(others) == 4
    assert [score for _, score in others] == sorted((score for _, score in others), reverse=True)

    with index.writing():
        index.delete(["m7", "never there"])
    assert index.ids() == {f"m{each}" for each in range(20)} - {"m7"}
    assert "m7" not in dict(index.search(["text 7"], 20, version=2)[0])


def test_many_queries_are_answered_in_their_order(index: Index) -> None:
    put(index, units(0, 50))
    found = index.search([f"text {each}" for each in (9, 3, 41)], 1, version=1)
    assert [hits[0][0] for hits in found] == ["m9", "m3", "m41"]


def test_an_empty_index_and_an_empty_question_find_nothing(index: Index) -> None:
    assert index.search(["anything", "else"], 10, version=0) == [[], []]
    assert index.search([], 10, version=0) == []
    assert index.search(["anything"], 0, version=0) == [[]]
    assert (index.count(), index.ids(), index.check()) == (0, set(), 0)


def test_an_id_that_comes_again_gets_the_newer_vector(index: Index) -> None:
    put(index, [Unit("m1", "old"), Unit("m2", "other")])
    put(index, [Unit("m1", "middle"), Unit("m1", "new")])
    assert index.search(["new"], 1, version=1) == [[("m1", pytest.approx(1.0))]]
    assert index.count() == 2


def test_a_paraphrase_is_found(tmp_path: Path) -> None:
    said = ["My sister moved to Lisbon.", "The build fails on Windows.", "Buy oat milk on Friday."]
    index = made(tmp_path, MiniLM())
    put(index, [Unit(f"m{place}", text) for place, text in enumerate(said)])
    found = index.search(["In which city does my sibling live?", "shopping list"], 3, version=1)
    assert [hits[0][0] for hits in found] == ["m0", "m2"]
    index.close()


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(st.tuples(st.booleans(), st.sets(st.integers(0, 30), min_size=1, max_size=12)), max_size=6))
def test_after_any_writes_the_ids_are_what_was_put_less_what_was_taken(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[bool, set[int]]]
) -> None:
    index, there = made(tmp_path_factory.mktemp("steps")), set[int]()
    for adds, numbers in steps:
        with index.writing():
            if adds:
                index.upsert(index.embed([Unit(f"m{each}", f"text {each}") for each in numbers]))
            else:
                index.delete([f"m{each}" for each in numbers])
        there = there | numbers if adds else there - numbers
    assert index.ids() == {f"m{each}" for each in there}
    assert index.check() == index.count() == len(there)
    for each in there:
        assert index.search([f"text {each}"], 1, version=1)[0][0][0] == f"m{each}"
    index.close()


def test_the_graph_finds_nearly_all_of_the_true_neighbours(tmp_path: Path) -> None:
    """100 of 2,000 vectors without any structure, which is the hardest case, against all cosines."""
    embedder = Hashed(dimension=64)
    index = made(tmp_path, embedder)
    vectors = index.embed(units(0, 2_000))
    with index.writing():
        index.upsert(vectors)
    shares = []
    questions = [f"question {each}" for each in range(10)]
    for asked, found in zip(embedder(questions), index.search(questions, 100, version=1), strict=True):
        scores = {unit: sum(a * b for a, b in zip(asked, vector, strict=True)) for unit, vector in vectors}
        true = sorted(scores, key=scores.__getitem__, reverse=True)[:100]
        shares.append(len(set(true) & set(dict(found))) / 100)
        assert all(score == pytest.approx(scores[unit], abs=1e-4) for unit, score in found)
    assert sum(shares) / len(shares) > 0.95
    index.close()


def test_writes_are_for_inside_writing_only(index: Index) -> None:
    with pytest.raises(RuntimeError):
        index.upsert(index.embed(units(0, 1)))
    with pytest.raises(RuntimeError):
        index.delete(["m1"])
    with index.writing(), pytest.raises(RuntimeError), index.writing():
        pass
    assert index.count() == 0  # and the lock was let go


def test_a_failure_inside_writing_is_passed_on_and_the_lock_is_let_go(index: Index) -> None:
    with pytest.raises(KeyError), index.writing():
        index.upsert(index.embed(units(0, 3)))
        raise KeyError("the caller's own")
    assert index.ids() == {"m0", "m1", "m2"}


def test_threads_share_an_index(index: Index) -> None:
    """One writes in the background while another asks: what `chat` does."""
    put(index, units(0, 10))
    writer = threading.Thread(target=lambda: [put(index, units(start, start + 50)) for start in range(10, 410, 50)])
    writer.start()
    asked = 0
    while writer.is_alive():
        assert index.search(["text 3"], 1, version=asked // 5)[0][0][0] == "m3"
        asked += 1
    writer.join()
    assert index.check() == 410


# ---------------------------------------------------------------------- what lies on the disk


def test_no_word_of_a_unit_lies_in_the_folder(index: Index) -> None:
    put(index, [Unit("m1", "zanzibar"), *(Unit(f"s{each}", f"quagmire {each}") for each in range(300))])
    index.close()
    written = [path.read_bytes() for path in index.folder.rglob("*") if path.is_file()]
    assert any(b"s299" in data for data in written)
    assert not any(word in data for data in written for word in (b"zanzibar", b"quagmire"))


@pytest.mark.skipif(os.name != "posix", reason="modes are POSIX's")
def test_only_the_owner_may_read_the_files(index: Index) -> None:
    put(index, units(0, 300))
    for path in [index.folder, *index.folder.rglob("*")]:
        assert path.stat().st_mode & 0o777 == (0o700 if path.is_dir() else 0o600), path


def test_chromas_own_client_reads_what_was_written(index: Index, tmp_path: Path) -> None:
    """The index is a plain Chroma folder, though it is written without the client in Python."""
    put(index, units(0, 300))
    (database,) = tmp_path.glob("index/**/chroma.sqlite3")
    code = f"""
import chromadb
collection = chromadb.PersistentClient({str(database.parent)!r}).get_collection({index.collection!r})
print(collection.count(), collection.query(query_embeddings=[{Hashed()(["text 7"])[0]}], n_results=1)["ids"])
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path)
    assert ran.stdout.split(maxsplit=1) == ["300", "[['m7']]\n"], ran.stderr


def test_a_rebuild_leaves_no_file_of_what_was_there(index: Index) -> None:
    put(index, units(0, 300))
    before = {path.name for path in index.folder.rglob("*.bin")}
    with index.writing():
        index.delete([unit.id for unit in units(0, 300)])
    assert before
    index.rebuild()
    assert [path.name for path in index.folder.rglob("*")] == ["chroma-2"]
    assert index.count() == 0
    put(index, units(0, 5))
    assert index.check() == 5


def test_a_rebuild_that_was_killed_halfway_is_done_by_the_next(tmp_path: Path) -> None:
    index = made(tmp_path)
    put(index, units(0, 5))
    index.close()
    shutil.copytree(index.folder / "chroma-1", index.folder / "chroma-7")
    (index.folder / "chroma-7" / "chroma.sqlite3").unlink()
    (index.folder / "chroma-odd").mkdir()
    assert index.count() == 0
    index.rebuild()
    assert generations(index.folder) == {8: index.folder / "chroma-8"}
    index.close()


def test_each_model_has_its_own_collection(tmp_path: Path) -> None:
    small, large = made(tmp_path, Hashed(8, "one/model")), made(tmp_path, Hashed(16, "one-model"))
    put(small, units(0, 3))
    put(large, units(0, 5))
    assert (small.count(), large.count()) == (3, 5)
    small.close()
    large.close()


@given(st.text(), st.text())
def test_collection_names_are_what_chroma_takes_and_differ_where_the_models_do(one: str, other: str) -> None:
    for model in (one, other):
        name = collection_name(model)
        assert 3 <= len(name) <= 512
        assert all(each.isascii() and (each.isalnum() or each in "._-") for each in name)
        assert name[0].isalnum()
        assert name[-1].isalnum()
    assert (collection_name(one) == collection_name(other)) == (one == other)


def test_the_shipped_model_can_be_read_off_the_name_of_its_collection() -> None:
    assert collection_name(MiniLM.name).startswith("all-MiniLM-L6-v2-int8-")


# ---------------------------------------------------------------------- other processes


def write_many(home: Path, start: int, stop: int) -> None:
    index = made(home)
    for first in range(start, stop, 100):
        put(index, units(first, first + 100))
    index.close()


def test_two_processes_writing_at_once_lose_nothing(tmp_path: Path) -> None:
    """Past Chroma's sync_threshold of 1,000, and ours, where two writers without a lock lose vectors in silence."""
    writers = [SPAWN.Process(target=write_many, args=(tmp_path, start, start + 1_500)) for start in (0, 1_500)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert [writer.exitcode for writer in writers] == [0, 0]
    index = made(tmp_path)
    assert index.ids() == {unit.id for unit in units(0, 3_000)}
    assert index.check() == 3_000  # it reads every vector
    asked = random.Random(1).sample(units(0, 3_000), 200)
    found = index.search([unit.text for unit in asked], 1, version=1)
    assert [hits[0][0] for hits in found] == [unit.id for unit in asked]
    index.close()


def test_a_reader_finds_what_another_process_wrote_once_the_version_differs(tmp_path: Path) -> None:
    reader = made(tmp_path)
    put(reader, units(0, 10))
    assert reader.search(["text 3"], 1, version=1)[0][0][0] == "m3"
    other = SPAWN.Process(target=write_many, args=(tmp_path, 100, 300))
    other.start()
    other.join()
    assert reader.search(["text 250"], 1, version=2)[0][0][0] == "m250"
    assert reader.count() == 210
    reader.close()


def test_two_indexes_of_one_process_do_not_disturb_each_other(tmp_path: Path) -> None:
    one, other = made(tmp_path), made(tmp_path)
    put(one, units(0, 5))
    put(other, units(5, 10))
    assert one.search(["text 7"], 1, version=1)[0][0][0] == "m7"
    one.rebuild()
    assert other.search(["text 7"], 1, version=2) == [[]]
    one.close()
    put(other, units(0, 3))
    assert other.count() == 3
    other.close()


def test_chroma_is_opened_anew_only_after_another_has_written(tmp_path: Path) -> None:
    """To open 230,000 vectors takes half a second, and a sync of as many writes a thousand times."""
    index, other = made(tmp_path), made(tmp_path)
    put(index, units(0, 5))
    opened = index._open_collection
    put(index, units(5, 10))
    assert (index.count(), len(index.search(["text 7"], 20, version=1)[0])) == (10, 10)
    assert index._open_collection is opened
    put(other, units(10, 12))
    assert index.search(["text 11"], 1, version=2)[0][0][0] == "m11"
    assert index._open_collection is not opened
    index.close()
    other.close()


def test_a_reader_does_not_wait_for_ever_for_a_writer(index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index_module, "READ_WAIT_S", 0.1)
    with (
        locked(index.folder.parent.parent / "index.lock") as held,
        pytest.raises(IndexUnavailable, match="Another process"),
    ):
        assert held
        index.search(["text"], 1, version=1)
    assert index.search(["text"], 1, version=1) == [[]]


def write_until_killed(home: Path, start: int, said: Connection) -> None:
    index = made(home)
    index.count()
    for first in range(start, start + 100_000, 60):
        put(index, units(first, first + 60))
        said.send(first + 60)


@pytest.mark.usefixtures("small_files")
def test_a_killed_writer_loses_no_acknowledged_batch_unseen(tmp_path: Path) -> None:
    """A kill while Chroma saves its graph tears the files (5 of 40 kills when nothing else is done). That is told."""
    acknowledged, pause = 0, random.Random(3)
    for _ in range(4):
        hears, says = SPAWN.Pipe(duplex=False)
        writer = SPAWN.Process(target=write_until_killed, args=(tmp_path, acknowledged, says))
        writer.start()
        says.close()
        acknowledged = hears.recv()
        time.sleep(pause.random() * 0.4)
        writer.kill()
        writer.join()
        with pytest.raises(EOFError):
            while True:
                acknowledged = hears.recv()
        hears.close()
        index = made(tmp_path)
        try:
            assert index.check() >= acknowledged
            assert index.ids() >= {unit.id for unit in units(0, acknowledged)}
        except IndexUnavailable:
            index.rebuild()
            put(index, units(0, acknowledged))
        index.close()


# ---------------------------------------------------------------------- damage


def garbage(path: Path) -> None:
    path.write_bytes(random.Random(1).randbytes(max(100, path.stat().st_size)))


def half(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def empty(path: Path) -> None:
    os.truncate(path, 0)


def folder_instead(path: Path) -> None:
    path.unlink()
    path.mkdir()


def other_migrations(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE migrations SET hash = 'x'")
    connection.close()


def file_instead(path: Path) -> None:
    shutil.rmtree(path)
    path.write_text("a file")


DAMAGES: list[tuple[str, Callable[[Path], None]]] = [
    ("chroma.sqlite3", garbage),
    ("chroma.sqlite3", half),
    ("chroma.sqlite3", folder_instead),
    ("chroma.sqlite3", other_migrations),
    ("*/header.bin", Path.unlink),
    ("*/header.bin", half),  # Chroma alone: SIGSEGV
    ("*/header.bin", garbage),
    ("*/data_level0.bin", Path.unlink),
    ("*/data_level0.bin", half),
    ("*/data_level0.bin", empty),
    ("*/length.bin", Path.unlink),
    ("*/length.bin", half),
    ("*/link_lists.bin", Path.unlink),
    ("*/link_lists.bin", half),  # Chroma alone: loads it, then writes 20 GB
    ("*/link_lists.bin", empty),
    ("*/link_lists.bin", garbage),
    ("*/index_metadata.pickle", half),
    ("*/index_metadata.pickle", garbage),
    (".", file_instead),
]


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home whose index has saved its graph; to be copied."""
    home = tmp_path_factory.mktemp("sound")
    index = made(home)
    put(index, units(0, 400))
    put(index, units(400, 450))
    index.close()
    return home


@pytest.mark.usefixtures("small_files")
@pytest.mark.parametrize(("pattern", "damage"), DAMAGES, ids=[f"{path}-{what.__name__}" for path, what in DAMAGES])
def test_damage_is_told_in_one_line_and_a_rebuild_mends_it(
    sound: Path, tmp_path: Path, pattern: str, damage: Callable[[Path], None]
) -> None:
    shutil.copytree(sound, tmp_path, dirs_exist_ok=True)
    folder = made(tmp_path).folder / "chroma-1"
    damage(folder if pattern == "." else next(folder.glob(pattern)))
    index = made(tmp_path)
    for use in (lambda: index.search(["text 3"], 5, version=1), index.check, lambda: put(index, units(0, 200))):
        with pytest.raises(IndexUnavailable) as caught:
            use()
        assert caught.value.message.endswith(".")
        assert "\n" not in caught.value.message
        assert caught.value.remedy == "Run `assistant doctor --fix`."
    index.rebuild()
    put(index, units(0, 5))
    assert index.check() == 5
    assert generations(index.folder) == {2: index.folder / "chroma-2"}
    index.close()


@pytest.mark.parametrize("lost", ["*-*-*-*-*", "*/index_metadata.pickle"])
def test_check_finds_vectors_that_chroma_lost_in_silence(sound: Path, tmp_path: Path, lost: str) -> None:
    """Chroma counts them still and searches without them."""
    shutil.copytree(sound, tmp_path, dirs_exist_ok=True)
    path = next((made(tmp_path).folder / "chroma-1").glob(lost))
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    index = made(tmp_path)
    assert index.count() == 450
    with pytest.raises(IndexUnavailable):
        index.check()
    index.close()


def test_a_lost_database_is_an_empty_index(sound: Path, tmp_path: Path) -> None:
    """Nothing to complain of: the caller compares `count` with the store."""
    shutil.copytree(sound, tmp_path, dirs_exist_ok=True)
    (made(tmp_path).folder / "chroma-1" / "chroma.sqlite3").unlink()
    index = made(tmp_path)
    assert (index.count(), index.search(["text 3"], 1, version=1)) == (0, [[]])
    put(index, units(0, 200))
    assert index.check() == 200
    index.close()


def test_a_collection_of_another_dimension_is_refused(sound: Path, tmp_path: Path) -> None:
    shutil.copytree(sound, tmp_path, dirs_exist_ok=True)
    index = made(tmp_path, Hashed(dimension=5))
    for use in (lambda: index.search(["text"], 1, version=1), lambda: put(index, units(0, 1))):
        with pytest.raises(IndexUnavailable, match="dimension of 8, got 5"):
            use()
    assert index.count() == 450  # and it can be used again after a failure
    index.close()


def test_a_sound_graph_is_not_taken_for_a_torn_one(index: Index) -> None:
    """Whether never saved, saved, grown past its room, or emptied."""
    for batch in (10, HNSW["sync_threshold"], 900, 1_200):
        put(index, units(0, int(batch)))
        assert not any(torn(path) for path in (index.folder / "chroma-1").iterdir() if path.is_dir())
    with index.writing():
        index.delete(sorted(unit.id for unit in units(0, 1_200)))
    assert index.check() == 0


def ends_one_by_one(links: bytes, elements: int) -> bool:
    """What `links_end` says, at its plainest."""
    place = 0
    for _ in range(elements):
        if place >= len(links):
            return False
        place += 4 + int.from_bytes(links[place : place + 4], "little")
    return place == len(links)


@given(st.lists(st.sampled_from([0, 0, 0, 0, 4, 68, 256, 512]), max_size=60), st.integers(-1, 1), st.integers(-5, 5))
def test_links_end_where_lists_of_their_lengths_end(lengths: list[int], more: int, cut: int) -> None:
    links = b"".join(length.to_bytes(4, "little") + bytes(length) for length in lengths)
    links = links[:cut] if cut < 0 else links + bytes(cut)
    elements = max(0, len(lengths) + more)
    assert links_end(links, elements) == ends_one_by_one(links, elements)


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "index").write_text("a file")
    with pytest.raises(IndexUnavailable, match="Cannot use the folder"):
        made(tmp_path).count()
    with pytest.raises(IndexUnavailable, match="Cannot use the folder"):
        Index(tmp_path / "other", Hashed(), tmp_path / "index" / "a.lock").count()


def test_a_panic_of_chromas_rust_part_is_told_and_an_interrupt_passes() -> None:
    class PanicException(BaseException):
        """As pyo3 makes it: by this name, and not an Exception."""

    with pytest.raises(IndexUnavailable, match=r"cannot be used: index out of bounds\. Run"), translated():
        raise PanicException("index out of bounds")
    with pytest.raises(KeyboardInterrupt), translated():
        raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("error", "remedy"),
    [
        (ValueError("error returned from database: (code: 13) database or disk is full"), "Free some disk space."),
        (OSError(28, "No space left on device"), "Free some disk space."),
        (ValueError("attempt to write a readonly database"), "Make the assistant's folder writable."),
        (OSError(30, "Read-only file system"), "Make the assistant's folder writable."),
        (OSError(24, "Too many open files"), "Close some programs, then try again."),
    ],
)
def test_what_is_wrong_outside_does_not_make_the_index_broken(error: Exception, remedy: str) -> None:
    """A broken index is built anew, and all its vectors are made once more."""
    with pytest.raises(IndexUnavailable) as told, translated():
        raise error
    assert not isinstance(told.value, IndexBroken)
    assert told.value.remedy == remedy


# ---------------------------------------------------------------------- what it leaves alone


def test_a_foreign_env_file_does_not_lead_chroma_elsewhere(index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    """Chroma reads `.env` of the working folder. One that names a server would get the vectors."""
    home = index.folder.parent.parent
    (home / ".env").write_text("CHROMA_API_IMPL=chromadb.api.fastapi.FastAPI\nCHROMA_SERVER_HOST=192.0.2.1\n")
    monkeypatch.chdir(home)
    monkeypatch.setenv("CHROMA_API_IMPL", "chromadb.api.fastapi.FastAPI")
    put(index, units(0, 3))
    assert index.count() == 3
    assert (index.folder / "chroma-1" / "chroma.sqlite3").exists()


def run(code: str, *arguments: str) -> str:
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", code, *arguments], capture_output=True, text=True, check=True
    ).stdout.strip()


def test_importing_the_index_does_not_import_chroma() -> None:
    code = "import sys, memory.index; print({'chromadb', 'onnxruntime', 'numpy', 'filelock'} & set(sys.modules))"
    assert run(code) == "set()"


def test_nothing_asks_the_network(tmp_path: Path) -> None:
    code = """
import sys
from pathlib import Path

def no_network(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.sendto", "socket.gethostbyname"):
        raise SystemExit(f"{event} {arguments}")

sys.addaudithook(no_network)
from memory.embedding import MiniLM
from memory.index import Index, Unit

index = Index(Path(sys.argv[1]) / "index", MiniLM(), Path(sys.argv[1]) / "lock")
vectors = index.embed([Unit("m1", "a text")])
with index.writing():
    index.upsert(vectors)
print(index.search(["a text"], 1, version=1)[0][0][0])
"""
    assert run(code, str(tmp_path)) == "m1"
