"""The question at the terminal: what is shown, what counts as an answer, and that it cannot be forged or overlooked."""

import contextlib
import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assistant.approval import Answer
from assistant.cli.consent import GUTTER, asker, read_answer, shown_lines
from assistant.cli.screen import GREEN, RED
from assistant.cli.terminal import Output
from tests.scripted import Answer as Scripted
from tests.scripted import Call, ScriptedServer
from tests.test_terminal import Chat, terminal_of

ASK = """
import fcntl, os, sys, termios, time
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
from assistant.approval import Question
from assistant.cli.consent import asker
from assistant.cli.terminal import Output
output = Output()
ask = asker(output, False)
print("<ready>", flush=True)
with output.answer() as answer:
    for lasting in (True, False, False):
        answer.write("Before the question, *half a senten")
        time.sleep(0.3)
        try:
            shown = "--- /dev/null\\n+++ /tmp/x\\n+Milk.\\n"
            said = ask(Question("write_file", ("writes",), shown, "writes=ask", lasting))
        except KeyboardInterrupt:
            said = "stopped"
        answer.write(f"ce*.\\n\\n[[{said}]] echo {bool(termios.tcgetattr(0)[3] & termios.ECHO)}\\n\\n")
print("<end>")
"""


@pytest.mark.parametrize(
    ("typed", "lasting", "answer"),
    [
        ("y\n", False, Answer(True)),
        (" YES. \n", True, Answer(True)),
        ("a\n", True, Answer(True, always=True)),
        ("a\n", False, None),
        ("n\n", True, Answer(False)),
        ("no, too long\n", True, Answer(False, reason="too long")),
        ("n use y.txt", False, Answer(False, reason="use y.txt")),
        ("y but shorter\n", True, None),
        ("\n", True, None),
        ("why?\n", True, None),
    ],
)
def test_what_counts_as_an_answer(typed: str, lasting: bool, answer: Answer | None) -> None:
    assert read_answer(typed, lasting) == answer


@given(st.text())
def test_nothing_but_a_clear_yes_is_one(typed: str) -> None:
    answer = read_answer(typed, False)
    assert not (answer and answer.allowed) or typed.strip().lower().rstrip(",.:") in ("y", "yes")


@given(st.text(), st.integers(30, 80))
def test_all_that_would_run_is_shown_behind_a_gutter(text: str, width: int) -> None:
    with terminal_of(width, 50) as tty:
        at_terminal = shown_lines(text, tty.stream)
    piped = shown_lines(text, io.StringIO())
    assert all(line.startswith(GUTTER) for line in piped)
    whole = "\n".join(line.removeprefix(GUTTER) for line in piped)
    assert whole.replace("\n", "").isprintable() or "\t" in whole
    shown = "".join(line[len(GUTTER) :] for line in at_terminal).replace("\x1b[2m", "").replace("\x1b[0m", "")
    for code in (GREEN, RED):
        shown = shown.replace(code, "")
    assert "".join(shown.split()) == "".join(whole.split())
    assert all("│" in line[:4] or "┊" in line[:4] for line in at_terminal)


def test_a_long_line_cannot_pass_for_the_question() -> None:
    forged = "x" * 36 + "write_file? [y]es, [n]o (and why):"
    with terminal_of(40, 20) as tty:
        lines = shown_lines(forged, tty.stream)
    assert len(lines) > 1 and all(len(line) < 40 for line in lines)
    assert not any(line.startswith("write_file") for line in lines)


def test_a_diff_has_colours_at_a_terminal_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    diff = "--- a\n+++ b\n@@ -1 +1 @@\n-old\n+new\n"
    with terminal_of(40, 20) as tty:
        assert GUTTER + GREEN + "+new\x1b[0m" in shown_lines(diff, tty.stream)
        assert GUTTER + "+new" in shown_lines("+new\n-old", tty.stream), "no diff"
        monkeypatch.setenv("NO_COLOR", "1")
        assert GUTTER + "+new" in shown_lines(diff, tty.stream)
    assert GUTTER + "-old" in shown_lines(diff, io.StringIO())


def test_nobody_is_asked_where_nobody_is_or_where_it_is_to_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))
    assert asker(Output(), False) is None
    with terminal_of(40, 20, stdin=True, stderr=True):
        assert asker(Output(), True) is None
        assert asker(Output(), False) is not None


def test_the_question_while_an_answer_is_drawn(tmp_path: Path) -> None:
    with contextlib.closing(Chat(tmp_path / "history", ASK, "<ready>")) as person:
        person.type("y\n")  # before anything is asked: it answers nothing
        seen = person.wait_for("[a]lways in this session:")
        assert "Before the question, half a senten" in seen.replace("\x1b[3m", "").replace("\x1b[0m", "").replace(
            "*", ""
        )
        for part in ("write_file (writes).", "You are asked because: writes=ask", "+Milk.", "write_file? [y]es"):
            assert part in seen
        assert "[[" not in seen
        person.type("what?\n")
        assert "what?" in person.wait_for("[a]lways in this session:"), "typed keys are shown"
        person.type("n too long\n")
        assert "reason='too long')]] echo False" in person.wait_for("echo False"), "and hidden again while it is drawn"
        assert "always" not in person.wait_for("(and why):")
        person.type("\x03")
        assert "^C\r\n" in person.wait_for("[[stopped]]"), "what follows begins a line of its own"
        person.wait_for("(and why):")
        person.type("ye\x04\x04")
        assert "ye\r\n" in person.wait_for("(and why):")
        person.type("\x04")
        person.wait_for("allowed=False")


CHAT = """
import fcntl, os, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
from assistant.cli import run
code = run(["chat"], verbose=False)
print(f"<{code}><end>")
"""


def test_a_chat_asks_runs_what_was_shown_and_keeps_a_yes_for_the_session(
    tmp_path: Path, home: Path, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    home.mkdir()
    (home / "config.toml").write_text(f'folders = ["{folder}"]\nembedding = "endpoint:words"\n')
    for name, value in (("OPENAI_BASE_URL", server.url), ("OPENAI_API_KEY", "test"), ("ASSISTANT_MODEL", "gpt-4o")):
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("PYTHONUTF8", "1")
    calls = [Call("write_file", f'{{"path": "{name}.txt", "content": "Milk."}}') for name in "abc"]
    server.enqueue(Scripted("I write.", calls=(calls[0],)), "Not written.")
    server.enqueue(Scripted(calls=(calls[1],)), "One.", Scripted(calls=(calls[2],)), "Two.")
    server.default = "no notes"
    with contextlib.closing(Chat(home / "x", CHAT, "you>")) as person:
        person.type("one\r")
        seen = person.wait_for("in this session:")
        assert (
            seen.index("I write.") < seen.index("The model wants to call write_file (writes).") < seen.index("+Milk.")
        )
        person.type("n not yet\n")
        person.wait_for("Not written.")
        person.wait_for("you>")
        person.type("two\r")
        person.wait_for("in this session:")
        person.type("a\n")
        person.wait_for("One.")
        person.wait_for("you>")
        person.type("three\r")
        assert "wants to call" not in person.wait_for("Two.")
        person.wait_for("you>")
    assert {path.name for path in folder.iterdir()} == {"b.txt", "c.txt"}
    denied = [message for message in server.bodies[1]["messages"] if message["role"] == "tool"]
    assert denied[0]["content"] == "Not run: the user said no to this call: not yet"
