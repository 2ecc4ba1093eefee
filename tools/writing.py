"""Tools that write text files in the folders the owner allowed, who is shown the whole change as a diff before.

A file is replaced in one step, in its own encoding, with its own line ends and rights. Nothing is deleted or moved.
"""

import os
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tools import usual
from tools.diffs import unified
from tools.encodings import Encoding, editable, encoded, lines_of
from tools.files import MAX_BYTES
from tools.folders import Folders, read_bytes
from tools.tool import Tool, tool
from tools.visible import visible

# Calls of one step run together. Each reads a file and replaces it, which must not come between another's two.
_WRITING = threading.Lock()


@dataclass(frozen=True, slots=True)
class _Change:
    """What a file is to become. `before` is None where there is no file yet."""

    real: Path
    before: str | None
    after: str
    encoding: Encoding

    def shown(self) -> str:
        """The change as its owner judges it: a diff in which nothing is hidden."""
        name = visible(str(self.real)).replace("\n", "␊")
        diff = unified(self.before or "", self.after, "/dev/null" if self.before is None else name, name)
        return visible(diff or f"(a new, empty file: {name})")


def writing_tools(roots: Sequence[Path], closed: Sequence[Path] = ()) -> list[Tool]:
    """Return the tools that write in these folders, and in no `closed` one; without a folder there are none.

    The folders are resolved once, here: a link that is bent later does not widen what the owner allowed.
    """
    if not roots:
        return []
    folders = Folders(roots, closed)

    def write_file(path: str, content: str) -> str:
        """Write a text file in one of the folders the user allowed, a new one or in place of an old one.

        Args:
            path: The file, absolute or relative to an allowed folder. Missing folders are made.
            content: The whole text of the file.

        Raises:
            ValueError: The path or the content cannot be used.
            OSError: The system does not let it be written.
        """
        return _carry_out(lambda: _written(folders, path, content))

    def edit_file(path: str, old: str, new: str) -> str:
        """Replace one passage of a text file in one of the folders the user allowed.

        Args:
            path: The file, absolute or relative to an allowed folder.
            old: The passage as it stands in the file. It must stand there exactly once: give enough lines around it.
            new: What is to stand there instead.

        Raises:
            ValueError: The path cannot be used; the passage is not there, or more than once.
            OSError: The system does not let it be written.
        """
        return _carry_out(lambda: _edited(folders, path, old, new))

    def preview_write(path: str, content: str) -> str:
        return _written(folders, path, content).shown()

    def preview_edit(path: str, old: str, new: str) -> str:
        return _edited(folders, path, old, new).shown()

    # To write over a file tells nothing of it; whether a passage can be replaced tells what is in it.
    return [
        tool(write_file, effects=frozenset({"writes"}), preview=preview_write),
        tool(edit_file, effects=frozenset({"reads", "writes"}), preview=preview_edit),
    ]


# What is to change


def _written(folders: Folders, path: str, content: str) -> _Change:
    """The change of a whole file. Raises ValueError where it cannot or need not be made."""
    real = folders.to_write(path)
    before, encoding = _old(real) if os.path.lexists(real) else _nothing_at(real)
    after = content.replace("\r\n", "\n") if encoding.crlf else content
    if after == before:
        raise ValueError(f"{real.name} holds just that already")
    _check(after, encoding, real)
    return _Change(real, before, after, encoding)


def _edited(folders: Folders, path: str, old: str, new: str) -> _Change:
    """The change of one passage. Raises ValueError where it cannot or need not be made."""
    real = folders.existing(path)
    before, encoding = _old(real)
    if encoding.crlf:
        old, new = old.replace("\r\n", "\n"), new.replace("\r\n", "\n")
    if not old:
        raise ValueError("old is empty; to write a whole file, use write_file")
    if old == new:
        raise ValueError("old and new are the same")
    # Not str.count, which passes over places that overlap.
    if (place := before.find(old)) < 0:
        raise ValueError(f"old does not stand in {real.name}; give it exactly, with its blanks and line ends")
    if before.find(old, place + 1) >= 0:
        raise ValueError(f"old stands more than once in {real.name}; give more of the lines around it")
    after = before[:place] + new + before[place + len(old) :]
    _check(after, encoding, real, added=new)
    return _Change(real, before, after, encoding)


def _old(real: Path) -> tuple[str, Encoding]:
    """The text of a file that is there. Raises ValueError for a large or binary one, or one that is read-only."""
    data, _status = read_bytes(real, MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise ValueError(f"{real.name} is larger than {MAX_BYTES:,} bytes, too large to be changed")
    found = editable(data)
    if found is None:
        raise ValueError(f"{real.name} is a binary file, and only text can be written")
    if not os.access(real, os.W_OK):
        raise ValueError(f"{real.name} is read-only")
    return found


def _nothing_at(real: Path) -> tuple[None, Encoding]:
    """What a new file begins from. Raises ValueError where none can be made."""
    above = next(each for each in real.parents if os.path.lexists(each))
    if not above.is_dir():
        raise ValueError(f"{above.name} is no folder, so nothing can be in it")
    if not os.access(above, os.W_OK):
        raise ValueError(f"{above} is read-only")
    return None, Encoding()


def _check(after: str, encoding: Encoding, real: Path, added: str | None = None) -> None:
    """Raise ValueError for a text that the file cannot hold; `added` is what of it is new."""
    if encoding.guessed and not (after if added is None else added).isascii():
        raise ValueError(f"{real.name} is not UTF-8, and its encoding is not known: only ASCII can be written there")
    if len(encoded(after, encoding)) > MAX_BYTES:
        raise ValueError(f"{real.name} would be larger than {MAX_BYTES:,} bytes")


# Writing


def _carry_out(make: Callable[[], _Change]) -> str:
    """Make the change once more, from what the file holds now, and write it."""
    with _WRITING:
        change = make()
        _replace(change.real, encoded(change.after, change.encoding))
    done = "wrote the new file" if change.before is None else "changed"
    return f"{done} {change.real.name}; lines now: {len(lines_of(change.after)):,}"


def _replace(real: Path, data: bytes) -> None:
    """Write a file beside its place and move it there, so that nobody ever sees half of it."""
    _make_folders(real.parent)
    if os.path.realpath(real) != str(real):
        raise ValueError(f"{real.name} was moved while it was written")
    beside = real.with_name(f".{real.name[:100]}.{os.urandom(4).hex()}.new")
    try:
        with beside.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        _take_rights(beside, real)
        beside.replace(real)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise


def _make_folders(folder: Path) -> None:
    """Make a folder and what is missing above it, with the rights that are usual for their owner."""
    missing = [each for each in (folder, *folder.parents) if not each.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for each in missing:
        usual.grant(each, 0o777)


def _take_rights(beside: Path, real: Path) -> None:
    """Give the new file the owner, the group and the mode of the old one; if there is none, what is usual."""
    try:
        old, new = real.stat(), beside.stat()
    except FileNotFoundError:
        usual.grant(beside, 0o666)
        return
    if hasattr(os, "chown") and (old.st_uid, old.st_gid) != (new.st_uid, new.st_gid):
        os.chown(beside, old.st_uid, old.st_gid)
    beside.chmod(old.st_mode & 0o7777)
