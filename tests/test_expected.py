"""What a question expects of its answer: a kind, and its own phrases."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memory import expected, ranking


def answers(question: str, text: str) -> bool:
    return expected.kinds(question).stands_in(text, text.casefold())


@pytest.mark.parametrize("question", ["When did Ana move?", "Which year was that?", "How many weeks ago did I start?"])
@pytest.mark.parametrize(
    ("text", "is_time"),
    [
        ("We finally moved yesterday!", True),
        ("LAST WEEK was too much.", True),
        ("The 3rd of the month suits me.", True),
        ("In 2019, I think.", True),
        ("Signed on a Friday.", True),
        ("We finally moved.", False),
        ("The breakfast was monumental.", False),
        ("Room 20190 is upstairs.", False),
        ("Thistle and toastmaster.", False),
    ],
)
def test_when_asks_for_a_time(question: str, text: str, is_time: bool) -> None:
    assert answers(question, text) == is_time


@pytest.mark.parametrize("question", ["Who cut my hair?", "Where do I train?", "What was the title of that book?"])
@pytest.mark.parametrize(
    ("text", "is_name"),
    [
        ("It was Marta, as always.", True),
        ('I liked "the long way down" best.', True),
        ("“Der lange Weg” it is.", True),
        ("It was fine. Thanks for that, I am glad.", False),
        ("I think I do.", False),
        ("Hello you.", False),
    ],
)
def test_who_where_and_titles_ask_for_a_name(question: str, text: str, is_name: bool) -> None:
    assert answers(question, text) == is_name


@pytest.mark.parametrize("question", ["What did I eat?", "Is Ana my sister?", "How is the whole thing done?", ""])
def test_most_questions_ask_for_no_kind(question: str) -> None:
    assert not answers(question, 'Yesterday Ana read "the long way down".')


def stands(question: str, text: str, *names: str) -> list[bool]:
    return [phrase.stands_in(text.casefold()) for phrase in expected.phrases(question, names)]


def test_a_phrase_stands_side_by_side_under_any_ending() -> None:
    question = "Which support group did I go to?"
    assert stands(question, "The Support Groups were crowded.") == [True]
    assert stands(question, "They support every group.") == [False]
    assert stands(question, "A group of support.") == [False]


def test_a_phrase_is_of_words_worth_searching_and_of_no_speaker() -> None:
    assert stands("What is it that I am?", "what is it that I am") == []
    assert stands("Did Ana paint?", "Ana paints", "ana") == []


def test_a_pasted_page_has_a_few_phrases() -> None:
    assert len(expected.phrases("blue whale hunter " * 500 + "big red car " * 500, ())) <= ranking.PHRASES


@given(st.text(max_size=300), st.text(max_size=300))
def test_no_question_and_no_text_raises(question: str, text: str) -> None:
    answers(question, text)
    stands(question, text, *re.findall(r"\w+", text))
