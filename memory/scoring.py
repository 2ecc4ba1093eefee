"""How well a candidate answers: the sum of a few parts, all on the scale on which the arms' best are about 1 each.

Scores are added and not ranks, since a weak arm would drag ranks down. What each part weighs and why: `ranking`.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import date
from math import log

from memory import expected, forms, when, words
from memory.entries import Entry, Key
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


class Candidate:
    """An entry that may answer: the raw scores of both arms (0: not found by that arm) and the parts of its score.

    `arms` is what words and meaning give together; the parts are filled in step by step.
    """

    __slots__ = ("arms", "bm25", "cosine", "entry", "key", "later", "parts")

    def __init__(
        self, entry: Entry, bm25: float = 0.0, cosine: float = 0.0, parts: dict[str, float] | None = None
    ) -> None:
        self.entry, self.bm25, self.cosine = entry, bm25, cosine
        self.key: Key = entry.key  # what names it among all candidates
        self.parts = parts or {}
        self.arms = 0.0
        self.later: tuple[int, str, str] | None = None  # of a message: what changed what it says: `succession.Later`

    @property
    def score(self) -> float:
        """The sum of its parts."""
        return sum(self.parts.values())


def ranked(
    question: str, found: Sequence[Candidate], evidence: Mapping[int, Sequence[int]], times: Sequence[when.Span]
) -> list[Candidate]:
    """The candidates with the parts of their scores, best first; what only repeats the question comes last.

    `evidence` are the messages that each fact rests on, all by `seq`; `times` are those that the question names.
    """
    echoed = {one.key for one in _echoes(question, found)}
    answers = [one for one in found if one.key not in echoed] if echoed else list(found)
    terms = words.terms(question)
    score_arms(answers)
    score_messages(answers, question, terms)
    score_neighbours([one for one in answers if one.entry.kind == "m"])
    score_evidence(answers, evidence)
    score_sessions(answers, terms)
    if times:
        score_times(answers, times)
    answers.sort(key=lambda one: (-one.score, one.entry.kind, -one.entry.seq))
    return [*answers, *(one for one in found if one.key in echoed)]


def _echoes(question: str, found: Sequence[Candidate]) -> list[Candidate]:
    """The messages that say the same as the question: it was asked before, and they are no answers."""
    asked, size = words.all_words(question), len(question)
    if len(asked) < ECHO_WORDS:
        return []
    alike = [one for one in found if one.entry.kind == "m" and size < 2 * len(one.entry.text) < 4 * size]
    return [one for one in alike if _may_echo(one.entry.text, asked) and _echo(words.all_words(one.entry.text), asked)]


def _may_echo(text: str, asked: set[str]) -> bool:
    """Whether enough of the words stand in a text at all, if inside of others: most texts lack them."""
    plain = forms.normal(text)
    return len([word for word in asked if word in plain]) >= ECHO * len(asked)


def _echo(said: set[str], asked: set[str]) -> bool:
    return len(said & asked) >= ECHO * len(said | asked)


def score_arms(found: Sequence[Candidate]) -> None:
    """Words and meaning."""
    best: defaultdict[str, float] = defaultdict(lambda: 1e-9)
    for one in found:
        best[one.entry.kind] = max(best[one.entry.kind], one.bm25)
    for one in found:
        share = GIST if one.entry.kind == "s" else 1.0
        by_words = WORDS * share * one.bm25 / best[one.entry.kind]
        by_meaning = MEANING * share * max(0.0, one.cosine)
        one.parts = {"words": by_words, "meaning": by_meaning}
        one.arms = by_words + by_meaning


def score_messages(found: Sequence[Candidate], question: str, terms: Sequence[str]) -> None:
    """Who said it, at what length, whether it tells or asks, and whether it holds what the question expects."""
    speakers = {(one.entry.name or "").casefold() for one in found if one.entry.kind == "m"}
    names = set[str]().union(*map(words.all_words, speakers))
    named = {name for name in speakers if {*terms} & words.all_words(name)}
    kinds, phrases = expected.kinds(question), expected.phrases(question, names)
    for one in found:
        share = min(1.0, one.arms / RELEVANT)
        if one.entry.kind == "f" or one.entry.role == "user":
            one.parts["owner"] = OWNER * share
        if one.entry.kind == "m":
            _score_form(one, named)
            if share:
                _score_expected(one, share, kinds, phrases)


def _score_form(one: Candidate, named: Collection[str]) -> None:
    entry = one.entry
    one.parts["length"] = LENGTH * log(min(LONGEST, max(SHORTEST, len(entry.text))) / SHORTEST)
    if named and entry.name:
        one.parts["speaker"] = SPEAKER if entry.name.casefold() in named else -SPEAKER
    if _asks(entry):
        one.parts["asking"] = -ASKING


def _score_expected(one: Candidate, share: float, kinds: expected.Kinds, phrases: Sequence[expected.Phrase]) -> None:
    """What a message meets of a question's expectations. Long replies of an assistant hold any time and name."""
    plain = one.entry.text.casefold()
    if met := sum(phrase.stands_in(plain) for phrase in phrases):
        one.parts["phrase"] = share * PHRASE * met / len(phrases)
    if one.entry.role == "user" and kinds.stands_in(one.entry.text, plain):
        one.parts["expected"] = share * EXPECTED


def _asks(entry: Entry) -> bool:
    return entry.text.rstrip().endswith(("?", "？"))


def score_neighbours(messages: Sequence[Candidate]) -> None:
    """Let short messages share in what stands before and after them, most of all a reply in its question."""
    talk = {one.entry.seq: one for one in messages}
    lent = {seq: (one.arms * _damp(one.entry), _asks(one.entry)) for seq, one in talk.items() if one.arms}
    for seq, one in talk.items():
        total = 0.0
        for step, weight in NEIGHBOUR.items():
            near = lent.get(seq + step)
            if near and talk[seq + step].entry.session_id == one.entry.session_id:
                strength, asks = near
                reply = step == -1 and asks and not _asks(one.entry)
                total += (weight + REPLY * reply) * strength
        if total:
            one.parts["neighbours"] = total * _damp(one.entry)


def _damp(entry: Entry) -> float:
    return min(1.0, TALK / max(1, len(entry.text)))


def score_evidence(found: Sequence[Candidate], evidence: Mapping[int, Sequence[int]]) -> None:
    """Let each fact lift the messages it rests on, `evidence`: {a fact's seq: their seqs}."""
    by_key = {one.key: one for one in found}
    for fact, messages in evidence.items():
        lift = FACT * by_key["f", fact].arms if ("f", fact) in by_key else 0.0
        for seq in messages:
            if one := by_key.get(("m", seq)):
                one.parts["facts"] = max(one.parts.get("facts", 0.0), lift)


def score_sessions(found: Sequence[Candidate], terms: Sequence[str]) -> None:
    """Lift what stands in a session that covers much of the question, over several messages or in its summary."""
    sessions: defaultdict[str, list[Candidate]] = defaultdict(list)
    for one in found:
        sessions[one.entry.session_id].append(one)
    covered = _coverage(sessions, terms)
    for session, members in sessions.items():
        closest = summed_up = 0.0
        for one in members:
            if one.entry.kind == "s":
                summed_up = one.arms
            else:
                closest = max(closest, one.cosine)
        lift = TOPIC * covered.get(session, 0.0) + CLOSEST * closest + SUMMED_UP * summed_up
        for one in members:
            one.parts["session"] = lift


def _coverage(sessions: Mapping[str, Sequence[Candidate]], terms: Sequence[str]) -> dict[str, float]:
    """How much of the question each session holds, as a share of the best; what few sessions hold weighs more."""
    held = {
        session: words.held(terms, "\n".join(one.entry.text for one in members))
        for session, members in sessions.items()
    }
    spread = {term: sum(term in there for there in held.values()) for term in terms}
    weight = {term: log((len(held) + 1) / (count + 0.5)) for term, count in spread.items()}
    totals = {session: sum(weight[term] for term in there) for session, there in held.items()}
    best = max(totals.values(), default=0.0)
    return {session: total / best for session, total in totals.items()} if best > 0 else {}


def score_times(found: Sequence[Candidate], named: Sequence[when.Span]) -> None:
    """Lift what was said at a time that the question names, or soon after."""
    for one in found:
        near = when.nearness(date.fromisoformat(one.entry.at[:10]), named)
        if near and one.entry.kind != "s":  # of a summary only the beginning of its session is known
            one.parts["time"] = TIME * near
