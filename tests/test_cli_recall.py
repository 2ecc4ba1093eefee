"""`assistant recall`: the forms that other programs rely on, the scopes, and what it costs."""

import json
from datetime import datetime
from pathlib import Path

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
            "rank", "score", "kind", "session_id", "message_ids", "text", "at", "tokens", "origin"
        ]  # fmt: skip
        assert hit["kind"] in {"summary", "fact", "message"}
        assert hit["session_id"] == "sample-1"
        assert "risotto" in hit["text"]
        assert datetime.fromisoformat(hit["at"]).tzinfo
        assert hit["tokens"] > 0
        assert {row[0] for row in rows(sample, "SELECT id FROM messages")} >= set(hit["message_ids"])


def test_explain_says_what_found_each_hit(cli: Cli, sample: Path) -> None:
    why = cli("recall", "risotto", "--explain", *WORDS).json["hits"][0]["why"]
    assert why["bm25"] > 0
    assert why["cosine"] == 0
    assert "bm25" in cli("recall", "risotto", "--explain", "--mode", "words").out
    assert "bm25" not in cli("recall", "risotto", "--mode", "words").out


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


def test_an_unknown_session_is_3(cli: Cli, sample: Path) -> None:
    assert cli("recall", "x", "--session", "none").code == 3


def test_inject_gives_the_lines_of_a_prompt(cli: Cli, sample: Path) -> None:
    hits = cli("recall", "mushroom risotto", "--inject", *WORDS).json["hits"]
    assert hits
    assert all("session sample-1)" in hit["text"] for hit in hits)


def test_a_question_without_a_word_in_common_is_answered_by_meaning(assistant: Run) -> None:
    assistant("import", "data/sample.jsonl")
    ran = assistant("recall", "is she a carnivore?", "--json", "-n", "3")
    texts = " ".join(hit["text"] for hit in json.loads(ran.stdout)["hits"])
    assert (ran.returncode, ran.stderr) == (0, "")
    assert "vegetarian" in texts
    ran = assistant("recall", "is she a carnivore?", "--json", "--mode", "vectors", "-n", "1", "--explain")
    assert json.loads(ran.stdout)["hits"][0]["why"]["bm25"] == 0


def test_hits_for_people_are_two_lines_each_without_colours(cli: Cli, sample: Path) -> None:
    out = cli("recall", "risotto", "--mode", "words").out
    head, text = out.splitlines()[:2]
    assert head.startswith("1. 2026-01-18 ")
    assert head.endswith("[sample-1]")
    assert text.startswith("   ")
    assert "\x1b" not in out
