"""Tools told in words, for endpoints that take no tools: what there are, and what was called before. Pure.

A request is changed as the quirks change it (quirks.py): the first system message tells the tools, an assistant's
calls become its text, in the form asked for, and a tool's result becomes a user message, fenced as data.
"""

import json
from collections.abc import Sequence
from typing import Any

from assistant.prompt import (
    ANSWER_TOOL,
    RESULT_CLOSE,
    RESULT_INTRO,
    RESULT_OPEN,
    TOOLS_BY_SCHEMA,
    TOOLS_IN_WORDS,
    unfenced,
)
from assistant.wire import Wire

# By schema to answer is a tool like any. Where the other choice was {"answer": text}, Qwen2.5-Coder-1.5B used a tool
# for 4 of 14 questions that need one, and guessed the rest; so for all 14.
ANSWER: Wire = {
    "name": "answer",
    "description": ANSWER_TOOL,
    "parameters": {
        "type": "object",
        "properties": {"text": {"type": "string"}},
        "required": ["text"],
        "additionalProperties": False,
    },
}


def described(tools: Sequence[Wire], by_schema: bool) -> str:
    """The tools, described as OpenAI's chat API wants them, as text of a system message."""
    functions = [*([ANSWER] if by_schema else []), *(one["function"] for one in tools)]
    return "\n".join([TOOLS_BY_SCHEMA if by_schema else TOOLS_IN_WORDS, "Tools:", *map(_line, functions)])


def descriptions(tools: Sequence[Wire]) -> tuple[str, ...]:
    """All that a request may say of these tools, each as one text: what a receipt keeps once."""
    return (described(tools, by_schema=False), described(tools, by_schema=True)) if tools else ()


def in_words(request: Wire) -> Wire:
    """The request without tools and what only goes with them. One with a response format is answered by schema."""
    tools = request.get("tools") or ()
    messages = [_as_text(message) for message in request["messages"]]
    if tools:
        messages = _with_system(messages, described(tools, "response_format" in request))
    rest = {name: value for name, value in request.items() if name != "tools"}
    return {**rest, "messages": messages}


def _line(function: Wire) -> str:
    told = {"tool": function["name"], "about": function["description"], "arguments": _parameters(function)}
    return json.dumps(told, ensure_ascii=False)


def _parameters(function: Wire) -> Any:
    return function["parameters"].get("properties", {})


def _with_system(messages: Sequence[Wire], text: str) -> list[Wire]:
    """The messages with a text at the end of the system message that stands first; it is made where there is none."""
    if messages and messages[0]["role"] == "system":
        first = messages[0]
        return [{**first, "content": f"{first['content']}\n\n{text}"}, *messages[1:]]
    return [{"role": "system", "content": text}, *messages]


def _as_text(message: Wire) -> Wire:
    if message["role"] == "tool":
        # No result can close the fence.
        inside = unfenced(message["content"], RESULT_OPEN[1:-1])
        intro = RESULT_INTRO.format(name=message.get("name", "the tool"))
        return {"role": "user", "content": "\n".join([intro, RESULT_OPEN, inside, RESULT_CLOSE])}
    if calls := message.get("tool_calls"):
        lines = [message["content"], *(_call(one["function"]) for one in calls)]
        return {"role": message["role"], "content": "\n".join(filter(None, lines))}
    return message


def _call(function: Wire) -> str:
    return f'{{"tool": {json.dumps(function["name"])}, "arguments": {function["arguments"]}}}'
