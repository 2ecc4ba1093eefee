"""Tools that read: a text file, what a folder holds, where a text stands. Only in the folders the owner allowed."""

import mimetypes
import os
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from tools.encodings import decoded, lines_of
from tools.folders import Folders, read_bytes
from tools.tool import Tool, tool

MAX_BYTES = 1024 * 1024  # of a file that is shown from its beginning
MAX_SEARCHED_BYTES = 16 * 1024 * 1024  # of a file that is searched, or shown from a later line
MOST_ENTRIES = 500
MOST_MATCHES = 100
LINE_CHARACTERS = 200  # of a line that matches
SEARCH_S = 10.0


def reading_tools(roots: Sequence[Path], closed: Sequence[Path] = ()) -> list[Tool]:
    """Return the tools that read in these folders, and in no `closed` one; without a folder there are none.

    The folders are resolved once, here: a link that is bent later does not widen what the owner allowed.
    """
    if not roots:
        return []
    folders = Folders(roots, closed)

    def read_file(path: str, first_line: int = 1, lines: int = 0) -> str:
        """Read a text file in one of the folders the user allowed. Of a long one read parts, by their lines.

        Args:
            path: The file, absolute or relative to an allowed folder.
            first_line: The line to begin with; the first is 1.
            lines: How many lines to read; 0 means all that follow.

        Raises:
            ValueError: The path is outside the allowed folders, missing, a folder or no ordinary file.
            OSError: The system does not let it be read.
        """
        real = folders.existing(path)
        return _read(real) if first_line == 1 and lines == 0 else _read_lines(real, first_line, lines)

    def list_files(folder: str = "", pattern: str = "") -> str:
        """List what a folder holds; with a pattern, the files below it whose names match.

        Args:
            folder: The folder, absolute or relative to an allowed folder; empty means the allowed folders themselves.
            pattern: For example "*.md" or "*invoice*"; upper and lower case are the same.

        Raises:
            ValueError: The folder is outside the allowed folders, missing or no folder.
            OSError: The system does not let it be read.
        """
        starts = _starts(folders, folder)
        return _listed(_found(folders, starts, pattern) if pattern else _entries(folders, starts))

    def search_files(text: str, folder: str = "", pattern: str = "") -> str:
        """Find the lines of files that hold a text, in a folder and all below it. Upper and lower case are the same.

        Args:
            text: The text to look for, literally, within one line.
            folder: The folder, absolute or relative to an allowed folder; empty means the allowed folders themselves.
            pattern: Only files whose names match, for example "*.md".

        Raises:
            ValueError: The text is empty or several lines; the folder is outside the allowed folders or missing.
        """
        if not text.strip() or len(text.splitlines()) > 1:
            raise ValueError("give a text of one line to look for")
        return _Search(folders, text).run(_starts(folders, folder), pattern)

    return [tool(each, effects=frozenset({"reads"})) for each in (read_file, list_files, search_files)]


# Reading


def _read(real: Path) -> str:
    """What the model is shown of a file from its beginning."""
    data, status = read_bytes(real, MAX_BYTES + 1)
    if not data:
        return f"({real.name} is empty)"
    size = max(status.st_size, len(data))
    text = _text(real, data[:MAX_BYTES], len(data) <= MAX_BYTES, size)
    if len(data) > MAX_BYTES:
        text += f"\n[... {size - MAX_BYTES:,} bytes left out: the first {MAX_BYTES:,} were read ...]"
    return text


def _text(real: Path, data: bytes, whole: bool, size: int) -> str:
    """The text of a file of `size` bytes that begins with `data`. Where the encoding is a guess, the text says so."""
    found = decoded(data, whole)
    if found is None:
        kind = mimetypes.guess_type(real.name)[0] or "unknown kind"
        return f"({real.name} is a binary file of {size:,} bytes, {kind}; its content is not shown)"
    text, encoding = found
    return f"[not UTF-8, so read as latin-1]\n{text}" if encoding.guessed else text


def _read_lines(real: Path, first: int, count: int) -> str:
    """Some lines of a file, below a line that says which of how many."""
    if first < 1 or count < 0:
        raise ValueError("first_line begins at 1, and lines cannot be negative")
    data, status = read_bytes(real, MAX_SEARCHED_BYTES)
    whole = status.st_size <= len(data)
    found = decoded(data, whole)
    if found is None:
        return _text(real, data, whole, status.st_size)
    every = lines_of(found[0])
    if first > len(every):
        raise ValueError(f"{real.name} has {len(every):,} lines{'' if whole else ' that can be read'}")
    last = min(len(every), first - 1 + count) if count else len(every)
    some = "\n".join(every[first - 1 : last])
    return f"[lines {first:,} to {last:,} of {len(every):,}{'' if whole else ' or more'}]\n{some[:MAX_BYTES]}"


# Listing


def _starts(folders: Folders, folder: str) -> list[Path]:
    """The folders that are meant. Raises ValueError for what is none."""
    if not folder.strip():
        return [root for root in folders.roots if root.is_dir()]
    real = folders.existing(folder)
    if not real.is_dir():
        raise ValueError(f'"{folder}" is a file, no folder')
    return [real]


def _entries(folders: Folders, starts: Sequence[Path]) -> Iterator[str]:
    """A line for each folder and file in `starts`, folders first."""
    for start in starts:
        with os.scandir(start) as scanned:
            entries = [entry for entry in scanned if folders.holds(Path(entry.path))]
        for entry in sorted(entries, key=lambda one: (not one.is_dir(), one.name)):
            name = _line(folders.named(start / entry.name))
            yield f"{name}/" if entry.is_dir() else f"{name} ({_size(Path(entry.path))})"


def _found(folders: Folders, starts: Sequence[Path], pattern: str) -> Iterator[str]:
    """A line for each file in `starts` and below whose name matches."""
    unread: list[OSError] = []
    for path in _files(folders, starts, pattern, unread.append):
        yield f"{_line(folders.named(path))} ({_size(path)})"
    if unread:
        yield f"[{len(unread):,} folders could not be read]"


def _files(folders: Folders, starts: Sequence[Path], pattern: str, unread: Callable[[OSError], None]) -> Iterator[Path]:
    """The files in `starts` and below, each once, whose names match. `unread` is told of folders that cannot be read.

    Raises ValueError for a pattern with folders, _TimeUpError after SEARCH_S.
    """
    if "/" in pattern or "**" in pattern:
        raise ValueError('a pattern is for the names of files, such as "*.md"; name the folder apart')
    until = time.monotonic() + SEARCH_S
    seen = set()
    for path in (path for start in starts for path in folders.walk(start, unread)):
        if time.monotonic() > until:
            raise _TimeUpError
        if _matches(path.name, pattern) and path not in seen:
            seen.add(path)
            yield path


class _TimeUpError(Exception):
    """A walk through folders took longer than it may."""


def _matches(name: str, pattern: str) -> bool:
    from fnmatch import fnmatchcase

    return not pattern or fnmatchcase(name.casefold(), pattern.casefold())


def _size(path: Path) -> str:
    try:
        return f"{path.stat().st_size:,} bytes"
    except OSError:
        return "cannot be read"


def _line(name: str) -> str:
    """A file's name, which may hold anything, on one line."""
    return "".join(each if each.isprintable() else "�" for each in name)


def _listed(lines: Iterator[str]) -> str:
    """The lines, up to as many as are shown, and where the walk was stopped."""
    shown: list[str] = []
    try:
        for line in lines:
            if len(shown) == MOST_ENTRIES:
                shown.append(f"[stopped after {MOST_ENTRIES} entries: name a folder below or a pattern]")
                break
            shown.append(line)
    except _TimeUpError:
        shown.append(f"[stopped after {SEARCH_S:g} s: name a folder below]")
    return "\n".join(shown) or "(nothing there)"


# Searching


class _Search:
    """One search: the lines found so far, and what was left out."""

    def __init__(self, folders: Folders, text: str) -> None:
        self._folders = folders
        self._wanted = text.lower()
        self._found: list[str] = []
        self._looked = self._skipped = 0

    def run(self, starts: Sequence[Path], pattern: str) -> str:
        """What was found, a line each as "path:line: text", and below it what was not looked at."""
        notes = []
        try:
            for path in _files(self._folders, starts, pattern, self._unread):
                self._look(path)
                if len(self._found) >= MOST_MATCHES:
                    notes.append(f"[stopped after {MOST_MATCHES} lines: look for something rarer, or in a folder]")
                    break
        except _TimeUpError:
            notes.append(f"[stopped after {SEARCH_S:g} s: name a folder or a pattern]")
        if not self._found:
            notes.insert(0, f"(not found in {self._looked:,} text files)")
        if self._skipped:
            notes.append(f"[{self._skipped:,} files or folders could not be read, or not to their end]")
        return "\n".join([*self._found[:MOST_MATCHES], *notes])

    def _unread(self, _error: OSError) -> None:
        self._skipped += 1

    def _look(self, path: Path) -> None:
        """Look into one file. A binary one is passed over; so is one that cannot be read, and it is counted."""
        try:
            data, status = read_bytes(self._folders.existing(str(path)), MAX_SEARCHED_BYTES)
        except (OSError, ValueError):
            self._skipped += 1
            return
        self._skipped += status.st_size > len(data)
        if found := decoded(data, whole=False):
            self._looked += 1
            self._found += self._lines(path, found[0])

    def _lines(self, path: Path, text: str) -> list[str]:
        if self._wanted not in text.lower():
            return []
        name = _line(self._folders.named(path))
        return [
            f"{name}:{number}: {self._excerpt(line)}"
            for number, line in enumerate(lines_of(text), 1)
            if self._wanted in line.lower()
        ]

    def _excerpt(self, line: str) -> str:
        """A line, or of a long one the stretch around what was found."""
        line = line.strip()
        if len(line) <= LINE_CHARACTERS:
            return line
        start = max(0, line.lower().find(self._wanted) - LINE_CHARACTERS // 4)
        end = start + LINE_CHARACTERS
        return f"{'…' if start else ''}{line[start:end]}{'…' if end < len(line) else ''}"
