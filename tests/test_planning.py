"""A turn by a plan, with a scripted model: what is asked, what is stored, failed steps, pauses and restarts."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from assistant.acting import NOT_ANSWERED
from assistant.app import App
from assistant.chat import Chat
from assistant.errors import LimitReached, Paused, PlanRefused
from assistant.planning import Plan
from assistant.plans import Step, Steps, from_json, lines
from memory.errors import BadInput
from memory.records import Message
from tests.conftest import Apps
from tests.scripted import Answer, Call, ScriptedServer
from tests.test_receipts import assert_all_are_built_again

PLAN = "1. Work out 6*7\n2. Double it"


def yes(steps: Steps) -> Steps:
    return steps


def planned(chat: Chat, text: str = "What is twice 6*7?") -> list[Any]:
    return list(chat.turn(text, planned=True))


def states(app: App) -> list[str]:
    (row,) = app.memory.store.rows("SELECT state, steps FROM plans")
    return [row["state"], *(step.state for step in from_json(row["steps"]))]


def said(app: App, chat: Chat) -> list[tuple[str, str]]:
    return [(one.role, one.content) for one in app.memory.store.transcript(chat.session.id)]


def last(body: Any) -> str:
    return str(body["messages"][-1]["content"])


def test_a_plan_is_proposed_agreed_on_worked_through_and_answered(app: App, server: ScriptedServer) -> None:
    shown: list[Steps] = []
    server.enqueue(
        PLAN,
        Answer(calls=(Call("calculator", '{"expression": "6*7"}'),)),
        "It is 42.",
        "Twice that is 84.",
        "84.",
    )
    chat = Chat(app, agree=lambda steps: shown.append(steps) or steps)
    events = planned(chat)
    assert shown == [(Step("Work out 6*7"), Step("Double it"))]
    assert states(app) == ["done", "done", "done"]
    assert said(app, chat) == [
        ("user", "What is twice 6*7?"),
        ("assistant", ""),
        ("tool", "42"),
        ("assistant", "It is 42."),
        ("assistant", "Twice that is 84."),
        ("assistant", "84."),
    ]
    marks = [lines(event.steps) for event in events if isinstance(event, Plan)]
    assert marks[1] == "[x] 1. Work out 6*7 -> It is 42.\n[ ] 2. Double it"
    asked = server.bodies
    assert "write a plan" in last(asked[0]) and "tools" not in asked[0]
    assert "Do step 1 of the plan" in last(asked[1]) and asked[1]["messages"][-1]["role"] == "user"
    assert "[x] 1." in last(asked[3]) and "Do step 2" in last(asked[3])
    assert "has been worked through" in last(asked[4])
    purposes = [row["purpose"] for row in app.memory.store.rows("SELECT purpose FROM receipts ORDER BY seq")]
    assert purposes == ["plan", "turn", "turn", "turn", "turn"]


def test_what_needs_no_plan_is_answered_at_once(app: App, server: ScriptedServer) -> None:
    server.enqueue("NONE", "Hello.")
    chat = Chat(app, agree=yes)
    planned(chat, "Hi!")
    assert said(app, chat) == [("user", "Hi!"), ("assistant", "Hello.")]
    assert not app.memory.store.rows("SELECT * FROM plans")


def test_its_owner_may_change_a_plan_or_say_no(app: App, server: ScriptedServer) -> None:
    server.enqueue(PLAN, "A guess: 84.", "84.")
    planned(Chat(app, agree=lambda _steps: (Step("Guess"),)))
    assert states(app) == ["done", "done"]
    server.enqueue(PLAN)
    chat = Chat(app, agree=lambda _steps: None)
    with pytest.raises(PlanRefused) as caught:
        planned(chat)
    assert caught.value.exit_code == 4
    assert said(app, chat) == [("user", "What is twice 6*7?")]
    assert app.memory.plans.unfinished() == []


def test_a_step_that_fails_has_the_rest_planned_anew(app: App, server: ScriptedServer) -> None:
    server.enqueue(PLAN, "FAILED: no calculator.", "1. Do it by hand\n2. Check it", "84.", "It holds.", "84, by hand.")
    planned(Chat(app, agree=yes))
    assert states(app) == ["done", "failed", "done", "done"]
    assert "Step 1 of the plan has failed" in last(server.bodies[2])
    (row,) = app.memory.store.rows("SELECT replanned FROM plans")
    assert row["replanned"] == 1


def test_a_new_plan_that_cannot_be_read_leaves_the_steps_that_are_left(app: App, server: ScriptedServer) -> None:
    server.enqueue(PLAN, "FAILED: no calculator.", "I would try something else.", "Done.", "The end.")
    planned(Chat(app, agree=yes))
    assert states(app) == ["done", "failed", "done"]


def test_none_empties_what_is_left(app: App, server: ScriptedServer) -> None:
    server.enqueue(PLAN, "FAILED: no calculator.", "**NONE.**", "The end.")
    planned(Chat(app, agree=yes))
    assert states(app) == ["done", "failed"]


def test_plans_are_not_made_anew_for_ever(app: App, server: ScriptedServer) -> None:
    def answer(body: Any) -> str:
        told = last(body)
        if "write a plan" in told or "has failed" in told:
            return PLAN
        return "FAILED: no." if "Do step" in told else "I could not."

    server.default = answer
    planned(Chat(app, agree=yes))
    assert states(app) == ["done", "failed", "failed", "failed", "failed"]
    assert sum("has failed" in last(body) for body in server.bodies) == 2


def test_a_step_that_takes_too_many_model_calls_has_failed(apps: Apps, server: ScriptedServer) -> None:
    numbers = iter(range(100))

    def answer(body: Any) -> Any:
        told = last(body)
        if "write a plan" in told:
            return PLAN
        if "has failed" in told:
            return "NONE"
        if "worked through" in told:
            return "I could not."
        if "tools" not in body:
            return "Not yet."
        return Answer(calls=(Call("calculator", json.dumps({"expression": f"1+{next(numbers)}"})),))

    server.default = answer
    app = apps(max_steps=2)
    chat = Chat(app, agree=yes)
    planned(chat)
    assert states(app) == ["done", "failed"]
    assert said(app, chat)[-1] == ("assistant", "I could not.")


def test_where_nobody_can_be_asked_the_plan_waits_and_survives_a_restart(apps: Apps, server: ScriptedServer) -> None:
    app = apps()
    server.enqueue(PLAN)
    chat = app.chat()
    with pytest.raises(Paused) as caught:
        planned(chat)
    assert caught.value.exit_code == 6
    chat.session.let_go()
    app.close()

    again = apps()
    (plan,) = again.memory.plans.unfinished()
    assert (plan.state, plan.session_id) == ("proposed", chat.session.id)
    assert again.memory.close_abandoned() == []
    (waiting,) = again.memory.pending.of_session(plan.session_id)
    assert (waiting.kind, waiting.shown) == ("plan", "[ ] 1. Work out 6*7\n[ ] 2. Double it")
    again.memory.pending.decide([waiting.id], "approved", waiting.at)
    server.enqueue("It is 42.", "Twice that is 84.", "84.")
    resumed = Chat(again, again.memory.resume(plan.session_id, again.choice.name))
    list(resumed.go_on(plan.turn))
    assert states(again) == ["done", "done", "done"]
    assert said(again, resumed)[-1] == ("assistant", "84.")


def test_a_plan_that_waited_and_got_a_no_is_not_carried_out(app: App, server: ScriptedServer) -> None:
    server.enqueue(PLAN)
    chat = app.chat()
    with pytest.raises(Paused):
        planned(chat)
    assert not chat.end(), "it waits"
    (waiting,) = app.memory.pending.of_session(chat.session.id)
    app.memory.pending.decide([waiting.id], "denied", waiting.at)
    resumed = Chat(app, app.memory.resume(chat.session.id, app.choice.name))
    with pytest.raises(PlanRefused):
        list(resumed.go_on())
    assert resumed.end()
    assert states(app) == ["refused", "open", "open"]
    assert len(server.bodies) == 1


def test_a_plan_that_was_stopped_goes_on_where_it_stands(apps: Apps, server: ScriptedServer) -> None:
    app = apps()
    server.enqueue(PLAN, "It is 42.", Answer("Twice that", pause_s=0.01))
    chat = Chat(app, agree=yes)
    events = chat.turn("What is twice 6*7?", planned=True)
    for event in events:
        if isinstance(event, Plan) and event.steps[0].state == "done":
            break
    next(events)
    events.close()
    assert states(app) == ["stopped", "done", "open"]
    server.enqueue("Twice that is 84.", "84.")
    list(chat.go_on(app.memory.plans.unfinished()[0].turn))
    assert states(app) == ["done", "done", "done"]
    assert "Do step 2" in last(server.bodies[3])


def test_a_limit_of_the_turn_stops_the_plan_with_its_best_answer(apps: Apps, server: ScriptedServer) -> None:
    def answer(body: Any) -> Answer:
        text = PLAN if "write a plan" in last(body) else "So far so good."
        return Answer(text, usage={"prompt_tokens": 2_500, "completion_tokens": 10})

    server.default = answer
    app = apps(max_tokens=8_000)
    chat = Chat(app, agree=yes)
    with pytest.raises(LimitReached, match="8,000 tokens"):
        planned(chat)
    assert states(app)[0] == "stopped"
    assert said(app, chat)[-1][1].endswith("[stopped by the limit of 8,000 tokens]")


def test_the_requests_of_a_plan_are_built_again(app: App, server: ScriptedServer) -> None:
    server.enqueue(PLAN, "It is 42.", "FAILED: I cannot double.", "1. Add it to itself", "84.", "84.")
    planned(Chat(app, agree=yes))
    assert_all_are_built_again(app, server)


def test_a_steps_call_that_waits_keeps_the_plan_waiting(apps: Apps, server: ScriptedServer, tmp_path: Path) -> None:
    app = apps(folders=(str(tmp_path),), context_tokens=32_000)
    write = Call("write_file", json.dumps({"path": "sum.txt", "content": "84\n"}))
    server.enqueue(PLAN, "It is 42.", Answer(calls=(write,)))
    chat = Chat(app, agree=yes)
    with pytest.raises(Paused):
        planned(chat)
    assert states(app) == ["working", "done", "open"]
    chat.session.let_go()
    waiting = app.memory.pending.of_session(chat.session.id)
    app.memory.pending.decide([one.id for one in waiting], "approved", waiting[0].at)
    server.enqueue("It is written.", "84, see sum.txt.")
    resumed = Chat(app, app.memory.resume(chat.session.id, app.choice.name), agree=yes)
    events = list(resumed.go_on())
    assert (tmp_path / "sum.txt").read_text() == "84\n"
    assert states(app) == ["done", "done", "done"]
    assert isinstance(events[-1], Message) and events[-1].content == "84, see sum.txt."


# ---------------------------------------------------------------------- after a kill


def until_done(events: Iterable[Any], number: int) -> None:
    """Work on a plan until so many of its steps are done."""
    for event in events:
        if isinstance(event, Plan) and sum(step.state == "done" for step in event.steps) == number:
            return


def test_a_plan_whose_process_was_killed_goes_on_though_its_session_has_ended(app: App, server: ScriptedServer) -> None:
    server.enqueue(PLAN, "It is 42.")
    chat = Chat(app, agree=yes)
    events = chat.turn("What is twice 6*7?", planned=True)
    until_done(events, 1)
    assert app.memory.unfinished() == [], "it is being worked on"
    chat.session.let_go()
    (plan,) = app.memory.unfinished()
    assert app.memory.close_abandoned() == [chat.session.id]
    app.memory.extract(chat.session.id)

    resumed = app.resumed_plan(plan)
    with pytest.raises(BadInput, match="open elsewhere"):
        app.resumed_plan(plan)
    with pytest.raises(BadInput, match="being worked on"):
        app.memory.give_up(plan)
    server.enqueue("Twice that is 84.", "84.")
    list(resumed.go_on(plan.turn))
    assert states(app) == ["done", "done", "done"]
    assert app.memory.owed("any") == [], "it goes on"
    resumed.end()
    (owed,) = app.memory.owed("any")
    assert owed.id == chat.session.id and app.memory.store.summary(owed.id) is None
    with pytest.raises(BadInput, match="not what it was"):
        app.resumed_plan(plan)


def test_a_plan_that_was_shown_when_the_process_was_killed_is_approved_as_it_stands(
    app: App, server: ScriptedServer
) -> None:
    def kill(_steps: Steps) -> Steps:
        raise GeneratorExit

    server.enqueue(PLAN)
    chat = Chat(app, agree=kill)
    with pytest.raises(GeneratorExit):
        planned(chat)
    chat.session.let_go()
    (plan,) = app.memory.unfinished()
    assert plan.state == "proposed"
    server.enqueue("It is 42.", "Twice that is 84.", "84.")
    list(app.resumed_plan(plan).go_on(plan.turn))
    assert states(app) == ["done", "done", "done"]


def test_what_ran_when_the_process_was_killed_is_not_run_again(
    apps: Apps, server: ScriptedServer, tmp_path: Path
) -> None:
    app = apps(folders=(str(tmp_path),), approve=("writes=allow",), context_tokens=32_000)
    write = Call("write_file", json.dumps({"path": "sum.txt", "content": "84\n"}))
    server.enqueue(PLAN, "It is 42.", Answer(calls=(write,)))
    chat = Chat(app, agree=yes)
    events = chat.turn("What is twice 6*7?", planned=True)
    next(event for event in events if isinstance(event, Message) and event.tool_calls)
    chat.session.let_go()
    (plan,) = app.memory.unfinished()
    server.enqueue("It may be written.", "84.")
    resumed = app.resumed_plan(plan)
    list(resumed.go_on(plan.turn))
    assert ("tool", NOT_ANSWERED) in said(app, resumed)
    assert not (tmp_path / "sum.txt").exists()
    assert states(app) == ["done", "done", "done"]


def test_an_unfinished_plan_can_be_given_up(app: App, server: ScriptedServer) -> None:
    server.enqueue(PLAN, "It is 42.")
    chat = Chat(app, agree=yes)
    events = chat.turn("What is twice 6*7?", planned=True)
    until_done(events, 1)
    chat.session.let_go()
    (plan,) = app.memory.unfinished()
    app.memory.give_up(plan)
    assert states(app)[0] == "refused" and app.memory.unfinished() == []
