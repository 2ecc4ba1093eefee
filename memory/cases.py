"""Cases for measuring recall: JSON lines of sessions, and of questions with the messages that answer them."""

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO

from memory.errors import BadInput
from memory.importers import jsonl
from memory.importers.jsonl import Refused
from memory.importers.parsed import Bad, Conversation
from memory.store import Store

SCHEMA = "assistant.question/1"
SMALL_TALK = "small talk"

MessageKey = tuple[str, str]  # (session id, message id): a message's id is unique within its session only


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked, and the ids of what answers it; one that names nothing is to get nothing. `at` is its "now"."""

    id: str
    text: str
    messages: tuple[str, ...] = ()
    sessions: tuple[str, ...] = ()
    at: datetime | None = None
    category: str = ""


@dataclass(frozen=True, slots=True)
class CaseFile:
    """A file's questions and the lines they stand on, how many lines hold sessions, and those that hold neither."""

    path: Path
    questions: tuple[Question, ...]
    lines: frozenset[int]
    sessions: int
    bad: tuple[Bad, ...]

    def conversations(self, file: BinaryIO, mine: bool) -> Iterator[Conversation | Bad]:
        """The sessions of the file, as an importer's Reader gives them."""
        return (one for one in jsonl.read(file, mine) if not (isinstance(one, Bad) and one.line in self.lines))


@dataclass(frozen=True, slots=True)
class Wanted:
    """What of a memory answers a question: the messages with their text, and the sessions."""

    messages: Mapping[MessageKey, str]
    sessions: frozenset[str]


def read(path: Path) -> CaseFile:
    """The questions of a file of JSON lines. Its sessions are only counted. Raises BadInput for what cannot be read."""
    questions: dict[int, Question] = {}
    bad: list[Bad] = []
    sessions = 0
    for number, text in _lines(path):
        try:
            fields = _fields(text)
            if fields.get("schema") == jsonl.SCHEMA:
                sessions += 1
            else:
                questions[number] = _question(fields)
        except Refused as error:
            bad.append(Bad(number, str(error)))
    return CaseFile(path, tuple(questions.values()), frozenset(questions), sessions, tuple(bad))


def small_talk(path: Path) -> list[Question]:
    """The lines of a file as questions that are to get nothing. Raises BadInput."""
    return [Question(f"{path.name}:{number}", text, category=SMALL_TALK) for number, text in _lines(path)]


def wanted(store: Store, questions: Sequence[Question]) -> tuple[dict[str, Wanted], list[str]]:
    """For each question's id what it wants of the store, and a line for each id that names nothing, or several things.

    Such ids are left out, and so is a question that named something of which nothing is left.
    """
    ids = json.dumps([one for question in questions for one in question.messages])
    there: defaultdict[str, dict[str, str]] = defaultdict(dict)
    sql = "SELECT session_id, id, content FROM messages WHERE id IN (SELECT value FROM json_each(?))"
    for session_id, message_id, content in store.rows(sql, [ids]):
        there[message_id][session_id] = content
    sessions = {row[0] for row in store.rows("SELECT id FROM sessions")}
    found, problems = {}, list[str]()
    for question in questions:
        one = _wanted(question, there, sessions, problems)
        if one.sessions or not (question.messages or question.sessions):
            found[question.id] = one
    return found, problems


def _wanted(question: Question, there: Mapping[str, Mapping[str, str]], known: set[str], problems: list[str]) -> Wanted:
    messages: dict[MessageKey, str] = {}
    for one in question.messages:
        held = {sid: text for sid, text in there.get(one, {}).items() if sid in (question.sessions or known)}
        if len(held) == 1:
            messages |= {(sid, one): text for sid, text in held.items()}
        else:
            what = 'is in several sessions; name them in "sessions"' if held else "is not there"
            problems.append(f"question {question.id}: the message {one} {what}.")
    lost = [one for one in question.sessions if one not in known]
    problems += [f"question {question.id}: the session {one} is not there." for one in lost]
    sessions = question.sessions or [sid for sid, _ in messages]
    return Wanted(messages, frozenset(sessions) & known)


# ---------------------------------------------------------------------- lines


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """The lines that hold anything, with their numbers."""
    try:
        with path.open(encoding="utf-8-sig") as file:
            yield from ((number, line.strip()) for number, line in enumerate(file, 1) if line.strip())
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"Cannot read {path}: {error}.", "It is to be UTF-8 text.") from error


def _fields(text: str) -> Mapping[str, Any]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Refused(f"not JSON: {error}") from error
    if not isinstance(value, dict):
        raise Refused("the line is not an object")
    return value


def _question(fields: Mapping[str, Any]) -> Question:
    """One "assistant.question/1" object. Raises Refused."""
    if fields.get("schema") != SCHEMA:
        raise Refused(f"the schema is {fields.get('schema')!r:.80}, and only {jsonl.SCHEMA!r} and {SCHEMA!r} are known")
    messages, sessions = _ids(fields, "messages"), _ids(fields, "sessions")
    if messages is None and sessions is None:
        raise Refused("messages is missing: the ids of what answers it, or [] if nothing is to be found")
    return Question(
        _text(fields, "id", needed=True),
        _text(fields, "question", needed=True),
        messages or (),
        sessions or (),
        _time(fields, "at"),
        _text(fields, "category"),
    )


def _text(fields: Mapping[str, Any], key: str, needed: bool = False) -> str:
    value = fields.get(key) or ""
    if not isinstance(value, str):
        raise Refused(f"{key} is not text")
    if needed and not value.strip():
        raise Refused(f"{key} is missing")
    return value


def _ids(fields: Mapping[str, Any], key: str) -> tuple[str, ...] | None:
    value = fields.get(key)
    if value is not None and not (isinstance(value, list) and all(isinstance(one, str) for one in value)):
        raise Refused(f"{key} is not a list of ids")
    return None if value is None else tuple(dict.fromkeys(value))


def _time(fields: Mapping[str, Any], key: str) -> datetime | None:
    text = _text(fields, key)
    try:
        return datetime.fromisoformat(text).astimezone() if text else None
    except (ValueError, OverflowError, OSError) as error:
        raise Refused(f"{key} is not a date that ISO 8601 knows: {text!r:.60}") from error
