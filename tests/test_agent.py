"""The loop against a scripted server, with the true toolbox: what it yields, in which order, and how it ends."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest

from assistant.agent import INTERRUPTED, NOT_ANSWERED, Event, Events, Limit, at_most, last_words, respond
from assistant.errors import ContextOverflow, Interrupted, LimitReached, RateLimited
from assistant.llm import Endpoint
from assistant.prompt import LAST_STEP
from assistant.reply import Delta, Reply
from memory.records import Message, Role
from tests.scripted import (
    Answer,
    Call,
    ScriptedServer,
    rate_limited,
    too_long,
)
from tools.tool import tool
from tools.toolbox import Toolbox


def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


three = threading.Barrier(3, timeout=5)


def meet(number: int) -> int:
    """Wait until three are here."""
    three.wait()
    return number


def nap(seconds: float) -> str:
    """Sleep for some seconds."""
    time.sleep(seconds)
    return f"slept {seconds}"


@dataclass
class Session:
    """A caller of the loop that commits as it should: each Message before it asks for the next event."""

    server: ScriptedServer
    cancelled: Callable[[], bool] | None = None
    committed: list[Message] = field(default_factory=list)
    shown: str = ""
    asked_tighter: list[bool] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.endpoint = Endpoint("m", self.server.url, max_retries=0)
        self.tools = Toolbox([tool(add), tool(nap), tool(meet)], len, 4_000)
        self.committed.append(self.make("user", "What is 2 + 3?", origin="user"))

    def make(self, role: Role, content: str, *, origin: str, **more: Any) -> Message:
        return Message(f"m{len(self.committed)}", "s", role, content, datetime.now(UTC), origin, **more)

    def window(self, *, tighter: bool = False) -> Sequence[Message]:
        self.asked_tighter.append(tighter)
        return tuple(self.committed)

    def model(self, messages: Sequence[Message], tools: Any) -> Iterator[Delta | Reply]:
        return self.endpoint.stream(messages, tools, cancelled=self.cancelled)

    def respond(self, **more: Limit) -> Events:
        return respond(self.window, self.model, self.tools, self.make, **more)

    def take(self, event: Event) -> None:
        if isinstance(event, Message):
            self.committed.append(event)
        elif isinstance(event, Delta):
            self.shown += event.text

    def run(self, **more: Limit) -> None:
        for event in self.respond(**more):
            self.take(event)

    @property
    def said(self) -> list[tuple[str, str]]:
        return [(message.role, message.content) for message in self.committed[1:]]


@pytest.fixture
def session(server: ScriptedServer) -> Iterator[Session]:
    made = Session(server)
    yield made
    made.endpoint.close()


def test_a_plain_reply_ends_the_turn(server: ScriptedServer, session: Session) -> None:
    server.enqueue("It is five.")
    events = list(session.respond())
    assert [type(event) for event in events] == [Delta, Delta, Message, Reply]
    assert isinstance(events[3], Reply)
    assert events[3].usage is not None


def test_a_tools_result_goes_back_to_the_model(server: ScriptedServer, session: Session) -> None:
    server.enqueue(
        Answer("Let me add.", calls=(Call("add", '{"a": 2, "b": 3}'),)),
        lambda body: f"It is {body['messages'][-1]['content']}.",
    )
    session.run()
    assert session.said == [("assistant", "Let me add."), ("tool", "5"), ("assistant", "It is 5.")]
    called, result, _ = session.committed[1:]
    assert result.tool_call_id == called.tool_calls[0].id
    assert (result.origin, result.name) == ("tool:add", "add")
    assert [message["role"] for message in server.bodies[1]["messages"]] == ["user", "assistant", "tool"]
    assert [each["function"]["name"] for each in server.bodies[0]["tools"]] == ["add", "nap", "meet"]


def test_each_message_is_committed_before_anything_else_happens(server: ScriptedServer, session: Session) -> None:
    server.enqueue(Answer(calls=(Call("add", '{"a": 2, "b": 3}'),)), "Five.")
    for event in session.respond():
        if isinstance(event, Message) and event.role != "tool":
            assert len(server.bodies) == sum(message.role != "tool" for message in session.committed)
        session.take(event)


def test_several_calls_run_together_and_answer_in_their_order(server: ScriptedServer, session: Session) -> None:
    calls = tuple(Call("meet", f'{{"number": {number}}}') for number in range(3))
    server.enqueue(Answer(calls=calls), "All here.")
    session.run()
    assert [text for _, text in session.said[1:4]] == ["0", "1", "2"]


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (Call("add", '{"a": 2, "b": '), "not JSON"),
        (Call("add", '{"a": 2}'), '"b" is missing'),
        (Call("ad", "{}"), "There is no tool"),
        (Call("nap", '{"seconds": -1}'), "nap failed"),
    ],
)
def test_a_call_that_fails_gets_a_result_that_says_why(
    server: ScriptedServer, session: Session, call: Call, words: str
) -> None:
    server.enqueue(Answer(calls=(call,)), "I see.")
    session.run()
    assert words in session.said[1][1]
    assert session.said[2] == ("assistant", "I see.")


def test_at_the_limit_the_best_answer_is_asked_for_and_marked(server: ScriptedServer, session: Session) -> None:
    call = Answer(calls=(Call("add", '{"a": 1, "b": 1}'),))
    server.enqueue(call, call, Answer("About two.", calls=(Call("add", "{}"),)))
    with pytest.raises(LimitReached, match="2 steps") as caught:
        session.run(limit=at_most(2))
    assert caught.value.exit_code == 5
    assert session.said[-1] == ("assistant", "About two.\n\n[stopped at the limit of 2 steps]")
    assert not session.committed[-1].tool_calls
    assert session.shown == session.said[-1][1]
    assert "tools" not in server.bodies[-1]
    assert server.bodies[-1]["messages"][-1] == {"role": "system", "content": LAST_STEP}
    assert LAST_STEP not in str(session.said)


def test_a_limit_may_count_tokens(server: ScriptedServer, session: Session) -> None:
    def tokens(spent: Sequence[Reply]) -> str:
        return "100 tokens" if sum(reply.usage.prompt for reply in spent if reply.usage) > 100 else ""

    server.default = Answer(calls=(Call("add", '{"a": 1, "b": 1}'),), usage={"prompt_tokens": 60})
    with pytest.raises(LimitReached, match="100 tokens"):
        session.run(limit=tokens)
    assert len(server.bodies) == 3


@pytest.mark.parametrize(
    ("answer", "content"),
    [
        (Answer("Half a", drop_after=2), "Half a\n\n[the connection broke off here]"),
        (Answer("Half a", finish="length"), "Half a\n\n[cut off: the reply reached its length limit]"),
        (Answer("", finish="content_filter"), "[withheld by the endpoint's content filter]"),
        (Answer(""), "[the model said nothing]"),
    ],
)
def test_a_reply_that_is_not_whole_is_kept_and_marked(
    server: ScriptedServer, session: Session, answer: Answer, content: str
) -> None:
    server.enqueue(answer)
    session.run()
    assert session.said == [("assistant", content)]
    assert session.shown == content


def test_thoughts_are_shown_and_not_kept(server: ScriptedServer, session: Session) -> None:
    server.enqueue(Answer("Five.", reasoning="Hm."))
    session.run()
    assert session.shown == "Hm.Five."
    assert session.said == [("assistant", "Five.")]


def test_a_prompt_that_is_too_long_is_asked_again_tighter(server: ScriptedServer, session: Session) -> None:
    server.enqueue(too_long(), "Five.")
    session.run()
    assert session.said == [("assistant", "Five.")]
    assert session.asked_tighter == [False, True]


def test_a_prompt_that_is_still_too_long_is_a_failure(server: ScriptedServer, session: Session) -> None:
    server.default = too_long()
    with pytest.raises(ContextOverflow):
        session.run()
    assert len(server.bodies) == 2


def test_a_failure_between_steps_leaves_the_results(server: ScriptedServer, session: Session) -> None:
    server.enqueue(Answer(calls=(Call("add", '{"a": 2, "b": 3}'),)), rate_limited())
    with pytest.raises(RateLimited):
        session.run()
    assert [role for role, _ in session.said] == ["assistant", "tool"]


# Interrupts


def in_a_moment(seconds: float) -> None:
    """Press Ctrl-C for the person at the keyboard."""
    threading.Timer(seconds, os.kill, (os.getpid(), signal.SIGINT)).start()


def test_what_was_said_before_ctrl_c_is_committed(server: ScriptedServer, session: Session) -> None:
    server.enqueue(Answer("word " * 100, pause_s=0.05))
    with pytest.raises(KeyboardInterrupt):
        for event in session.respond():
            if not session.shown:
                in_a_moment(0.3)
            session.take(event)
    assert session.said == [("assistant", f"{session.shown}\n\n{INTERRUPTED}")]
    assert session.shown.startswith("word")
    assert server.hung_up.wait(5)


def test_ctrl_c_before_the_first_word_leaves_the_mark_alone(server: ScriptedServer, session: Session) -> None:
    def late(_body: Any) -> Answer:
        in_a_moment(0.2)
        return Answer("Late.", delay_s=1)

    server.enqueue(late)
    with pytest.raises(KeyboardInterrupt):
        session.run()
    assert session.said == [("assistant", INTERRUPTED)]


def test_ctrl_c_in_the_callers_own_code_loses_nothing_either(server: ScriptedServer, session: Session) -> None:
    server.enqueue("A reply that is interrupted while it is shown.")
    events = session.respond()
    try:
        for event in events:
            session.take(event)
            signal.raise_signal(signal.SIGINT)
    except KeyboardInterrupt as stop:
        session.committed += last_words(events, stop)
    assert session.said == [("assistant", f"A reply\n\n{INTERRUPTED}")]


def test_last_words_are_said_once(server: ScriptedServer, session: Session) -> None:
    server.enqueue(Answer("word " * 100, pause_s=0.05))
    events = session.respond()
    try:
        for event in events:
            if not session.shown:
                in_a_moment(0.3)
            session.take(event)
    except KeyboardInterrupt as stop:
        assert list(last_words(events, stop)) == []
    assert len(session.said) == 1


@pytest.mark.parametrize("calls", [1, 2])
def test_ctrl_c_while_tools_run_answers_every_call(server: ScriptedServer, session: Session, calls: int) -> None:
    server.enqueue(Answer(calls=(Call("nap", '{"seconds": 0.8}'),) * calls))
    with pytest.raises(KeyboardInterrupt):
        for event in session.respond():
            session.take(event)
            if isinstance(event, Reply):
                in_a_moment(0.2)
    assert session.said == [("assistant", "")] + [("tool", NOT_ANSWERED)] * calls
    assert len(session.committed[1].tool_calls) == calls


def test_ctrl_c_between_call_and_result_answers_the_call(server: ScriptedServer, session: Session) -> None:
    server.enqueue(Answer(calls=(Call("add", '{"a": 2, "b": 3}'),)))
    events = session.respond()
    with pytest.raises(KeyboardInterrupt):
        for event in events:
            session.take(event)
            if isinstance(event, Message):
                raise KeyboardInterrupt
    session.committed += last_words(events, KeyboardInterrupt())
    assert session.said == [("assistant", ""), ("tool", NOT_ANSWERED)]


def test_a_cancelled_reply_is_kept_like_an_interrupted_one(server: ScriptedServer, session: Session) -> None:
    server.enqueue("A reply that is cancelled from elsewhere.")
    session.cancelled = lambda: session.shown == "A reply"
    with pytest.raises(Interrupted):
        session.run()
    assert session.said == [("assistant", f"A reply\n\n{INTERRUPTED}")]
