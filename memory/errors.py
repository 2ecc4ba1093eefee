"""What a person is told when something fails: one line, its remedy, and an exit code.

Failure                      1   base of all; the command line prints it and leaves
  Stopped                    1   whoever waits wants it to end; what was begun is to be done again
  NothingFound               3
  Refused                    4   its owner, or what they chose, does not want it
  StoreError                 1   the SQLite file cannot be opened, read or written
  Stale                      1   notes rest on what was forgotten while they were written
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


class Stopped(Failure):
    """Whoever waits for it wants it to end. It goes through whole: what was begun is to be done again."""


class NothingFound(Failure):
    """The question was understood and there is no answer to it."""

    exit_code = 3


class Refused(Failure):
    """Its owner said no, or what they chose forbids it."""

    exit_code = 4


class StoreError(Failure):
    """The SQLite file cannot be opened, read or written."""


class Stale(Failure):
    """Notes rest on what was forgotten while they were written: they are not kept, and stay owed."""

    def __init__(self, message: str) -> None:
        super().__init__(message, "They are written at the next start.")


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
