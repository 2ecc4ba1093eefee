"""The forms in which models write tool calls as text: read whole, and judged by their first characters. Pure.

    {"name": "f", "arguments": {"x": 1}}      keys also function, tool; parameters, args, input; {"f": {"x": 1}}
    [{...}, {...}]                            several; or one after another, or a line each
    ```json {...} ```                         fenced, also as tool_call or without a word
    <tool_call>{...}</tool_call>              tagged, also <function_call>, <|tool_call|>, [TOOL_CALLS], <|python_tag|>
    <function=f>{"x": 1}</function>           tagged with the name, also [TOOL_CALLS]f{...}
    f(x=1)                                    alone on each line, and all of the text

It is a call only if its name is one of the tools offered, nothing stands beside name and arguments, and the arguments
are a JSON object. Damage is mended where it can mean but one thing: single quotes, a comma before the end, Python's
True, False and None, doubled braces around it, brackets missing at the end. A string that was cut is not completed, as
memory/drafts.py does for notes: notes are checked afterwards, a call is run.
"""

import json
import re
import uuid
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from assistant.wire import Wire, well_formed
from memory.records import ToolCall

Tools = Mapping[str, Wire]  # by name: the schema of its parameters

NAME_KEYS = ("name", "function", "tool")
ARGUMENT_KEYS = ("arguments", "parameters", "args", "input")
WRAPPERS = ("tool_calls", "tool_call", "function_call")
BESIDE = {"type", "id", "index"}  # what may stand beside name and arguments
TAGS = ("<tool_call>", "<function_call>", "<|tool_call|>", "<|python_tag|>", "[TOOL_CALLS]")
NAMED = ("<function=", "[TOOL_CALLS]")
ENDS = ("</tool_call>", "</function_call>", "</function>", "<|/tool_call|>")
DEEP = 4  # {"tool_calls": [{"function": {...}}]}: values in values at most
FENCE = "```"
FENCE_WORDS = ("json", "tool_call", "tool_calls", "")

_TAG = re.compile("|".join(map(re.escape, TAGS)))
_NAMED = re.compile(r"(?:<function=|\[TOOL_CALLS\])\s*([\w-]+)>?(?:\[ARGS\])?(?=\s*\{)")
_FENCED = re.compile(rf"{FENCE}[ \t]*({'|'.join(FENCE_WORDS)})(?=[\s{{\[<])")
_BETWEEN = re.compile(rf"(?:[\s,;]|{'|'.join(map(re.escape, ENDS))})*")
_BLANKS = re.compile(r"\s*")
_PART = re.compile(r""""(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|[{}\[\],]|[^"'{}\[\],]+""", re.DOTALL)
_WORDS = {"True": "true", "False": "false", "None": "null"}
_INTO = re.compile(r"""[\s\[]*(?:\{(?=\{))?(?:\{\s*["']function["']\s*:\s*(?=\{))?""")  # up to where a name may stand
_STOP = re.compile(r"\s*(?:```|</|<\|)")  # what closes a fence or a tag
_STRING = re.compile(r"""(["'])([^"'\\]*)(\1)?""")


def tools_by_name(schemas: Sequence[Wire]) -> Tools:
    """The tools offered, described as OpenAI's chat API wants them, by their names."""
    return {one["function"]["name"]: one["function"]["parameters"] for one in schemas}


# ---------------------------------------------------------------------- whole


def read(text: str, tools: Tools, whole: bool = True) -> tuple[tuple[ToolCall, ...], int]:
    """The calls with which the text begins, and where they end; without any: (), 0.

    `whole`: the text was not cut off, so brackets that are missing at its end may be added.
    """
    calls: list[ToolCall] = []
    end, fenced = 0, False
    for at, inside, found in _values(text, tools, whole):
        calls += (ToolCall(f"call_{uuid.uuid4().hex}", name, arguments) for name, arguments in found)
        end, fenced = at, inside
    end = _fence_end(text, end, whole) if fenced else end
    return (tuple(calls), _after(_BETWEEN, text, end)) if end else ((), 0)


def read_lines(text: str, tools: Tools) -> tuple[ToolCall, ...]:
    """The calls in a text of which each line is one like `f(x=1)`; without any, or with any other line: ()."""
    found = [_python_like(line, tools) for line in text.splitlines() if line.strip()]
    if not all(found):
        return ()
    return tuple(ToolCall(f"call_{uuid.uuid4().hex}", *one) for one in found if one)


def _values(text: str, tools: Tools, whole: bool) -> Iterator[tuple[int, bool, list[tuple[str, str]]]]:
    """Each value that is a call or several: where it ends, whether it stands in a fence, and name and arguments."""
    at, fenced = 0, False
    while True:
        at = _after(_BETWEEN, text, at)
        if fenced and text.startswith(FENCE, at):
            at, fenced = _after(_BETWEEN, text, at + len(FENCE)), False
        if not fenced and (fence := _FENCED.match(text, at)):
            at, fenced = _after(_BLANKS, text, fence.end()), True
        named, tagged = _NAMED.match(text, at), _TAG.match(text, at)
        mark = named or tagged
        value = _value(text, _after(_BLANKS, text, mark.end()) if mark else at, whole)
        if value is None:
            return
        found = _one(named[1], value[0], tools) if named else _calls(value[0], tools, bare=not tagged)
        if not found:
            return
        at = value[1]
        yield at, fenced, found


def _after(pattern: re.Pattern[str], text: str, at: int) -> int:
    found = pattern.match(text, at)
    return found.end() if found else at


def _fence_end(text: str, at: int, whole: bool) -> int:
    """Where a fence ends in which nothing else stands after `at`; 0 where something does."""
    end = _after(_BETWEEN, text, at)
    if text.startswith(FENCE, end):
        return end + len(FENCE)
    return end if whole and end == len(text) else 0


def _calls(value: Any, tools: Tools, bare: bool, deep: int = DEEP) -> list[tuple[str, str]]:
    """Name and arguments of each call in a JSON value; none if anything in it is no call.

    `bare`: no tag says that it is a call, so arguments must be there, even if there are none.
    """
    if isinstance(value, list) and deep:
        found = [_calls(one, tools, bare, deep - 1) for one in value]
        return [call for one in found for call in one] if all(found) else []
    if not isinstance(value, dict) or not deep:
        return []
    if len(value) == 1:
        ((key, inner),) = value.items()
        if key in WRAPPERS:
            return _calls(inner, tools, bare, deep - 1)
        if key in tools and isinstance(inner, dict):
            return _one(key, inner, tools)
    if isinstance(value.get("function"), dict):
        return _calls(value["function"], tools, bare, deep - 1) if value.keys() - BESIDE == {"function"} else []
    return _keyed(value, tools, bare)


def _keyed(value: Wire, tools: Tools, bare: bool) -> list[tuple[str, str]]:
    names = [key for key in NAME_KEYS if key in value]
    given = [key for key in ARGUMENT_KEYS if key in value]
    if len(names) != 1 or len(given) > 1 or value.keys() - BESIDE - {*names, *given} or (bare and not given):
        return []
    return _one(value[names[0]], value[given[0]] if given else {}, tools)


def _one(name: Any, arguments: Any, tools: Tools) -> list[tuple[str, str]]:
    """A call, if it is one of a tool that is offered, with a JSON object, which may come as text."""
    if isinstance(arguments, str):
        arguments = _object(arguments)
    if not isinstance(name, str) or name not in tools or not isinstance(arguments, dict | None):
        return []
    if arguments and "properties" in arguments and "properties" not in tools[name].get("properties", {}):
        return []  # the tool's own description, said again
    return [(name, well_formed(json.dumps(arguments or {}, ensure_ascii=False)))]


def _object(text: str) -> Any:
    found = _value(text, _after(_BETWEEN, text, 0), whole=True)
    if found is None or text[found[1] :].strip():
        return text
    return found[0]


def _python_like(line: str, tools: Tools) -> tuple[str, str] | None:
    """Name and arguments of a line like `f(x=1)`, also in brackets; None if it is none."""
    call = re.fullmatch(r"\s*(\[)?\s*([\w-]+)\((.*)\)\s*(?(1)\])\s*", line)
    mended = _mended(f"{{{call[3]}}}", 0, whole=False, keywords=True) if call else None
    if call is None or mended is None or mended[1] != len(call[3]) + 2:
        return None
    found = _one(call[2], mended[0], tools)
    return found[0] if found else None


# ---------------------------------------------------------------------- JSON, perhaps damaged


def _value(text: str, at: int, whole: bool) -> tuple[Any, int] | None:
    """The JSON object or array that begins there, and where it ends."""
    if not text.startswith(("{", "["), at):
        return None
    if text.startswith("{{", at):
        found = _mended(text, at + 1, whole)
        return (found[0], found[1] + text.startswith("}", found[1])) if found else None
    try:
        return json.JSONDecoder(strict=False).raw_decode(text, at)
    except (ValueError, RecursionError):
        return _mended(text, at, whole)


def _mended(text: str, at: int, whole: bool, keywords: bool = False) -> tuple[Any, int] | None:
    """The same of a value with damage that can mean but one thing. `keywords`: its keys stand as in `x=1`."""
    out: list[str] = []
    open_: list[str] = []
    end = at
    for part in _parts(text, at):
        end += len(part)
        if part in "{[":
            open_.append("}" if part == "{" else "]")
        elif part in "}]":
            _drop_comma(out)
            if open_.pop() != part:
                return None
        out.append(_as_json(part, keywords))
        if not open_:
            break
    if open_ and not (_STOP.match(text, end) or (whole and end == len(text))):
        return None
    try:
        return json.loads("".join(out + open_[::-1]), strict=False), end
    except (ValueError, RecursionError):
        return None


def _parts(text: str, at: int) -> Iterator[str]:
    """Strings, brackets, commas and what stands between them, up to a string without an end, or a closing tag."""
    while found := _PART.match(text, at):
        stop = None if found[0][0] in "\"'" else _STOP.search(found[0])
        if stop:
            yield from filter(None, [found[0][: stop.start()]])
            return
        yield found[0]
        at = found.end()


def _as_json(part: str, keywords: bool) -> str:
    if part.startswith("'"):
        inside = re.sub(r"\\.|\"", lambda found: {"\\'": "'", '"': '\\"'}.get(found[0], found[0]), part[1:-1])
        return f'"{inside}"'
    if part.startswith('"'):
        return part
    words = re.sub(r"\b(True|False|None)\b", lambda found: _WORDS[found[0]], part)
    return re.sub(r"(\w+)\s*=", r'"\1":', words) if keywords else words


def _drop_comma(out: list[str]) -> None:
    """Take away a comma at the end of `out`, which stands before the closing bracket."""
    place = next((place for place in range(len(out) - 1, -1, -1) if not out[place].isspace()), 0)
    if out and out[place] == ",":
        del out[place:]


# ---------------------------------------------------------------------- by its first characters


def may_be(head: str, tools: Tools, first: bool = False) -> bool:
    """Whether a text that begins so may still turn out to be a call. What is False stays so, whatever follows.

    `first`: nothing stands before it, so a line like `f(x=1)` is one, too.
    """
    head = head[_after(_BETWEEN, head, 0) :]
    if any(mark.startswith(head) for mark in (*TAGS, *NAMED, *ENDS, FENCE)):
        return True
    if head.startswith(FENCE):
        return _fence_may_be(head[len(FENCE) :], tools)
    if named := next((mark for mark in NAMED if head.startswith(mark)), ""):
        rest = head[len(named) :].lstrip()
        return _is_or_begins(rest, tools) or (named in TAGS and _value_may_be(rest, tools))
    if tag := next((mark for mark in TAGS if head.startswith(mark)), ""):
        return _value_may_be(head[len(tag) :].lstrip(), tools)
    return _value_may_be(head, tools) or (first and _is_or_begins(head.removeprefix("["), tools, "("))


def _fence_may_be(head: str, tools: Tools) -> bool:
    word, rest = re.fullmatch(r"[ \t]*([^\s{\[<]*)(.*)", head, re.DOTALL).groups()  # type: ignore[union-attr]
    if not rest:
        return any(one.startswith(word) for one in FENCE_WORDS)
    inside = rest.lstrip()
    return word in FENCE_WORDS and not inside.startswith(FENCE) and may_be(inside, tools)


def _is_or_begins(text: str, tools: Tools, after: str = "") -> bool:
    """Whether the text goes on from a tool's name, or may yet become one."""
    return any(text.startswith(f"{name}{after}") or f"{name}{after}".startswith(text) for name in tools)


def _value_may_be(head: str, tools: Tools) -> bool:
    """Whether a JSON value that begins so may still be a call: judged by its first key, and by the name if it is."""
    head = head[_after(_INTO, head, 0) :]
    first = _string(head[1:].lstrip()) if head.startswith("{") else None
    if first is None:
        return not head
    key, rest = first
    known = {*NAME_KEYS, *ARGUMENT_KEYS, *WRAPPERS, *BESIDE, *tools}
    if rest is None:
        return any(one.startswith(key) for one in known)
    if key not in NAME_KEYS or key in tools:
        return key in known
    rest = rest.lstrip().removeprefix(":").lstrip()
    return _name_may_be(rest, tools)


def _name_may_be(head: str, tools: Tools) -> bool:
    found = _string(head)
    if found is None:
        return False
    name, rest = found
    return any(one.startswith(name) for one in tools) if rest is None else name in tools


def _string(text: str) -> tuple[str, str | None] | None:
    """The string with which a text begins, and what follows it, None while its end has not come."""
    found = _STRING.match(text)
    if found and found[3]:
        return found[2], text[found.end() :]
    if found and found.end() == len(text):
        return found[2], None
    return None if text else ("", None)
