"""Recall of what is no longer so: a fact that another took the place of, and the messages that it rests on.

A question about the present is answered by the fact that holds now, which is found by the words of those before it. A
message stays what was said; where what it says has changed, its line tells so, and it ranks below what changed it.
"""

import json
import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from memory.entries import Key, entries
from memory.foreign import TOOL
from memory.records import Scope
from memory.rows import from_text, to_text
from memory.scoring import Candidate
from memory.store import Store

BELOW = 0.001  # of a score: what was changed stands just below what changed it; of the past, just above what was said
MOST_STEPS = 500  # changes of one thing that are followed

_PAST = (  # compiled when it is first needed: most memories ask for none
    r"\b(?:before|used to|previous(?:ly)?|earlier|old|former(?:ly)?|back then|in the past|originally|until when|ex|once"
    r"|at first|no longer|last (?:job|address|employer)|early on|in those days"
    r"|früher|vorher|ehemals|damals|antes|anterior(?:mente)?)\b"
)
_AGE = r"\b(?:how old|years? old|months? old)\b"
# From what is asked for, by `asked`, over the facts that were replaced, to what holds in their place in the end.
CHAIN = f"""
WITH RECURSIVE chain (asked, seq, until, step) AS (
  SELECT {{asked}}, new.seq, coalesce(old.until, new.at), 1
  FROM {{start}} JOIN facts AS taken ON taken.id = old.retired_by
    JOIN facts AS new ON new.id = coalesce(taken.same_as, taken.id)
  WHERE {{asked}} IN (SELECT value FROM json_each(:seqs)) AND (:known IS NULL OR new.at < :known)
  UNION ALL
  SELECT asked, new.seq, coalesce(old.until, new.at), step + 1
  FROM chain JOIN facts AS old ON old.seq = chain.seq JOIN facts AS taken ON taken.id = old.retired_by
    JOIN facts AS new ON new.id = coalesce(taken.same_as, taken.id)
  WHERE step < {MOST_STEPS} AND (:known IS NULL OR new.at < :known))
SELECT asked, chain.seq, chain.until, text FROM chain JOIN facts USING (seq)
WHERE status = 'kept' AND (handled OR substr(origin, 1, {len(TOOL)}) <> '{TOOL}') {{but}}
ORDER BY asked, step DESC"""
# A message that says itself what is so now has not changed; where its owner mended a fact of it by hand, it has.
UNSAID = "AND NOT EXISTS (SELECT 1 FROM evidence WHERE fact = chain.seq AND message = asked AND NOT handled)"
STANDING = "JOIN facts AS old ON old.id = coalesce(said.same_as, said.id)"  # what is said twice changes as one
OF_MESSAGES = f"evidence JOIN facts AS said ON said.seq = evidence.fact {STANDING}"
LATER = CHAIN.format(asked="evidence.message", start=OF_MESSAGES, but=UNSAID)
# Notes on a session are of then, too; those on a talk that tells of the change itself may know of it.
OF_SUMMARIES = f"summaries JOIN facts AS said ON said.session_id = summaries.session_id {STANDING}"
ELSEWHERE = "AND (handled OR session_id <> (SELECT session_id FROM summaries WHERE seq = asked))"
LATER_THAN_NOTES = CHAIN.format(asked="summaries.seq", start=OF_SUMMARIES, but=ELSEWHERE)
HEIRS = CHAIN.format(asked="old.seq", start="facts AS old", but="")
SAYS = {"m": LATER, "s": LATER_THAN_NOTES}


class Later(NamedTuple):
    """What changed a statement: the fact's `seq`, since when (as the store writes times), and its words."""

    fact: int
    since: str
    text: str


def asks_past(question: str) -> bool:
    """Whether a question asks for what was so, and is no more."""
    return bool(re.search(_PAST, re.sub(_AGE, " ", question, flags=re.IGNORECASE), re.IGNORECASE))


def inherit(store: Store, found: list[Candidate], scope: Scope) -> list[Candidate]:
    """Let what holds now be found as well as what it took the place of, which is no answer; gives the answers.

    Where the past is asked for (`scope.past`) what was so stays.
    """
    replaced = [one for one in found if one.entry.replaced]
    kept = [one for one in found if not one.entry.replaced or scope.past]
    if not replaced or scope.past:
        return kept
    heirs = _later(store, HEIRS, [one.entry.seq for one in replaced], scope)
    by_key = {one.key: one for one in kept}
    missing = {("f", heir.fact) for heir in heirs.values()} - by_key.keys()
    by_key |= {key: Candidate(one) for key, one in entries(store, missing, scope).items()}
    for one in replaced:
        heir = heirs.get(one.entry.seq)
        if heir and (answer := by_key.get(("f", heir.fact))):
            answer.bm25, answer.cosine = max(answer.bm25, one.bm25), max(answer.cosine, one.cosine)
    return list(by_key.values())


def marked(store: Store, found: Sequence[Candidate], scope: Scope) -> list[Candidate]:
    """The candidates, best first, with what changed what the messages say; those stand below what changed them."""
    changed = mark(store, found, scope)
    best = {one.key: one for one in found}
    if not scope.past:
        later = {one.key: Later(*one.later) for one in changed if one.later}
        evidence = store.evidence_seqs(each.fact for each in later.values()) if later else {}
        for one in changed:
            _lower(one, later[one.key], best, evidence)
    else:
        evidence = store.evidence_seqs(one.entry.seq for one in found if one.entry.replaced)
        for one in found:
            if one.entry.replaced:
                _lift(one, [best[key] for seq in evidence.get(one.entry.seq, ()) if (key := ("m", seq)) in best])
    return sorted(found, key=lambda one: -one.score)


def mark(store: Store, found: Sequence[Candidate], scope: Scope) -> list[Candidate]:
    """Write to the messages and summaries among `found` what changed what they say; gives those."""
    told = [(kind, sql, [one for one in found if one.entry.kind == kind]) for kind, sql in SAYS.items()]
    for _, sql, ones in told:
        later = _later(store, sql, [one.entry.seq for one in ones], scope) if ones else {}
        for one in ones:
            one.later = later.get(one.entry.seq)
    return [one for _, _, ones in told for one in ones if one.later]


def _lift(one: Candidate, messages: Sequence[Candidate]) -> None:
    """Put what was so just above the messages that it rests on: its line says until when."""
    above = max((message.score for message in messages), default=one.score) + BELOW - one.score
    if above > 0:
        one.parts["past"] = above


def _lower(
    one: Candidate, changed: Later, best: Mapping[Key, Candidate], evidence: Mapping[int, Sequence[int]]
) -> None:
    """Put a message just below the best of the fact that changed it and the messages that one rests on."""
    keys = [("f", changed.fact), *(("m", seq) for seq in evidence.get(changed.fact, ()))]
    scores = [best[key].score for key in keys if key in best and key != one.key]
    if scores and one.score >= max(scores):
        one.parts["changed"] = max(scores) - BELOW - one.score


def noted(one: Candidate) -> str:
    """What a line says of a change: "since 2025-02-03: We moved to Porto.", "until 2025-02-03"; empty where none is."""
    if one.entry.until:
        return f"until {_day(one.entry.until)}"
    if one.later is None:
        return ""
    _, since, text = one.later
    return f"since {_day(since)}: {' '.join(text.split())}"


def _day(at: str) -> str:
    return f"{from_text(at).astimezone():%Y-%m-%d}"


def _later(store: Store, sql: str, seqs: Sequence[int], scope: Scope) -> dict[int, Later]:
    """By the asked row number what holds in the end."""
    values = {"seqs": json.dumps(list(seqs)), "known": to_text(scope.as_of)}
    found: dict[int, Later] = {}
    for asked, fact, until, text in store.connection.execute(sql, values):
        found.setdefault(asked, Later(fact, until, text))
    return found
