"""Work in a thread of its own, waited for with an end: for anybody's code, which may hang, and fail in any way."""

import logging
import threading
import time
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Generic, TypeVar

log = logging.getLogger(__name__)

REASON_CHARACTERS = 500

T = TypeVar("T")


class Running(Generic[T]):
    """Work that runs, in the `thread` of this number. `ms` are the milliseconds that it took, once it has a result.

    Python cannot end a thread. One that hangs is left behind; being a daemon, it does not keep the program from ending.
    """

    def __init__(self, run: Callable[[], T], limit_s: float, instead: Callable[[str], T]) -> None:
        """Begin `run`, which may not raise. `instead` makes the result of what hangs, or cannot be begun, from why."""
        self._instead, self._began, self._limit_s = instead, time.monotonic(), limit_s
        self._done: SimpleQueue[tuple[T, int]] = SimpleQueue()
        self.ms = self.thread = 0
        work = threading.Thread(target=lambda: self._done.put((run(), self._ran_ms())), daemon=True, name="tool")
        try:
            work.start()
            self.thread = work.ident or 0
        except RuntimeError as error:  # the system gives no more threads
            self._done.put((instead(f"was not run: {error}"), 0))

    def _ran_ms(self) -> int:
        return round((time.monotonic() - self._began) * 1000)

    def wait(self) -> T:
        """What it gave, or what stands for it once its time is over."""
        while (found := self.result(threading.TIMEOUT_MAX)) is None:
            pass
        return found

    def result(self, wait_s: float) -> T | None:
        """What it gave, or None where it gave nothing yet after `wait_s`."""
        left_s = self._began + self._limit_s - time.monotonic()
        try:
            # Its own time: it may have been done long before those that were waited for first.
            found, self.ms = self._done.get(timeout=max(0.0, min(wait_s, left_s, threading.TIMEOUT_MAX)))
        except Empty:
            if left_s > wait_s:
                return None
            late = f"was given up after {self._limit_s:g} s; what it had begun may still go on"
            found, self.ms = self._instead(late), self._ran_ms()
        return found


def message(error: BaseException) -> str:
    """What an exception says, on one line of a bounded length; it may be nothing."""
    try:
        return " ".join(str(error).split())[:REASON_CHARACTERS]
    except BaseException as worse:  # its own __str__ is anybody's code, too
        log.debug("a %s cannot be shown", type(error).__name__, exc_info=True)
        return f"(its message cannot be shown: {type(worse).__name__})"
