"""The umask that files of the owner's are made with: the process's own may be stricter, for the sake of the memory."""

from pathlib import Path

umask = -1  # the process's, as subprocess takes it


def grant(path: Path, mode: int) -> None:
    """Give a new file or folder the rights `mode` under the usual umask, where that is not the process's."""
    if umask >= 0:
        path.chmod(mode & ~umask)
