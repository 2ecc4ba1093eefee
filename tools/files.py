"""Reading text files, and only in the folders the owner allowed."""

import codecs
import mimetypes
import os
import re
import stat
from collections.abc import Sequence
from pathlib import Path

from tools.tool import Tool, tool

MAX_BYTES = 1024 * 1024

# Nothing is opened through a link, and nothing that would make us wait. Not every system has all of these.
_OPEN_FLAGS = os.O_RDONLY
for _name in ("O_NOFOLLOW", "O_NONBLOCK", "O_NOCTTY", "O_BINARY"):
    _OPEN_FLAGS |= getattr(os, _name, 0)

# UTF-32 first: its mark begins with that of UTF-16.
_MARKS = {
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
_CONTROL = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f]")


def files_tool(roots: Sequence[Path]) -> list[Tool]:
    """Return the tool that reads files in these folders; without a folder there is no such tool.

    The folders are resolved once, here: a link that is bent later does not widen what the owner allowed.
    """
    if not roots:
        return []
    allowed = [Path(os.path.realpath(root.expanduser())) for root in roots]

    def read_file(path: str) -> str:
        """Read a text file in one of the folders the user allowed. It cannot list folders.

        Args:
            path: The file, absolute or relative to an allowed folder.

        Raises:
            ValueError: The path is outside the allowed folders, missing, a folder or no ordinary file.
            OSError: The system does not let it be read.
        """
        return _read(_located(path, allowed))

    return [tool(read_file, effects=frozenset({"reads"}))]


# Where it lies


def _located(path: str, roots: Sequence[Path]) -> Path:
    """Return the real path of a file in a root, or raise ValueError.

    Links and ".." are resolved before the check. Nothing is said about what exists outside.
    """
    if not path.strip():
        raise ValueError("the path is empty")
    inside = [real for real in _candidates(path, roots) if any(real.is_relative_to(root) for root in roots)]
    if not inside:
        raise ValueError(f'"{path}" is outside the allowed folders: {", ".join(map(str, roots))}')
    for real in inside:
        if os.path.lexists(real):
            return real
    raise ValueError(f'there is no file "{path}" in the allowed folders: {", ".join(map(str, roots))}')


def _candidates(path: str, roots: Sequence[Path]) -> list[Path]:
    try:
        wanted = Path(path).expanduser()
    except RuntimeError as error:
        raise ValueError(f'"{path}" names the home of an unknown user') from error
    # An absolute path stays itself under every root. realpath, unlike Path.resolve, does not raise for a loop of links.
    return [Path(os.path.realpath(root / wanted)) for root in roots]


# What is in it


def _read(real: Path) -> str:
    # Checked before it is opened, for to open a device or a pipe may already do something; and once more when it is
    # open, for the name may have come to mean another file meanwhile.
    _check_ordinary(real, os.lstat(real))
    with os.fdopen(os.open(real, _OPEN_FLAGS), "rb") as file:
        status = os.fstat(file.fileno())
        _check_ordinary(real, status)
        if os.path.realpath(real) != str(real):
            raise ValueError(f"{real.name} was moved while it was opened")
        data = file.read(MAX_BYTES + 1)
    return _shown(real.name, data, max(status.st_size, len(data)))


def _check_ordinary(real: Path, status: os.stat_result) -> None:
    if stat.S_ISDIR(status.st_mode):
        raise ValueError(f"{real.name} is a folder; name a file in it")
    if not stat.S_ISREG(status.st_mode):
        raise ValueError(f"{real.name} is no ordinary file")


def _shown(name: str, data: bytes, size: int) -> str:
    """Return what the model is shown of a file of `size` bytes that begins with `data`."""
    if not data:
        return f"({name} is empty)"
    kept = data[:MAX_BYTES]
    text = _decoded(kept, whole=len(kept) == len(data))
    if text is None:
        kind = mimetypes.guess_type(name)[0] or "unknown kind"
        return f"({name} is a binary file of {size:,} bytes, {kind}; its content is not shown)"
    if len(kept) < len(data):
        text += f"\n[... {size - MAX_BYTES:,} bytes left out: the first {MAX_BYTES:,} were read ...]"
    return text


def _decoded(data: bytes, whole: bool) -> str | None:
    """Return the text of a file, or None if it is binary. Where the encoding is a guess, the text says so."""
    marked = next((encoding for mark, encoding in _MARKS.items() if data.startswith(mark)), None)
    text = _strict(data, marked or "utf-8", whole)
    if text is not None:
        return None if "\0" in text else text
    if marked or _CONTROL.search(data):
        return None
    return f"[not UTF-8, so read as latin-1]\n{data.decode('latin-1')}"


def _strict(data: bytes, encoding: str, whole: bool) -> str | None:
    try:
        # Not `whole`: the cut may go through a character, whose first bytes are then dropped.
        return codecs.getincrementaldecoder(encoding)().decode(data, final=whole)
    except UnicodeDecodeError:
        return None  # an answer, not a fault: it is some other encoding
