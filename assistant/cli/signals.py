"""Signals: a closed terminal or a request to end stops what is under way as Ctrl-C does."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class HungUp(KeyboardInterrupt):
    """The terminal was closed, or the process was asked to end."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.exit_code = 128 + number


@contextmanager
def hang_ups_raise() -> Iterator[None]:
    """Turn SIGTERM and SIGHUP (where there is one) into HungUp; what is ignored, as under nohup, stays ignored."""

    def raise_hung_up(number: int, _frame: FrameType | None) -> None:
        raise HungUp(number)

    numbers = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    before = {number: signal.getsignal(number) for number in numbers}
    heard = [number for number in numbers if before[number] != signal.SIG_IGN]
    for number in heard:
        signal.signal(number, raise_hung_up)
    try:
        yield
    finally:
        for number in heard:
            signal.signal(number, before[number])
