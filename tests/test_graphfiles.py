"""The files of Chroma's graph: the bytes of deleted vectors leave them, and what is left is found as before."""

import random
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from memory import graphfiles
from memory.graphfiles import UnknownFormat
from memory.index import HNSW, Index, Unit

DIMENSIONS = 64


class Signs:
    """An embedder whose vectors have a length of 1 in every rounding, so that Chroma keeps their very bytes."""

    name = "signs"

    def __call__(self, texts: Sequence[str]) -> list[list[float]]:
        return [[random.Random(f"{text} {place}").choice((-1, 1)) / 8 for place in range(DIMENSIONS)] for text in texts]


def names(*numbers: int) -> list[str]:
    return [f"m{number}" for number in numbers]


def filled(home: Path, count: int) -> Index:
    index = Index(home / "index", Signs(), home / "index.lock")
    with index.writing():
        index.upsert(index.embed([Unit(name, name) for name in names(*range(count))]))
    return index


def held(index: Index, home: Path) -> set[str]:
    """The ids whose vectors' bytes stand somewhere in the index's files."""
    index.close()
    data = b"".join(path.read_bytes() for path in (home / "index").rglob("*") if path.is_file())
    vectors = Signs()(names(*range(400)))
    return {f"m{place}" for place, one in enumerate(vectors) if struct.pack(f"<{DIMENSIONS}f", *one) in data}


@pytest.fixture
def index(home: Path) -> Iterator[Index]:
    made = filled(home, 300)  # more than Chroma keeps in its queue
    assert HNSW["sync_threshold"] < 300
    yield made
    made.close()


# Few are written over in place; of many the index is written anew.
@pytest.mark.parametrize(("gone", "generation"), [([7, 250, 299], "chroma-1"), ([*range(150, 300)], "chroma-2")])
def test_deleted_vectors_leave_no_bytes_and_the_others_are_found(
    index: Index, home: Path, gone: list[int], generation: str
) -> None:
    kept = {*names(*range(300))} - {*names(*gone)}
    with index.writing():
        index.delete(names(*gone))
    assert held(index, home) == {*names(*range(300))}, "Chroma itself leaves them all"
    told: list[tuple[int, int]] = []
    index.erase_deleted(lambda done, total: told.append((done, total)))
    assert held(index, home) == kept and bool(told) == (generation == "chroma-2")
    assert [path.name for path in index.folder.iterdir()] == [generation]
    assert index.ids() == kept and index.check() == len(kept)
    assert [found[0][0] for found in index.search(["m0", "m100"], 1, 1)] == ["m0", "m100"]
    with index.writing():
        index.upsert(index.embed([Unit("m7", "m7")]))
    assert index.search(["m7"], 1, 2)[0][0][0] == "m7"


def test_files_of_another_format_are_left_and_the_index_is_written_anew(index: Index, home: Path) -> None:
    with index.writing():
        index.delete(["m7"])
    index.close()
    (segment,) = (path for path in (index.folder / "chroma-1").iterdir() if path.is_dir())
    header = segment / "header.bin"
    header.write_bytes(b"\x02" + header.read_bytes()[1:])
    with pytest.raises(UnknownFormat):
        graphfiles.erase(index.folder / "chroma-1", {"m1"}, 1.0)
    header.write_bytes(b"\x01" + header.read_bytes()[1:])
    (segment / "index_metadata.pickle").write_bytes(b"cos\nsystem\n(S'true'\ntR.")
    with pytest.raises(UnknownFormat):
        graphfiles.erase(index.folder / "chroma-1", {"m1"}, 1.0)


@settings(max_examples=5, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sets(st.integers(0, 299), max_size=60), st.integers(0, 140))
def test_whatever_was_deleted_when(tmp_path_factory: pytest.TempPathFactory, gone: set[int], later: int) -> None:
    home = tmp_path_factory.mktemp("index")
    index = filled(home, 300)
    with index.writing():
        index.delete(names(*gone))
        if later:
            index.upsert(index.embed([Unit(name, name) for name in names(*range(300, 300 + later))]))
    index.erase_deleted()
    live = {*names(*range(300 + later))} - {*names(*gone)}
    assert held(index, home) == live & {*names(*range(400))}
    assert index.ids() == live
    index.close()
