"""`assistant chat` with something piped in: lines, commands, signals, notes, and what earlier sessions owe."""

import os
import pty
import re
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.commands import ROOT, rows
from tests.conftest import Run
from tests.scripted import Answer, ScriptedServer

SAID = "My sister Marta lives in Porto."


def states(home: Path) -> list[str]:
    return [row[0] for row in rows(home, "SELECT state FROM sessions ORDER BY started_at, id")]


def asked_for_notes(server: ScriptedServer) -> list[Any]:
    return [body for body in server.bodies if "notes" in body["messages"][0]["content"][:400].lower()]


@contextmanager
def chatting(server: ScriptedServer, *words: str) -> Iterator["subprocess.Popen[str]"]:
    """A chat in a process of its own whose input stays open; it is killed at the end if it still lives."""
    endpoint = {"OPENAI_BASE_URL": server.url, "OPENAI_API_KEY": "test", "ASSISTANT_MODEL": "scripted"}
    process = subprocess.Popen(
        [sys.executable, "-m", "assistant", "chat", *words],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        bufsize=1,
        cwd=ROOT,
        env={**os.environ, "PYTHONUTF8": "1", **endpoint},
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate(timeout=20)


def say(process: "subprocess.Popen[str]", text: str) -> None:
    assert process.stdin is not None
    process.stdin.write(text + "\n")
    process.stdin.flush()


def heard(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    return process.stdout.readline()


def eventually(holds: Callable[[], bool], within_s: float = 20) -> None:
    until = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < until, "it never came to hold"
        time.sleep(0.05)


# ------------------------------------------------------------------ lines and commands


def test_a_line_is_a_message_and_the_end_of_input_ends_the_session(
    assistant: Run, server: ScriptedServer, home: Path
) -> None:
    server.enqueue("Nice city.", "Yes, really.")
    server.default = "no notes"
    ran = assistant("chat", stdin=f"{SAID}\n\nDoes she?\n", server=server)
    assert (ran.returncode, ran.stdout) == (0, "Nice city.\nYes, really.\n")
    assert "Noted: " in ran.stderr
    assert rows(home, "SELECT role, content FROM messages ORDER BY seq") == [
        ("user", SAID),
        ("assistant", "Nice city."),
        ("user", "Does she?"),
        ("assistant", "Yes, really."),
    ]
    assert states(home) == ["indexed"]
    assert rows(home, "SELECT count(*) FROM summaries") == [(1,)]


def test_the_commands_of_a_chat(assistant: Run, server: ScriptedServer, home: Path) -> None:
    server.enqueue("First.")
    server.default = "no notes"
    lines = ["/help", "/nonsense", "/recall", "/remember", "/remember The lock is 4711", "/recall lock", SAID]
    ran = assistant("chat", stdin="\n".join([*lines, "/new", "/recall 4711", "/quit", "never sent"]), server=server)
    assert ran.returncode == 0, ran.stderr
    for told in (
        "Enter sends",
        "There is no /nonsense",
        "/recall WORDS",
        "/remember TEXT",
        "Remembered, as session",
        "A new conversation.",
    ):
        assert told in ran.stderr
    assert ran.stdout.count("The lock is 4711") >= 2
    said = [row[0] for row in rows(home, "SELECT content FROM messages ORDER BY seq")]
    assert said == ["The lock is 4711", SAID, "First."]


def test_a_path_is_no_command(assistant: Run, server: ScriptedServer, home: Path) -> None:
    server.enqueue("A file.")
    server.default = "no notes"
    assert assistant("chat", stdin="/etc/hosts is what?\n", server=server).stdout == "A file.\n"


def test_nothing_said_leaves_no_session(assistant: Run, server: ScriptedServer, home: Path) -> None:
    ran = assistant("chat", stdin="\n\n/quit\n", server=server)
    assert (ran.returncode, ran.stdout) == (0, "")
    assert states(home) == []
    assert server.requests == []


def test_a_model_that_fails_ends_a_piped_chat_with_its_code_and_the_notes_are_owed(
    assistant: Run, server: ScriptedServer, home: Path
) -> None:
    server.enqueue("First.")  # then the script has run out: 500
    ran = assistant("chat", stdin="one\ntwo\nthree\n", server=server)
    assert ran.returncode == 1
    assert ran.stdout == "First.\n"
    assert ran.stderr.splitlines()[-1].startswith("assistant: ")
    assert states(home) == ["ended"]
    assert [row[0] for row in rows(home, "SELECT content FROM messages WHERE role = 'user'")] == ["one", "two"]


# ------------------------------------------------------------------ signals


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_while_waiting_ends_the_session_and_leaves_at_once(
    server: ScriptedServer, home: Path, number: signal.Signals
) -> None:
    server.enqueue("Nice city.")
    with chatting(server) as process:
        say(process, SAID)
        assert heard(process) == "Nice city.\n"
        began = time.monotonic()
        process.send_signal(number)
        assert process.wait(timeout=20) == 128 + number
        assert time.monotonic() - began < 5
        assert process.stderr is not None
        assert "Traceback" not in process.stderr.read()
    assert states(home) == ["ended"]
    assert rows(home, "SELECT count(*) FROM summaries") == [(0,)]
    assert len(server.bodies) == 1  # nobody was asked for notes


def test_a_signal_in_the_middle_of_an_answer_keeps_what_came(server: ScriptedServer, home: Path) -> None:
    gate = threading.Event()
    server.enqueue(Answer("The first line.\nAnd the second", gate=gate))
    with chatting(server) as process:
        say(process, SAID)
        assert heard(process) == "The first line.\n"
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=20) == 128 + signal.SIGTERM
    gate.set()
    assert states(home) == ["ended"]
    (said,) = rows(home, "SELECT content FROM messages WHERE role = 'assistant'")[0]
    assert said.startswith("The first line.")
    assert said.endswith("[interrupted]")


def test_ctrl_c_while_the_notes_are_written_leaves_them_owed(server: ScriptedServer, home: Path) -> None:
    gate = threading.Event()
    server.enqueue("Nice city.", Answer("{", gate=gate))
    with chatting(server) as process:
        say(process, SAID)
        assert heard(process) == "Nice city.\n"
        assert process.stdin is not None
        process.stdin.close()
        eventually(lambda: len(server.bodies) == 2)
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=20) == 0
        assert process.stderr is not None
        assert "at the next start" in process.stderr.read()
        process.stdin = None
    gate.set()
    assert states(home) == ["ended"]
    assert rows(home, "SELECT count(*) FROM summaries") == [(0,)]
    assert rows(home, "SELECT count(*) FROM messages") == [(2,)]


# ------------------------------------------------------------------ what is owed


def test_a_killed_chat_is_ended_and_noted_by_the_next_one_in_the_background(
    server: ScriptedServer, home: Path, assistant: Run
) -> None:
    server.enqueue("Nice city.")
    with chatting(server) as process:
        say(process, SAID)
        assert heard(process) == "Nice city.\n"
        process.kill()
    assert states(home) == ["open"]
    for words in (["recall", "Marta", "--mode", "words"], ["doctor"], ["sessions"], ["export"]):
        assistant(*words, server=server)
    assert states(home) == ["open"]  # no other command does what is owed
    assert len(server.bodies) == 1
    server.default = "no notes"
    with chatting(server) as process:
        eventually(lambda: states(home) == ["indexed"])  # while the chat waits for its first line
        assert process.poll() is None
    assert rows(home, "SELECT count(*) FROM summaries") == [(1,)]


def test_two_chats_in_one_home_do_not_disturb_each_other(server: ScriptedServer, home: Path) -> None:
    server.default = lambda body: f"You said: {body['messages'][-1]['content']}"
    with chatting(server) as one, chatting(server) as other:
        for process, text in ((one, "I am one."), (other, "I am the other."), (one, "One again.")):
            say(process, text)
            assert heard(process) == f"You said: {text}\n"
        assert states(home) == ["open", "open"]
        for process in (one, other):
            assert process.stdin is not None
            process.stdin.close()
            process.stdin = None
            assert process.wait(timeout=30) == 0
    assert set(states(home)) <= {"indexed", "ended", "summarised"}
    assert "open" not in states(home)
    assert len(rows(home, "SELECT DISTINCT session_id FROM messages")) == 2


def test_a_session_that_goes_on_elsewhere_is_not_removed(server: ScriptedServer, home: Path, assistant: Run) -> None:
    server.default = "Yes."
    with chatting(server) as process:
        say(process, SAID)
        heard(process)
        ran = assistant("forget", "--session", "last", "--yes")
        assert (ran.returncode, ran.stdout) == (4, "")
        assert "still going on" in ran.stderr
    assert len(states(home)) == 1
    assert assistant("forget", "--session", "last", "--yes").returncode == 0  # its process is gone


# ------------------------------------------------------------------ at a terminal


@pytest.mark.parametrize("model", [{}, {"OPENAI_BASE_URL": "http://127.0.0.1:9/v1", "ASSISTANT_MODEL": "m"}])
def test_the_first_lines_fit_a_terminal_and_no_colour_means_none(home: Path, model: dict[str, str]) -> None:
    shown = at_a_terminal(["chat"], {"NO_COLOR": "1", "TERM": "dumb", "ASSISTANT_HOME": str(home), **model})
    introduction = shown.split("\x1b")[0].splitlines()
    assert "answers" in introduction[0]
    assert f"remembered, in {home} alone." in " ".join(introduction[1:-1])
    assert introduction[-1] == "/help lists commands, Ctrl-D ends."
    assert all(len(line) <= 80 for line in introduction if str(home) not in line)
    assert not re.search(r"\x1b\[[0-9;]*[1-9][0-9;]*m", shown)  # neither colours nor bold


def at_a_terminal(words: list[str], environment: dict[str, str]) -> str:
    """What a terminal of 80 columns is sent until the first prompt."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(ROOT)
        os.environ.update(environment)
        os.execv(sys.executable, [sys.executable, "-m", "assistant", *words])
    shown = b""
    try:
        while b"you>" not in shown and select.select([terminal], [], [], 20)[0]:
            shown += os.read(terminal, 4096)
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(terminal)
    return shown.decode(errors="replace").replace("\r\n", "\n")


def test_the_window_of_a_model_that_nobody_knows_is_stated(assistant: Run, server: ScriptedServer) -> None:
    server.default = "Hi."
    stated = "its window is taken for 8,192 tokens, counted as o200k_base"
    assert stated in assistant("chat", stdin="Hello.\n", server=server).stderr
    known = assistant("chat", stdin="Hello.\n", server=server, env={"ASSISTANT_CONTEXT_TOKENS": "4000"})
    assert stated not in known.stderr
