"""What tools, files of tools and the calls of a model can do wrong, played: the second half of docs/faults.md.

Each fault stands in a real conversation, where a scripted model makes its calls, and says "Done." when it has been
given their results.
"""

import json
import os
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from assistant.app import App
from assistant.approval import Answer as Said
from assistant.approval import Question
from assistant.settings import Settings
from assistant.toolset import RESERVED
from memory.errors import Failure
from tests.scripted import Answer, Call, ScriptedServer
from tools.own import LOAD_S, load
from tools.visible import visible

HEAD = """
# Faults of tools, and what happens

Each is played in a conversation of its own: the model makes the calls, and has nothing more to say when it is given
their results. "Goes on" means that it is asked again, with the results; its owner sees the answer alone, and the rest
in `assistant trace`. Each call but those that wait has a row in the log. Tools of one's own run inside the program:
what they change of the process stays changed, and what crashes it ends it. FOLDER is where the test plays.

| fault | what the model is told | the turn | in the log |
| --- | --- | --- | --- |
"""
FILES_HEAD = """
# Faults of files with tools, and what happens

The file is read when a conversation begins. All other tools are there.

| fault | what its owner is told | tools that it gives |
| --- | --- | --- |
"""
TOLD_CHARACTERS = 300
DONE = "Done."

# Tools of one's own, in a file as anybody writes them. HOME is the assistant's home.
TOOLS = '''
import json, os, signal, sqlite3, sys, threading, time
from typing import Literal

def wants(text: str, whole: int, number: float, flag: bool, words: list[str], table: dict[str, int],
          choice: Literal["a", "b"]) -> str:
    """Take one of each."""
    return "taken"

def says(text: str) -> str:
    """Say it again."""
    return text

def counts(number: int) -> int:
    """Count."""
    return number

def refuses() -> str:
    """Refuse, as a tool should."""
    raise ValueError("there is no such room; the rooms are: bath, kitchen")

def fails() -> str:
    """Fail."""
    return str(1 / 0)

class Mute(Exception):
    def __str__(self):
        raise self

class Leaving(Exception):
    def __str__(self):
        sys.exit(1)

def fails_mutely() -> str:
    """Fail."""
    raise Mute

def fails_leaving() -> str:
    """Fail."""
    raise Leaving

def stops() -> str:
    """Stop."""
    raise KeyboardInterrupt

class Odd(BaseException):
    pass

def fails_oddly() -> str:
    """Fail."""
    raise Odd("nothing to be seen here")

def leaves() -> str:
    """Leave."""
    sys.exit("Good bye.")

def hangs() -> str:
    """Hang."""
    time.sleep(60)

def hangs_at_once() -> str:
    """Compute for long."""
    end = time.monotonic() + 1
    while time.monotonic() < end:
        pass

def presses() -> str:
    """Press Ctrl-C."""
    signal.raise_signal(signal.SIGINT)
    time.sleep(60)

def gives_nothing():
    """Give nothing."""

def gives_bytes() -> bytes:
    """Give bytes."""
    return bytes(1000)

def gives_megabytes(number: int = 0) -> str:
    """Give much."""
    return "word " * 4_000_000

def gives_one_word() -> str:
    """Give one long word."""
    return "x" * 8_000_000

def gives_a_set() -> set:
    """Give a set."""
    return {1}

def gives_a_ring() -> list:
    """Give a list that holds itself."""
    ring = []
    ring.append(ring)
    return ring

def gives_a_deep_list() -> list:
    """Give a very deep list."""
    deep = []
    for _ in range(100_000):
        deep = [deep]
    return deep

def gives_a_huge_number() -> int:
    """Give a number of 5,001 digits."""
    return 10 ** 5_000

def gives_nan() -> float:
    """Give what is no number."""
    return float("nan")

def gives_odd_text() -> str:
    """Give what cannot be stored."""
    return "a\\ud83db\\0c\\x1b[31md\\u202ee"

def prints() -> str:
    """Print."""
    print("printed")
    print("printed, too", file=sys.stderr)
    return "given"

def goes_away() -> str:
    """Change the working directory."""
    os.chdir("/")
    return "gone"

def changes_environment() -> str:
    """Change the environment."""
    for name in ("OPENAI_BASE_URL", "OPENAI_API_KEY", "ASSISTANT_HOME"):
        os.environ[name] = "http://127.0.0.1:9"
    return "changed"

def leaves_threads() -> str:
    """Leave threads behind."""
    for _ in range(50):
        threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
    return "left"

def recurses() -> str:
    """Recurse."""
    return recurses()

def recurses_in_c() -> str:
    """Recurse in C."""
    return json.dumps(gives_a_deep_list())

def takes_the_memory() -> str:
    """Read and write the assistant's own memory while it is open."""
    with sqlite3.connect("HOME/memory.db") as memory:
        memory.execute("INSERT INTO calibrations VALUES ('mine', 1.0)")
        return "read" if memory.execute("SELECT count(*) FROM messages").fetchone()[0] else "empty"

def locks_the_memory() -> str:
    """Lock the assistant's own memory for a second."""
    memory = sqlite3.connect("HOME/memory.db", isolation_level=None, check_same_thread=False)
    memory.execute("BEGIN IMMEDIATE")
    threading.Timer(1, memory.close).start()
    return "locked"

EFFECTS = {name: [] for name, one in list(vars().items()) if callable(one) and getattr(one, "__doc__", "")
           and one.__module__ == __name__ and not isinstance(one, type)}
TIMEOUTS = {"hangs": 0.2, "hangs_at_once": 0.2}

def asks() -> str:
    """Do anything."""
    return "done"
'''


@dataclass(frozen=True)
class Fault:
    """What the model calls, and what stands around it. `steps` are the answers of the model before its last one.

    `owner` answers whoever is asked; None: nobody can be asked. `settings` are set besides the usual ones.
    """

    name: str
    steps: tuple[tuple[Call, ...], ...]
    owner: Callable[[Question], Said] | None = None
    settings: dict[str, Any] = field(default_factory=dict)


def one(name: str, tool: str, arguments: str = "{}", **more: Any) -> Fault:
    """A fault of one call."""
    return Fault(name, ((Call(tool, arguments),),), **more)


def several(name: str, *calls: tuple[str, str], **more: Any) -> Fault:
    """A fault of several calls in one step."""
    return Fault(name, (tuple(Call(*each) for each in calls),), **more)


def in_turn(name: str, *calls: tuple[str, str], **more: Any) -> Fault:
    """A fault of calls in a step each."""
    return Fault(name, tuple((Call(*each),) for each in calls), **more)


def yes(_: Question) -> Said:
    return Said(True)


def no(_: Question) -> Said:
    return Said(False, reason="not today")


def all_as(value: str) -> str:
    """The arguments of `wants`, each with this value."""
    names = ("text", "whole", "number", "flag", "words", "table", "choice")
    return "{" + ", ".join(f'"{name}": {value}' for name in names) + "}"


WRITES = [("write_file", json.dumps({"path": "x.txt", "content": word})) for word in ("one", "two")]
FAULTS = (
    one("an unknown tool", "launch_rocket"),
    one("a name that is nearly one", "calculater", '{"expression": "1+1"}'),
    one("a name of 10,000 characters with odd ones", "\x1b[31m\n" * 2_000),
    one("arguments that are no JSON", "says", '{"text": '),
    one("arguments that are JSON, but no object", "says", '["a"]'),
    one("no arguments at all, where none are needed", "gives_nothing", ""),
    one("no arguments at all, where one is", "says", ""),
    one("an argument is missing and one is unknown", "says", '{"txt": "a"}'),
    one("1,000 unknown arguments", "says", json.dumps({"text": "a"} | {f"text{n}": 1 for n in range(1_000)})),
    one("everything is a string", "wants", all_as('"x"')),
    one("everything is a whole number", "wants", all_as("3")),
    one("everything is a fraction", "wants", all_as("2.5")),
    one("everything is true", "wants", all_as("true")),
    one("everything is null", "wants", all_as("null")),
    one("everything is a list", "wants", all_as("[1]")),
    one("everything is an object", "wants", all_as('{"a": "b"}')),
    one("NaN", "counts", '{"number": NaN}'),
    one("Infinity by a huge exponent", "counts", '{"number": 1e999}'),
    one("a number of 5,000 digits", "counts", '{"number": %s}' % ("9" * 5_000)),
    one("20,000 brackets", "says", '{"text": %s' % ("[" * 20_000)),
    one("half of a surrogate pair and a NUL", "says", r'{"text": "a\ud83d b\u0000"}'),
    one("a tool refuses (ValueError)", "refuses"),
    one("a tool fails (another exception)", "fails"),
    one("its exception cannot be shown", "fails_mutely"),
    one("its exception leaves when it is shown", "fails_leaving"),
    one("it fails with an exception of its own kind (BaseException)", "fails_oddly"),
    one("it raises KeyboardInterrupt", "stops"),
    one("it ends the program (sys.exit)", "leaves"),
    one("it sleeps for longer than its limit", "hangs"),
    one("it computes for longer than its limit", "hangs_at_once"),
    several("Ctrl-C while a tool runs, another waits", ("presses", ""), ("says", '{"text": "a"}')),
    one("it gives nothing", "gives_nothing"),
    one("it gives bytes", "gives_bytes"),
    one("it gives 20 MB", "gives_megabytes"),
    one("it gives one word of 8 MB", "gives_one_word"),
    one("it gives what JSON does not know", "gives_a_set"),
    one("it gives a list that holds itself", "gives_a_ring"),
    one("it gives a list 100,000 deep", "gives_a_deep_list"),
    one("it gives a number of 5,001 digits", "gives_a_huge_number"),
    one("it gives NaN", "gives_nan"),
    one("it gives a NUL, half a surrogate pair, an escape, a mark of direction", "gives_odd_text"),
    one("it prints", "prints"),
    one("it changes the working directory", "goes_away"),
    one("it changes the environment", "changes_environment"),
    one("it leaves 50 threads behind", "leaves_threads"),
    one("it calls itself without end", "recurses"),
    one("the same in C", "recurses_in_c"),
    one("it reads and writes the assistant's memory", "takes_the_memory"),
    one("it locks the assistant's memory for a second", "locks_the_memory"),
    one("a preview refuses", "edit_file", '{"path": "none.txt", "old": "a", "new": "b"}', owner=yes),
    several("what was shown is not what would happen any more", *WRITES, owner=yes),
    one("its owner says no", "asks", owner=no),
    one("the settings say no", "asks", settings={"approve": ("asks=deny",)}),
    several("nobody can be asked", ("says", '{"text": "a"}'), ("asks", "")),
    in_turn("the same call three times", *[("says", '{"text": "a"}')] * 3),
    in_turn("the same call four times", *[("says", '{"text": "a"}')] * 4),
    in_turn("two calls in turn", *[("says", '{"text": "a"}'), ("counts", '{"number": 1}')] * 3),
    several("20 calls in one step", *[("says", json.dumps({"text": str(n)})) for n in range(20)]),
    in_turn("calls after the limit of steps", ("says", '{"text": "a"}'), ("asks", ""), settings={"max_steps": 1}),
    several(
        "results larger than the window",
        *[("gives_megabytes", json.dumps({"number": number})) for number in range(5)],
        settings={"context_tokens": 16_000, "tool_tokens": 4_000},
    ),
)


PLAIN = 'def plain(text: str) -> str:\n    """Say it again."""\n    return text\n\n'
ENDLESS, ENDLESS_S = "it never ends", 0.3

# What stands in mine.py, beside a good tool; None: there is no such file.
FILES: tuple[tuple[str, str | bytes | None], ...] = (
    ("no such file or folder", None),
    ("no Python", PLAIN + "def f(:\n"),
    ("not in UTF-8", b"name = '\xff'\n"),
    ("a NUL", "\0"),
    ("it imports what is not there", PLAIN + "import no_such_module_anywhere\n"),
    ("it fails", PLAIN + "def g():\n    return 1 / 0\n\ng()\n"),
    ("it fails with what cannot be shown", "class Mute(Exception):\n    def __str__(self): raise self\n\nraise Mute\n"),
    ("it ends the program", PLAIN + "raise SystemExit\n"),
    (ENDLESS, PLAIN + "import time\nwhile True: time.sleep(0.1)\n"),
    ("no docstring", PLAIN + "def f() -> str:\n    return ''\n"),
    ("no type", PLAIN + 'def f(x) -> str:\n    """F."""\n'),
    ("a type that no model can send", PLAIN + 'def f(x: set[int]) -> str:\n    """F."""\n'),
    ("a type that cannot be worked out", PLAIN + 'def f(x: "1 / 0") -> str:\n    """F."""\n'),
    ("a coroutine", PLAIN + 'async def f() -> str:\n    """F."""\n'),
    ("an effect that is none", PLAIN + 'EFFECTS = {"plain": ["read"]}\n'),
    ("a time limit that is none", PLAIN + 'TIMEOUTS = {"plain": "long"}\n'),
    ("effects of a tool that is not there", PLAIN + 'EFFECTS = {"plane": []}\n'),
    ("the name of another tool", PLAIN + 'def shell(command: str) -> str:\n    """Mine."""\n    return ""\n'),
)


def section() -> str:
    """Both tables. To be called in the main thread: one of the faults is Ctrl-C."""
    with TemporaryDirectory() as folder:
        place = Path(folder)
        (place / "tools.py").write_text(TOOLS.replace("HOME", str(place / "home")))
        played_now = [row(cells(fault, place)) for fault in FAULTS]
        read_now = [row(file_cells(name, text, place)) for name, text in FILES]
    return "\n".join([HEAD.rstrip("\n"), *played_now, FILES_HEAD.rstrip("\n"), *read_now, ""])


def row(found: tuple[str, ...]) -> str:
    """A row of a table."""
    return "| " + " | ".join(cell.replace("|", r"\|") for cell in found) + " |"


def file_cells(name: str, text: str | bytes | None, place: Path) -> tuple[str, str, str]:
    """What came of a file."""
    file = place / "mine.py"
    file.unlink(missing_ok=True)
    if text is not None:
        file.write_bytes(text if isinstance(text, bytes) else text.encode())
    loaded = load([file], taken=RESERVED, limit_s=ENDLESS_S if name == ENDLESS else LOAD_S)
    told = counted(loaded.problems).replace(str(file), "mine.py")
    return name, told or "(nothing)", ", ".join(each.name for each in loaded.tools) or "(none)"


def cells(fault: Fault, place: Path) -> tuple[str, str, str, str]:
    """What came of a fault."""
    (place / "files" / "x.txt").unlink(missing_ok=True)
    (place / "files").mkdir(exist_ok=True)
    usual = {
        "api_key": "test", "model": "gpt-4o-mini", "embedding": "endpoint:words", "recall_tokens": 0,
        "own_tools": (str(place / "tools.py"),), "folders": (str(place / "files"),),
    }  # fmt: skip
    with ScriptedServer(default=DONE) as server, unchanged():
        server.enqueue(*[Answer(calls=calls) for calls in fault.steps])
        settings = Settings(place / "home", base_url=server.url, **usual | fault.settings)
        with closing(App(settings, print)) as app:
            return (fault.name, *played(app, fault, str(place)))


@contextmanager
def unchanged() -> Iterator[None]:
    """What of the process a tool changes is put back."""
    folder, environment = Path.cwd(), dict(os.environ)
    try:
        yield
    finally:
        os.chdir(folder)
        os.environ.clear()
        os.environ.update(environment)


def played(app: App, fault: Fault, place: str) -> tuple[str, str, str]:
    """What the model is told, how the turn ends, and what the log says of each call."""
    chat = app.chat(fault.owner)
    end = ""
    try:
        for _ in chat.turn("Go."):
            pass
    except Failure as failure:
        end = f"{failure}, exit code {failure.exit_code}"
    except KeyboardInterrupt:
        end = "stops, exit code 130"
    transcript = chat.session.transcript
    last = transcript[-1]
    asked = next(message for message in transcript if message.role == "user")
    if not end:
        end = "goes on" if last.content == DONE else f"ends: {last.content}"
    chat.end()
    told = [message.content for message in transcript if message.role == "tool"]
    receipts = app.memory.receipts
    log = [call for step in receipts.all_of_turn(asked.seq) for call in receipts.calls_of(step.seq)]
    said = [f"{'ok' if call.ok else 'not ok'}, {call.decision}" for call in log]
    return counted(told).replace(place, "FOLDER"), end, counted(said)


def counted(texts: list[str]) -> str:
    """The texts, each once with how often it came."""
    return " / ".join(
        shown(text) + (f" (×{texts.count(text)})" if texts.count(text) > 1 else "") for text in dict.fromkeys(texts)
    )


def shown(text: str) -> str:
    """A text on one line of a table, with nothing hidden."""
    line = visible(text).replace("\n", " ⏎ ").replace("\t", " ")
    return line if len(line) <= TOLD_CHARACTERS else f"{line[:TOLD_CHARACTERS]}…"


if __name__ == "__main__":
    print(section())
