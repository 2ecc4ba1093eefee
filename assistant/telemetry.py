"""Traces on their way out: read when a turn has ended, made into spans and sent by a thread that nobody waits for.

Nothing is sent but to the setting `otlp_endpoint`, not even where OTEL_EXPORTER_OTLP_ENDPOINT is set for other
programs. What cannot be sent is given up with a line in the log: the record itself stays in the store.
"""

import json
import logging
import threading
from importlib.util import find_spec
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

from assistant import tracing
from assistant.recorder import sent
from assistant.tracing import Trace
from memory.errors import NothingFound, StoreError
from memory.manager import MemoryManager

if TYPE_CHECKING:
    from assistant.otel import Exporter, Requests

log = logging.getLogger(__name__)

NEEDED = "opentelemetry.exporter.otlp.proto.http"
MISSING = "Traces are sent nowhere: the extra is missing. Run: pip install 'assistant[otel]'"
TIMEOUT_S = 2.5  # for one trace: an attempt, a pause of about a second, another one
LINGER_S = 1.5  # at the end of the program, for what is still on its way


class Telemetry:
    """Sends the traces of one run of the program. Several threads may share it, each with a memory of its own."""

    def __init__(self, endpoint: str, content: bool) -> None:
        """`endpoint` is a collector's address; `content` says whether words of messages may go there, too."""
        self._endpoint, self._content = endpoint, content
        self._waiting: SimpleQueue[tuple[Trace, Requests | None] | None] = SimpleQueue()
        self._exporter: Exporter | None = None
        self._failed = False  # whether the last one did not arrive
        self._thread = threading.Thread(target=self._run, name="telemetry", daemon=True)
        self._starting = threading.Lock()

    @staticmethod
    def available() -> bool:
        """Whether the extra is installed."""
        try:
            return find_spec(NEEDED) is not None
        except ModuleNotFoundError:  # a package above it is missing
            return False

    def turn(self, memory: MemoryManager, turn: int) -> None:
        """Send a turn (its user message's `seq`) that has ended; one that was paused is sent when it has."""
        try:
            trace = tracing.of_turn(memory, turn)
            if trace.state not in ("waiting", "unfinished"):
                self._send(memory, trace)
        except NothingFound:  # it failed before a model was asked
            return
        except StoreError as error:  # told by what is done with the store itself
            log.warning("a turn was not traced: %s", error)

    def notes(self, memory: MemoryManager, session_id: str) -> None:
        """Send the newest writing of a session's notes."""
        try:
            session = memory.store.session(session_id)
            for trace in tracing.of_notes(memory, session)[-1:] if session else ():
                self._send(memory, trace)
        except StoreError as error:
            log.warning("notes were not traced: %s", error)

    def close(self) -> None:
        """Wait a moment for what is on its way, and no longer; not at all where the last one did not arrive."""
        if not self._thread.is_alive():
            return
        self._waiting.put(None)
        self._thread.join(0 if self._failed else LINGER_S)
        if self._thread.is_alive() and not self._failed:
            log.warning("traces were left behind: %s did not take them in time", self._endpoint)

    def _send(self, memory: MemoryManager, trace: Trace) -> None:
        self._waiting.put((trace, requests(memory, trace) if self._content else None))
        with self._starting:
            if self._thread.ident is None:
                self._thread.start()

    def _run(self) -> None:
        while (given := self._waiting.get()) is not None:
            try:
                arrived = self._sent(*given)
            except Exception as error:  # noqa: BLE001  whatever a foreign library raises: no turn depends on it
                log.warning("a trace could not be sent: %s: %s", type(error).__name__, error)
                continue
            if not arrived and not self._failed:
                log.warning("traces do not reach %s; the record of turns is kept here all the same", self._endpoint)
            self._failed = not arrived

    def _sent(self, trace: Trace, given: "Requests | None") -> bool:
        from assistant.otel import Exporter, spans_of

        if self._exporter is None:
            self._exporter = Exporter(self._endpoint, TIMEOUT_S)
        return self._exporter.send(spans_of(trace, given))


def requests(memory: MemoryManager, trace: Trace) -> dict[int, Any]:
    """The messages of each request of a trace, by its receipt's `seq`, built again from what is stored."""
    receipts = [step.receipt for step in tracing.every(trace.steps)]
    return {one.seq: json.loads(sent(memory, one).body)["messages"] for one in receipts}
