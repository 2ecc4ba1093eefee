"""The notes on an ended session: by the chosen model while the session's limits allow it, else by plain rules."""

import logging
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from assistant.errors import ContextOverflow, LimitReached, SchemaRefused
from assistant.recorder import NotesRecorder
from memory.manager import MemoryManager
from memory.summary import Notes, SchemaUnsupported

if TYPE_CHECKING:
    from assistant.app import App

log = logging.getLogger(__name__)


def write(app: "App", memory: MemoryManager, session_id: str, away: Callable[[], bool]) -> Notes:
    """The notes on a session, written and kept; `away` breaks the model's replies off.

    A model that the table knows for worthless notes is not asked, and none is where the session's limits leave no room
    for it: the owner's own sentences are taken. Raises what the model raises; the notes then stay owed.
    """
    if not app.choice.info.notes:
        return memory.extract(session_id, tried_by=app.choice.name)
    try:
        return _written(app, memory, session_id, away)
    except LimitReached as error:
        log.info("notes on %s are extracted: %s", session_id, error.message)
        return memory.extract(session_id, tried_by=app.choice.name)
    finally:
        if app.telemetry:
            app.telemetry.notes(memory, session_id)


def _written(app: "App", memory: MemoryManager, session_id: str, away: Callable[[], bool]) -> Notes:
    """The model's notes; where its window turns out to be smaller than was believed, written anew in smaller parts."""
    try:
        return _summarised(app, memory, session_id, away)
    except ContextOverflow as error:
        if not app.heed_window(error.window):
            raise
        return _summarised(app, memory, session_id, away)


def _summarised(app: "App", memory: MemoryManager, session_id: str, away: Callable[[], bool]) -> Notes:
    """The model's notes; where it can, the same model says what they change of earlier ones, within the same limits."""
    from memory.deciding import ModelDecide

    writer = EndpointWriter(app, memory, session_id, away)
    decide = ModelDecide(writer) if app.choice.info.decides else None
    return memory.summarise(session_id, writer, decide)


class EndpointWriter:
    """A memory.summary.Writer: the chosen model behind the summariser's own words, with a receipt for each request."""

    def __init__(self, app: "App", memory: MemoryManager, session_id: str, away: Callable[[], bool]) -> None:
        self._app, self._memory, self._session_id, self._away = app, memory, session_id, away
        self._recorder = NotesRecorder(memory, session_id, app.choice.name, app.prices)
        self.name = app.choice.name
        self.context_tokens = app.context_tokens(memory)

    def __call__(self, system: str, text: str, schema: Mapping[str, Any] | None, max_tokens: int) -> str:
        """Ask the model once.

        Raises LimitReached where the session has no room for it, SchemaUnsupported where the model cannot answer in a
        schema, else what the model does.
        """
        self._check(system + text, max_tokens)
        try:
            sending = partial(self._recorder.sending, system)
            return self._app.endpoint.complete(system, text, schema, max_tokens, self._away, sending)
        except SchemaRefused as error:
            raise SchemaUnsupported(error.message) from error

    def _check(self, prompt: str, max_tokens: int) -> None:
        tokens = int(self._memory.counter.text(prompt) * self._memory.store.calibration(self.name))
        room = self._app.session_meter(self._memory, self._session_id).room(tokens, last=True)
        if room.reply < max_tokens or room.seconds <= 0:
            raise LimitReached("The session's limits leave no room for notes by the model.")
