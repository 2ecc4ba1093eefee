"""Recall: candidates by words and by vectors, added scores, a gate on relevance, and a budget of tokens.

Two policies on one primitive. Its owner wants everything that may fit: `find`. A prompt wants only what does: `select`
then drops what fails the gate, since a ranking always has a first and cannot tell that nothing fits.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from memory import words
from memory.records import IMPORTED, USER, Fact, Hit, Message, Scope, Summary
from memory.store import Store
from memory.units import LETTERS, parsed, unit_id

Nearest = Callable[[str, int], Sequence[tuple[str, float]]]  # (question, limit) -> [(unit id, cosine)], best first
Record = Message | Summary | Fact

CANDIDATES = 100  # of each arm: beyond, neither arm finds much that the other would lift into the first ten
SCOPED_CANDIDATES = 1000  # vectors know neither dates nor sessions: ask for more where a scope will drop most
WORDS_WEIGHT, VECTOR_WEIGHT = 1.0, 1.0  # the arms fail on different questions; neither is better by itself
FACT_LIFT = 0.4  # a fact speaks for the messages it rests on, less than they for themselves
SESSION_LIFT = 0.05  # what else of the same session matches tells that the session is the right one
USER_BONUS = 0.1  # the owner's own words answer more questions than the assistant's long replies
SUMMARY_FACTOR = 0.8  # a gist matches many questions a little

# The gate, for prompts only. A hit passes by its meaning alone, or by its words if its meaning does not say otherwise.
GATE_COSINE = 0.38
GATE_COVERAGE, GATE_COVERAGE_COSINE = 0.5, 0.18
GATE_RELATIVE = 0.5  # of the best hit's score: what is far below the best is not what was meant
SESSION_SHARE = 6  # hits of one session in a prompt, so that one long talk does not take all the room
PASSAGE_TOKENS = 120  # of a long message, what is shown: a paragraph


@dataclass(frozen=True, slots=True)
class Candidate:
    """A record that may answer, with the raw scores of both arms (0: not found by that arm)."""

    kind: str
    seq: int
    record: Record
    bm25: float
    cosine: float
    score: float = 0.0
    lift: float = 0.0


def find(
    store: Store,
    question: str,
    nearest: Nearest | None,
    scope: Scope,
    skip: Collection[str] = (),
    mode: str = "both",
) -> list[Candidate]:
    """All candidates for a question, best first. `skip` names units that need not be found again.

    `mode` is words, vectors or both; without `nearest` (no index) words answer alone.
    """
    limit = SCOPED_CANDIDATES if scope.after or scope.before or scope.session_id or scope.kinds else CANDIDATES
    bm25 = words.search(store, question, CANDIDATES, scope) if mode != "vectors" else {}
    cosine = {parsed(unit): score for unit, score in nearest(question, limit)} if nearest and mode != "words" else {}
    found = [one for one in _load(store, bm25, cosine) if _in_scope(store, one, scope) and not _skipped(one, skip)]
    return _ranked(store, found, scope, skip)


def _load(
    store: Store, bm25: Mapping[tuple[str, int], float], cosine: Mapping[tuple[str, int], float]
) -> list[Candidate]:
    keys = dict.fromkeys([*bm25, *cosine])
    load: dict[str, Callable[[list[int]], Mapping[int, Record]]] = {
        "m": store.messages, "s": store.summaries, "f": store.facts
    }  # fmt: skip
    records = {kind: read([seq for letter, seq in keys if letter == kind]) for kind, read in load.items()}
    return [
        Candidate(kind, seq, records[kind][seq], bm25.get((kind, seq), 0.0), cosine.get((kind, seq), 0.0))
        for kind, seq in keys
        if seq in records[kind]
    ]


def _skipped(one: Candidate, skip: Collection[str]) -> bool:
    return unit_id(one.kind, one.seq) in skip or (isinstance(one.record, Fact) and one.record.retired_by is not None)


def _in_scope(store: Store, one: Candidate, scope: Scope) -> bool:
    if scope.session_id and one.record.session_id != scope.session_id:
        return False
    if not (scope.after or scope.before):
        return True
    at = happened_at(store, one.record)
    return (scope.after is None or at >= scope.after) and (scope.before is None or at < scope.before)


def happened_at(store: Store, record: Record) -> datetime:
    """When what a record tells of was said: a summary's own time is only that of its writing."""
    if isinstance(record, Summary):
        session = store.session(record.session_id)
        return session.started_at if session else record.at
    return record.at


def _ranked(store: Store, found: list[Candidate], scope: Scope, skip: Collection[str]) -> list[Candidate]:
    brought = [one for one in _with_facts(store, _scored(found)) if not _skipped(one, skip)]
    scored = _with_sessions(brought)
    if scope.kinds:
        scored = [one for one in scored if LETTERS[one.kind] in scope.kinds]
    return sorted(scored, key=lambda one: (-one.score, one.kind, -one.seq))


def _scored(found: list[Candidate]) -> list[Candidate]:
    """Add the arms' scores: bm25 as a share of the best of its table, since each table has a scale of its own."""
    best: defaultdict[str, float] = defaultdict(lambda: 1e-9)
    for one in found:
        best[one.kind] = max(best[one.kind], one.bm25)
    return [replace(one, score=_base(one, best[one.kind])) for one in found]


def _base(one: Candidate, best: float) -> float:
    score = WORDS_WEIGHT * one.bm25 / best + VECTOR_WEIGHT * max(0.0, one.cosine)
    if one.kind == "s":
        return score * SUMMARY_FACTOR
    own = isinstance(one.record, Message) and one.record.role == "user"
    return score + USER_BONUS * own


def _with_facts(store: Store, found: list[Candidate]) -> list[Candidate]:
    """Let each fact lift the messages it rests on, and bring those in that no arm found."""
    facts = {one.seq: one.score for one in found if one.kind == "f"}
    lifts: defaultdict[int, float] = defaultdict(float)
    for fact, messages in store.evidence_seqs(facts).items():
        for seq in messages:
            lifts[seq] = max(lifts[seq], FACT_LIFT * facts[fact])
    there = {one.seq for one in found if one.kind == "m"}
    brought = [Candidate("m", seq, record, 0.0, 0.0) for seq, record in store.messages(set(lifts) - there).items()]
    return [_lifted(one, lifts[one.seq]) if one.kind == "m" and one.seq in lifts else one for one in found + brought]


def _with_sessions(found: list[Candidate]) -> list[Candidate]:
    """Lift what stands in a session of which other messages match too."""
    totals: defaultdict[str, float] = defaultdict(float)
    for one in found:
        totals[one.record.session_id] += one.score
    return [_lifted(one, SESSION_LIFT * min(4.0, totals[one.record.session_id] - one.score)) for one in found]


def _lifted(one: Candidate, lift: float) -> Candidate:
    return replace(one, score=one.score + lift, lift=one.lift + lift)


def passes(one: Candidate, terms: Sequence[str]) -> bool:
    """The absolute gate: is this relevant at all?"""
    if one.cosine >= GATE_COSINE:
        return True
    covered = words.coverage(terms, plain(one.record)) if terms else 0.0
    return covered >= GATE_COVERAGE and (one.cosine == 0.0 or one.cosine >= GATE_COVERAGE_COSINE)


def select(
    store: Store, question: str, found: Sequence[Candidate], budget: int, count: Callable[[str], int]
) -> list[Hit]:
    """What of `found` goes into a prompt, best first: relevant, not all of one session, at most `budget` tokens.

    A fact in review is not shown; the messages it rests on were lifted by it and stand for themselves.
    """
    terms = words.terms(question)
    passed = [one for one in found if passes(one, terms)]
    best = max((one.score for one in passed), default=0.0)
    chosen: list[Hit] = []
    shares: defaultdict[str, int] = defaultdict(int)
    left = budget
    for one in passed:
        if one.score < GATE_RELATIVE * best or shares[one.record.session_id] >= SESSION_SHARE or hidden(one.record):
            continue
        hit = shown(store, one, terms, count)
        if hit.tokens <= left:
            chosen.append(hit)
            left -= hit.tokens
            shares[one.record.session_id] += 1
    return chosen


def hidden(record: Record) -> bool:
    """Facts wait for their owner's review where no quote of theirs was found."""
    return isinstance(record, Fact) and record.status != "kept"


def plain(record: Record) -> str:
    """A record's own words."""
    if isinstance(record, Summary):
        return f"{record.title}: {record.gist}"
    return record.content if isinstance(record, Message) else record.text


def shown(store: Store, one: Candidate, terms: Sequence[str], count: Callable[[str], int]) -> Hit:
    """A candidate as the line that a prompt shows: the passage that matters, whose words they are, when and where."""
    text = plain(one.record)
    if getattr(one.record, "tokens", 0) > PASSAGE_TOKENS:
        text = passage(text, terms, PASSAGE_TOKENS * 4)  # about four characters a token
    at = happened_at(store, one.record)
    source = f"{speaker(one.record)}, {at.astimezone():%Y-%m-%d}, session {one.record.session_id}"
    line = f"{' '.join(text.split())} ({source})"
    return replace(hit(store, one), text=line, tokens=count(line) + 1)


def speaker(record: Record) -> str:
    """Whose words a line carries, so that a model can weigh them."""
    if isinstance(record, Summary):
        return "notes"
    if isinstance(record, Fact):
        return "fact" if record.origin == USER else f"fact ({record.origin})"
    who = record.name or record.role
    return f"{who} (imported)" if record.origin == IMPORTED else who


def passage(text: str, terms: Sequence[str], size: int) -> str:
    """The stretch of whole sentences, up to about `size` characters, with the most of `terms`."""
    sentences = [part for part in re.split(r"(?<=[.!?。！？\n])\s+", text) if part.strip()] or [text]
    best, best_score = "", -1.0
    for start in range(len(sentences)):
        taken = sentences[start][:size]
        for sentence in sentences[start + 1 :]:
            if len(taken) + len(sentence) >= size:
                break
            taken += " " + sentence
        score = words.coverage(terms, taken)
        if score > best_score:
            best, best_score = taken, score
    return best if best == text else f"… {best} …"


def hit(store: Store, one: Candidate) -> Hit:
    """A candidate as its owner is shown it: the whole text."""
    record = one.record
    session = store.session(record.session_id)
    return Hit(
        unit=unit_id(one.kind, one.seq),
        kind=LETTERS[one.kind],  # type: ignore[arg-type]
        session_id=record.session_id,
        message_ids=message_ids(record),
        text=plain(record),
        at=happened_at(store, record),
        origin=record.origin,
        score=round(one.score, 4),
        tokens=record.tokens,
        title=session.title if session else "",
        why=why(one),
    )


def message_ids(record: Record) -> tuple[str, ...]:
    """The messages that a record is or rests on; a summary rests on all of its session and names none."""
    if isinstance(record, Message):
        return (record.id,)
    return record.message_ids if isinstance(record, Fact) else ()


def why(one: Candidate) -> dict[str, Any]:
    """The arms that found a candidate, with their raw scores, and what lifted it."""
    return {"bm25": round(one.bm25, 3), "cosine": round(one.cosine, 3), "lift": round(one.lift, 3)}
