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

from assistant.acting import NOT_ANSWERED, Acted, Acting
from assistant.agent import Event, Events, Limit, last_words, respond
from assistant.approval import Approve, Decision, Wanted
from assistant.asking import INTERRUPTED, Asking
from assistant.errors import ContextOverflow, Interrupted, LimitReached, Paused, RateLimited
from assistant.llm import Endpoint
from assistant.prompt import LAST_STEP
from assistant.repeats import Repeats
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


def allow_all(wanted: Sequence[Wanted]) -> list[Decision]:
    """Let everything run."""
    return [Decision(True, "allowed") for _ in wanted]


@dataclass
class Session:
    """A caller of the loop that commits as it should: each Message before it asks for the next event."""

    server: ScriptedServer
    cancelled: Callable[[], bool] | None = None
    committed: list[Message] = field(default_factory=list)
    shown: str = ""
    refusals: list[ContextOverflow | None] = field(default_factory=list)
    replies: list[Reply] = field(default_factory=list)
    acted: list[Acted] = field(default_factory=list)
    approve: Approve = allow_all

    def __post_init__(self) -> None:
        self.endpoint = Endpoint("m", self.server.url, max_retries=0)
        self.tools = Toolbox([tool(add), tool(nap), tool(meet)], len, 4_000)
        self.committed.append(self.make("user", "What is 2 + 3?", origin="user"))

    def make(self, role: Role, content: str, *, origin: str, **more: Any) -> Message:
        return Message(f"m{len(self.committed)}", "s", role, content, datetime.now(UTC), origin, **more)

    def window(self, *, refused: ContextOverflow | None = None, last: bool = False) -> Sequence[Message]:
        self.refusals.append(refused)
        return tuple(self.committed)

    def model(self, messages: Sequence[Message], tools: Any) -> Iterator[Delta | Reply]:
        return self.endpoint.stream(messages, tools, cancelled=self.cancelled)

    def respond(self, limit: Limit = str, paused: Message | None = None) -> Events:
        watch = Repeats()
        ask = Asking(self.window, self.model, self.tools.schemas(), self.make)
        act = Acting(self.tools, self.make, self.approve, watch, noted=self.acted.append)
        return respond(ask, act, lambda: watch.stuck or limit(), paused)

    def take(self, event: Event) -> None:
        if isinstance(event, Message):
            self.committed.append(event)
        elif isinstance(event, Delta):
            self.shown += event.text
        else:
            self.replies.append(event)

    def run(self, limit: Limit = str, paused: Message | None = None) -> None:
        for event in self.respond(limit, paused):
            self.take(event)

    def seconds(self) -> str:
        return "the limit of 1 seconds" if any(reply.finish == "deadline" for reply in self.replies) else ""

    def steps(self, most: int) -> Limit:
        return lambda: f"the limit of {most} steps" if len(self.replies) >= most else ""

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
    assert [type(event) for event in events] == [Delta, Delta, Reply, Message]
    assert isinstance(events[2], Reply)
    assert events[2].usage is not None


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
        session.run(limit=session.steps(2))
    assert caught.value.exit_code == 5
    assert session.said[-1] == ("assistant", "About two.\n\n[stopped by the limit of 2 steps]")
    assert not session.committed[-1].tool_calls
    assert session.shown == session.said[-1][1]
    assert "tools" not in server.bodies[-1]
    assert server.bodies[-1]["messages"][-1] == {"role": "system", "content": LAST_STEP}
    assert LAST_STEP not in str(session.said)


def test_a_limit_is_asked_before_each_step(server: ScriptedServer, session: Session) -> None:
    def tokens() -> str:
        spent = sum(reply.usage.prompt for reply in session.replies if reply.usage)
        return "the limit of 100 tokens" if spent > 100 else ""

    server.default = lambda body: Answer(
        calls=(Call("add", f'{{"a": 1, "b": {len(body["messages"])}}}'),), usage={"prompt_tokens": 60}
    )
    with pytest.raises(LimitReached, match="100 tokens"):
        session.run(limit=tokens)
    assert len(server.bodies) == 3


def test_an_answer_that_is_cut_by_the_time_is_kept_and_the_last_call_is_made(
    server: ScriptedServer, session: Session
) -> None:
    def model(messages: Sequence[Message], tools: Any) -> Iterator[Delta | Reply]:
        return session.endpoint.stream(messages, tools, deadline_s=0.5 if tools else None)

    session.model = model  # type: ignore[method-assign]
    server.enqueue(Answer("word " * 100, pause_s=0.05), "In short: words.")
    with pytest.raises(LimitReached, match="1 seconds"):
        session.run(limit=session.seconds)
    (_, first), (_, last) = session.said
    assert first.startswith("word") and first.endswith("[cut off: the time was up]")
    assert last == "In short: words.\n\n[stopped by the limit of 1 seconds]"


# Approval and repeats


def test_what_its_owner_refuses_is_told_and_not_run(server: ScriptedServer, session: Session) -> None:
    session.approve = lambda wanted: [Decision(one.call.arguments != "{}", "asked", "Not allowed.") for one in wanted]
    server.enqueue(Answer(calls=(Call("add", '{"a": 2, "b": 3}'), Call("meet", '{"number": "x"}'))), "Five.")
    session.run()
    assert [text for _, text in session.said[1:3]] == ["5", session.said[2][1]]
    assert [one.decision for one in session.acted] == ["asked", "not a call"]
    server.enqueue(Answer(calls=(Call("nap", '{"seconds": 0}'),)), "So be it.")
    session.approve = lambda wanted: [Decision(False, "denied", "Its owner said no.") for _ in wanted]
    session.run()
    assert session.said[-2:] == [("tool", "Its owner said no."), ("assistant", "So be it.")]
    assert not session.acted[-1].result.ok


def test_a_turn_that_waits_runs_nothing_and_goes_on_where_it_stands(server: ScriptedServer, session: Session) -> None:
    def nobody(wanted: Sequence[Wanted]) -> Sequence[Decision]:
        raise Paused(f"{len(wanted)} calls wait.")

    session.approve = nobody
    server.enqueue(Answer("Adding.", calls=(Call("add", '{"a": 2, "b": 3}'), Call("add", '{"a": 1, "b": 1}'))), "Done.")
    with pytest.raises(Paused, match="2 calls wait"):
        session.run()
    assert session.said == [("assistant", "Adding.")]
    session.approve = allow_all
    session.run(paused=session.committed[-1])
    assert session.said[1:] == [("tool", "5"), ("tool", "2"), ("assistant", "Done.")]
    assert [message["role"] for message in server.bodies[-1]["messages"]] == ["user", "assistant", "tool", "tool"]


def test_what_changes_something_waits_for_what_was_called_before_it(server: ScriptedServer, session: Session) -> None:
    done: list[str] = []

    def look(name: str) -> str:
        """Look, slowly."""
        time.sleep(0.05)
        done.append(name)
        return name

    session.tools = Toolbox([tool(look), tool(change_of(done), frozenset({"writes"}))], len, 4_000)
    names = [("look", "a"), ("change", "b"), ("change", "c"), ("look", "d")]
    server.enqueue(Answer(calls=tuple(Call(tool, f'{{"name": "{name}"}}') for tool, name in names)), "Done.")
    session.run()
    assert done == ["a", "b", "c", "d"]
    assert [text for _, text in session.said[1:5]] == ["a", "b", "c", "d"]


def change_of(done: list[str]) -> Callable[..., str]:
    def change(name: str) -> str:
        """Change something."""
        done.append(name)
        return name

    return change


@pytest.mark.parametrize("values", [[1], [1, 2]])
def test_a_model_that_goes_round_in_circles_is_told_and_then_stopped(
    server: ScriptedServer, session: Session, values: list[int]
) -> None:
    def again(body: Any) -> Answer:
        if "tools" not in body:
            return Answer("I give up.")
        place = sum(message["role"] == "assistant" for message in body["messages"])
        return Answer(calls=(Call("add", f'{{"a": 1, "b": {values[place % len(values)]}}}'),))

    server.default = again
    with pytest.raises(LimitReached, match="again and again"):
        session.run()
    assert session.said[-1][1] == "I give up.\n\n[stopped by the same calls being made again and again]"
    told = [text for role, text in session.said if role == "tool" and text.startswith("Not run: you ")]
    assert len(told) == 2
    ran = [one for one in session.acted if one.decision == "allowed"]
    assert len(ran) == (2 if len(values) == 1 else 3)


def test_a_circle_that_is_left_is_forgiven(server: ScriptedServer, session: Session) -> None:
    calls = [1, 1, 1, 2, 3, 3]
    server.enqueue(*[Answer(calls=(Call("add", f'{{"a": 1, "b": {b}}}'),)) for b in calls], "Done.")
    session.run()
    assert session.said[-1] == ("assistant", "Done.")


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
    first, again = session.refusals
    assert first is None
    assert again and (again.window, again.prompt) == (8192, 9000)


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
