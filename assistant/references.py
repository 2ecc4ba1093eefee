"""A request as references to what is stored, and built again from them byte for byte. Pure: it is handed the texts.

The body stays as it is, but for its texts. Of `messages` each is one of

    [12, 57]                  the session's stored messages from seq 12 to 57, as they went over the wire
    "n12"                     the system message that was made for the user message 12
    {"same": [34, 5]}         the first 5 messages of the request of receipt 34
    {"role": ..., ...}        any other message: its content and its calls' arguments are pieces (memory/deltas.py)

and a schema is {"text": name}: a constant text that holds its JSON.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from assistant.wire import Wire, to_bytes, to_wire
from memory import deltas
from memory.receipts import constant, source
from memory.records import Message

Entry = list[int] | str | dict[str, Any]

IN_PIECES = ("content", "arguments")  # of a message, what may be long
LONG = 60  # characters of JSON; what is longer is kept once for all requests


@dataclass(frozen=True, slots=True)
class Basis:
    """What a request is made of: the session's stored messages, in order; the messages that are shown; constant texts.

    `notes` gives the names of those shown messages that are system messages made of what was recalled. `before` is the
    receipt of the turn's last request, with its messages: a request is mostly the last one with something appended.
    """

    stored: Sequence[Message]
    shown: Sequence[Message] = ()
    notes: Mapping[str, str] = field(default_factory=dict)
    constants: Sequence[str] = ()
    before: tuple[int, Sequence[Wire]] | None = None


@dataclass(frozen=True, slots=True)
class References:
    """A request in references, and the constant texts that it refers to, by name."""

    request: Mapping[str, Any]
    texts: Mapping[str, str]


def referred(request: Mapping[str, Any], basis: Basis) -> References:
    """The request in references."""
    texts: dict[str, str] = {}

    def kept(value: Any) -> Any:
        text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
        if not isinstance(value, list | dict) or len(text) <= LONG:
            return value
        texts[constant(text)] = text
        return {"text": constant(text)}

    entries = list(_Messages(basis, texts).entries(request["messages"]))
    return References({name: entries if name == "messages" else kept(request[name]) for name in request}, texts)


class _Messages:
    """The messages of one request in references."""

    def __init__(self, basis: Basis, texts: dict[str, str]) -> None:
        self._basis, self._texts = basis, texts
        self._places = {message.seq: place for place, message in enumerate(basis.stored)}
        self._known = self._as_they_are()
        self._encoder: deltas.Encoder | None = None

    def _as_they_are(self) -> dict[str, list[tuple[Wire, int | str]]]:
        """By content the messages that stand in the request as they are stored, with their references."""
        stored = {message.seq: message for message in self._basis.stored}
        known: dict[str, list[tuple[Wire, int | str]]] = {}
        for message in self._basis.shown:
            name = self._basis.notes.get(message.id)
            if name or (message.seq and stored.get(message.seq) == message):
                wire = to_wire(message)
                known.setdefault(wire["content"], []).append((wire, name or message.seq))
        return known

    def entries(self, messages: Sequence[Wire]) -> Iterator[Entry]:
        """The references in order, neighbours in the session as one range."""
        same = self._same(messages)
        if same:
            yield {"same": [self._basis.before[0], same]}  # type: ignore[index]
        span: list[int] = []
        for message in messages[same:]:
            known = self._reference(message, span)
            if span and not (isinstance(known, int) and self._follows(span[1], known)):
                yield span
                span = []
            if isinstance(known, int):
                span = [span[0] if span else known, known]
            else:
                yield known or self._in_pieces(message)
        if span:
            yield span

    def _same(self, messages: Sequence[Wire]) -> int:
        """How many messages are those of the turn's last request; 0 where it is too few to say so."""
        before = self._basis.before[1] if self._basis.before else ()
        pairs = zip(before, messages, strict=False)
        number = next((place for place, (old, new) in enumerate(pairs) if old != new), min(len(before), len(messages)))
        return number if number > 1 else 0

    def _reference(self, message: Wire, span: Sequence[int]) -> int | str | None:
        """What a message is called, if it stands there as it is stored; of equal ones that which follows the span."""
        found = [name for wire, name in self._known.get(message["content"], ()) if wire == message]
        following = [name for name in found if span and isinstance(name, int) and self._follows(span[1], name)]
        return next(iter([*following, *found]), None)

    def _follows(self, first: int, second: int) -> bool:
        return self._places[second] == self._places[first] + 1

    def _in_pieces(self, message: Wire) -> dict[str, Any]:
        found: dict[str, Any] = _mapped(message, self._pieces)
        return found

    def _pieces(self, text: str) -> list[deltas.Piece]:
        if self._encoder is None:
            constants = {constant(one): one for one in self._basis.constants}
            self._encoder = deltas.Encoder(self._sources(), constants)
        pieces = self._encoder(text)
        used = deltas.names(pieces)
        self._texts.update({constant(one): one for one in self._basis.constants if constant(one) in used})
        return pieces

    def _sources(self) -> dict[str, str]:
        """What texts may be made of: what is shown, whole or in part; where nothing is, all of the session."""
        shown = {message.seq for message in self._basis.shown}
        notes = {self._basis.notes[one.id]: one.content for one in self._basis.shown if one.id in self._basis.notes}
        said = {f"m{one.seq}": source(one) for one in self._basis.stored if not shown or one.seq in shown}
        return notes | said


def _mapped(value: Any, change: Callable[[Any], Any]) -> Any:
    """A message with its content and its calls' arguments changed."""
    if isinstance(value, list):
        return [_mapped(each, change) for each in value]
    if not isinstance(value, Mapping):
        return value
    return {name: change(each) if name in IN_PIECES else _mapped(each, change) for name, each in value.items()}


@dataclass(frozen=True, slots=True)
class Sources:
    """Where references lead: the texts of units, the stored messages of a range, the request of another receipt.

    A text is None where it was forgotten.
    """

    text: Callable[[str], str | None]
    said: Callable[[int, int], Sequence[Message]]
    request: Callable[[int], Mapping[str, Any]]


def rebuilt(request: Mapping[str, Any], sources: Sources) -> bytes:
    """The body that was sent, as bytes."""
    return to_bytes(body(request, sources))


def body(request: Mapping[str, Any], sources: Sources) -> dict[str, Any]:
    """The request's body before it is bytes."""
    return {name: _value(name, value, sources) for name, value in request.items()}


def _value(name: str, value: Any, sources: Sources) -> Any:
    if name == "messages":
        return [message for entry in value for message in _messages(entry, sources)]
    if isinstance(value, dict) and value.keys() == {"text"}:
        return json.loads(sources.text(value["text"]) or "null")
    return value


def _messages(entry: Entry, sources: Sources) -> Sequence[Wire]:
    if isinstance(entry, list):
        return [to_wire(message) for message in sources.said(*entry)]
    if isinstance(entry, str):
        return [{"role": "system", "content": deltas.decoded([[entry]], sources.text)}]
    if "same" in entry:
        seq, number = entry["same"]
        messages: Sequence[Wire] = body(sources.request(seq), sources)["messages"]
        return messages[:number]
    return [_mapped(entry, lambda pieces: deltas.decoded(pieces, sources.text))]


def made_of(request: Mapping[str, Any], sources: Sources) -> list[list[deltas.Piece]]:
    """For each message of a request its texts in pieces: what it was made of."""
    return [pieces for entry in request["messages"] for pieces in _made_of(entry, sources)]


def _made_of(entry: Entry, sources: Sources) -> list[list[deltas.Piece]]:
    if isinstance(entry, list):
        return [[[f"m{message.seq}"]] for message in sources.said(*entry)]
    if isinstance(entry, str):
        return [[[entry]]]
    if "same" in entry:
        seq, number = entry["same"]
        return made_of(sources.request(seq), sources)[:number]
    pieces: list[deltas.Piece] = []
    _mapped(entry, pieces.extend)
    return [pieces]
