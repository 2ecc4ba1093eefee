"""Recall: candidates by words and by vectors, `scoring`, the `gate` before a prompt, and a budget of tokens.

Two policies on one primitive. Its owner wants everything that may fit: `find`. A prompt wants only what does: `select`
then drops what fails the gate, since a ranking always has a first and cannot tell that nothing fits.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from memory import gate, passages, scoring, when, words
from memory.entries import Entry, Key, any_replaced, entries
from memory.ranking import (
    AROUND,
    BY_VECTORS,
    BY_VECTORS_SCOPED,
    BY_WORDS,
    CUTS,
    LEAST,
    NEAR_BEST,
    NEIGHBOUR,
    SESSION_SHARE,
    SHORTEST_LINE,
)
from memory.records import Cut, Hit, Scope
from memory.rows import from_text
from memory.scoring import Candidate
from memory.store import Store
from memory.units import LETTERS, parsed, unit_id

__all__ = ["Candidate", "Selection", "find", "hit", "select"]

# (question, limit) -> (unit id, cosine), best first. It may still be at it until they are taken.
Nearest = Callable[[str, int], Iterable[tuple[str, float]]]

# Why something is not shown.
IN_WINDOW, REPEATS, IN_REVIEW = "in the window already", "only repeats the question", "in review"
SAID = "said by a line that is shown"
QUARANTINED = "drawn from {}"
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
    limit = BY_VECTORS if scope._replace(past=False) == Scope() else BY_VECTORS_SCOPED
    near = nearest(question, limit) if nearest and mode != "words" else ()  # at it while words are searched
    bm25 = words.search(store, question, BY_WORDS, scope) if mode != "vectors" else {}
    there = entries(store, bm25, scope)
    cosine = {parsed(unit): score for unit, score in near}
    there |= entries(store, [key for key in cosine if key not in bm25], scope)
    found = [Candidate(one, bm25.get(key, 0.0), cosine.get(key, 0.0)) for key, one in there.items()]
    changed = any_replaced(store)
    if changed:
        from memory import succession

        found = succession.inherit(store, found, scope)
    evidence = store.evidence_seqs(one.entry.seq for one in found if one.entry.kind == "f")
    brought = {("m", seq) for messages in evidence.values() for seq in messages} | _around(found)
    found += map(Candidate, entries(store, brought.difference(one.key for one in found), scope).values())
    ranked = scoring.ranked(question, found, evidence, when.spans(question, at or datetime.now().astimezone()))
    ranked = succession.marked(store, ranked, scope) if changed else ranked
    alone = [one for one in ranked if not one.entry.same_as]
    return [one for one in alone if not scope.kinds or LETTERS[one.entry.kind] in scope.kinds]


def _around(found: list[Candidate]) -> set[Key]:
    """The keys next to the best messages of each arm; which of them are in the same session is seen later."""
    messages = [one for one in found if one.entry.kind == "m"]
    by_words = sorted(messages, key=lambda one: -one.bm25)[:AROUND]
    by_meaning = sorted(messages, key=lambda one: -one.cosine)[:AROUND]
    return {("m", one.entry.seq + step) for one in by_words + by_meaning for step in NEIGHBOUR}


class Selection(NamedTuple):
    """What goes into a prompt, the best of what was cut, and the gate's verdict: {open, relevance, threshold}."""

    hits: tuple[Hit, ...]
    cut: tuple[Cut, ...]
    gate: Mapping[str, Any]


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
    best = _best(left, verdicts)
    if gate.asks_nothing(words.all_words(question)):
        best = best._replace(opens=False)
    near = _near_best(left, verdicts) if best.opens else []
    chosen = {one.key for one in near}
    reasons |= {one.key: _left_out(one, best.opens) for one in left if one.key not in chosen}

    def more(key: Key) -> Mapping[str, Any]:
        return {"gate": _figures(verdicts[key])}

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
    """What of the answer to an occasion goes into a prompt: all that fits, may, and is not shown there already."""
    reasons = _quarantined(found) | {one.key: IN_WINDOW for one in found if unit_id(*one.key) in skip}

    def more(_key: Key) -> Mapping[str, Any]:
        return {"occasion": occasion}

    left = [one for one in found if one.key not in reasons]
    hits, crowded = fill(store, left, budget, (), count, more, share=len(left))
    return Selection(hits, cut(found, reasons | crowded, more), {"open": True, "occasion": occasion})


def _ruled_out(found: Sequence[Candidate], question: str, skip: Collection[str]) -> dict[Key, str]:
    """What is not shown however relevant it is, and why. It does not open the gate either.

    No reason is needed for the question itself, which the window shows and which repeats itself. A fact was stated: it
    answers "Do I like tea?" in the question's own words.
    """
    asked = words.all_words(question)
    reasons = {one.key: REPEATS for one in found if one.entry.kind != "f" and gate.repeats(one.entry, asked)}
    shown = {one.key for one in found if unit_id(*one.key) in skip}
    reasons |= _quarantined(found)
    return reasons | {key: "" if key in reasons else IN_WINDOW for key in shown}


def _quarantined(found: Sequence[Candidate]) -> dict[Key, str]:
    """What may repeat words from outside, and whose: a page could write into every later prompt else."""
    return {
        one.key: QUARANTINED.format(one.entry.drawn_from.replace(",", ", ")) for one in found if one.entry.quarantined
    }


def _judged(store: Store, found: Sequence[Candidate], terms: Sequence[str]) -> dict[Key, gate.Verdict]:
    """The gate's verdicts. Words alone judge what has no vector yet: where there are none, while they are made after
    an import, and what was said in a session that still goes on, which is one of few.
    """
    size = store.number("SELECT max(seq) FROM messages")
    far = [one.entry.seq for one in found if not one.cosine and one.entry.kind == "m"]
    waiting = store.without_vector(far)
    among = {("m", seq): sum(waiting.values()) if live else size for seq, live in waiting.items()}
    if not any(one.cosine for one in found):
        among |= {one.key: size for one in found if one.key not in among}
    return {one.key: gate.judged(one, terms, size, among.get(one.key, 0)) for one in found}


def _best(found: Sequence[Candidate], verdicts: Mapping[Key, gate.Verdict]) -> gate.Verdict:
    return max((verdicts[one.key] for one in found), key=lambda one: (one.opens, one.strength), default=gate.NOTHING)


def _figures(verdict: gate.Verdict) -> dict[str, float]:
    return {"relevance": _rounded(verdict.relevance), "threshold": _rounded(verdict.threshold)}


def _left_out(one: Candidate, opened: bool) -> str:
    """Why what might have been shown is not."""
    if not opened:
        return SHUT
    return IN_REVIEW if one.entry.hidden else BELOW


def _near_best(found: list[Candidate], verdicts: Mapping[Key, gate.Verdict]) -> list[Candidate]:
    """What is about as good as the best, and what is most relevant by itself: a gist may say what no message says."""
    visible = [one for one in found if not one.entry.hidden]
    best = max((one.score for one in visible), default=0.0)
    closest = max(visible, key=lambda one: verdicts[one.key].strength, default=None)
    near = [one for one in visible if one.score >= NEAR_BEST * best or one is closest]
    return [one for one in near if verdicts[one.key].strength >= LEAST]


def fill(
    store: Store,
    found: Sequence[Candidate],
    budget: int,
    terms: Sequence[str],
    count: Callable[[str], int],
    more: Callable[[Key], Mapping[str, Any]],
    share: int = SESSION_SHARE,
) -> tuple[tuple[Hit, ...], dict[Key, str]]:
    """What of `found` fits into `budget` tokens, in its order and as a prompt shows it, and why the rest does not.

    `more` gives what else each hit's `why` tells; at most `share` hits are of one session.
    """
    hits: list[Hit] = []
    crowded: dict[Key, str] = {}
    shares: defaultdict[str, int] = defaultdict(int)
    used = 0
    for one in found:
        left, session = budget - used, one.entry.session_id
        if _said_in(one, hits):
            crowded[one.key] = SAID
        elif shares[session] == share:
            crowded[one.key] = FULL_SESSION
        elif left < SHORTEST_LINE or (line := shown(store, one, terms, count)).tokens > left:
            crowded[one.key] = f"no room left ({left} tokens)"
        else:
            used += line.tokens
            shares[session] += 1
            place = {"place": len(hits) + 1, "tokens": line.tokens, "used": used, "of": budget}
            hits.append(line._replace(why={**line.why, **more(one.key), "budget": place}))
    return tuple(hits), crowded


def _said_in(one: Candidate, hits: Sequence[Hit]) -> bool:
    """Whether a line of the same session says it word for word: a fact in its owner's own words, and the message."""
    words = " ".join(one.entry.text.split())
    return any(hit.session_id == one.entry.session_id and f" {words} " in f" {hit.text}" for hit in hits)


def cut(
    found: Sequence[Candidate], reasons: Mapping[Key, str], more: Callable[[Key], Mapping[str, Any]]
) -> tuple[Cut, ...]:
    """The best of what has a reason not to be shown."""
    return tuple(
        Cut(
            unit=unit_id(*one.key),
            session_id=one.entry.session_id,
            score=round(one.score, 4),
            reason=reasons[one.key],
            why={**why(one), **more(one.key)},
        )
        for one in [one for one in found if reasons.get(one.key)][:CUTS]
    )


def shown(store: Store, one: Candidate, terms: Sequence[str], count: Callable[[str], int]) -> Hit:
    """A candidate as a prompt shows it."""
    whole = hit(store, one)
    text, tokens = passages.line(one.entry, whole.at, terms, count, noted(one))
    return whole._replace(text=text, tokens=tokens)


def hit(store: Store, one: Candidate) -> Hit:
    """A candidate as its owner is shown it: the whole text."""
    entry = one.entry
    session = store.session(entry.session_id)
    return Hit(
        unit=unit_id(*one.key),
        kind=LETTERS[entry.kind],  # type: ignore[arg-type]
        session_id=entry.session_id,
        message_ids=message_ids(store, entry),
        text=entry.text,
        at=from_text(entry.at),
        origin=entry.origin,
        score=round(one.score, 4),
        tokens=entry.tokens,
        title=session.title if session else "",
        why=why(one),
    )


def message_ids(store: Store, entry: Entry) -> tuple[str, ...]:
    """The messages that an entry is or rests on; a summary rests on all of its session and names none."""
    if entry.kind == "f":
        return store.evidence([entry.seq]).get(entry.seq, ())
    return (entry.id,) if entry.kind == "m" else ()


def why(one: Candidate) -> dict[str, Any]:
    """The arms that found a candidate, with their raw scores (0: not found by it), and the parts of its score.

    Where it may repeat words from outside also `drawn_from`: the names of the tools.
    """
    drawn: dict[str, Any] = {"drawn_from": one.entry.drawn_from.split(",")} if one.entry.quarantined else {}
    if note := noted(one):
        drawn["changed"] = note
    return drawn | {
        "arms": {"words": _rounded(one.bm25), "vectors": _rounded(one.cosine)},
        "parts": {name: _rounded(value) for name, value in one.parts.items()},
    }


def noted(one: Candidate) -> str:
    """What a line says of a change; most memories hold none, and start the faster without the file that follows it."""
    if not (one.entry.until or one.later):
        return ""
    from memory import succession

    return succession.noted(one)


def _rounded(value: float) -> float:
    return round(value, 3)
