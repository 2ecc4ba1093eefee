"""The files in which Chroma keeps its graph of vectors: whether they are whole, and vectors in them written over.

`header.bin` of chroma-hnswlib (hnswalg.h, persistDirty) has 100 bytes: format, offset of level 0, room for, elements,
bytes an element, and where in an element its label and its vector stand; then what is not needed here. An element of
`data_level0.bin` is its links, its vector, its label. `index_metadata.pickle` says which id has which label.
"""

import contextlib
import mmap
import pickle
import re
import sqlite3
import struct
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import IO, Any, NamedTuple

HEADER = struct.Struct("<iQQQQQQ48x")
FORMAT = 1
LABEL = struct.Struct("<Q")
ZEROS = re.compile(rb"\0*")
DATABASE = "chroma.sqlite3"


class Header(NamedTuple):
    """What `header.bin` says, in bytes but for `format` and `elements`."""

    format: int
    offset: int
    room: int
    elements: int
    size: int
    label: int
    vector: int


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
    head = Header(*HEADER.unpack(data))
    return head.format == FORMAT and not (
        (segment / "data_level0.bin").stat().st_size >= head.elements * head.size
        and (segment / "length.bin").stat().st_size >= head.elements * 4
        and links_end((segment / "link_lists.bin").read_bytes(), head.elements)
    )


def links_end(links: bytes, elements: int) -> bool:
    """Whether `links` are as many lists as there are elements, each with its length in bytes before it.

    Most are empty: a run of them is one step (2 ms for 230,000 elements, where one by one takes 45).
    """
    place = 0
    while elements > 0 and place < len(links):
        empty = (_zeros(links, place) - place) // 4
        elements -= empty or 1
        place += 4 * empty or 4 + int.from_bytes(links[place : place + 4], "little")
    return elements == 0 and place == len(links)


def _zeros(data: bytes, start: int) -> int:
    """Where the zeros that begin at `start` end."""
    found = ZEROS.match(data, start)
    return found.end() if found else start


class UnknownFormat(Exception):
    """The files are not as this version of Chroma writes them."""


def erase(folder: Path, live: Collection[str], most: float) -> bool:
    """Write zeros over the vectors of all ids but `live`, in the graph and in the database beside it, and vacuum that.

    Chroma may not have the folder open. A deleted vector stays a way through the graph, and as zeros it is a bad one:
    False, with nothing done, where more than the share `most` of the vectors would be. Of 230,000 vectors it takes
    some seconds. Raises UnknownFormat, OSError, sqlite3.Error.
    """
    segments = [one for one in folder.iterdir() if (one / "index_metadata.pickle").exists()]
    for segment in segments:
        head, dead = _dead(segment, set(live))
        if len(dead) > most * head.elements:
            return False
        _write_over(segment, head, dead)
    _clean_queue(folder / DATABASE, set(live))
    return True


def _dead(segment: Path, live: set[str]) -> tuple[Header, list[int]]:
    """The numbers of the elements that belong to no live id."""
    data = (segment / "header.bin").read_bytes()
    head = Header(*HEADER.unpack(data)) if len(data) == HEADER.size else None
    if head is None or head.format != FORMAT or not head.vector < head.label <= head.size - LABEL.size:
        raise UnknownFormat(str(segment))
    labels = _labels(segment)
    wanted = {label for name, label in labels.items() if name in live}
    with _mapped(segment / "data_level0.bin", head) as level:
        found = (LABEL.unpack_from(level, place * head.size + head.label)[0] for place in range(head.elements))
        return head, [place for place, label in enumerate(found) if label not in wanted]


def _labels(segment: Path) -> dict[str, int]:
    try:
        with (segment / "index_metadata.pickle").open("rb") as file:
            labels: dict[str, int] = _Plain(file).load()["id_to_label"]
            return labels
    except (pickle.UnpicklingError, EOFError, KeyError, TypeError) as error:
        raise UnknownFormat(str(segment)) from error


class _Plain(pickle.Unpickler):
    """Reads dictionaries, texts and numbers, and runs nothing."""

    def find_class(self, module: str, name: str) -> Any:
        raise pickle.UnpicklingError(f"{module}.{name}")


def _write_over(segment: Path, head: Header, dead: Iterable[int]) -> None:
    zeros = bytes(head.label - head.vector)
    with _mapped(segment / "data_level0.bin", head) as level:
        for place in dead:
            start = place * head.size + head.vector
            level[start : start + len(zeros)] = zeros
        level.flush()


@contextlib.contextmanager
def _mapped(path: Path, head: Header) -> Any:
    with path.open("r+b") as file:
        if not head.elements or _size(file) < head.elements * head.size:
            if head.elements:
                raise UnknownFormat(str(path))
            yield memoryview(bytearray())
            return
        with mmap.mmap(file.fileno(), 0) as level:
            yield level


def _size(file: IO[bytes]) -> int:
    return file.seek(0, 2)


def _clean_queue(database: Path, live: set[str]) -> None:
    """Take vectors of other ids out of the database: Chroma keeps there what it has not yet worked into the graph.

    The rows stay, since Chroma reads them again when it opens the folder.
    """
    with contextlib.closing(sqlite3.connect(database, isolation_level=None)) as connection:
        connection.execute("PRAGMA secure_delete = ON")
        rows = connection.execute("SELECT seq_id, id FROM embeddings_queue WHERE vector IS NOT NULL").fetchall()
        connection.executemany(
            "UPDATE embeddings_queue SET vector = zeroblob(length(vector)) WHERE seq_id = ?",
            [(seq,) for seq, name in rows if name not in live],
        )
        connection.execute("VACUUM")
