"""The folders that the file tools may use: a path is located in them, or refused."""

import os
import stat
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

# Nothing is opened through a link, and nothing that would make us wait. Not every system has all of these.
_OPEN_FLAGS = os.O_RDONLY
for _name in ("O_NOFOLLOW", "O_NONBLOCK", "O_NOCTTY", "O_BINARY"):
    _OPEN_FLAGS |= getattr(os, _name, 0)


class Folders:
    """Folders that the owner allowed, resolved once: a link that is bent later does not widen them.

    `closed` names folders, or single files, that stay shut even where they lie in an allowed one.
    """

    def __init__(self, roots: Sequence[Path], closed: Sequence[Path] = ()) -> None:
        self.roots = tuple(Path(os.path.realpath(root.expanduser())) for root in roots)
        self._closed = tuple(Path(os.path.realpath(each.expanduser())) for each in closed)

    def existing(self, path: str) -> Path:
        """The real path of what is there under this name, or ValueError.

        Links and ".." are resolved before the check. Nothing is said about what exists outside.
        """
        inside = self._inside(path)
        for real in inside:
            if os.path.lexists(real):
                return real
        raise ValueError(f'there is no file or folder "{path}" in the allowed folders: {self._listed()}')

    def to_write(self, path: str) -> Path:
        """The real path of what is there under this name, else of what would be made in the first folder.

        Raises ValueError as `existing` does, but for what is not there, and where the folder itself is missing.
        """
        inside = self._inside(path)
        if there := [real for real in inside if os.path.lexists(real)]:
            return there[0]
        if path.endswith(("/", os.sep)):
            raise ValueError(f'"{path}" names a folder, no file')
        for real in inside:
            if any(real.is_relative_to(root) and root.is_dir() for root in self.roots):
                return real
        raise ValueError(f"the allowed folder is missing: {self._listed()}")

    def named(self, real: Path) -> str:
        """A real path as the model may write it: relative to the first folder, which is tried first, or absolute."""
        first = self.roots[0]
        return str(real.relative_to(first)) if real.is_relative_to(first) else str(real)

    def walk(self, start: Path, unread: Callable[[OSError], None]) -> Iterator[Path]:
        """The files in `start` and below, folder by folder in the order of their names.

        Hidden and closed folders are left out. Links to folders are not followed, and links that lead out not given.
        `unread` is told of each folder that the system does not let be read.
        """
        for folder, below, names in os.walk(start, onerror=unread):
            here = Path(folder)
            below[:] = sorted(name for name in below if not name.startswith(".") and self.holds(here / name))
            # Most files are no links, and lie where their folder does.
            yield from (each for each in map(here.joinpath, sorted(names)) if not each.is_symlink() or self.holds(each))

    def holds(self, path: Path) -> bool:
        """Whether what is there under this name, links resolved, lies in an allowed folder and in no closed one."""
        real = Path(os.path.realpath(path))
        return any(real.is_relative_to(root) for root in self.roots) and not self._is_closed(real)

    def _inside(self, path: str) -> list[Path]:
        """The places that a path may name, in the order in which they are tried."""
        if not path.strip():
            raise ValueError("the path is empty")
        inside = [real for real in self._candidates(path) if any(real.is_relative_to(root) for root in self.roots)]
        if not inside:
            raise ValueError(f'"{path}" is outside the allowed folders: {self._listed()}')
        free = [real for real in inside if not self._is_closed(real)]
        if not free:
            raise ValueError(f'"{path}" belongs to the assistant itself and is closed to its tools')
        return free

    def _candidates(self, path: str) -> list[Path]:
        try:
            wanted = Path(path).expanduser()
        except RuntimeError as error:
            raise ValueError(f'"{path}" names the home of an unknown user') from error
        # An absolute path stays itself under every root. realpath, unlike Path.resolve, does not raise for a loop of
        # links.
        return [Path(os.path.realpath(root / wanted)) for root in self.roots]

    def _is_closed(self, real: Path) -> bool:
        """By the files' identity, since a file system may take two spellings for one name."""
        return any(_same(each, closed) for closed in self._closed for each in (real, *real.parents))

    def _listed(self) -> str:
        return ", ".join(map(str, self.roots))


def _same(one: Path, other: Path) -> bool:
    try:
        return one == other or one.samefile(other)
    except OSError:  # one of them is not there
        return False


def read_bytes(real: Path, most: int) -> tuple[bytes, os.stat_result]:
    """The first `most` bytes of an ordinary file, and its status. `real` is what `Folders` gave.

    Raises ValueError for what is no ordinary file, OSError where the system does not let it be read.
    """
    # Checked before it is opened, for to open a device or a pipe may already do something; and once more when it is
    # open, for the name may have come to mean another file meanwhile.
    check_ordinary(real, os.lstat(real))
    with os.fdopen(os.open(real, _OPEN_FLAGS), "rb") as file:
        status = os.fstat(file.fileno())
        check_ordinary(real, status)
        if os.path.realpath(real) != str(real):
            raise ValueError(f"{real.name} was moved while it was opened")
        return file.read(most), status


def check_ordinary(real: Path, status: os.stat_result) -> None:
    """Raise ValueError for a folder, a device, a pipe or a socket."""
    if stat.S_ISDIR(status.st_mode):
        raise ValueError(f"{real.name} is a folder; name a file in it")
    if not stat.S_ISREG(status.st_mode):
        raise ValueError(f"{real.name} is no ordinary file")
