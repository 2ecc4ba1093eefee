"""Which older facts a new one takes the place of, or says again: the nearest are looked at, rules and a model decide.

Later words win over earlier ones, whichever were noted first. No fact takes the place of one of a better origin, and
none but the owner's own words that of one which its owner decided on. What was undone is not done again.
"""

import logging
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from memory import change_rules, words
from memory.change_rules import Verdict
from memory.errors import Failure, Stopped, StoreError
from memory.extract import badness
from memory.facts import RULES, FactRows
from memory.listing import PRESENT
from memory.records import USER, Fact
from memory.store import Store

log = logging.getLogger(__name__)

NEAREST = 5  # facts that a model is shown, of those found by words and of those found by meaning
BY_CUES = 20  # rows that the rules read besides: "We moved to Porto" has no word of "I live in Lisbon"

Nearest = Callable[[str, int], Sequence[tuple[int, float]]]  # (text, limit) -> [(a fact's seq, cosine)], best first


class Decide(Protocol):
    """A model that says what a new fact does to earlier ones. Raises Failure where it cannot be asked.

    Then the rules decide alone; but Stopped and StoreError go through.
    """

    @property
    def name(self) -> str:
        """Whose verdicts they are."""
        ...

    def __call__(self, later: Fact, earlier: Sequence[Fact]) -> Mapping[str, Verdict]:
        """By the id of the earlier fact; what is not named stays as it is."""
        ...


@dataclass(frozen=True, slots=True)
class Settled:
    """What was decided: pairs of ids (earlier or duplicate, the one in its place), and why no model was asked."""

    retired: tuple[tuple[str, str], ...] = ()
    joined: tuple[tuple[str, str], ...] = ()
    problem: str = ""


def settle(store: Store, rows: FactRows, new: Iterable[Fact], nearest: Nearest, decide: Decide | None) -> Settled:
    """Retire and join what the new facts replace and repeat, in the order in which they were said."""
    desk = _Desk(store, rows, nearest, decide)
    for fact in sorted(new, key=lambda one: (one.at, rows.seq(one.id))):
        desk.settle(fact)
    return Settled(tuple(desk.retired), tuple(desk.joined), desk.problem)


@dataclass(frozen=True, slots=True)
class Foreseen:
    """A Decide that was asked before: its verdicts by the ids of the new fact and of the earlier one."""

    name: str
    verdicts: Mapping[str, Mapping[str, Verdict]]

    def __call__(self, later: Fact, earlier: Sequence[Fact]) -> Mapping[str, Verdict]:
        """What was said of the later one."""
        return self.verdicts.get(later.id, {})


def foresee(store: Store, rows: FactRows, new: Iterable[Fact], nearest: Nearest, decide: Decide) -> Foreseen:
    """What a model says of facts that are not stored yet, about those of other sessions. Writes nothing."""
    desk = _Desk(store, rows, nearest, decide)
    return Foreseen(decide.name, {fact.id: desk.foreseen(fact) for fact in new if fact.status == "kept"})


class _Desk:
    """One settling: what it did, and whether the model can still be asked."""

    def __init__(self, store: Store, rows: FactRows, nearest: Nearest, decide: Decide | None) -> None:
        self._store, self._rows, self._nearest, self._decide = store, rows, nearest, decide
        self.retired: list[tuple[str, str]] = []
        self.joined: list[tuple[str, str]] = []
        self.problem = ""

    def settle(self, fact: Fact) -> None:
        """Compare one fact with those near to it, until something else stands for it."""
        if not self._present([fact.id]):
            return
        near, others = self._candidates(fact)
        open_ones = []
        for other in [*near, *others]:
            verdict = change_rules.compare(*self._texts(fact, other))
            if verdict:
                self._carry_out(verdict, fact, other, RULES)
            elif other in near:
                open_ones.append(other)
            if not self._present([fact.id]):
                return
        if self._decide:
            verdicts = self._asked(fact, open_ones)
            for one in open_ones:
                if verdict := verdicts.get(one.id, ""):
                    self._carry_out(verdict, fact, one, self._decide.name)

    def foreseen(self, fact: Fact) -> Mapping[str, Verdict]:
        """What the model says of a fact and the earlier ones of other sessions that rules leave undecided."""
        near = [one for one in self._candidates(fact)[0] if one.session_id != fact.session_id]
        return self._asked(fact, [one for one in near if not change_rules.compare(*self._texts(fact, one))])

    def _asked(self, fact: Fact, candidates: Sequence[Fact]) -> Mapping[str, Verdict]:
        """The model's verdicts on earlier ones of the candidates; none where it cannot be asked."""
        offered = {one.id: one for one in candidates if change_rules.comparable(*self._texts(fact, one))}
        earlier = {one.id: one for one in offered.values() if self._order(one) < self._order(fact)}
        if self._decide is None or self.problem or not earlier:
            return {}
        try:
            verdicts = self._decide(fact, list(earlier.values()))
        except (Stopped, StoreError):
            raise
        except Failure as error:
            self.problem = str(error)
            log.warning("what new facts change was decided by rules alone: %s", error)
            return {}
        return {one: verdict for one, verdict in verdicts.items() if one in earlier}

    def _texts(self, one: Fact, other: Fact) -> tuple[str, str]:
        """Both texts, the later one first."""
        return (one.text, other.text) if self._order(one) > self._order(other) else (other.text, one.text)

    def _order(self, fact: Fact) -> tuple[datetime, int]:
        return fact.at, self._rows.seq(fact.id)

    def _carry_out(self, verdict: Verdict, one: Fact, other: Fact, who: str) -> None:
        """Retire or join, where both still hold and the guards let it: another process may settle, too."""
        with self._rows.deed():
            if self._present([one.id]) and self._present([other.id]):
                self._act(verdict, one, other, who)

    def _act(self, verdict: Verdict, one: Fact, other: Fact, who: str) -> None:
        earlier, later = sorted((one, other), key=self._order)
        if verdict == "same":
            worse, better = (earlier, later) if badness(later.origin) < badness(earlier.origin) else (later, earlier)
            if worse.pinned or worse.handled or self._undone(worse.id, better.id):
                return
            self._rows.join(worse.id, better.id, who)
            self.joined.append((worse.id, better.id))
        elif may_replace(later, earlier) and not self._undone(earlier.id, later.id):
            self._rows.retire(earlier.id, later.id, ended(earlier, later), who)
            self.retired.append((earlier.id, later.id))

    def _undone(self, old: str, new: str) -> bool:
        """Whether its owner took this very deed back."""
        changes = self._rows.history(old)
        place = [number for number, one in enumerate(changes) if (one.fact, one.other) == (old, new)]
        if not place:
            return False
        last = max(place)
        restored = any(one.act == "restored" and one.fact == old for one in changes[last + 1 :])
        return changes[last].undone_at is not None or restored

    def _present(self, ids: Collection[str]) -> bool:
        marks = ", ".join("?" * len(ids))
        return self._store.number(f"SELECT count(*) FROM facts WHERE {PRESENT} AND id IN ({marks})", list(ids)) > 0

    def _candidates(self, fact: Fact) -> tuple[list[Fact], list[Fact]]:
        """The nearest by words and by meaning; and those that hold words which rules look for."""
        own = self._rows.seq(fact.id)
        nearest = [seq for seq, _ in self._nearest(fact.text, NEAREST + 1)]
        near = [*self._by_words(fact.text, NEAREST + 1), *self._standing(nearest)]
        more = self._by_words(change_rules.cues(fact.text), BY_CUES)
        found = self._store.facts({*near, *more} - {own})
        first = [seq for seq in dict.fromkeys(near) if seq in found]
        rest = [seq for seq in dict.fromkeys(more) if seq in found and seq not in first]
        return [found[seq] for seq in first], [found[seq] for seq in rest]

    def _by_words(self, text: str, limit: int) -> list[int]:
        return self._standing(words.search_facts(self._store, text, 5 * limit))[:limit]

    def _standing(self, seqs: Sequence[int]) -> list[int]:
        """Those of the rows that hold at present, in their order."""
        marks = ", ".join("?" * len(seqs))
        found = {
            row[0] for row in self._store.rows(f"SELECT seq FROM facts WHERE {PRESENT} AND seq IN ({marks})", seqs)
        }
        return [seq for seq in seqs if seq in found]


def may_replace(later: Fact, earlier: Fact) -> bool:
    """Whether a fact may take an earlier one's place at all: its origin is no worse, and its owner has not spoken."""
    if later.status != "kept" or earlier.status != "kept" or badness(later.origin) > badness(earlier.origin):
        return False
    return later.origin == USER or not (earlier.handled or earlier.pinned)


def ended(earlier: Fact, later: Fact) -> datetime:
    """Until when the earlier one held: when the later one began to, yet not before it began itself."""
    return max(later.valid_from or later.at, earlier.valid_from or earlier.at)
