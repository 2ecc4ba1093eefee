"""The byte scan that proves a forgetting: every file of a home, read whole and looked through for needles.

The files are read by a process of its own (`python -m memory.proof`), since to close a SQLite file drops the locks
of all other connections of the process that closes it.
"""

import json
import os
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from memory.errors import Failure
from memory.needles import Key, Needle, digest, from_json, to_json

CHUNK = 1 << 16  # bytes looked through at once: what a processor keeps near; of 1 << 20 it takes twice as long
READ = 1 << 20  # bytes of a file that are read at once
NOT_HERE = ("profiles",)  # other lives, with homes of their own
# Weights and vocabularies: files of the program that are checked by sha256. In a vocabulary any short text is found.
PINNED = ("models", "cache")
PER_FILE = 1000  # finds of one file that are told


@dataclass(frozen=True, slots=True)
class Find:
    """A needle in a file: the path from the home, the byte where it begins, and its digest."""

    path: str
    offset: int
    digest: str


@dataclass(frozen=True, slots=True)
class Scan:
    """What a scan read, found and left out: `unread` could not be read, `skipped` are folders of no concern."""

    files: int
    bytes: int
    found: tuple[Find, ...]
    unread: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()


class Searcher:
    """Looks for the needles of one key in bytes. Its one outside library, numpy, is loaded by the first search."""

    def __init__(self, key: Key, needles: Sequence[Needle]) -> None:
        import numpy

        self._np, self._key = numpy, key
        self._wanted: dict[int, set[str]] = defaultdict(set)
        prints: dict[int, set[int]] = defaultdict(set)
        for one in needles:
            self._wanted[one.length].add(one.digest)
            prints[one.length].add(one.print)
        self._prints = {length: numpy.array(sorted(held), dtype=numpy.uint64) for length, held in prints.items()}
        self._tables = {length: self._table(held) for length, held in self._prints.items()}
        size = CHUNK + max(prints, default=0) + 1
        self._powers = self._geometric(key.base, size)
        self._inverse = self._geometric(pow(key.base, -1, 2**64), size)

    def _table(self, prints: Any) -> Any:
        table = self._np.zeros(1 << 20, dtype=bool)
        table[prints >> self._np.uint64(12)] = True
        return table

    def _geometric(self, base: int, size: int) -> Any:
        powers = self._np.full(size, base, dtype=self._np.uint64)
        powers[0] = 1
        return self._np.multiply.accumulate(powers)

    def __call__(self, data: bytes) -> Iterator[tuple[int, str]]:
        """(offset, digest) of each needle in `data`, which may be of any size."""
        overlap = max(self._wanted, default=1) - 1
        for start in range(0, max(1, len(data)), CHUNK):
            yield from ((start + place, found) for place, found in self._chunk(data[start : start + CHUNK + overlap]))

    def _chunk(self, data: bytes) -> Iterator[tuple[int, str]]:
        np = self._np
        values = np.frombuffer(data, dtype=np.uint8).astype(np.uint64) + np.uint64(1)
        sums = np.zeros(len(data) + 1, dtype=np.uint64)
        np.cumsum(values * self._powers[: len(data)], out=sums[1:])
        for length, prints in self._prints.items():
            if len(data) < length:
                continue
            places = len(data) - length + 1
            found = ((sums[length:] - sums[:places]) * self._inverse[:places]) >> np.uint64(32)
            likely = np.flatnonzero(self._tables[length][found >> np.uint64(12)])  # so that few places are looked up
            at = np.minimum(np.searchsorted(prints, found[likely]), len(prints) - 1)
            for place in likely[prints[at] == found[likely]].tolist():
                told = digest(data[place : place + length], self._key.salt)
                if told in self._wanted[length]:
                    yield place, told


def files_of(home: Path) -> Iterator[Path]:
    """The files under a home, but those of other profiles and pinned weights; links are not followed."""
    for folder, folders, files in os.walk(home):
        if Path(folder) == home:
            folders[:] = [one for one in folders if one not in NOT_HERE + PINNED]
        for name in files:
            path = Path(folder, name)
            if not path.is_symlink() and path.is_file():
                yield path


def search_files(home: Path, searcher: Searcher) -> Scan:
    """Look through all files of a home, in this very process."""
    found, unread, count, size = list[Find](), list[str](), 0, 0
    for path in files_of(home):
        name = path.relative_to(home).as_posix()
        try:
            hits, read = _search_file(path, name, searcher)
        except FileNotFoundError:
            continue  # a lock or a log that went meanwhile
        except OSError:
            unread.append(name)
            continue
        found += hits
        count, size = count + 1, size + read
    skipped = tuple(one for one in PINNED + NOT_HERE if (home / one).is_dir())
    return Scan(count, size, tuple(found), tuple(unread), skipped)


def _search_file(path: Path, name: str, searcher: Searcher) -> tuple[list[Find], int]:
    overlap, start, found = 64, 0, list[Find]()
    with path.open("rb") as file:
        while data := file.read(READ + overlap):
            found += [Find(name, start + place, told) for place, told in searcher(data)][: PER_FILE - len(found)]
            if len(data) < READ + overlap:
                return found, start + len(data)
            start += READ
            file.seek(start)
    return found, start


def scan(home: Path, key: Key, needles: Sequence[Needle]) -> Scan:
    """Look through all files of a home, in a process of its own. Raises Failure where that cannot be started."""
    root = str(Path(__file__).parent.parent)
    ran = subprocess.run(
        [sys.executable, "-c", "from memory.proof import main; main()", str(home)],
        input=to_json(key, needles),
        capture_output=True,
        text=True,
        cwd=root,
        env={**os.environ, "PYTHONPATH": root, "PYTHONUTF8": "1"},
        check=False,
    )
    if ran.returncode:
        raise Failure(f"The files could not be looked through: {ran.stderr.strip()[-200:]}", "Run `assistant forget`.")
    told = json.loads(ran.stdout)
    return Scan(**told | {name: tuple(told[name]) for name in ("unread", "skipped")} | {"found": _finds(told)})


def _finds(told: dict[str, Any]) -> tuple[Find, ...]:
    return tuple(Find(*one) for one in told["found"])


def main() -> None:
    """The process of `scan`: needles as JSON on stdin, the home as argument, what was found as JSON on stdout."""
    key, needles = from_json(sys.stdin.read())
    done = search_files(Path(sys.argv[1]), Searcher(key, needles))
    found = [[one.path, one.offset, one.digest] for one in done.found]
    told = {"files": done.files, "bytes": done.bytes, "found": found, "unread": done.unread, "skipped": done.skipped}
    print(json.dumps(told))
