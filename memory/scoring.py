"""How well a candidate answers: the sum of a few parts, all on the scale on which the arms' best are about 1 each.

Scores are added and not ranks, since a weak arm would drag ranks down. What each part weighs and why: `ranking`.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from math import log

from memory import expected, when, words
from memory.ranking import (
    ASKING,
    CLOSEST,
    ECHO,
    ECHO_WORDS,
    EXPECTED,
    FACT,
    GIST,
    LENGTH,
    LONGEST,
    MEANING,
    NEIGHBOUR,
    OWNER,
    PHRASE,
    RELEVANT,
    REPLY,
    SHORTEST,
    SPEAKER,
    SUMMED_UP,
    TALK,
    TIME,
    TOPIC,
    WORDS,
)
from memory.records import Fact, Message, Summary

Record = Message | Summary | Fact
Key = tuple[str, int]  # (kind, seq)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A record that may answer: the raw scores of both arms (0: not found by that arm) and the parts of its score."""

    kind: str
    seq: int
    record: Record
    bm25: float = 0.0
    cosine: float = 0.0
    parts: Mapping[str, float] = field(default_factory=dict)

    @property
    def key(self) -> Key:
        """What names it among all candidates."""
        return self.kind, self.seq

    @property
    def score(self) -> float:
        """The sum of its parts."""
        return sum(self.parts.values())


def plain(record: Record) -> str:
    """A record's own words."""
    if isinstance(record, Summary):
        return f"{record.title}: {record.gist}"
    return record.content if isinstance(record, Message) else record.text


class Scores:
    """The parts of the scores of all candidates for one question, filled in step by step."""

    def __init__(self, question: str, found: Sequence[Candidate]) -> None:
        self.question = question
        self.terms = words.terms(question)
        asked = words.all_words(question)
        echoed = {one.key for one in found if echoes(one.record, question, asked)}
        self.found = [one for one in found if one.key not in echoed]
        self.echoed = [one for one in found if one.key in echoed]
        self.parts: defaultdict[Key, dict[str, float]] = defaultdict(dict)
        self.arms: dict[Key, float] = {}

    def ranked(self) -> list[Candidate]:
        """The candidates with their parts, best first; what only repeats the question comes last."""
        total = {key: sum(parts.values()) for key, parts in self.parts.items()}
        order = sorted(self.found, key=lambda one: (-total[one.key], one.kind, -one.seq))
        # Made anew and not by `replace`, which takes four times as long, a thousand times.
        scored = (Candidate(*one.key, one.record, one.bm25, one.cosine, self.parts[one.key]) for one in order)
        return [*scored, *self.echoed]


def echoes(record: Record, question: str, asked: set[str]) -> bool:
    """Whether a message says the same as the question, whose words are `asked`: it was asked before, no answer."""
    if not isinstance(record, Message) or not len(question) < 2 * len(record.content) < 4 * len(question):
        return False  # by far the most, at no cost
    said = words.all_words(record.content)
    return len(asked) >= ECHO_WORDS and len(said & asked) >= ECHO * len(said | asked)


def score_arms(scores: Scores) -> None:
    """Words and meaning."""
    best: defaultdict[str, float] = defaultdict(lambda: 1e-9)
    for one in scores.found:
        best[one.kind] = max(best[one.kind], one.bm25)
    for one in scores.found:
        share = GIST if one.kind == "s" else 1.0
        by_words, by_meaning = WORDS * share * one.bm25 / best[one.kind], MEANING * share * max(0.0, one.cosine)
        scores.parts[one.key] |= {"words": by_words, "meaning": by_meaning}
        scores.arms[one.key] = by_words + by_meaning


def score_messages(scores: Scores) -> None:
    """Who said it, at what length, whether it tells or asks, and whether it holds what the question expects."""
    speakers = {(one.record.name or "").casefold() for one in scores.found if isinstance(one.record, Message)}
    names = set[str]().union(*map(words.all_words, speakers))
    named = {name for name in speakers if {*scores.terms} & words.all_words(name)}
    kinds, phrases = expected.kinds(scores.question), expected.phrases(scores.question, names)
    for one in scores.found:
        share = min(1.0, scores.arms[one.key] / RELEVANT)
        if _by_owner(one.record):
            scores.parts[one.key]["owner"] = OWNER * share
        if isinstance(one.record, Message):
            scores.parts[one.key] |= _message_parts(one.record, named)
            if share:
                met = _expected_parts(one.record, kinds, phrases)
                scores.parts[one.key] |= {name: share * part for name, part in met.items() if part}


def _expected_parts(message: Message, kinds: expected.Kinds, phrases: Sequence[expected.Phrase]) -> dict[str, float]:
    """What a message meets of a question's expectations. Long replies of an assistant hold any time and name."""
    plain = message.content.casefold()
    parts = {"phrase": PHRASE * sum(phrase.stands_in(plain) for phrase in phrases) / max(1, len(phrases))}
    if message.role == "user":
        parts["expected"] = EXPECTED * kinds.stands_in(message.content, plain)
    return parts


def _by_owner(record: Record) -> bool:
    return isinstance(record, Fact) or (isinstance(record, Message) and record.role == "user")


def _message_parts(message: Message, named: Collection[str]) -> dict[str, float]:
    length = min(LONGEST, max(SHORTEST, len(message.content)))
    parts = {"length": LENGTH * log(length / SHORTEST)}
    if named and message.name:
        parts["speaker"] = SPEAKER if message.name.casefold() in named else -SPEAKER
    if _asks(message):
        parts["asking"] = -ASKING
    return parts


def _asks(message: Message) -> bool:
    return message.content.rstrip().endswith(("?", "？"))


def score_neighbours(scores: Scores) -> None:
    """Let short messages share in what stands before and after them, most of all a reply in its question."""
    talk = {one.seq: one.record for one in scores.found if isinstance(one.record, Message)}
    talk |= {one.seq: one.record for one in scores.echoed if isinstance(one.record, Message)}
    given = {seq: scores.arms.get(("m", seq), 0.0) * _damp(one) for seq, one in talk.items()}
    for seq, one in talk.items():
        near = {step: given[seq + step] for step in NEIGHBOUR if _together(one, talk.get(seq + step))}
        total = sum(NEIGHBOUR[step] * arms for step, arms in near.items())
        if -1 in near and _asks(talk[seq - 1]) and not _asks(one):
            total += REPLY * near[-1]
        if total:
            scores.parts["m", seq]["neighbours"] = total * _damp(one)


def _together(one: Message, other: Message | None) -> bool:
    return other is not None and other.session_id == one.session_id


def _damp(message: Message) -> float:
    return min(1.0, TALK / max(1, len(message.content)))


def score_evidence(scores: Scores, evidence: Mapping[int, Sequence[int]]) -> None:
    """Let each fact lift the messages it rests on, `evidence`: {a fact's seq: their seqs}."""
    for fact, messages in evidence.items():
        lift = FACT * scores.arms.get(("f", fact), 0.0)
        for seq in messages:
            parts = scores.parts["m", seq]
            parts["facts"] = max(parts.get("facts", 0.0), lift)


def score_sessions(scores: Scores) -> None:
    """Lift what stands in a session that covers much of the question, over several messages or in its summary."""
    covered = _coverage(scores)
    closest: defaultdict[str, float] = defaultdict(float)
    summed_up: defaultdict[str, float] = defaultdict(float)
    for one in scores.found:
        if one.kind == "s":
            summed_up[one.record.session_id] = scores.arms[one.key]
        else:
            closest[one.record.session_id] = max(closest[one.record.session_id], one.cosine)
    for one in scores.found:
        session = one.record.session_id
        scores.parts[one.key]["session"] = (
            TOPIC * covered.get(session, 0.0) + CLOSEST * closest[session] + SUMMED_UP * summed_up[session]
        )


def _coverage(scores: Scores) -> dict[str, float]:
    """How much of the question each session holds, as a share of the best; what few sessions hold weighs more."""
    held: defaultdict[str, set[str]] = defaultdict(set)
    for one in scores.found:
        held[one.record.session_id] |= words.held(scores.terms, plain(one.record))
    spread = {term: sum(term in there for there in held.values()) for term in scores.terms}
    weight = {term: log((len(held) + 1) / (count + 0.5)) for term, count in spread.items()}
    totals = {session: sum(weight[term] for term in there) for session, there in held.items()}
    best = max(totals.values(), default=0.0)
    return {session: total / best for session, total in totals.items()} if best > 0 else {}


def score_times(scores: Scores, named: list[when.Span]) -> None:
    """Lift what was said at a time that the question names, or soon after."""
    if not named:
        return
    for one in scores.found:
        near = when.nearness(one.record.at.date(), named)
        if near and one.kind != "s":  # a summary's own time is that of its writing
            scores.parts[one.key]["time"] = TIME * near
