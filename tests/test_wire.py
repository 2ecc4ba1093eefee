"""A message as a request carries it."""

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assistant.wire import to_wire, well_formed
from memory.records import ToolCall
from tests.endpoints import say


def test_a_message_on_the_wire() -> None:
    call = ToolCall("c1", "clock", '{"zone": "UTC"}')
    assert to_wire(say("user", "Hello.")) == {"role": "user", "content": "Hello."}
    assert to_wire(say("assistant", "", tool_calls=(call,))) == {
        "role": "assistant",
        "content": "",
        "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "clock", "arguments": '{"zone": "UTC"}'}}],
    }
    assert to_wire(say("tool", "noon", name="clock", tool_call_id="c1")) == {
        "role": "tool",
        "content": "noon",
        "name": "clock",
        "tool_call_id": "c1",
    }


def test_a_name_that_endpoints_refuse_is_made_one_they_take() -> None:
    assert to_wire(say("user", "Hello.", name="Jane Doe"))["name"] == "Jane_Doe"
    wire = to_wire(say("assistant", "", tool_calls=(ToolCall("c", "functions.clock", ""), ToolCall("d", "", ""))))
    assert [call["function"]["name"] for call in wire["tool_calls"]] == ["functions_clock", "_"]


NO_PARSER_TAKES = ("NaN", "1e999", "9" * 5_000, r'"\ud83d"', "[" * 20_000)


@pytest.mark.parametrize(
    ("written", "sent"),
    [("", "{}"), ('{"a": 1}', '{"a": 1}'), ('{"a": ', '{"not_json": "{\\"a\\": "}'), ("[1]", '{"not_json": "[1]"}')]
    + [(f'{{"a": {each}}}', json.dumps({"not_json": f'{{"a": {each}}}'})) for each in NO_PARSER_TAKES],
)
def test_arguments_are_sent_back_as_an_object(written: str, sent: str) -> None:
    wire = to_wire(say("assistant", "", tool_calls=(ToolCall("c", "t", written),)))
    assert wire["tool_calls"][0]["function"]["arguments"] == sent


@given(st.text(st.characters(exclude_categories=())))
def test_every_text_can_be_sent(text: str) -> None:
    sent = well_formed(text)
    assert sent.encode().decode() == sent
    assert well_formed(sent) == sent
    assert sent == text or re.search("[\ud800-\udfff]", text)
