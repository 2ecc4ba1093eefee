"""`assistant eval`: what it measures, whose memory it asks, and what it tells of cases that cannot be used."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.commands import ROOT, SAMPLE, Cli, command_line, imported_once, rows, sample_home  # noqa: F401  fixtures
from tests.conftest import Run

QUESTIONS = ROOT / "data" / "eval_sample.jsonl"
DOCUMENT = (ROOT / "docs" / "eval.md").read_text(encoding="utf-8")
WORDS = ("--mode", "words", "--json")


def asked(**fields: Any) -> str:
    line = {"schema": "assistant.question/1", "id": "q", "question": "Who marries in Porto?", "messages": [], **fields}
    return json.dumps(line) + "\n"


def test_the_sample_questions_are_measured_on_the_sample_history(assistant: Run, home: Path) -> None:
    ran = assistant("eval", str(SAMPLE), str(QUESTIONS), "--json")
    assert ran.returncode == 0, ran.stderr
    found = json.loads(ran.stdout)
    assert found["schema"] == "assistant.eval/1"
    assert (found["sessions"], found["messages"], found["all"]["asked"]) == (8, 52, 17)
    assert found["all"]["any@1"] >= 0.75 and found["all"]["recall@10"] >= 0.9
    assert set(found["categories"]) == {"one message", "several messages", "what changed"}
    assert not home.exists()


def test_what_goes_into_a_prompt_is_measured_with_small_talk(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "talk.txt").write_text("Thanks a lot!\n\nGood night.\n")
    talk = ("--inject", "--smalltalk", str(tmp_path / "talk.txt"))
    found = cli("eval", str(SAMPLE), str(QUESTIONS), *talk, *WORDS).json
    assert list(found["all"]) == ["asked", "right", "tokens", "most", "nothing", "noise", "p50_ms", "p95_ms"]
    assert (found["all"]["asked"], found["all"]["nothing"], found["all"]["noise"]) == (17, 5, 0)
    assert found["categories"]["small talk"]["nothing"] == 2
    assert 0 < found["all"]["right"] <= 1 and 0 < found["all"]["most"] <= 1000


def test_without_sessions_the_owners_own_memory_is_asked_and_not_written(cli: Cli, sample: Path, home: Path) -> None:
    before = (home / "memory.db").read_bytes()
    found = cli("eval", str(QUESTIONS), *WORDS).json
    assert (found["sessions"], found["all"]["asked"]) == (8, 17)
    assert (home / "memory.db").read_bytes() == before


def test_a_memory_that_is_built_leaves_the_owners_alone(cli: Cli, sample: Path, tmp_path: Path) -> None:
    session = {"schema": "assistant.session/1", "id": "s", "started_at": "2026-01-01", "messages": [
        {"id": "m1", "role": "user", "content": "My parrot is called Coco."}]}  # fmt: skip
    path = tmp_path / "cases.jsonl"
    path.write_text(asked(question="What is my parrot called?", messages=["m1"]) + json.dumps(session))
    before = sorted((one, one.stat().st_mtime_ns) for one in sample.rglob("*"))
    found = cli("eval", str(path), *WORDS).json
    assert (found["sessions"], found["all"]["any@1"]) == (1, 1)
    assert sorted((one, one.stat().st_mtime_ns) for one in sample.rglob("*")) == before


def test_the_questions_own_date_is_now(cli: Cli, tmp_path: Path) -> None:
    said = [
        {"schema": "assistant.session/1", "id": month, "started_at": f"{month}-10", "messages": [
            {"id": month, "role": "user", "content": "I went to a concert in the old harbour."}]}
        for month in ("2026-02", "2026-05")
    ]  # fmt: skip
    question = "Which concert did I go to last month?"
    path = tmp_path / "cases.jsonl"
    path.write_text(
        "".join(json.dumps(one) + "\n" for one in said)
        + asked(id="a", question=question, messages=["2026-02"], at="2026-03-05")
        + asked(id="b", question=question, messages=["2026-05"], at="2026-06-05")
    )
    assert cli("eval", str(path), *WORDS).json["all"]["any@1"] == 1


def test_misses_tell_where_the_right_ones_stand(cli: Cli, sample: Path, tmp_path: Path) -> None:
    (tmp_path / "q.jsonl").write_text(
        asked(id="found", messages=["sample-5-1"]) + asked(id="lost", question="zzyzx", messages=["sample-8-3"])
    )
    (miss,) = cli("eval", str(tmp_path / "q.jsonl"), "--misses", "1", *WORDS).json["misses"]
    assert miss == {"id": "lost", "question": "zzyzx", "messages": {"sample-8-3": None}, "sessions": {"sample-8": None}}
    out = cli("eval", str(tmp_path / "q.jsonl"), "--misses", "5", "--mode", "words").out
    assert "lost zzyzx\n   message sample-8-3 is missing; session sample-8 is missing\n" in out


def test_a_table_for_people_has_a_row_for_all_and_for_each_category(cli: Cli, sample: Path) -> None:
    ran = cli("eval", str(QUESTIONS), "--mode", "words")
    table = [line.split("\t") for line in ran.out.splitlines()]
    assert [row[0] for row in table] == ["", "all", "one message", "several messages", "what changed"]
    assert table[0][1:5] == ["asked", "any@1", "all@5", "recall@10"]
    assert re.fullmatch(r"\d+\.\d", table[1][2])
    assert ran.err == "Asked of 8 sessions, 52 messages.\n"


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        ("{\n" + asked(), "line 1: not JSON"),
        (asked() + asked(id="r", messages="m"), "line 2: messages is not a list of ids"),
        (asked() + '\n{"schema": "assistant.session/1", "id": "s"}', "line 3: messages is not a list"),
        (asked() + asked(), "Several questions have the id q"),
        ("", "no question"),
        (asked(), "--inject"),
        (asked(messages=["none"]), "the message none is not there"),
    ],
)
def test_cases_that_cannot_be_used_are_told_in_a_line(
    cli: Cli, sample: Path, tmp_path: Path, lines: str, told: str
) -> None:
    (tmp_path / "cases.jsonl").write_text(lines)
    ran = cli("eval", str(tmp_path / "cases.jsonl"), *WORDS)
    assert (ran.code, ran.out) == (1, "")
    assert told in ran.err and "Traceback" not in ran.err


def test_an_unknown_id_beside_known_ones_is_told_and_left_out(cli: Cli, sample: Path, tmp_path: Path) -> None:
    (tmp_path / "q.jsonl").write_text(asked(messages=["sample-5-1", "none"]))
    ran = cli("eval", str(tmp_path / "q.jsonl"), *WORDS)
    assert (ran.code, ran.json["all"]["recall@10"]) == (0, 1)
    assert "question q: the message none is not there." in ran.err


@pytest.mark.parametrize("words", [[], ["--smalltalk", str(QUESTIONS)], ["no-such-file"]])
def test_what_it_cannot_do_is_2(cli: Cli, words: list[str]) -> None:
    assert cli("eval", *words).code == 2


# ---------------------------------------------------------------------- the document


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", DOCUMENT, re.MULTILINE | re.DOTALL)


def test_the_example_of_the_document_is_a_case(assistant: Run, home: Path, tmp_path: Path) -> None:
    (example,) = blocks("jsonl")
    (tmp_path / "cases.jsonl").write_text(example)
    ran = assistant("eval", str(tmp_path / "cases.jsonl"), "--inject", "--json")
    assert ran.returncode == 0, ran.stderr
    found = json.loads(ran.stdout)["all"]
    assert (found["asked"], found["right"], found["nothing"], found["noise"]) == (1, 1, 1, 0)


def test_the_table_of_the_document_has_the_columns_of_the_program(cli: Cli, sample: Path) -> None:
    shown = [line.split() for block in blocks("console") for line in block.splitlines() if line.startswith(" ")]
    found = [cli("eval", str(QUESTIONS), "--mode", "words", *more).out for more in ((), ("--inject",))]
    assert shown == [out.splitlines()[0].split() for out in found]
