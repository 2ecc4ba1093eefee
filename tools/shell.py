"""A tool that runs a command of the shell: in time, with bounded output, and with nothing of it left running."""

import atexit
import os
import re
import select
import signal
import subprocess
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from tools import usual
from tools.tool import EFFECTS, Tool, tool
from tools.visible import visible

LIMIT_S = 60.0
GRACE_S = 2.0  # from the asking signal to the one that cannot be refused
TICK_S = 0.05
# Of more output the beginning and the end are kept. A model is shown less than this.
HEAD_BYTES = TAIL_BYTES = 64 * 1024

# Variables whose values are secrets, by their names, and addresses with a password in them.
_SECRET = re.compile(
    r"TOKEN|SECRET|PASSW|PASSPHRASE|CREDENTIAL|API_?KEY|ACCESS_?KEY|PRIVATE_?KEY|_KEY$|^ASSISTANT_.*KEY", re.IGNORECASE
)
_ADDRESS_WITH_PASSWORD = re.compile(r"://[^/\s:@]*:[^/\s@]+@")

_running: dict[int, subprocess.Popen[bytes]] = {}  # by the thread that waits for it
_lock = threading.Lock()


def shell_tool(folder: Path, limit_s: float = LIMIT_S) -> Tool:
    """Return the tool that runs commands in this folder, each for at most `limit_s` seconds. It needs /bin/sh."""
    place = Path(os.path.realpath(folder.expanduser()))

    def shell(command: str) -> str:
        """Run a command with /bin/sh on the user's machine, who is asked first, and get its output and exit code.

        It has no terminal and no input, and nothing that it starts goes on when it ends.

        Args:
            command: The command, for example "ls -la | head". It may be several lines.

        Raises:
            ValueError: The command is empty.
            OSError: The system cannot start it.
        """
        return run(_checked(command), place, limit_s)

    def preview(command: str) -> str:
        return f"in {visible(str(place))}:\n{visible(_checked(command))}"

    # The tool's own limit comes first, so that what was printed until then is told.
    made = tool(shell, frozenset(EFFECTS), preview, timeout_s=limit_s + 4 * GRACE_S)
    return replace(made, abandon=stop)


def _checked(command: str) -> str:
    if not command.strip() or "\0" in command:
        raise ValueError("the command is empty" if not command.strip() else "the command has a NUL character")
    return command


def clean_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment without what looks like a secret, for a terminal that can do nothing."""
    kept = {
        name: value
        for name, value in environment.items()
        if not _SECRET.search(name) and not _ADDRESS_WITH_PASSWORD.search(value)
    }
    return kept | {"TERM": "dumb"}


def run(command: str, folder: Path, limit_s: float) -> str:
    """Run a command to its end, or to the limit in seconds, and tell how it ended and what it printed."""
    # A session of its own: there is no terminal that it could ask at, and one signal reaches all that it starts.
    process = subprocess.Popen(
        ["/bin/sh", "-c", command],
        cwd=folder,
        env=clean_environment(os.environ),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        umask=usual.umask,
    )
    with _lock:
        _running[threading.get_ident()] = process
    output = _Output(process)
    try:
        in_time = output.follow(time.monotonic() + limit_s)
        _end_group(process)
        output.rest()
    finally:
        process.stdout.close()  # type: ignore[union-attr]
        with _lock:
            del _running[threading.get_ident()]
    return "\n".join(filter(None, [_ending(process.returncode, None if in_time else limit_s), output.text()]))


def stop(thread: int) -> None:
    """Kill the command that this thread waits for: a turn whose time is up leaves none behind."""
    with _lock:
        process = _running.get(thread)
    if process:
        _signal(process, signal.SIGKILL)


@atexit.register
def stop_running() -> None:
    """Kill every command that still runs: an assistant that ends leaves none behind."""
    with _lock:
        left = list(_running.values())
    for process in left:
        _signal(process, signal.SIGKILL)


def _ending(code: int | None, limit_s: float | None) -> str:
    if code is None:
        return f"[could not be stopped after {limit_s:g} s, and goes on; output until then:]"
    if limit_s is not None:
        return f"[stopped after {limit_s:g} s; output until then:]"
    return f"[exit code {code}]" if code >= 0 else f"[ended by the signal {signal.Signals(-code).name}]"


# Signals


def _end_group(process: subprocess.Popen[bytes]) -> None:
    """End what is left of a command: itself after its time is up, or what it left behind in the background."""
    if _signal(process, signal.SIGTERM):
        until = time.monotonic() + GRACE_S
        while _alive(process) and time.monotonic() < until:
            time.sleep(TICK_S)
        _signal(process, signal.SIGKILL)
    with suppress(subprocess.TimeoutExpired):  # one that became another user's, by sudo, may not be signalled
        process.wait(GRACE_S)


def _alive(process: subprocess.Popen[bytes]) -> bool:
    process.poll()  # a leader that nobody waits for would be counted
    return _signal(process, 0)


def _signal(process: subprocess.Popen[bytes], number: int) -> bool:
    """Send a signal to all of a command's group; False where nobody is left. Its number is its leader's."""
    try:
        os.killpg(process.pid, number)
    except (ProcessLookupError, PermissionError):  # macOS answers so for a group of the dead
        return False
    return True


# Output


class _Output:
    """What a command prints, as it comes: its head, and the last of what follows."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None
        self._process, self._pipe = process, process.stdout.fileno()
        self._head, self._tail = bytearray(), bytearray()
        self._size = 0

    def follow(self, until: float) -> bool:
        """Read until the command ends; False where the time `until` came first.

        Not until the pipe ends: a process in the background may hold it for ever.
        """
        while time.monotonic() < until:
            if self._process.poll() is not None:
                return True
            if not self._read(TICK_S):  # it closed its output and goes on
                try:
                    self._process.wait(max(0.0, until - time.monotonic()))
                except subprocess.TimeoutExpired:
                    return False
        return self._process.poll() is not None

    def rest(self) -> None:
        """Read what still lies in the pipe."""
        until = time.monotonic() + GRACE_S
        while time.monotonic() < until and select.select([self._pipe], [], [], 0)[0] and self._read(0):
            pass

    def _read(self, wait_s: float) -> bool:
        """Take what has come, waiting a little; False at the end of all output."""
        if not select.select([self._pipe], [], [], wait_s)[0]:
            return True
        data = os.read(self._pipe, 65_536)
        self._size += len(data)
        room = HEAD_BYTES - len(self._head)
        self._head += data[:room]
        self._tail += data[room:] if room < len(data) else b""
        del self._tail[:-TAIL_BYTES]
        return bool(data)

    def text(self) -> str:
        """What was printed, whole or its head and tail with a note between them."""
        left_out = self._size - len(self._head) - len(self._tail)
        note = f"\n[... {left_out:,} bytes left out ...]\n".encode() if left_out else b""
        return (self._head + note + self._tail).decode("utf-8", "replace")
