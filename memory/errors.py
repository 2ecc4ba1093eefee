"""What a person is told when something fails: one line, its remedy, and an exit code.

Failure                      1   base of all; the command line prints it and leaves
  NothingFound               3
  StoreError                 1   the SQLite file cannot be opened, read or written
  IndexUnavailable           1   the vector index is missing, locked or broken; words still work
    IndexBroken              1   its files are lost or broken: building it anew mends that
  ContextTooSmall            1   not even the newest message fits the model's window
  BadInput                   1   a file or value from outside that cannot be used
"""


class Failure(Exception):
    """A failure with its remedy, fit to be shown as one line.

    `message` says what happened; `remedy` what to do about it (may be empty). `exit_code` is the process's.
    """

    exit_code = 1

    def __init__(self, message: str, remedy: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.message} {self.remedy}".strip()


class NothingFound(Failure):
    """The question was understood and there is no answer to it."""

    exit_code = 3


class StoreError(Failure):
    """The SQLite file cannot be opened, read or written."""


class IndexUnavailable(Failure):
    """The vector index is missing, locked or broken. Recall then answers by words alone."""


class IndexBroken(IndexUnavailable):
    """The index's files are lost or broken. Building it anew mends that."""

    def __init__(self, message: str) -> None:
        super().__init__(message, "Run `assistant doctor --fix`.")


class ContextTooSmall(Failure):
    """Not even the system message and a shortened newest message fit the model's window."""


class BadInput(Failure):
    """A file or a value from outside that cannot be used."""
