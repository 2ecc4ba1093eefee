"""A reply as it grows from the pieces of a stream: tool calls, thoughts and usage, as servers really send them."""

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assistant.reply import Delta, Draft, Reply, Usage
from assistant.thoughts import ThoughtSplitter


def drafted(*deltas: Any, finish: str | None = "stop", **more: Any) -> tuple[list[Delta], Reply]:
    """What comes of deltas, and a word for the end."""
    draft = Draft("m")
    heard = [each for delta in deltas for each in draft.take({"choices": [{"delta": delta}]})]
    heard += draft.take({"choices": [{"delta": {}, "finish_reason": finish}], **more})
    heard += draft.flush()
    return heard, draft.reply()


def calls_of(*pieces: Any) -> list[tuple[str, Any]]:
    """The calls that come of pieces, one a delta: names and arguments. Each has an id of its own."""
    found = drafted(*({"tool_calls": [piece]} for piece in pieces))[1].tool_calls
    assert len({call.id for call in found} - {""}) == len(found)
    return [(call.name, json.loads(call.arguments) if call.arguments else None) for call in found]


def piece(name: str | None = None, arguments: Any = None, **more: Any) -> dict[str, Any]:
    function = {"name": name, "arguments": arguments}
    return {**more, "function": {key: value for key, value in function.items() if value is not None}}


ONE, TWO = ("a", {"n": 1}), ("b", {"n": 2})


@pytest.mark.parametrize(
    ("pieces", "expected"),
    [
        pytest.param(
            [piece("a", "", index=0, id="x"), piece("b", "", index=1, id="y"), piece(None, '{"n": 2}', index=1),
             piece(None, '{"n"', index=0), piece(None, ": 1}", index=0)],
            [ONE, TWO], id="pieces of two calls in turns",
        ),
        pytest.param(
            [piece("a", '{"n"', id="x", index=0), piece("a", ": 1}", id="x", index=0), piece("a", "", id="x", index=0)],
            [ONE], id="name and id again and again",
        ),
        pytest.param(
            [piece("a", '{"n"', id="x"), piece("a", ": 1}", id="x"), piece("b", '{"n": 2}', id="x")],
            [ONE, TWO], id="one id for all, no index",
        ),
        pytest.param(
            [piece("a", '{"n"', id="x", index=0), piece(None, ": 1}", id="y", index=0)],
            [ONE], id="a new id in each piece",
        ),
        pytest.param(
            [piece("a", '{"n": 1}', index=0), piece("a", '{"n": 2}', index=0)],
            [ONE, ("a", {"n": 2})], id="the same tool twice, index 0, no ids",
        ),
        pytest.param(
            [piece("a", "{}"), piece("a", ""), piece(None, '{"n": 2}')],
            [("a", {}), ("a", {"n": 2})], id="the same tool twice, neither index nor id",
        ),
        pytest.param(
            [piece("a", "", id="x", index=0), piece("b", "", id="y", index=0)],
            [("a", None), ("b", None)], id="no arguments at all, index 0",
        ),
        pytest.param(
            [piece("web", "", id="x", index=0), piece("_search", "", index=0), piece(None, '{"n": 1}', index=0)],
            [("web_search", {"n": 1})], id="the name in pieces",
        ),
        pytest.param(
            [piece("web", index=0), piece("web_search", index=0), piece("web_search", '{"n": 1}', index=0)],
            [("web_search", {"n": 1})], id="the name longer each time",
        ),
        pytest.param([piece("a", {"n": 1}, index=0), piece("b", {"n": 2}, index=1)], [ONE, TWO], id="objects"),
        pytest.param([piece(None, '{"n": 1}', index=0)], [("", {"n": 1})], id="no name: the model is told"),
        pytest.param([piece(None, "", index=0), {}, {"function": None, "index": 1}], [], id="neither"),
        pytest.param([None, "x", 5, piece("a", '{"n": 1}')], [ONE], id="what is no piece"),
    ],
)  # fmt: skip
def test_calls_are_put_together_as_servers_cut_them(pieces: list[Any], expected: list[tuple[str, Any]]) -> None:
    assert calls_of(*pieces) == expected


def test_the_old_form_of_a_call_is_read() -> None:
    *_, reply = drafted({"function_call": {"name": "a", "arguments": '{"n"'}}, {"function_call": {"arguments": ": 1}"}})
    assert [(call.name, call.arguments) for call in reply.tool_calls] == [("a", '{"n": 1}')]


def test_a_whole_message_is_read_once() -> None:
    message = {"content": "Four.", "tool_calls": [piece("a", '{"n": 1}', id="x")]}
    draft = Draft("m")
    assert list(draft.take({"choices": [{"message": message, "finish_reason": "stop"}]})) == [Delta("Four.")]
    assert draft.reply().tool_calls[0].name == "a"
    again = Draft("m")
    list(again.take({"choices": [{"delta": message}]}))
    list(again.take({"choices": [{"message": message, "finish_reason": "stop"}]}))
    assert (again.reply().text, len(again.reply().tool_calls)) == ("Four.", 1)


NAMES = st.from_regex(r"[a-z]{1,8}", fullmatch=True)
ARGUMENTS = st.dictionaries(st.text(max_size=5), st.text(max_size=8) | st.integers(), max_size=4)
WAYS = st.sampled_from([(True, True), (True, False), (False, True), (False, False)])


@settings(deadline=None)
@given(st.lists(st.tuples(NAMES, ARGUMENTS), min_size=1, max_size=4), WAYS, st.data())
def test_however_the_arguments_are_cut_the_calls_are_the_same(
    calls: list[tuple[str, dict[str, Any]]], way: tuple[bool, bool], data: st.DataObject
) -> None:
    has_index, has_id = way
    pieces: list[Any] = []
    for place, (name, arguments) in enumerate(calls):
        known = {"index": place} if has_index else {}
        text = json.dumps(arguments)
        cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=4)))
        pieces.append(piece(name, "", **known, **({"id": f"c{place}"} if has_id else {})))
        ends = zip([0, *cuts], [*cuts, len(text)], strict=True)
        pieces += [piece(None, text[start:end], **known) for start, end in ends]
    assert calls_of(*pieces) == calls


# Thoughts


def split(pieces: list[str]) -> tuple[str, str]:
    splitter = ThoughtSplitter()
    found = [each for text in pieces for each in splitter.feed(text)] + list(splitter.flush())
    return "".join(text for text, thought in found if not thought), "".join(text for text, thought in found if thought)


@pytest.mark.parametrize(
    ("said", "text", "thoughts"),
    [
        ("<think>Two and two.</think>\n\nFour.", "Four.", "Two and two."),
        ("\n <think>Two</think>Four.", "Four.", "Two"),
        ("<think></think>Four.", "Four.", ""),
        ("<think>a < b </thin </think>Yes.", "Yes.", "a < b </thin "),
        ("<think>It never ends </th", "", "It never ends </th"),
        ("The tag <think> is not at the start.</think>", "The tag <think> is not at the start.</think>", ""),
        ("<thin", "<thin", ""),
        ("<b>Four.</b>", "<b>Four.</b>", ""),
        ("<think>One.</think>Two. <think>Three.</think>", "Two. <think>Three.</think>", "One."),
        ("", "", ""),
        (" \n", " \n", ""),
    ],
)
def test_thoughts_at_the_start_are_told_from_the_text(said: str, text: str, thoughts: str) -> None:
    assert split([said]) == (text, thoughts)
    assert split(list(said)) == (text, thoughts)


SCRAPS = st.lists(st.sampled_from(["<think>", "</think>", "<", "think", ">", "/", "a", " ", "\n"]), max_size=9)


@settings(deadline=None)
@given(SCRAPS.map("".join), st.lists(st.integers(0, 60)))
def test_where_a_text_is_cut_makes_no_difference(said: str, cuts: list[int]) -> None:
    ends = sorted({min(cut, len(said)) for cut in cuts} | {0, len(said)})
    pieces = [said[start:end] for start, end in pairwise(ends)]
    assert split(pieces) == split([said])


@pytest.mark.parametrize(
    "deltas",
    [
        [{"reasoning_content": "Two "}, {"reasoning_content": "and two."}, {"content": "Four."}],
        [{"reasoning": "Two and two.", "content": ""}, {"content": "Four.", "reasoning": None}],
        [{"content": "<think>Two a"}, {"content": "nd two.</th"}, {"content": "ink>\n\nFour."}],
        [{"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "Two and two."}]}]},
         {"content": [{"type": "text", "text": "Four."}]}],
    ],
)  # fmt: skip
def test_thoughts_are_apart_however_they_come(deltas: list[Any]) -> None:
    heard, reply = drafted(*deltas)
    assert (reply.text, reply.reasoning) == ("Four.", "Two and two.")
    assert "".join(delta.text for delta in heard if delta.reasoning) == reply.reasoning
    assert "".join(delta.text for delta in heard if not delta.reasoning) == reply.text


def test_an_unclosed_thought_is_no_answer() -> None:
    _, reply = drafted({"content": "<think>It goes on and"})
    assert (reply.text, reply.reasoning) == ("", "It goes on and")


# Usage, and the end


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ([{"prompt_tokens": 9, "completion_tokens": 1}, {"prompt_tokens": 9, "completion_tokens": 4}], Usage(9, 4, 0)),
        ([{"prompt_tokens": 9, "completion_tokens": 4}, None, {}], Usage(9, 4, 0)),
        ([{"prompt_tokens": 9, "completion_tokens": 4, "prompt_tokens_details": None}], Usage(9, 4, 0)),
        ([{"prompt_tokens": 9, "completion_tokens": None, "total_tokens": None}], Usage(9, 0, 0)),
        ([{"prompt_tokens": None, "completion_tokens": None}], None),
        ([{"prompt_tokens": 9.0, "prompt_tokens_details": {"cached_tokens": 8}, "x": 1}], Usage(9, 0, 8)),
        ([{"prompt_tokens": 9, "prompt_tokens_details": {"cached_tokens": 100}}], Usage(9, 0, 9)),  # no more than all
        ([{"prompt_tokens": True, "completion_tokens": False}], None),
        (["many", 5, [1]], None),
    ],
)  # fmt: skip
def test_usage_is_the_last_that_was_told(told: list[Any], expected: Usage | None) -> None:
    draft = Draft("m")
    for usage in told:  # also beside choices
        list(draft.take({"choices": [{"delta": {"content": "x"}}], "usage": usage}))
    assert draft.reply().usage == expected


def test_what_an_attempt_took_that_is_made_again_counts_where_the_last_tells_too() -> None:
    draft = Draft("m")
    list(draft.take({"usage": {"prompt_tokens": 9, "completion_tokens": 3}}))
    draft.begin_again()
    assert draft.reply().usage is None
    list(draft.take({"usage": {"prompt_tokens": 9, "completion_tokens": 4}}))
    assert draft.reply().usage == Usage(18, 7, 0)


@pytest.mark.parametrize(
    ("word", "finish"),
    [("stop", "stop"), ("MAX_TOKENS", "length"), ("SAFETY", "content_filter"), ("eos", "eos"), ("error", "broken")],
)
def test_other_words_for_the_end(word: str, finish: str) -> None:
    assert drafted({"content": "Half a"}, finish=word)[1].finish == finish


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)
KEYS = ("content", "reasoning", "reasoning_content", "tool_calls", "function_call", "refusal", "role")
SHAPED = st.fixed_dictionaries({}, optional=dict.fromkeys(KEYS, JSON))
CHOICE = st.fixed_dictionaries({}, optional={"delta": SHAPED | JSON, "message": SHAPED, "finish_reason": JSON})
CHUNK = st.fixed_dictionaries({}, optional={"choices": st.lists(CHOICE | JSON) | JSON, "usage": JSON, "model": JSON})


@settings(deadline=None)
@given(st.lists(CHUNK, max_size=4))
def test_no_chunk_of_whatever_form_is_too_much(chunks: list[dict[str, Any]]) -> None:
    draft = Draft("m")
    heard = [each for chunk in chunks for each in draft.take(chunk)] + list(draft.flush())
    reply = draft.reply()
    assert "".join(delta.text for delta in heard if not delta.reasoning) == reply.text
    assert "".join(delta.text for delta in heard if delta.reasoning) == reply.reasoning
