"""`assistant recall`: the forms that other programs rely on, the scopes, and what it costs."""

import json
from datetime import datetime
from pathlib import Path

import pytest

from tests.commands import Cli, command_line, imported_once, rows, sample_home  # noqa: F401  fixtures
from tests.conftest import Run

WORDS = ("--mode", "words", "--json")


def test_one_object_a_query_in_the_form_that_is_promised(cli: Cli, sample: Path) -> None:
    ran = cli("recall", "mushroom", "risotto", "-n", "2", *WORDS)
    assert ran.out.count("\n") == 1
    found = ran.json
    assert list(found) == ["schema", "query", "took_ms", "hits"]
    assert (found["schema"], found["query"]) == ("assistant.recall/1", "mushroom risotto")
    assert 0 < found["took_ms"] < 60_000
    assert [hit["rank"] for hit in found["hits"]] == [1, 2]
    assert found["hits"][0]["score"] >= found["hits"][1]["score"]
    for hit in found["hits"]:
        assert list(hit) == [
            "rank", "score", "kind", "session_id", "message_ids", "text", "at", "tokens", "origin", "why"
        ]  # fmt: skip
        assert hit["kind"] in {"summary", "fact", "message"}
        assert hit["session_id"] == "sample-1"
        assert "risotto" in hit["text"]
        assert datetime.fromisoformat(hit["at"]).tzinfo
        assert hit["tokens"] > 0
        assert {row[0] for row in rows(sample, "SELECT id FROM messages")} >= set(hit["message_ids"])


def test_why_names_the_arms_and_the_parts_of_the_score(cli: Cli, sample: Path) -> None:
    hit = cli("recall", "risotto", *WORDS).json["hits"][0]
    assert list(hit["why"]) == ["arms", "parts"]
    assert hit["why"]["arms"]["words"] > 0 and hit["why"]["arms"]["vectors"] == 0
    assert abs(sum(hit["why"]["parts"].values()) - hit["score"]) < 0.01


def test_explain_is_a_table_of_80_columns_below_the_hits(cli: Cli, sample: Path) -> None:
    plain = cli("recall", "risotto", "--mode", "words", "-n", "3").out
    told = cli("recall", "risotto", "--mode", "words", "-n", "3", "--explain").out
    assert told.startswith(plain)
    header, *rows = told.removeprefix(plain).strip().splitlines()
    assert header.split() == ["hit", "unit", "score", "words", "vectors", "tokens"]
    assert all(len(row) <= 80 for row in rows)
    assert [row.split()[0] for row in rows if not row.startswith("    ")] == ["1", "2", "3"]
    assert any("= words" in row for row in rows)
    assert "\x1b" not in told


def test_explain_of_a_prompt_shows_the_gate_the_budget_and_what_was_cut(cli: Cli, sample: Path) -> None:
    told = cli("recall", "mushroom risotto", "--inject", "--explain", "--mode", "words").out
    assert "/1000" in told and "The gate is open" in told
    assert "below the best" in told.split("Found, and not shown:")[1]
    found = cli("recall", "mushroom risotto", "--inject", "--explain", *WORDS).json
    assert list(found) == ["schema", "query", "took_ms", "hits", "gate", "cut"]
    assert found["gate"]["open"] is True
    used = 0
    for place, hit in enumerate(found["hits"], 1):
        used += hit["tokens"]
        assert hit["why"]["budget"] == {"place": place, "tokens": hit["tokens"], "used": used, "of": 1000}
        assert hit["why"]["gate"]["threshold"] > 0
    assert list(found["cut"][0]) == ["unit", "session_id", "score", "reason", "why"]
    assert "cut" not in cli("recall", "mushroom risotto", "--inject", *WORDS).json


def test_explain_tells_what_a_shut_gate_kept_back(cli: Cli, sample: Path) -> None:
    ran = cli("recall", "write a poem about risotto", "--inject", "--explain", "--mode", "words")
    assert ran.code == 3
    assert ran.out.strip().startswith("The gate is shut: the best has ")
    assert ran.out.count("the gate: nothing relevant enough") > 1


def test_many_questions_get_a_line_each_with_their_ids(cli: Cli, sample: Path, tmp_path: Path) -> None:
    asked = [
        {"id": "a", "query": "risotto", "at": "2026-02-01T00:00:00+00:00"},
        {"id": 7, "query": "zzyzx"},
        {"id": "c", "query": "Henrik Sand"},
    ]
    (tmp_path / "queries.jsonl").write_text("\n\n".join(json.dumps(one) for one in asked))
    ran = cli("recall", "--queries", str(tmp_path / "queries.jsonl"), "--mode", "words")
    found = [json.loads(line) for line in ran.out.splitlines()]
    assert ran.code == 0
    assert [(one["id"], one["query"]) for one in found] == [("a", "risotto"), (7, "zzyzx"), ("c", "Henrik Sand")]
    assert [bool(one["hits"]) for one in found] == [True, False, True]


def test_a_broken_line_of_questions_is_told_with_its_number(cli: Cli, sample: Path, tmp_path: Path) -> None:
    (tmp_path / "queries.jsonl").write_text('{"id": "a", "query": "risotto"}\n{"query": "no id"}\n')
    ran = cli("recall", "--queries", str(tmp_path / "queries.jsonl"))
    assert (ran.code, ran.out) == (1, "")
    assert "line 2" in ran.err


BAD_QUESTIONS = [
    ("{broken", "Expecting property name"),
    ("[" * 100_000, "recursion"),
    ('["a"]', "it is no object"),
    ('{"query": "risotto"}', "id is missing"),
    ('{"id": 1}', "query is missing, or is no text"),
    ('{"id": 1, "query": null}', "query is missing, or is no text"),
    ('{"id": 1, "query": 5}', "query is missing, or is no text"),
    ('{"id": NaN, "query": "x"}', "NaN is not JSON"),
    ('{"id": 1, "query": "x", "at": "no"}', "Invalid isoformat string"),
    ('{"id": 1, "query": "x", "at": 5}', "argument must be str"),
    ('{"id": 1, "query": "x", "at": "0001-01-01T00:00:00+14:00"}', "out of range"),
]


@pytest.mark.parametrize(("line", "reason"), BAD_QUESTIONS)
def test_a_bad_question_is_one_line_that_says_what_is_wrong(
    line: str, reason: str, cli: Cli, sample: Path, tmp_path: Path
) -> None:
    (tmp_path / "queries.jsonl").write_text(f'\n{line}\n{{"id": 1, "query": "risotto"}}\n')
    ran = cli("recall", "--queries", str(tmp_path / "queries.jsonl"), *WORDS)
    assert (ran.code, ran.out, ran.err.count("\n")) == (1, "", 1)
    assert "line 2" in ran.err and reason in ran.err


def test_an_id_of_any_type_and_a_question_of_any_characters_come_back(cli: Cli, sample: Path, tmp_path: Path) -> None:
    ids = [None, "", 0, 1.5, False, [], {"a": [1, {}]}, 2**80, "\u2028\x85", "\ud800"]
    asked = [{"id": one, "query": f"risotto \u2028 \x85 {one}"} for one in ids]
    lines = [json.dumps(one, ensure_ascii="\\ud800" in json.dumps(one)) for one in asked]
    (tmp_path / "queries.jsonl").write_text("\ufeff" + "\n".join(lines), encoding="utf-8")
    ran = cli("recall", "--queries", str(tmp_path / "queries.jsonl"), *WORDS)
    assert ran.code == 0
    found = [json.loads(line) for line in ran.out.split("\n") if line]
    assert [{"id": one["id"], "query": one["query"]} for one in found] == asked


def test_json_loses_nothing_where_the_output_has_another_encoding(assistant: Run, sample: Path) -> None:
    ran = assistant("recall", "risotto 東京 ü", *WORDS, env={"PYTHONIOENCODING": "latin-1", "PYTHONUTF8": "0"})
    assert json.loads(ran.stdout)["query"] == "risotto 東京 ü"


def test_nothing_found_is_3_and_says_so(cli: Cli, sample: Path) -> None:
    ran = cli("recall", "zzyzx", "--mode", "words")
    assert (ran.code, ran.out) == (3, "")
    assert ran.err == "assistant: Nothing was found.\n"
    ran = cli("recall", "zzyzx", *WORDS)
    assert (ran.code, ran.json["hits"]) == (3, [])


def test_the_scopes_leave_out_what_is_outside(cli: Cli, sample: Path) -> None:
    def sessions(*options: str) -> set[str]:
        return {hit["session_id"] for hit in cli("recall", "Porto wedding", "-n", "50", *options, *WORDS).json["hits"]}

    assert sessions() >= {"sample-1", "sample-5", "sample-6"}
    assert sessions("--session", "sample-5") == {"sample-5"}
    assert "sample-1" not in sessions("--after", "2026-06-14")
    assert "sample-5" in sessions("--after", "2026-06-14")
    assert "sample-5" not in sessions("--before", "2026-06-14")
    assert "sample-5" in sessions("--as-of", "2026-06-14")
    assert "sample-6" not in sessions("--as-of", "2026-06-14")
    assert "sample-6" in sessions("--as-of", "2026-07")
    kinds = cli("recall", "Porto wedding", "--kind", "fact", "--kind", "summary", *WORDS).json["hits"]
    assert {hit["kind"] for hit in kinds} == {"fact", "summary"}


def test_an_empty_stretch_of_time_is_told(cli: Cli, sample: Path) -> None:
    ran = cli("recall", "Porto", "--after", "2026-08-01", "--before", "2026-01-01", *WORDS)
    assert (ran.code, ran.json["hits"]) == (3, [])
    assert "--after begins no earlier than --before" in ran.err


@pytest.mark.parametrize(("session", "code"), [("", 1), ("nobody", 3), ("\udcff", 3)])
def test_a_session_that_is_none_does_not_open_the_scope_to_all(session: str, code: int, cli: Cli, sample: Path) -> None:
    ran = cli("recall", "Porto", "--session", session, *WORDS)
    assert (ran.code, ran.out, ran.err.count("\n")) == (code, "", 1)


def test_the_memory_as_it_was_still_holds_what_was_retired_later(cli: Cli, sample: Path) -> None:
    def texts(*options: str) -> str:
        hits = cli("recall", "wedding in Porto", "--kind", "fact", "-n", "50", *options, *WORDS).json["hits"]
        return " ".join(hit["text"] for hit in hits)

    assert "12 September" not in texts()
    assert "3 October" in texts()
    assert "12 September" in texts("--as-of", "2026-07-04") and "3 October" not in texts("--as-of", "2026-07-04")
    assert "12 September" not in texts("--as-of", "2026-07-05") and "3 October" in texts("--as-of", "2026-07-05")


@pytest.mark.parametrize(
    ("option", "event", "day", "inside", "outside"),
    [
        ("--before", "we chose Go for the ingest service", "before 2026-03-03, when you said", "sample-1", "sample-5"),
        ("--after", "the wedding was moved", "after 2026-07-05, when you said", "sample-6", "sample-5"),
        ("--as-of", "water dripped through the ceiling", "as of 2026-04-21, when you said", "sample-4", "sample-5"),
    ],
)
def test_an_event_is_a_date(
    cli: Cli, sample: Path, option: str, event: str, day: str, inside: str, outside: str
) -> None:
    ran = cli("recall", "Porto water wedding Marta", "-n", "50", option, event, *WORDS)
    sessions = {hit["session_id"] for hit in ran.json["hits"]}
    assert inside in sessions and outside not in sessions
    assert ran.err.startswith(day) and ran.err.count("\n") == 1


def test_a_date_in_words_is_a_scope(cli: Cli, sample: Path) -> None:
    found = cli("recall", "Porto", "-n", "50", "--after", "summer 2026", "--before", "autumn 2026", *WORDS).json["hits"]
    assert {hit["session_id"] for hit in found} == {"sample-5", "sample-6"}


def test_the_date_of_a_question_is_now_for_the_filters_too(cli: Cli, sample: Path, tmp_path: Path) -> None:
    asked = [{"id": year, "query": "Porto wedding", "at": f"{year}-12-01"} for year in ("2026", "2025")]
    (tmp_path / "queries.jsonl").write_text("\n".join(map(json.dumps, asked)))
    ran = cli("recall", "--queries", str(tmp_path / "queries.jsonl"), "--before", "this summer", "-n", "50", *WORDS)
    sessions = [{hit["session_id"] for hit in json.loads(line)["hits"]} for line in ran.out.splitlines()]
    assert sessions == [{"sample-1"}, set()]
    event = ("--after", "the wedding was moved")
    assert cli("recall", "--queries", str(tmp_path / "queries.jsonl"), *event, *WORDS).err.count("\n") == 1


@pytest.mark.parametrize("text", ["someday", "", "I sold the boat", "20266-01-01", "last sprinng", "31 february 2026"])
def test_what_is_neither_date_nor_event_is_2(cli: Cli, sample: Path, text: str) -> None:
    ran = cli("recall", "Porto", "--after", text)
    assert (ran.code, ran.out) == (2, "")
    assert "is no date." in ran.err


def test_an_unknown_session_is_3(cli: Cli, sample: Path) -> None:
    assert cli("recall", "x", "--session", "none").code == 3


def test_inject_gives_the_lines_of_a_prompt(cli: Cli, sample: Path) -> None:
    hits = cli("recall", "mushroom risotto", "--inject", *WORDS).json["hits"]
    assert hits
    assert all(hit["text"].endswith(", 2026-01-18)") for hit in hits)


def test_a_question_without_a_word_in_common_is_answered_by_meaning(assistant: Run) -> None:
    assistant("import", "data/sample.jsonl")
    ran = assistant("recall", "is she a carnivore?", "--json", "-n", "3")
    texts = " ".join(hit["text"] for hit in json.loads(ran.stdout)["hits"])
    assert (ran.returncode, ran.stderr) == (0, "")
    assert "vegetarian" in texts
    ran = assistant("recall", "is she a carnivore?", "--json", "--mode", "vectors", "-n", "1", "--explain")
    assert json.loads(ran.stdout)["hits"][0]["why"]["arms"]["words"] == 0


def test_hits_for_people_are_two_lines_each_without_colours(cli: Cli, sample: Path) -> None:
    out = cli("recall", "risotto", "--mode", "words").out
    head, text = out.splitlines()[:2]
    assert head.startswith("1. 2026-01-18 ")
    assert head.endswith("[sample-1]")
    assert text.startswith("   ")
    assert "\x1b" not in out


def test_a_small_window_has_little_room_for_what_is_recalled(
    cli: Cli, sample: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As much as a conversation with that model would be shown."""
    ample = cli("recall", "What does my sister Marta not eat?", "--inject", *WORDS).json["hits"]
    monkeypatch.setenv("ASSISTANT_CONTEXT_TOKENS", "300")
    little = cli("recall", "What does my sister Marta not eat?", "--inject", *WORDS).json["hits"]
    assert 0 < sum(hit["tokens"] for hit in little) <= 50 < sum(hit["tokens"] for hit in ample)


def test_people_are_told_what_has_changed_since_it_was_said(cli: Cli, home: Path) -> None:
    cli("remember", "I live in Lisbon with my dog Rex.")
    cli("remember", "We moved to Porto.")
    found = cli("recall", "Lisbon", "--mode", "words").out
    assert " message (since " in found and ": We moved to Porto.), I live in Lisbon" in found
    past = cli("recall", "Where did I live before, with my dog Rex?", "--mode", "words", "--inject").out
    assert past.count("until ") == 1 and "since" not in past
