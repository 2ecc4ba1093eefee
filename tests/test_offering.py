"""Tools offered to a model in each way, in a whole conversation: what is asked, done, stored and built again."""

import json
from contextlib import closing
from typing import Any

import pytest

from assistant.app import App
from assistant.chat import Chat
from assistant.recorder import sent
from assistant.reply import Delta
from memory.records import Message
from tests.conftest import Apps
from tests.memories import talk
from tests.scripted import Answer, ScriptedServer, no_schema, refusal
from tests.test_schemacalls import answer

CALL = '{"tool": "calculator", "arguments": {"expression": "17 * 23"}}'


def heard(chat: Chat, text: str) -> tuple[str, list[Message]]:
    """What was shown of a turn, and its messages."""
    with closing(chat.turn(text)) as turn:
        events = list(turn)
    shown = "".join(each.text for each in events if isinstance(each, Delta))
    return shown, [each for each in events if isinstance(each, Message)]


def assert_all_are_built_again(app: App, server: ScriptedServer) -> None:
    seqs = [row[0] for row in app.memory.store.rows("SELECT seq FROM receipts ORDER BY seq")]
    built = [sent(app.memory, app.memory.receipts.receipt(seq)) for seq in seqs]
    assert [one.problem for one in built] == [""] * len(built)
    assert [one.body for one in built] == [seen.raw for seen in server.requests if "chat/completions" in seen.path]


def written(app: App) -> int:
    """Bytes in the tables of the receipts, a number taken for eight."""
    tables = ("recalls", "candidates", "receipts", "texts")
    rows = [row for table in tables for row in app.memory.store.rows(f"SELECT * FROM {table}")]
    return sum(len(value.encode()) if isinstance(value, str) else 8 for row in rows for value in row)


def test_a_call_written_as_text_is_run_and_never_shown(app: App, server: ScriptedServer) -> None:
    server.enqueue(f"```json\n{CALL}\n```\nThe result is 390.", "It is 391.")
    shown, (called, result, said) = heard(app.chat(), "How much is 17 * 23?")
    assert (shown, called.content, result.content, said.content) == ("It is 391.", "", "391", "It is 391.")
    assert called.tool_calls[0].name == "calculator"
    assert server.requests[-1].body["messages"][-1]["role"] == "tool"
    assert_all_are_built_again(app, server)


@pytest.mark.parametrize("model", ["gpt-4o-mini", "somebody's own"], ids=["late notes", "one system message"])
def test_tools_by_schema_are_run_and_the_requests_are_built_again(
    apps: Apps, server: ScriptedServer, model: str
) -> None:
    app = apps(tool_calls="schema", model=model)
    talk(app.memory, "The cellar door opens with the word marmalade, twice.")
    app.memory.sync()
    server.enqueue(CALL, answer("It is 391."), answer("With marmalade."))
    chat = app.chat()
    shown, (called, result, said) = heard(chat, "How much is 17 * 23?")
    assert (shown, called.content, result.content, said.content) == ("It is 391.", "", "391", "It is 391.")
    assert heard(chat, "What opens the cellar door?")[0] == "With marmalade."
    first, second, third = (seen.body for seen in server.requests if "chat/completions" in seen.path)
    assert "tools" not in first and first["response_format"] == third["response_format"]
    assert [one["role"] for one in second["messages"]] == ["system", "user", "assistant", "user"]
    assert "marmalade" in json.dumps(third["messages"])
    assert_all_are_built_again(app, server)
    texts = [row[0] for row in app.memory.store.rows("SELECT text FROM texts")]
    assert sum("current_time" in text for text in texts) == 2, "the schema and the description, once each"


def test_the_last_step_by_schema_is_asked_without_one(apps: Apps, server: ScriptedServer) -> None:
    app = apps(tool_calls="schema", max_steps=1)
    server.enqueue(CALL, "It may be 391.")
    with pytest.raises(Exception, match="limit of 1 step"):
        heard(app.chat(), "How much is 17 * 23?")
    last = server.requests[-1].body
    assert "response_format" not in last
    assert {one["role"] for one in last["messages"]} == {"system", "user", "assistant"}
    assert_all_are_built_again(app, server)


def test_a_turn_by_schema_in_a_long_session_writes_less_than_20_kilobytes(
    apps: Apps, server: ScriptedServer, tmp_path: Any
) -> None:
    (tmp_path / "log.txt").write_text("\n".join(f"entry {number}: {number * 7919}" for number in range(9000)))
    app = apps(context_tokens=1_000_000, folders=(str(tmp_path),), tool_tokens=30_000, tool_calls="schema")
    chat = app.chat()
    server.default = Answer(answer("I see."), usage=None)
    heard(chat, "Hello!")
    for number in range(400):
        role = "assistant" if number % 2 else "user"
        chat.session.remember(chat.session.make(role, f"So it goes, {number} times over.", origin=role))
    before = written(app)
    read = {"tool": "read_file", "arguments": {"path": "log.txt"}}
    sums = [{"tool": "calculator", "arguments": {"expression": f"{one} * 7919"}} for one in range(7)]
    server.enqueue(*(Answer(json.dumps(call), usage=None) for call in (read, *sums)), answer("It is a log."))
    heard(chat, "What is in the log?")
    assert len(server.requests[-1].raw) > 60_000
    assert written(app) - before < 20_000
    assert_all_are_built_again(app, server)


def test_an_endpoint_that_takes_no_tools_is_told_of_them_in_words(app: App, server: ScriptedServer) -> None:
    server.enqueue(refusal(400, "model m does not support tools"), CALL, "It is 391.", "You are welcome.")
    chat = app.chat()
    assert heard(chat, "How much is 17 * 23?")[0] == "It is 391."
    assert heard(chat, "Thanks.")[0] == "You are welcome."
    assert_all_are_built_again(app, server)


def test_an_endpoint_without_schema_is_asked_in_words(apps: Apps, server: ScriptedServer) -> None:
    app = apps(tool_calls="schema")
    replies = [f"```json\n{CALL}\n```", "It is 391."]
    server.default = lambda body: no_schema() if "response_format" in body else replies.pop(0)
    assert heard(app.chat(), "How much is 17 * 23?")[0] == "It is 391."
    assert_all_are_built_again(app, server)


def test_a_model_that_the_table_gives_no_tools_has_them_by_schema(apps: Apps, server: ScriptedServer) -> None:
    server.enqueue("Hello.", answer("Hello."))
    assert heard(apps(model="smollm2-135m").chat(), "Hello!")[0] == "Hello."
    assert heard(apps(model="smollm2-135m", tool_calls="schema").chat(), "Hello!")[0] == "Hello."
    without, with_tools = (seen.body for seen in server.requests)
    assert not {"tools", "response_format"} & without.keys() and "response_format" in with_tools
