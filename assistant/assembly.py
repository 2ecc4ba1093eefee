"""Tool calls put together from the pieces of a stream, as OpenAI cuts them and as other servers do. Pure.

A piece belongs to the call of its index. Servers differ: some give no index or always 0, no id, one id for all or a new
one in each piece, the name again in each piece or in pieces, and the arguments as an object instead of a text.
"""

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from assistant.wire import well_formed
from memory.records import ToolCall


@dataclass(slots=True)
class CallAssembly:
    """The calls of one reply as far as they came."""

    _calls: list[ToolCall] = field(default_factory=list)
    _places: dict[object, int] = field(default_factory=dict)  # in `_calls`, by the index the server gave

    def add(self, piece: Mapping[str, Any]) -> None:
        """Add a piece to the call it belongs to, or begin another call."""
        index, function = piece.get("index"), _mapping(piece.get("function"))
        arguments = _arguments(function.get("arguments"))
        name, call_id = _text(function.get("name")), _text(piece.get("id"))
        place = self._places.get(index)
        known = None if place is None else self._calls[place]
        if known is None or _is_another(known, name, call_id, arguments, has_index=index is not None):
            # Where arguments follow on whole ones without a name, the call is to the same tool.
            name = name or (known.name if known else "")
            self._places[index] = len(self._calls)
            self._calls.append(ToolCall(call_id, name, arguments))
        else:
            assert place is not None
            grown = known.name if known.arguments else _grown_name(known.name, name)
            self._calls[place] = ToolCall(known.id or call_id, grown, known.arguments + arguments)

    def whole(self) -> tuple[ToolCall, ...]:
        """The calls, each with an id of its own. A call with neither name nor arguments is none."""
        found: dict[str, ToolCall] = {}
        for call in self._calls:
            if call.name or call.arguments.strip():
                own = call.id if call.id and call.id not in found else f"call_{uuid.uuid4().hex}"
                found[own] = call._replace(id=own, arguments=well_formed(call.arguments))
        return tuple(found.values())


def _is_another(known: ToolCall, name: str, call_id: str, arguments: str, *, has_index: bool) -> bool:
    """Whether a piece begins another call than the one at its index."""
    has_new_id = bool(call_id) and call_id != known.id
    if not known.arguments.strip():
        # A head after a head: its id tells; without an id, a name does where there is no index.
        return bool(name) and (has_new_id if call_id else not has_index)
    if not _is_whole(known.arguments):
        return False
    if arguments.strip():
        return True
    return bool(name) and (name != known.name or has_new_id or not has_index)


def _is_whole(arguments: str) -> bool:
    """Whether the arguments are a JSON object, to which nothing can be added."""
    if not arguments.rstrip().endswith("}"):
        return False
    try:
        return isinstance(json.loads(arguments), dict)
    except (ValueError, RecursionError):
        return False


def _grown_name(known: str, more: str) -> str:
    """The name with a piece more: most send it whole, some again and again, some in pieces or longer each time."""
    if more.startswith(known):
        return more
    return known if known.startswith(more) else known + more


def _arguments(given: object) -> str:
    if isinstance(given, str):
        return given
    return "" if given is None else json.dumps(given, ensure_ascii=False)


def _text(given: object) -> str:
    return given if isinstance(given, str) else ""


def _mapping(given: object) -> Mapping[str, Any]:
    return given if isinstance(given, Mapping) else {}
