"""A model that says what new notes change: its verdicts over the scripted server, and all that can go wrong there."""

import json
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from assistant.app import App
from assistant.errors import Interrupted
from assistant.owed import OwedWork
from memory.manager import MemoryManager
from memory.tokens import Counter
from tests.memories import a_memory, talk
from tests.scripted import Answer, Refusal, ScriptedServer, no_schema, refusal, too_long

ROSES, STONES = "My garden is full of old roses.", "My garden has no roses, only stones."
NOTED = "The user's garden has no roses, only stones."
FACT = {"kind": "fact", "text": NOTED, "date": "", "messages": [1], "quote": "no roses, only stones"}
NOTES = {"title": "Stones in the garden", "gist": NOTED, "facts": [FACT]}
IN_LINES = f"TITLE: Stones\nGIST: {NOTED}\nFACT [1]: {NOTED} | {STONES}"
REPLACED = {"replaced": [2], "same": []}
Apps = Callable[..., App]


def gardened(app: App) -> str:
    """A memory that knows of roses, and an ended session that tells of stones; gives its id."""
    app.memory.extract(talk(app.memory, ROSES), tried_by=app.choice.name)
    return talk(app.memory, STONES)


def retired(memory: MemoryManager) -> list[tuple[str, str]]:
    """What was retired, and by whom."""
    texts = dict(memory.store.rows("SELECT id, text FROM facts WHERE retired_by IS NOT NULL"))
    return [(texts[one.fact], one.who) for one in memory.facts.history() if one.act == "retired"]


def written_by(memory: MemoryManager, session_id: str) -> str:
    summary = memory.store.summary(session_id)
    return summary.written_by if summary else ""


def test_what_the_model_says_is_replaced_is_retired_in_its_name(app: App, server: ScriptedServer) -> None:
    session_id = gardened(app)
    server.enqueue(NOTES, REPLACED)
    app.write_notes(app.memory, session_id)
    assert retired(app.memory) == [(ROSES, app.choice.name)]
    asked = server.bodies[-1]
    assert ROSES in asked["messages"][-1]["content"] and NOTED in asked["messages"][-1]["content"]
    assert set(asked["response_format"]["json_schema"]["schema"]["properties"]) == {"replaced", "same"}


def test_a_model_without_schemas_answers_in_lines(app: App, server: ScriptedServer) -> None:
    session_id = gardened(app)

    def answered(body: Any) -> Answer | Refusal:
        if "response_format" in body:
            return no_schema()
        deciding = "REPLACED:" in body["messages"][0]["content"]
        return Answer("REPLACED: 2\nSAME: none" if deciding else IN_LINES)

    server.default = answered
    app.write_notes(app.memory, session_id)
    assert retired(app.memory) == [(ROSES, app.choice.name)]


@pytest.mark.parametrize(
    "answer",
    [
        "Well, roses are lovely!",
        '{"replaced": [1',
        {"replaced": "all", "same": [True]},
        {"replaced": [0, 3, -1], "same": [99]},
        {"replaced": [2], "same": [2]},
        {"replaced": [1, 2], "same": []},
        [1],
        "",
        refusal(400, "The model refuses."),
        too_long(),
    ],
)
def test_an_answer_that_is_none_changes_nothing(app: App, server: ScriptedServer, answer: Any) -> None:
    session_id = gardened(app)
    server.enqueue(NOTES)
    server.default = json.dumps(answer) if isinstance(answer, list) else answer
    app.write_notes(app.memory, session_id)
    assert retired(app.memory) == []
    assert written_by(app.memory, session_id) == app.choice.name, "the notes stand all the same"


def test_where_the_connection_is_cut_the_rules_stand(app: App, server: ScriptedServer) -> None:
    session_id = gardened(app)
    server.enqueue(NOTES)
    server.default = Answer(json.dumps(REPLACED), drop_after=1)
    app.write_notes(app.memory, session_id)
    assert retired(app.memory) == [] and written_by(app.memory, session_id) == app.choice.name


def test_to_call_the_model_away_leaves_the_notes_owed(app: App, server: ScriptedServer) -> None:
    session_id = gardened(app)
    server.enqueue(NOTES, Answer("so slow " * 500, pause_s=0.02))
    with pytest.raises(Interrupted):
        app.write_notes(app.memory, session_id, lambda: len(server.bodies) > 1)
    assert [one.id for one in app.memory.owed(app.choice.name)] == [session_id]
    assert app.memory.store.facts_of(session_id) == [] and retired(app.memory) == []
    server.enqueue(NOTES, REPLACED)
    app.write_notes(app.memory, session_id)
    assert retired(app.memory) == [(ROSES, app.choice.name)]


def test_a_model_that_the_table_knows_to_retire_what_holds_is_not_asked(apps: Apps, server: ScriptedServer) -> None:
    app = apps(model="qwen2.5-coder-1.5b")
    session_id = gardened(app)
    server.enqueue(NOTES)
    app.write_notes(app.memory, session_id)
    assert len(server.bodies) == 1 and written_by(app.memory, session_id) == "qwen2.5-coder-1.5b"


def test_it_is_asked_within_the_limits_of_the_session(apps: Apps, server: ScriptedServer) -> None:
    app = apps(session_tokens=5200)
    session_id = gardened(app)
    before = len(server.bodies)
    used = {"prompt_tokens": 5000, "completion_tokens": 100, "total_tokens": 5100}
    server.enqueue(Answer(json.dumps(NOTES), usage=used), REPLACED)
    app.write_notes(app.memory, session_id)
    assert len(server.bodies) == before + 1 and retired(app.memory) == []
    assert written_by(app.memory, session_id) == app.choice.name


def test_owed_notes_are_settled_in_the_background(app: App, server: ScriptedServer) -> None:
    gardened(app)
    server.enqueue(NOTES, REPLACED)
    work = OwedWork(app.another_memory, lambda memory, one: app.write_notes(memory, one, work.away), app.choice.name)
    work.start()
    work.go_on()
    work.join(20)
    assert not work.is_alive() and retired(app.memory) == [(ROSES, app.choice.name)]


def test_two_that_settle_at_once_retire_once(home: Path, counter: Counter) -> None:
    with closing(a_memory(home, counter)) as memory:
        memory.extract(talk(memory, "I live in Lisbon."))
        session_id = talk(memory, "We moved to Porto.")
        memory.extract(session_id)
        new = memory.store.facts_of(session_id)
        memory.facts.undo([one.deed for one in memory.facts.history() if one.act == "retired"])
        memory.store.connection.execute("DELETE FROM changes WHERE act = 'retired'")
        memory.store.connection.commit()
    ready = threading.Barrier(2)

    def settled() -> None:
        with closing(a_memory(home, counter)) as mine:
            ready.wait()
            mine.settle(new)

    threads = [threading.Thread(target=settled) for _ in range(2)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    with closing(a_memory(home, counter)) as memory:
        assert [one.act for one in memory.facts.history() if one.act == "retired"] == ["retired"]
