"""A tool is a typed Python function a model may call; a toolbox runs such calls and always answers with text.

A toolbox never raises for what a model wrote: the answer says what was wrong, so that the model can mend its call.
"""

import inspect
import json
import logging
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

Effect = Literal["reads", "writes", "network", "executes"]

log = logging.getLogger(__name__)

# Longer results are cut before they are counted: tokenising megabytes takes seconds. Text of more characters
# a token than this is nearly all blanks.
CHARACTERS_PER_TOKEN = 8
REASON_CHARACTERS = 500
SHOWN_CHARACTERS = 60

_JSON_TYPES = {str: "string", int: "integer", float: "number", bool: "boolean"}
_WORDS = {
    "string": "a string",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "array": "a list",
    "object": "an object",
}
_HEADINGS = {"Args:", "Returns:", "Raises:", "Examples:"}
_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_UNSAFE = re.compile(r"[\x00\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Tool:
    """A function a model may call. `parameters` is a JSON schema; `effects` says what it does to the world."""

    name: str
    description: str
    parameters: Mapping[str, Any]
    run: Callable[..., Any]
    effects: frozenset[Effect] = frozenset()

    def schema(self) -> dict[str, Any]:
        """Return the tool as OpenAI's chat API wants it described."""
        function = {"name": self.name, "description": self.description, "parameters": dict(self.parameters)}
        return {"type": "function", "function": function}


@dataclass(frozen=True, slots=True)
class ToolResult:
    """What a call gave. `text` is for the model; `ok` is False where the call was refused or failed."""

    text: str
    ok: bool


def tool(function: Callable[..., Any], effects: frozenset[Effect] = frozenset()) -> Tool:
    """Make a Tool from a typed function with a docstring.

    Parameters may be str, int, float, bool, Literal, list[X], dict[str, X] and X | None; one with a default need not
    be given. The description is the docstring up to its first heading. Under the heading "Args:" each line
    "name: what it is" describes a parameter; a line indented deeper goes on with it.

    Raises TypeError if the function has no plain name, no docstring or is a coroutine, if a parameter is untyped, of
    another type, variadic or positional only, if a default does not fit its type, or if "Args:" names no parameter.
    """
    name = getattr(function, "__name__", "")
    if not _NAME.fullmatch(name):
        raise TypeError(f"a tool needs a name of ASCII letters, digits, _ and -, at most 64; this one has {name!r}")
    if inspect.iscoroutinefunction(function):
        raise TypeError(f"{name} is a coroutine; a tool is a plain function")
    description, notes = _documented(name, inspect.getdoc(function) or "")
    return Tool(name, description, _parameters(name, function, notes), function, effects)


class Toolbox:
    """The tools of one conversation, run by name, with every answer held under a limit of tokens."""

    def __init__(self, tools: Sequence[Tool], count: Callable[[str], int], limit_tokens: int) -> None:
        """Keep the tools in the order given. `count` gives a text's tokens.

        Raises ValueError if two tools share a name, or if the limit is too small for the note that marks a cut.
        """
        self.tools = tuple(tools)
        self.names = tuple(each.name for each in tools)
        if len(set(self.names)) < len(self.names):
            raise ValueError(f"two tools share a name: {', '.join(self.names)}")
        if count(_cut_note(987_654_321_987)) > limit_tokens:
            raise ValueError(f"a limit of {limit_tokens} tokens is too small for a tool's result")
        self._count = count
        self._limit_tokens = limit_tokens

    def schemas(self) -> list[dict[str, Any]]:
        """Return all tools as OpenAI's chat API wants them described, always in the same order."""
        return [each.schema() for each in self.tools]

    def run(self, name: str, arguments: str) -> ToolResult:
        """Run one call as the model wrote it; `arguments` is JSON text, and empty text means no arguments.

        Whatever is wrong becomes a result with ok=False: an unknown tool, broken arguments, a tool that raises. A
        ValueError is a tool's own word to the model; of any other exception its type is named too.
        """
        try:
            return self._result(_text(self._call(name, arguments)), ok=True)
        except _RefusedError as error:
            return self._result(str(error), ok=False)
        except Exception as error:
            # Tools are anybody's code: whatever one of them raises must not end the conversation.
            log.debug("the tool %s failed", name, exc_info=True)
            return self._result(f"{name} failed: {_reason(error)}", ok=False)

    def _call(self, name: str, arguments: str) -> object:
        for each in self.tools:
            if each.name == name:
                return each.run(**_arguments(each, arguments))
        there_are = f"the tools are: {', '.join(self.names)}" if self.names else "there are no tools"
        raise _RefusedError(f'There is no tool "{_brief(name)}"{_similar(name, self.names)}; {there_are}.')

    def _result(self, text: str, ok: bool) -> ToolResult:
        return ToolResult(self._capped(_UNSAFE.sub("\N{REPLACEMENT CHARACTER}", text)), ok)

    def _capped(self, text: str) -> str:
        """Return the text, or its head and tail with a note between them, within the limit."""
        kept = min(len(text), self._limit_tokens * CHARACTERS_PER_TOKEN)
        shown = _cut(text, kept)
        while kept > 0 and (tokens := self._count(shown)) > self._limit_tokens:
            # A little less than the share that would fit: the rest may be denser, and each count costs time.
            kept = int(kept * self._limit_tokens / tokens * 0.95)
            shown = _cut(text, kept)
        return shown


class _RefusedError(ValueError):
    """The model's call cannot be run; the message tells it why."""


# From a function to a schema


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
        hints = get_type_hints(function)
    except NameError as error:
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
        return _fit(value, schema, where)
    except _RefusedError as error:
        raise TypeError(f"the default does not fit its type: {error}") from error


def _schema(where: str, kind: Any) -> dict[str, Any]:
    """Return the JSON schema of a Python type, or raise TypeError if tools cannot take it."""
    origin, inner = get_origin(kind), get_args(kind)
    if isinstance(kind, type) and kind in _JSON_TYPES:
        return {"type": _JSON_TYPES[kind]}
    if origin is list:
        return {"type": "array", "items": _schema(where, inner[0])}
    if origin is dict and inner[0] is str:
        return {"type": "object", "additionalProperties": _schema(where, inner[1])}
    if origin is Literal and len(kinds := {type(value) for value in inner}) == 1 and kinds <= set(_JSON_TYPES):
        return {"type": _JSON_TYPES[kinds.pop()], "enum": list(inner)}
    if origin in (Union, UnionType) and len(inner) == 2 and type(None) in inner:
        return {"anyOf": [_schema(where, next(k for k in inner if k is not type(None))), {"type": "null"}]}
    raise TypeError(
        f"{where} has the type {kind!r}; a tool takes str, int, float, bool, Literal of one type, list[X], "
        "dict[str, X] and X | None"
    )


# From a model's text to arguments


def _arguments(called: Tool, text: str) -> dict[str, Any]:
    """Return the arguments checked against the schema, or raise _RefusedError naming all that is wrong with them."""
    given, known = _object(called.name, text), called.parameters["properties"]
    problems = [f'"{name}" is missing' for name in called.parameters["required"] if name not in given]
    problems += [f'"{_brief(name)}" is unknown{_similar(name, known)}' for name in given if name not in known]
    values = {}
    for name in [name for name in given if name in known]:
        try:
            values[name] = _fit(given[name], known[name], f'"{name}"')
        except _RefusedError as error:
            problems.append(str(error))
    if problems:
        raise _RefusedError(f"{called.name} was not run: {'; '.join(problems)}. {_usage(called)}")
    return values


def _object(name: str, text: str) -> dict[str, Any]:
    try:
        found = json.loads(text.strip() or "{}", parse_constant=_no_constant)
    except RecursionError:
        raise _RefusedError(f"{name} was not run: the arguments are nested too deeply.") from None
    except ValueError as error:
        raise _RefusedError(f"{name} was not run: the arguments are not JSON ({error}). Send one object.") from error
    if not isinstance(found, dict):
        raise _RefusedError(f"{name} was not run: the arguments are {_shown(found)}. Send one JSON object.")
    return found


def _no_constant(text: str) -> object:
    raise ValueError(f"{text} is no JSON number")


def _fit(value: Any, schema: Mapping[str, Any], where: str) -> Any:
    """Return the value as the function wants it, or raise _RefusedError. Whole floats are taken as ints."""
    if "anyOf" in schema:
        return None if value is None else _fit(value, schema["anyOf"][0], where)
    match schema["type"], value:
        case ("string", str()) | ("boolean", bool()):
            return _chosen(value, schema, where)
        case "integer", int() | float() if not isinstance(value, bool) and value == value // 1:
            return _chosen(int(value), schema, where)
        case "number", int() | float() if not isinstance(value, bool) and _is_finite(value):
            return _chosen(float(value), schema, where)
        case "array", list():
            return [_fit(each, schema["items"], f"{where}[{place}]") for place, each in enumerate(value)]
        case "object", dict():
            inner = schema["additionalProperties"]
            return {key: _fit(each, inner, f'{where}["{_brief(key)}"]') for key, each in value.items()}
    raise _RefusedError(f"{where} must be {_wanted(schema)}, not {_shown(value)}")


def _is_finite(value: float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # an int beyond every float
        return False


def _chosen(value: Any, schema: Mapping[str, Any], where: str) -> Any:
    if value in schema.get("enum", [value]):
        return value
    raise _RefusedError(f"{where} must be {_wanted(schema)}, not {_shown(value)}")


def _usage(called: Tool) -> str:
    required = called.parameters["required"]
    known = [
        f'"{name}" ({_wanted(schema)}, {"required" if name in required else "optional"})'
        for name, schema in called.parameters["properties"].items()
    ]
    return f"It takes {', '.join(known) or 'no arguments'}."


def _wanted(schema: Mapping[str, Any]) -> str:
    if "anyOf" in schema:
        return f"{_wanted(schema['anyOf'][0])} or null"
    if "enum" in schema:
        return f"one of {', '.join(json.dumps(value, ensure_ascii=False) for value in schema['enum'])}"
    return _WORDS[schema["type"]]


def _shown(value: object) -> str:
    """Name a value in a few words; what is nested may be huge or deep and is not spelled out."""
    if isinstance(value, list | dict):
        return "a list" if isinstance(value, list) else "an object"
    return _brief(json.dumps(value, ensure_ascii=False, default=repr))


def _brief(text: str) -> str:
    return text if len(text) <= SHOWN_CHARACTERS else f"{text[:SHOWN_CHARACTERS]}…"


def _similar(name: str, known: Sequence[str] | Mapping[str, Any]) -> str:
    close = get_close_matches(name, list(known), n=1)
    return f', did you mean "{close[0]}"?' if close else ""


# From what a tool gave to text


def _text(value: object) -> str:
    """Return a tool's return value as text. Raises TypeError or ValueError for what JSON cannot carry."""
    match value:
        case str():
            return value
        case bytes() | bytearray():
            return f"({len(value):,} bytes that are not text)"
        case None:
            return "(done; there is nothing to show)"
    return json.dumps(value, ensure_ascii=False)


def _reason(error: Exception) -> str:
    """Return an exception as one short line."""
    try:
        said = " ".join(str(error).split())[:REASON_CHARACTERS]
    except Exception as worse:
        log.debug("a %s cannot be shown", type(error).__name__, exc_info=True)
        said = f"(its message cannot be shown: {type(worse).__name__})"
    kind = type(error).__name__
    if not said:
        return kind
    return said if isinstance(error, ValueError) else f"{kind}: {said}"


def _cut(text: str, kept: int) -> str:
    """Keep that many characters, two thirds of them from the head, and say how many were left out."""
    if kept >= len(text):
        return text
    tail = kept // 3
    return text[: kept - tail] + _cut_note(len(text) - kept) + text[len(text) - tail :]


def _cut_note(characters: int) -> str:
    return f"\n[... {characters:,} characters left out ...]\n"
