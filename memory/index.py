"""The vector index: ids and vectors in Chroma, derived from the store and disposable. The only door to chromadb.

What Chroma 1.5.9 needs from us, all of it measured:

- Two writing processes lose vectors in silence unless each opens Chroma anew under one lock: `writing`.
- A reader finds what another process wrote only after it has opened Chroma anew: `version` of `search`.
- Texts given to Chroma stay readable in its files after they were deleted: it is given none.
- Torn files of its graph end the process (SIGSEGV) or make it write tens of gigabytes: `torn` looks first.

Each rebuild begins a new folder, `chroma-1`, `chroma-2`: where files in use cannot be deleted (Windows), a reader in
another process does not keep the new index from being built, only the old one from being deleted, and that is told.
"""

import contextlib
import hashlib
import re
import shutil
import struct
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from memory.errors import Failure, IndexBroken, IndexUnavailable
from memory.files import close_to_others, locked, private_folder

if TYPE_CHECKING:
    from memory.embedding import Embedder

READ_WAIT_S = 5.0  # a writer holds the lock for some tenths of a second; then words must answer alone
WRITE_WAIT_S = 30.0

# Fixed when the collection is made. Of 100 nearest among 10,000 vectors with little structure (384 dimensions) 81 % are
# found at ef_search 100, 90 % at 200, 97 % at 400; of 40,000 with some, 100 % at 500. A query takes 2 to 3 ms. Chroma
# saves its graph after sync_threshold vectors and works the rest into it at each opening: 370 ms at its own 1,000,
# 60 ms at 128, and a long sync takes half the time.
HNSW = {"space": "cosine", "ef_search": 500, "sync_threshold": 128, "batch_size": 100}

PAGE = 5_000  # vectors read or written at once; Chroma takes no more than 5,461

# header.bin of chroma-hnswlib (hnswalg.h, persistDirty), 100 bytes: format, offset of level 0, room for, elements,
# bytes an element; then what is not needed here.
HEADER = struct.Struct("<iQQQQ64x")
FORMAT = 1

Vector = tuple[str, list[float]]


@dataclass(frozen=True, slots=True)
class Unit:
    """What gets one vector. `id` is opaque ("m12"); `text` never reaches the index."""

    id: str
    text: str


class Index:
    """The nearest units to a question. One an app: threads may share it, processes share its folder.

    Whatever fails in Chroma, or in its files, is raised as IndexUnavailable.
    """

    def __init__(self, folder: Path, embedder: "Embedder", lock: Path) -> None:
        """Keep the index under `folder`, which is its own, and take turns with other processes through `lock`."""
        self.folder = folder
        self.collection = collection_name(embedder.name)
        self._embedder = embedder
        self._lock = lock
        self._thread = threading.RLock()
        self._locked = False
        self._system: Any = None
        self._open_collection: Any = None
        self._version: int | None = None

    # ------------------------------------------------------------------ reading

    def search(self, queries: Sequence[str], limit: int, version: int) -> list[list[tuple[str, float]]]:
        """Of each query the nearest units, best first, at most `limit`: (id, cosine similarity from -1 to 1).

        `version` is the number of writes so far. Another than at the last opening makes Chroma be opened anew, which
        takes 60 ms, and 160 ms with 25,000 units. Ids that were deleted meanwhile may still be among them.
        """
        if not queries or limit < 1:
            return [[] for _ in queries]
        vectors = self._embedder(queries)
        with self._thread:
            if self._version == version:
                return self._query(vectors, limit)
            with self._exclusive(READ_WAIT_S):
                self._open()
                found = self._query(vectors, limit)  # loads the graph's files, so no writer may be at them
                self._version = version
                return found

    def count(self) -> int:
        """How many units have a vector."""
        with self._fresh() as collection, self._translated():
            return int(collection.count())

    def ids(self) -> set[str]:
        """The ids of all units that have a vector (60 ms for 40,000)."""
        with self._fresh() as collection, self._translated():
            return set(collection.get(include=[])["ids"])

    def check(self) -> int:
        """Read every vector and return how many there are. Raises IndexUnavailable where one is lost."""
        with self._fresh() as collection, self._translated():
            total = int(collection.count())
            for start in range(0, total, PAGE):
                collection.get(include=["embeddings"], limit=PAGE, offset=start)
            return total

    # ------------------------------------------------------------------ writing

    def embed(self, units: Sequence[Unit]) -> list[Vector]:
        """The units' vectors, for `upsert`. It takes no lock: this is the slow part."""
        vectors = self._embedder([unit.text for unit in units])
        return [(unit.id, vector) for unit, vector in zip(units, vectors, strict=True)]

    @contextlib.contextmanager
    def writing(self) -> Iterator[None]:
        """Be the only one, among threads and processes, who writes: `upsert` and `delete` are for inside only.

        Keep it to one batch of some hundred vectors: others wait. It may not be entered twice. Raises
        IndexUnavailable where another process does not let go within 30 seconds.
        """
        with self._fresh(WRITE_WAIT_S):
            try:
                yield
            finally:
                close_to_others(self.folder)  # Chroma's files come as 0644, if within a folder of 0700

    def upsert(self, vectors: Sequence[Vector]) -> None:
        """Put the vectors in, in place of those of the same ids. What has been put in survives a kill."""
        self._must_write()
        batch = dict(vectors)  # Chroma refuses an id that comes twice
        ids = list(batch)
        with self._translated():
            for start in range(0, len(ids), PAGE):
                part = ids[start : start + PAGE]
                self._open_collection.upsert(ids=part, embeddings=[batch[each] for each in part])

    def delete(self, ids: Sequence[str]) -> None:
        """Take the vectors of these ids out; unknown ids are passed over. Bytes of them stay until `rebuild`."""
        self._must_write()
        with self._translated():
            for start in range(0, len(ids), PAGE):
                self._open_collection.delete(ids=list(ids[start : start + PAGE]))

    def rebuild(self) -> None:
        """Begin anew with an empty index, of whatever state the old one is, and delete the old one's files.

        Raises IndexUnavailable where a file could not be deleted (Windows: in use by another process). The new index
        is there even then.
        """
        with self._thread, self._exclusive(WRITE_WAIT_S):
            self._drop()
            old = generations(self.folder)
            left = [str(error) for error in map(_deleted, old.values()) if error]
            with self._translated():
                private_folder(self.folder)
                (self.folder / f"chroma-{max(old, default=0) + 1}").mkdir(mode=0o700)
        if left:
            raise IndexUnavailable(
                f"The old index could not be deleted: {left[0]}.",
                "Close all sessions, then run `assistant doctor --fix`.",
            )

    def close(self) -> None:
        """Let go of Chroma's files. The next use opens them again."""
        with self._thread:
            self._drop()

    # ------------------------------------------------------------------ Chroma

    @contextlib.contextmanager
    def _fresh(self, wait_s: float = READ_WAIT_S) -> Iterator[Any]:
        """The collection as it is on disk, while no other process opens or writes it."""
        with self._thread, self._exclusive(wait_s):
            self._open()
            yield self._open_collection

    @contextlib.contextmanager
    def _exclusive(self, wait_s: float) -> Iterator[None]:
        if self._locked:
            raise RuntimeError("the index is being written by this very thread")
        with contextlib.ExitStack() as stack:
            with self._translated():
                held = stack.enter_context(locked(self._lock, wait_s=wait_s))
            if not held:
                raise IndexUnavailable("Another process is writing the index.", "Try again in a moment.")
            self._locked = True
            stack.callback(setattr, self, "_locked", False)
            yield

    def _must_write(self) -> None:
        if not self._locked:
            raise RuntimeError("upsert and delete are for inside `with index.writing()`")

    def _open(self) -> None:
        self._drop()
        folder = self.folder / f"chroma-{max(generations(self.folder), default=1)}"
        with self._translated():
            private_folder(self.folder)
            folder.mkdir(mode=0o700, exist_ok=True)
            for segment in folder.iterdir():
                if segment.is_dir() and torn(segment):
                    raise IndexBroken("The index's files are torn.")
            self._system = _started(folder)
            self._open_collection = _client(self._system).get_or_create_collection(
                self.collection, embedding_function=None, configuration={"hnsw": HNSW}
            )

    def _drop(self) -> None:
        system, self._system, self._open_collection, self._version = self._system, None, None, None
        if system is not None:
            system.stop()

    def _query(self, vectors: list[list[float]], limit: int) -> list[list[tuple[str, float]]]:
        with self._translated():
            found = self._open_collection.query(query_embeddings=vectors, n_results=limit, include=["distances"])
        return [
            [(unit, min(1.0, 1 - distance)) for unit, distance in zip(ids, distances, strict=True)]
            for ids, distances in zip(found["ids"], found["distances"], strict=True)
        ]

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        """Chroma's failures as IndexUnavailable; what failed is let go, so that the next try opens it again."""
        try:
            with translated():
                yield
        except IndexUnavailable:
            self._drop()
            raise


def _started(folder: Path) -> Any:
    """A Chroma of its own on this folder: it reads no `.env`, and tells nobody."""
    from chromadb.api.rust import RustBindingsAPI
    from chromadb.config import Settings, System

    settings: dict[str, Any] = {
        "_env_file": None,  # Chroma reads `.env` of the working folder, where a foreign project may name a server
        "chroma_api_impl": "chromadb.api.rust.RustBindingsAPI",
        "chroma_otel_collection_endpoint": "",
        "anonymized_telemetry": False,
        "is_persistent": True,
        "persist_directory": str(folder),
    }
    system = System(Settings(**settings))
    system.instance(RustBindingsAPI)
    system.start()
    return system


def _client(system: Any) -> Any:
    """The system's client. Chroma would hand the system to every later client of the folder, stale as it may be."""
    from chromadb.api.client import Client

    client = Client.from_system(system)
    Client.clear_system_cache()
    return client


@contextlib.contextmanager
def translated() -> Iterator[None]:
    """Raise IndexUnavailable, with one line of reason, for what is known to come out of chromadb.

    ChromaError: all that its Rust part finds wrong in files, versions and dimensions. ValueError: what its Python part
    refuses, settings included. OSError and ImportError: the folder, the package. PanicException: a Rust panic, which
    derives from BaseException and has no module to import it from.
    """
    try:
        from chromadb.errors import ChromaError
    except (ImportError, ValueError, OSError) as error:  # importing it reads the settings, `.env` included
        reason = f"chromadb cannot be loaded: {first_line(error)}."
        raise IndexUnavailable(reason, "Install the assistant again.") from error
    try:
        yield
    except IndexUnavailable:
        raise
    except Failure as error:
        raise IndexUnavailable(error.message, error.remedy) from error
    except (ChromaError, ValueError, OSError, ImportError) as error:
        raise IndexBroken(f"The index cannot be used: {first_line(error)}.") from error
    except BaseException as error:
        if type(error).__name__ != "PanicException":
            raise
        raise IndexBroken(f"The index cannot be used: {first_line(error)}.") from error


def first_line(error: BaseException) -> str:
    """The first 200 characters of what the error says, on one line and without its full stop."""
    return " ".join(str(error).split())[:200].rstrip(".") or type(error).__name__


def collection_name(model: str) -> str:
    """A name that Chroma takes (3 to 512 of a-z A-Z 0-9 . _ -, a letter or digit at both ends), one for each model."""
    readable = re.sub(r"[^a-zA-Z0-9]+", "-", model)[:200].strip("-") or "model"
    return f"{readable}-{hashlib.sha256(model.encode('utf-8', 'surrogatepass')).hexdigest()[:8]}"


def generations(folder: Path) -> dict[int, Path]:
    """The Chroma folders in `folder` by number. The highest is the one in use."""
    found = ((re.fullmatch(r"chroma-(\d{1,9})", path.name), path) for path in folder.glob("chroma-*"))
    return {int(match[1]): path for match, path in found if match}


def torn(segment: Path) -> bool:
    """Whether the files of a saved graph are shorter than their header says, or its links do not end where they must.

    A killed writer, a full disk or a copy cut short leave such files. Chroma itself does not look: it reads past the
    end of what it has. True means: do not open. Files of another format, or not yet saved, are left to Chroma.
    """
    header = segment / "header.bin"
    if not (segment / "index_metadata.pickle").exists() or not header.exists():
        return False
    data = header.read_bytes()
    if len(data) != HEADER.size:
        return True
    layout, _, _, elements, size = HEADER.unpack(data)
    return layout == FORMAT and not (
        (segment / "data_level0.bin").stat().st_size >= elements * size
        and (segment / "length.bin").stat().st_size >= elements * 4
        and _links_end((segment / "link_lists.bin").read_bytes(), elements)
    )


def _links_end(links: bytes, elements: int) -> bool:
    """Whether `links` are as many lists as there are elements, each with its length in bytes before it."""
    place = 0
    for _ in range(elements):
        if place >= len(links):
            return False
        place += 4 + int.from_bytes(links[place : place + 4], "little")
    return place == len(links)


def _deleted(path: Path) -> OSError | None:
    """Delete a folder (or the file in its place); gives the error if that failed."""
    try:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
    except OSError as error:
        return error
    return None
