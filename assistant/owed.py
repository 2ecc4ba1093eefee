"""What earlier sessions left undone: killed sessions are ended, owed notes written, vectors made.

`chat` does it in the background and steps aside while its user waits; `sessions summarize --pending` does it at once.
"""

import logging
import threading
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass

from assistant.errors import Interrupted, KeyRefused, ModelUnreachable, RateLimited
from memory.errors import Failure, IndexUnavailable, StoreError
from memory.manager import MemoryManager

log = logging.getLogger(__name__)

STOPPED = "stopped"
NO_MODEL = (RateLimited, KeyRefused, ModelUnreachable)  # then no other session can have its notes either

WriteNotes = Callable[[MemoryManager, str], object]  # (memory, session id): App.write_notes


@dataclass(frozen=True, slots=True)
class Done:
    """What was settled, and in one line what could not be (empty: nothing is left)."""

    closed: int = 0
    noted: int = 0
    indexed: int = 0
    left: str = ""


def settle(
    memory: MemoryManager,
    write_notes: WriteNotes,
    model: str,
    stop: Callable[[], bool] = lambda: False,
    say: Callable[[str], None] = lambda _line: None,
) -> Done:
    """Do all that is owed, unless another process is at it. What fails stays owed; `stop` is asked between the parts.

    `model` is the name of the one that writes them. Raises Interrupted when the model's user called it away.
    """
    with memory.owing() as mine:
        if not mine:
            return Done(left="another process is at it")
        closed = len(memory.close_abandoned())
        noted, left = _noted(memory, write_notes, model, stop, say)
        try:
            synced = memory.sync(stop=stop, progress=lambda done, total: say(f"vectors {done} of {total}"))
        except IndexUnavailable as error:
            return Done(closed, noted, left=f"{left} {error}".strip())
        return Done(closed, noted, synced.added, left or ("" if synced.finished else STOPPED))


def _noted(
    memory: MemoryManager,
    write_notes: WriteNotes,
    model: str,
    stop: Callable[[], bool],
    say: Callable[[str], None],
) -> tuple[int, str]:
    sessions = memory.owed(model)
    noted, left = 0, ""
    for place, session in enumerate(sessions):
        if stop():
            return noted, left or STOPPED
        say(f"notes on session {place + 1} of {len(sessions)}")
        try:
            write_notes(memory, session.id)
            noted += 1
        except (Interrupted, StoreError):
            raise
        except Failure as error:
            log.warning("notes on %s stay owed: %s", session.id, error)
            left = str(error)
            no_model = isinstance(error, NO_MODEL)
            for waiting in sessions[place:] if no_model else [session]:
                _stand_in(memory, waiting.id)
            if no_model:
                break
    return noted, left


def _stand_in(memory: MemoryManager, session_id: str) -> None:
    """Give a session without notes extracted ones, until the model can be had."""
    if memory.store.summary(session_id) is None:
        memory.extract(session_id)


class OwedWork(threading.Thread):
    """Settles in the background. `step_aside()` calls it away from the model, `go_on()` lets it back."""

    def __init__(self, memory: Callable[[], MemoryManager], write_notes: WriteNotes, model: str) -> None:
        super().__init__(name="owed work", daemon=True)
        self._memory, self._write_notes, self._model = memory, write_notes, model
        self._may_run = threading.Event()
        self._stopping = threading.Event()

    def stopped(self) -> bool:
        """Whether the work is to end for good."""
        return self._stopping.is_set()

    def ended(self) -> bool:
        """Whether the work is to end for good; first it waits until the user does not wait, who needs the processor."""
        self._may_run.wait()
        return self.stopped()

    def away(self) -> bool:
        """Whether a reply of the model for this work is to be broken off now."""
        return self._stopping.is_set() or not self._may_run.is_set()

    def step_aside(self) -> None:
        """The user waits for the model: leave it."""
        self._may_run.clear()

    def go_on(self) -> None:
        """The user has the answer."""
        self._may_run.set()

    def finish(self, wait_s: float = 5.0) -> None:
        """Stop soon and for good. What was not settled stays owed."""
        self._stopping.set()
        self._may_run.set()
        if self.is_alive():
            self.join(wait_s)

    def run(self) -> None:
        """Settle; begin again after each interruption, since every stage may be repeated."""
        try:
            with closing(self._memory()) as memory:
                while self._may_run.wait() and not self.stopped():
                    try:
                        done = settle(memory, self._write_notes, self._model, self.ended)
                    except Interrupted:
                        continue
                    log.info("owed work: %s", done)
                    return
        except Failure as error:
            log.warning("owed work stays: %s", error)
