from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from memory.change_rules import Verdict
from memory.deciding import ModelDecide
from memory.errors import Failure
from memory.records import Fact, Scope
from memory.supersede import may_replace
from memory.tokens import Counter
from tests.memories import Scribe, a_memory, leave, talk

LISBON, PORTO = "I live in Lisbon with my dog Rex.", "We moved to Porto."


class Life:
    """A memory whose days pass."""

    def __init__(self, home: Path, counter: Counter) -> None:
        self.day = datetime(2023, 5, 1, 12, tzinfo=UTC)
        self.memory = a_memory(home, counter, clock=lambda: self.day)

    def says(self, *said: str) -> list[Fact]:
        self.day += timedelta(days=100)
        return list(self.memory.extract(talk(self.memory, *said)).facts)

    def fact(self, text: str) -> Fact:
        rows = self.memory.store.rows("SELECT seq FROM facts WHERE text = ?", [text])
        return self.memory.store.facts([rows[0][0]])[rows[0][0]]

    def shown(self, question: str, scope: Scope = Scope()) -> list[str]:
        self.memory.sync()
        return [hit.text for hit in self.memory.recall_for_prompt(question, 800, scope).hits]


@pytest.fixture
def life(home: Path, counter: Counter) -> Iterator[Life]:
    lived = Life(home, counter)
    yield lived
    leave(lived.memory)


def test_a_change_retires_what_was_so_and_keeps_its_dates(life: Life) -> None:
    life.says(LISBON)
    life.says(PORTO)
    old, new = life.fact(LISBON), life.fact(PORTO)
    assert (old.retired_by, old.until, new.retired_by) == (new.id, new.valid_from or new.at, None)


def test_a_present_question_is_answered_by_what_is_so_now(life: Life) -> None:
    life.says(LISBON)
    life.says(PORTO)
    hits = life.memory.recall("Where do I live with my dog?").hits
    assert [hit.text for hit in hits if hit.kind == "fact"] == [PORTO]
    texts = [hit.text for hit in hits]
    assert texts.index(PORTO) < texts.index(LISBON)
    changed = [line for line in life.shown("Which city do I live in with Rex?") if line.startswith(LISBON)]
    assert changed and all("since 2023-11-17: We moved to Porto." in line for line in changed)


def test_the_past_and_an_earlier_day_still_find_it(life: Life) -> None:
    life.says(LISBON)
    life.says(PORTO)
    past = life.memory.recall("Where did I live before, with my dog Rex?").hits
    assert any(hit.kind == "fact" and hit.text == LISBON and "until" in hit.why["changed"] for hit in past)
    earlier = life.memory.recall("Where do I live?", Scope(as_of=life.day - timedelta(days=50))).hits
    assert any(hit.kind == "fact" and hit.text == LISBON and "changed" not in hit.why for hit in earlier)


def test_of_the_past_what_was_so_stands_above_the_message_and_tells_until_when(life: Life) -> None:
    life.says(LISBON)
    life.says(PORTO)
    shown = life.shown("Where did I live before?")
    assert shown[0] == f"{LISBON} (fact, 2023-08-09 until 2023-11-17)"


def test_a_new_wording_by_hand_retires_what_it_ends(life: Life) -> None:
    life.says("My phone number is 555 123 456.")
    (typo,) = life.says("My fone is 555 987 123.")
    life.memory.edit(typo, "My phone number is 555 987 123 now.", "fact", None)
    assert life.fact("My phone number is 555 123 456.").retired_by


def test_what_was_said_earlier_never_retires_what_was_said_later(life: Life) -> None:
    life.says("I live in Porto.")
    life.day -= timedelta(days=1000)
    life.says("I live in Lisbon.")
    assert life.fact("I live in Lisbon.").retired_by == life.fact("I live in Porto.").id


def test_a_duplicate_is_joined_and_shown_once(life: Life) -> None:
    life.says("We live in Porto.")
    life.says("I live in Porto.")
    assert life.fact("I live in Porto.").same_as == life.fact("We live in Porto.").id
    assert life.memory.facts.heard([life.fact("We live in Porto.").id]) == {life.fact("We live in Porto.").id: 2}
    facts = [hit.text for hit in life.memory.recall("Who lives in Porto?").hits if hit.kind == "fact"]
    assert facts == ["We live in Porto."]


def test_what_was_undone_is_not_done_again(life: Life) -> None:
    life.says(LISBON)
    new = life.says(PORTO)
    deed = next(one.deed for one in life.memory.facts.history() if one.act == "retired")
    life.memory.facts.undo([deed])
    assert life.fact(LISBON).retired_by is None
    life.memory.settle(new)
    assert life.fact(LISBON).retired_by is None


def test_remembering_by_hand_retires_too(life: Life) -> None:
    life.memory.note("My phone number is 555 123 456.")
    life.day += timedelta(days=1)
    new = life.memory.note("My phone number is 555 987 123 now.")
    assert life.fact("My phone number is 555 123 456.").retired_by == new.id


def test_a_worse_origin_never_retires_a_better_one(life: Life) -> None:
    mine = life.memory.note("My phone number is 555 123 456.")
    life.day += timedelta(days=1)
    life.memory.note("My phone number is 555 987 123 now.", origin="tool:web_fetch")
    assert life.fact(mine.text).retired_by is None


class Model:
    """A decider that always says the same of whatever it is offered, and of something that it is not."""

    name = "a-model"

    def __init__(self, verdict: Verdict, error: Failure | None = None) -> None:
        self.verdict, self.error, self.offered = verdict, error, list[str]()

    def __call__(self, later: Fact, earlier: Sequence[Fact]) -> Mapping[str, Verdict]:
        self.offered += [one.text for one in earlier]
        if self.error:
            raise self.error
        return {one.id: self.verdict for one in earlier} | {"nobody": "replaces"}


def test_a_model_decides_what_the_rules_leave_open(life: Life) -> None:
    life.says("My garden is full of old roses.")
    new = life.says("My garden has no roses, only stones.")
    model = Model("replaces")
    life.memory.settle(new, model)
    assert model.offered == ["My garden is full of old roses."]
    assert life.fact("My garden is full of old roses.").retired_by == new[0].id
    assert [one.who for one in life.memory.facts.history() if one.act == "retired"] == ["a-model"]


def test_a_model_that_fails_leaves_the_rules_verdicts(life: Life) -> None:
    life.says("My garden is full of old roses.")
    new = life.says("My garden has no roses, only stones.")
    assert life.memory.settle(new, Model("replaces", Failure("It is away.", ""))).problem
    assert life.fact("My garden is full of old roses.").retired_by is None


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        ({"replaced": [2], "same": []}, {"a": "replaces"}),
        ({"replaced": [], "same": [3]}, {"b": "same"}),
        ({"replaced": [2], "same": [2]}, {}),
        ({"replaced": [0, 4, -1, "2", True], "same": None}, {}),
        ({"replaced": [1, 2], "same": []}, {}),
        ({"replaced": [2], "same": [1]}, {}),
        ([1, 2], {}),
    ],
)
def test_a_models_answer_names_what_was_offered(reply: object, expected: dict[str, str]) -> None:
    day = datetime(2024, 1, 1, tzinfo=UTC)
    old = [Fact(one, "s", f"Statement {one}.", "fact", day, (), "", "user") for one in "ab"]
    assert ModelDecide(Scribe(reply=reply))(old[0], old) == expected


def test_what_is_in_review_retires_nothing_and_is_not_retired() -> None:
    day = datetime(2024, 1, 1, tzinfo=UTC)
    kept = Fact("a", "s", PORTO, "fact", day, (), "", "user")
    review = Fact("b", "s", LISBON, "fact", day, (), "", "user", status="review")
    assert (may_replace(kept, review), may_replace(review, kept), may_replace(kept, kept)) == (False, False, True)
