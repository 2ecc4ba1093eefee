"""Everything as files: sessions as JSON lines, as one JSON document, or as a document to read."""

import contextlib
import os
import re
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, TextIO

from memory.drafts import KINDS, one_line
from memory.errors import BadInput
from memory.records import USER, Fact, Message, Session, Summary, ToolCall
from memory.rows import to_text
from memory.store import Store
from memory.visible import as_json, visible

Format = Literal["jsonl", "json", "md"]
SCHEMA = "assistant.session/1"
DOCUMENT = "assistant.export/1"


def session_object(store: Store, session: Session, secrets: bool = False) -> dict[str, Any]:
    """A session in the form "assistant.session/1". What is empty and may be left out is left out; times are UTC.

    `secrets`: messages as they were before they were masked, where that was kept.
    """
    summary = store.summary(session.id)
    return _filled(
        schema=SCHEMA,
        id=session.id,
        title=session.title,
        started_at=to_text(session.started_at),
        ended_at=to_text(session.ended_at),
        origin="" if session.origin == USER else session.origin,
        model=session.model,
    ) | {
        "messages": _messages(_transcript(store, session, secrets)),
        **_filled(
            summary=summary and _summary(summary),
            facts=[_fact(one) for one in store.facts_of(session.id)],
        ),
    }


def _transcript(store: Store, session: Session, secrets: bool) -> list[Message]:
    messages = store.transcript(session.id)
    return [store.as_it_was(one) for one in messages] if secrets else messages


def by_hand(messages: Sequence[Message], summary: Summary | None, facts: Sequence[Fact]) -> bool:
    """Is this what its owner had remembered, or agreed to, and no conversation? One message, a fact, no summary."""
    return bool(facts) and summary is None and [one.role for one in messages] in (["user"], ["assistant"])


def write(store: Store, sessions: Iterable[Session], out: TextIO, format: Format, secrets: bool = False) -> None:
    """Write sessions to `out`, one at a time in memory. Hand them in oldest first. Raises StoreError.

    `secrets`: messages as they were before they were masked, where that was kept.
    """
    pieces = {"jsonl": _lines, "json": _document, "md": _readable}[format]
    for piece in pieces(store, sessions, secrets):
        out.write(piece)


def write_file(store: Store, sessions: Iterable[Session], path: Path, format: Format) -> None:
    """Write sessions to a private file that takes its name once it is whole; a file of that name is replaced then.

    Raises BadInput where that cannot be done, and StoreError.
    """
    target = path.resolve()
    if target.exists() and not target.is_file():
        raise BadInput(f"{path} is not a file.", "Name a file to write to.")
    try:
        with _whole(target) as out:
            write(store, sessions, out, format)
    except OSError as error:
        raise BadInput(f"Cannot write {path}: {error.strerror}.", "Check its folder and the free space.") from error


@contextlib.contextmanager
def _whole(target: Path) -> Iterator[TextIO]:
    """A file beside `target` that becomes it when all went well, and leaves nothing behind otherwise."""
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name[:100]}.", suffix=".part")
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as out:
            yield out
            out.flush()
            os.fsync(out.fileno())
        Path(name).replace(target)
    finally:
        Path(name).unlink(missing_ok=True)


# ---------------------------------------------------------------------- JSON


def _lines(store: Store, sessions: Iterable[Session], secrets: bool) -> Iterator[str]:
    for session in sessions:
        yield as_json(session_object(store, session, secrets)) + "\n"


def _document(store: Store, sessions: Iterable[Session], secrets: bool) -> Iterator[str]:
    yield f'{{"schema": "{DOCUMENT}", "sessions": ['
    for place, session in enumerate(sessions):
        yield ",\n" if place else "\n"
        yield as_json(session_object(store, session, secrets))
    yield "\n]}\n"


def _filled(**fields: object) -> dict[str, Any]:
    return {key: value for key, value in fields.items() if value}


def _messages(transcript: Sequence[Message]) -> list[dict[str, Any]]:
    """The messages. Of the assistant's after a tool's it is said what they are drawn from, also that it is nothing."""
    first = next((place for place, one in enumerate(transcript) if one.role == "tool"), len(transcript))
    told = [one.role == "assistant" and (place > first or one.drawn_from) for place, one in enumerate(transcript)]
    return [
        _message(one) | ({"drawn_from": list(one.drawn_from)} if tell else {})
        for one, tell in zip(transcript, told, strict=True)
    ]


def _message(message: Message) -> dict[str, Any]:
    return {
        "id": message.id,
        "role": message.role,
        **_filled(name=message.name),
        "content": message.content,
        "at": to_text(message.at),
        "origin": message.origin,
        **_filled(tool_calls=[_call(one) for one in message.tool_calls], tool_call_id=message.tool_call_id),
    }


def _call(call: ToolCall) -> dict[str, Any]:
    """A call as OpenAI writes it."""
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}


def _summary(summary: Summary) -> dict[str, Any]:
    return {
        "title": summary.title,
        "gist": summary.gist,
        "at": to_text(summary.at),
        "written_by": summary.written_by,
        **_filled(tried_by=summary.tried_by),
        "origin": summary.origin,
    }


def _fact(fact: Fact) -> dict[str, Any]:
    return {
        "id": fact.id,
        "text": fact.text,
        "message_ids": list(fact.message_ids),
        "kind": fact.kind,
        "at": to_text(fact.at),
        **_filled(quote=fact.quote),
        "origin": fact.origin,
        "status": fact.status,
        **_filled(valid_from=to_text(fact.valid_from), until=to_text(fact.until), retired_by=fact.retired_by),
        **_filled(same_as=fact.same_as, handled=fact.handled, pinned=fact.pinned),
    }


# ---------------------------------------------------------------------- a document to read
# What people and models wrote stands in block quotes or, as one line, escaped: nothing in it can look like a heading,
# and what cannot be seen is spelled out: it goes to a terminal, too.


def _readable(store: Store, sessions: Iterable[Session], secrets: bool) -> Iterator[str]:
    yield "# Conversations\n"
    remembered: list[Fact] = []
    for session in sessions:
        messages = _transcript(store, session, secrets)
        summary, facts = store.summary(session.id), store.facts_of(session.id)
        if by_hand(messages, summary, facts):
            remembered += facts
            continue
        yield _heading(session)
        yield from _notes(summary, facts)
        for message in messages:
            yield _said(message)
    if remembered:
        yield "\n# Facts remembered by hand\n\n" + _list(remembered)


def _heading(session: Session) -> str:
    until = f" to {session.ended_at:%Y-%m-%d %H:%M}" if session.ended_at else ""
    title = _escaped(session.title) or "Without a title"
    return f"\n## {title}\n\n{session.started_at:%Y-%m-%d %H:%M}{until} UTC, session {_escaped(session.id)}\n"


def _notes(summary: Summary | None, facts: Sequence[Fact]) -> Iterator[str]:
    if summary or facts:
        yield "\n### Notes\n"
    if summary and summary.gist:
        yield f"\n{_quoted(summary.gist)}"
    if facts:
        yield "\n" + _list(facts)
    yield "\n### Conversation\n"


def _list(facts: Sequence[Fact]) -> str:
    return "".join(_line(fact) for fact in sorted(facts, key=lambda fact: KINDS.index(fact.kind)))


def _line(fact: Fact) -> str:
    marks = [
        "pinned" if fact.pinned else "",
        {"review": "waits for review", "rejected": "rejected"}.get(fact.status, ""),
        f"until {fact.until:%Y-%m-%d}" if fact.until else "",
        f"the same as {_escaped(fact.same_as)}" if fact.same_as else "",
        f"retired by {_escaped(fact.retired_by)}" if fact.retired_by else "",
    ]
    marked = ", ".join(mark for mark in marks if mark)
    since = f", since {fact.valid_from:%Y-%m-%d}" if fact.valid_from else ""
    shown = f"{_escaped(fact.text)}{f' ({marked})' if marked else ''}"
    return f"- {fact.kind}, {fact.at:%Y-%m-%d}{since}: {shown}\n"


def _said(message: Message) -> str:
    name = f" {_escaped(message.name)}" if message.name else ""
    calls = "".join(f"\ncalls {_escaped(one.name)}:\n\n{_quoted(one.arguments)}" for one in message.tool_calls)
    content = f"\n{_quoted(message.content)}" if message.content else ""
    return f"\n**{message.role}{name}**, {message.at:%Y-%m-%d %H:%M:%S}\n{content}{calls}"


def _quoted(text: str) -> str:
    """A block quote: whatever opens in it, a fence or a comment, ends with it."""
    return "".join((f"> {line}" if line else ">") + "\n" for line in re.split(r"\r\n|\r|\n", visible(text)))


def _escaped(text: str) -> str:
    """The text in one line in which Markdown sees plain text."""
    return re.sub(r"([\\`*_\[\]<>#&~|])", r"\\\1", visible(one_line(text)))
