"""Reader of the project's own form: "assistant.session/1" as JSON lines, or the document of `export --format json`."""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, BinaryIO, get_args

from memory.drafts import KINDS
from memory.errors import BadInput
from memory.extract import TITLE_CHARS, fact_id, shortened, title_of, worst
from memory.grounding import literal, telling
from memory.importers.parsed import Bad, Conversation, drawn
from memory.records import (
    ASSISTANT,
    IMPORTED,
    RECALLED,
    SYSTEM,
    USER,
    Fact,
    FactKind,
    FactStatus,
    Message,
    Role,
    Session,
    Summary,
    ToolCall,
)
from memory.session import clean

SCHEMA = "assistant.session/1"
DOCUMENT = "assistant.export/1"
MAX_ID_CHARS = 200  # an id is a name, not a text

ROLES: Mapping[str, Role] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "assistant": "assistant",
    "tool": "tool",
}
STATUSES: tuple[FactStatus, ...] = get_args(FactStatus)
ORIGINS = frozenset({USER, ASSISTANT, SYSTEM, RECALLED, IMPORTED})
_TOOL_ORIGIN = re.compile(r"tool:[^\s\x00-\x1f\x7f-\x9f]{1,100}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_OUR_FACT_ID = re.compile(r"[0-9a-f]{12}")


class Refused(ValueError):
    """A session that cannot be used. The message names the field."""


def read(file: BinaryIO, mine: bool) -> Iterator[Conversation | Bad]:
    """The sessions in `file`, one by one, and a Bad for each that cannot be used.

    With `mine` the origins that the file names are believed. Raises BadInput for what is not UTF-8.
    """
    for place, value in _values(file):
        try:
            yield conversation(value, mine)
        except Refused as error:
            yield Bad(place, str(error))


def conversation(value: object, mine: bool) -> Conversation:
    """One "assistant.session/1" object as records. Raises Refused for what has no safe reading."""
    if isinstance(value, Refused):
        raise value
    fields = _object(value, "the line")
    schema = fields.get("schema")
    if schema != SCHEMA:
        raise Refused(f"the schema is {schema!r:.80}, and only {SCHEMA!r} is known")
    session_id = _needed_id(fields, "id")
    raw = [_object(one, f"messages[{n}]") for n, one in enumerate(_list(fields, "messages", needed=True))]
    started = _started(fields, raw)
    read_in = [_message(one, session_id, n, started, mine) for n, one in enumerate(raw)]
    messages = tuple(drawn(read_in, [_drawn_from(one, mine) for one in raw]))
    summary = _summary(fields, session_id, messages, started, mine)
    session = Session(
        session_id,
        started,
        _text(fields, "title") or (summary.title if summary else ""),
        _time(fields, "ended_at") or (messages[-1].at if messages else started),
        "summarised" if summary else "ended",
        USER if mine and fields.get("origin") != IMPORTED else IMPORTED,
        _text(fields, "model"),
    )
    return Conversation(session, messages, summary, _facts(fields, session, messages, mine))


# ---------------------------------------------------------------------- lines


def _values(file: BinaryIO) -> Iterator[tuple[int, object]]:
    """(place, JSON value or Refused). A file whose first line is no whole object may be one document over many."""
    lines = _lines(file)
    first = next(lines, None)
    if first is None:
        return
    value = _parsed(first[1])
    if isinstance(value, Refused) and first[1].startswith("{"):
        rest = list(lines)
        value = _parsed("\n".join(text for _, text in [first, *rest]))
        lines = iter(rest if isinstance(value, Refused) else ())
    if isinstance(value, dict) and value.get("schema") == DOCUMENT:
        yield from enumerate(_sessions(value), start=1)
        return
    yield first[0], value
    for place, text in lines:
        yield place, _parsed(text)


def _sessions(document: Mapping[str, Any]) -> Sequence[object]:
    sessions = document.get("sessions")
    return sessions if isinstance(sessions, list) else [Refused("sessions is not a list")]


def _lines(file: BinaryIO) -> Iterator[tuple[int, str]]:
    """The lines that hold anything, with their numbers. Bytes are split at line feeds only, as JSON lines are."""
    for number, line in enumerate(file, start=1):
        try:
            text = line.decode("utf-8-sig" if number == 1 else "utf-8").strip()
        except UnicodeDecodeError as error:
            raise BadInput(f"Line {number} of the file is not UTF-8 text.", "Save the file as UTF-8.") from error
        if text:
            yield number, text


def _parsed(text: str) -> object:
    try:
        value: object = json.loads(text)
    except json.JSONDecodeError as error:
        return Refused(f"not JSON: {error.msg} at character {error.pos + 1}")
    except ValueError as error:  # a number of too many digits
        return Refused(f"not JSON: {error}")
    except RecursionError:
        return Refused("not JSON: nested too deeply")
    return value


# ---------------------------------------------------------------------- records


def _started(fields: Mapping[str, Any], messages: Sequence[Mapping[str, Any]]) -> datetime:
    times = (_time(one, "at", f"messages[{n}].") for n, one in enumerate(messages))
    started = _time(fields, "started_at") or next((at for at in times if at), None)
    if started is None:
        raise Refused("started_at is missing, and no message has an at")
    return started


def _message(fields: Mapping[str, Any], session_id: str, place: int, started: datetime, mine: bool) -> Message:
    where = f"messages[{place}]."
    role = ROLES.get(_text(fields, "role", where))
    if role is None:
        raise Refused(f"{where}role is {fields.get('role')!r:.80}")
    name = _text(fields, "name", where) or None
    by_role = f"tool:{_origin_name(name)}" if role == "tool" else role
    return Message(
        _id(fields, "id", where) or _made_id(session_id, place),
        session_id,
        role,
        _content(fields.get("content"), where),
        _time(fields, "at", where) or started,
        _origin(fields, by_role, where) if mine else IMPORTED,
        name,
        tuple(_call(one, f"{where}tool_calls[{n}]") for n, one in enumerate(_list(fields, "tool_calls", where))),
        _text(fields, "tool_call_id", where) or None,
    )


def _drawn_from(fields: Mapping[str, Any], mine: bool) -> Sequence[str] | None:
    """What the file says that a message is drawn from; None where it says nothing, or is not to be believed."""
    said = fields.get("drawn_from")
    if not mine or not isinstance(said, list):
        return None
    return [one for one in said if isinstance(one, str) and _TOOL_ORIGIN.fullmatch(f"tool:{one}") and "," not in one]


def _made_id(session_id: str, place: int) -> str:
    """The id of a message that came without one: the same at each import."""
    return hashlib.sha256(json.dumps([session_id, place]).encode()).hexdigest()[:10]


def _origin_name(name: str | None) -> str:
    return name if name and _TOOL_ORIGIN.fullmatch(f"tool:{name}") else "unknown"


def _origin(fields: Mapping[str, Any], or_else: str, where: str) -> str:
    origin = _text(fields, "origin", where)
    return origin if origin in ORIGINS or _TOOL_ORIGIN.fullmatch(origin) else or_else


def _content(value: object, where: str) -> str:
    """Text, nothing, or a list of parts of which those that hold text count."""
    if value is None:
        return ""
    if isinstance(value, str):
        return clean(value)
    if not isinstance(value, list):
        raise Refused(f"{where}content is not text")
    texts = [one.get("text") if isinstance(one, dict) else one for one in value]
    return clean("\n".join(text for text in texts if isinstance(text, str)))


def _call(value: object, where: str) -> ToolCall:
    """A call as OpenAI writes it, or flat. Arguments that are an object become their JSON text."""
    fields = _object(value, where)
    inner = _object(fields.get("function", fields), f"{where}.function")
    arguments = inner.get("arguments")
    if isinstance(arguments, dict):
        arguments = json.dumps(arguments, ensure_ascii=False)
    name = _text(inner, "name", f"{where}.")
    if not name:
        raise Refused(f"{where}.name is missing")
    return ToolCall(_text(fields, "id", f"{where}."), name, _text({"arguments": arguments}, "arguments", f"{where}."))


def _summary(
    fields: Mapping[str, Any], session_id: str, messages: Sequence[Message], started: datetime, mine: bool
) -> Summary | None:
    raw = fields.get("summary")
    if raw is None:
        return None
    notes = {"gist": raw} if isinstance(raw, str) else _object(raw, "summary")
    title, gist = _text(notes, "title", "summary."), _text(notes, "gist", "summary.")
    if not (title or gist):
        return None
    return Summary(
        session_id,
        title if "title" in notes else _text(fields, "title") or title_of(messages) or shortened(gist, TITLE_CHARS),
        gist,
        _time(notes, "at", "summary.") or (messages[-1].at if messages else started),
        (_text(notes, "written_by", "summary.") if mine else "") or IMPORTED,
        _origin(notes, IMPORTED, "summary.") if mine else IMPORTED,
        _text(notes, "tried_by", "summary.") if mine else "",
    )


def _facts(fields: Mapping[str, Any], session: Session, messages: Sequence[Message], mine: bool) -> tuple[Fact, ...]:
    """The facts, in order. Those that name one another as `retired_by` still do where an id had to be made."""
    raw = [_object(one, f"facts[{n}]") for n, one in enumerate(_list(fields, "facts"))]
    notes = [_Note.of(one, f"facts[{n}].", session) for n, one in enumerate(raw)]
    ids = {note.given_id: note.id for note in notes if note.given_id}
    by_id = {message.id: message for message in reversed(messages)}
    return tuple(_fact(note, session, by_id, ids, mine) for note in notes)


@dataclass(frozen=True, slots=True)
class _Note:
    """A fact of the file before anything of it is believed."""

    fields: Mapping[str, Any]
    where: str
    text: str
    message_ids: tuple[str, ...]
    given_id: str | None
    id: str

    @classmethod
    def of(cls, fields: Mapping[str, Any], where: str, session: Session) -> "_Note":
        text = _text(fields, "text", where)
        if not text.strip():
            raise Refused(f"{where}text is missing")
        named = _list(fields, "message_ids", where)
        places = {f"message_ids[{n}]": one for n, one in enumerate(named)}
        ids = tuple(dict.fromkeys(_needed_id(places, key, where) for key in places))
        given = _id(fields, "id", where)
        ours = given if given and _OUR_FACT_ID.fullmatch(given) else fact_id(session.id, text, ids)
        return cls(fields, where, text, ids, given, ours)


def _fact(note: _Note, session: Session, messages: Mapping[str, Message], ids: Mapping[str, str], mine: bool) -> Fact:
    fields, where = note.fields, note.where
    evidence = [messages[one] for one in note.message_ids if one in messages]
    quote = _quote(_text(fields, "quote", where), evidence)
    retired_by, same_as = _id(fields, "retired_by", where), _id(fields, "same_as", where)
    at = evidence[0].at if evidence else session.started_at
    return Fact(
        note.id,
        session.id,
        note.text,
        _kind(_text(fields, "kind", where)),
        _time(fields, "at", where) or at,
        note.message_ids,
        quote,
        _origin(fields, worst(one.origin for one in evidence) if evidence else IMPORTED, where) if mine else IMPORTED,
        _status(_text(fields, "status", where) if mine else "", quote, note.text),
        _time(fields, "valid_from", where),
        retired_by and ids.get(retired_by, retired_by),
        # Pinned is its owner's word, and a file is not its owner.
        _flag(fields, "pinned", where) and mine,
        until=_time(fields, "until", where),
        # Of others' files a fact says the same as one of the same file alone: the owner's is not heard again by it.
        same_as=same_as and ids.get(same_as, same_as if mine else None),
        handled=_flag(fields, "handled", where) and mine,
    )


def _quote(quote: str, evidence: Sequence[Message]) -> str:
    """The quote in its message's own characters; empty where it stands in none."""
    if not quote or any(quote in one.content for one in evidence):
        return quote
    return next((found for one in evidence if (found := literal(quote, one.content))), "")


def _status(said: str, quote: str, text: str) -> FactStatus:
    known = next((status for status in STATUSES if status == said), None)
    return known or ("kept" if quote and telling(quote, text) else "review")


def _kind(word: str) -> FactKind:
    return next((kind for kind in KINDS if kind == word), "fact")


# ---------------------------------------------------------------------- fields


def _object(value: object, where: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise Refused(f"{where} is not an object")
    return value


def _list(fields: Mapping[str, Any], key: str, where: str = "", needed: bool = False) -> list[Any]:
    value = fields.get(key)
    if value is None and not needed:
        return []
    if not isinstance(value, list):
        raise Refused(f"{where}{key} is not a list")
    return value


def _text(fields: Mapping[str, Any], key: str, where: str = "") -> str:
    value = fields.get(key)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise Refused(f"{where}{key} is not text")
    return clean(value)


def _flag(fields: Mapping[str, Any], key: str, where: str) -> bool:
    value = fields.get(key)
    if value is not None and not isinstance(value, bool):
        raise Refused(f"{where}{key} is neither true nor false")
    return bool(value)


def _needed_id(fields: Mapping[str, Any], key: str, where: str = "") -> str:
    found = _id(fields, key, where)
    if found is None:
        raise Refused(f"{where}{key} is missing")
    return found


def _id(fields: Mapping[str, Any], key: str, where: str = "") -> str | None:
    """An id: opaque text that fits on a line. None where it is missing or empty."""
    value = fields.get(key)
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        raise Refused(f"{where}{key} is not text")
    if len(value) > MAX_ID_CHARS or _CONTROL.search(value):
        raise Refused(f"{where}{key} is longer than {MAX_ID_CHARS} characters or has control characters")
    return value


def _time(fields: Mapping[str, Any], key: str, where: str = "") -> datetime | None:
    """A time in UTC, or None where there is none. Without a zone it is local time."""
    text = _text(fields, key, where)
    try:
        return datetime.fromisoformat(text).astimezone(UTC) if text else None
    except (ValueError, OverflowError, OSError) as error:  # the last two: a local time outside of the calendar
        raise Refused(f"{where}{key} is not a date that ISO 8601 knows: {text!r:.60}") from error
