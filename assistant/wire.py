"""A message as a request carries it, and a request's bytes: the same always give the same. Pure."""

import json
import re
from collections.abc import Mapping
from typing import Any

from memory.records import Message, ToolCall

Wire = Mapping[str, Any]  # a part of a request as JSON has it: a message, a tool, a schema
Request = Mapping[str, Any]  # its whole body


def to_wire(message: Message) -> dict[str, Any]:
    """The message as the request carries it: the same message always gives the same bytes, so that caches hold."""
    wire: dict[str, Any] = {"role": message.role, "content": well_formed(message.content)}
    if message.name:
        wire["name"] = _name(message.name)
    if message.tool_calls:
        wire["tool_calls"] = [_call_to_wire(call) for call in message.tool_calls]
    if message.tool_call_id is not None:
        wire["tool_call_id"] = message.tool_call_id
    return wire


def to_bytes(body: Request) -> bytes:
    """A request's body as it is sent: the same body always gives the same bytes."""
    return json.dumps(body, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()


def _call_to_wire(call: ToolCall) -> dict[str, Any]:
    function = {"name": _name(call.name), "arguments": _object(call.arguments)}
    return {"id": call.id, "type": "function", "function": function}


def _name(name: str) -> str:
    """The name as OpenAI takes it: one wrong character, made up by a model, would fail every later request."""
    return re.sub(r"[^a-zA-Z0-9_-]", "_", name)[:64] or "_"


def _object(arguments: str) -> str:
    """The arguments if they are a JSON object, else one that quotes them: some servers parse all that was said."""
    text = well_formed(arguments)
    return text or "{}" if _is_object(text or "{}") else json.dumps({"not_json": text}, ensure_ascii=False)


def _is_object(text: str) -> bool:
    """Is it an object that any parser takes? None has NaN, a number beyond every float, or half a surrogate pair."""
    try:
        found = json.loads(text)
        json.dumps(found, ensure_ascii=False, allow_nan=False).encode()
    except (ValueError, RecursionError):
        return False
    return isinstance(found, dict)


def well_formed(text: str) -> str:
    """The text with the halves of a surrogate pair joined, and a lone half, which UTF-8 cannot carry, as U+FFFD."""
    return text if text.isascii() else text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
