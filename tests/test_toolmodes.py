"""Tools without tool calls, end to end: told in words, offered through a schema, and in the log as they were sent."""

import json
from typing import Any

from memory.records import Message
from tests.conftest import Apps
from tests.scripted import ScriptedServer, refusal
from tests.test_receipts import assert_all_are_built_again

SUM = '{"tool": "calculator", "arguments": {"expression": "6*7"}}'


def roles(body: Any) -> list[str]:
    return [one["role"] for one in body["messages"]]


def test_a_call_written_as_text_is_run_and_never_shown(apps: Apps, server: ScriptedServer) -> None:
    server.enqueue(f"```json\n{SUM}\n```", "It is 42.")
    app = apps()
    chat = app.chat()
    events = list(chat.turn("How much is 6*7?"))
    said = [(one.role, one.content) for one in chat.session.transcript]
    assert said == [("user", "How much is 6*7?"), ("assistant", ""), ("tool", "42"), ("assistant", "It is 42.")]
    assert "calculator" not in "".join(getattr(event, "text", "") for event in events)
    assert_all_are_built_again(app, server)


def test_by_schema_tools_are_told_in_words_and_calls_come_as_replies(apps: Apps, server: ScriptedServer) -> None:
    server.enqueue(SUM, json.dumps({"tool": "answer", "arguments": {"text": 'It is "42".'}}))
    app = apps(tool_calls="schema")
    chat = app.chat()
    events = list(chat.turn("How much is 6*7?"))
    last = events[-1]
    assert isinstance(last, Message) and last.content == 'It is "42".'
    first, second = server.bodies
    assert "tools" not in first and first["response_format"]["type"] == "json_schema"
    assert "calculator" in first["messages"][0]["content"]
    assert roles(second) == ["system", "user", "assistant", "user"]
    assert "42" in second["messages"][-1]["content"]
    assert_all_are_built_again(app, server)


def test_an_endpoint_that_refuses_tools_is_told_of_them_in_words(apps: Apps, server: ScriptedServer) -> None:
    server.enqueue(refusal(400, "This model does not support tools."), SUM, "It is 42.")
    app = apps()
    chat = app.chat()
    list(chat.turn("How much is 6*7?"))
    assert [one.content for one in chat.session.transcript if one.role == "tool"] == ["42"]
    assert "tools" in server.bodies[0] and "tools" not in server.bodies[1]
    assert_all_are_built_again(app, server)
