"""Waiting with an end: a source that blocks is read in a thread, up to a deadline, a longest silence or a cancelling.

What blocks may be anything: a name that is looked up, a connection that is made, an answer that does not come. None of
them can be told to stop, so the waiting is done here, and the one who blocks is cut off.
"""

import math
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Generic, TypeVar

from assistant.errors import Interrupted

T = TypeVar("T")
POLL_S = 0.1  # how often the one who may cancel is asked


class DeadlineReached(Exception):
    """The time for the whole call is up."""


class IdleTimeout(Exception):
    """Nothing of use came for too long."""


class Watch:
    """When to stop waiting in one call."""

    def __init__(
        self, idle_s: float, deadline_s: float | None = None, cancelled: Callable[[], bool] | None = None
    ) -> None:
        """`idle_s` is the longest time without progress, `deadline_s` counts from now (None: none), both in seconds."""
        self._idle_s = idle_s
        self._deadline = math.inf if deadline_s is None else time.monotonic() + deadline_s
        self._cancelled = cancelled
        self.progressed()

    def progressed(self, idle_s: float | None = None) -> None:
        """Begin to count the silence anew, with another limit if one is given."""
        self._limit_s = self._idle_s if idle_s is None else idle_s
        self._idle_end = time.monotonic() + self._limit_s

    def check(self) -> None:
        """Raise Interrupted, DeadlineReached or IdleTimeout where it is time to."""
        if self._cancelled is not None and self._cancelled():
            raise Interrupted("The reply was stopped.", "")
        now = time.monotonic()
        if now >= self._deadline:
            raise DeadlineReached
        if now >= self._idle_end:
            raise IdleTimeout(f"{self._limit_s:g} s")

    def slice_s(self) -> float:
        """Seconds to wait at most until `check` is to be asked again."""
        left = max(0.0, min(self._deadline, self._idle_end) - time.monotonic())
        return left if self._cancelled is None else min(left, POLL_S)

    def sleep(self, seconds: float) -> None:
        """Wait so long, unless it is time to stop before: that is raised, as by `check`."""
        self.progressed(math.inf)
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self.check()
            time.sleep(min(left, self.slice_s()))
        self.progressed()


class _End(Generic[T]):
    """The end of a source, or the error that it came to."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.error = error


def read(source: Callable[[], Iterable[T]], cut: Callable[[], None], watch: Watch) -> Iterator[T]:
    """What `source` gives, read in a thread of its own, so that nobody waits longer than the watch allows.

    Raises what the source and the watch raise. If the reading ends before the source, `cut` is called to wake the
    thread.
    """
    came: SimpleQueue[tuple[T] | _End[T]] = SimpleQueue()
    Thread(target=_pump, args=(source, came), name="reader", daemon=True).start()
    is_over = False
    try:
        while not is_over:
            item = _next(came, watch)
            if isinstance(item, _End):
                is_over = True
                if item.error is not None:
                    raise item.error
            else:
                yield item[0]
    finally:
        if not is_over:
            cut()


def _pump(source: Callable[[], Iterable[T]], came: "SimpleQueue[tuple[T] | _End[T]]") -> None:
    try:
        for item in source():
            came.put((item,))
    except BaseException as error:  # noqa: BLE001  raised again where it is waited for
        came.put(_End(error))
    else:
        came.put(_End())


def _next(came: "SimpleQueue[tuple[T] | _End[T]]", watch: Watch) -> "tuple[T] | _End[T]":
    while True:
        watch.check()
        with suppress(Empty):
            return came.get(timeout=watch.slice_s())
