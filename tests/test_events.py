"""Events as dates: "I moved" is the day on which its owner told of it."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from memory.events import Event
from memory.manager import MemoryManager
from memory.records import USER, Fact, Message, Role, Session, Summary
from memory.tokens import Counter
from tests.memories import a_memory

MARCH = datetime(2026, 3, 2, 12, tzinfo=UTC)
FILLER = ("I painted the kitchen green.", "The bus was late again.", "We watched a film about whales.")


class Told:
    """A memory to which things are told on days of 2026, counted from 2 March."""

    def __init__(self, home: Path, counter: Counter) -> None:
        self.memory: MemoryManager = a_memory(home, counter)
        self._sessions = 0
        for text in FILLER:
            self.say(text, 0)

    def say(self, text: str, day: int, role: Role = "user") -> str:
        """Add a session of one message; gives its id."""
        self._sessions += 1
        session, at = f"s{self._sessions}", MARCH + timedelta(days=day)
        self.memory.store.start(Session(session, at))
        self.memory.store.add(Message("m1", session, role, text, at, USER))
        return session

    def day(self, clause: str) -> int | None:
        """The day of what is named."""
        event = self.memory.event(clause)
        return (event.at - MARCH).days if event else None


@pytest.fixture
def told(tmp_path: Path, counter: Counter) -> Told:
    return Told(tmp_path / "home", counter)


@pytest.mark.parametrize(
    "clause", ["I moved", "when we moved", "I moved to Porto", "moving to Porto", "before I moved", " I  MOVED "]
)
def test_an_event_is_the_day_on_which_it_was_told(told: Told, clause: str) -> None:
    told.say("Guess what. We moved to Porto on Saturday! What a day.", 10)
    told.say("Rui's wedding was moved to October.", 20)
    told.say("Is it true that Ana moved away?", 30)
    assert told.day(clause) == 10
    assert told.memory.event(clause) == Event(
        "We moved to Porto on Saturday!", said=True, at=MARCH + timedelta(days=10)
    )


def test_the_words_as_they_stand_count_most(told: Told) -> None:
    told.say("I walked the dog, and then I got us the bread.", 5)
    told.say("We got the dog this morning.", 9)
    assert told.day("we got the dog") == 9


@pytest.mark.parametrize("clause", ["I married", "we sold the car", "the", "someday soon", "", "?!", "I", '"', "a:b*"])
def test_what_nobody_told_is_no_event(told: Told, clause: str) -> None:
    assert told.memory.event(clause) is None


def test_one_word_of_several_is_not_enough(told: Told) -> None:
    told.say("The car is red.", 3)
    assert told.day("we sold the car") is None


def test_neither_questions_nor_replies_tell_of_an_event(told: Told) -> None:
    told.say("When did we sell the car?", 3)
    told.say("You sold the car.", 4, role="assistant")
    assert told.day("we sold the car") is None


@pytest.mark.parametrize(("status", "day"), [("kept", 2), ("review", None)])
def test_a_kept_fact_tells_since_when_it_holds(told: Told, status: str, day: int | None) -> None:
    session = told.say("Yes, as I said.", 8)
    fact = Fact(
        "f", session, "The user sold the red car.", "fact", MARCH + timedelta(days=8), ("m1",), "", USER,
        status=status, valid_from=MARCH + timedelta(days=2),  # type: ignore[arg-type]
    )  # fmt: skip
    told.memory.store.put_notes(Summary(session, "Car", "A talk.", MARCH, "model", USER), [fact])
    assert told.day("I sold the car") == day
    event = told.memory.event("I sold the car")
    assert event is None or not event.said


@given(st.text(max_size=40))
@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_clause_raises(told: Told, clause: str) -> None:
    told.memory.event(clause)
