"""The vector index: ids and vectors in Chroma, derived from the store and disposable. The only door to chromadb.

What Chroma 1.5.9 needs from us, all of it measured:

- Two writing processes lose vectors in silence unless each, under one lock, opens Chroma anew where the other has
  written since: `writing`. A mark that each sets before his first write says so, however he ended.
- A reader finds what another process wrote only after it has opened Chroma anew: `version` of `search`.
- An id that is put in over itself can cut its neighbours off: in 5 of 700 runs of three small upserts some vector was
  found by no query any more, however many were asked for; taken out before, in none. `upsert` takes it out.
- Texts given to Chroma stay readable in its files after they were deleted: it is given none.
- Torn files of its graph end the process (SIGSEGV) or make it write tens of gigabytes: `torn` looks first.

Each embedding model has a folder of its own, named like its collection: Chroma leaves the graph of a deleted
collection on the disk, and a broken index must not take another with it. In it each rebuild begins a new folder,
`chroma-1`, `chroma-2`: where files in use cannot be deleted (Windows), a reader in another process does not keep the
new index from being built, only the old one from being deleted, and that is told.
"""

import contextlib
import hashlib
import json
import os
import re
import shutil
import sqlite3
import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from memory import graphfiles
from memory.embedding import scale_of
from memory.errors import Failure, IndexBroken, IndexUnavailable
from memory.files import close_to_others, locked, private_file, private_folder
from memory.graphfiles import DATABASE, UnknownFormat, torn

if TYPE_CHECKING:
    from memory.embedding import Embedder

READ_WAIT_S = 5.0  # a writer holds the lock for some tenths of a second; then words must answer alone
WRITE_WAIT_S = 30.0

# Fixed when the collection is made. Of 100 nearest among 10,000 vectors with little structure (384 dimensions) 81 % are
# found at ef_search 100, 90 % at 200, 97 % at 400; of 40,000 with some, 100 % at 500. A query takes 2 to 3 ms. Chroma
# saves its graph after sync_threshold vectors and works the rest into it at each opening: 370 ms at its own 1,000,
# 60 ms at 128, and a long sync takes half the time.
HNSW = {"space": "cosine", "ef_search": 500, "sync_threshold": 128, "batch_size": 100}

MARK, MAKING = "mark", "making"
SPACE = {"tenant": "default_tenant", "database": "default_database"}  # what Chroma makes in a new folder
CHROMAS = {"chromadb.errors", "PanicException"}  # the module or name of what is raised
# Signs of what is wrong outside the index: it is not broken, and to build it anew would throw all vectors away.
OUTSIDE = {
    r"disk is full|no space left": "Free some disk space.",
    r"readonly|read-only|permission denied": "Make the assistant's folder writable.",
    r"too many open files": "Close some programs, then try again.",
    r"database is locked": "Another program has it open; close that.",
}
OPEN_GRAPHS = 10  # as many graphs Chroma may keep in memory; a folder holds one

PAGE = 5_000  # vectors read or written at once; Chroma takes no more than 5,461
PART = 1_000  # the same where somebody watches: some seconds
DEAD = 0.1  # the share of vectors up to which deleted ones are written over, and the graph is not made anew

Vector = tuple[str, list[float]]
Progress = Callable[[int, int], None]  # (done, total) vectors


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
        """Keep the index in a folder of its own under `folder`, and take turns with all others through `lock`.

        `folder` holds indexes and nothing else: `delete_others` deletes what is not this one's.
        """
        self.model = embedder.name
        self.collection = collection_name(embedder.name)
        self.folder = folder / self.collection
        self._embedder = embedder
        self.native = bool(getattr(embedder, "native", False))
        self._scale = scale_of(embedder)
        self._lock = lock
        self._thread = threading.RLock()
        self._locked = False
        self._open_collection: _Collection | None = None
        self._state: tuple[Path, bytes] | None = None  # of the files, as the open collection knows them
        self._version: int | None = None

    # ------------------------------------------------------------------ reading

    def search(self, queries: Sequence[str], limit: int, version: int) -> list[list[tuple[str, float]]]:
        """Of each query the nearest units, best first, at most `limit`: (id, cosine similarity from -1 to 1).

        The cosine is put on the scale of MiniLM's, whichever model it comes from (embedding.Scale).
        `version` is the number of writes so far. Where it is another than at the last search, Chroma is opened anew if
        another process wrote: 30 ms, and 500 ms with 230,000 units. Ids deleted meanwhile may still be among them.
        """
        if not queries or limit < 1:
            return [[] for _ in queries]
        vectors = self._embedder(queries)
        with self._thread:
            if self._version == version:
                return self._query(vectors, limit)
            with self._fresh(READ_WAIT_S):
                found = self._query(vectors, limit)  # loads the graph's files, so no writer may be at them
                self._version = version
                return found

    def count(self) -> int:
        """How many units have a vector."""
        with self._fresh() as collection, self._translated():
            return collection.count()

    def ids(self) -> set[str]:
        """The ids of all units that have a vector (60 ms for 40,000)."""
        with self._fresh() as collection, self._translated():
            return set(collection.ids())

    def check(self) -> int:
        """Read every vector and return how many there are. Raises IndexUnavailable where one is lost."""
        with self._fresh() as collection, self._translated():
            total = collection.count()
            for start in range(0, total, PAGE):
                collection.read(PAGE, start)
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
            with self._translated():
                set_mark(self._newest())
            try:
                yield
            finally:
                close_to_others(self.folder)  # Chroma's files come as 0644, if within a folder of 0700

    def upsert(self, vectors: Sequence[Vector]) -> None:
        """Put the vectors in, in place of those of the same ids. What has been put in survives a kill."""
        collection = self._must_write()
        batch = dict(vectors)  # Chroma refuses an id that comes twice
        ids = list(batch)
        with self._translated():
            for start in range(0, len(ids), PAGE):
                part = ids[start : start + PAGE]
                if known := collection.known(part):
                    collection.nearest([batch[part[0]]], 1)  # refuses another dimension, before anything is gone
                    collection.delete(known)  # its graph can lose neighbours of what is put in over itself
                collection.upsert(part, [batch[each] for each in part])

    def delete(self, ids: Sequence[str]) -> None:
        """Take the vectors of these ids out; unknown ids are passed over. Bytes stay until `erase_deleted`."""
        collection = self._must_write()
        with self._translated():
            for start in range(0, len(ids), PAGE):
                collection.delete(list(ids[start : start + PAGE]))

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

    def erase_deleted(self, progress: Progress = lambda _done, _total: None) -> None:
        """Take the bytes of deleted vectors, and what is left of earlier folders, off the disk.

        A few are written over (2 s of 230,000 vectors). Where they are many the index is written anew with those that
        it holds, of which `progress` is told. Killed half-way it is to be done again. Raises IndexUnavailable.
        """
        with self._fresh(WRITE_WAIT_S) as collection, self._translated():
            live, folder = collection.ids(), self._newest()
            set_mark(folder)
            try:
                del collection
                self._drop()  # Chroma must have let go of its files
                done = graphfiles.erase(folder, live, DEAD)
            except UnknownFormat:
                done = False
            if not done:
                folder = self._written_anew(folder, len(live), progress)
            for path in [self.folder / MAKING, *generations(self.folder).values()]:
                if path != folder and path.exists():
                    shutil.rmtree(path)
            close_to_others(self.folder)

    def _written_anew(self, folder: Path, total: int, progress: Progress) -> Path:
        """A new folder with all vectors of this one. A kill leaves the old one in use."""
        making = self.folder / MAKING
        if making.exists():
            shutil.rmtree(making)
        making.mkdir(mode=0o700)
        old, fresh = _Collection(folder, self.collection), _Collection(making, self.collection)
        for start in range(0, total, PART):
            fresh.upsert(*old.vectors(PART, start))
            progress(min(start + PART, total), total)
        del old, fresh
        set_mark(making)
        return making.rename(self.folder / f"chroma-{max(generations(self.folder)) + 1}")

    def others(self) -> list[Path]:
        """What lies beside this index: those of other models, or what is left of them."""
        return sorted(path for path in self.folder.parent.glob("*") if path != self.folder)

    def delete_others(self, but: Collection[str] = ()) -> list[OSError]:
        """Delete what lies beside this index, inside `writing` only; gives the errors (Windows: a file in use).

        `but` are collections that stay.
        """
        self._must_write()
        return [error for error in map(_deleted, (one for one in self.others() if one.name not in but)) if error]

    def close(self) -> None:
        """Let go of Chroma's files. The next use opens them again."""
        with self._thread:
            self._drop()

    # ------------------------------------------------------------------ Chroma

    @contextlib.contextmanager
    def _fresh(self, wait_s: float = READ_WAIT_S) -> Iterator["_Collection"]:
        """The collection as it is on disk, while no other process opens or writes it."""
        with self._thread, self._exclusive(wait_s):
            folder = self._newest()
            if self._open_collection is None or self._state != (folder, mark(folder)):
                self._open(folder)
            assert self._open_collection is not None
            try:
                yield self._open_collection
            finally:
                self._state = (folder, mark(folder))

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

    def _must_write(self) -> "_Collection":
        if not self._locked or self._open_collection is None:
            raise RuntimeError("upsert and delete are for inside `with index.writing()`")
        return self._open_collection

    def _newest(self) -> Path:
        return self.folder / f"chroma-{max(generations(self.folder), default=1)}"

    def _open(self, folder: Path) -> None:
        self._drop()
        with self._translated():
            private_folder(self.folder)
            folder.mkdir(mode=0o700, exist_ok=True)
            for segment in folder.iterdir():
                if segment.is_dir() and torn(segment):
                    raise IndexBroken("The index's files are torn.")
            private_file(folder / DATABASE)  # Chroma would make it 0644, and a kill would leave it so
            self._open_collection = _Collection(folder, self.collection)

    def _drop(self) -> None:
        self._open_collection = self._version = None

    def _query(self, vectors: list[list[float]], limit: int) -> list[list[tuple[str, float]]]:
        assert self._open_collection is not None
        with self._translated():
            found = self._open_collection.nearest(vectors, limit)
        return [[(unit, self._scale(1 - distance)) for unit, distance in one] for one in found]

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        """Chroma's failures as IndexUnavailable; what failed is let go, so that the next try opens it again."""
        try:
            with translated():
                yield
        except IndexUnavailable:
            self._drop()
            raise


class _Collection:
    """One collection in a Chroma folder, by the Rust part of chromadb alone.

    chromadb's client in Python does no more here than to hand each call on. But it takes 0.5 s of CPU to import, which
    is half of a recall; it reads `.env` of the working folder, where a foreign project may name a server; and it gives
    all clients of a process the same view of a folder, stale as that may be.
    """

    def __init__(self, folder: Path, name: str) -> None:
        """Open the folder, and make the collection if it is not there yet."""
        from chromadb_rust_bindings import Bindings, MigrationHash, MigrationMode, SqliteDBConfig

        database = SqliteDBConfig(MigrationHash.MD5, MigrationMode.Apply, str(folder / DATABASE))
        self._bindings = Bindings(False, database, OPEN_GRAPHS, str(folder))  # False: it cannot be reset
        configuration = json.dumps({"hnsw": HNSW, "embedding_function": {"type": "legacy"}})  # legacy: none
        self._id = str(self._bindings.create_collection(name, configuration, get_or_create=True, **SPACE).id)

    def count(self) -> int:
        return int(self._bindings.count(self._id, **SPACE))

    def ids(self) -> list[str]:
        ids: list[str] = self._bindings.get(self._id, include=[], **SPACE).ids
        return ids

    def known(self, ids: list[str]) -> list[str]:
        """Those of the ids that have a vector."""
        found: list[str] = self._bindings.get(self._id, ids=ids, include=[], **SPACE).ids
        return found

    def read(self, limit: int, offset: int) -> None:
        """Read so many vectors; Chroma raises where one is lost."""
        self._bindings.get(self._id, limit=limit, offset=offset, include=["embeddings"], **SPACE)

    def vectors(self, limit: int, offset: int) -> tuple[list[str], list[list[float]]]:
        """So many ids and their vectors."""
        found = self._bindings.get(self._id, limit=limit, offset=offset, include=["embeddings"], **SPACE)
        return found.ids, found.embeddings

    def nearest(self, vectors: list[list[float]], limit: int) -> list[list[tuple[str, float]]]:
        """Of each vector the nearest, best first: (id, cosine distance)."""
        found = self._bindings.query(self._id, None, vectors, limit, include=["distances"], **SPACE)
        return [list(zip(ids, far, strict=True)) for ids, far in zip(found.ids, found.distances, strict=True)]

    def upsert(self, ids: list[str], vectors: list[list[float]]) -> None:
        self._bindings.upsert(self._id, ids, vectors, **SPACE)

    def delete(self, ids: list[str]) -> None:
        self._bindings.delete(self._id, ids, **SPACE)


@contextlib.contextmanager
def translated() -> Iterator[None]:
    """Raise IndexUnavailable, with one line of reason, for what is known to come out of chromadb.

    The errors of chromadb.errors: all that is wrong in files, versions and dimensions; importing them would cost what
    the Rust part alone is to save. ValueError, OSError and sqlite3.Error: arguments, the folder, its database.
    PanicException: a Rust panic, which derives from BaseException and has no module to import it from.
    """
    try:
        yield
    except IndexUnavailable:
        raise
    except Failure as error:
        raise IndexUnavailable(error.message, error.remedy) from error
    except ImportError as error:
        reason = f"chromadb cannot be loaded: {first_line(error)}."
        raise IndexUnavailable(reason, "Install the assistant again.") from error
    except BaseException as error:
        kind = type(error)
        if not (isinstance(error, ValueError | OSError | sqlite3.Error) or {kind.__module__, kind.__name__} & CHROMAS):
            raise
        reason = f"The index cannot be used: {first_line(error)}."
        for sign, remedy in OUTSIDE.items():
            if re.search(sign, reason, re.IGNORECASE):
                raise IndexUnavailable(reason, remedy) from error
        raise IndexBroken(reason) from error


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


def mark(folder: Path) -> bytes:
    """The mark of who wrote last to the Chroma in `folder`; empty if nobody has.

    It is a file of its own: to open Chroma's database here and close it would drop the locks that Chroma holds on it
    (POSIX locks), and a file's time may be the same for two writes within some milliseconds.
    """
    try:
        return (folder / MARK).read_bytes()
    except OSError:
        return b""


def set_mark(folder: Path) -> None:
    """Mark that the Chroma in `folder` is about to be written."""
    private_file(folder / MARK).write_bytes(os.urandom(16))


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
