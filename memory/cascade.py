"""The cascade of a forgetting: of what is to go, all that goes with it. It only reads.

Messages take the facts that rest on them alone, or whose quote stands in none of the others; the answers of tools and
what called them go together, so that every transcript stays one; a session without messages goes whole.
"""

import contextlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, cast

from memory.records import Fact, Message, ToolCall
from memory.rows import as_calls, as_fact, as_message
from memory.store import Store


@dataclass(frozen=True, slots=True)
class Cascade:
    """What goes, by row numbers and ids. `touched` are sessions that stay, without some of their messages or facts.

    `turns` are user messages whose receipts go, `noted` the touched sessions whose notes are written again.
    """

    sessions: tuple[str, ...] = ()
    messages: tuple[int, ...] = ()
    facts: tuple[int, ...] = ()
    touched: tuple[str, ...] = ()
    noted: tuple[str, ...] = ()
    turns: tuple[int, ...] = ()
    everything: bool = False
    fact_ids: tuple[str, ...] = ()
    kept_retired: tuple[str, ...] = field(default=())

    def __bool__(self) -> bool:
        return bool(self.sessions or self.messages or self.facts or self.everything)


def to_json(cascade: Cascade) -> str:
    """A cascade as it is kept until it is done; it holds no words."""
    return json.dumps(asdict(cascade), separators=(",", ":"))


def from_json(text: str) -> Cascade:
    """The inverse of `to_json`."""
    held: dict[str, Any] = json.loads(text)
    return Cascade(**{name: cast(Any, tuple(one) if isinstance(one, list) else one) for name, one in held.items()})


def of(
    store: Store,
    messages: Iterable[int] = (),
    facts: Iterable[int] = (),
    sessions: Iterable[str] = (),
    everything: bool = False,
) -> Cascade:
    """The cascade of forgetting these messages, facts (by `seq`) and sessions."""
    whole = set(sessions)
    if everything:
        whole = {one.id for one in store.sessions()}
    goes = {row["seq"] for one in whole for row in store.rows("SELECT seq FROM messages WHERE session_id = ?", [one])}
    goes |= with_calls(store, set(messages))
    whole |= emptied(store, goes)
    gone = set(facts) | {
        row["seq"] for one in whole for row in store.rows("SELECT seq FROM facts WHERE session_id = ?", [one])
    }
    gone |= _resting(store, goes, gone)
    touched = sorted(_sessions_of(store, "messages", goes) | _sessions_of(store, "facts", gone) - whole)
    left = [one for one in touched if one not in whole]
    ids = {
        row["id"] for row in _rows(store, "SELECT id FROM facts WHERE seq IN (SELECT value FROM json_each(?))", gone)
    }
    return Cascade(
        tuple(sorted(whole)), tuple(sorted(goes)), tuple(sorted(gone)), tuple(left),
        tuple(one for one in left if store.summary(one) and _has_user_left(store, one, goes)),
        tuple(sorted(_turns(store, goes))), everything, tuple(sorted(ids)), tuple(_kept_retired(store, ids)),
    )  # fmt: skip


def _rows(store: Store, sql: str, values: Iterable[int] | Iterable[str]) -> Sequence[dict[str, Any]]:
    return [dict(row) for row in store.rows(sql, [json.dumps(list(values))])]


def with_calls(store: Store, seqs: set[int]) -> set[int]:
    """The messages, and with a call of tools its answers, with an answer the call and its other answers."""
    found = set(seqs)
    for session in _sessions_of(store, "messages", seqs):
        group: set[int] = set()
        groups = []
        for one in store.transcript(session):
            if one.role != "tool":
                group = {one.seq}
                groups.append(group)
            else:
                group.add(one.seq)
        found.update(*(each for each in groups if len(each) > 1 and each & seqs))
    return found


def emptied(store: Store, seqs: set[int]) -> set[str]:
    """The sessions that have no message but these."""
    sql = "SELECT seq FROM messages WHERE session_id = ?"
    return {
        one for one in _sessions_of(store, "messages", seqs) if {row["seq"] for row in store.rows(sql, [one])} <= seqs
    }


def with_evidence(store: Store, seqs: Iterable[int]) -> set[int]:
    """The messages that these facts rest on."""
    return {message for held in store.evidence_seqs(seqs).values() for message in held}


def same_facts(store: Store, seqs: Iterable[int]) -> set[int]:
    """The facts, those that say the same, and earlier wordings of theirs that their owner changed."""
    sql = """SELECT other.seq FROM facts AS one JOIN facts AS other
               ON other.same_as = one.id OR one.same_as = other.id
               OR (other.retired_by = one.id AND other.status = 'rejected')
             WHERE one.seq IN (SELECT value FROM json_each(?))"""
    found = set(seqs)
    while more := {int(str(row["seq"])) for row in _rows(store, sql, found)} - found:
        found |= more
    return found


def _resting(store: Store, messages: set[int], gone: set[int]) -> set[int]:
    """The facts, beside those that go anyhow, that rest on messages which go, and can do without none of them."""
    sql = "SELECT DISTINCT fact FROM evidence WHERE message IN (SELECT value FROM json_each(?))"
    facts = {int(str(row["fact"])) for row in _rows(store, sql, messages)} - gone
    held = store.facts(facts)
    found = set()
    for fact, rests_on in store.evidence_seqs(facts).items():
        left = store.messages(set(rests_on) - messages).values()
        quote = held[fact].quote
        if not left or not quote or not any(quote in one.content for one in left):
            found.add(fact)
    return found


def _sessions_of(store: Store, table: str, seqs: Iterable[int]) -> set[str]:
    sql = f"SELECT DISTINCT session_id FROM {table} WHERE seq IN (SELECT value FROM json_each(?))"
    return {str(row["session_id"]) for row in _rows(store, sql, seqs)}


def _has_user_left(store: Store, session: str, gone: set[int]) -> bool:
    return any(one.role == "user" and one.seq not in gone for one in store.transcript(session))


def _turns(store: Store, messages: Iterable[int]) -> set[int]:
    """The user messages in whose turns these were said."""
    sql = """SELECT DISTINCT (SELECT max(seq) FROM messages AS asked WHERE asked.session_id = said.session_id
               AND asked.role = 'user' AND asked.seq <= said.seq) AS turn
             FROM messages AS said WHERE seq IN (SELECT value FROM json_each(?))"""
    return {int(str(row["turn"])) for row in _rows(store, sql, messages) if row["turn"] is not None}


def _kept_retired(store: Store, ids: set[str]) -> list[str]:
    """Facts that stay, and stay retired, though the fact that took their place goes."""
    sql = "SELECT id FROM facts WHERE retired_by IN (SELECT value FROM json_each(?)) ORDER BY seq"
    return [str(row["id"]) for row in _rows(store, sql, ids) if row["id"] not in ids]


def messages_of(store: Store, cascade: Cascade) -> list[Message]:
    """The messages that go, as they are."""
    sql = "SELECT * FROM messages WHERE seq IN (SELECT value FROM json_each(?)) ORDER BY seq"
    return [as_message(row) for row in _rows(store, sql, cascade.messages)]


def facts_of(store: Store, cascade: Cascade) -> list[Fact]:
    """The facts that go, as they are."""
    evidence = store.evidence(list(cascade.facts))
    sql = "SELECT * FROM facts WHERE seq IN (SELECT value FROM json_each(?)) ORDER BY seq"
    rows = [(row, int(str(row["seq"]))) for row in _rows(store, sql, cascade.facts)]
    return [as_fact(row, evidence.get(seq, ())) for row, seq in rows]


def texts_of(store: Store, cascade: Cascade) -> list[str]:
    """The words of all that goes: of messages, calls, facts, and the notes and titles that are made again or go."""
    found = []
    for message in messages_of(store, cascade):
        found += [message.content, *in_calls(message.tool_calls)]
    for fact in facts_of(store, cascade):
        found += [fact.text, fact.quote]
    for session in [*cascade.sessions, *cascade.touched]:
        summary = store.summary(session)
        found += [summary.title, summary.gist] if summary else []
        held = store.session(session)
        found += [held.title] if held else []
    sql = "SELECT content, tool_calls FROM secrets WHERE message IN (SELECT value FROM json_each(?))"
    for row in _rows(store, sql, cascade.messages):
        found += [str(row["content"]), *in_calls(as_calls(row["tool_calls"]))]
    return found


def in_calls(calls: Iterable[ToolCall]) -> list[str]:
    """What calls of tools say: their arguments as they were written, and the texts in these."""
    found = []
    for call in calls:
        found.append(call.arguments)
        with contextlib.suppress(ValueError, RecursionError):
            found += _texts(json.loads(call.arguments))
    return found


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list | dict):
        for one in value.values() if isinstance(value, dict) else value:
            yield from _texts(one)
