"""What the store holds of a time or a kind: the answers to `occasions`. No arm finds them and no gate is asked."""

import json
from collections.abc import Iterator

from memory import words
from memory.entries import IS_TOOLS, Key, any_replaced, entries
from memory.occasions import Occasion, Time
from memory.records import Scope
from memory.scoring import Candidate
from memory.store import Store
from memory.succession import mark

MOST = 20  # sessions or facts in an answer; a prompt's budget holds fewer
OPENING = 3  # of a session without notes so many of its owner's first messages stand in: they say what it is about

TALKED = """
SELECT source.session_id FROM messages AS source JOIN sessions ON sessions.id = source.session_id
WHERE role IN ('user', 'assistant') AND source.origin <> 'recalled' AND source.content <> ''
  AND source.session_id NOT IN (SELECT value FROM json_each(?)) {where} ORDER BY source.at {order}, source.seq {order}
LIMIT 1"""
# A note by hand is no talk.
IS_TALK = "AND (wants_notes OR (SELECT count(*) FROM messages WHERE session_id = sessions.id) > 1)"
OPENED = """
SELECT seq FROM spoken JOIN messages USING (seq) WHERE messages.session_id = ?1 AND messages.content <> ''
  AND role = (SELECT max(role) FROM messages WHERE session_id = ?1 AND role IN ('user', 'assistant'))
ORDER BY seq LIMIT ?2"""  # the assistant's where nobody else spoke
OF_KIND = """
WITH wanted AS (SELECT key AS place, value AS kind FROM json_each(?))
SELECT source.seq FROM facts AS source LEFT JOIN wanted ON wanted.kind = source.kind
WHERE source.status = 'kept' AND (wanted.kind IS NOT NULL OR (? AND source.pinned)) {where}
ORDER BY {quarantined}, source.pinned DESC, wanted.place, source.at DESC, source.seq DESC LIMIT 200"""


def look_up(store: Store, occasion: Occasion, scope: Scope, live: str = "") -> list[Candidate]:
    """What answers a question of time or kind within `scope`, the newest first; `live` is the session that goes on."""
    for time in occasion.times or (None,):
        bounded = _within(scope, time)
        keys = _facts(store, occasion, bounded) if occasion.kinds else _notes(store, occasion, bounded, live)
        if found := _candidates(store, keys, scope):
            return found[:MOST]
    return []


def _within(scope: Scope, time: Time | None) -> Scope:
    """A scope that is no wider than a time."""
    if time is None:
        return scope
    after, before = scope.after or time[0], scope.before or time[1]
    return scope._replace(after=max(after, time[0]), before=min(before, time[1]))


def _candidates(store: Store, keys: list[Key], scope: Scope) -> list[Candidate]:
    known = scope._replace(after=None, before=None)  # the time is that of the talk
    there = entries(store, keys, known).values()
    found = [Candidate(one, parts={"occasion": 1.0}) for one in there if not (one.replaced or one.same_as)]
    if any_replaced(store):
        mark(store, found, known)
    return found


# ---------------------------------------------------------------------- sessions


def _notes(store: Store, occasion: Occasion, scope: Scope, live: str) -> list[Key]:
    """What stands for each of the sessions meant."""
    return [key for session in _talked(store, occasion, scope, live) for key in _of_session(store, session, scope)]


def _talked(store: Store, occasion: Occasion, scope: Scope, live: str) -> Iterator[str]:
    """The ids of the sessions meant, the last talked in first. One query each: it walks an index and stops."""
    bounds, values = words.conditions(scope, "source.at")
    where = bounds if occasion.times else f"{bounds} {IS_TALK}"
    sql = TALKED.format(where=where, order="ASC" if occasion.earliest else "DESC")
    known = [live]
    for _ in range(MOST if occasion.times else min(MOST, occasion.sessions)):
        found = store.rows(sql, [json.dumps(known), *values])
        if not found:
            return
        known.append(found[0][0])
        yield known[-1]


def _of_session(store: Store, session: str, scope: Scope) -> list[Key]:
    """A session's summary; where it has none (yet), or others are wanted, its owner's first messages or its facts."""
    wanted = scope.kinds or ("summary", "message")
    summary = store.rows("SELECT seq FROM summaries WHERE session_id = ?", [session])
    notes = _candidates(store, [("s", row[0]) for row in summary], scope) if "summary" in wanted else []
    if notes and not (notes[0].entry.quarantined and "message" in wanted):
        return [one.key for one in notes]
    if "message" in wanted:  # they stand in for a summary that no prompt shows, too
        opened = store.rows(OPENED, [session, OPENING])
        return [*(one.key for one in notes), *(("m", row[0]) for row in opened)]
    facts = store.rows("SELECT seq FROM facts WHERE session_id = ? AND status = 'kept'", [session])
    return [("f", row[0]) for row in facts]


# ---------------------------------------------------------------------- facts


def _facts(store: Store, occasion: Occasion, scope: Scope) -> list[Key]:
    """Facts of the kinds meant, the pinned ones first; where messages are wanted instead, those that they rest on."""
    bounds, values = words.conditions(scope, "source.at")
    where = bounds if scope.as_of else f"{bounds} AND source.retired_by IS NULL AND source.same_as IS NULL"
    last = f"({IS_TOOLS} AND NOT handled)"  # else a page could crowd out what its owner said
    sql = OF_KIND.format(where=where, quarantined=last)
    rows = store.rows(sql, [json.dumps(occasion.kinds), occasion.pinned, *values])
    facts = [("f", row[0]) for row in rows]
    if not scope.kinds or "fact" in scope.kinds:
        return facts
    if "message" not in scope.kinds:
        return []
    evidence = store.evidence_seqs(seq for _, seq in facts)
    return list(dict.fromkeys(("m", seq) for _, fact in facts for seq in evidence.get(fact, ())))
