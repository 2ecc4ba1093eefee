"""Words: which words of a question are searched, and that no text can be an operator."""

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memory import words
from memory.records import USER, Message, Scope, Session
from memory.store import Store

AT = datetime(2026, 5, 1, 12, tzinfo=UTC)
SAID = ("My sister Ana lives in Porto.", "Ich wohne in Köln, nahe dem Dom.", "Моя собака любит снег.", "It rained.")
OPERATORS = (
    '"',
    "AND",
    "NEAR(a b)",
    "a* b*",
    "name:x",
    "-a",
    "(",
    "a AND",
    "NOT x",
    "^a",
    "'; --",
    "{a b}: c",
    "+",
    "",
)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    store = Store(tmp_path_factory.mktemp("words") / "memory.db")
    store.start(Session("s1", AT))
    for place, text in enumerate(SAID):
        store.add(Message(f"m{place}", "s1", "user", text, AT, USER))
    return store


def found(store: Store, question: str, scope: Scope = Scope()) -> list[int]:
    return [seq for kind, seq in words.search(store, question, 10, scope) if kind == "m"]


def test_terms_are_the_telling_words_once_and_in_order() -> None:
    assert words.terms("Where does my sister Ana live, and what does ANA do?") == ["sister", "ana", "live"]


def test_small_talk_may_have_no_terms() -> None:
    assert words.terms("What was that, and how are you?") == []


def test_a_pasted_page_is_cut() -> None:
    assert len(words.terms(" ".join(f"word{n}" for n in range(500)))) == words.MAX_TERMS


@pytest.mark.parametrize(
    ("question", "place"),
    [("sisters living", 1), ("koln", 2), ("КÖLN Dom", 2), ("собака", 3), ("rain", 4)],
)
def test_words_of_any_script_are_found_by_their_stems_and_without_accents(
    store: Store, question: str, place: int
) -> None:
    assert found(store, question) == [place]


@pytest.mark.parametrize("question", OPERATORS)
def test_operators_are_words(store: Store, question: str) -> None:
    words.search(store, question, 10, Scope())
    assert 1 in found(store, f"{question} Porto")


@given(st.text(max_size=200))
@settings(max_examples=200, deadline=None)
def test_no_text_raises(store: Store, text: str) -> None:
    words.search(store, text, 10, Scope())


def test_a_scope_bounds_the_search(store: Store) -> None:
    assert found(store, "Porto", Scope(session_id="s1")) == [1]
    assert found(store, "Porto", Scope(session_id="s2")) == []
    assert found(store, "Porto", Scope(after=AT)) == [1]
    assert found(store, "Porto", Scope(before=AT)) == []


def test_the_rows_with_more_and_rarer_words_score_higher(store: Store) -> None:
    scores = words.search(store, "Ana Porto rained", 10, Scope())
    assert scores["m", 1] > scores["m", 4] > 0


@pytest.mark.parametrize(
    ("text", "there"),
    [("She moved to Porto", {"moved", "porto"}), ("She is moving", {"moved"}), ("Nothing", set()), ("", set())],
)
def test_held_words_are_compared_by_their_stems(text: str, there: set[str]) -> None:
    assert words.held(["moved", "porto"], text) == there


def test_of_no_words_none_is_held() -> None:
    assert words.held([], "anything") == set()
