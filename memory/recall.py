"""Recall: candidates by words and by vectors, `scoring`, the `gate` before a prompt, and a budget of tokens.

Two policies on one primitive. Its owner wants everything that may fit: `find`. A prompt wants only what does: `select`
then drops what fails the gate, since a ranking always has a first and cannot tell that nothing fits.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from memory import gate, passages, scoring, when, words
from memory.ranking import (
    AROUND,
    BY_VECTORS,
    BY_VECTORS_SCOPED,
    BY_WORDS,
    CUTS,
    NEAR_BEST,
    SESSION_SHARE,
    SHORTEST_LINE,
)
from memory.records import RECALLED, Cut, Fact, Hit, Message, Scope, Summary
from memory.rows import to_text
from memory.scoring import Candidate, Key, Record, plain
from memory.store import Store
from memory.units import LETTERS, parsed, unit_id

__all__ = ["Candidate", "Selection", "find", "hit", "select"]

Nearest = Callable[[str, int], Sequence[tuple[str, float]]]  # (question, limit) -> [(unit id, cosine)], best first

# Why something is not shown.
IN_WINDOW, REPEATS, IN_REVIEW = "in the window already", "only repeats the question", "in review"
SHUT, BELOW, FULL_SESSION = "the gate: nothing relevant enough", "below the best", "six of its session are shown"


def find(
    store: Store,
    question: str,
    nearest: Nearest | None,
    scope: Scope,
    mode: str = "both",
    at: datetime | None = None,
) -> list[Candidate]:
    """All candidates for a question, best first.

    `mode` is words, vectors or both; without `nearest` (no index) words answer alone. `at` is when it is asked.
    """
    limit = BY_VECTORS if scope == Scope() else BY_VECTORS_SCOPED
    bm25 = words.search(store, question, BY_WORDS, scope) if mode != "vectors" else {}
    cosine = {parsed(unit): score for unit, score in nearest(question, limit)} if nearest and mode != "words" else {}
    found = kept(store, _load(store, bm25, cosine), scope)
    evidence = store.evidence_seqs(one.seq for one in found if one.kind == "f")
    brought = {seq for messages in evidence.values() for seq in messages} | _around(found)
    found += kept(store, _load(store, {("m", seq): 0.0 for seq in brought - _seqs(found)}, {}), scope)
    return _ranked(question, found, evidence, scope, at or datetime.now().astimezone())


def _load(
    store: Store, bm25: Mapping[tuple[str, int], float], cosine: Mapping[tuple[str, int], float]
) -> list[Candidate]:
    found = records(store, dict.fromkeys([*bm25, *cosine]))
    return [Candidate(*key, one, bm25.get(key, 0.0), cosine.get(key, 0.0)) for key, one in found.items()]


def records(store: Store, keys: Collection[Key]) -> dict[Key, Record]:
    """Those of the records named by (kind, seq) that are there, in the order of `keys`."""
    read: dict[str, Callable[[list[int]], Mapping[int, Record]]] = {
        "m": store.messages, "s": store.summaries, "f": store.facts
    }  # fmt: skip
    found = {kind: read[kind]([seq for letter, seq in keys if letter == kind]) for kind in read}
    return {key: found[key[0]][key[1]] for key in keys if key[1] in found[key[0]]}


def kept(store: Store, found: list[Candidate], scope: Scope) -> list[Candidate]:
    """Those that are searched at all and lie within `scope`, whatever kinds it asks for."""
    return [one for one in found if _spoken(one.record) and _in_scope(store, one, scope)]


def _spoken(record: Record) -> bool:
    """Whether it is among what is searched: no tool's result, nothing recalled."""
    if isinstance(record, Message):
        return record.role in ("user", "assistant") and record.origin != RECALLED and bool(record.content)
    return True


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
    if _retired(store, one.record, scope.as_of) or (scope.as_of and known_at(store, one.record) >= scope.as_of):
        return False
    if not (scope.after or scope.before):
        return True
    at = happened_at(store, one.record)
    return (scope.after is None or at >= scope.after) and (scope.before is None or at < scope.before)


def _retired(store: Store, record: Record, as_of: datetime | None) -> bool:
    """Whether a fact no longer holds, or did not any more then: another fact that was said by then took its place."""
    if not isinstance(record, Fact) or record.retired_by is None:
        return False
    return as_of is None or not store.rows(
        "SELECT 1 FROM facts WHERE id = ? AND at >= ?", [record.retired_by, to_text(as_of)]
    )


def known_at(store: Store, record: Record) -> datetime:
    """From when on the memory holds a record: a summary from the end of its session, else when it was said."""
    session = store.session(record.session_id) if isinstance(record, Summary) else None
    return (session.ended_at or session.started_at) if session else record.at


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


@dataclass(frozen=True, slots=True)
class Selection:
    """What goes into a prompt, the best of what was cut, and the gate's verdict: {open, relevance, threshold}."""

    hits: tuple[Hit, ...]
    cut: tuple[Cut, ...] = ()
    gate: Mapping[str, Any] = field(default_factory=dict)


def select(
    store: Store,
    question: str,
    found: Sequence[Candidate],
    budget: int,
    count: Callable[[str], int],
    skip: Collection[str] = (),
) -> Selection:
    """What of `found` goes into a prompt, best first: relevant, not all of one session, at most `budget` tokens.

    `skip` names units that the prompt shows already. A fact in review is not shown; the messages it rests on were
    lifted by it and stand for themselves.
    """
    terms = words.terms(question)
    reasons = _ruled_out(found, question, frozenset(skip))
    left = [one for one in found if one.key not in reasons]
    verdicts = _judged(store, found, terms)
    best = max((verdicts[one.key] for one in left), key=lambda one: (one.opens, one.strength), default=gate.NOTHING)
    near = _near_best(left, verdicts) if best.opens else []
    chosen = {one.key for one in near}
    reasons |= {one.key: _left_out(one, best.opens) for one in left if one.key not in chosen}
    more = {key: {"gate": _figures(verdict)} for key, verdict in verdicts.items()}
    hits, crowded = fill(store, near, budget, terms, count, more)
    return Selection(hits, cut(found, reasons | crowded, more), {"open": best.opens, **_figures(best)})


def select_all(
    store: Store,
    occasion: str,
    found: Sequence[Candidate],
    budget: int,
    count: Callable[[str], int],
    skip: Collection[str],
) -> Selection:
    """What of the answer to an occasion goes into a prompt: all that fits and is not shown there already."""
    reasons = {one.key: IN_WINDOW for one in found if unit_id(*one.key) in skip}
    more = {one.key: {"occasion": occasion} for one in found}
    left = [one for one in found if one.key not in reasons]
    hits, crowded = fill(store, left, budget, (), count, more, share=len(left))
    return Selection(hits, cut(found, reasons | crowded, more), {"open": True, "occasion": occasion})


def _ruled_out(found: Sequence[Candidate], question: str, skip: Collection[str]) -> dict[Key, str]:
    """What is not shown however relevant it is, and why. It does not open the gate either.

    No reason is needed for the question itself, which the window shows and which repeats itself.
    """
    reasons = {one.key: REPEATS for one in found if gate.repeats(one.record, question)}
    shown = {one.key for one in found if unit_id(*one.key) in skip}
    return reasons | {key: "" if key in reasons else IN_WINDOW for key in shown}


def _judged(store: Store, found: Sequence[Candidate], terms: Sequence[str]) -> dict[Key, gate.Verdict]:
    """The gate's verdicts. Words alone judge where no vector has a say, and what a session said that still goes on.

    Its vectors come at its end. After an import many more wait for theirs, too many to go by words alone.
    """
    size = store.number("SELECT max(seq) FROM messages")
    far = {one.key for one in found if not one.cosine}
    live = {("m", seq) for seq in store.still_unindexed(seq for kind, seq in far if kind == "m")}
    blind = far if len(far) == len(found) else far & live
    return {one.key: gate.judged(one, terms, size, one.key in blind) for one in found}


def _figures(verdict: gate.Verdict) -> dict[str, float]:
    return {"relevance": _rounded(verdict.relevance), "threshold": _rounded(verdict.threshold)}


def _left_out(one: Candidate, opened: bool) -> str:
    """Why what might have been shown is not."""
    if not opened:
        return SHUT
    return IN_REVIEW if hidden(one.record) else BELOW


def _near_best(found: list[Candidate], verdicts: Mapping[Key, gate.Verdict]) -> list[Candidate]:
    """What is about as good as the best, and what is most relevant by itself: a gist may say what no message says."""
    visible = [one for one in found if not hidden(one.record)]
    best = max((one.score for one in visible), default=0.0)
    closest = max(visible, key=lambda one: verdicts[one.key].strength, default=None)
    return [one for one in visible if one.score >= NEAR_BEST * best or one is closest]


def fill(
    store: Store,
    found: Sequence[Candidate],
    budget: int,
    terms: Sequence[str],
    count: Callable[[str], int],
    more: Mapping[Key, Mapping[str, Any]],
    share: int = SESSION_SHARE,
) -> tuple[tuple[Hit, ...], dict[Key, str]]:
    """What of `found` fits into `budget` tokens, in its order and as a prompt shows it, and why the rest does not.

    `more` is what else each hit's `why` tells; at most `share` hits are of one session.
    """
    hits: list[Hit] = []
    crowded: dict[Key, str] = {}
    shares: defaultdict[str, int] = defaultdict(int)
    used = 0
    for one in found:
        left, session = budget - used, one.record.session_id
        if shares[session] == share:
            crowded[one.key] = FULL_SESSION
        elif left < SHORTEST_LINE or (line := shown(store, one, terms, count)).tokens > left:
            crowded[one.key] = f"no room left ({left} tokens)"
        else:
            used += line.tokens
            shares[session] += 1
            place = {"place": len(hits) + 1, "tokens": line.tokens, "used": used, "of": budget}
            hits.append(replace(line, why={**line.why, **more.get(one.key, {}), "budget": place}))
    return tuple(hits), crowded


def cut(
    found: Sequence[Candidate], reasons: Mapping[Key, str], more: Mapping[Key, Mapping[str, Any]]
) -> tuple[Cut, ...]:
    """The best of what has a reason not to be shown."""
    return tuple(
        Cut(
            unit=unit_id(*one.key),
            session_id=one.record.session_id,
            score=round(one.score, 4),
            reason=reasons[one.key],
            why={**why(one), **more.get(one.key, {})},
        )
        for one in [one for one in found if reasons.get(one.key)][:CUTS]
    )


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
    """The arms that found a candidate, with their raw scores (0: not found by it), and the parts of its score."""
    return {
        "arms": {"words": _rounded(one.bm25), "vectors": _rounded(one.cosine)},
        "parts": {name: _rounded(value) for name, value in one.parts.items()},
    }


def _rounded(value: float) -> float:
    return round(value, 3)
