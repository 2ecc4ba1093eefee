"""Records as rows of the store and back. Times are ISO 8601 in UTC, which sorts as text."""

import json
import sqlite3
from datetime import UTC, datetime
from typing import Any

from memory.forms import forms
from memory.records import Fact, Message, Session, Summary, ToolCall


def to_text(at: datetime | None) -> str | None:
    """An aware time as ISO 8601 in UTC, or None."""
    return None if at is None else at.astimezone(UTC).isoformat()


def from_text(text: str) -> datetime:
    """The inverse of `to_text`."""
    return datetime.fromisoformat(text)


def or_none(text: str | None) -> datetime | None:
    """A time that may be missing."""
    return None if text is None else from_text(text)


def session_row(session: Session, wants_notes: bool) -> dict[str, Any]:
    """A session as its row."""
    return {
        "id": session.id,
        "title": session.title,
        "started_at": to_text(session.started_at),
        "ended_at": to_text(session.ended_at),
        "state": session.state,
        "wants_notes": int(wants_notes),
        "origin": session.origin,
        "model": session.model,
    }


def message_row(message: Message) -> dict[str, Any]:
    """A message as its row, without `seq`."""
    calls = [{"id": call.id, "name": call.name, "arguments": call.arguments} for call in message.tool_calls]
    return {
        "id": message.id,
        "session_id": message.session_id,
        "role": message.role,
        "content": message.content,
        "name": message.name,
        "tool_calls": json.dumps(calls, ensure_ascii=False),
        "tool_call_id": message.tool_call_id,
        "origin": message.origin,
        "at": to_text(message.at),
        "tokens": message.tokens,
        "drawn_from": ",".join(message.drawn_from),
        "masked": message.masked,
        "forms": forms(message.name, message.content) if message.role in ("user", "assistant") else None,
    }


def summary_row(summary: Summary) -> dict[str, Any]:
    """A summary as its row, without `seq`."""
    return {
        "session_id": summary.session_id,
        "title": summary.title,
        "gist": summary.gist,
        "at": to_text(summary.at),
        "written_by": summary.written_by,
        "tried_by": summary.tried_by,
        "origin": summary.origin,
        "tokens": summary.tokens,
        "forms": forms(summary.title, summary.gist),
    }


def fact_row(fact: Fact) -> dict[str, Any]:
    """A fact as its row, without `seq` and evidence."""
    return {
        "id": fact.id,
        "session_id": fact.session_id,
        "text": fact.text,
        "kind": fact.kind,
        "at": to_text(fact.at),
        "valid_from": to_text(fact.valid_from),
        "until": to_text(fact.until),
        "quote": fact.quote,
        "origin": fact.origin,
        "status": fact.status,
        "handled": int(fact.handled),
        "retired_by": fact.retired_by,
        "same_as": fact.same_as,
        "pinned": int(fact.pinned),
        "tokens": fact.tokens,
        "forms": forms(fact.text),
    }


def as_session(row: sqlite3.Row) -> Session:
    """A row as the session it holds."""
    values = {key: row[key] for key in ("id", "title", "state", "origin", "model")}
    return Session(started_at=from_text(row["started_at"]), ended_at=or_none(row["ended_at"]), **values)


def as_message(row: sqlite3.Row | dict[str, Any]) -> Message:
    """A row as the message it holds."""
    return Message(
        row["id"],
        row["session_id"],
        row["role"],
        row["content"],
        from_text(row["at"]),
        row["origin"],
        row["name"],
        as_calls(row["tool_calls"]),
        row["tool_call_id"],
        row["tokens"],
        row["seq"],
        tuple(filter(None, row["drawn_from"].split(","))),
        row["masked"],
    )


def as_calls(text: str) -> tuple[ToolCall, ...]:
    """Tool calls as stored; most messages have none."""
    return () if text == "[]" else tuple(ToolCall(**call) for call in json.loads(text))


def as_summary(row: dict[str, Any]) -> Summary:
    """A row as the summary it holds."""
    return Summary(**{key: row[key] for key in row if key not in ("seq", "forms")} | {"at": from_text(row["at"])})


def as_fact(row: dict[str, Any], message_ids: tuple[str, ...]) -> Fact:
    """A row and its evidence as the fact they hold."""
    read = {
        "at": from_text(row["at"]),
        "valid_from": or_none(row["valid_from"]),
        "until": or_none(row["until"]),
        "pinned": bool(row["pinned"]),
        "handled": bool(row["handled"]),
    }
    return Fact(**{key: row[key] for key in row if key not in ("seq", "forms")} | read, message_ids=message_ids)
