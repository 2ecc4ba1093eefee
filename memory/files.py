"""Private folders and files, and locks between processes: 0700 and 0600 where the platform has such modes."""

import contextlib
import os
import stat
from collections.abc import Collection, Iterator
from pathlib import Path

from memory.errors import Failure

PROFILES = "profiles"  # in the home the folder of other lives, each a home of its own
SHARED = ("models", "cache")  # in the home what holds nothing of its owner's


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


def own_home(home: Path) -> Path:
    """Make the home a private folder, and return it. It may be a link itself: that is its owner's choice.

    Raises Failure where `check_home` does.
    """
    check_home(home)
    private_folder(home)
    check_links(home)  # those that nobody could see before
    return home


def check_home(home: Path) -> None:
    """Raise Failure where the home is another user's, or has bad links. Nothing is made: settings are read after it."""
    try:
        found = home.stat()
    except OSError:
        return  # there is none yet, or it cannot be seen: who makes or opens it is told
    if os.name == "posix" and found.st_uid != os.geteuid():
        raise Failure(f"{home} belongs to another user.", "Choose another with ASSISTANT_HOME.")
    check_links(home)


def check_links(home: Path) -> None:
    """Raise Failure where a link in the home leads out of it: what is written there would land where nobody looks.

    Weights and vocabularies are read-only data, so they may lie elsewhere; another life is checked when it is used.
    """
    for entry in _links(home, (*SHARED, PROFILES)):
        link = Path(entry.path)
        shared = link.parent == home and entry.name in SHARED
        if not shared and not link.resolve().is_relative_to(home.resolve()):
            raise Failure(f"{link} is a link that leads out of the home.", "Put what it points at in its place.")


def _links(folder: Path | str, apart: Collection[str] = ()) -> Iterator[os.DirEntry[str]]:
    """The links in a folder at any depth, but in those of its folders that are `apart`; what is closed is passed over.

    It runs at each start: an entry knows what it is, and nothing more is asked of the disk.
    """
    with contextlib.suppress(OSError), os.scandir(folder) as found:
        for entry in found:
            if entry.is_symlink():
                yield entry
            elif entry.is_dir(follow_symlinks=False) and entry.name not in apart:
                yield from _links(entry.path)


def private_file(path: Path) -> Path:
    """Make sure that `path` exists and only its owner may read it, and return it.

    What exists is not opened: to close a SQLite file drops the locks of all other connections of the process (POSIX
    locks), and another process that then thinks itself alone deletes the write-ahead log under them. Raises Failure
    for a link, which could lead anywhere.
    """
    private_folder(path.parent)
    try:
        with contextlib.suppress(FileExistsError):
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))  # O_EXCL follows no link
        found = path.lstat()
        if stat.S_ISLNK(found.st_mode):
            raise Failure(f"{path} is a link.", "Put the file that it points at in its place.")
        if found.st_mode & 0o077:
            path.chmod(0o600)
    except OSError as error:
        raise Failure(f"Cannot write {path}: {error.strerror}.", "Check the folder's owner and free space.") from error
    return path


def lies_in(home: Path) -> Iterator[Path]:
    """All that lies in a home, folders among it, but for the homes of other lives."""
    return (path for path in home.rglob("*") if path.relative_to(home).parts[0] != PROFILES)


def close_to_others(home: Path) -> None:
    """Take every right from group and others on all that lies in a home (libraries write files of their own)."""
    for path in [home, *lies_in(home)]:
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
