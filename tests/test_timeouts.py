"""A call that must not go on: deadlines, cancelling, silence, and that the connection ends with it."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import suppress
from time import monotonic
from typing import Any

import pytest

from assistant import llm
from assistant.errors import Interrupted
from assistant.llm import Endpoint
from assistant.timeouts import DeadlineReached, Watch, read
from memory.records import Outcome
from tests.endpoints import reply_of, say
from tests.scripted import Answer, Call, ScriptedServer, rate_limited

SOON_S = 0.15
SILENCES = [
    pytest.param(lambda _: Answer("Late.", pause_s=30.0), "", id="before a piece"),
    pytest.param(lambda _: Answer("Late.", delay_s=30.0), "", id="before the first byte"),
    pytest.param(lambda gate: Answer("Half a", gate=gate), "Half a", id="in a pause"),
    pytest.param(lambda _: Answer("Half a", endless=": ping"), "Half a", id="in a pause with signs of life"),
    pytest.param(lambda _: rate_limited("60"), "", id="before it is sent again"),
]


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    """What a silent answer waits for; open at the test's end."""
    made = threading.Event()
    yield made
    made.set()


@pytest.fixture
def patient(server: ScriptedServer) -> Iterator[Endpoint]:
    """An endpoint that by itself would wait for minutes, and try again for ever."""
    made = Endpoint("m", server.url, "key", max_retries=1000)
    made.models()  # its client is there, so that no deadline is spent on that
    yield made
    made.close()


@pytest.mark.parametrize(("silent", "text"), SILENCES)
def test_at_the_deadline_the_reply_is_what_has_come(
    server: ScriptedServer, patient: Endpoint, gate: threading.Event, silent: Any, text: str
) -> None:
    server.enqueue(silent(gate))
    ended: list[Outcome] = []
    reply = reply_of(patient, deadline_s=0.6, sending=lambda *_: ended.append)
    assert (reply.text, reply.finish, reply.tool_calls) == (text, "deadline", ())
    assert (ended[0].finish, ended[0].error) == ("deadline", "")


@pytest.mark.parametrize(("silent", "text"), SILENCES)
def test_a_silence_can_be_cancelled(
    server: ScriptedServer, patient: Endpoint, gate: threading.Event, silent: Any, text: str
) -> None:
    server.enqueue(silent(gate))
    stop = threading.Event()
    threading.Timer(SOON_S, stop.set).start()
    with pytest.raises(Interrupted):
        reply_of(patient, cancelled=stop.is_set)


def test_calls_that_the_deadline_cut_are_none(server: ScriptedServer, patient: Endpoint, gate: threading.Event) -> None:
    server.enqueue(Answer(calls=(Call("delete", "{}"),), gate=gate))
    assert reply_of(patient, deadline_s=0.5).tool_calls == ()


def test_a_deadline_that_is_over_sends_nothing(server: ScriptedServer, patient: Endpoint) -> None:
    assert reply_of(patient, deadline_s=0.0).finish == "deadline"
    assert server.bodies == []


def test_a_deadline_that_is_not_reached_changes_nothing(server: ScriptedServer, patient: Endpoint) -> None:
    server.enqueue("Hi.", "Hi.")
    assert reply_of(patient, deadline_s=60.0) == reply_of(patient, deadline_s=float("inf"))


def test_the_end_is_not_lost_to_a_server_that_says_no_more(
    server: ScriptedServer, patient: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(llm, "LINGER_S", 0.1)
    ending = '{"choices": [{"delta": {}, "finish_reason": "tool_calls"}]}'
    server.enqueue(Answer("Hi.", calls=(Call("clock", "{}"),), raw=ending, endless=": ping"))
    reply = reply_of(patient)
    assert (reply.text, reply.finish, len(reply.tool_calls)) == ("Hi.", "tool_calls", 1)


def test_what_waits_for_the_first_byte_is_cut_off_at_the_server_too(
    server: ScriptedServer, patient: Endpoint, gate: threading.Event
) -> None:
    def late(_body: object) -> Answer:
        gate.wait(10)
        return Answer("word " * 1000)

    server.enqueue(late)
    assert reply_of(patient, deadline_s=0.3).finish == "deadline"
    gate.set()
    assert server.hung_up.wait(5)


def test_ctrl_c_ends_a_silence(server: ScriptedServer, patient: Endpoint, gate: threading.Event) -> None:
    server.enqueue(Answer("Half a", gate=gate), "Here again.")
    threading.Timer(SOON_S, os.kill, (os.getpid(), signal.SIGINT)).start()
    with pytest.raises(KeyboardInterrupt):
        reply_of(patient)
    assert reply_of(patient).text == "Here again."


def test_several_calls_at_once_are_cut_each_by_its_own_deadline(server: ScriptedServer, patient: Endpoint) -> None:
    server.default = lambda body: Answer("slow", delay_s=1.0) if body["messages"][0]["content"] == "slow" else "fast"
    found: list[str] = []

    def ask(content: str, deadline_s: float) -> None:
        found.append(f"{content} {reply_of(patient, [say('user', content)], deadline_s=deadline_s).finish}")

    asking = [threading.Thread(target=ask, args=each) for each in [("slow", 0.4), ("slow", 30.0), ("fast", 30.0)]]
    for thread in asking:
        thread.start()
    for thread in asking:
        thread.join()
    assert sorted(found) == ["fast stop", "slow deadline", "slow stop"]


# Reading alone


def test_a_source_is_read_to_its_end_and_not_cut() -> None:
    cut: list[bool] = []
    assert list(read(lambda: range(1000), lambda: cut.append(True), Watch(9))) == list(range(1000))
    assert cut == []


def test_what_a_source_raises_is_raised() -> None:
    def source() -> Iterator[int]:
        yield 1
        raise KeyError("a slip")

    came = read(source, lambda: None, Watch(9))
    assert next(came) == 1
    with pytest.raises(KeyError, match="a slip"):
        next(came)


def test_a_source_that_never_ends_is_cut_however_fast_it_is() -> None:
    stop = threading.Event()

    def source() -> Iterator[int]:
        while not stop.is_set():
            yield 1

    with suppress(DeadlineReached):
        for _ in read(source, stop.set, Watch(9, deadline_s=0.05)):
            pass
    assert stop.is_set()


def test_a_pause_is_not_a_silence() -> None:
    watch = Watch(0.01)
    began = monotonic()
    watch.sleep(0.05)
    assert monotonic() - began >= 0.05
    watch.check()
