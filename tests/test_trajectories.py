"""Trajectories: what is judged, what is refused, and that a case leaves what is its owner's alone."""

import json
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assistant.judging import differences
from assistant.trajectories import Call, Expected, Outcome, case_of, read
from memory.importers.jsonl import Refused
from tests.commands import ROOT, Cli, command_line, rows  # noqa: F401  a fixture
from tests.scripted import ScriptedServer

SAMPLE = ROOT / "data" / "trajectories_sample.jsonl"
DOCUMENT = (ROOT / "docs" / "trajectories.md").read_text(encoding="utf-8")

CALLS = st.lists(
    st.builds(Call, st.sampled_from("ab"), st.dictionaries(st.sampled_from("xy"), st.integers(0, 1))), max_size=4
)


def differs(made: list[Call], **expected: Any) -> str:
    return "; ".join(differences(Expected(**expected), Outcome(tuple(made), "The answer is\n180227.")))


def fits(wanted: Call, made: Call) -> bool:
    return wanted.name == made.name and set(wanted.arguments.items()) <= set(made.arguments.items())  # type: ignore[union-attr]


# ---------------------------------------------------------------------- judging


@given(CALLS, CALLS)
def test_any_order_holds_exactly_where_some_order_does(wanted: list[Call], made: list[Call]) -> None:
    some = any(all(map(fits, wanted, order)) for order in permutations(made, len(wanted)))
    assert (differs(made, calls=tuple(wanted), order="any") == "") is some


@given(CALLS, CALLS)
def test_an_exact_order_is_kept_in_order_and_one_in_order_in_any(wanted: list[Call], made: list[Call]) -> None:
    held = [not differs(made, calls=tuple(wanted), order=order) for order in ("exact", "in_order", "any")]
    assert held == sorted(held)


@given(CALLS)
def test_what_was_made_is_what_was_made(made: list[Call]) -> None:
    assert differs(made, calls=tuple(made), order="exact") == ""


def test_other_calls_may_stand_between_in_order_but_not_where_it_is_exact() -> None:
    made, wanted = [Call("a"), Call("x"), Call("b")], (Call("a"), Call("b"))
    assert differs(made, calls=wanted) == ""
    assert differs(made, calls=wanted[::-1]) == "expected b(), a() in this order; got a(), x(), b()"
    assert differs(made, calls=wanted, order="exact") == "expected a(), b() and no other; got a(), x(), b()"
    assert differs(made, calls=()) == "" and "expected no call" in differs(made, calls=(), order="exact")


@pytest.mark.parametrize(
    ("wanted", "made", "right"),
    [
        ({"x": {"y": 1}}, {"x": {"y": 1, "z": 2}, "w": 3}, True),
        ({"x": [1, 2]}, {"x": [1, 2, 3]}, False),
        ({"x": 1}, {"x": 1.0}, True),
        ({"x": 1}, {"x": True}, False),
        ({"x": None}, {}, False),
        ({"x": 1}, '{"x": ', False),
        ({}, '{"x": ', True),
    ],
)
def test_of_arguments_what_is_named_counts(wanted: dict[str, Any], made: Any, right: bool) -> None:
    assert (differs([Call("a", made)], calls=(Call("a", wanted),)) == "") is right


def test_words_count_whatever_their_case_and_lines() -> None:
    assert differs([], words=("ANSWER IS 180227",), not_words=("180228",)) == ""
    assert differs([], words=("no",), not_words=("is 1",)) == "the answer lacks 'no'; the answer has 'is 1'"


# ---------------------------------------------------------------------- reading


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"id": ""}, "id is missing"),
        ({"question": 3}, "question is not text"),
        ({"expext": {}}, 'expext is unknown, did you mean "expect"?'),
        ({"expect": {"call": []}}, 'expect.call is unknown, did you mean "calls"?'),
        ({"expect": {"calls": ["a"], "no_calls": True}}, "calls and no_calls"),
        ({"expect": {"calls": [{"arguments": {}}]}}, "expect.calls[0].name is missing"),
        ({"expect": {"order": "random"}}, "not one of in_order, exact, any"),
        ({"expect": {"words": "one"}}, "expect.words is not a list"),
        ({"expect": []}, "expect is not an object"),
        ({"limits": {"steps": 1.5}}, "limits.steps is not a whole number above 0"),
        ({"limits": {"usd": True}}, "limits.usd is not a number above 0"),
        ({"limits": {"minutes": 1}}, "limits.minutes is unknown"),
        ({"model": "scripted"}, "needs a script"),
        ({"model": "gpt"}, "not one of scripted, real"),
        ({"script": ["a", {"calls": [{"name": 1}]}]}, "script[1].calls[0].name is not text"),
        ({"memory": [{"id": "s"}]}, "memory[0]: messages is not a list"),
        ({"files": {"../x": ""}}, "no file of a folder"),
        ({"files": {"/etc/x": ""}}, "no file of a folder"),
        ({"files": {"./x": ""}}, "no file of a folder"),
        ({"expect": {"files": {"a//x": None}}}, "no file of a folder"),
        ({"limits": {"usd": 10**309}}, "limits.usd is not a number above 0"),
        ({"files": {"x": 1}}, "files['x'] is not text"),
        ({"files": {".": ""}}, "no file of a folder"),
        ({"approve": "yes"}, "not one of deny, allow"),
        ({"schema": "assistant.question/1"}, "only 'assistant.trajectory/1' is known"),
    ],
)
def test_what_has_no_sure_meaning_is_refused(changed: dict[str, Any], told: str) -> None:
    with pytest.raises(Refused) as refused:
        case_of({"id": "a", "question": "b", **changed})
    assert told in str(refused.value)


def test_lines_that_are_no_case_are_told_with_their_numbers(cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "cases.jsonl"
    deep = '{"id": "d", "question": "b", "script": ' + "[" * 600 + "]" * 600 + "}\n"
    path.write_text('{"id": "a", "question": "b"}\n\n{\n[]\n{"id": "a", "question": "c"}\n' + deep, encoding="utf-8")
    assert [bad.line for bad in read(path)[1]] == [3, 4, 5, 6]
    ran = cli("eval", "--trajectories", str(path))
    assert (ran.code, ran.out) == (1, "")
    assert "line 3: not JSON" in ran.err and "line 5: the id 'a' is there already" in ran.err


def test_the_document_names_every_field_and_its_examples_are_cases() -> None:
    examples = DOCUMENT.split("```jsonl\n")[1].split("```")[0].splitlines()
    assert [case_of(json.loads(line)).id for line in examples] == ["one call", "no tool"]
    everything = {
        "id": "a", "question": "b", "script": ["c"], "model": "real", "limits": {}, "memory": [], "files": {},
        "approve": "allow", "schema": "assistant.trajectory/1", "expect": {
            "calls": [], "order": "any", "no_calls": False, "words": [], "not_words": [], "recalled": [], "files": {},
            "at_limit": False,
        },
    }  # fmt: skip
    case_of(everything)
    for name in [*everything, *everything["expect"]]:
        assert f"\n| {name} |" in DOCUMENT


# ---------------------------------------------------------------------- happening


def written(path: Path, *cases: dict[str, Any]) -> str:
    path.write_text("".join(json.dumps(one) + "\n" for one in cases), encoding="utf-8")
    return str(path)


def test_the_sample_cases_are_right(cli: Cli, home: Path) -> None:
    ran = cli("eval", "--trajectories", str(SAMPLE))
    assert (ran.code, ran.out.splitlines()[-1]) == (0, "11 cases: 11 right, 0 wrong."), ran.out + ran.err
    assert not home.exists()


def test_what_differs_is_told_and_the_exit_code_is_1(cli: Cli, tmp_path: Path) -> None:
    sum_ = {"name": "calculator", "arguments": {"expression": "1 + 1"}}
    file = written(
        tmp_path / "cases.jsonl",
        {"id": "calls", "question": "?", "script": [{"calls": [sum_]}, "2"], "expect": {"calls": ["clock"]}},
        {"id": "short", "question": "?", "script": [{"calls": [sum_]}]},
        {"id": "long", "question": "?", "script": ["a", "b"]},
        {"id": "limit", "question": "?", "script": [{"calls": [sum_]}, "2"], "limits": {"steps": 1}},
        {"id": "recall", "question": "My cat?", "script": ["Tom"], "expect": {"recalled": ["Tom"]}},
    )
    ran = cli("eval", "--trajectories", file, "--json")
    found = {one["id"]: one for one in map(json.loads, ran.out.splitlines())}
    assert ran.code == 1 and not any(one["right"] for one in found.values())
    told = {name: one["differences"] for name, one in found.items()}
    assert told["calls"] == ['expected clock() in this order; got calculator(expression="1 + 1")']
    assert told["short"][0].startswith("The script has no answer left.")
    assert told["long"] == ["answers of the script that nobody asked for: 1"]
    assert told["limit"] == ["a limit was reached"] and found["limit"]["at_limit"]
    assert told["recall"] == ["what was recalled lacks 'Tom'"]
    assert found["calls"]["calls"] == [sum_] and found["calls"]["steps"] == 2 and found["calls"]["model"] == "scripted"
    ran = cli("eval", "--trajectories", file, "--only", "long")
    assert ran.out.endswith("       answers of the script that nobody asked for: 1\n1 case: 0 right, 1 wrong.\n")


def test_a_real_model_is_asked_where_there_is_no_script_or_where_it_is_named(
    cli: Cli, server: ScriptedServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", server.url)
    monkeypatch.setenv("ASSISTANT_MODEL", "chosen")
    file = written(
        tmp_path / "cases.jsonl",
        {"id": "real", "question": "Real?", "expect": {"words": ["yes"]}},
        {"id": "both", "question": "Both?", "script": ["Scripted."], "expect": {"words": ["yes"]}},
        {"id": "held", "question": "Held?", "model": "scripted", "script": ["Yes."], "expect": {"words": ["yes"]}},
    )
    server.enqueue("Yes.")
    found = [one["right"] for one in map(json.loads, cli("eval", "--trajectories", file, "--json").out.splitlines())]
    assert found == [True, False, True]
    server.enqueue("Yes.", "Yes.")
    assert cli("eval", "--trajectories", file, "--model", "named").code == 0
    assert [body["model"] for body in server.bodies] == ["chosen", "named", "named"]


def test_the_owners_memory_and_folders_are_neither_read_nor_changed(cli: Cli, home: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "diary.txt").write_text("secret")
    assert cli("remember", "My cat is called Tom.").code == 0
    assert cli("config", "set", "folders", str(tmp_path / "mine")).code == 0
    before = rows(home, "SELECT count(*) FROM messages"), sorted(home.rglob("*"))
    file = written(
        tmp_path / "cases.jsonl",
        {"id": "memory", "question": "What is my cat called?", "script": ["?"], "expect": {"recalled": ["Tom"]}},
        {"id": "folder", "question": "What do I write?", "script": [
            {"calls": [{"name": "read_file", "arguments": {"path": str(tmp_path / "mine" / "diary.txt")}}]}, "?"],
            "files": {"a.txt": ""}, "expect": {"files": {"diary.txt": None}}},
    )  # fmt: skip
    ran = cli("eval", "--trajectories", file, "--json")
    assert [json.loads(line)["right"] for line in ran.out.splitlines()] == [False, True]
    assert "secret" not in ran.out
    assert (rows(home, "SELECT count(*) FROM messages"), sorted(home.rglob("*"))) == before


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--trajectories", str(SAMPLE), "--inject"), "stands alone"),
        (("--trajectories", str(SAMPLE), "--only", "plane"), 'did you mean "plain"?'),
        (("--only", "plain"), "go with --trajectories"),
        (("--trajectories", "none.jsonl"), "does not exist"),
    ],
)
def test_options_that_do_not_go_together_are_told(cli: Cli, words: tuple[str, ...], told: str) -> None:
    ran = cli("eval", *words)
    assert ran.code in (2, 3) and told in ran.err and "Traceback" not in ran.err


def test_a_file_without_cases_is_told(cli: Cli, tmp_path: Path) -> None:
    assert "There is no case" in cli("eval", "--trajectories", written(tmp_path / "none.jsonl")).err


def test_what_cannot_be_set_up_is_told_of_its_case_alone(cli: Cli, tmp_path: Path) -> None:
    file = written(
        tmp_path / "cases.jsonl",
        {"id": "clash", "question": "?", "script": ["a"], "files": {"a": "", "a/b": ""}},
        {"id": "money", "question": "?", "script": ["a"], "limits": {"usd": 1}},
        {"id": "odd", "question": "\ud800", "script": ["\ud800"], "files": {"\ud800": "\ud800"}},
    )
    ran = cli("eval", "--trajectories", file)
    assert "wrong  clash: no calls (0 steps, 0.0 s)\n       The file a/b cannot be written" in ran.out
    assert "right  money" in ran.out and "right  odd" in ran.out  # a script costs nothing
    assert ran.out.endswith("3 cases: 2 right, 1 wrong.\n")
