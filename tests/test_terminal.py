"""What a person sees and types: real pseudo-terminals, and a screen of a few lines that understands what we send."""

import codecs
import contextlib
import fcntl
import io
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assistant.cli.terminal import BROKEN_PIPE, Output, Terminal, confirm, steady_streams
from memory.errors import Failure

ROOT = Path(__file__).parent.parent
WORDS = [f"w{number:03}" for number in range(200)]


class Screen:
    """The rows that a terminal shows and has scrolled out, for the few codes that answers and progress use."""

    def __init__(self, width: int, height: int) -> None:
        self.width, self.height = width, height
        self.rows, self.row, self.column = [""], 0, 0

    def feed(self, text: str) -> None:
        for part in re.findall("\x1b\\[[0-9;?]*[A-Za-z]|[^\x1b]", text):
            top = max(0, len(self.rows) - self.height)
            if part == "\x1b[A":
                self.row = max(top, self.row - 1)
            elif part == "\x1b[2K":
                self.rows[self.row] = ""
            elif part == "\r":
                self.column = 0
            elif part == "\n":
                self.down()
            elif not part.startswith("\x1b"):
                if self.column == self.width:
                    self.column = 0
                    self.down()
                self.rows[self.row] = self.rows[self.row].ljust(self.column) + part
                self.column += 1
            else:
                assert part.endswith("m"), f"unexpected {part!r}"

    def down(self) -> None:
        self.row += 1
        if self.row == len(self.rows):
            self.rows.append("")


class Tty:
    """The two ends of a pseudo-terminal: `stream` is the program's, and what it writes goes to a Screen."""

    def __init__(self, width: int, height: int) -> None:
        self.master, slave = pty.openpty()
        self.screen = Screen(width, height)
        self.decoder = codecs.getincrementaldecoder("utf-8")()
        self.stream = os.fdopen(slave, "w", encoding="utf-8")
        self.resize(width, height)

    def resize(self, width: int, height: int) -> None:
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))

    def shown(self, wait_s: float = 0.02) -> list[str]:
        """Take in what was written, and give all rows; the cursor stands on the last."""
        while select.select([self.master], [], [], wait_s)[0]:
            self.screen.feed(self.decoder.decode(os.read(self.master, 65536)))
        return self.screen.rows

    def close(self) -> None:
        self.stream.close()
        os.close(self.master)


@contextlib.contextmanager
def terminal_of(width: int, height: int, **streams: bool) -> Iterator[Tty]:
    """Put a pseudo-terminal in the place of stdout (and stderr)."""
    with contextlib.closing(Tty(width, height)) as tty, pytest.MonkeyPatch.context() as patch:
        patch.setenv("TERM", "xterm")
        patch.delenv("NO_COLOR", raising=False)
        for name in streams or {"stdout": True, "stderr": True}:
            patch.setattr(sys, name, tty.stream)
        yield tty


def streamed(tty: Tty, text: str, size: int, *, every: bool = True) -> list[str]:
    """Stream an answer to the terminal, drawing at `every` piece, and give all rows in the end."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("assistant.cli.screen.FRAME_S", 0.0 if every else 60.0)
        with Output().answer() as answer:
            for at in range(0, len(text), size):
                answer.write(text[at : at + size])
                tty.shown(0)
    return tty.shown()


@settings(deadline=None, max_examples=25)
@given(st.integers(1, 60), st.integers(20, 70), st.integers(2, 12), st.booleans())
def test_a_long_answer_is_on_the_terminal_once_and_in_order(size: int, width: int, height: int, every: bool) -> None:
    text = " ".join(WORDS[:60]) + "\n\n```\n" + "\n".join(WORDS[60:120]) + "\n```\n\n- " + "\n- ".join(WORDS[120:140])
    with terminal_of(width, height) as tty:
        rows = streamed(tty, text, size, every=every)
    assert re.findall(r"w\d+", " ".join(rows)) == WORDS[:140]


def test_an_answer_grows_while_it_comes_and_the_newest_text_is_seen() -> None:
    with terminal_of(40, 6) as tty, Output().answer() as answer:
        answer.write("```\n" + "\n".join(WORDS))
        assert tty.shown()[-3:] == [*WORDS[-2:], "```"]
        assert len(tty.screen.rows) == 5


def test_a_narrower_terminal_leaves_no_second_copy_of_what_was_drawn() -> None:
    with terminal_of(60, 20) as tty, Output().answer() as answer, pytest.MonkeyPatch.context() as patch:
        patch.setattr("assistant.cli.screen.FRAME_S", 0.0)
        answer.write(" ".join(WORDS[:20]))
        drawn = tty.shown()
        # A terminal that is made narrower wraps the rows it holds.
        tty.resize(30, 20)
        tty.screen.width = 30
        tty.screen.rows = [row[at : at + 30] for row in drawn for at in range(0, max(len(row), 1), 30)]
        tty.screen.row, tty.screen.column = len(tty.screen.rows) - 1, len(tty.screen.rows[-1])
        answer.write(" end")
        assert re.findall(r"w\d+|end", " ".join(tty.shown())) == [*WORDS[:20], "end"]


def test_a_note_in_the_middle_of_an_answer_stands_above_it() -> None:
    with terminal_of(40, 10) as tty:
        output = Output()
        with output.answer() as answer:
            answer.write("Half of")
            output.note("a tool runs\x1b[2J")
            answer.write(" a sentence.")
        assert [row for row in tty.shown() if row] == ["a tool runs", "Half of a sentence."]


def test_what_has_come_stays_when_an_answer_is_interrupted() -> None:
    with terminal_of(40, 10) as tty:
        with pytest.raises(KeyboardInterrupt), Output().answer() as answer:
            answer.write("One.\n\nTwo is ")
            answer.write("not fini")
            raise KeyboardInterrupt
        assert tty.shown() == ["One.", "", "Two is not fini", ""]


def test_an_answer_steers_no_terminal() -> None:
    with terminal_of(40, 10) as tty:
        assert streamed(tty, "a\x1b]0;x\x07b \x1b[2Jc\r\u202e\n", 1)[0] == "ab c‹U+202E›"


def test_a_terminal_that_cannot_move_its_cursor_gets_plain_pieces() -> None:
    with terminal_of(40, 10) as tty, pytest.MonkeyPatch.context() as patch:
        patch.setenv("TERM", "dumb")
        assert streamed(tty, "**a** \x1b[31mb\n\nc", 3) == ["**a** 31mb", "", "c", ""]


@given(st.text(), st.integers(1, 9))
def test_a_pipe_gets_the_text_as_it_is(text: str, size: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        piped = io.StringIO(newline="")
        patch.setattr(sys, "stdout", piped)
        with Output().answer() as answer:
            for at in range(0, len(text), size):
                answer.write(text[at : at + size])
    assert piped.getvalue() == (text + "\n" if text and not text.endswith("\n") else text)


def test_a_pipe_gets_each_piece_at_once_and_no_half_character(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="utf-8"))
    with Output().answer() as answer:
        answer.write("one ")
        assert raw.getvalue() == b"one "
        answer.write("\ud83d")
        answer.write("\ude00")
        assert raw.getvalue().decode() == "one 😀"
        answer.write("\ud83d")
    assert raw.getvalue().decode() == "one 😀\ufffd\n"


def test_a_list_is_cut_to_the_terminal_and_whole_in_a_pipe(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [["1", "words " * 20], ["2", "tab\tand\nline"]]
    with terminal_of(30, 10) as tty:
        Output().table(["id", "title"], rows)
        assert tty.shown()[:2] == ["id  title", "1   words words words words w…"]
    Output().table(["id", "title"], rows)
    assert capsys.readouterr().out == f"id\ttitle\n1\t{'words ' * 19}words\n2\ttab and line\n"


def test_progress_is_one_row_that_goes_away_even_on_ctrl_c() -> None:
    with terminal_of(30, 10, stderr=True) as tty, pytest.MonkeyPatch.context() as patch:
        patch.setattr("assistant.cli.terminal.FRAME_S", 0.0)
        with pytest.raises(KeyboardInterrupt), Output().progress("Loading 日本", 10) as progress:
            for done in range(10):
                progress.update(done, "a long text that does not fit the row")
            assert len(tty.shown()) == 1
            assert tty.screen.rows[0].startswith("Loading 日本 90% a long")
            raise KeyboardInterrupt
        assert tty.shown() == [""]


def test_short_work_says_nothing_into_a_pipe_and_long_work_now_and_then(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with Output().progress("Loading", 10) as progress:
        progress.update(5)
        assert capsys.readouterr().err == ""
        later = time.monotonic() + 60
        monkeypatch.setattr(time, "monotonic", lambda: later)
        progress.update(6, "text")
        progress.update(7, "text")
    assert capsys.readouterr().err == "Loading 60% text\n"


def test_notes_and_errors_go_to_stderr_with_style_at_a_terminal_only(capsys: pytest.CaptureFixture[str]) -> None:
    Output().note("note")
    Output().error("error\x1b[2J")
    assert capsys.readouterr() == ("", "note\nerror\n")
    with terminal_of(40, 10) as tty:
        Output().error("failed")
        assert os.read(tty.master, 99) == b"\x1b[31mfailed\x1b[0m\r\n"


def test_what_others_print_while_an_answer_comes_is_a_note_and_no_part_of_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with Output().answer() as answer:
        answer.write("One ")
        print("from a tool\x1b[2J")
        answer.write("two.")
        print("half a line", end="")
    print("after it")
    assert capsys.readouterr() == ("One two.\nafter it\n", "from a tool\nhalf a line\n")
    with terminal_of(40, 10) as tty:
        with Output().answer() as answer:
            answer.write("One ")
            print("from a tool")
            answer.write("two.")
        assert tty.shown() == ["from a tool", "One two.", ""]


def test_what_a_program_prints_that_a_tool_starts_is_no_part_of_the_answer() -> None:
    code = "with Output().answer() as answer:\n answer.write('One ')\n os.system('echo aside')\n answer.write('two')\n"
    done = run("print('before')\n" + code + "os.system('echo after')")
    assert (done.returncode, done.stdout, done.stderr) == (0, b"before\nOne two\nafter\n", b"aside\n")
    closed = "import sys\nsys.__stderr__ = sys.stderr = None  # as Python has it where it began without\n"
    assert run(closed + code).stdout == b"One aside\ntwo\n"


def test_nobody_is_asked_where_nobody_can_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("y\n"))
    with pytest.raises(Failure, match="--yes"):
        confirm("Remove all?")


def test_piped_lines_are_messages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("one\n\ntwo\\\nlines\r\nlast\\"))
    terminal = Terminal()
    assert [terminal.read() for _ in range(5)] == ["one", "", "two\nlines", "last\\", None]


def run(code: str, **environment: str) -> "subprocess.CompletedProcess[bytes]":
    code = "from assistant.cli.terminal import *\n" + code
    return subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=os.environ | environment, capture_output=True)


def test_neither_library_is_loaded_before_it_is_needed() -> None:
    code = "import sys; Terminal(); Output().note('x'); print({'rich', 'prompt_toolkit'} & set(sys.modules))"
    assert run(code).stdout == b"set()\n"


def test_a_character_that_the_locale_lacks_is_replaced() -> None:
    code = "with steady_streams(), Output().answer() as answer: answer.write('a \\u65e5 \\ud83d b')"
    done = run(code, LC_ALL="C", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0", PYTHONIOENCODING="ascii")
    assert (done.stdout, done.stderr) == (b"a ? ? b\n", b"")


def test_a_reader_that_goes_away_ends_the_program_quietly() -> None:
    code = "with steady_streams(), Output().answer() as answer:\n  for _ in range(100000): answer.write('line\\n')"
    command = [sys.executable, "-c", f"from assistant.cli.terminal import *\n{code}"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout and process.stderr
        assert process.stdout.readline() == b"line\n"
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait() == BROKEN_PIPE


def test_streams_that_are_no_files_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    with steady_streams():
        sys.stdout.write("fine")


CHAT = """
import fcntl, os, sys, termios, threading, time
from pathlib import Path
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
from assistant.cli.terminal import Output, Terminal, confirm
terminal = Terminal(history=Path(sys.argv[1]), commands=["/help", "/quit"])
output = Output()
while (message := terminal.read()) is not None:
    if message == "later":
        threading.Timer(0.3, output.note, ["from a thread"]).start()
    elif message == "ask":
        print(f"<{confirm('Sure?')}>")
    elif message == "answer":
        try:
            with output.answer() as answer:
                for number in range(500):
                    answer.write(f"w{number} ")
                    time.sleep(0.02)
        except KeyboardInterrupt:
            print("<stopped>", bool(termios.tcgetattr(0)[3] & termios.ECHO))
    else:
        print(f"<{message!r}>")
print("<end>")
"""


class Chat:
    """A program at a pseudo-terminal, with a person who types."""

    def __init__(self, history: Path, code: str = CHAT, first: str = "you>") -> None:
        self.master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        # Nobody answers the question where the cursor is.
        environment = os.environ | {"TERM": "xterm", "PROMPT_TOOLKIT_NO_CPR": "1", "PYTHONPATH": str(ROOT)}
        command = [sys.executable, "-c", code, str(history)]
        self.process = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdin=slave, stdout=slave, stderr=slave, start_new_session=True
        )
        os.close(slave)
        self.received = b""
        self.wait_for(first)

    def type(self, keys: str) -> None:
        os.write(self.master, keys.encode("utf-8", "surrogateescape"))

    def wait_for(self, text: str) -> str:
        """Read until `text` has come, and give all that came up to its end."""
        until = time.monotonic() + 10
        while text.encode() not in self.received:
            assert select.select([self.master], [], [], max(0, until - time.monotonic()))[0], self.received
            self.received += os.read(self.master, 65536)
        before, found, self.received = self.received.partition(text.encode())
        return (before + found).decode("utf-8", "replace")

    def says(self, keys: str) -> str:
        """Type, and give what the program then says between angle brackets."""
        self.type(keys)
        self.wait_for("<")
        said = self.wait_for(">\r\n")
        self.wait_for("you>")
        return said.removesuffix(">\r\n")

    def close(self) -> None:
        self.type("\x04")
        try:
            self.wait_for("<end>")
            assert self.process.wait(5) == 0
        finally:
            self.process.kill()
            self.process.wait()
            os.close(self.master)


def test_keys_at_the_prompt(tmp_path: Path) -> None:
    with contextlib.closing(Chat(tmp_path / "private" / "history")) as chat:
        assert chat.says("hallo\x1b[D\x1b[D\x7fL\r") == "'haLlo'"
        assert chat.says("two\nlines\x1b\rthree\r") == "'two\\nlines\\nthree'"
        assert chat.says("back\\\rslash\r") == "'back\\nslash'"
        assert chat.says("\x1b[200~pasted\rtext\n\x1b[201~\r") == "'pasted\\ntext\\n'"
        assert chat.says("thrown away\x03kept\r") == "'kept'"
        chat.type("/he")
        chat.wait_for("/help")
        chat.type("\t")
        chat.wait_for("lp")
        assert chat.says("\r") == "'/help'"
        assert chat.says("byte \udcff\r") == "'byte \ufffd'"
        chat.type("\x03")
        chat.wait_for("/quit ends")
        chat.wait_for("you>")
    assert (tmp_path / "private" / "history").stat().st_mode & 0o777 == 0o600
    with contextlib.closing(Chat(tmp_path / "private" / "history")) as chat:
        assert chat.says("\x1b[A\x1b[A\x1b[A\r") == "'kept'"
        assert chat.says("\x12three\r\r") == "'two\\nlines\\nthree'"


def test_a_thread_a_question_and_an_interrupted_answer_leave_the_prompt_in_order(tmp_path: Path) -> None:
    with contextlib.closing(Chat(tmp_path / "history")) as chat:
        chat.type("later\r")
        chat.wait_for("you>")
        chat.type("typing on")
        chat.wait_for("typing on")
        assert "\x1b[J" in chat.wait_for("from a thread"), "the prompt was not cleared first"
        chat.wait_for("typing on")
        chat.type("\x03ask\r")
        chat.wait_for("[y/N]")
        assert chat.says("yes\n") == "True"
        chat.type("answer\r")
        chat.wait_for("w3 ")
        chat.type("\r\x03")
        seen = chat.wait_for("you>")
        assert "<stopped> True" in seen
        assert "^C" not in seen


def test_two_threads_may_print_while_an_answer_grows() -> None:
    with terminal_of(40, 30) as tty:
        output = Output()
        threads = [threading.Thread(target=output.note, args=[f"note {number}"]) for number in range(8)]
        with output.answer() as answer:
            for number, thread in enumerate(threads):
                thread.start()
                answer.write(f"w{number}\n\n")
            for thread in threads:
                thread.join()
        rows = [row for row in tty.shown() if row]
    assert sorted(row for row in rows if row.startswith("note")) == [f"note {number}" for number in range(8)]
    assert [row for row in rows if row.startswith("w")] == [f"w{number}" for number in range(8)]
