"""Tool calls that stand in a reply's text: which are taken for calls, what stays text, and what is shown meanwhile."""

import json
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from assistant.callforms import may_be, read, tools_by_name
from assistant.reply import Delta, Reply
from assistant.textcalls import INTRODUCTION, calls_in, with_text_calls
from memory.records import ToolCall


def schema(name: str, *parameters: str) -> dict[str, Any]:
    properties = {each: {"type": "string"} for each in parameters}
    described = {"type": "object", "properties": properties, "required": list(parameters)}
    return {"type": "function", "function": {"name": name, "description": "", "parameters": described}}


SCHEMAS = [schema("calculator", "expression"), schema("current_time", "timezone"), schema("read_file", "path")]
TOOLS = tools_by_name(SCHEMAS)
CALL = '{"name": "calculator", "arguments": {"expression": "17 * 23"}}'
WANTED = [("calculator", {"expression": "17 * 23"})]
TIME = '{"name": "current_time", "arguments": {}}'


def heard(pieces: Sequence[str], finish: str = "stop", calls: tuple[ToolCall, ...] = ()) -> tuple[str, Reply]:
    """The shown text and the reply that come of a text in pieces."""
    events = [*map(Delta, pieces), Reply("".join(pieces), calls, finish, None, "m", "")]
    *deltas, reply = calls_in(events, SCHEMAS)
    assert isinstance(reply, Reply)
    return "".join(each.text for each in deltas if isinstance(each, Delta)), reply


def found(text: str, finish: str = "stop") -> list[tuple[str, Any]]:
    """Name and arguments of the calls in a text, which is given a character at a time."""
    shown, reply = heard(list(text), finish)
    assert shown == reply.text
    if not reply.tool_calls:
        assert (shown, reply.finish) == (text, finish), "without a call nothing changes"
    return [(call.name, json.loads(call.arguments)) for call in reply.tool_calls]


@pytest.mark.parametrize(
    "text",
    [
        CALL,
        f"\n {CALL}\n",
        f"[{CALL}]",
        f"```json\n{CALL}\n```",
        f"```json {CALL}```",
        f"```tool_call\n{CALL}\n```\n",
        f"```\n{CALL}\n```",
        f"<tool_call>\n{CALL}\n</tool_call>",
        f"<tool_call>{CALL}",
        f"{CALL}\n</tool_call>",
        f"<function_call>{CALL}</function_call>",
        f"<|tool_call|>[{CALL}]<|/tool_call|>",
        f"[TOOL_CALLS][{CALL}]",
        f"<|python_tag|>{CALL}",
        f"```json\n<tool_call>{CALL}</tool_call>\n```",
        '<function=calculator>{"expression": "17 * 23"}</function>',
        '[TOOL_CALLS]calculator[ARGS]{"expression": "17 * 23"}',
        '{"tool": "calculator", "parameters": {"expression": "17 * 23"}}',
        '{"function": "calculator", "args": {"expression": "17 * 23"}}',
        '{"name": "calculator", "input": "{\\"expression\\": \\"17 * 23\\"}"}',
        '{"arguments": {"expression": "17 * 23"}, "name": "calculator"}',
        '{"type": "function", "function": {"name": "calculator", "arguments": {"expression": "17 * 23"}}}',
        '{"type": "function", "name": "calculator", "parameters": {"expression": "17 * 23"}, "id": "1"}',
        '{"calculator": {"expression": "17 * 23"}}',
        f'{{"tool_calls": [{CALL}]}}',
        'calculator(expression="17 * 23")',
        "[calculator(expression='17 * 23')]",
    ],
)
def test_the_forms_in_use_are_calls(text: str) -> None:
    assert found(text) == WANTED


@pytest.mark.parametrize(
    "text",
    [
        '{"name": "calculator", "arguments": {"expression": "17 * 23",},}',
        "{'name': 'calculator', 'arguments': {'expression': '17 * 23'}}",
        f"{{{CALL}}}",
        f"```json\n{{{CALL}}}\n```",
        '{"name": "calculator", "arguments": {"expression": "17 * 23"}',
        '{"name": "calculator", "arguments": {"expression": "17 * 23"',
        '```json\n{"name": "calculator", "arguments": {"expression": "17 * 23"}\n```',
        '<tool_call>{"name": "calculator", "arguments": {"expression": "17 * 23"}</tool_call>',
    ],
)
def test_damage_that_can_mean_but_one_thing_is_mended(text: str) -> None:
    assert found(text) == WANTED


def test_single_quotes_keep_what_stands_between_them() -> None:
    text = r"""{'name': 'read_file', 'arguments': {'path': 'it\'s "a" \\ file', 'deep': [True, None, 'True']}}"""
    assert found(text) == [("read_file", {"path": 'it\'s "a" \\ file', "deep": [True, None, "True"]})]


@pytest.mark.parametrize("between", ["\n", ", ", "\n\n", "```\n```json\n", "</tool_call>\n<tool_call>"], ids=repr)
def test_several_calls_are_several(between: str) -> None:
    opening = between.rpartition("\n")[2] or ("```json\n" if "`" in between else "")
    text = f"{opening if '<' in opening or '`' in opening else ''}{CALL}{between}{TIME}"
    text += "\n```" if "`" in between else ""
    assert found(text) == [*WANTED, ("current_time", {})]


def test_each_call_has_an_id_of_its_own() -> None:
    _, reply = heard([f"{CALL}\n{CALL}"])
    assert len({call.id for call in reply.tool_calls}) == 2
    assert reply.finish == "tool_calls"


def test_lines_of_calls_like_python_are_calls_only_if_there_is_nothing_else() -> None:
    line = 'calculator(expression="17 * 23")'
    assert found(f"{line}\ncurrent_time()\n") == [*WANTED, ("current_time", {})]
    assert found(f"{line}\nThat is how it is called.") == []
    assert found(f"Call it:\n{line}") == []
    assert found('calculator("17 * 23")') == [], "a place is no name"


# ---------------------------------------------------------------------- what is no call


@pytest.mark.parametrize(
    "text",
    [
        '```json\n{\n  "name": "John",\n  "age": 30\n}\n```',
        '{"name": "calculator", "price": 5}',
        '{"name": "calculator"}',
        '{"name": "calculator", "arguments": {}, "price": 5}',
        '{"name": "calculator", "arguments": "17 * 23"}',
        '{"name": "calculator", "arguments": [1]}',
        '{"name": "send_mail", "arguments": {"to": "Ann"}}',
        '[{"name": "send_mail", "arguments": {}}]',
        f'[{CALL}, {{"name": "send_mail", "arguments": {{}}}}]',
        '[{"name": "Ann"}, {"name": "Bob"}]',
        json.dumps(SCHEMAS[0]),
        json.dumps(SCHEMAS[0]["function"]),
        '{"name": "calculator", "parameters": {"type": "object", "properties": {"expression": {}}}}',
        '```python\ncalculator(expression="17 * 23")\n```',
        f"```python\nsend({CALL})\n```",
        f"The form is `<tool_call>{CALL}</tool_call>`, then it runs.",
        f"In code:\n```xml\n<tool_call>{CALL}</tool_call>\n```\nThat is all.",
        f"To use the calculator, a model writes this:\n\n```json\n{CALL}\n```\n\nThe program then runs it.",
        f"{'This explains something at length. ' * 10}\n{CALL}",
        '{"name": "calculator", "arguments": {"expression": "17 * ',
        "<tool_call>I do not know</tool_call>",
        "[1] A reference. [ ] A task. [TODO] later. a < b, x <tool> y",
        "",
        "   ",
        "```",
        "{",
        "{" * 3000,
        "[" * 3000,
        '{"function": ' * 3000,
        f"{'[' * 900}{CALL}{']' * 900}",
        f"{'[' * 9000}{CALL}{']' * 9000}",
    ],
)
def test_what_only_looks_like_a_call_stays_text(text: str) -> None:
    assert found(text) == []


def test_a_call_that_was_cut_off_is_not_mended_and_a_whole_one_before_the_end_is_taken() -> None:
    assert found(CALL[:-1], finish="length") == []
    assert found(CALL, finish="length") == WANTED


@pytest.mark.parametrize("finish", ["broken", "deadline", "content_filter"])
def test_half_a_reply_has_no_calls(finish: str) -> None:
    assert found(CALL, finish) == []


# ---------------------------------------------------------------------- words around it


def test_words_before_a_call_stay() -> None:
    shown, reply = heard(list(f"I will use the calculator:\n\n```json\n{CALL}\n```\n"))
    assert shown == reply.text == "I will use the calculator:"
    assert len(reply.tool_calls) == 1


def test_words_after_a_call_at_the_beginning_are_dropped() -> None:
    shown, reply = heard(list(f"```json\n{CALL}\n```\n\nThe result is 392."))
    assert (shown, reply.text, len(reply.tool_calls)) == ("", "", 1)


def test_a_tagged_call_may_stand_anywhere() -> None:
    long = "I have thought about it. " * (INTRODUCTION // 10)
    shown, reply = heard(list(f"{long}So <tool_call>{CALL}</tool_call> gives 392."))
    assert shown == reply.text == f"{long}So"
    assert len(reply.tool_calls) == 1


def test_a_call_after_something_that_was_none_is_found() -> None:
    assert found(f'<tool_call>{{"name": "calculator", "x": 1}}</tool_call><tool_call>{CALL}</tool_call>') == WANTED


# ---------------------------------------------------------------------- while it streams


def shown_of(text: str) -> str:
    """What is shown of a text before its end."""
    events = calls_in(map(Delta, text), SCHEMAS)
    return "".join(each.text for each in events if isinstance(each, Delta))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Hello there", "Hello there"),
        ("Hello there. ", "Hello there."),
        ('{"city": ', '{"city":'),
        ('{"na', ""),
        ('{"name": "cal', ""),
        ('{"name": "Jo', '{"name": "Jo'),
        ("```js", ""),
        ("```python\nx = ", "```python\nx ="),
        ('```json\n{"name": "John', '```json\n{"name": "John'),
        ("I will call:\n\n```json\n{", "I will call:"),
        ("a < b", "a < b"),
        ("a <tool_c", "a"),
        ("[1] So", "[1] So"),
        (f"So:\n{CALL}", "So:"),
        (f"So:\n{CALL}\nThis then\n", f"So:\n{CALL}\nThis then"),
        ("calculator(", ""),
        ("calculators are", "calculators are"),
    ],
)
def test_text_is_shown_as_soon_as_it_can_be_no_call(text: str, shown: str) -> None:
    assert shown_of(text) == shown


def test_thoughts_go_through() -> None:
    events = [Delta("Hm {", reasoning=True), Delta(CALL), Reply(CALL, (), "stop", None, "m", "Hm {")]
    thought, reply = calls_in(events, SCHEMAS)
    assert thought == Delta("Hm {", reasoning=True)
    assert isinstance(reply, Reply) and reply.tool_calls


def test_a_reply_with_true_calls_stays_as_it_is() -> None:
    true = (ToolCall("1", "current_time", "{}"),)
    shown, reply = heard(["I say\n", CALL], "tool_calls", true)
    assert (shown, reply.text, reply.tool_calls) == (f"I say\n{CALL}", f"I say\n{CALL}", true)


def test_the_beginning_of_a_true_call_that_a_server_let_through_is_no_text() -> None:
    true = (ToolCall("1", "calculator", '{"expression": "17 * 23"}'),)
    shown, reply = heard(["I look.\n", '```json\n[{"name": "calculator", "arguments'], "tool_calls", true)
    assert (shown, reply.text, reply.tool_calls) == ("I look.", "I look.", true)


def test_without_tools_nothing_is_a_call() -> None:
    events = [Delta(CALL), Reply(CALL, (), "stop", None, "m", "")]
    assert list(with_text_calls(lambda _messages, _tools: iter(events))([], [])) == events


def test_leaving_early_closes_the_models_stream() -> None:
    closed = []

    def stream() -> Iterator[Delta | Reply]:
        try:
            yield Delta("Hello")
            yield Delta(" there")
        finally:
            closed.append(True)

    events = calls_in(stream(), SCHEMAS)
    next(events)
    events.close()
    assert closed


# ---------------------------------------------------------------------- whatever comes

FRAGMENTS = st.sampled_from(
    [
        CALL, TIME, f"{{{CALL}}}", '{"function": ', "```json\n", "```\n", "\n```", "`", "<tool_call>", "</tool_call>",
        "[TOOL_CALLS]", "[", "]", "{", "}",
        '{"name": "', "calculator", '", "arguments": {', "<function=", "calculator(", "x=1)", "\n", "\n\n", " ", "  ",
        "\t", "Hello", "<think>", "</think>", ",", '"', "'", "<", "é", "世", '{"city": 1}', "\u00a0", "\u2028", "\r\n",
    ]
)  # fmt: skip
TEXTS = st.lists(FRAGMENTS, max_size=12).map("".join)


@st.composite
def cut(draw: st.DrawFn) -> list[str]:
    """A text in pieces."""
    text = draw(TEXTS)
    places = sorted(draw(st.sets(st.integers(0, len(text)))))
    return [text[start:end] for start, end in zip([0, *places], [*places, len(text)], strict=True)]


@given(cut(), st.sampled_from(["stop", "length"]))
@example(["`", f"<tool_call>{CALL}"], "stop")
@example(["[", "{", '"name"'], "stop")
def test_what_is_found_and_shown_does_not_hang_on_the_pieces(pieces: list[str], finish: str) -> None:
    shown, reply = heard(pieces, finish)
    whole_shown, whole = heard(["".join(pieces)], finish)
    assert shown == whole_shown == reply.text == whole.text
    assert [(call.name, call.arguments) for call in reply.tool_calls] == [
        (call.name, call.arguments) for call in whole.tool_calls
    ]
    if not reply.tool_calls:
        assert shown == "".join(pieces)
    assert "".join(pieces).startswith(shown)


@given(st.text(), st.sampled_from(["stop", "broken"]))
def test_a_text_without_calls_comes_out_as_it_went_in(text: str, finish: str) -> None:
    assert heard(list(text), finish)[0] == text


@given(TEXTS, TEXTS)
def test_what_cannot_be_a_call_cannot_become_one(head: str, rest: str) -> None:
    if not may_be(head, TOOLS):
        assert not may_be(head + rest, TOOLS)
        assert read(head + rest, TOOLS) == ((), 0)


ARGUMENTS = st.dictionaries(st.text(max_size=8), st.text() | st.integers() | st.booleans() | st.none(), max_size=4)


@given(ARGUMENTS, st.sampled_from(["{}", "```json\n{}\n```", "<tool_call>{}</tool_call>", "[{}]"]), st.booleans())
def test_any_arguments_come_back(arguments: dict[str, Any], form: str, plain: bool) -> None:
    if "properties" in arguments:
        return
    text = json.dumps({"name": "calculator", "arguments": arguments}, ensure_ascii=plain)
    assert found(form.replace("{}", text)) == [("calculator", arguments)]
