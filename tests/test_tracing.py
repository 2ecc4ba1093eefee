"""What is recorded of a turn, read back as a tree: each way that a step or a call can end."""

from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from assistant.app import App
from assistant.chat import Chat
from assistant.errors import KeyRefused
from assistant.reply import Delta
from assistant.tracing import Trace, every, of_notes, of_session, of_turn
from memory.deltas import LOST
from memory.errors import NothingFound
from memory.receipts import CallRow, Receipt
from memory.records import Outcome
from memory.usage import Usage
from tests.conftest import Apps
from tests.memories import NOTES, PORTO
from tests.scripted import Answer, Call, ScriptedServer, bad_key, rate_limited

OWN = '''
import time

EFFECTS = {"hang": [], "wipe": ["writes"]}


def hang() -> str:
    """Wait for long."""
    time.sleep(5)
    return "late"


def wipe() -> str:
    """Delete everything."""
    return "gone"
'''
SUM = Answer("Let me see.", calls=(Call("calculator", '{"expression": "6*7"}'),))


def hear(chat: Chat, text: str) -> None:
    with closing(chat.turn(text)) as events:
        list(events)


def last(app: App) -> Trace:
    return of_turn(app.memory, app.memory.receipts.newest_turn() or 0)


def began(app: App, session_id: str, turn: int, step: int, **given: Any) -> int:
    """A receipt as a helper's or a plan's is written."""
    at = datetime(2026, 11, 23, 12, 0, step, tzinfo=UTC)
    fields: dict[str, Any] = {"purpose": "helper", "model": "small", "bytes": 10, "sha256": "0", "request": {}}
    return app.memory.receipts.begin(Receipt(0, session_id=session_id, turn=turn, step=step, at=at, **fields | given))


def test_a_turn_with_a_tool_has_its_steps_calls_and_sums(app: App, server: ScriptedServer) -> None:
    server.enqueue(SUM, "It is 42.")
    chat = app.chat()
    hear(chat, "How much is 6*7?")
    trace = last(app)
    assert (trace.session.id, trace.number, trace.state) == (chat.session.id, 1, "answered")
    assert trace.asked and trace.asked.content == "How much is 6*7?" and trace.answer == "It is 42."
    first, second = trace.steps
    assert [step.said for step in trace.steps] == ["Let me see.", "It is 42."]
    assert first.receipt.bytes == len(server.requests[0].raw)
    (call,) = first.calls
    assert (call.name, call.arguments, call.result, call.ok) == ("calculator", '{"expression": "6*7"}', "42", True)
    assert call.decision.startswith("allowed") and call.ms >= 0 and not call.outside
    assert second.receipt.outcome and second.receipt.outcome.finish == "stop" and second.calls == ()
    ends = [step.receipt.outcome for step in trace.steps]
    assert trace.usage.prompt_tokens == sum(end.prompt_tokens or 0 for end in ends if end) > 0
    assert trace.usage.calls == 2 and trace.usage.unpriced == 0 and trace.usage.usd
    assert trace.began_at <= first.receipt.at <= first.ended_at <= trace.ended_at


def test_what_was_sent_again_failed_or_was_cut_off_is_told(app: App, server: ScriptedServer) -> None:
    chat = app.chat()
    server.enqueue(rate_limited(retry_after="0"), "Now.", Answer("A long", finish="length"), bad_key())
    hear(chat, "Are you there?")
    assert (outcome := last(app).steps[0].receipt.outcome) and (outcome.retries, outcome.finish) == (1, "stop")
    hear(chat, "A story!")
    assert (outcome := last(app).steps[0].receipt.outcome) and outcome.finish == "length"
    assert last(app).answer and "length limit" in (last(app).answer or "")
    with pytest.raises(KeyRefused):
        hear(chat, "And?")
    trace = last(app)
    assert (trace.state, trace.number, trace.answer, trace.steps[0].said) == ("failed", 3, None, None)
    assert (outcome := trace.steps[0].receipt.outcome) and outcome.error.startswith("KeyRefused: ")
    assert trace.usage == Usage(1, ms=outcome.ms)  # nothing was counted, so nothing is of unknown price
    assert [one.number for one in of_session(app.memory, trace.session)] == [1, 2, 3]


def test_calls_that_have_the_same_id_in_each_step_have_their_own_results(app: App, server: ScriptedServer) -> None:
    again = Answer(calls=(Call("calculator", '{"expression": "1+1"}', id=SUM.calls[0].id),))
    server.enqueue(SUM, again)
    chat = app.chat()
    with closing(chat.turn("How much?")) as events:
        for event in events:  # up to the second step's calls, none of which has run
            if len(server.requests) == 2 and getattr(event, "role", "") == "assistant":
                break
        trace = last(app)
        assert [call.result for step in trace.steps for call in step.calls] == ["42", None]
        assert trace.steps[1].calls[0].decision == ""


def test_an_interrupted_answer_is_kept_and_marked(app: App, server: ScriptedServer) -> None:
    server.enqueue(Answer("Once upon a time there was a king.", pause_s=0.005))
    events = app.chat().turn("Tell me a story.")
    assert any(isinstance(event, Delta) for event in events)
    events.close()
    trace = last(app)
    assert trace.state == "interrupted" and trace.answer and trace.answer.endswith("[interrupted]")


def test_a_call_that_is_interrupted_names_no_result(app: App, server: ScriptedServer) -> None:
    server.enqueue(SUM)
    events = app.chat().turn("How much is 6*7?")
    for event in events:
        if getattr(event, "tool_calls", ()) and getattr(event, "role", "") == "assistant":
            break
    events.close()
    trace = last(app)
    (call,) = trace.steps[0].calls
    assert (trace.state, call.ok, call.decision) == ("interrupted", False, "interrupted")
    assert "may or may not have run" in (call.result or "")


def test_a_call_that_takes_too_long_is_denied_or_wrong_says_so(
    apps: Apps, server: ScriptedServer, tmp_path: Path
) -> None:
    own = tmp_path / "own.py"
    own.write_text(OWN)
    app = apps(own_tools=(str(own),), tool_seconds=0.05, approve=("wipe=deny",))
    calls = (Call("hang", "{}"), Call("wipe", "{}"), Call("hang", "{broken"), Call("none", "{}"))
    server.enqueue(Answer(calls=calls), "I could not.")
    hear(app.chat(), "Go on.")
    hung, denied, broken, unknown = last(app).steps[0].calls
    assert hung.ok is False and "given up after 0.05 s" in (hung.result or "") and hung.ms >= 50
    assert denied.ok is False and denied.decision.startswith("denied") and "gone" not in (denied.result or "")
    assert broken.ok is unknown.ok is False and broken.arguments == "{broken"


def test_steps_of_helpers_and_plans_stand_where_they_belong(app: App, server: ScriptedServer) -> None:
    server.enqueue(SUM, "Both are done.")
    chat = app.chat()
    hear(chat, "Find out both.")
    receipts, turn = app.memory.receipts, app.memory.receipts.newest_turn() or 0
    parent = receipts.of_turn(turn)[0].seq
    for number in (1, 2):
        seq = began(app, chat.session.id, turn, 1, parent=parent, helper=number)
        receipts.end(seq, Outcome(5, "stop", prompt_tokens=100, completion_tokens=10, cached_tokens=40), 0.5)
        receipts.answered_with(seq, f"Found {number}.")
        receipts.acted(CallRow(seq, "c1", "clock", True, False, "allowed", 3, "{}", None, "noon"))
    began(app, chat.session.id, turn, 1, purpose="plan")
    trace = last(app)
    assert [step.receipt.purpose for step in trace.steps] == ["turn", "turn", "plan"]
    helpers = trace.steps[0].helpers
    assert [(one.number, one.steps[0].said) for one in helpers] == [(1, "Found 1."), (2, "Found 2.")]
    assert (helpers[0].steps[0].calls[0].arguments, helpers[0].steps[0].calls[0].result) == ("{}", "noon")
    assert trace.usage.calls == len(list(every(trace.steps))) == 5
    assert trace.usage.cached_tokens == 80 and trace.usage.usd and trace.usage.usd > 1
    assert trace.usage.unpriced == 1  # the plan's, which was never answered
    assert (trace.state, trace.answer) == ("answered", "Both are done.")


def test_what_was_forgotten_is_marked_and_a_step_without_an_end_is_not_answered(
    app: App, server: ScriptedServer
) -> None:
    server.enqueue(SUM, "It is 42.")
    chat = app.chat()
    hear(chat, "How much is 6*7?")
    turn = app.memory.receipts.newest_turn() or 0
    with app.memory.store.writing() as db:
        db.execute("DELETE FROM messages WHERE role <> 'system'")
    trace = of_turn(app.memory, turn)
    (call,) = trace.steps[0].calls
    assert trace.asked is None and trace.answer == LOST
    assert (call.arguments, call.result, trace.steps[0].said) == (LOST, LOST, LOST)
    began(app, chat.session.id, turn, 3, purpose="turn")
    assert last(app).state == "unfinished" and last(app).steps[-1].said is None


def test_each_writing_of_notes_is_a_trace_of_its_own(app: App, server: ScriptedServer) -> None:
    chat = app.chat()
    server.enqueue("I see.", "{broken", NOTES, NOTES)
    hear(chat, PORTO)
    chat.end()
    for _ in range(2):
        app.write_notes(app.memory, chat.session.id)
    session = app.memory.store.session(chat.session.id)
    assert session
    first, second = of_notes(app.memory, session)
    assert [len(one.steps) for one in (first, second)] == [2, 1]
    assert (second.number, second.state, second.asked, second.usage.calls) == (0, "answered", None, 1)
    assert of_session(app.memory, session)[1:] == [first, second]


def test_a_turn_that_asked_no_model_has_no_trace(app: App) -> None:
    with pytest.raises(NothingFound):
        of_turn(app.memory, 1)
