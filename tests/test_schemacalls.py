"""Tools offered through a schema: what is asked, and how an answer or a call comes out of the reply in JSON."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from assistant.errors import SchemaRefused
from assistant.reply import Delta, Reply
from assistant.schemacalls import by_schema, schema_of, unwrapped
from assistant.wire import well_formed
from tests.test_textcalls import CALL, SCHEMAS, WANTED

HEAD = '{"tool": "answer", "arguments": {"text": "'


def answer(text: str, plain: bool = True) -> str:
    """The reply in JSON that answers so."""
    return json.dumps({"tool": "answer", "arguments": {"text": text}}, ensure_ascii=plain)


def heard(pieces: Sequence[str], finish: str = "stop") -> tuple[str, Reply]:
    """The shown text and the reply that come of a JSON reply in pieces."""
    events = [*map(Delta, pieces), Reply("".join(pieces), (), finish, None, "m", "")]
    *deltas, reply = unwrapped(events, SCHEMAS)
    assert isinstance(reply, Reply)
    return "".join(each.text for each in deltas if isinstance(each, Delta)), reply


def test_the_schema_has_a_form_for_each_tool_and_one_for_an_answer() -> None:
    forms = schema_of(SCHEMAS)["anyOf"]
    names = [one["properties"]["tool"]["const"] for one in forms]
    assert names == ["answer", "calculator", "current_time", "read_file"]
    assert forms[1]["properties"]["arguments"] == SCHEMAS[0]["function"]["parameters"]
    assert list(forms[1]["properties"]) == ["tool", "arguments"], "the name is chosen first"


def test_without_tools_there_is_no_schema() -> None:
    asked: list[Any] = []

    def stream(messages: Sequence[Any], tools: Sequence[Any], schema: Mapping[str, Any] | None = None) -> list[Reply]:
        asked.append(schema)
        return [Reply(answer("x"), (), "stop", None, "m", "")]

    (reply,) = by_schema(stream)([], [])
    assert isinstance(reply, Reply) and reply.text == answer("x")
    list(by_schema(stream)([], SCHEMAS))
    assert asked == [None, schema_of(SCHEMAS)]


def test_a_call_is_a_call() -> None:
    shown, reply = heard(list('{"tool": "calculator", "arguments": {"expression": "17 * 23"}}'))
    assert shown == reply.text == ""
    assert [(one.name, json.loads(one.arguments)) for one in reply.tool_calls] == WANTED


def test_an_answer_that_shows_a_call_is_no_call() -> None:
    text = f"```json\n{CALL}\n```"
    shown, reply = heard(list(answer(text)))
    assert shown == reply.text == text
    assert not reply.tool_calls


def test_an_answer_that_was_cut_off_is_kept_as_far_as_it_came() -> None:
    shown, reply = heard(list(HEAD + "So long\\u00"), "length")
    assert shown == reply.text == "So long"
    assert reply.finish == "length"


@pytest.mark.parametrize(("text", "shown"), [("Plain words.", "Plain words."), ('{"tool": 5}', '{"tool": 5}')])
def test_what_passes_over_the_schema_is_text(text: str, shown: str) -> None:
    assert heard(list(text))[0] == shown
    assert not heard(list(text))[1].tool_calls


def test_a_call_that_passes_over_the_schema_is_found() -> None:
    assert heard(list(f"```json\n{CALL}\n```"))[1].tool_calls


def test_an_answer_is_shown_while_it_comes_and_thoughts_before_it() -> None:
    events = [Delta("Hm.", reasoning=True), Delta(HEAD[:9]), Delta(HEAD[9:] + "One"), Delta(" two"), Delta('"}}')]
    reply = Reply("".join(each.text for each in events[1:]), (), "stop", None, "m", "Hm.")
    assert list(unwrapped([*events, reply], SCHEMAS))[:3] == [events[0], Delta("One"), Delta(" two")]


def test_an_endpoint_without_schema_is_asked_again_in_words_and_from_then_on() -> None:
    asked: list[bool] = []

    def stream(messages: Sequence[Any], tools: Sequence[Any], *, schema: Any = None) -> Iterator[Delta | Reply]:
        asked.append(schema is not None)
        if schema:
            raise SchemaRefused("No schema here.", "")
        yield from [Delta(CALL), Reply(CALL, (), "stop", None, "m", "")]

    model = by_schema(stream)
    for _ in range(2):
        (reply,) = model([], SCHEMAS)
        assert isinstance(reply, Reply) and reply.tool_calls
    assert asked == [True, False, False]


def test_leaving_early_closes_the_models_stream() -> None:
    closed = []

    def stream(messages: Sequence[Any], tools: Sequence[Any], *, schema: Any = None) -> Iterator[Delta | Reply]:
        try:
            yield Delta(HEAD + "Hello")
            yield Delta(" there")
        finally:
            closed.append(True)

    events = iter(by_schema(stream)([], SCHEMAS))
    assert next(events) == Delta("Hello")
    events.close()  # type: ignore[attr-defined]
    assert closed


@given(st.text(st.characters(codec=None)), st.booleans(), st.data())
@example("a\U0001f30d", True, None)
@example("\ud83d \ud83d\\u \ud83d\ud83d\udf0d\ude00", True, None)
def test_any_answer_streams_wherever_its_json_is_cut(text: str, plain: bool, data: st.DataObject | None) -> None:
    whole = answer(text, plain)
    cuts = sorted(data.draw(st.sets(st.integers(0, len(whole))))) if data else range(len(whole))
    pieces = [whole[start:end] for start, end in zip([0, *cuts], [*cuts, len(whole)], strict=True)]
    shown, reply = heard(pieces)
    assert shown == reply.text
    if plain:
        assert shown == well_formed(text)
    else:  # halves that come as they are, not as escapes, are joined before (assistant/reply.py)
        assert well_formed(shown) == shown and len(shown) >= len(well_formed(text))


@given(st.text(alphabet='\\u"dD8c012x /n', max_size=20), st.sets(st.integers(0, 30)))
def test_what_is_no_json_at_all_is_shown_the_same_however_it_is_cut(text: str, places: set[int]) -> None:
    whole = f'{HEAD}{text}"}}}}'
    cuts = [each for each in sorted(places) if each < len(whole)]
    pieces = [whole[start:end] for start, end in zip([0, *cuts], [*cuts, len(whole)], strict=True)]
    assert heard(pieces)[0] == heard([whole])[0] == heard(list(whole))[1].text
