"""Private folders and files, and locks between processes: 0700 and 0600 where the platform has such modes."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from memory.errors import Failure


def private_folder(path: Path) -> Path:
    """Make `path`, and what is missing above it, a folder that only its owner may enter, and return it."""
    try:
        for missing in reversed([each for each in path.parents if not each.exists()]):
            missing.mkdir(mode=0o700, exist_ok=True)
        path.mkdir(mode=0o700, exist_ok=True)
        if path.stat().st_mode & 0o077:
            path.chmod(0o700)
    except OSError as error:
        raise Failure(
            f"Cannot use the folder {path}: {error.strerror}.", "Choose another with ASSISTANT_HOME."
        ) from error
    return path


def private_file(path: Path) -> Path:
    """Make sure that `path` exists and only its owner may read it, and return it.

    What exists is not opened: to close a SQLite file drops the locks of all other connections of the process (POSIX
    locks), and another process that then thinks itself alone deletes the write-ahead log under them.
    """
    private_folder(path.parent)
    try:
        with contextlib.suppress(FileExistsError):
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        if path.stat().st_mode & 0o077:
            path.chmod(0o600)
    except OSError as error:
        raise Failure(f"Cannot write {path}: {error.strerror}.", "Check the folder's owner and free space.") from error
    return path


def close_to_others(folder: Path) -> None:
    """Take every right from group and others on all that lies under `folder` (libraries write files of their own)."""
    for path in [folder, *folder.rglob("*")]:
        with contextlib.suppress(FileNotFoundError):
            if not path.is_symlink() and path.stat().st_mode & 0o077:
                path.chmod(0o700 if path.is_dir() else 0o600)


@contextlib.contextmanager
def locked(path: Path, *, wait_s: float = -1) -> Iterator[bool]:
    """Hold the lock file `path` between processes; yields whether it is held.

    `wait_s` seconds at the most (-1: for ever, 0: not at all). The system frees the lock when its process dies.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(private_file(path), timeout=wait_s, mode=0o600)
    try:
        lock.acquire()
    except Timeout:
        yield False
        return
    try:
        yield True
    finally:
        lock.release()
