"""The command line as a whole: dispatch, exit codes, streams, what an error looks like, what is imported."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from assistant.cli import COMMANDS, likely
from tests.commands import ROOT, Cli, command_line, imported_once, rows, sample_home  # noqa: F401  fixtures
from tests.conftest import Run
from tests.scripted import Answer, Call, ScriptedServer, bad_key, rate_limited, unused_url

ONE_LINE = "one line, which names the program and no place in its code"


def is_one_line(err: str) -> bool:
    return err.startswith("assistant: ") and err.count("\n") == 1 and "Traceback" not in err


# ------------------------------------------------------------------ dispatch


def test_ask_prints_the_answer_alone(assistant: Run, server: ScriptedServer) -> None:
    server.enqueue("It is **blue**.")
    ran = assistant("ask", "What", "colour?", server=server)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "It is **blue**.\n", "")
    assert server.bodies[0]["messages"][-1]["content"] == "What colour?"


def test_any_other_words_are_a_question_and_what_is_piped_in_belongs_to_it(
    assistant: Run, server: ScriptedServer
) -> None:
    server.enqueue("One.")
    ran = assistant("what does this say", stdin="a poem\n", server=server)
    assert (ran.returncode, ran.stdout) == (0, "One.\n")
    assert server.bodies[0]["messages"][-1]["content"] == "what does this say\n\na poem"


def test_alone_with_something_piped_in_it_is_ask(assistant: Run, server: ScriptedServer) -> None:
    server.enqueue("Two.")
    ran = assistant(stdin="how many?\nin all?", server=server)
    assert (ran.returncode, ran.stdout) == (0, "Two.\n")
    assert server.bodies[0]["messages"][-1]["content"] == "how many?\nin all?"


def test_a_slip_of_the_pen_is_a_usage_error_and_reaches_no_model(assistant: Run, server: ScriptedServer) -> None:
    ran = assistant("sesions", "list", server=server)
    assert ran.returncode == 2
    assert is_one_line(ran.stderr), ONE_LINE
    assert "'sessions'" in ran.stderr
    assert server.requests == []


@pytest.mark.parametrize(
    ("word", "command"),
    [
        ("chta", "chat"),
        ("caht", "chat"),
        ("recal", "recall"),
        ("Improt", "import"),
        ("Doctor", "doctor"),
    ],
)
def test_likely_slips_are_known(word: str, command: str) -> None:
    assert likely(word) == command


@pytest.mark.parametrize(
    "word", ["what", "What", "that", "call", "tell", "who", "please", "report", "how", "is", "-", ""]
)
def test_words_that_begin_a_question_are_no_slips(word: str) -> None:
    assert likely(word) is None


@pytest.mark.parametrize(
    "words",
    [
        ["ask"],
        ["remember"],
        ["recall"],
        ["recall", "  "],
        ["recall", "x", "--queries", "pyproject.toml"],
        ["recall", "x", "--limit", "0"],
        ["recall", "x", "--after", "someday"],
        ["recall", "x", "--mode", "smell"],
        ["sessions", "summarize"],
        ["import", "nowhere.jsonl"],
        ["export", "--format", "pdf"],
        ["config", "set", "model"],
        ["--no-such-option"],
        ["sessions", "lst"],
    ],
)
def test_a_usage_error_is_one_line_and_2(cli: Cli, words: list[str]) -> None:
    ran = cli(*words)
    assert (ran.code, ran.out) == (2, "")
    assert is_one_line(ran.err), ran.err


@pytest.mark.parametrize("name", [[], *([one] for one in COMMANDS)])
def test_every_command_has_its_help(cli: Cli, name: list[str]) -> None:
    ran = cli(*name, "--help")
    assert ran.code == 0
    assert ran.out.startswith(" ".join(["Usage: assistant", *name]))
    assert all(len(line) <= 80 for line in ran.out.splitlines())


def test_the_list_of_commands_says_what_each_says_of_itself(cli: Cli) -> None:
    listed = cli("--help").out
    assert all(f"  {name} " in listed for name in COMMANDS)


def test_the_version_is_told_also_where_the_program_was_never_installed(cli: Cli) -> None:
    ran = cli("--version")
    assert ran.code == 0
    assert ran.out.startswith("assistant")


# ------------------------------------------------------------------ exit codes


@pytest.mark.parametrize(
    ("refusal", "code"), [(rate_limited(retry_after="900"), 75), (bad_key(), 76)], ids=["rate limit", "key"]
)
def test_what_an_endpoint_refuses_has_its_exit_code(
    assistant: Run, server: ScriptedServer, refusal: object, code: int
) -> None:
    server.default = refusal  # type: ignore[assignment]
    ran = assistant("ask", "hi", server=server)
    assert (ran.returncode, ran.stdout) == (code, "")
    assert is_one_line(ran.stderr), ran.stderr


def test_no_endpoint_is_77_and_the_question_is_kept(assistant: Run, home: Path) -> None:
    ran = assistant("ask", "hi", env={"OPENAI_BASE_URL": unused_url(), "OPENAI_API_KEY": "x", "ASSISTANT_MODEL": "m"})
    assert (ran.returncode, ran.stdout) == (77, "")
    assert is_one_line(ran.stderr), ran.stderr
    assert rows(home, "SELECT content, state FROM messages JOIN sessions ON sessions.id = session_id") == [
        ("hi", "ended")
    ]


def test_a_model_that_is_not_there_is_77_and_says_how_to_get_it(assistant: Run) -> None:
    ran = assistant("ask", "--model", "qwen3-4b", "hi")
    assert ran.returncode == 77
    assert "assistant models pull qwen3-4b" in ran.stderr
    assert is_one_line(ran.stderr), ran.stderr


def test_the_limit_of_steps_is_5_and_the_best_answer_is_printed(assistant: Run, server: ScriptedServer) -> None:
    server.enqueue(Answer(calls=(Call("current_time", "{}"),)), "About noon.")
    ran = assistant("config", "set", "max_steps", "1")
    assert ran.returncode == 0
    ran = assistant("ask", "What time is it?", server=server)
    assert ran.returncode == 5
    assert ran.stdout.startswith("About noon.")
    assert is_one_line(ran.stderr), ran.stderr


def test_ctrl_c_while_an_answer_comes_is_130_and_what_was_said_is_kept(server: ScriptedServer, home: Path) -> None:
    server.enqueue(Answer("One moment, and then " + "more " * 400, pause_s=0.05))
    with started("ask", "Go on.", server=server) as process:
        assert process.stdout is not None
        assert process.stdout.read(3) == "One"
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=20)
    assert process.returncode == 130
    assert "Traceback" not in err
    (state,), (said,) = rows(home, "SELECT state FROM sessions"), rows(home, "SELECT content FROM messages")[1:]
    assert state == ("ended",)
    assert said[0].startswith("One")
    assert said[0].endswith("[interrupted]")


def started(*words: str, server: ScriptedServer) -> "subprocess.Popen[str]":
    """The command line in a process that goes on while the test does, with nothing on its standard input."""
    endpoint = {"OPENAI_BASE_URL": server.url, "OPENAI_API_KEY": "test", "ASSISTANT_MODEL": "scripted"}
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-m", "assistant", *words],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONUTF8": "1", **endpoint},
    )


# ------------------------------------------------------------------ errors and streams


def test_a_broken_config_is_one_line_and_can_be_found(cli: Cli, home: Path) -> None:
    home.mkdir()
    (home / "config.toml").write_text("model = [")
    for words in (["sessions"], ["ask", "hi"], ["config"], ["config", "set", "model", "x"], ["doctor"]):
        ran = cli(*words)
        assert (ran.code, ran.out) == (1, "")
        assert is_one_line(ran.err), ran.err
        assert "config.toml" in ran.err
    assert cli("config", "path").out == f"{home / 'config.toml'}\n"


@pytest.mark.parametrize("words", [["sessions"], ["remember", "x"], ["recall", "x"], ["config", "set", "model", "x"]])
def test_a_home_that_cannot_be_is_one_line(
    cli: Cli, words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("ASSISTANT_HOME", str(tmp_path / "file" / "home"))
    ran = cli(*words)
    assert (ran.code, ran.out) == (1, "")
    assert is_one_line(ran.err), ran.err


def test_verbose_shows_where_an_error_comes_from_and_keeps_the_exit_code(assistant: Run) -> None:
    ran = assistant("-v", "sessions", "show", "none")
    assert ran.returncode == 3
    assert "Traceback" in ran.stderr
    assert "NothingFound" in ran.stderr


def test_what_nobody_foresaw_is_one_line(cli: Cli, home: Path) -> None:
    (home / "memory.db").mkdir(parents=True)
    ran = cli("sessions")
    assert (ran.code, ran.out) == (1, "")
    assert is_one_line(ran.err), ran.err


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the device of a full disk is Linux's")
@pytest.mark.parametrize("words", [["export"], ["sessions"], ["--help"], ["recall", "Porto", "--mode", "words"]])
def test_a_full_disk_under_the_output_is_one_line(sample: Path, words: list[str]) -> None:
    with Path("/dev/full").open("w") as full:
        ran = subprocess.run(
            [sys.executable, "-m", "assistant", *words], stdout=full, stderr=subprocess.PIPE, text=True, cwd=ROOT
        )
    assert ran.returncode == 1
    assert ran.stderr == "assistant: Cannot write: No space left on device.\n"


def test_a_reader_that_left_ends_an_export_in_silence(sample: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    ran = subprocess.run(
        [sys.executable, "-m", "assistant", "export"], stdout=writing, stderr=subprocess.PIPE, text=True, cwd=ROOT
    )
    os.close(writing)
    assert (ran.returncode, ran.stderr) == (141, "")


def test_steering_characters_in_what_is_stored_reach_no_line_for_people(cli: Cli) -> None:
    odd = "\x1b[31mred\x1b]0;title\x07 \u202eback\u202c \x9b2J naïve 🦊 \x00"
    assert cli("remember", odd).code == 0
    for words in (["recall", "naïve", "--mode", "words"], ["sessions"], ["sessions", "show"]):
        shown = cli(*words).out
        assert "red" in shown
        if words != ["sessions", "show"]:  # a document that goes elsewhere keeps what it can carry
            assert not {"\x1b", "\x9b", "\x07", "\u202e"} & set(shown), words


# ------------------------------------------------------------------ what is imported


def imported_by(*words: str) -> set[str]:
    """The top names of what a command imports."""
    ran = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "assistant", *words], capture_output=True, text=True, cwd=ROOT
    )
    assert ran.returncode == 0, ran.stderr[-500:]
    return {line.rpartition("|")[2].strip().partition(".")[0] for line in ran.stderr.splitlines()}


@pytest.mark.parametrize(
    "words",
    [["--help"], ["sessions", "list"], ["export"], ["recall", "Porto", "--mode", "words"], ["config"], ["models"]],
)
def test_quick_commands_import_nothing_heavy(sample: Path, words: list[str]) -> None:
    imported = imported_by(*words)
    assert "click" in imported
    assert not imported & {"openai", "chromadb", "chromadb_rust_bindings", "numpy", "onnxruntime", "tokenizers"}
    assert not imported & {"prompt_toolkit", "rich", "sqlite_utils", "tiktoken", "filelock"}


def test_a_search_for_words_imports_little_of_the_standard_library(sample: Path) -> None:
    """Each of these costs as much as a tenth of a bare interpreter, or more, and is needed in rare cases only."""
    imported = imported_by("recall", "Porto", "--mode", "words")
    assert not imported & {"logging", "difflib", "tomllib", "tempfile", "secrets", "hashlib", "gzip", "asyncio"}


def test_a_recall_by_vectors_does_without_the_client_of_chroma(assistant: Run, sample: Path) -> None:
    """To import chromadb takes half the CPU of a recall."""
    assert assistant("remember", "The boat is called Marina.").returncode == 0
    imported = imported_by("recall", "Porto")
    assert {"onnxruntime", "chromadb_rust_bindings"} <= imported
    assert not imported & {"chromadb", "openai", "tiktoken"}
