"""What a model wrote as a call's arguments, checked against the tool's schema. Pure.

All that is wrong is told at once, so that the model can mend its call.
"""

import json
import math
import re
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any

SHOWN_CHARACTERS = 60
SHOWN_NAMES = 10  # that are unknown; to look for the one that was meant takes time for each

_WORDS = {
    "string": "a string",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "array": "a list",
    "object": "an object",
}


# What neither SQLite's functions nor UTF-8 can carry.
_UNSAFE = re.compile(r"[\x00\ud800-\udfff]")


class RefusedError(ValueError):
    """The model's call cannot be run; the message tells it why."""


def checked(tool: str, parameters: Mapping[str, Any], text: str) -> dict[str, Any]:
    """Return the arguments of a call of `tool`, checked against the schema of its parameters.

    Raises RefusedError, which names all that is wrong with them.
    """
    given, known = _object(tool, text), parameters["properties"]
    problems = [f'"{name}" is missing' for name in parameters["required"] if name not in given]
    problems += _unknown([name for name in given if name not in known], known)
    values = {}
    for name in [name for name in given if name in known]:
        try:
            values[name] = fit(given[name], known[name], f'"{name}"')
        except RefusedError as error:
            problems.append(str(error))
    if problems:
        raise RefusedError(f"{tool} was not run: {'; '.join(problems)}. {_usage(parameters)}")
    return values


def _unknown(names: Sequence[str], known: Mapping[str, Any]) -> list[str]:
    told = [f'"{quoted(name)}" is unknown{similar(name, known)}' for name in names[:SHOWN_NAMES]]
    return told + ([f"{len(names) - SHOWN_NAMES:,} more are unknown"] if len(names) > SHOWN_NAMES else [])


def _object(name: str, text: str) -> dict[str, Any]:
    try:
        found = json.loads(text.strip() or "{}", parse_int=_whole, parse_constant=_no_constant)
    except RecursionError:
        raise RefusedError(f"{name} was not run: the arguments are nested too deeply.") from None
    except ValueError as error:
        raise RefusedError(f"{name} was not run: the arguments are not JSON ({error}). Send one object.") from error
    if not isinstance(found, dict):
        raise RefusedError(f"{name} was not run: the arguments are {_shown(found)}. Send one JSON object.")
    return found


def _no_constant(text: str) -> object:
    raise ValueError(f"{text} is no JSON number")


def _whole(text: str) -> int:
    """The number. Python reads none of more than 4,300 digits, since that takes ever longer."""
    try:
        return int(text)
    except ValueError:
        raise ValueError(f"a number has {len(text):,} digits") from None


def fit(value: Any, schema: Mapping[str, Any], where: str) -> Any:
    """Return the value as the function wants it, or raise RefusedError. Whole floats are taken as ints.

    Text is made safe here, so that what runs is what can be shown.
    """
    if "anyOf" in schema:
        return None if value is None else fit(value, schema["anyOf"][0], where)
    match schema["type"], value:
        case ("string", str()) | ("boolean", bool()):
            return _chosen(safe(value) if isinstance(value, str) else value, schema, where)
        case "integer", int() | float() if not isinstance(value, bool) and value == value // 1:
            return _chosen(int(value), schema, where)
        case "number", int() | float() if not isinstance(value, bool) and _is_finite(value):
            return _chosen(float(value), schema, where)
        case "array", list():
            return [fit(each, schema["items"], f"{where}[{place}]") for place, each in enumerate(value)]
        case "object", dict():
            inner = schema["additionalProperties"]
            return {safe(key): fit(each, inner, f'{where}["{quoted(key)}"]') for key, each in value.items()}
    raise RefusedError(f"{where} must be {_wanted(schema)}, not {_shown(value)}")


def _is_finite(value: float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # an int beyond every float
        return False


def _chosen(value: Any, schema: Mapping[str, Any], where: str) -> Any:
    if value in schema.get("enum", [value]):
        return value
    raise RefusedError(f"{where} must be {_wanted(schema)}, not {_shown(value)}")


def _usage(parameters: Mapping[str, Any]) -> str:
    required = parameters["required"]
    known = [
        f'"{name}" ({_wanted(schema)}, {"required" if name in required else "optional"})'
        for name, schema in parameters["properties"].items()
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
    return quoted(json.dumps(value, ensure_ascii=False, default=repr))


def safe(text: str) -> str:
    """The text with U+FFFD for NUL and for each lone half of a surrogate pair."""
    return _UNSAFE.sub("\N{REPLACEMENT CHARACTER}", text)


def quoted(text: str) -> str:
    """A text that may be long, fit to be named in a message."""
    return text if len(text) <= SHOWN_CHARACTERS else f"{text[:SHOWN_CHARACTERS]}…"


def similar(name: str, known: Sequence[str] | Mapping[str, Any]) -> str:
    """The question whether the nearest of the known names was meant; empty where none is near."""
    close = get_close_matches(name, list(known), n=1)
    return f', did you mean "{close[0]}"?' if close else ""
