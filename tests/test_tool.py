"""A model's call always gets an answer, and the answer lets it mend the call."""

import json
import logging
import os
import signal
import threading
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tools.tool import Effect, Outside, tool
from tools.toolbox import Prepared, Toolbox, ToolResult


def count_bytes(text: str) -> int:
    """The densest tokenizer there is: a token a byte. Fails on what UTF-8 cannot carry."""
    return len(text.encode())


def search(
    query: str,
    limit: int = 5,
    order: Literal["new", "old"] = "new",
    tags: list[str] | None = None,
    weights: dict[str, float] = {},  # noqa: B006
    exact: bool = False,
) -> dict[str, Any]:
    """Search the notes.

    The newest come first.

    Args:
        query: What to look for,
            in plain words.
        limit: How many at most.

    Raises:
        ValueError: Never.
    """
    return {"query": query, "limit": limit, "order": order, "tags": tags, "weights": weights, "exact": exact}


def echo(text: str) -> str:
    """Say it again."""
    return text


def ping() -> str:
    """Answer."""
    return "pong"


def box(*functions: Any, limit: int = 500) -> Toolbox:
    return Toolbox([tool(each) for each in functions], count_bytes, limit)


def test_a_schema_is_made_from_the_signature_and_the_docstring() -> None:
    assert tool(search).schema() == {
        "type": "function",
        "function": {
            "name": "search",
            "description": "Search the notes.\n\nThe newest come first.",
            "parameters": {
                "type": "object",
                "properties": {
                    "query": {"type": "string", "description": "What to look for, in plain words."},
                    "limit": {"type": "integer", "description": "How many at most.", "default": 5},
                    "order": {"type": "string", "enum": ["new", "old"], "default": "new"},
                    "tags": {
                        "anyOf": [{"type": "array", "items": {"type": "string"}}, {"type": "null"}],
                        "default": None,
                    },
                    "weights": {"type": "object", "additionalProperties": {"type": "number"}, "default": {}},
                    "exact": {"type": "boolean", "default": False},
                },
                "required": ["query"],
                "additionalProperties": False,
            },
        },
    }
    json.dumps(tool(search).schema())


def test_effects_are_kept() -> None:
    assert tool(ping).effects == frozenset()
    assert tool(ping, frozenset({"reads"})).effects == {"reads"}


def untyped(thing) -> str:  # type: ignore[no-untyped-def]
    """Take anything."""


def odd(thing: set[int]) -> str:
    """Take a set."""


def mixed(thing: int | str) -> str:
    """Take either."""


def bare(thing: list) -> str:  # type: ignore[type-arg]
    """Take a list of anything."""


def keyed(thing: dict[int, str]) -> str:
    """Take a dict JSON cannot have."""


def chosen(thing: Literal["a", 1]) -> str:
    """Take one of two types."""


def variadic(*thing: int) -> str:
    """Take many."""


def positional(thing: int, /) -> str:
    """Take one without a name."""


def misfit(thing: int = "many") -> str:  # type: ignore[assignment]
    """Take a number."""


def nowhere(thing: "Missing") -> str:  # type: ignore[name-defined]  # noqa: F821
    """Take what is not there."""


def drifted(thing: int) -> str:
    """Take one.

    Args:
        think: A slip of the pen.
    """


def silent(thing: int) -> str: ...


async def later(thing: int) -> str:
    """Take your time."""


@pytest.mark.parametrize(
    ("function", "complaint"),
    [
        (untyped, "no type"),
        (odd, "has the type set"),
        (mixed, "has the type"),
        (bare, "has the type"),
        (keyed, "has the type"),
        (chosen, "has the type"),
        (variadic, "variadic"),
        (positional, "positional"),
        (misfit, "default"),
        (nowhere, "Missing"),
        (drifted, "think"),
        (silent, "docstring"),
        (later, "coroutine"),
        (lambda: "", "name"),
    ],
)
def test_what_cannot_be_a_tool_is_refused_when_it_is_made(function: Any, complaint: str) -> None:
    with pytest.raises(TypeError, match=complaint):
        tool(function)


def test_the_order_of_the_tools_is_kept() -> None:
    tools = box(search, echo, ping)
    assert tools.names == ("search", "echo", "ping")
    assert [schema["function"]["name"] for schema in tools.schemas()] == list(tools.names)


def test_two_tools_of_one_name_are_refused() -> None:
    with pytest.raises(ValueError, match="share a name"):
        box(ping, ping)


def test_a_limit_too_small_to_mark_a_cut_is_refused() -> None:
    with pytest.raises(ValueError, match="too small"):
        box(ping, limit=10)


@pytest.mark.parametrize("arguments", ["", "  ", "{}"])
def test_no_arguments_may_be_written_as_nothing(arguments: str) -> None:
    assert box(ping).run("ping", arguments).text == "pong"


def test_arguments_reach_the_function_with_their_types() -> None:
    given_ = {"query": "tea", "limit": 3.0, "tags": ["a"], "weights": {"a": 1}, "exact": True}
    result = box(search).run("search", json.dumps(given_))
    assert result.ok
    assert json.loads(result.text) == {**given_, "order": "new"}
    assert '"limit": 3,' in result.text  # a whole float became an int
    assert '"a": 1.0' in result.text  # an int became a float


@pytest.mark.parametrize(
    ("name", "arguments", "words"),
    [
        ("serch", "{}", ["no tool", 'did you mean "search"', "search, echo, ping"]),
        ("echo", '{"text": ', ["not JSON"]),
        ("echo", '{"text": NaN}', ["not JSON", "NaN"]),
        ("echo", "9" * 5_000, ["not JSON", "5,000 digits"]),
        ("echo", "[" * 100_000, ["nested too deeply"]),
        ("echo", '["a"]', ["a list", "one JSON object"]),
        ("echo", "null", ["null", "one JSON object"]),
        ("echo", "{}", ['"text" is missing', '"text" (a string, required)']),
        ("echo", '{"txt": "a"}', ['"text" is missing', '"txt" is unknown, did you mean "text"']),
        ("echo", '{"text": 3}', ['"text" must be a string, not 3']),
        ("echo", '{"text": null}', ["a string, not null"]),
        ("ping", '{"a": 1}', ['"a" is unknown', "no arguments"]),
        ("ping", json.dumps({f"a{n}": 1 for n in range(5_000)}), ['"a9" is unknown', "4,990 more are unknown"]),
        ("search", '{"query": "a", "limit": true}', ['"limit" must be a whole number, not true']),
        ("search", '{"query": "a", "limit": 2.5}', ["a whole number, not 2.5"]),
        ("search", '{"query": "a", "limit": 1e999}', ["a whole number"]),
        ("search", '{"query": "a", "limit": "3"}', ['a whole number, not "3"']),
        ("search", '{"query": "a", "order": "up"}', ['one of "new", "old", not "up"']),
        ("search", '{"query": "a", "tags": ["a", 1]}', ['"tags"[1] must be a string']),
        ("search", '{"query": "a", "tags": "a"}', ['"tags" must be a list, not "a"']),
        ("search", '{"query": "a", "weights": {"k": "x"}}', ['"weights"["k"] must be a number']),
        ("search", '{"query": "a", "weights": {"k": %s}}' % ("9" * 400), ["a number"]),
        ("search", '{"limit": "a", "exact": 1}', ["missing", '"limit" must', '"exact" must be true or false']),
    ],
)
def test_a_wrong_call_is_answered_with_what_is_wrong(name: str, arguments: str, words: list[str]) -> None:
    result = box(search, echo, ping, limit=2_000).run(name, arguments)
    assert not result.ok
    for word in words:
        assert word in result.text


def test_a_toolbox_may_be_empty() -> None:
    tools = box()
    assert tools.schemas() == []
    assert "there are no tools" in tools.run("ping", "").text


class Mute(Exception):
    def __str__(self) -> str:
        raise RuntimeError("not even this")


class Leaving(Exception):
    def __str__(self) -> str:
        raise SystemExit


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ValueError("use a smaller\n number"), "fails failed: use a smaller number"),
        (KeyError("x"), "fails failed: KeyError: 'x'"),
        (OSError(), "fails failed: OSError"),
        (RecursionError("deep"), "fails failed: RecursionError: deep"),
        (Mute(), "fails failed: Mute: (its message cannot be shown: RuntimeError)"),
        (Leaving(), "fails failed: Leaving: (its message cannot be shown: SystemExit)"),
    ],
)
def test_a_tool_that_raises_gives_one_line_and_the_trace_is_logged(
    error: Exception, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    def fails() -> str:
        """Fail."""
        raise error

    with caplog.at_level(logging.DEBUG, logger="tools.toolbox"):
        result = box(fails).run("fails", "")
    assert (result.text, result.ok) == (text, False)
    assert caplog.records[0].exc_info is not None


def test_the_owner_can_stop_a_tool() -> None:
    begun = threading.Event()

    def waits() -> str:
        """Wait for ever."""
        begun.set()
        return str(threading.Event().wait())

    def press() -> None:
        begun.wait()
        os.kill(os.getpid(), signal.SIGINT)  # to the process, as a terminal does

    threading.Thread(target=press).start()
    with pytest.raises(KeyboardInterrupt):
        box(waits).run("waits", "")


@pytest.mark.parametrize("stop", [KeyboardInterrupt, SystemExit])
def test_a_tool_cannot_stop_the_program(stop: type[BaseException]) -> None:
    def leaves() -> str:
        """Leave."""
        raise stop

    result = box(leaves).run("leaves", "")
    assert (result.text, result.ok) == (f"leaves failed: {stop.__name__}", False)


def test_a_tool_that_hangs_is_given_up_by_its_own_limit_and_that_of_the_turn() -> None:
    def hangs() -> str:
        """Hang."""
        return str(threading.Event().wait())

    toolbox = Toolbox([tool(hangs, timeout_s=0.02)], count_bytes, 200)
    told = "hangs was given up after 0.02 s; what it had begun may still go on."
    assert toolbox.run("hangs", "").text == told
    prepared = toolbox.prepare("hangs", "")
    assert isinstance(prepared, Prepared)
    running = toolbox.begin(prepared, timeout_s=0.01)
    assert (result := running.result(5)) and result.text == told.replace("0.02", "0.01")
    assert running.ms >= 10
    slow = Toolbox([tool(hangs)], count_bytes, 200, timeout_s=0.03)
    assert slow.run("hangs", "").text == told.replace("0.02", "0.03")


def test_only_what_was_shown_is_run() -> None:
    world, ran = ["before"], []

    def change(name: str) -> str:
        """Change the world."""
        ran.append(name)
        return "changed"

    toolbox = Toolbox([tool(change, preview=lambda name: f"{world[0]} -> {name}")], count_bytes, 200)
    prepared = toolbox.prepare("change", '{"name": "after"}')
    assert isinstance(prepared, Prepared)
    assert prepared.shown == "before -> after"
    world[0] = "another"
    refused = toolbox.perform(prepared)
    assert (refused.text, refused.ok) == ("change was not run: what it would change is not what was shown.", False)
    assert not ran
    world[0] = "before"
    assert toolbox.perform(prepared).text == "changed"


def test_a_call_without_a_preview_shows_its_checked_arguments_whole() -> None:
    prepared = box(search).prepare("search", '{"query": "ü\\n", "limit": 3.0}')
    assert isinstance(prepared, Prepared)
    assert json.loads(prepared.shown) == prepared.arguments == {"query": "ü\n", "limit": 3}


def test_a_preview_that_refuses_is_told_to_the_model() -> None:
    def refuses(name: str) -> str:
        raise ValueError(f"there is no {name}")

    def change(name: str) -> str:
        """Change."""
        return name

    told = Toolbox([tool(change, preview=refuses)], count_bytes, 200).run("change", '{"name": "file"}')
    assert (told.text, told.ok) == ("change failed: there is no file", False)


def test_a_preview_can_neither_hang_nor_end_the_program() -> None:
    def change(name: str) -> str:
        """Change."""
        return name

    def hangs(name: str) -> str:
        return name * threading.Event().wait()

    def leaves(name: str) -> str:
        raise SystemExit(name)

    told = [
        Toolbox([tool(change, preview=preview, timeout_s=0.02)], count_bytes, 200).prepare("change", '{"name": "x"}')
        for preview in (hangs, leaves)
    ]
    assert [isinstance(one, ToolResult) and (one.text, one.ok) for one in told] == [
        ("change was given up after 0.02 s; what it had begun may still go on.", False),
        ("change failed: SystemExit: x", False),
    ]


def test_what_runs_is_what_can_be_shown() -> None:
    prepared = box(echo, search).prepare("echo", r'{"text": "a\ud83d\u0000b"}')
    assert isinstance(prepared, Prepared)
    assert json.loads(prepared.shown) == prepared.arguments == {"text": "a\ufffd\ufffdb"}
    keyed = box(search).prepare("search", r'{"query": "a", "weights": {"\ud83d": 1}}')
    assert isinstance(keyed, Prepared) and keyed.arguments["weights"] == {"\ufffd": 1.0}


def test_where_the_system_gives_no_more_threads_the_call_is_answered() -> None:
    before = threading.stack_size(1 << 46)  # more than there is
    try:
        result = box(ping).run("ping", "")
    finally:
        threading.stack_size(before)
    assert (result.text, result.ok) == ("ping was not run: can't start new thread.", False)


@pytest.mark.parametrize(
    ("effects", "given", "outside"),
    [
        (frozenset(), "own words", False),
        (frozenset(), Outside("a page's words"), True),
        (frozenset({"network"}), "own words", True),
        (frozenset({"reads", "writes"}), "own words", True),
        (frozenset({"writes"}), "done", False),
    ],
)
def test_a_result_tells_whether_it_may_hold_foreign_words(
    effects: frozenset[Effect], given: str, outside: bool
) -> None:
    def gives() -> str:
        """Give."""
        return given

    assert Toolbox([tool(gives, effects)], count_bytes, 200).run("gives", "").outside is outside


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"a": [1, "ü"]}, '{"a": [1, "ü"]}'),
        ([1, None], "[1, null]"),
        (3, "3"),
        (2.5, "2.5"),
        (True, "true"),
        (b"\x00\x01", "(2 bytes that are not text)"),
        (None, "(done; there is nothing to show)"),
        ("", ""),
        ("a\ud800b\x00c😀", "a\ufffdb\ufffdc😀"),
    ],
)
def test_whatever_a_tool_gives_becomes_safe_text(value: object, text: str) -> None:
    def gives() -> object:
        """Give."""
        return value

    result = box(gives).run("gives", "")
    assert (result.text, result.ok) == (text, True)


def test_a_tool_that_gives_what_json_cannot_carry_has_run_all_the_same() -> None:
    def gives() -> object:
        """Give."""
        return {1, 2}

    result = box(gives).run("gives", "")
    assert not result.ok
    assert result.text.startswith("gives has run, but what it gave cannot be shown: TypeError")


def test_a_long_result_keeps_head_and_tail_and_says_what_is_missing() -> None:
    text = "head " + "x" * 10_000 + " tail"
    result = box(echo).run("echo", json.dumps({"text": text}))
    head, note, tail = result.text.split("\n")
    assert result.ok
    assert text.startswith(head)
    assert text.endswith(tail)
    assert note == f"[... {len(text) - len(head) - len(tail):,} characters left out ...]"
    assert 400 <= count_bytes(result.text) <= 500


def test_a_result_that_just_fits_is_not_cut() -> None:
    text = "x" * 500
    assert box(echo).run("echo", json.dumps({"text": text})).text == text


def test_megabytes_are_never_tokenised() -> None:
    counted = []

    def count(text: str) -> int:
        counted.append(len(text))
        return len(text.split())

    def gives() -> str:
        """Give much."""
        return "word " * 2_000_000

    result = Toolbox([tool(gives)], count, 100).run("gives", "")
    assert count(result.text) <= 100
    assert max(counted) < 1_000


anything = st.text(st.characters())  # with lone surrogates
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | anything,
    lambda inner: st.lists(inner) | st.dictionaries(anything | st.sampled_from(["text", "query"]), inner),
)


@given(
    name=st.sampled_from(["search", "echo", "ping"]) | anything,
    arguments=anything | json_values.map(json.dumps) | st.fixed_dictionaries({"text": anything}).map(json.dumps),
    limit=st.integers(60, 300),
)
def test_any_call_gets_an_answer_within_the_limit(name: str, arguments: str, limit: int) -> None:
    """count_bytes encodes strictly, so this also says that every answer can be sent and stored."""
    result = box(search, echo, ping, limit=limit).run(name, arguments)
    assert count_bytes(result.text) <= limit
    assert "\0" not in result.text


@given(text=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")), limit=st.integers(60, 200))
def test_text_is_changed_only_where_it_does_not_fit(text: str, limit: int) -> None:
    shown = box(echo, limit=limit).run("echo", json.dumps({"text": text})).text
    assert (shown == text) == (count_bytes(text) <= limit)
