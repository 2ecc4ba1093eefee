"""A tool is a typed Python function that a model may call: its schema is made from signature and docstring."""

import inspect
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from tools.arguments import RefusedError, fit

Effect = Literal["reads", "writes", "network", "executes"]
EFFECTS: tuple[Effect, ...] = get_args(Effect)

_JSON_TYPES = {str: "string", int: "integer", float: "number", bool: "boolean"}
_HEADINGS = {"Args:", "Returns:", "Raises:", "Examples:"}
_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")


@dataclass(frozen=True, slots=True)
class Tool:
    """A function a model may call. `parameters` is a JSON schema; `effects` says what it does to the world.

    `preview` is called with the same arguments as `run`, before its owner is asked: its text is what they say yes to,
    such as a diff. A ValueError of it refuses the call. Without one they see the arguments. `timeout_s` are the seconds
    after which a call is given up; None: the toolbox's own. `abandon` then ends what it began, from the number of the
    thread that it ran in; without it that may go on.
    """

    name: str
    description: str
    parameters: Mapping[str, Any]
    run: Callable[..., Any]
    effects: frozenset[Effect] = frozenset()
    preview: Callable[..., str] | None = None
    timeout_s: float | None = None
    abandon: Callable[[int], None] | None = None

    @property
    def is_outside(self) -> bool:
        """Whether its results may hold foreign words: of a page, a file, another program."""
        return bool(self.effects - {"writes"})

    def schema(self) -> dict[str, Any]:
        """Return the tool as OpenAI's chat API wants it described."""
        function = {"name": self.name, "description": self.description, "parameters": dict(self.parameters)}
        return {"type": "function", "function": function}


class Outside(str):
    """A tool's text that may hold foreign words, where its effects do not tell so already."""

    whose: str  # whose words they are; empty: the tool's, as those of a page are

    def __new__(cls, text: str, whose: str = "") -> "Outside":
        """`text` with the name of those whose words it holds."""
        made = super().__new__(cls, text)
        made.whose = whose
        return made


class OutsideError(ValueError):
    """A tool's refusal whose words, or what led to it, may be foreign, where its effects do not tell so already."""


def tool(
    function: Callable[..., Any],
    effects: frozenset[Effect] = frozenset(),
    preview: Callable[..., str] | None = None,
    timeout_s: float | None = None,
) -> Tool:
    """Make a Tool from a typed function with a docstring.

    Parameters may be str, int, float, bool, Literal, list[X], dict[str, X] and X | None; one with a default need not
    be given. The description is the docstring up to its first heading. Under the heading "Args:" each line
    "name: what it is" describes a parameter; a line indented deeper goes on with it.

    Raises TypeError if the function has no plain name, no docstring or is a coroutine, if a parameter is untyped, of
    another type, variadic or positional only, if a default does not fit its type, or if "Args:" names no parameter.
    """
    name = getattr(function, "__name__", "")
    _check_name(name)
    if inspect.iscoroutinefunction(function):
        raise TypeError(f"{name} is a coroutine; a tool is a plain function")
    description, notes = _documented(name, inspect.getdoc(function) or "")
    return Tool(name, description, _parameters(name, function, notes), function, effects, preview, timeout_s)


def sound(made: Tool) -> Tool:
    """A tool that was not made by tool(). Raises TypeError for what a toolbox, or an approval, could not work with."""
    _check_name(made.name)
    if not isinstance(made.description, str) or not made.description.strip():
        raise TypeError(f"{made.name} has no description")
    if not isinstance(made.effects, frozenset):
        raise TypeError(f"the effects of {made.name} are no frozenset")
    if isinstance(made.timeout_s, bool) or not isinstance(made.timeout_s, int | float | None):
        raise TypeError(f"the time limit of {made.name} is no number of seconds")
    if strange := sorted(map(str, made.effects - set(EFFECTS))):
        raise TypeError(f"{made.name} has effects that are none: {', '.join(strange)}")
    match made.parameters:
        case {"properties": Mapping() as properties, "required": list()}:
            for name, schema in properties.items():
                if not _is_checked(schema):
                    raise TypeError(f"{made.name}({name}) has a schema that tool() would not make: {schema}")
        case _:
            raise TypeError(f"the parameters of {made.name} need properties and required")
    return made


def _check_name(name: object) -> None:
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise TypeError(f"a tool needs a name of ASCII letters, digits, _ and -, at most 64; this one has {name!r}")


def _is_checked(schema: Any) -> bool:
    """Is it a schema that arguments can be checked against?"""
    match schema:
        case {"anyOf": [inner, {"type": "null"}]}:
            return _is_checked(inner)
        case {"type": "array", "items": inner} | {"type": "object", "additionalProperties": inner}:
            return _is_checked(inner)
        case {"type": kind}:
            return kind in _JSON_TYPES.values()
    return False


def _documented(name: str, docstring: str) -> tuple[str, dict[str, str]]:
    """Split a docstring into the description and the notes on the parameters."""
    sections: dict[str, list[str]] = {"": []}
    heading = ""
    for line in docstring.splitlines():
        if line in _HEADINGS:
            heading = line
        else:
            sections.setdefault(heading, []).append(line)
    description = "\n".join(sections[""]).strip()
    if not description:
        raise TypeError(f"{name} has no docstring, so a model cannot know what it is for")
    return description, _notes([line for line in sections.get("Args:", []) if line.strip()])


def _notes(lines: Sequence[str]) -> dict[str, str]:
    notes: dict[str, str] = {}
    name = ""
    for line in lines:
        if _indent(line) <= _indent(lines[0]):
            name, _, text = (part.strip() for part in line.partition(":"))
            notes[name] = text
        else:
            notes[name] += f" {line.strip()}"
    return notes


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def _parameters(name: str, function: Callable[..., Any], notes: Mapping[str, str]) -> dict[str, Any]:
    try:
        inspect.unwrap(function)  # get_type_hints would follow what wraps itself for ever
        hints = get_type_hints(function)
    except Exception as error:  # a type in quotes is any expression
        raise TypeError(f"{name} has a type that cannot be resolved: {error}") from error
    found = inspect.signature(function).parameters
    if strange := sorted(set(notes) - set(found)):
        raise TypeError(f"{name} documents what is no parameter: {', '.join(strange)}")
    return {
        "type": "object",
        "properties": {
            each.name: _property(f"{name}({each.name})", each, hints, notes.get(each.name, ""))
            for each in found.values()
        },
        "required": [each.name for each in found.values() if each.default is each.empty],
        "additionalProperties": False,
    }


def _property(where: str, parameter: inspect.Parameter, hints: Mapping[str, Any], note: str) -> dict[str, Any]:
    if parameter.kind not in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
        raise TypeError(f"{where} is variadic or positional only; a tool is called by names")
    if parameter.name not in hints:
        raise TypeError(f"{where} has no type")
    found = _schema(where, hints[parameter.name])
    if note:
        found["description"] = note
    if parameter.default is not parameter.empty:
        found["default"] = _default(where, parameter.default, found)
    return found


def _default(where: str, value: object, schema: Mapping[str, Any]) -> object:
    try:
        found = fit(value, schema, where)
        json.dumps(found)  # not every number can be sent: Python writes none of thousands of digits
    except (RefusedError, ValueError) as error:
        raise TypeError(f"the default does not fit its type: {error}") from error
    return found


def _schema(where: str, kind: Any) -> dict[str, Any]:
    """Return the JSON schema of a Python type, or raise TypeError if tools cannot take it."""
    origin, inner = get_origin(kind), get_args(kind)
    if isinstance(kind, type) and kind in _JSON_TYPES:
        return {"type": _JSON_TYPES[kind]}
    if origin is list and inner:
        return {"type": "array", "items": _schema(where, inner[0])}
    if origin is dict and inner and inner[0] is str:
        return {"type": "object", "additionalProperties": _schema(where, inner[1])}
    if origin is Literal and len(kinds := {type(value) for value in inner}) == 1 and kinds <= set(_JSON_TYPES):
        return {"type": _JSON_TYPES[kinds.pop()], "enum": list(inner)}
    if origin in (Union, UnionType) and len(inner) == 2 and type(None) in inner:
        return {"anyOf": [_schema(where, next(k for k in inner if k is not type(None))), {"type": "null"}]}
    raise TypeError(
        f"{where} has the type {kind!r}; a tool takes str, int, float, bool, Literal of one type, list[X], "
        "dict[str, X] and X | None"
    )
