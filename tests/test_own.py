"""Tools of one's own: functions in files and in packages; a fault in one is told and does not touch the others."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import pytest

from tests.conftest import Run
from tools.own import Loaded, load
from tools.tool import EFFECTS, sound, tool
from tools.toolbox import Toolbox

GOOD = '''
"""Tools for the house."""
from __future__ import annotations

import json
from dataclasses import dataclass
from json import dumps

EFFECTS = {"heat": ["writes", "network"], "double": []}
TIMEOUTS = {"heat": 5}


@dataclass
class Room:
    """A room."""

    name: str


def unsaid(x: int) -> int:
    return x


def _hidden(x: int) -> int:
    """Not a tool."""
    return x


def heat(room: str, degrees: float = 20.0) -> str:
    """Set the heating of a room.

    Args:
        room: Its name.
    """
    return dumps({Room(room).name: degrees})


def open_door(room: str) -> str:
    """Open a door."""
    return room


def double(number: int) -> int:
    """Double a number."""
    return number * 2


again = double
'''

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes a file of tools."""

    def make(text: str, name: str = "mine.py") -> Path:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        return path

    return make


def names(loaded: Loaded) -> list[str]:
    return [each.name for each in loaded.tools]


def test_the_public_functions_of_a_file_that_say_what_they_are_for_are_tools(write: Write) -> None:
    loaded = load([write(GOOD)])
    assert (names(loaded), loaded.problems) == (["heat", "open_door", "double"], [])
    heat, open_door, double = loaded.tools
    assert (heat.effects, heat.timeout_s) == ({"writes", "network"}, 5.0)
    assert (double.effects, double.timeout_s) == (frozenset(), None)
    assert open_door.effects == set(EFFECTS), "who says nothing is taken for the worst"
    assert heat.parameters["properties"]["room"] == {"type": "string", "description": "Its name."}
    tools = Toolbox(loaded.tools, len, 2_000)
    assert tools.run("heat", '{"room": "bath"}').text == '{"bath": 20.0}'
    assert tools.run("double", '{"number": 21}').text == "42"


def test_a_function_may_state_its_effects_itself(write: Write) -> None:
    text = 'def f(x: int) -> int:\n    """F."""\n    return x\n\nf.effects = {"reads"}\nf.timeout_s = 1.5\n'
    (found,) = load([write(text)]).tools
    assert (found.effects, found.timeout_s) == ({"reads"}, 1.5)


def test_a_file_takes_no_other_modules_place(write: Write) -> None:
    write('def calculator(expression: str) -> str:\n    """Mine."""\n    return "mine"\n', "json.py")
    before = sys.modules["json"], list(sys.path)
    loaded = load([write(GOOD, "json.py"), write(GOOD.replace("def heat", "def warm"), "sub/json.py")])
    assert (sys.modules["json"], sys.path) == before
    assert "warm" in names(loaded)
    assert not list((write(GOOD).parent).rglob("__pycache__"))


def test_of_a_folder_each_file_is_read_but_hidden_ones_and_those_below(write: Write, tmp_path: Path) -> None:
    for name in ("b.py", "a.py", "_no.py", ".no.py", "no.txt", "sub/no.py"):
        stem = Path(name).stem.strip("._")
        write(f'def tool_{stem}(x: int) -> int:\n    """Do it."""\n    return x\n', name)
    loaded = load([tmp_path])
    assert (names(loaded), loaded.problems) == (["tool_a", "tool_b"], [])


# ---------------------------------------------------------------------- faults


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("x = 1\ndef f(:\n", ", line 2: invalid syntax."),
        (
            "import no_such_module_anywhere\n",
            ", line 1: ModuleNotFoundError: No module named 'no_such_module_anywhere'.",
        ),
        ("def g():\n    return 1 / 0\n\ng()\n", ", line 2: ZeroDivisionError: division by zero."),
        ("raise SystemExit\n", ", line 1: SystemExit."),
        ('x = 1\n\n\ndef f(x) -> int:\n    """F."""\n', ", line 4: f is no tool: f(x) has no type."),
        ('def f(x: set) -> int:\n    """F."""\n', "f is no tool: f(x) has the type <class 'set'>; a tool takes "),
        (
            'async def f() -> int:\n    """F."""\n',
            ", line 1: f is no tool: f is a coroutine; a tool is a plain function.",
        ),
        (
            'EFFECTS = {"f": "reads"}\ndef f() -> int:\n    """F."""\n',
            "f is no tool: its effects are 'reads'; write a list",
        ),
        (
            'EFFECTS = {"f": ["read"]}\ndef f() -> int:\n    """F."""\n',
            "its effects are ['read']; write a list of reads,",
        ),
        ('EFFECTS = {"f": [[]]}\ndef f() -> int:\n    """F."""\n', "f is no tool: "),
        ('TIMEOUTS = {"f": 0}\ndef f() -> int:\n    """F."""\n', "f is no tool: its time limit is 0; write seconds."),
        ('EFFECTS = {"typo": []}\n', ": EFFECTS names typo, which is no tool of this file."),
        ('EFFECTS = ["reads"]\n', ": EFFECTS is no table; write {name: ...}."),
        (
            'def current_time() -> str:\n    """Mine."""\n',
            ", line 1: there is a tool current_time already; this one is left",
        ),
        (
            'import typing\ndef f(x: typing.List) -> int:\n    """F."""\n',
            "f(x) has the type typing.List; ",
        ),
        (
            'import typing\ndef f(x: typing.Dict) -> int:\n    """F."""\n',
            "f(x) has the type typing.Dict; ",
        ),
        ('def f(x: int = 10**5000) -> int:\n    """F."""\n', "f is no tool: "),
        ('def f() -> int:\n    """F."""\nf.timeout_s = 10**400\n', "f is no tool: OverflowError: "),
        (
            'def f() -> int:\n    """F."""\nf.__wrapped__ = f\n',
            "f is no tool: f has a type that cannot be resolved: wrapper loop",
        ),
        ("\0", "mine.py"),
        ("# -*- coding: nonsense -*-\n", ", line 1: "),
    ],
)
def test_a_fault_is_told_in_one_line_with_its_place_and_the_rest_still_works(
    text: str, problem: str, write: Write
) -> None:
    faulty, good = write(text), write(GOOD, "other.py")
    loaded = load([faulty, good], taken={"current_time"})
    (told,) = loaded.problems
    assert told.startswith(str(faulty)) and problem in told and "\n" not in told
    assert names(loaded) == ["heat", "open_door", "double"]


def test_the_other_tools_of_a_file_still_work(write: Write) -> None:
    loaded = load([write(GOOD + '\n\ndef bad(x) -> int:\n    """Bad."""\n')])
    assert (names(loaded), len(loaded.problems)) == (["heat", "open_door", "double"], 1)


def test_of_two_tools_of_one_name_the_first_stays(write: Write) -> None:
    loaded = load([write(GOOD), write(GOOD, "other.py")])
    assert names(loaded) == ["heat", "open_door", "double"]
    assert [line.partition(": ")[2] for line in loaded.problems] == [
        f"there is a tool {name} already; this one is left out." for name in names(loaded)
    ]
    assert all("other.py, line " in line for line in loaded.problems)


def test_a_path_that_is_none_is_told(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("")
    loaded = load([tmp_path / "gone", tmp_path / "notes.txt", Path("~nobody-of-that-name/x")])
    gone, text, nobody = loaded.problems
    assert gone == f"{tmp_path}/gone: there is no such file or folder."
    assert text == f"{tmp_path}/notes.txt: is no Python file: its name does not end with .py."
    assert nobody.startswith("~nobody-of-that-name/x: ")


def test_the_owner_can_stop_a_file_that_does_not_end(write: Write) -> None:
    text = "import os, signal, time\nos.kill(os.getpid(), signal.SIGINT)  # as a terminal does\ntime.sleep(60)\n"
    with pytest.raises(KeyboardInterrupt):
        load([write(text)])


def test_what_a_file_prints_is_no_answer(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    load([write('print("loaded")\n')])
    assert capsys.readouterr() == ("", "loaded\n")


def test_a_tool_reads_no_keys_of_its_owner(write: Write) -> None:
    loaded = load([write('def f() -> str:\n    """F."""\n    return input("Your password: ")\n')])
    assert Toolbox(loaded.tools, len, 500).run("f", "").text == (
        "f failed: nobody can be asked from here; what it needs must be an argument"
    )


# ---------------------------------------------------------------------- packages


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], None]:
    """Installs a package with entry points, as its metadata on the path says."""

    def install(code: str, points: str) -> None:
        site = tmp_path / "site"
        (site / "house-1.0.dist-info").mkdir(parents=True)
        (site / "house-1.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: house\nVersion: 1.0\n")
        (site / "house-1.0.dist-info" / "entry_points.txt").write_text(f"[assistant.tools]\n{points}\n")
        (site / "house_of_tests.py").write_text(code)
        monkeypatch.syspath_prepend(site)
        monkeypatch.delitem(sys.modules, "house_of_tests", raising=False)

    return install


def test_an_entry_point_gives_a_function_a_tool_or_a_list(package: Callable[[str, str], None]) -> None:
    code = GOOD + "\nfrom tools.tool import tool\nmany = [tool(double), open_door]\n"
    package(code, "one = house_of_tests:heat\nmore = house_of_tests:many")
    loaded = load([])
    assert {each.name: each.effects for each in loaded.tools} == {
        "double": frozenset(),
        "open_door": set(EFFECTS),
        "heat": {"writes", "network"},
    }
    assert loaded.problems == []


def test_an_entry_point_that_fails_is_told(package: Callable[[str, str], None]) -> None:
    package(
        "def f(x): pass\nnumber = 4\n",
        "a = house_of_tests:f\nb = house_of_tests:number\nc = gone_module:x\nd = json:no",
    )
    loaded = load([])
    assert loaded.tools == []
    untyped, number, gone, missing = loaded.problems
    assert untyped.startswith("the entry point a (house_of_tests:f): f is no tool: f has no docstring, ")
    assert number.endswith("it gives int, where a function, a Tool or a list is wanted.")
    assert "ModuleNotFoundError" in gone and "AttributeError" in missing


@pytest.mark.parametrize(
    ("made", "problem"),
    [
        ("Tool('a b', 'A.', {}, print)", "a tool needs a name of ASCII letters"),
        ("Tool('a', '', {}, print)", "a has no description"),
        ("Tool('a', 'A.', {}, print)", "the parameters of a need properties and required"),
        ("Tool('a', 'A.', None, print)", "the parameters of a need properties and required"),
        ("Tool('a', 'A.', {'properties': {'x': {'$ref': 'y'}}, 'required': []}, print)", "a(x) has a schema that tool"),
        ("Tool('a', 'A.', {'properties': {}, 'required': []}, print, frozenset({'harms'}))", "effects that are none: "),
        (
            "Tool('a', 'A.', {'properties': {}, 'required': []}, print, ['network'])",
            "effects of a are no frozenset",
        ),
        (
            "Tool('a', 'A.', {'properties': {}, 'required': []}, print, timeout_s='5')",
            "limit of a is no number",
        ),
    ],
)
def test_a_tool_that_a_package_made_by_hand_is_looked_at(
    made: str, problem: str, package: Callable[[str, str], None]
) -> None:
    package(f"from tools.tool import Tool\nmade = {made}\n", "one = house_of_tests:made")
    (told,) = load([]).problems
    assert told.startswith("the entry point one (house_of_tests:made): ") and problem in told


def test_each_schema_that_is_made_here_passes_there() -> None:
    def search(query: str, tags: list[dict[str, int]] | None = None, order: Literal["a"] = "a") -> str:
        """Search."""

    assert sound(tool(search)) is not None


def test_the_program_starts_without_looking_for_any(assistant: Run) -> None:
    seen = assistant("--help", env={"PYTHONPROFILEIMPORTTIME": "1"}).stderr
    assert "click" in seen and "tools.own" not in seen and "importlib.metadata" not in seen
