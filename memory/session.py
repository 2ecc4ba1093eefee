"""A live session: one conversation as it happens, its window, and the lock that shows other processes that it lives."""

import contextlib
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from memory.errors import BadInput
from memory.files import locked
from memory.records import RECALLED, SYSTEM, Message, Role, Session, ToolCall
from memory.store import Store
from memory.tokens import Counter
from memory.units import unit_id

if TYPE_CHECKING:
    from memory.window import Window

Clock = Callable[[], datetime]

_UNSTORABLE = "[\0\ud800-\udfff]"


def now() -> datetime:
    """This moment, aware, in UTC."""
    return datetime.now(UTC)


def clean(text: str) -> str:
    """Text that SQLite and UTF-8 can hold: NUL and lone surrogates become U+FFFD."""
    return re.sub(_UNSTORABLE, "\ufffd", text)


def new_session_id(at: datetime) -> str:
    """A session's id: its local start, so that a person can place it, and some chance."""
    return f"{at.astimezone():%Y%m%d-%H%M%S}-{os.urandom(3).hex()}"


def new_message_id() -> str:
    """A message's id; it means nothing."""
    return os.urandom(5).hex()


def lock_path(locks: Path, session_id: str) -> Path:
    """The file that a live session holds. Ids from outside may hold anything, so the name is made of their bytes."""
    return locks / f"session-{session_id.encode().hex()[:120]}.lock"


class MessageMaker:
    """Makes the messages of one session: each with an id, a time and its cost, and fit to be stored."""

    def __init__(self, session_id: str, counter: Counter, clock: Clock) -> None:
        self._session_id, self._counter, self._clock = session_id, counter, clock

    def __call__(
        self,
        role: Role,
        content: str,
        *,
        origin: str,
        name: str | None = None,
        tool_calls: tuple[ToolCall, ...] = (),
        tool_call_id: str | None = None,
    ) -> Message:
        """A message that is not committed yet."""
        text, name = clean(content), clean(name) if name else None
        calls = tuple(ToolCall(clean(call.id), clean(call.name), clean(call.arguments)) for call in tool_calls)
        return Message(
            id=new_message_id(),
            session_id=self._session_id,
            role=role,
            content=text,
            at=self._clock(),
            origin=origin,
            name=name,
            tool_calls=calls,
            tool_call_id=clean(tool_call_id) if tool_call_id is not None else None,
            tokens=self._counter.message(role, text, name, calls),
        )


class LiveSession:
    """One conversation. Its row and its lock come with its first message, so that nobody keeps empty sessions."""

    def __init__(self, store: Store, counter: Counter, locks: Path | None, model: str, clock: Clock = now) -> None:
        """`locks` is the folder of lock files; None where no other process can see the store."""
        self._store, self._counter, self._locks, self._clock = store, counter, locks, clock
        self._held = ExitStack()
        self._begun = self._ended = False
        self._first_kept: str | None = None
        self._masked: dict[str, Message] = {}  # what is shown with secrets, by id, as it is stored
        self._notes: dict[str, frozenset[str]] = {}  # id of a system message -> the units that it shows
        self.model = model
        self.id = new_session_id(clock())
        self.transcript: list[Message] = []
        self.system: Message | None = None

    @property
    def started(self) -> bool:
        """Whether anything was said."""
        return bool(self.transcript)

    @property
    def make(self) -> MessageMaker:
        """Makes messages of this session."""
        return MessageMaker(self.id, self._counter, self._clock)

    def remember(self, message: Message) -> Message:
        """Commit a message before anything else happens to it; returns it as stored."""
        if not self._begun:
            self._begin()
        if message.role == "user":
            self._forget_secrets()
        stored = self._store.add(message, self._count)
        self._store.masking.tell()
        seen = message._replace(seq=stored.seq) if stored.masked else stored
        self._show(stored, seen)
        return stored

    def _show(self, stored: Message, shown: Message) -> None:
        """Append a message; one with secrets is shown with them until the next user message, and no longer."""
        if shown is not stored:
            self._masked[stored.id] = stored
        self.transcript.append(shown)

    def as_stored(self, messages: Iterable[Message]) -> list[Message]:
        """The messages, those that are still shown with their secrets as they are stored."""
        return [self._masked.get(message.id, message) for message in messages]

    def _forget_secrets(self) -> None:
        self.transcript = self.as_stored(self.transcript)
        self._masked.clear()

    def _begin(self) -> None:
        with ExitStack() as held:  # let go again should the store fail: the next try takes the lock anew
            held.enter_context(self._lock(self.id))
            self._store.start(Session(self.id, self._clock(), model=self.model))
            self._held = held.pop_all()
        self._begun = True

    def _lock(self, session_id: str, wait_s: float = -1) -> AbstractContextManager[bool]:
        return locked(lock_path(self._locks, session_id), wait_s=wait_s) if self._locks else nullcontext(True)

    def open_with(self, text: str, shows: Iterable[str] = ()) -> Message:
        """Set the first system message, which shows these units. It never changes afterwards.

        A provider bills a cached prefix at a fraction, so what stands first must stay as it is.
        """
        self.system = self.make("system", text, origin=SYSTEM)
        self._notes[self.system.id] = frozenset(shows)
        return self.system

    def note(self, text: str, shows: Iterable[str]) -> Message:
        """Put what was recalled just before the newest user message, where it stays. It is shown, and not stored."""
        note = self.make("system", text, origin=RECALLED)
        self._notes[note.id] = frozenset(shows)
        self.transcript.insert(self._newest_user(), note)
        return note

    def _newest_user(self) -> int:
        return max(place for place, message in enumerate(self.transcript) if message.role == "user")

    def shown(self) -> set[str]:
        """The units that stand in the window: its messages, and what its notes show."""
        visible = [*self.transcript[self._place_of_first() :], *([self.system] if self.system else [])]
        noted = [self._notes[message.id] for message in visible if message.id in self._notes]
        return {unit_id("m", message.seq) for message in visible if message.seq}.union(*noted)

    def _place_of_first(self) -> int:
        ids = [message.id for message in self.transcript]
        return ids.index(self._first_kept) if self._first_kept in ids else 0

    def window(self, budget: int) -> "Window":
        """What the model is shown, in at most `budget` counted tokens. Raises ContextTooSmall."""
        if self.system is None:
            raise AssertionError("a window is asked for after open_with()")
        from memory.window import fit

        window = fit(self.system, self.transcript, budget, self._first_kept, self._count)
        self._first_kept = window.first_kept
        return window

    def _count(self, message: Message) -> int:
        return self._counter.message(message.role, message.content, message.name, message.tool_calls)

    def resume(self, session_id: str, notes: Mapping[int, str], shows: Mapping[int, Iterable[str]]) -> None:
        """Go on with a session that was paused, perhaps in another process.

        `notes` are the system messages that were made for its user messages, by their `seq`; the first is the session's
        own. `shows` are the units in them. Raises BadInput where another process is at it, or it is none any more.
        """
        with ExitStack() as held:
            free = held.enter_context(self._lock(session_id, wait_s=0))
            session = self._store.session(session_id)
            if not free or session is None:
                told = f"{session_id} is open elsewhere." if session else f"There is no session {session_id}."
                raise BadInput(told, "See `assistant pending`.")
            self._held = held.pop_all()
        self.id, self.model, self._begun = session_id, session.model or self.model, True
        for message in self._store.transcript(session_id):
            if message.seq in notes and self.system is None:
                self.open_with(notes[message.seq], shows.get(message.seq, ()))
            elif message.seq in notes:
                note = self.make("system", notes[message.seq], origin=RECALLED)
                self._notes[note.id] = frozenset(shows.get(message.seq, ()))
                self.transcript.append(note)
            self._show(message, self._store.as_it_was(message))

    def take_over(self, other: "LiveSession") -> None:
        """Begin with what the window of another conversation shows. The copies are this one's own."""
        if other.system:
            self.open_with(other.system.content, other._notes.get(other.system.id, ()))
        for message in other.transcript[other._place_of_first() :]:
            copy = message._replace(id=new_message_id(), session_id=self.id, seq=0)
            if message.seq:
                self.remember(copy)
            else:
                self._notes[copy.id] = other._notes.get(message.id, frozenset())
                self.transcript.append(copy)

    def let_go(self) -> None:
        """Leave a session that waits for its owner: it stays open, and another process may go on with it."""
        self._held.close()
        if self._locks:
            with contextlib.suppress(OSError):  # Windows keeps a file that another process is just looking at
                lock_path(self._locks, self.id).unlink(missing_ok=True)

    def end(self) -> None:
        """Mark the session as ended and let go of it. Safe to repeat: what was noted since stays noted."""
        if self._begun and not self._ended:
            self._store.set_state(self.id, "ended", self._clock())
            self._ended = True
        self.let_go()


@contextlib.contextmanager
def abandoned(store: Store, locks: Path, session: Session) -> Iterator[bool]:
    """Hold an open session if no live process does: then whoever had it was killed."""
    with unheld(locks, session.id) as free:
        current = store.session(session.id) if free else None
        yield current is not None and current.state == "open"


@contextlib.contextmanager
def unheld(locks: Path, session_id: str) -> Iterator[bool]:
    """Hold a session, open or ended, if no live process does; says whether it is held so."""
    path = lock_path(locks, session_id)
    with locked(path, wait_s=0) as free:
        yield free
    if free:
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)
