"""Questions of a time or a kind: which ones are, which only look so, and what answers them."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from memory import occasions
from memory.lookup import MOST, OPENING
from memory.manager import MemoryManager, Recalled
from memory.records import ASSISTANT, USER, Fact, FactKind, Message, Scope, Session, Summary
from memory.tokens import Counter
from tests.memories import a_memory, leave, talk

AT = datetime(2026, 3, 4, 12, tzinfo=UTC)  # a Wednesday


def asked(question: str) -> str | None:
    """The name of what a question asks for."""
    found = occasions.read(question, AT)
    return found.name if found else None


# ---------------------------------------------------------------------- reading


@pytest.mark.parametrize(
    ("question", "name"),
    [
        ("what did we talk about last time?", "the last session"),
        ("Hi! Can you remind me what we discussed last time, please?", "the last session"),
        ("what was our last conversation about?", "the last session"),
        ("When did we last talk?", "the last session"),
        ("remind me where we left off", "the last session"),
        ("Where were we?", "the last session"),
        ("What did we talk about?", "the last session"),
        ("Have we talked before?", "the last session"),
        ("recap our last session", "the last session"),
        ("Let's pick up where we left off.", "the last session"),
        ("Summarise yesterday's conversation.", "sessions of: yesterday"),
        ("What was the last thing I told you?", "the last session"),
        ("What did we first talk about?", "the first session"),
        ("summarise our last three conversations", "the last 3 sessions"),
        ("Please summarize our last 12 chats.", "the last 12 sessions"),
        ("What have we been talking about lately?", f"the last {occasions.RECENT} sessions"),
        ("What did we discuss yesterday?", "sessions of: yesterday"),
        ("What did I tell you on Monday?", "sessions of: on monday"),
        ("what did we talk about in May?", "sessions of: in may"),
        ("What did I do last weekend?", "sessions of: last weekend"),
        ("What did we talk about two weeks ago?", "sessions of: two weeks ago"),
        ("What did we discuss on 3 May 2025?", "sessions of: on 3 may 2025"),
        ("what did we say last night?", "sessions of: yesterday"),
        ("what is still open?", "open tasks"),
        ("What's on my to-do list?", "open tasks"),
        ("list my open tasks", "open tasks"),
        ("show todos", "open tasks"),
        ("What do I still have to do?", "open tasks"),
        ("what’s left to do?", "open tasks"),
        ("what did I decide lately?", "decisions"),
        ("Which decisions did we make last week?", "decisions of: last week"),
        ("What do you know about me?", "what is known about you"),
        ("Tell me everything you remember about me so far.", "what is known about you"),
        ("Who am I?", "what is known about you"),
        ("What are my preferences?", "your preferences"),
        ("Worüber haben wir letztes Mal gesprochen?", "the last session"),
        ("Was haben wir gestern besprochen?", "sessions of: yesterday"),
        ("Was ist noch offen?", "open tasks"),
        ("Was weißt du über mich?", "what is known about you"),
        ("Fasse unsere letzten drei Gespräche zusammen.", "the last 3 sessions"),
    ],
)
def test_a_question_without_a_topic_asks_for_a_time_or_a_kind(question: str, name: str) -> None:
    assert asked(question) == asked(question.upper()) == name


@pytest.mark.parametrize(
    "question",
    [
        "what did we say about Lisbon last time?",
        "What did we say about the sun?",
        "What did we say about spring?",
        "What did we say about the US last week?",
        "What did we say about it last time?",
        "When did I last talk to Marta?",
        "Who did I talk to last week?",
        "What did he say yesterday?",
        "What did the president say last week?",
        "What did I cook last week?",
        "last time I checked, PUT was idempotent",
        "Last time you told me to wait.",
        "We talked about it last week.",
        "What time is it?",
        "What day was yesterday?",
        "yesterday",
        "last time",
        "How are you today?",
        "Can we talk tomorrow?",
        "Let's talk on Monday.",
        "May we talk?",
        "remind me on Friday",
        "what did you say?",
        "Say that again.",
        "ask me something",
        "tell me a story",
        "Summarise our conversation so far.",
        "what were we talking about?",
        "continue",
        "Continue where you left off.",
        "what can you do?",
        "Is the shop still open?",
        "Are you still open?",
        "What are tasks?",
        "Write a to-do list",
        "What should I do today?",
        "What is open source?",
        "How do I decide?",
        "What did you decide?",
        "What are decisions?",
        "What do you know?",
        "What do you know about US?",
        "Do you remember Anna?",
        "what do you think about me?",
        "Was meinst du?",
        "",
        "?!",
    ],
)
def test_a_topic_or_small_talk_is_no_occasion(question: str) -> None:
    assert asked(question) is None


@given(st.text(max_size=60), st.lists(st.sampled_from(sorted(occasions.VOCABULARY)), max_size=12).map(" ".join))
@example("", "the last first time 3 two we did")
@settings(max_examples=300, deadline=None)
def test_no_question_raises(text: str, said: str) -> None:
    for question in (text, said, f"{said} {text}"):
        occasions.read(question, AT)


def test_a_time_is_tried_exactly_and_where_people_are_rough_then_give_or_take() -> None:
    found = occasions.read("what did we talk about two weeks ago?", AT)
    assert found and len(found.times) == 2
    (first, after), (early, late) = found.times
    assert first.date().isoformat() == "2026-02-18" and (after - first).days == 1
    assert early < first < after < late
    found = occasions.read("what did we talk about yesterday?", AT)
    assert found and len(found.times) == 1


# ---------------------------------------------------------------------- answers


class Diary:
    """A memory to fill with sessions of given days."""

    def __init__(self, memory: MemoryManager) -> None:
        self.memory, self.store = memory, memory.store

    def session(self, name: str, days_ago: float, *said: str, gist: str = "") -> None:
        at = AT - timedelta(days=days_ago)
        self.store.start(Session(name, at))
        for place, text in enumerate(said):
            for role, words, origin in (("user", text, USER), ("assistant", "I see.", ASSISTANT)):
                message_id = f"{role}{place}"
                self.store.add(Message(message_id, name, role, words, at, origin, tokens=9))  # type: ignore[arg-type]
        self.store.set_state(name, "ended", at)
        if gist:
            self.store.put_notes(Summary(name, name.title(), gist, AT, "a-model", USER, tokens=20), ())

    def fact(self, session: str, text: str, kind: FactKind, days_ago: float, **more: object) -> None:
        at = AT - timedelta(days=days_ago)
        fact = Fact(f"{session}/{text}", session, text, kind, at, ("user0",), "", USER, **more)  # type: ignore[arg-type]
        self.store.merge(Session(session, at), [], None, [fact], owes=False)

    def ask(self, question: str, scope: Scope = Scope(), limit: int = 10, live: str = "") -> Recalled:
        return self.memory.recall(question, scope, limit, "words", live=live)

    def sessions(self, question: str, scope: Scope = Scope(), live: str = "") -> list[str]:
        return [hit.session_id for hit in self.ask(question, scope, live=live).hits]

    def texts(self, question: str, scope: Scope = Scope()) -> list[str]:
        return [hit.text for hit in self.ask(question, scope).hits]


@pytest.fixture
def diary(home: Path, counter: Counter) -> Iterator[Diary]:
    memory = a_memory(home, counter, clock=lambda: AT)
    yield Diary(memory)
    leave(memory)


@pytest.fixture
def week(diary: Diary) -> Diary:
    """Four sessions, the newest of two days ago, some with notes."""
    diary.session("roof", 30, "The roof leaks.", gist="The roof leaks and Sand mends it.")
    diary.session("cake", 11, "I bake a cake.", gist="A plum cake.")
    diary.session("bike", 6, "My chain slips.", "Both cogs are worn.", "Thanks.", "One more thing.")
    diary.session("trip", 2, "I go to Porto.", gist="A trip to Porto.")
    return diary


def test_the_last_session_is_told_by_its_summary(week: Diary) -> None:
    (hit,) = week.ask("what did we talk about last time?").hits
    assert (hit.kind, hit.session_id, hit.text) == ("summary", "trip", "Trip: A trip to Porto.")
    assert hit.why["occasion"] == "the last session"


def test_of_several_sessions_the_newest_comes_first(week: Diary) -> None:
    assert list(dict.fromkeys(week.sessions("summarise our last three conversations"))) == ["trip", "bike", "cake"]
    assert week.sessions("what did we first talk about?") == ["roof"]


def test_first_messages_stand_in_where_a_session_has_no_notes_yet(week: Diary) -> None:
    found = week.texts("What did we discuss last Thursday?")
    assert found == ["My chain slips.", "Both cogs are worn.", "Thanks."] and len(found) == OPENING


@pytest.mark.parametrize(
    ("question", "sessions"),
    [
        ("what did we talk about on Monday?", {"trip"}),
        ("what did we discuss last week?", {"bike"}),
        ("What did we discuss this week?", {"trip"}),
        ("what did we discuss in the last 12 days?", {"trip", "bike", "cake"}),
        ("what did I tell you in February?", {"cake", "bike", "roof"}),
        ("what did we talk about a month ago?", {"roof"}),
    ],
)
def test_a_time_gives_the_sessions_of_it(week: Diary, question: str, sessions: set[str]) -> None:
    assert set(week.sessions(question)) == sessions


def test_a_time_without_a_session_is_no_answer(week: Diary) -> None:
    assert week.memory.recall_for_prompt("what did we talk about yesterday?", 500, mode="words").hits == ()


def test_the_session_that_goes_on_is_not_the_last_time(week: Diary) -> None:
    live = talk(week.memory, "What did we talk about last time?", end=False)
    assert week.sessions("what did we talk about last time?", live=live) == ["trip"]
    assert set(week.sessions("what did we talk about last time?")) == {live}


def test_a_note_by_hand_is_no_talk_but_was_said(week: Diary) -> None:
    week.memory.note("My passport number is 4711.")
    assert week.sessions("when did we last talk?") == ["trip"]
    assert week.texts("what did I tell you today?") == ["My passport number is 4711."]


def test_a_scope_bounds_what_is_meant(week: Diary) -> None:
    early = Scope(before=AT - timedelta(days=8))
    assert week.sessions("what did we talk about last time?", early) == ["cake"]
    assert week.sessions("what did we talk about last time?", Scope(session_id="roof")) == ["roof"]
    (hit,) = week.ask("what did we talk about last time?", Scope(kinds=("message",))).hits
    assert (hit.kind, hit.text) == ("message", "I go to Porto.")
    assert week.sessions("what did we talk about last time?", Scope(as_of=AT - timedelta(days=20))) == ["roof"]


def test_last_is_counted_from_the_time_of_the_question(week: Diary) -> None:
    found = week.memory.recall("what did we talk about last time?", mode="words", at=AT - timedelta(days=8))
    assert [hit.session_id for hit in found.hits] == ["cake"]


@pytest.fixture
def noted(week: Diary) -> Diary:
    """The week with facts of all kinds."""
    week.fact("roof", "Call Sand about the roof.", "task", 30)
    week.fact("trip", "Book the room in Porto.", "task", 2)
    week.fact("trip", "Buy a new chain.", "task", 6, retired_by="another")
    week.fact("trip", "Maybe learn Portuguese.", "task", 2, status="review")
    week.fact("cake", "No nuts in the cake.", "decision", 11)
    week.fact("trip", "Go by night train.", "decision", 2)
    week.fact("cake", "Nuts make the throat swell.", "preference", 11)
    week.fact("roof", "The sister Marta lives in Porto.", "person", 30)
    week.fact("trip", "Lives in Basel.", "fact", 2)
    week.fact("roof", "The house is from 1890.", "task", 30, pinned=True)
    return week


def test_open_tasks_are_those_kept_and_not_retired(noted: Diary) -> None:
    tasks = ["The house is from 1890.", "Book the room in Porto.", "Call Sand about the roof."]
    assert noted.texts("what is still open?") == noted.texts("What are my to-dos?") == tasks


def test_decisions_are_the_newest_or_those_of_a_time(noted: Diary) -> None:
    assert noted.texts("what did I decide lately?") == ["Go by night train.", "No nuts in the cake."]
    assert noted.texts("which decisions did we make this week?") == ["Go by night train."]


def test_of_the_owner_what_is_pinned_comes_first_then_tastes_people_and_the_rest(noted: Diary) -> None:
    assert noted.texts("what do you know about me?") == [
        "The house is from 1890.",
        "Nuts make the throat swell.",
        "The sister Marta lives in Porto.",
        "Lives in Basel.",
    ]
    assert noted.texts("what are my preferences?") == ["Nuts make the throat swell."]


def test_the_messages_of_tasks_where_messages_are_wanted(noted: Diary) -> None:
    assert noted.texts("what is still open?", Scope(kinds=("message",))) == ["The roof leaks.", "I go to Porto."]


def test_what_no_kind_answers_is_looked_for_as_ever(week: Diary) -> None:
    hits = week.ask("What is still open about the chain?").hits + week.ask("what did I decide?").hits
    assert all("occasion" not in hit.why for hit in hits)


def test_a_prompt_gets_the_answer_past_the_gate_within_its_budget(noted: Diary) -> None:
    found = noted.memory.recall_for_prompt("what is still open?", 45, mode="words")
    assert found.gate == {"open": True, "occasion": "open tasks"}
    assert found.hits and sum(hit.tokens for hit in found.hits) <= 45
    assert found.hits[0].why["budget"]["place"] == 1 and found.hits[0].why["occasion"] == "open tasks"
    assert {one.reason.split(" (")[0] for one in found.cut} == {"no room left"}
    assert len(found.hits) + len(found.cut) == 3


def test_what_the_prompt_shows_already_is_not_shown_again(noted: Diary) -> None:
    question = "what did we talk about last time?"
    (hit,) = noted.memory.recall_for_prompt(question, 500, mode="words").hits
    again = noted.memory.recall_for_prompt(question, 500, mode="words", skip={hit.unit})
    assert again.hits == () and [one.reason for one in again.cut] == ["in the window already"]


def test_an_answer_has_an_end(diary: Diary) -> None:
    for number in range(MOST + 5):
        diary.session(f"s{number}", 1, "Hello.", gist="A greeting.")
    assert len(diary.ask("What did we talk about yesterday?", limit=100).hits) == MOST
