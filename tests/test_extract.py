"""Notes without a model: only the owner's own sentences, each with its message."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memory.extract import MAX_FACTS, extract, fact_id, shortened, title_of, worst
from memory.records import Message

MONDAY = datetime(2026, 11, 23, 12, tzinfo=UTC)
LATER = datetime(2027, 1, 1, tzinfo=UTC)


def said(role: Any, content: str, number: int = 1, **more: Any) -> Message:
    more = {"at": MONDAY, "origin": role, **more}
    return Message(f"m{number}", "s1", role, content, **more)


def texts(*contents: str) -> list[str]:
    """The facts extracted from the user's messages."""
    return [fact.text for fact in extract("s1", [said("user", c, n) for n, c in enumerate(contents)], LATER).facts]


def kind(sentence: str) -> str:
    (fact,) = extract("s1", [said("user", sentence)], LATER).facts
    return fact.kind


def test_notes_are_the_owners_own_words() -> None:
    talk = [
        said("user", "Hi! Can you help me plan a trip to Rome? I live in Bern with my sister Bella.", 1),
        said("assistant", "I love Rome. I am sure that you will like the Vatican.", 2),
        said("user", "I prefer trains. Show me the timetable.", 3),
    ]
    notes = extract("s1", talk, LATER, tried_by="tiny")
    assert notes.summary.title == "Can you help me plan a trip to Rome?"
    assert notes.summary.gist == (
        "Can you help me plan a trip to Rome? I live in Bern with my sister Bella. I prefer trains. "
        "Show me the timetable."
    )
    assert (notes.summary.written_by, notes.summary.tried_by, notes.summary.at) == ("extracted", "tiny", LATER)
    assert [(fact.text, fact.kind, fact.message_ids) for fact in notes.facts] == [
        ("I live in Bern with my sister Bella.", "person", ("m1",)),
        ("I prefer trains.", "preference", ("m3",)),
    ]
    for fact in notes.facts:
        assert (fact.quote, fact.origin, fact.status, fact.at) == (fact.text, "user", "kept", MONDAY)
        assert fact.id == fact_id("s1", fact.text, fact.message_ids)


@pytest.mark.parametrize(
    ("sentence", "expected"),
    [
        ("I was born in Lima.", "fact"),
        ("My favourite colour is green.", "preference"),
        ("I can't stand coriander.", "preference"),
        ("I would like to visit Peru with Tom.", "fact"),
        ("We decided to paint the kitchen.", "decision"),
        ("We’ll go with the blue tiles.", "decision"),
        ("I have to call the plumber.", "task"),
        ("Remind me to water the plants.", "task"),
        ("My boss Carla is on holiday.", "person"),
        ("Meine Schwester wohnt in Köln.", "person"),
        ("The dentist is on Tuesday now.", "fact"),
        ("Dinner with the Kims moved to Sunday.", "fact"),
        ("The rent went up to 900.", "fact"),
        ("The next meeting is cancelled.", "fact"),
        ("The gym costs $45 a month.", "fact"),
        ("Vivo en Sevilla.", "fact"),
        ("Mia goes to Elm School now.", "fact"),
        ("Ich bin allergisch gegen Nüsse.", "fact"),
        ("J'aime le thé vert.", "preference"),
        ("Me gusta el café de Lima.", "preference"),
        ("Anna is allergic to nuts.", "fact"),
        ("我住在柏林。", "fact"),
        ("Remember that the dentist closes at noon.", "fact"),
    ],
)
def test_statements_become_facts_of_their_kind(sentence: str, expected: str) -> None:
    assert kind(sentence) == expected


@pytest.mark.parametrize(
    "sentence",
    [
        "What is my sister's name?",
        "where do I live",
        "Can you book me a table",
        "Please write my speech.",
        "Show me the timetable.",
        "I want you to act as my lawyer.",
        "I'd like to know the capital of Peru.",
        "I see.",
        "Thanks a lot!",
        "The sky looks blue today.",
        "The weather is nice on Tuesdays.",
        "It moved to Friday.",
        "What moved to Friday?",
        "The price of gold is a mystery.",
        "It is raining.",
        "```\nI = my_code(we)\n```",
        "> I said this in another mail",
        "  > I live in Porto",
        "See what she writes:\n-----Original Message-----\nFrom: Bea\n\nI live in Porto. My bank is Wyvern.",
        "What of this?\n---------- Forwarded message ---------\nI live in Porto.",
        "Is it valid? <!DOCTYPE html><p>I live in Porto.</p>",
        "I live in Porto. " + "A page that somebody wrote. " * 300,
        "I " + "word " * 100,
    ],
)
def test_questions_requests_filler_and_pastes_are_no_facts(sentence: str) -> None:
    assert texts(sentence) == []


@pytest.mark.parametrize(
    ("sentence", "facts"),
    [
        (
            "I live in Lisbon and my boat is called Rosa.",
            ["I live in Lisbon", "my boat is called Rosa."],
        ),
        (
            "I live in Lisbon, and I work at the harbour and my boss is Carla.",
            ["I live in Lisbon", "I work at the harbour", "my boss is Carla."],
        ),
        ("My older sister and my brother live in Bonn.", ["My older sister and my brother live in Bonn."]),
        ("I eat fish and I do.", ["I eat fish and I do."]),
        ("I stay at home when it rains and I read novels.", ["I stay at home when it rains and I read novels."]),
        ("I like tea and cake.", ["I like tea and cake."]),
    ],
)
def test_what_stands_alone_is_a_fact_of_its_own(sentence: str, facts: list[str]) -> None:
    found = extract("s1", [said("user", sentence)], LATER).facts
    assert [fact.text for fact in found] == facts
    assert all(fact.quote in sentence for fact in found)


def test_a_statement_is_kept_once_and_in_the_order_said() -> None:
    assert texts("I like tea. My car is red.", "My car is red! I hate rain.") == [
        "I like tea.",
        "My car is red.",
        "I hate rain.",
    ]


def test_many_statements_are_cut_to_the_most_telling() -> None:
    found = texts(*[f"I saw bird{n}." for n in range(50)], "My sister Bella moved to Oslo in 2024.")
    assert len(found) == MAX_FACTS and found[-1] == "My sister Bella moved to Oslo in 2024."


def test_named_speakers_of_an_import_are_named() -> None:
    talk = [
        said("user", "I adopted a puppy.", 1, origin="imported", name="Caroline"),
        said("assistant", "I moved to Denver.", 2, origin="imported", name="Mel"),
        said("assistant", "I am a language model.", 3, origin="imported"),
    ]
    notes = extract("s1", talk, LATER)
    assert [fact.text for fact in notes.facts] == ["Caroline: I adopted a puppy.", "Mel: I moved to Denver."]
    assert [fact.quote for fact in notes.facts] == ["I adopted a puppy.", "I moved to Denver."]
    assert notes.summary.gist == "Caroline: I adopted a puppy. Mel: I moved to Denver."
    assert notes.summary.origin == notes.facts[0].origin == "imported"


def test_recalled_and_tool_text_is_not_learned() -> None:
    talk = [
        said("user", "I live in Mordor.", 1, origin="recalled"),
        said("tool", "I live in Mordor.", 2, origin="tool:read_file"),
        said("user", "I live in Bern.", 3),
    ]
    notes = extract("s1", talk, LATER)
    assert "Mordor" not in repr(notes) and [fact.message_ids for fact in notes.facts] == [("m3",)]


@pytest.mark.parametrize(("content", "title"), [("hi", "hi"), ("👍", "👍"), ("```\nx\n```", "``` x ```")])
def test_short_sessions_have_notes(content: str, title: str) -> None:
    summary = extract("s1", [said("user", content)], LATER).summary
    assert (summary.title, summary.gist) == (title, title)


def test_a_session_without_the_owner_has_its_day_for_a_title() -> None:
    summary = extract("s1", [said("assistant", "Hello!")], LATER).summary
    assert (summary.title, summary.gist) == ("Session of 2026-11-23", "")
    assert extract("s1", [], LATER).summary.title == "Session of 2027-01-01"


def test_a_short_quote_waits_for_review() -> None:
    (fact,) = extract("s1", [said("user", "I sew.")], LATER).facts
    assert fact.status == "review"


def test_titles_are_cut_after_a_word() -> None:
    title = title_of([said("user", "# Planning the surprise birthday party of my grandmother in the old mill")])
    assert title == "Planning the surprise birthday party of my grandmother in…"
    assert shortened("x" * 99, 60) == "x" * 59 + "…"


def test_the_worst_origin_is_that_of_a_tool() -> None:
    assert worst(["user", "imported", "assistant"]) == "imported"
    assert worst(["imported", "tool:web_search", "user"]) == "tool:web_search"
    assert worst([]) == "user"


@settings(deadline=None)
@given(st.lists(st.text(max_size=700), max_size=8))
def test_any_messages_give_notes_of_bounded_length(contents: list[str]) -> None:
    notes = extract("s1", [said("user", content, n) for n, content in enumerate(contents)], LATER)
    assert 1 <= len(notes.summary.title) <= 60 and len(notes.summary.gist) <= 500
    assert len(notes.facts) <= MAX_FACTS
    assert all(fact.quote in contents[int(fact.message_ids[0][1:])] for fact in notes.facts)
