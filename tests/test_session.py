"""A live session: what it keeps, what it shows, its lock, and its end."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memory.errors import StoreError
from memory.files import locked
from memory.manager import MemoryManager
from memory.records import ToolCall
from memory.session import LiveSession, clean, lock_path
from memory.tokens import Counter
from tests.conftest import ROOT
from tests.memories import a_memory, leave, talk


@pytest.fixture
def memory(home: Path, counter: Counter) -> Iterator[MemoryManager]:
    made = a_memory(home, counter)
    yield made
    leave(made)


@pytest.fixture
def session(memory: MemoryManager) -> LiveSession:
    return memory.begin("a-model")


def tell(session: LiveSession, text: str) -> None:
    session.remember(session.make("user", text, origin="user"))


def reply(session: LiveSession, text: str) -> None:
    session.remember(session.make("assistant", text, origin="assistant"))


def state(memory: MemoryManager, session: LiveSession) -> str:
    found = memory.store.session(session.id)
    return found.state if found else "none"


# ---------------------------------------------------------------------- what is kept


def test_nothing_is_written_before_the_first_message(memory: MemoryManager, session: LiveSession) -> None:
    session.open_with("Be brief.")
    assert not session.started and memory.store.sessions() == []
    session.end()
    assert memory.store.sessions() == []
    assert not list(memory.locks.glob("session-*"))


def test_what_is_remembered_comes_back_as_it_was(memory: MemoryManager, session: LiveSession) -> None:
    tell(session, "How much is 6*7?")
    call = ToolCall("call_0", "calculator", '{"expression": "6*7"}')
    session.remember(session.make("assistant", "", origin="assistant", tool_calls=(call,)))
    session.remember(session.make("tool", "42", origin="tool:calculator", name="calculator", tool_call_id="call_0"))
    assert memory.store.transcript(session.id) == session.transcript
    assert [message.seq for message in session.transcript] == [1, 2, 3]
    assert all(message.tokens > 0 for message in session.transcript)


@given(*[st.text(st.characters(), max_size=20)] * 5)
def test_whatever_a_model_writes_can_be_stored(
    memory_for_all: MemoryManager, content: str, name: str, call_id: str, arguments: str, tool: str
) -> None:
    session = memory_for_all.begin("a-model")
    session.id += f"-{len(memory_for_all.store.sessions())}"  # so many in one second could get the same
    call = ToolCall(call_id, tool, arguments)
    session.remember(session.make("assistant", content, origin="assistant", tool_calls=(call,)))
    session.remember(session.make("tool", content, origin="tool:t", name=name, tool_call_id=call_id))
    asked, answer = memory_for_all.store.transcript(session.id)
    assert (asked.content, answer.content) == (clean(content), clean(content))
    assert asked.tool_calls[0].id == answer.tool_call_id, "call and answer still belong together"
    session.end()


@pytest.fixture(scope="module")
def memory_for_all(tmp_path_factory: pytest.TempPathFactory, counter: Counter) -> Iterator[MemoryManager]:
    """One memory for all examples of a property."""
    made = a_memory(tmp_path_factory.mktemp("all") / "home", counter)
    yield made
    leave(made)


def test_a_store_that_refuses_a_message_takes_the_next_one(memory: MemoryManager, session: LiveSession) -> None:
    """The disk is full for a while: at the first message, and between the session's row and its message."""
    memory.store.connection.execute("PRAGMA query_only = ON")
    with pytest.raises(StoreError):
        tell(session, "Are you there?")
    memory.store.connection.execute("PRAGMA query_only = OFF")
    memory.store.connection.execute(
        "CREATE TEMP TRIGGER full BEFORE INSERT ON messages BEGIN SELECT RAISE(FAIL, 'full'); END"
    )
    with pytest.raises(StoreError):
        tell(session, "Are you there?")
    memory.store.connection.execute("DROP TRIGGER full")
    tell(session, "And now?")
    assert [message.content for message in memory.store.transcript(session.id)] == ["And now?"]
    session.end()
    assert state(memory, session) == "ended"


# ---------------------------------------------------------------------- what is shown


def test_the_first_system_message_stays_the_same(session: LiveSession) -> None:
    tell(session, "Hello")
    session.open_with("Be brief.", ["f1"])
    first = session.window(1000).messages[0]
    reply(session, "Hi.")
    tell(session, "Bye")
    session.note("What was recalled.", ["f2"])
    assert session.window(1000).messages[0] == first == session.system


def test_a_note_stands_before_the_message_that_called_for_it(session: LiveSession) -> None:
    tell(session, "Hello")
    session.open_with("Be brief.")
    reply(session, "Hi.")
    tell(session, "Where is my passport?")
    session.note("It is in the drawer.", ["f2"])
    reply(session, "In the drawer.")
    tell(session, "Thanks")
    shown = [message.content for message in session.window(1000).messages]
    assert shown == [
        "Be brief.",
        "Hello",
        "Hi.",
        "It is in the drawer.",
        "Where is my passport?",
        "In the drawer.",
        "Thanks",
    ]


def test_what_is_shown_is_what_stands_in_the_window_and_what_its_notes_show(session: LiveSession) -> None:
    tell(session, "Hello")
    session.open_with("Be brief.", ["s7"])
    reply(session, "Hi. " + "word " * 50)
    tell(session, "Where is my passport?")
    session.note("It is in the drawer.", ["f2"])
    session.window(1000)
    assert session.shown() == {"s7", "f2", "m1", "m2", "m3"}

    session.window(60)  # the first turn has to go, and stays away
    assert session.shown() == {"s7", "f2", "m3"}
    reply(session, "In the drawer. " + "word " * 50)
    tell(session, "Thanks")
    session.window(60)
    assert session.shown() == {"s7", "m5"}, "a note goes with its turn"


# ---------------------------------------------------------------------- its life and its end


def test_a_live_session_is_held_and_an_ended_one_leaves_no_lock_behind(
    memory: MemoryManager, session: LiveSession
) -> None:
    tell(session, "Hello")
    with locked(lock_path(memory.locks, session.id), wait_s=0) as free:
        assert not free
    session.end()
    assert list(memory.locks.glob("session-*")) == []


def test_to_end_twice_does_not_undo_what_came_after_the_first_end(memory: MemoryManager, session: LiveSession) -> None:
    tell(session, "My dog is called Rex.")
    session.end()
    first = memory.store.session(session.id)
    memory.extract(session.id)
    session.end()
    again = memory.store.session(session.id)
    assert first and again == first._replace(state="summarised", title=again.title if again else "")


KILLED = """
import os, signal, sys
from pathlib import Path
from memory.tokens import Counter
from tests.memories import a_memory, talk
memory = a_memory(Path(sys.argv[1]), Counter("o200k_base", Path(sys.argv[2])))
session = memory.begin("a-model")
session.remember(session.make("user", "My dog is called Rex.", origin="user"))
print(session.id, flush=True)
if sys.argv[3] == "kill":
    os.kill(os.getpid(), signal.SIGKILL)
sys.stdin.read()
"""


def test_a_killed_session_is_closed_and_one_that_lives_elsewhere_is_not(
    memory: MemoryManager, home: Path, token_cache: Path
) -> None:
    def start(how: str) -> "subprocess.Popen[str]":
        command = [sys.executable, "-c", KILLED, str(home), str(token_cache), how]
        return subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    own = memory.begin("a-model")
    tell(own, "I am here.")
    with start("kill") as dead, start("stay") as alive:
        assert dead.stdout and alive.stdout
        killed, living = dead.stdout.readline().strip(), alive.stdout.readline().strip()
        dead.wait(30)
        assert memory.close_abandoned() == [killed]
        assert memory.close_abandoned() == []
        assert {one.id for one in memory.store.open_sessions()} == {living, own.id}
        (message,) = memory.store.transcript(killed)
        closed = memory.store.session(killed)
        assert closed and closed.ended_at == message.at, "it ended with its last message, not when it was found"
        alive.kill()
    assert memory.close_abandoned() == [living]
    assert {one.id for one in memory.owed("a-model")} == {killed, living}
    own.end()


def test_ids_tell_sessions_apart_and_sort_by_their_start(memory: MemoryManager) -> None:
    ids = [talk(memory, "Hello") for _ in range(5)]
    assert len(set(ids)) == 5
    assert [one[:15] for one in ids] == sorted(one[:15] for one in ids)


@given(st.text(st.characters(), max_size=50))
def test_cleaned_text_can_be_written_and_keeps_its_length(text: str) -> None:
    assert "\0" not in clean(text)
    assert len(clean(text).encode().decode()) == len(text)
    assert clean(clean(text)) == clean(text)
