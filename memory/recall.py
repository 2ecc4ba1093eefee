"""Recall: candidates by words and by vectors, `scoring`, the `gate` before a prompt, and a budget of tokens.

Two policies on one primitive. Its owner wants everything that may fit: `find`. A prompt wants only what does: `select`
then drops what fails the gate, since a ranking always has a first and cannot tell that nothing fits.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from memory import gate, passages, scoring, when, words
from memory.records import RECALLED, Fact, Hit, Message, Scope, Summary
from memory.scoring import Candidate, Record, plain
from memory.store import Store
from memory.units import LETTERS, parsed, unit_id

__all__ = ["Candidate", "find", "hit", "select"]

Nearest = Callable[[str, int], Sequence[tuple[str, float]]]  # (question, limit) -> [(unit id, cosine)], best first

# Of each kind by words, and of all kinds by vectors. More cost time and change little; a cosine is worth having even of
# what words found first, and facts and messages share one list.
BY_WORDS, BY_VECTORS = 100, 300
BY_VECTORS_SCOPED = 1000  # vectors know neither dates nor sessions: ask for more where a scope will drop most
AROUND = 30  # best candidates whose neighbours in the talk are brought in: a reply need not share the question's words

SESSION_SHARE = 6  # hits of one session in a prompt, so that one long talk does not take all the room
SHORTEST_LINE = 16  # tokens: who said it, when and where cost that much; with less left, none more is tried


def find(
    store: Store,
    question: str,
    nearest: Nearest | None,
    scope: Scope,
    skip: Collection[str] = (),
    mode: str = "both",
    at: datetime | None = None,
) -> list[Candidate]:
    """All candidates for a question, best first. `skip` names units that need not be found again.

    `mode` is words, vectors or both; without `nearest` (no index) words answer alone. `at` is when it is asked.
    """
    skip = frozenset(skip)
    limit = BY_VECTORS_SCOPED if scope.after or scope.before or scope.session_id or scope.kinds else BY_VECTORS
    bm25 = words.search(store, question, BY_WORDS, scope) if mode != "vectors" else {}
    cosine = {parsed(unit): score for unit, score in nearest(question, limit)} if nearest and mode != "words" else {}
    found = _kept(store, _load(store, bm25, cosine), scope, skip)
    evidence = store.evidence_seqs(one.seq for one in found if one.kind == "f")
    brought = {seq for messages in evidence.values() for seq in messages} | _around(found)
    found += _kept(store, _load(store, {("m", seq): 0.0 for seq in brought - _seqs(found)}, {}), scope, skip)
    return _ranked(question, found, evidence, scope, at or datetime.now().astimezone())


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


def _kept(store: Store, found: list[Candidate], scope: Scope, skip: Collection[str]) -> list[Candidate]:
    return [one for one in found if _spoken(one.record) and _in_scope(store, one, scope) and not _skipped(one, skip)]


def _spoken(record: Record) -> bool:
    """Whether it is among what is searched: no tool's result, nothing recalled, no retired fact."""
    if isinstance(record, Message):
        return record.role in ("user", "assistant") and record.origin != RECALLED and bool(record.content)
    return not (isinstance(record, Fact) and record.retired_by is not None)


def _skipped(one: Candidate, skip: Collection[str]) -> bool:
    return unit_id(one.kind, one.seq) in skip


def _seqs(found: list[Candidate]) -> set[int]:
    return {one.seq for one in found if one.kind == "m"}


def _around(found: list[Candidate]) -> set[int]:
    """The numbers next to the best messages of each arm; which of them are in the same session is seen later."""
    messages = [one for one in found if one.kind == "m"]
    by_words = sorted(messages, key=lambda one: -one.bm25)[:AROUND]
    by_meaning = sorted(messages, key=lambda one: -one.cosine)[:AROUND]
    return {one.seq + step for one in by_words + by_meaning for step in (-2, -1, 1, 2)}


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


def _ranked(
    question: str, found: list[Candidate], evidence: Mapping[int, Sequence[int]], scope: Scope, at: datetime
) -> list[Candidate]:
    scores = scoring.Scores(question, found)
    scoring.score_arms(scores)
    scoring.score_messages(scores)
    scoring.score_neighbours(scores)
    scoring.score_evidence(scores, evidence)
    scoring.score_sessions(scores)
    scoring.score_times(scores, when.spans(question, at))
    return [one for one in scores.ranked() if not scope.kinds or LETTERS[one.kind] in scope.kinds]


def select(
    store: Store, question: str, found: Sequence[Candidate], budget: int, count: Callable[[str], int]
) -> list[Hit]:
    """What of `found` goes into a prompt, best first: relevant, not all of one session, at most `budget` tokens.

    A fact in review is not shown; the messages it rests on were lifted by it and stand for themselves.
    """
    terms = words.terms(question)
    relevant = [one for one in found if not gate.repeats(one.record, question)]
    size = store.number("SELECT max(seq) FROM messages")
    if not gate.opens(relevant, terms, size):
        return []
    chosen: list[Hit] = []
    shares: defaultdict[str, int] = defaultdict(int)
    for one in _near_best(relevant, terms, size):
        if budget < SHORTEST_LINE:
            break
        if shares[one.record.session_id] < SESSION_SHARE:
            hit = shown(store, one, terms, count)
            if hit.tokens <= budget:
                chosen.append(hit)
                budget -= hit.tokens
                shares[one.record.session_id] += 1
    return chosen


def _near_best(found: list[Candidate], terms: Sequence[str], size: int) -> list[Candidate]:
    """What is about as good as the best, and what is most relevant by itself: a gist may say what no message says."""
    visible = [one for one in found if not hidden(one.record)]
    best = max((one.score for one in visible), default=0.0)
    closest = max(visible, key=lambda one: gate.relevance(one, terms, size), default=None)
    return [one for one in visible if one.score >= gate.NEAR_BEST * best or one is closest]


def hidden(record: Record) -> bool:
    """Facts wait for their owner's review where no quote of theirs was found."""
    return isinstance(record, Fact) and record.status != "kept"


def shown(store: Store, one: Candidate, terms: Sequence[str], count: Callable[[str], int]) -> Hit:
    """A candidate as a prompt shows it."""
    whole = hit(store, one)
    text, tokens = passages.line(one.record, whole.at, terms, count)
    return replace(whole, text=text, tokens=tokens)


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
    """The arms that found a candidate, with their raw scores, and the parts of its score."""
    parts = {name: round(value, 3) for name, value in one.parts.items()}
    return {"bm25": round(one.bm25, 3), "cosine": round(one.cosine, 3), **parts}
