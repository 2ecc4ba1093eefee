"""A command runs as it was shown, in time and within bounds, without secrets, and leaves nothing running."""

import json
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from tests.commands import ROOT
from tools.shell import HEAD_BYTES, TAIL_BYTES, clean_environment, shell_tool, stop_running
from tools.toolbox import Prepared, Toolbox

pytestmark = pytest.mark.skipif(not Path("/bin/sh").exists(), reason="this system has no /bin/sh")


def ran(folder: Path, command: str, limit_s: float = 30) -> str:
    return str(shell_tool(folder, limit_s).run(command=command))


def is_alive(process: int) -> bool:
    """Whether a process runs; one that is dead and not yet collected does not."""
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def test_the_tool_says_all_that_it_may_do_and_asks_for_more_time_than_its_own_limit(tmp_path: Path) -> None:
    found = shell_tool(tmp_path, 30)
    assert found.effects == {"reads", "writes", "network", "executes"}
    assert found.timeout_s and found.timeout_s > 30


def test_output_errors_and_exit_code_are_told(tmp_path: Path) -> None:
    assert ran(tmp_path, "echo out; echo err >&2; exit 3") == "[exit code 3]\nout\nerr\n"
    assert ran(tmp_path, "true") == "[exit code 0]"
    assert ran(tmp_path, "kill -9 $$") == "[ended by the signal SIGKILL]"
    assert ran(tmp_path, "printf 'a\\377'") == "[exit code 0]\na\ufffd"


def test_a_command_runs_in_its_folder_without_input_and_without_a_terminal(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path)
    assert ran(tmp_path / "link", "pwd -P") == f"[exit code 0]\n{tmp_path.resolve()}\n"
    assert ran(tmp_path, "cat; (echo x > /dev/tty) 2>/dev/null || echo no terminal") == "[exit code 0]\nno terminal\n"


@pytest.mark.parametrize("command", ["", "  \n", "a\0b"])
def test_what_is_no_command_is_refused(command: str, tmp_path: Path) -> None:
    found = shell_tool(tmp_path)
    for call in (found.run, found.preview):
        with pytest.raises(ValueError, match="the command"):
            call(command=command)  # type: ignore[misc]


def test_the_whole_command_is_shown_and_nothing_of_it_hidden(tmp_path: Path) -> None:
    found = shell_tool(tmp_path)
    assert found.preview
    shown = found.preview(command="ls \x1b[8m; rm -rf x\x1b[0m\r# \u202e\n\techo")
    assert shown == f"in {tmp_path.resolve()}:\nls ␛[8m; rm -rf x␛[0m␍# <U+202E>\n\techo"


# ---------------------------------------------------------------------- time


def test_after_its_time_a_command_and_all_it_started_are_killed(tmp_path: Path) -> None:
    text = ran(tmp_path, "echo begun; sleep 1000 & echo $! > child; echo $$ > leader; wait", limit_s=0.5)
    assert text == "[stopped after 0.5 s; output until then:]\nbegun\n"
    assert not any(is_alive(int((tmp_path / name).read_text())) for name in ("child", "leader"))


def test_a_command_that_ignores_the_asking_signal_is_killed(tmp_path: Path) -> None:
    text = ran(tmp_path, "trap '' TERM; echo $$ > leader; while :; do sleep 0.1; done", limit_s=0.3)
    assert text.startswith("[stopped after 0.3 s")
    assert not is_alive(int((tmp_path / "leader").read_text()))


def test_what_stays_in_the_background_is_not_waited_for_and_ended(tmp_path: Path) -> None:
    assert ran(tmp_path, "sleep 1000 & echo $! > child; echo done") == "[exit code 0]\ndone\n"
    assert not is_alive(int((tmp_path / "child").read_text()))


def test_a_command_that_closed_its_output_is_waited_for(tmp_path: Path) -> None:
    assert ran(tmp_path, "exec >&- 2>&-; sleep 0.2; exit 4") == "[exit code 4]"


def test_all_commands_that_run_can_be_stopped(tmp_path: Path) -> None:
    texts: list[str] = []
    running = threading.Thread(target=lambda: texts.append(ran(tmp_path, "echo > begun; sleep 1000")))
    running.start()
    while not (tmp_path / "begun").exists():
        running.join(0.01)
    stop_running()
    running.join()
    assert texts == ["[ended by the signal SIGKILL]"]


def test_a_call_that_is_given_up_ends_its_command_and_no_other(tmp_path: Path) -> None:
    box = Toolbox([shell_tool(tmp_path)], len, 1000)
    prepared = box.prepare("shell", json.dumps({"command": "echo $$ > pid.new; mv pid.new pid; sleep 1000"}))
    assert isinstance(prepared, Prepared)
    other = threading.Thread(target=lambda: ran(tmp_path, "sleep 1000"), daemon=True)
    other.start()
    result = box.begin(prepared, 1.0).wait()
    process = int((tmp_path / "pid").read_text())
    while is_alive(process):
        other.join(0.01)
    assert (result.ok, result.text) == (False, "shell was given up after 1 s, and stopped.")
    assert other.is_alive()
    stop_running()
    other.join()


def test_a_program_that_ends_leaves_no_command_behind(tmp_path: Path) -> None:
    command = "sleep 1000 & echo $! $$ > pids.new; mv pids.new pids; wait"
    script = f"""
import threading, time
from pathlib import Path
from tools.shell import shell_tool
folder = Path({str(tmp_path)!r})
threading.Thread(target=lambda: shell_tool(folder).run(command={command!r}), daemon=True).start()
while not (folder / "pids").exists():
    time.sleep(0.01)
"""
    subprocess.run([sys.executable, "-c", script], check=True, cwd=ROOT, timeout=60)
    for process in map(int, (tmp_path / "pids").read_text().split()):
        for _ in range(1_000):  # a killed process takes a moment
            if is_alive(process):
                time.sleep(0.01)
        assert not is_alive(process)


# ---------------------------------------------------------------------- output


def test_of_much_output_the_beginning_and_the_end_are_kept(tmp_path: Path) -> None:
    text = ran(tmp_path, "echo begin; yes | head -c 1000000; echo end")
    left_out = len("begin\n") + 1_000_000 + len("end\n") - HEAD_BYTES - TAIL_BYTES
    assert text.startswith("[exit code 0]\nbegin\ny\n") and text.endswith("y\nend\n")
    assert f"[... {left_out:,} bytes left out ...]" in text
    assert len(text) < HEAD_BYTES + TAIL_BYTES + 100


def test_output_that_never_ends_is_stopped_by_the_time(tmp_path: Path) -> None:
    assert ran(tmp_path, "yes", limit_s=0.3).startswith("[stopped after 0.3 s; output until then:]\ny\n")


# ---------------------------------------------------------------------- secrets


def test_no_secret_is_in_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    monkeypatch.setenv("PLAIN", "seen")
    text = ran(tmp_path, "env")
    assert "sk-secret" not in text and "PLAIN=seen" in text and "TERM=dumb" in text


@pytest.mark.parametrize(
    ("name", "value", "kept"),
    [
        ("ASSISTANT_SEARCH_KEY", "x", False),
        ("GITHUB_TOKEN", "x", False),
        ("aws_secret_access_key", "x", False),
        ("AWS_ACCESS_KEY_ID", "x", False),
        ("PGPASSWORD", "x", False),
        ("STRIPE_KEY", "x", False),
        ("DATABASE_URL", "postgres://user:pass@host/db", False),
        ("ANY", "https://:pass@host", False),
        ("PAGE", "https://host:8000/a@b", True),
        ("PATH", "/bin", True),
        ("SSH_AUTH_SOCK", "/tmp/x", True),
        ("KEYBOARD", "de", True),
    ],
)
def test_what_looks_like_a_secret_is_left_out(name: str, value: str, kept: bool) -> None:
    assert (name in clean_environment({name: value})) is kept
