"""Trajectories: questions with the way that is expected to their answers, read from JSON lines.

The form is described in docs/trajectories.md; rehearsal.py lets a case happen, judging.py judges what did.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from assistant.wire import well_formed
from memory.errors import BadInput
from memory.importers import jsonl
from memory.importers.jsonl import Refused
from memory.importers.parsed import Bad
from memory.records import ToolCall
from tools.arguments import quoted, similar

SCHEMA = "assistant.trajectory/1"
MODELS = ("scripted", "real")
ORDERS = ("exact", "in_order", "any")
APPROVALS = ("deny", "allow")
# The names of limits in a case, and of the settings that they stand for.
LIMITS = {"steps": "max_steps", "tokens": "max_tokens", "seconds": "max_seconds", "usd": "max_usd"}


@dataclass(frozen=True, slots=True)
class Said:
    """One answer of a script: text, calls, or both."""

    text: str
    calls: tuple[ToolCall, ...] = ()


@dataclass(frozen=True, slots=True)
class Call:
    """A call of a tool. Of an expected one the arguments are those that matter; what was no JSON object stays text."""

    name: str
    arguments: Mapping[str, Any] | str = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Expected:
    """What is to happen. `calls` is None where any will do; files of None are to be gone."""

    calls: tuple[Call, ...] | None = None
    order: str = "in_order"
    words: tuple[str, ...] = ()
    not_words: tuple[str, ...] = ()
    recalled: tuple[str, ...] = ()
    files: Mapping[str, str | None] = field(default_factory=dict)
    at_limit: bool = False


@dataclass(frozen=True, slots=True)
class Case:
    """A question, what surrounds it, and what is expected. `held` is the model that the case insists on, if it does.

    `memory` are sessions as assistant.session/1 wants them, `limits` settings by their names.
    """

    id: str
    question: str
    held: str = ""
    script: tuple[Said, ...] = ()
    expected: Expected = Expected()
    limits: Mapping[str, float] = field(default_factory=dict)
    memory: tuple[Mapping[str, Any], ...] = ()
    files: Mapping[str, str] = field(default_factory=dict)
    approve: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """What happened. `failure` is what ended the turn, `unasked` how many answers of the script nobody asked for."""

    calls: tuple[Call, ...]
    answer: str
    recalled: str = ""
    files: Mapping[str, str] = field(default_factory=dict)
    at_limit: bool = False
    failure: str = ""
    unasked: int = 0


DEPTH = 100  # of lists and objects in a case


def read(path: Path) -> tuple[list[Case], list[Bad]]:
    """The cases of a file of JSON lines, and the lines that are none. Raises BadInput for what cannot be read."""
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"Cannot read {path}: {error}.", "It is to be UTF-8 text.") from error
    cases: dict[str, Case] = {}
    bad: list[Bad] = []
    for number, line in enumerate(lines, 1):
        if line.strip():
            try:
                case = case_of(_json(line))
            except Refused as error:
                bad.append(Bad(number, str(error)))
                continue
            if case.id in cases:
                bad.append(Bad(number, f"the id {quoted(case.id)!r} is there already"))
            cases.setdefault(case.id, case)
    return list(cases.values()), bad


def case_of(value: object) -> Case:
    """One line's object as a case. Raises Refused for what has no sure meaning, unknown fields among it."""
    fields = _Fields(value, "the line")
    if (schema := fields.text("schema", SCHEMA)) != SCHEMA:
        raise Refused(f"the schema is {quoted(schema)!r}, and only {SCHEMA!r} is known")
    script = tuple(_answer(one, f"script[{n}]") for n, one in enumerate(fields.items("script")))
    held = fields.choice("model", ("", *MODELS))
    if held == "scripted" and not script:
        raise Refused('"scripted" needs a script')
    case = Case(
        fields.needed("id"),
        fields.needed("question"),
        held,
        script,
        _expected(_Fields(fields.take("expect", {}), "expect")),
        _limits(_Fields(fields.take("limits", {}), "limits")),
        tuple(_session(one, f"memory[{n}]") for n, one in enumerate(fields.items("memory"))),
        {name: _Fields.as_text(text, f"files[{name!r}]") for name, text in fields.files("files")},
        fields.choice("approve", APPROVALS) == "allow",
    )
    fields.end()
    return case


def _json(line: str) -> object:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise Refused(f"not JSON: {error}") from error
    _check_depth(found, DEPTH)
    return found


def _check_depth(value: object, left: int) -> None:
    """What is compared is gone through level by level, so there may not be many."""
    if not left:
        raise Refused(f"it is nested more than {DEPTH} deep")
    for each in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        _check_depth(each, left - 1)


def _answer(value: object, where: str) -> Said:
    if isinstance(value, str):
        return Said(value)
    fields = _Fields(value, where)
    calls = [_scripted_call(one, f"{where}.calls[{n}]", n) for n, one in enumerate(fields.items("calls"))]
    answer = Said(fields.text("text"), tuple(calls))
    fields.end()
    return answer


def _scripted_call(value: object, where: str, place: int) -> ToolCall:
    """A call as a model would write it; its arguments may be text, to be as broken as a model's."""
    fields = _Fields(value, where)
    name, arguments = fields.needed("name"), fields.take("arguments", {})
    fields.end()
    text = arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False)
    return ToolCall(f"call_{place + 1}", name, text)


def _expected(fields: "_Fields") -> Expected:
    no_calls, listed = fields.flag("no_calls"), fields.take("calls", None)
    if no_calls and listed:
        raise Refused("expect has calls and no_calls")
    if listed is not None and not isinstance(listed, list):
        raise Refused("expect.calls is not a list")
    calls = None if listed is None else tuple(_wanted(one, f"expect.calls[{n}]") for n, one in enumerate(listed))
    order = fields.choice("order", ("in_order", *ORDERS))
    files = {
        name: None if text is None else _Fields.as_text(text, f"expect.files[{name!r}]")
        for name, text in fields.files("files")
    }
    found = Expected(
        () if no_calls else calls,
        "exact" if no_calls or calls == () else order,
        fields.texts("words"),
        fields.texts("not_words"),
        fields.texts("recalled"),
        files,
        fields.flag("at_limit"),
    )
    fields.end()
    return found


def _wanted(value: object, where: str) -> Call:
    if isinstance(value, str):
        return Call(value)
    fields = _Fields(value, where)
    call = Call(fields.needed("name"), _Fields(fields.take("arguments", {}), f"{where}.arguments").given)
    fields.end()
    return call


def _limits(fields: "_Fields") -> Mapping[str, float]:
    found = {}
    for name, setting in LIMITS.items():
        value = fields.take(name, None)
        if value is not None:
            whole = name in ("steps", "tokens")
            fits = isinstance(value, int if whole else (int, float)) and not isinstance(value, bool)
            if not fits or not 0 < value < 2**53:
                raise Refused(f"limits.{name} is not a {'whole ' if whole else ''}number above 0")
            found[setting] = value if whole else float(value)
    fields.end()
    return found


def _session(value: object, where: str) -> Mapping[str, Any]:
    session = {"schema": jsonl.SCHEMA, **_Fields(value, where).given}
    try:
        jsonl.conversation(session, mine=True)
    except Refused as error:
        raise Refused(f"{where}: {error}") from error
    return session


class _Fields:
    """The fields of an object, taken out one by one; what is left at the end is unknown. All raise Refused."""

    def __init__(self, value: object, where: str) -> None:
        if not isinstance(value, dict):
            raise Refused(f"{where} is not an object")
        self.given: Mapping[str, Any] = value
        self._where = "" if where == "the line" else f"{where}."
        self._known: list[str] = []

    def take(self, name: str, default: Any) -> Any:
        self._known.append(name)
        return self.given.get(name, default)

    def text(self, name: str, default: str = "") -> str:
        return self.as_text(self.take(name, default), f"{self._where}{name}")

    def needed(self, name: str) -> str:
        if not (found := self.text(name)).strip():
            raise Refused(f"{self._where}{name} is missing")
        return found

    def choice(self, name: str, choices: Sequence[str]) -> str:
        if (found := self.text(name, choices[0])) not in choices:
            known = ", ".join(dict.fromkeys(filter(None, choices)))
            raise Refused(f"{self._where}{name} is {quoted(found)!r}, and not one of {known}")
        return found

    def flag(self, name: str) -> bool:
        if not isinstance(found := self.take(name, False), bool):
            raise Refused(f"{self._where}{name} is not true or false")
        return found

    def items(self, name: str) -> list[Any]:
        if not isinstance(found := self.take(name, []), list):
            raise Refused(f"{self._where}{name} is not a list")
        return found

    def texts(self, name: str) -> tuple[str, ...]:
        return tuple(self.as_text(one, f"{self._where}{name}[{n}]") for n, one in enumerate(self.items(name)))

    def files(self, name: str) -> list[tuple[str, Any]]:
        """The entries of an object whose names are relative paths that do not lead out of their folder."""
        found = _Fields(self.take(name, {}), f"{self._where}{name}").given
        for path in found:
            parts = PurePosixPath(path).parts
            if not parts or path.startswith("/") or ".." in parts or "\0" in path or str(PurePosixPath(path)) != path:
                raise Refused(f"{self._where}{name} has {quoted(path)!r}, which is no file of a folder")
        return [(well_formed(path), text) for path, text in found.items()]

    def end(self) -> None:
        for name in self.given:
            if name not in self._known:
                raise Refused(f"{self._where}{quoted(name)} is unknown{similar(name, self._known)}")

    @staticmethod
    def as_text(value: object, where: str) -> str:
        if not isinstance(value, str):
            raise Refused(f"{where} is not text")
        return well_formed(value)
