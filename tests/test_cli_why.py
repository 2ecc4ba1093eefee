"""`assistant why` as its owner uses it: after real questions to a scripted endpoint."""

import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from assistant.cli import run
from tests.commands import ROOT, Cli, command_line, imported_once, rows, sample_home  # noqa: F401  fixtures
from tests.conftest import Run
from tests.scripted import Answer, Call, ScriptedServer, refusal

SECRET = "My locker at the pool opens with the number 4711."


@pytest.fixture(scope="module")
def asked_once(tmp_path_factory: pytest.TempPathFactory, token_cache: Path) -> tuple[Path, list[bytes]]:
    """A home with three answers, and the requests that were sent for them.

    The second answer drew on what was remembered, the third used a tool.
    """
    home = tmp_path_factory.mktemp("asked") / "home"
    with pytest.MonkeyPatch.context() as patch, ScriptedServer() as server:
        environment = {"ASSISTANT_HOME": str(home), "TIKTOKEN_CACHE_DIR": str(token_cache), **endpoint(server)}
        for name, value in environment.items():
            patch.setenv(name, value)
        patch.setattr(sys, "stdin", io.StringIO())
        server.enqueue(
            "Hello to you.", "It is 4711.", Answer(calls=(Call("calculator", '{"expression": "6*7"}'),)), "42."
        )
        questions = ("Hello there!", "What number opens my locker at the pool?", "How much is 6*7?")
        for words in (["remember", SECRET], *(["ask", question] for question in questions)):
            assert run(words, verbose=True) == 0
        return home, sent(server)


@pytest.fixture
def requests(asked_once: tuple[Path, list[bytes]]) -> list[bytes]:
    return asked_once[1]


@pytest.fixture
def asked(asked_once: tuple[Path, list[bytes]], home: Path, cli: Cli) -> Cli:
    """The command line on a copy of that home."""
    shutil.copytree(asked_once[0], home)
    return cli


def endpoint(server: ScriptedServer) -> dict[str, str]:
    """The settings that lead to the scripted server."""
    return {"OPENAI_BASE_URL": server.url, "OPENAI_API_KEY": "test", "ASSISTANT_MODEL": "scripted"}


def sent(server: ScriptedServer) -> list[bytes]:
    """The bytes of the chat requests as they came."""
    return [seen.raw for seen in server.requests if seen.path.endswith("/chat/completions")]


def test_it_tells_what_went_into_the_prompt_with_score_tokens_and_source(asked: Cli) -> None:
    told = asked("why", "2")
    assert told.code == 0
    lines = told.out.splitlines()
    assert lines[0] == "You asked: What number opens my locker at the pool?"
    assert lines[1] == "It said: It is 4711."
    (place,) = [number for number, line in enumerate(lines) if line.startswith("Went into the prompt: ")]
    assert lines[place + 1].split() == ["hit", "unit", "score", "tokens", "kind", "day", "text"]
    rank, unit, score, tokens, kind, _day, *words = lines[place + 2].split()
    assert (rank, unit[0], kind) == ("1", kind[0], kind) and float(score) > 0 and int(tokens) > 10
    assert " ".join(words).startswith("My locker at")
    assert "session " in lines[place + 3] and ", message " in lines[place + 3]
    assert lines[place + 4].strip().startswith("= ")
    assert "The gate is open" in told.out
    assert lines[-1].split()[-1] == "stop"
    assert max(map(len, lines)) <= 80


def test_last_a_number_a_message_and_a_session_name_an_answer(asked: Cli) -> None:
    newest = asked("why", "--json").json
    assert newest["question"]["text"] == "How much is 6*7?" and newest["answer"]["text"] == "42."
    assert [call["step"] for call in newest["calls"]] == [1, 2]
    assert asked("why", "last", "--json").json == asked("why", "1", "--json").json == newest
    assert asked("why", "3", "--json").json["question"]["text"] == "Hello there!"
    second = asked("why", "2", "--json").json
    for name in (
        second["question"]["message_id"],
        second["answer"]["message_id"],
        second["session_id"],
        second["session_id"][:-1],
    ):
        assert asked("why", name, "--json").json == second


def test_json_has_what_recall_says_of_each_hit(asked: Cli) -> None:
    told = asked("why", "2", "--json").json
    assert told["schema"] == "assistant.why/1"
    shown = told["shown"][0]
    assert shown["text"] == SECRET and shown["tokens"] > 10 and shown["message_ids"]
    assert {"arms", "parts", "gate", "budget"} <= set(shown["why"])
    recalled = asked("recall", "What number opens my locker at the pool?", "--inject", "--json").json["hits"]
    assert set(recalled[0]) <= set(shown) and recalled[0]["session_id"] == shown["session_id"]
    assert told["gate"]["open"] is True
    assert told["calls"][0]["outcome"]["finish"] == "stop"
    assert all(one["reason"] and one["text"] for one in told["cut"])


@pytest.mark.parametrize(("words", "place"), [([], 3), (["1", "--step", "1"], 2), (["2"], 1), (["3"], 0)])
def test_the_prompt_is_printed_byte_for_byte(asked: Cli, requests: list[bytes], words: list[str], place: int) -> None:
    printed = asked("why", *words, "--prompt")
    assert (printed.code, printed.err) == (0, "")
    assert printed.out.encode() == requests[place]


def test_what_was_forgotten_since_is_said_and_does_not_fail(asked: Cli, home: Path) -> None:
    (session,) = {row[0] for row in rows(home, "SELECT session_id FROM messages WHERE content = ?", SECRET)}
    assert asked("forget", "--session", session, "--yes").code == 0
    told = asked("why", "2")
    assert told.code == 0 and "[forgotten since]" in told.out
    printed = asked("why", "2", "--prompt")
    assert printed.code == 1
    assert "4711. (" not in printed.out and "[forgotten since]" in printed.out
    assert printed.err.startswith("Not the very request: forgotten since")
    assert asked("why", "1", "--prompt").code == 0
    assert asked("why", "2", "--json").json["shown"][0]["text"] is None
    assert "All is sound." in asked("doctor").out


@pytest.mark.parametrize(
    "words", [[], ["last"], ["1"], ["0"], ["99"], ["nobody"], ["\udcff"], ["--prompt"], ["--json"]]
)
def test_where_there_is_no_such_answer_it_says_so_and_leaves_with_3(cli: Cli, words: list[str]) -> None:
    cli("remember", SECRET)
    ran = cli("why", *words)
    assert (ran.code, ran.out) == (3, "")
    assert ran.err.startswith("assistant: There is no ") and ran.err.count("\n") == 1


def test_a_session_without_an_answer_has_none(cli: Cli, home: Path) -> None:
    cli("remember", SECRET)
    ((session,),) = rows(home, "SELECT id FROM sessions")
    ran = cli("why", session)
    assert ran.code == 3 and "no such answer with a receipt" in ran.err


def test_a_message_that_was_imported_has_none(cli: Cli, sample: Path) -> None:
    ran = cli("why", "sample-1-3")
    assert (ran.code, ran.out) == (3, "")
    assert "It was imported" in ran.err and "no session" not in ran.err


def test_wrong_options_are_told(asked: Cli) -> None:
    assert asked("why", "--step", "1").code == 2
    assert asked("why", "--prompt", "--json").code == 2
    question = asked("why", "is", "the", "sky", "blue?")
    assert question.code == 2 and "assistant ask why is ..." in question.err
    assert asked("why", "--prompt", "--step", "7").code == 3


def test_a_question_that_failed_is_told_with_its_error(assistant: Run, cli: Cli, server: ScriptedServer) -> None:
    server.enqueue(refusal(500, "Out of order.", x_should_retry="false"))
    assert assistant("ask", "Are you there?", server=server).returncode == 1
    told = cli("why")
    assert told.code == 0
    assert "It said nothing." in told.out and "ModelError" in told.out
    assert cli("why", "--json").json["answer"] is None


def test_a_call_whose_process_was_killed_has_its_receipt(home: Path, cli: Cli, server: ScriptedServer) -> None:
    gate, asked = threading.Event(), threading.Event()

    def wait(_body: Any) -> Answer:
        asked.set()
        return Answer("Never to be heard.", gate=gate)

    server.enqueue(wait)
    env = os.environ | endpoint(server) | {"ASSISTANT_HOME": str(home)}
    process = subprocess.Popen([sys.executable, "-m", "assistant", "ask", "Are you there?"], cwd=ROOT, env=env)
    try:
        assert asked.wait(60)
    finally:
        process.kill()
        process.wait()
        gate.set()
    told = cli("why")
    assert told.code == 0 and "You asked: Are you there?" in told.out
    assert "no end was noted" in told.out
    call = cli("why", "--json").json["calls"][0]
    assert call["outcome"] is None
    assert call["sha256"] == hashlib.sha256(sent(server)[0]).hexdigest()
    assert cli("why", "--prompt").out.encode() == sent(server)[0]


@pytest.mark.usefixtures("asked")
def test_why_loads_neither_the_model_nor_the_index() -> None:
    code = (
        "import sys; from assistant.cli import run; run(['why', '2'], verbose=True); "
        "print(sorted({'openai', 'chromadb', 'numpy', 'onnxruntime', 'tiktoken', 'sqlite_utils'} & set(sys.modules)))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, env=os.environ)
    assert ran.stdout.splitlines()[-1] == "[]", ran.stderr


def test_a_long_conversation_tells_what_left_the_window(assistant: Run, cli: Cli, server: ScriptedServer) -> None:
    server.default = Answer("word " * 150, usage=None)
    said = "\n".join(f"{number}: " + "text " * 60 for number in range(12))
    ran = assistant("chat", stdin=said + "\n", server=server, env={"ASSISTANT_CONTEXT_TOKENS": "2000"})
    assert ran.returncode == 0, ran.stderr
    part = cli("why", "--json").json["conversation"]
    shown = json.loads(next(raw for raw in sent(server) if b'"11: ' in raw))["messages"]
    assert part["shown"] == sum(one["role"] != "system" for one in shown)
    assert part["left_out"] == 23 - part["shown"] > 0
    assert f"{part['left_out']} older messages left out" in cli("why").out
