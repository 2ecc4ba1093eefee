"""Receipts: what each model call was shown and why. Written before the call, read by `why`; references, no copies.

A unit is named as in the index ("m12", "s3", "f7"); beside those "n12" is the system message that was made for the
user message 12, and "t" with a hash a constant text of the program. Texts are looked up when a receipt is read: what
was forgotten since is gone here, too.
"""

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any, Literal

from memory import deltas, recall
from memory.deltas import Piece
from memory.entries import Entry, entries
from memory.records import Cut, Hit, Message, Outcome, Spent
from memory.rows import as_message, from_text, to_text
from memory.store import Store
from memory.units import LETTERS, parsed, unit_id

Purpose = Literal["turn", "notes", "plan", "helper"]

# A call that failed before the endpoint counted anything is billed by nobody.
UNPRICED = "usd IS NULL AND NOT (coalesce(error, '') <> '' AND prompt_tokens IS NULL)"
ERROR_CHARACTERS = 200  # of an endpoint's own words


@dataclass(frozen=True, slots=True)
class Receipt:
    """One request: where it belongs, what it was made of (`request`, see assistant/references.py), how it ended.

    `outcome` is None while the call lasts, and for ever where the process was killed in it. `usd` is None where the
    price is unknown. A helper's has the receipt of the step that called it as `parent`, and its number in the turn.
    What was answered is the message `answer`, or the text `said` where it is no message of the session.
    """

    seq: int
    session_id: str
    purpose: Purpose
    turn: int | None
    step: int
    at: datetime
    model: str
    bytes: int
    sha256: str
    request: Mapping[str, Any]
    answer: int | None = None
    outcome: Outcome | None = None
    parent: int | None = None
    helper: int | None = None
    said: str | None = None
    usd: float | None = None


@dataclass(frozen=True, slots=True)
class CallRow:
    """What came of a call of a tool in the step `receipt`.

    `result` is the tool message's `seq`; `arguments` and `said`, its text, stand here only where they are in no message
    of the session. `decision` says who let it run, or why it did not.
    """

    receipt: int
    call_id: str
    name: str
    ok: bool
    outside: bool
    decision: str
    ms: int
    arguments: str | None = None
    result: int | None = None
    said: str | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """Something found for a user message. `reason` says why it was cut; empty: it was shown.

    `place` is its rank, from 1. `tokens` are those of its line in the prompt; where it was cut, of all its words.
    `text` is None where it was forgotten since, and with it what is empty here.
    """

    place: int
    unit: str
    score: float
    tokens: int
    reason: str
    why: Mapping[str, Any]
    text: str | None = None
    session_id: str = ""
    message_ids: tuple[str, ...] = ()
    origin: str = ""
    at: datetime | None = None

    @property
    def kind(self) -> str:
        """Message, summary or fact."""
        return LETTERS[self.unit[0]]


@dataclass(frozen=True, slots=True)
class Looked:
    """What a recall for a prompt found for the user message `turn`."""

    turn: int
    found: tuple[Found, ...] = ()
    gate: Mapping[str, Any] = field(default_factory=dict)
    trouble: str = ""


def constant(text: str) -> str:
    """The name of a constant text of the program."""
    return "t" + hashlib.sha256(text.encode()).hexdigest()[:24]


def source(message: Message) -> str:
    """All of a message's words that a prompt may show. The form is for good: spans of it stand in receipts."""
    arguments = (call.arguments for call in message.tool_calls)
    return "\n".join(filter(None, [message.content, *arguments, message.name]))


class Receipts:
    """The receipts of one store. Raises StoreError for whatever SQLite refuses."""

    def __init__(self, store: Store) -> None:
        self._store = store

    # ------------------------------------------------------------------ writing

    def looked(
        self,
        asked: Message,
        hits: Sequence[Hit],
        cut: Sequence[Cut],
        note: str,
        constants: Collection[str],
        gate: Mapping[str, Any],
        trouble: str,
    ) -> str:
        """Write what was found for the stored user message `asked`, and the system message `note` made of it.

        `constants` are the program's own texts in the note. Returns the note's name; it is empty where `note` is.
        """
        names = {constant(text): text for text in constants}
        rows = [(hit.unit, hit.score, hit.tokens, "", hit.why) for hit in hits]
        rows += [(one.unit, one.score, 0, one.reason, one.why) for one in cut]
        with self._store.writing() as db:
            sources = self._sources({hit.unit for hit in hits})
            # What was forgotten since it was found would stand here in its own words.
            known = all(hit.unit in sources for hit in hits)
            pieces = deltas.encoded(note, sources, names) if known else []
            self.keep({name: names[name] for name in deltas.names(pieces) & names.keys()})
            db.execute(
                "INSERT INTO recalls VALUES (?, ?, ?, ?, ?)",
                [asked.seq, asked.session_id, _json(pieces), _json(dict(gate)), trouble],
            )
            db.conn.executemany(
                "INSERT INTO candidates VALUES (?, ?, ?, ?, ?, ?, ?)",
                [(asked.seq, place, *row[:-1], _json(dict(row[-1]))) for place, row in enumerate(rows, 1)],
            )
        return f"n{asked.seq}" if note else ""

    def keep(self, texts: Mapping[str, str]) -> None:
        """Keep constant texts by their names."""
        with self._store.writing() as db:
            db.conn.executemany("INSERT OR IGNORE INTO texts VALUES (?, ?)", texts.items())

    def begin(self, receipt: Receipt) -> int:
        """Write a receipt before its request is sent; gives its `seq`."""
        row = {
            "session_id": receipt.session_id,
            "purpose": receipt.purpose,
            "turn": receipt.turn,
            "step": receipt.step,
            "at": to_text(receipt.at),
            "model": receipt.model,
            "bytes": receipt.bytes,
            "sha256": receipt.sha256,
            "request": _json(receipt.request),
            "parent": receipt.parent,
            "helper": receipt.helper,
        }
        with self._store.writing() as db:
            seq = db.table("receipts").insert(row).last_rowid
        assert seq is not None
        return int(seq)

    def end(self, seq: int, outcome: Outcome, usd: float | None = None) -> None:
        """Write down how a call ended, and what it cost."""
        sql = """UPDATE receipts SET ms = ?, finish = ?, error = ?, retries = ?, prompt_tokens = ?,
                 completion_tokens = ?, cached_tokens = ?, usd = ? WHERE seq = ?"""
        tokens = (outcome.prompt_tokens, outcome.completion_tokens, outcome.cached_tokens)
        error = outcome.error[:ERROR_CHARACTERS]
        with self._store.writing() as db:
            db.execute(sql, [outcome.ms, outcome.finish, error, outcome.retries, *tokens, usd, seq])

    def answered(self, seq: int, message: Message) -> None:
        """Write down which stored message came of a call."""
        with self._store.writing() as db:
            db.execute("UPDATE receipts SET answer = ? WHERE seq = ?", [message.seq, seq])

    def answered_with(self, seq: int, text: str) -> None:
        """Write down the words of an answer that becomes no message of the session."""
        with self._store.writing() as db:
            db.execute("UPDATE receipts SET said = ? WHERE seq = ?", [text, seq])

    def acted(self, call: CallRow) -> None:
        """Write down what came of a call."""
        with self._store.writing() as db:
            db.table("calls").insert(asdict(call))

    # ------------------------------------------------------------------ reading

    def newest_turn(self, back: int = 1) -> int | None:
        """The user message (its `seq`) of the newest answer, or so many answers back; None: there is none."""
        sql = "SELECT DISTINCT turn FROM receipts WHERE turn IS NOT NULL ORDER BY turn DESC LIMIT 1 OFFSET ?"
        return self._store.number(sql, [back - 1]) or None

    def turn_of_message(self, message_id: str) -> int | None:
        """The turn in which the message of this id was said, the newest where several have it."""
        sql = """SELECT turn FROM messages AS said JOIN receipts ON turn = (
                   SELECT max(seq) FROM messages AS asked
                   WHERE asked.session_id = said.session_id AND asked.role = 'user' AND asked.seq <= said.seq)
                 WHERE said.id = ? ORDER BY turn DESC LIMIT 1"""
        return self._store.number(sql, [message_id]) or None

    def last_turn_of(self, session_id: str) -> int | None:
        """The last turn of a session that asked a model."""
        return self._store.number("SELECT max(turn) FROM receipts WHERE session_id = ?", [session_id]) or None

    def of_turn(self, turn: int) -> list[Receipt]:
        """The calls of a turn's own loop, in order."""
        return [one for one in self.all_of_turn(turn) if one.purpose == "turn"]

    def all_of_turn(self, turn: int) -> list[Receipt]:
        """The calls of a turn, those for its plan and of its helpers among them, in order."""
        rows = self._store.rows("SELECT * FROM receipts WHERE turn = ? ORDER BY seq", [turn])
        return [_as_receipt(dict(row)) for row in rows]

    def turns_of(self, session_id: str) -> list[int]:
        """The turns of a session that asked a model, in order."""
        sql = "SELECT DISTINCT turn FROM receipts WHERE session_id = ? AND turn IS NOT NULL ORDER BY turn"
        return [row[0] for row in self._store.rows(sql, [session_id])]

    def messages_of_turn(self, session_id: str, turn: int) -> list[Message]:
        """What of a turn's messages is stored: from its user message up to the next one."""
        sql = """SELECT * FROM messages WHERE session_id = ?1 AND seq >= ?2 AND seq < coalesce(
                   (SELECT min(seq) FROM messages WHERE session_id = ?1 AND role = 'user' AND seq > ?2), ?2 + 1e15)
                 ORDER BY seq"""
        return [as_message(row) for row in self._store.rows(sql, [session_id, turn])]

    def of_notes(self, session_id: str) -> list[Receipt]:
        """The calls that wrote the notes on a session, in order."""
        sql = "SELECT * FROM receipts WHERE session_id = ? AND purpose = 'notes' ORDER BY seq"
        return [_as_receipt(dict(row)) for row in self._store.rows(sql, [session_id])]

    def spent(self, column: Literal["session_id", "turn"], value: object) -> Spent:
        """What the calls of a session or a turn took, helpers and notes included. Steps are those of its turns, of a
        session also their helpers'."""
        purposes = "'turn', 'helper'" if column == "session_id" else "'turn'"
        sql = f"""SELECT count(CASE WHEN purpose IN ({purposes}) THEN 1 END),
                  coalesce(sum(prompt_tokens + completion_tokens), 0), coalesce(sum(ms), 0) / 1000.0,
                  CASE WHEN coalesce(sum({UNPRICED}), 0) = 0 THEN coalesce(sum(usd), 0) END
                  FROM receipts WHERE {column} = ? AND ms IS NOT NULL"""
        return Spent(*self._store.rows(sql, [value])[0])

    def helpers_of(self, turn: int) -> int:
        """The highest number of a turn's helpers; 0 where none has asked its model anything."""
        return self._store.number("SELECT coalesce(max(helper), 0) FROM receipts WHERE turn = ?", [turn])

    def calls_of(self, receipt: int) -> list[CallRow]:
        """The calls of a step, in order."""
        rows = self._store.rows("SELECT * FROM calls WHERE receipt = ? ORDER BY seq", [receipt])
        kept = CallRow.__dataclass_fields__
        found = [{name: row[name] for name in kept} for row in rows]
        return [CallRow(**one | {"ok": bool(one["ok"]), "outside": bool(one["outside"])}) for one in found]

    def receipt(self, seq: int) -> Receipt:
        """The receipt of this number, which must be there."""
        (row,) = self._store.rows("SELECT * FROM receipts WHERE seq = ?", [seq])
        return _as_receipt(dict(row))

    def looked_for(self, turn: int) -> Looked:
        """What was found for a user message, with the texts as they are stored now."""
        rows = self._store.rows("SELECT * FROM recalls WHERE turn = ?", [turn])
        if not rows:
            return Looked(turn)
        found = self._store.rows("SELECT * FROM candidates WHERE turn = ? ORDER BY place", [turn])
        told = self._told_of([row["unit"] for row in found])
        return Looked(
            turn,
            tuple(_found(dict(row), told.get(row["unit"], {})) for row in found),
            json.loads(rows[0]["gate"]),
            rows[0]["trouble"],
        )

    def said(self, session_id: str, first: int, last: int) -> list[Message]:
        """The messages of a session from one `seq` to another."""
        sql = "SELECT * FROM messages WHERE session_id = ? AND seq BETWEEN ? AND ? ORDER BY seq"
        return [as_message(dict(row)) for row in self._store.rows(sql, [session_id, first, last])]

    def text(self, unit: str) -> str | None:
        """All words of a unit or constant text, as pieces refer to them; None where they were forgotten since."""
        if unit[0] != "t":
            return self._sources([unit]).get(unit)
        rows = self._store.rows("SELECT text FROM texts WHERE unit = ?", [unit])
        return str(rows[0][0]) if rows else None

    def note(self, unit: str) -> list[Piece] | None:
        """The system message of this name in pieces, or None where it is none."""
        if unit[0] != "n":
            return None
        rows = self._store.rows("SELECT note FROM recalls WHERE turn = ?", [int(unit[1:])])
        pieces: list[Piece] | None = json.loads(rows[0][0]) if rows else None
        return pieces

    def notes_of(self, session_id: str) -> tuple[dict[int, str], dict[int, tuple[str, ...]]]:
        """The system messages that were made for a session's user messages, by their `seq`, and the units in each."""
        rows = self._store.rows("SELECT turn, note FROM recalls WHERE session_id = ? AND note <> '[]'", [session_id])
        notes = {row["turn"]: deltas.decoded(json.loads(row["note"]), self.text) for row in rows}
        found = self._store.rows(
            "SELECT turn, unit FROM candidates WHERE reason = '' AND turn IN (SELECT value FROM json_each(?))",
            [json.dumps(sorted(notes))],
        )
        shows = {turn: tuple(row["unit"] for row in found if row["turn"] == turn) for turn in notes}
        return notes, shows

    def _sources(self, units: Collection[str]) -> dict[str, str]:
        stored = self._entries(units)
        messages = self._store.messages(one.seq for one in stored.values() if one.kind == "m")
        found = {unit: source(messages[one.seq]) if one.kind == "m" else one.text for unit, one in stored.items()}
        replaced = self._replaced(set(units) - set(found))
        return found | {unit: row["text"] for unit, row in replaced.items()}

    def _entries(self, units: Collection[str]) -> dict[str, Entry]:
        """Those of the units that are there."""
        return {unit_id(*key): one for key, one in entries(self._store, [*map(parsed, units)]).items()}

    def _replaced(self, units: Collection[str]) -> dict[str, dict[str, Any]]:
        sql = "SELECT * FROM replaced WHERE unit IN (SELECT value FROM json_each(?))"
        return {row["unit"]: dict(row) for row in self._store.rows(sql, [json.dumps(sorted(units))])}

    def _told_of(self, units: Collection[str]) -> dict[str, dict[str, Any]]:
        """What `Found` tells of those of the units that are still known."""
        told = {unit: self._told(one) for unit, one in self._entries(units).items()}
        for unit, row in self._replaced(set(units) - set(told)).items():
            messages = self._store.messages(json.loads(row["messages"]))
            ids = tuple(one.id for _, one in sorted(messages.items()))
            kept = {name: row[name] for name in ("text", "tokens", "session_id", "origin")}
            told[unit] = kept | {"at": from_text(row["at"]), "message_ids": ids}
        return told

    def _told(self, one: Entry) -> dict[str, Any]:
        told = {name: getattr(one, name) for name in ("text", "tokens", "session_id", "origin")}
        return told | {"at": from_text(one.at), "message_ids": recall.message_ids(self._store, one)}


def _found(row: dict[str, Any], told: dict[str, Any]) -> Found:
    """A candidate's row, and what is told of its unit."""
    shown = {"why": json.loads(row["why"]), "tokens": row["tokens"] or told.get("tokens", 0)}
    return Found(**{name: row[name] for name in ("place", "unit", "score", "reason")} | told | shown)


def _as_receipt(row: dict[str, Any]) -> Receipt:
    outcome = {name: row.pop(name) for name in Outcome._fields}
    given = {"at": from_text(row["at"]), "request": json.loads(row["request"])}
    return Receipt(**row | given, outcome=None if outcome["ms"] is None else Outcome(**outcome))


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
