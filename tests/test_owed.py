"""Owed work: killed sessions are ended, notes written, vectors made; what fails stays owed, nothing is done twice."""

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from assistant.app import App
from assistant.errors import Interrupted, KeyRefused, ModelError, ModelUnreachable, RateLimited
from assistant.owed import Done, OwedWork, settle
from assistant.settings import Settings
from memory.errors import Failure, StoreError
from memory.files import locked
from memory.manager import MemoryManager
from memory.records import Session
from memory.session import now
from memory.tokens import Counter
from tests.memories import NOTES, PORTO, Scribe, Words, a_memory, leave, talk
from tests.scripted import Answer, ScriptedServer


@pytest.fixture
def memory(home: Path, counter: Counter) -> Iterator[MemoryManager]:
    made = a_memory(home, counter)
    yield made
    leave(made)


def with_notes(scribe: Scribe) -> Callable[[MemoryManager, str], object]:
    return lambda memory, session_id: memory.summarise(session_id, scribe)


def killed(memory: MemoryManager, text: str) -> str:
    """A session that nobody ended and nobody holds."""
    session_id = f"killed-{len(memory.store.sessions())}"
    memory.store.start(Session(session_id, now()))
    message = memory.begin("a-model").make("user", text, origin="user")
    memory.store.add(type(message)(message.id, session_id, "user", text, message.at, "user", tokens=message.tokens))
    return session_id


def state(memory: MemoryManager, session_id: str) -> str:
    found = memory.store.session(session_id)
    return found.state if found else "gone"


def written_by(memory: MemoryManager, session_id: str) -> str:
    found = memory.store.summary(session_id)
    return found.written_by if found else ""


# ---------------------------------------------------------------------- settle


def test_a_killed_session_is_ended_noted_and_indexed_in_one_go(memory: MemoryManager) -> None:
    session_id = killed(memory, PORTO)
    scribe = Scribe()
    said: list[str] = []
    done = settle(memory, with_notes(scribe), "scribe", say=said.append)
    assert done == Done(closed=1, noted=1, indexed=3)
    assert state(memory, session_id) == "indexed"
    assert written_by(memory, session_id) == "scribe"
    assert said == ["notes on session 1 of 1", "vectors 3 of 3"]
    assert settle(memory, with_notes(scribe), "scribe") == Done()
    assert len(scribe.asked) == 1


def test_a_live_session_is_left_alone(memory: MemoryManager) -> None:
    live = memory.begin("a-model")
    live.remember(live.make("user", PORTO, origin="user"))
    scribe = Scribe()
    assert settle(memory, with_notes(scribe), "scribe") == Done(indexed=1)
    assert state(memory, live.id) == "open" and not scribe.asked
    live.end()


@pytest.mark.parametrize(
    "error", [ModelUnreachable("Nobody there.", "Go on."), KeyRefused("No."), RateLimited("Wait.")]
)
def test_without_a_model_extracted_notes_stand_in_and_all_stays_owed(memory: MemoryManager, error: Failure) -> None:
    sessions = [talk(memory, PORTO), talk(memory, "My sister is called Ada.")]
    scribe = Scribe(reply=error)
    done = settle(memory, with_notes(scribe), "scribe")
    assert (done.noted, done.left) == (0, str(error))
    assert len(scribe.asked) == 1, "the model is not asked again for each session"
    assert [written_by(memory, one) for one in sessions] == ["extracted", "extracted"]
    assert [state(memory, one) for one in sessions] == ["indexed", "indexed"]
    assert [one.id for one in memory.owed("scribe")] == sessions
    before = [memory.store.summary(one) for one in sessions]
    settle(memory, with_notes(scribe), "scribe")
    assert [memory.store.summary(one) for one in sessions] == before, "what stands in is not written again and again"

    assert settle(memory, with_notes(Scribe()), "scribe").noted == 2
    assert written_by(memory, sessions[0]) == "scribe"


def test_a_session_that_the_model_refuses_does_not_keep_the_others_waiting(memory: MemoryManager) -> None:
    refused, fine = talk(memory, "Something the filter dislikes."), talk(memory, PORTO)

    def write(memory: MemoryManager, session_id: str) -> object:
        return memory.summarise(session_id, Scribe(reply=ModelError("Filtered.") if session_id == refused else NOTES))

    done = settle(memory, write, "scribe")
    assert (done.noted, done.left) == (1, "Filtered.")
    assert [one.id for one in memory.owed("scribe")] == [refused]
    assert state(memory, fine) == "indexed"


def test_a_store_that_fails_stops_it(memory: MemoryManager) -> None:
    talk(memory, PORTO)
    memory.store.connection.execute("PRAGMA query_only = ON")
    with pytest.raises(StoreError):
        settle(memory, with_notes(Scribe()), "scribe")


def test_an_index_that_fails_is_told_and_the_notes_are_kept(memory: MemoryManager, home: Path) -> None:
    session_id = talk(memory, PORTO)
    (home / "index").write_text("not a folder")
    done = settle(memory, with_notes(Scribe()), "scribe")
    assert done.noted == 1 and "index" in done.left
    assert state(memory, session_id) == "summarised"


def test_it_can_be_stopped_between_two_sessions_and_before_the_vectors(memory: MemoryManager) -> None:
    first, second = talk(memory, PORTO), talk(memory, PORTO)
    scribe = Scribe()
    done = settle(memory, with_notes(scribe), "scribe", stop=lambda: bool(scribe.asked))
    assert done == Done(noted=1, left="stopped")
    assert [state(memory, first), state(memory, second)] == ["summarised", "ended"]
    done = settle(memory, with_notes(scribe), "scribe", stop=lambda: len(scribe.asked) > 1)
    assert done == Done(noted=1, left="stopped")
    assert memory.store.count_indexed(memory.index.collection) == 0


def test_nothing_is_done_while_another_process_is_at_it(memory: MemoryManager) -> None:
    session_id = killed(memory, PORTO)
    scribe = Scribe()
    with locked(memory.locks / "owed.lock"):
        done = settle(memory, with_notes(scribe), "scribe")
    assert done.left == "another process is at it"
    assert (state(memory, session_id), scribe.asked) == ("open", [])


# ---------------------------------------------------------------------- the thread


@pytest.fixture
def app(home: Path, server: ScriptedServer, token_cache: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[App]:
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(token_cache))
    chosen = Settings(home, model="scribe", base_url=server.url, api_key="test", embedding="endpoint:words")
    made = App(chosen, lambda _line: None)
    yield made
    made.close()


@pytest.fixture
def work(app: App) -> Iterator[OwedWork]:
    """The background of a chat, its notes streamed by the scripted server."""
    made = OwedWork(app.another_memory, lambda memory, one: app.write_notes(memory, one, made.away), "scribe")
    yield made
    made.finish()
    assert not made.is_alive()


def wait_for(condition: Callable[[], object], seconds: float = 10) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come about"
        time.sleep(0.01)


def test_the_background_waits_for_its_turn_and_then_settles(app: App, server: ScriptedServer, work: OwedWork) -> None:
    session_id = talk(app.memory, PORTO)
    server.enqueue(NOTES)
    work.start()
    time.sleep(0.1)
    assert server.bodies == []
    work.go_on()
    work.join(20)
    assert not work.is_alive()
    assert state(app.memory, session_id) == "indexed"
    assert written_by(app.memory, session_id) == "scribe"


def test_it_leaves_the_model_when_its_user_waits_and_begins_again_afterwards(
    app: App, server: ScriptedServer, work: OwedWork
) -> None:
    session_id = talk(app.memory, PORTO)
    slow = Answer('{"title": "Living in Porto", "gist": "' + "so slow " * 2000, pause_s=0.01)
    server.enqueue(slow, NOTES)
    work.start()
    work.go_on()
    wait_for(lambda: server.bodies)
    work.step_aside()
    assert server.hung_up.wait(5), "the model is free for the user"
    time.sleep(0.1)
    assert len(server.bodies) == 1 and written_by(app.memory, session_id) == ""
    work.go_on()
    work.join(20)
    assert written_by(app.memory, session_id) == "scribe"
    assert len(server.bodies) == 2


def test_vectors_wait_too_while_the_user_does(
    home: Path, counter: Counter, memory: MemoryManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A new embedding model may want minutes of the processor."""
    monkeypatch.setattr("memory.sync.BATCH", 4)

    class Asked(Words):
        """The user says something during the first batch."""

        def __call__(self, texts: Sequence[str]) -> list[list[float]]:
            if not batches:
                work.step_aside()
            batches.append(len(texts))
            return super().__call__(texts)

    batches: list[int] = []
    memory.extract(talk(memory, *(f"text {number}" for number in range(10))), tried_by="scribe")
    work = OwedWork(lambda: a_memory(home, counter, Asked()), with_notes(Scribe()), "scribe")
    work.start()
    work.go_on()
    wait_for(lambda: batches)
    time.sleep(0.1)
    assert work.is_alive() and batches == [4]
    work.go_on()
    work.join(20)
    assert memory.store.count_unindexed(memory.index.collection) == 0


def test_it_ends_soon_in_the_midst_of_a_reply_and_leaves_it_owed(
    app: App, server: ScriptedServer, work: OwedWork
) -> None:
    session_id = talk(app.memory, PORTO)
    server.enqueue(Answer("so slow " * 2000, pause_s=0.01))
    work.start()
    work.go_on()
    wait_for(lambda: server.bodies)
    began = time.monotonic()
    work.finish()
    assert time.monotonic() - began < 3 and not work.is_alive()
    assert [one.id for one in app.memory.owed("scribe")] == [session_id]
    with app.memory.owing() as free:
        assert free


def test_to_finish_what_never_began_is_nothing() -> None:
    def never() -> MemoryManager:
        raise AssertionError

    work = OwedWork(never, lambda _memory, _one: None, "scribe")
    work.finish()
    assert work.away() and work.stopped()


def test_a_failure_in_the_background_is_for_the_log(
    home: Path, counter: Counter, caplog: pytest.LogCaptureFixture
) -> None:
    home.mkdir()
    (home / "memory.db").write_bytes(b"not a database" * 100)
    work = OwedWork(lambda: a_memory(home, counter, Words()), with_notes(Scribe()), "scribe")
    with caplog.at_level(logging.WARNING, "assistant"):
        work.start()
        work.go_on()
        work.join(10)
    assert "owed work stays: The store" in caplog.text


def test_two_at_once_note_each_session_once(home: Path, counter: Counter, memory: MemoryManager) -> None:
    sessions = [talk(memory, PORTO) for _ in range(4)]
    written: list[str] = []

    def write(memory: MemoryManager, session_id: str) -> object:
        written.append(session_id)
        time.sleep(0.02)
        return memory.summarise(session_id, Scribe())

    both = [OwedWork(lambda: a_memory(home, counter), write, "scribe") for _ in range(2)]
    for each in both:
        each.start()
        each.go_on()
    for each in both:
        each.join(20)
    assert sorted(written) == sorted(sessions)
    assert {state(memory, one) for one in sessions} == {"indexed"}


def test_an_interrupt_goes_through_and_lets_the_lock_go(memory: MemoryManager) -> None:
    talk(memory, PORTO)
    with pytest.raises(Interrupted):
        settle(memory, with_notes(Scribe(reply=Interrupted("Away."))), "scribe")
    with memory.owing() as free:
        assert free
    assert len(memory.owed("scribe")) == 1
