"""Tools of one's own: plain functions in Python files, and those that installed packages offer as entry points.

A fault in one of them is told in a line with its file and line number, and all others still work.
"""

import inspect
import sys
import traceback
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import redirect_stdout
from functools import partial
from pathlib import Path
from types import FunctionType, ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar, get_args

from tools.running import Running, message
from tools.tool import EFFECTS, Effect, Tool, sound, tool

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

GROUP = "assistant.tools"  # of entry points
LOAD_S = 60.0  # of one file or package: the largest libraries take some seconds

T = TypeVar("T")


class Loaded(NamedTuple):
    """The tools that can be used, and a line for each one that cannot."""

    tools: list[Tool]
    problems: list[str]


class _FaultError(Exception):
    """Why something is no tool, in one line that names the place."""


def load(paths: Sequence[Path], taken: Collection[str] = (), limit_s: float = LOAD_S) -> Loaded:
    """The tools of these files and folders, and of installed packages. `taken` are the names that are in use.

    Of a folder each *.py in it is read whose name does not begin with "_" or "."; they are run, as any import is, each
    for at most `limit_s`. What they print goes to standard error: standard output is for answers.
    """
    loaded, names = Loaded([], []), set(taken)
    with redirect_stdout(sys.stderr):
        found = [*_of_paths(paths, limit_s), *_of_packages(limit_s)]
    for given in found:
        if isinstance(given, _FaultError):
            loaded.problems.append(str(given))
        elif given.tool.name in names:
            loaded.problems.append(f"{given.where}: there is a tool {given.tool.name} already; this one is left out.")
        else:
            names.add(given.tool.name)
            loaded.tools.append(given.tool)
    return loaded


class _Given(NamedTuple):
    """A tool and where it comes from, for a person."""

    tool: Tool
    where: str


Found = Iterator[_Given | _FaultError]


# Files


def _of_paths(paths: Sequence[Path], limit_s: float) -> Found:
    for path in paths:
        try:
            files = _files(path.expanduser())
        except (OSError, RuntimeError, _FaultError) as error:
            yield _FaultError(f"{path}: {error}")
            continue
        for file in files:
            yield from _of_file(file, limit_s)


def _files(path: Path) -> list[Path]:
    if path.is_dir():
        return [each for each in sorted(path.glob("*.py")) if each.name[0] not in "_." and each.is_file()]
    if not path.exists():
        raise _FaultError("there is no such file or folder.")
    if path.suffix != ".py":
        raise _FaultError("is no Python file: its name does not end with .py.")
    return [path]


def _of_file(path: Path, limit_s: float) -> Found:
    module = _bounded(partial(_run, path), limit_s, str(path))
    if isinstance(module, _FaultError):
        yield module
        return
    found = [each for name, each in vars(module).items() if _is_own(name, each, module)]
    yield from _misstated(path, module, {each.__name__ for each in found})
    for function in sorted(dict.fromkeys(found), key=_line):
        yield _made(function, f"{path}, line {_line(function)}", module)


def _bounded(run: Callable[[], T | _FaultError], limit_s: float, where: str) -> T | _FaultError:
    """What anybody's code gives, in bounded time: in a thread, as the tools themselves run."""
    return Running[T | _FaultError](run, limit_s, lambda why: _FaultError(f"{where} {why}.")).wait()


def _run(path: Path) -> ModuleType | _FaultError:
    """The module that a file makes; or its fault, whatever it does."""
    # No import statement can spell such a name, so the file takes no other module's place.
    module = ModuleType(f"<tools of {path}>")
    module.__file__ = str(path)
    sys.modules[module.__name__] = module  # dataclasses look their module up
    vars(module)["input"] = _no_input
    try:
        exec(compile(path.read_bytes(), str(path), "exec"), vars(module))  # noqa: S102  the owner's own code
    except SyntaxError as error:
        return _FaultError(f"{error.filename or path}, line {error.lineno or 1}: {error.msg}.")
    except BaseException as error:  # noqa: BLE001  a file may not end the program
        return _FaultError(_told(error, path))
    return module


def _no_input(_prompt: object = "") -> str:
    """What a file finds as input(): a tool would take the keys that are meant for the conversation."""
    raise ValueError("nobody can be asked from here; what it needs must be an argument")


def _told(error: BaseException, path: Path) -> str:
    """An exception in one line, with the line of the file that it came from."""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
    return f"{path}{f', line {lines[-1]}' if lines else ''}: {_kind(error)}."


def _kind(error: BaseException) -> str:
    said = message(error)
    return f"{type(error).__name__}{f': {said}' if said else ''}"


def _is_own(name: str, found: Any, module: ModuleType) -> bool:
    """Is it a public function with a docstring, made in this file and not imported?"""
    return (
        isinstance(found, FunctionType)
        and found.__module__ == module.__name__
        and not name.startswith("_")
        and not found.__name__.startswith("_")
        and bool(inspect.getdoc(found))
    )


def _line(function: FunctionType) -> int:
    try:
        plain = inspect.unwrap(function)
    except ValueError:  # it wraps itself
        plain = function
    return plain.__code__.co_firstlineno if isinstance(plain, FunctionType) else 0


def _misstated(path: Path, module: ModuleType, known: Collection[str]) -> Iterator[_FaultError]:
    """What a file states of tools that it does not have: a slip of the pen would go unnoticed."""
    for constant in ("EFFECTS", "TIMEOUTS"):
        if not isinstance(vars(module).get(constant, {}), dict):
            yield _FaultError(f"{path}: {constant} is no table; write {{name: ...}}.")
        for name in _table(module, constant):
            if name not in known:
                yield _FaultError(f"{path}: {constant} names {name}, which is no tool of this file.")


def _table(module: ModuleType | None, constant: str) -> dict[str, Any]:
    found = getattr(module, constant, None)
    return found if isinstance(found, dict) else {}


# Packages


def _of_packages(limit_s: float) -> Found:
    """What entry points give: a function, a Tool, or a list of those."""
    from importlib.metadata import entry_points

    for entry in sorted(entry_points(group=GROUP), key=lambda one: (one.name, one.value)):
        where = f"the entry point {entry.name} ({entry.value})"
        found = _bounded(partial(_imported, entry, where), limit_s, where)
        for each in found if isinstance(found, list | tuple) else [found]:
            yield _offered(each, where)


def _imported(entry: "EntryPoint", where: str) -> Any:
    try:
        return entry.load()
    except BaseException as error:  # noqa: BLE001  a package may not end the program
        return _FaultError(f"{where}: {_kind(error)}.")


def _offered(found: Any, where: str) -> _Given | _FaultError:
    if isinstance(found, _FaultError):
        return found
    if isinstance(found, Tool):
        try:
            return _Given(sound(found), where)
        except Exception as error:  # noqa: BLE001  what a package gives may be of any shape
            return _FaultError(f"{where}: {error if isinstance(error, TypeError) else _kind(error)}.")
    if not isinstance(found, FunctionType):
        return _FaultError(f"{where}: it gives {type(found).__name__}, where a function, a Tool or a list is wanted.")
    return _made(found, where, sys.modules.get(found.__module__))


# Functions


def _made(function: FunctionType, where: str, module: ModuleType | None) -> _Given | _FaultError:
    """The tool that a function is, with what it, or its module, states of its effects and its time."""
    name = function.__name__
    try:
        effects = _effects(getattr(function, "effects", _table(module, "EFFECTS").get(name, EFFECTS)))
        timeout_s = _timeout(getattr(function, "timeout_s", _table(module, "TIMEOUTS").get(name)))
        return _Given(tool(function, effects, timeout_s=timeout_s), where)
    except Exception as error:  # noqa: BLE001  types, defaults and what a function states are anybody's code
        told = error if isinstance(error, TypeError) else _kind(error)
        return _FaultError(f"{where}: {name} is no tool: {told}.")


def _effects(stated: Any) -> frozenset[Effect]:
    """What a function states, or TypeError. One that states nothing is taken for the worst: it asks."""
    known = get_args(Effect)
    if isinstance(stated, str) or not isinstance(stated, Iterable) or not set(given := list(stated)) <= set(known):
        raise TypeError(f"its effects are {stated!r}; write a list of {', '.join(known)}")
    return frozenset(given)


def _timeout(stated: Any) -> float | None:
    if stated is None:
        return None
    if isinstance(stated, bool) or not isinstance(stated, int | float) or not stated > 0:
        raise TypeError(f"its time limit is {stated!r}; write seconds")
    return float(stated)
