"""How well a candidate answers: the sum of a few parts, all on the scale on which the arms' best are about 1 each.

Scores are added and not ranks, since a weak arm would drag ranks down. ARCHITECTURE.md says what each part gained.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import log

from memory import when, words
from memory.records import Fact, Message, Summary

Record = Message | Summary | Fact
Key = tuple[str, int]  # (kind, seq)

# The arms. Words count as a share of the best of their kind (each table of the store has a scale of its own), meaning
# as its cosine. They fail on different questions, and neither is better by itself.
WORDS, MEANING = 1.0, 1.0

# What kind of message it is.
# The assistant's replies are long and full of the question's words; its owner's messages, and facts, say what is so.
OWNER = 0.5
RELEVANT = 0.3  # of the arms, from where the owner's words get all of it: what matches nothing is lifted by nothing
SPEAKER = 0.2  # a question that names a speaker asks for what that one said: up for theirs, down for the others'
LENGTH, SHORTEST, LONGEST = 0.15, 15, 330  # a factor e in characters: "Wow, great!" matches well and tells nothing
ASKING = 0.15  # less for what ends in a question mark: it asks for what another message tells

# What stands around it.
NEIGHBOUR, SECOND = 0.3, 0.5  # of a neighbour's arms, and the share of it for the one after next: a reply after its
TALK = 220  # question. Messages of more characters stand for themselves: theirs is damped by TALK / characters
FACT = 0.6  # of a fact's arms to the messages it rests on: it says in a sentence what they say in passing
TOPIC, CLOSEST = 0.5, 0.3  # a session by the question's words that it covers, and by its best cosine
TIME = 0.8  # for what was said at a time that the question names: few have one, but those mean it
GIST = 0.8  # of a summary's arms: it matches many questions a little

ECHO = 0.8  # of all their words in common, and a message only says what the question says
ECHO_WORDS = 3  # fewer words are a search, not a question asked before


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
        self.terms = words.terms(question)
        echoed = {one.key for one in found if echoes(one.record, question)}
        self.found = [one for one in found if one.key not in echoed]
        self.echoed = [one for one in found if one.key in echoed]
        self.parts: defaultdict[Key, dict[str, float]] = defaultdict(dict)
        self.arms: dict[Key, float] = {}

    def ranked(self) -> list[Candidate]:
        """The candidates with their parts, best first; what only repeats the question comes last."""
        total = {key: sum(parts.values()) for key, parts in self.parts.items()}
        order = sorted(self.found, key=lambda one: (-total[one.key], one.kind, -one.seq))
        return [*(replace(one, parts=self.parts[one.key]) for one in order), *self.echoed]


def echoes(record: Record, question: str) -> bool:
    """Whether a message says the same as the question: it was asked before, which is no answer."""
    if not isinstance(record, Message) or not len(question) < 2 * len(record.content) < 4 * len(question):
        return False  # by far the most, at no cost
    asked, said = words.all_words(question), words.all_words(record.content)
    return len(asked) >= ECHO_WORDS and len(asked & said) >= ECHO * len(asked | said)


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
    """Who said it, at what length, and whether it tells or asks."""
    asked = set(scores.terms)
    speakers = {(one.record.name or "").casefold() for one in scores.found if isinstance(one.record, Message)}
    named = {name for name in speakers if asked & words.all_words(name)}
    for one in scores.found:
        if isinstance(one.record, Message):
            scores.parts[one.key] |= _message_parts(one.record, named)
        if _by_owner(one.record):
            scores.parts[one.key]["owner"] = OWNER * min(1.0, scores.arms[one.key] / RELEVANT)


def _by_owner(record: Record) -> bool:
    return isinstance(record, Fact) or (isinstance(record, Message) and record.role == "user")


def _message_parts(message: Message, named: Collection[str]) -> dict[str, float]:
    length = min(LONGEST, max(SHORTEST, len(message.content)))
    parts = {"length": LENGTH * log(length / SHORTEST)}
    if named and message.name:
        parts["speaker"] = SPEAKER if message.name.casefold() in named else -SPEAKER
    if message.content.rstrip().endswith(("?", "？")):
        parts["asking"] = -ASKING
    return parts


def score_neighbours(scores: Scores) -> None:
    """Let short messages share in what stands before and after them."""
    talk = {one.seq: one.record for one in scores.found if isinstance(one.record, Message)}
    talk |= {one.seq: one.record for one in scores.echoed if isinstance(one.record, Message)}
    given = {seq: scores.arms.get(("m", seq), 0.0) * _damp(one) for seq, one in talk.items()}
    for seq, one in talk.items():
        total = 0.0
        for step, share in ((-1, 1.0), (1, 1.0), (-2, SECOND), (2, SECOND)):
            other = talk.get(seq + step)
            if other and other.session_id == one.session_id:
                total += share * given[seq + step] / 2
        if total:
            scores.parts["m", seq]["neighbours"] = NEIGHBOUR * total * _damp(one)


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
    """Lift what stands in a session that covers much of the question, be it over several messages."""
    covered = _coverage(scores)
    closest: defaultdict[str, float] = defaultdict(float)
    for one in scores.found:
        if one.kind != "s":
            closest[one.record.session_id] = max(closest[one.record.session_id], one.cosine)
    for one in scores.found:
        session = one.record.session_id
        scores.parts[one.key]["session"] = TOPIC * covered.get(session, 0.0) + CLOSEST * closest[session]


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
