"""`assistant trace` and `assistant usage` as a user runs them."""

import io
import json
import shutil
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from assistant.cli import run
from assistant.cli.figures import cost, span, tokens
from memory.usage import Usage
from tests.commands import ROOT, Cli, command_line, rows  # noqa: F401  the fixture `cli`
from tests.scripted import Answer, Call, ScriptedServer, bad_key, rate_limited

SUM = Answer("Let me see.", calls=(Call("calculator", '{"expression": "6*7"}'), Call("calculator", "{broken")))
LONG = "One.\n\nTwo.\nThree.\nFour.\n" + "Five " * 60


@pytest.fixture(scope="session")
def traced_once(tmp_path_factory: pytest.TempPathFactory, token_cache: Path) -> Path:
    """A home with a chat of two turns, an answer without a price, and a refused one."""
    home = tmp_path_factory.mktemp("traced") / "home"
    with pytest.MonkeyPatch.context() as patch, ScriptedServer() as server:
        environment = {"ASSISTANT_HOME": str(home), "TIKTOKEN_CACHE_DIR": str(token_cache), "TZ": "UTC"}
        for name, value in {**environment, "OPENAI_BASE_URL": server.url, "OPENAI_API_KEY": "test"}.items():
            patch.setenv(name, value)
        patch.setattr(sys, "stdin", io.StringIO("How much is 6*7?\nTell me a story.\n"))
        server.enqueue(SUM, rate_limited(retry_after="0"), "It is 42.", LONG)
        server.default = "{}"  # no notes
        assert run(["chat", "--model", "gpt-4o-mini"], verbose=True) == 0
        for words, answer, code in ((["ask", "--model", "own", "Hello?"], "Hi.", 0), (["ask", "Hm?"], bad_key(), 76)):
            server.enqueue(answer)
            patch.setenv("ASSISTANT_MODEL", "gpt-4o-mini")
            patch.setattr(sys, "stdin", io.StringIO())
            assert run(words, verbose=False) == code
    return home


@pytest.fixture
def traced(traced_once: Path, home: Path, cli: Cli) -> Cli:
    """The command line on a copy of that home."""
    shutil.copytree(traced_once, home)
    return cli


def sessions(home: Path) -> list[str]:
    return [row[0] for row in rows(home, "SELECT id FROM sessions ORDER BY started_at")]


def test_a_session_is_a_tree_of_turns_steps_and_calls_in_80_columns(traced: Cli, home: Path) -> None:
    told = traced("trace", sessions(home)[0])
    assert told.code == 0 and told.err == ""
    lines = told.out.splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[0].startswith("Turn 1 of session ") and lines[1] == "You asked: How much is 6*7?"
    assert lines[2].startswith("2 steps, ") and "tokens, $" in lines[2]
    assert lines[3].startswith("step 1: gpt-4o-mini, ") and " bytes, " in lines[3]
    assert lines[4:6] == ["  said: Let me see.", '  calculator {"expression": "6*7"}']
    assert lines[6].startswith("    allowed") and lines[6].endswith(": 42") and ", ok, " in lines[6]
    assert "  calculator {broken" in lines and "retries 1, stop" in " ".join(told.out.split())
    assert "answer: It is 42." in lines
    second = lines[lines.index("answer: It is 42.") + 1 :]
    assert second[1].startswith("Turn 2 of session ")
    place = second.index("answer:")
    assert second[place + 1 : place + 5] == ["  One.", "  Two.", "  Three.", "  ... and 2 more lines"]
    assert any(line.startswith("The notes of session ") for line in second[place:])


def test_last_and_turn_choose(traced: Cli, home: Path) -> None:
    chat, own, refused = sessions(home)
    last = traced("trace", "--json")
    assert last.json["session_id"] == refused and traced("trace", "last", "--json").json == last.json
    assert last.json["state"] == "failed" and "KeyRefused" in last.json["steps"][0]["outcome"]["error"]
    assert traced("trace", chat, "--turn", "2", "--json").json["question"]["text"] == "Tell me a story."
    assert traced("trace", "last", "--turn", "1", "--json").json == last.json
    assert "unknown cost" in traced("trace", own).out
    assert "KeyRefused: " in traced("trace").out


def test_json_is_one_object_a_turn_with_all_words(traced: Cli, home: Path) -> None:
    told = traced("trace", sessions(home)[0], "--json")
    first, second, *notes = [json.loads(line) for line in told.out.splitlines()]
    assert (first["schema"], first["turn"], first["purpose"]) == ("assistant.trace/1", 1, "turn")
    (ran, broken) = first["steps"][0]["calls"]
    assert (ran["arguments"], ran["result"], ran["ok"]) == ('{"expression": "6*7"}', "42", True)
    assert broken["ok"] is False and first["steps"][1]["outcome"]["retries"] == 1
    assert second["answer"].strip() == LONG.strip()
    assert first["usage"]["calls"] == 2 and first["began_at"] < first["ended_at"]
    assert {(one["purpose"], one["turn"]) for one in notes} == {("notes", None)}


@pytest.mark.parametrize(
    ("words", "code"),
    [([], 3), (["nobody"], 3), (["last", "--turn", "1"], 3), (["--turn", "0"], 2), (["\udcff"], 3), (["a", "b"], 2)],
)
def test_where_there_is_nothing_to_trace_it_says_so(cli: Cli, words: list[str], code: int) -> None:
    ran = cli("trace", *words)
    assert (ran.code, ran.out) == (code, "") and ran.err.count("\n") == 1


def test_a_turn_too_many_and_an_imported_session_have_none(traced: Cli, home: Path) -> None:
    ran = traced("trace", sessions(home)[0], "--turn", "9")
    assert ran.code == 3 and "2 turns" in ran.err
    traced("remember", "My locker has number 4711.")
    assert traced("trace", sessions(home)[-1]).code == 3


def test_a_killed_step_and_an_open_call_say_so(traced: Cli, home: Path) -> None:
    with sqlite3.connect(home / "memory.db") as db:
        db.execute("UPDATE receipts SET ms = NULL WHERE seq = (SELECT max(seq) FROM receipts)")
        db.execute("DELETE FROM calls")
        db.execute("UPDATE messages SET tool_call_id = 'other' WHERE role = 'tool'")
    assert "no end was noted" in traced("trace").out and "No end was noted" in traced("trace").out
    assert traced("trace", "--json").json["steps"][0]["outcome"] is None
    assert "no result was noted" in traced("trace", sessions(home)[0]).out


def test_a_plan_is_shown_with_its_steps(traced: Cli, home: Path) -> None:
    steps = '[{"text": "Look it up", "state": "done", "result": "42"}, {"text": "Tell", "state": "open", "result": ""}]'
    with sqlite3.connect(home / "memory.db") as db:
        ((turn,),) = db.execute("SELECT max(turn) FROM receipts")
        session = sessions(home)[-1]
        db.execute(
            "INSERT INTO plans VALUES (?, ?, '2026-11-23T12:00:00+00:00', 'working', ?, 1)", [turn, session, steps]
        )
    lines = traced("trace").out.splitlines()
    place = lines.index("plan: working, made anew 1 time")
    assert lines[place + 1 : place + 3] == ["  [x] 1. Look it up -> 42", "  [ ] 2. Tell"]
    assert traced("trace", "--json").json["plan"]["steps"][1]["state"] == "open"


@pytest.mark.parametrize("by", ["day", "model", "session", "purpose"])
def test_usage_adds_up_whatever_it_is_summed_by(traced: Cli, home: Path, by: str) -> None:
    found = traced("usage", "--by", by, "--json").json
    assert (found["schema"], found["by"]) == ("assistant.usage/1", by)
    calls, prompt, cached, reply, ms = rows(
        home,
        "SELECT count(*), sum(prompt_tokens), sum(cached_tokens), sum(completion_tokens), sum(ms) FROM receipts",
    )[0]
    total = found["sum"]
    assert (total["calls"], total["prompt_tokens"], total["completion_tokens"]) == (calls, prompt, reply)
    assert (total["cached_tokens"], total["ms"], total["unpriced"]) == (cached, ms, 1)
    for name in ("calls", "prompt_tokens", "unpriced", "ms"):
        assert sum(row[name] for row in found["rows"]) == total[name]
    by_time = [row[0] for row in rows(home, "SELECT session_id FROM receipts GROUP BY 1 ORDER BY min(at)")]
    names = [row[by] for row in found["rows"]]
    assert names == (by_time if by == "session" else sorted(set(names)))
    lines = [line.split("\t") for line in traced("usage", "--by", by).out.splitlines()]
    assert lines[0][0] == by and lines[-1][0] == "sum" and len({len(line) for line in lines}) == 1
    assert "+ 1 of unknown cost" in lines[-1][-2]


def test_usage_by_day_is_local_and_bounded(cli: Cli, traced: Cli, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with sqlite3.connect(home / "memory.db") as db:
        db.execute("UPDATE receipts SET at = '2026-03-01T23:30:00+00:00'")
        db.execute("UPDATE receipts SET at = '2026-03-03T12:00:00.5+00:00' WHERE seq = 1")
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        assert [row["day"] for row in traced("usage", "--json").json["rows"]] == ["2026-03-02", "2026-03-03"]
        later = traced("usage", "--after", "2026-03-03", "--json").json
        assert [(row["day"], row["calls"]) for row in later["rows"]] == [("2026-03-03", 1)]
        assert traced("usage", "--before", "2026-03-02").code == 3
    finally:
        monkeypatch.delenv("TZ")
        time.tzset()


def test_usage_of_nothing_and_wrong_options_are_told(cli: Cli) -> None:
    assert cli("usage").code == 3
    assert cli("usage", "--by", "moon").code == 2
    assert cli("usage", "--after", "blorp").code == 2


@pytest.mark.usefixtures("traced")
@pytest.mark.parametrize("words", [["trace"], ["usage"]])
def test_neither_loads_the_model_the_index_or_telemetry(words: list[str]) -> None:
    heavy = {"openai", "chromadb_rust_bindings", "numpy", "onnxruntime", "tiktoken", "sqlite_utils", "opentelemetry"}
    code = (
        f"import sys; from assistant.cli import run; run({words!r}, verbose=True); "
        f"print(sorted({heavy!r} & set(sys.modules)))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert ran.stdout.splitlines()[-1] == "[]", ran.stderr


@pytest.mark.parametrize(
    ("spent", "told"),
    [
        (None, "unknown cost"),
        (0.0, "free"),
        (0.000061, "$0.000061"),
        (0.25, "$0.25"),
        (1234.5, "$1,234.50"),
        (Usage(1), "no cost"),
        (Usage(2, usd=0.0), "free"),
        (Usage(2, unpriced=2), "unknown cost"),
        (Usage(3, usd=0.5, unpriced=1), "$0.50 + 1 of unknown cost"),
        (Usage(3, usd=0.0, unpriced=1), "free + 1 of unknown cost"),
    ],
)
def test_costs_read_well(spent: Usage | float | None, told: str) -> None:
    assert cost(spent) == told


def test_times_and_tokens_read_well() -> None:
    assert [span(ms) for ms in (0, 999, 4_120, 200_000, 7_500_000)] == [
        "0 ms",
        "999 ms",
        "4.1 s",
        "3 min 20 s",
        "2 h 5 min",
    ]
    assert tokens(Usage(1, 1234, 512, 56)) == "1,234 (512 cached) + 56 tokens"
