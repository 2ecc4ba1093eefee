"""Recall: what is found, in which order, and what of it may go into a prompt. A real store and real vectors."""

import subprocess
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from memory import gate, passages, ranking, recall, scoring, when, words
from memory.embedding import MiniLM
from memory.entries import Entry
from memory.records import ASSISTANT, IMPORTED, RECALLED, USER, Fact, Hit, Message, Role, Scope, Session, Summary
from memory.store import Store
from memory.sync import units_of
from memory.tokens import Counter

AT = datetime(2026, 3, 2, 12, tzinfo=UTC)
SMALL_TALK = ("thanks!", "write a haiku about rust", "What is 17 * 23?", "ok", "Good morning", "Why is the sky blue?")
FILLER = (
    "I painted the kitchen green last week.",
    "The bus to the office was late again.",
    "We watched a long film about whales.",
    "My keyboard is broken, the space bar sticks.",
    "The garden needs water, the tomatoes are dry.",
)


@pytest.fixture(scope="session")
def embed() -> Callable[[Sequence[str]], list[list[float]]]:
    """The real model, which remembers what it was asked."""
    model, known = MiniLM(), dict[str, list[float]]()

    def embedded(texts: Sequence[str]) -> list[list[float]]:
        new = [text for text in dict.fromkeys(texts) if text not in known]
        known.update(zip(new, model(new), strict=True))
        return [known[text] for text in texts]

    return embedded


class Past:
    """A store to fill, a brute-force index over it, and questions to both."""

    def __init__(self, folder: Path, embed: Callable[[Sequence[str]], list[list[float]]], counter: Counter) -> None:
        self.store = Store(folder / "memory.db")
        self._embed, self._count = embed, counter.text

    def talk(self, session: str, *said: str, at: datetime = AT, role: Role = "user", name: str | None = None) -> None:
        """Add messages m1, m2, ... by one speaker to a session."""
        if not self.store.session(session):
            self.store.start(Session(session, at))
        first = len(self.store.transcript(session)) + 1
        for place, text in enumerate(said, first):
            origin = USER if role == "user" else ASSISTANT
            tokens = self._count(text)
            self.store.add(Message(f"m{place}", session, role, text, at, origin, name, tokens=tokens))

    def notes(self, session: str, gist: str, *facts: Fact) -> None:
        """Add the notes on a session."""
        self.store.put_notes(Summary(session, "Notes", gist, AT, "model", USER), facts)

    def nearest(self, question: str, limit: int) -> list[tuple[str, float]]:
        """The units by their cosine to the question."""
        units = units_of(self.store, self.store.unindexed("none", 10_000))
        vectors = self._embed([question, *(unit.text for unit in units)])
        scored = [
            (unit.id, sum(a * b for a, b in zip(vectors[0], vector, strict=True)))
            for unit, vector in zip(units, vectors[1:], strict=True)
        ]
        return sorted(scored, key=lambda one: -one[1])[:limit]

    def find(self, question: str, scope: Scope = Scope(), mode: str = "both", at: datetime = AT) -> list[Hit]:
        """What its owner is shown."""
        found = recall.find(self.store, question, self.nearest, scope, mode, at)
        return [recall.hit(self.store, one) for one in found]

    def select(
        self, question: str, budget: int = 1000, mode: str = "both", skip: Sequence[str] = ()
    ) -> recall.Selection:
        """What goes into a prompt and what is cut."""
        found = recall.find(self.store, question, self.nearest, Scope(), mode, AT)
        return recall.select(self.store, question, found, budget, self._count, skip)

    def prompt(self, question: str, budget: int = 1000, mode: str = "both") -> list[Hit]:
        """What goes into a prompt."""
        return list(self.select(question, budget, mode).hits)


@pytest.fixture
def past(tmp_path: Path, embed: Callable[[Sequence[str]], list[list[float]]], counter: Counter) -> Past:
    return Past(tmp_path, embed, counter)


def fact(text: str, session: str, *messages: str, status: str = "kept", retired_by: str | None = None) -> Fact:
    return Fact(
        f"{session}/{text}", session, text, "fact", AT, messages, "", USER,
        status=status, retired_by=retired_by,  # type: ignore[arg-type]
    )  # fmt: skip


def filled(past: Past) -> Past:
    for place, text in enumerate(FILLER):
        past.talk(f"filler{place}", text)
    return past


# ---------------------------------------------------------------------- finding


def test_a_question_that_shares_no_word_is_answered_by_meaning(past: Past) -> None:
    filled(past).talk("s", "I gave up meat and fish five years ago.")
    assert past.find("Am I vegetarian?")[0].text == "I gave up meat and fish five years ago."
    assert past.find("Am I vegetarian?", mode="words") == []


def test_words_find_a_name_that_no_vector_knows(past: Past) -> None:
    filled(past).talk("s", "The licence key is QX7-ZZ19.")
    assert past.find("QX7", mode="words")[0].session_id == "s"
    assert past.find("QX7")[0].session_id == "s"


def test_a_summary_answers_what_no_message_says(past: Past) -> None:
    filled(past).talk("s", "Yes, do it.", "The second one.")
    past.notes("s", "Chose the blue bicycle over the red one for commuting.")
    best = past.find("Which bicycle did I choose for commuting?")[0]
    assert (best.kind, best.session_id, best.message_ids) == ("summary", "s", ())


def test_without_an_index_words_answer(past: Past) -> None:
    filled(past).talk("s", "My sister Ana lives in Porto.")
    found = recall.find(past.store, "Where does my sister live?", None, Scope())
    assert recall.hit(past.store, found[0]).session_id == "s"


def test_vectors_alone_need_no_words(past: Past) -> None:
    filled(past).talk("s", "My sister Ana lives in Porto.")
    best = past.find("Where does my sister live?", mode="vectors")[0]
    assert best.session_id == "s" and best.why["arms"]["words"] == 0


def test_a_fact_lifts_the_message_it_rests_on(past: Past) -> None:
    filled(past).talk("s", "Yes!", "Nice.", "Two of them, as I said.")
    past.notes("s", "Small talk.", fact("The owner keeps two parrots.", "s", "m3"))
    named = [one for hit in past.find("How many parrots do I keep?") for one in hit.message_ids]
    assert named[0] == "m3"
    assert next(hit.unit for hit in past.find("How many parrots do I keep?") if hit.kind == "message") == "m8"


def test_a_reply_is_found_through_the_question_before_it(past: Past) -> None:
    filled(past).talk("s", "What is the name of your dog, the brown one?", role="assistant")
    past.talk("s", "Bello, since he barks so nicely.")
    assert "Bello, since he barks so nicely." in [hit.text for hit in past.find("name of the brown dog")[:2]]


def test_a_reply_shares_in_its_question_more_than_what_merely_follows(past: Past) -> None:
    filled(past).talk("s", "Is the brown dog called Bello?", "Yes, that is it.")
    past.talk("t", "The brown dog is called Bello.", "Yes, that is it.")
    shares = {
        hit.session_id: hit.why["parts"]["neighbours"]
        for hit in past.find("name of the brown dog")
        if hit.text == "Yes, that is it."
    }
    assert shares["s"] > shares["t"] > 0


def test_a_session_shares_in_its_summary(past: Past) -> None:
    for session in ("s", "t"):
        filled(past).talk(session, "The blue one, please.")
    past.notes("s", "Chose a bicycle for commuting.")
    best = next(hit for hit in past.find("Which bicycle did I choose?") if hit.kind == "message")
    assert best.session_id == "s"


@pytest.mark.parametrize(
    ("question", "answer", "other"),
    [
        ("When did I go hiking?", "Last week I went hiking.", "That day I went hiking."),
        ("Who did I go hiking with?", "I went hiking with Ben.", "I went hiking with him."),
        ("Did I go to the hiking club?", "I went to the hiking club.", "I went to the club for hiking."),
    ],
)
def test_what_a_question_expects_lifts_the_message_that_has_it(
    past: Past, question: str, answer: str, other: str
) -> None:
    past.talk("s", answer)
    past.talk("t", other)
    parts = {hit.session_id: hit.why["parts"] for hit in past.find(question)}
    extra = [sum(parts[session].get(name, 0) for name in ("expected", "phrase")) for session in "st"]
    assert extra[0] > extra[1]


def test_what_is_irrelevant_is_lifted_by_no_expectation(past: Past) -> None:
    past.talk("s", "My keyboard broke last week, I fixed it.", "I went hiking last week.")
    parts = {hit.text[:11]: hit.why["parts"] for hit in past.find("When did I go hiking?")}
    assert parts["My keyboard"].get("expected", 0) < parts["I went hiki"]["expected"] == ranking.EXPECTED


def test_a_named_speaker_answers_for_oneself(past: Past) -> None:
    past.talk("s", "I love hiking in the mountains at weekends.", name="Ben")
    past.talk("t", "I love hiking in the mountains on Sundays.", name="Cleo")
    assert past.find("Does Cleo love hiking in the mountains?")[0].session_id == "t"
    assert past.find("Does Ben love hiking in the mountains?")[0].session_id == "s"


def test_a_named_time_decides_between_equals(past: Past) -> None:
    past.talk("march", "I went to a concert.", at=AT)
    past.talk("may", "I went to a concert!", at=AT + timedelta(days=70))
    assert past.find("Which concert did I go to in March 2026?")[0].session_id == "march"
    assert past.find("Which concert did I go to last week?", at=AT + timedelta(days=73))[0].session_id == "may"


def test_a_session_that_covers_the_question_over_several_messages_comes_first(past: Past) -> None:
    filled(past).talk("s", "The wedding will be in June.", "Ana wants lilies.", "The hall in Porto is booked.")
    past.talk("t", "The wedding will be in July.")
    past.talk("u", "Bea wants roses.")
    assert past.find("Ana Porto wedding lilies hall")[0].session_id == "s"


def test_the_answer_comes_before_the_question_asked_again(past: Past) -> None:
    past.talk("old", "My sister Ana lives in Porto.")
    for place in range(12):
        past.talk(f"asked{place}", "Where does my sister live?", at=AT + timedelta(days=place))
    assert past.find("Where does my sister live?")[0].session_id == "old"
    assert [hit.session_id for hit in past.prompt("Where does my sister live?")] == ["old"]


def test_a_retired_fact_is_not_recalled(past: Past) -> None:
    past.talk("s", "I moved.")
    past.notes("s", "Moved.", fact("Lives in Porto.", "s", "m1", retired_by="f9"), fact("Lives in Faro.", "s", "m1"))
    assert [hit.text for hit in past.find("Where do I live?") if hit.kind == "fact"] == ["Lives in Faro."]


def changed_home(past: Past) -> None:
    """A fact of March that one of May retired, each with its session's notes; both sessions took an hour."""
    may, hour = AT + timedelta(days=70), timedelta(hours=1)
    for session, town, at in (("s", "Porto", AT), ("t", "Faro", may)):
        past.store.start(Session(session, at))
        past.store.add(Message("m1", session, "user", f"I live in {town} now.", at, USER))
        past.store.set_state(session, "ended", at + hour)
    old, new = fact("Lives in Porto.", "s", "m1", retired_by="t/Lives in Faro."), fact("Lives in Faro.", "t", "m1")
    past.store.put_notes(Summary("s", "Home", "Lives in Porto.", may, "model", USER), [old])
    past.store.put_notes(Summary("t", "Home", "Lives in Faro.", may + hour, "model", USER), [new._replace(at=may)])


@pytest.mark.parametrize("mode", ["words", "vectors", "both"])
@pytest.mark.parametrize(
    ("days", "facts", "messages", "summaries"),
    [
        (-1, set(), set(), set()),
        (0.01, {"Lives in Porto."}, {"I live in Porto now."}, set()),  # the session is still going on
        (1, {"Lives in Porto."}, {"I live in Porto now."}, {"Home: Lives in Porto."}),
        (70, {"Lives in Porto."}, {"I live in Porto now."}, {"Home: Lives in Porto."}),
        (70.01, {"Lives in Faro."}, {"I live in Porto now.", "I live in Faro now."}, {"Home: Lives in Porto."}),
        (None, {"Lives in Faro."}, {"I live in Porto now.", "I live in Faro now."},
         {"Home: Lives in Porto.", "Home: Lives in Faro."}),
    ],
)  # fmt: skip
def test_the_memory_as_it_was(
    past: Past, mode: str, days: float | None, facts: set[str], messages: set[str], summaries: set[str]
) -> None:
    changed_home(past)
    scope = Scope(as_of=None if days is None else AT + timedelta(days=days))
    found = past.find("Where do I live, Porto or Faro?", scope, mode)
    texts = {kind: {hit.text for hit in found if hit.kind == kind} for kind in ("fact", "message", "summary")}
    assert texts == {"fact": facts, "message": messages, "summary": summaries}


def test_a_fact_retired_by_one_that_is_gone_stays_retired(past: Past) -> None:
    past.talk("s", "I moved.")
    past.notes("s", "Moved.", fact("Lives in Porto.", "s", "m1", retired_by="gone"))
    assert [hit.kind for hit in past.find("Porto", Scope(as_of=AT + timedelta(days=1)))].count("fact") == 0


def test_a_session_without_an_end_counts_from_its_beginning(past: Past) -> None:
    past.talk("s", "I bought apples.")
    past.notes("s", "Bought apples.")
    for days, kinds in ((-1, set()), (1, {"message", "summary"})):
        assert {hit.kind for hit in past.find("apples", Scope(as_of=AT + timedelta(days=days)))} == kinds


def test_neither_tool_results_nor_recalled_text_are_found(past: Past) -> None:
    past.talk("s", "Look up the weather in Porto.")
    for place, (role, origin) in enumerate((("tool", "tool:web"), ("system", RECALLED))):
        past.store.add(Message(f"x{place}", "s", role, "Porto weather: sunny", AT, origin))  # type: ignore[arg-type]
    assert [hit.text for hit in past.find("weather in Porto")] == ["Look up the weather in Porto."]


@pytest.mark.parametrize(
    ("scope", "sessions"),
    [
        (Scope(after=AT + timedelta(days=1)), {"t"}),
        (Scope(before=AT + timedelta(days=1)), {"s"}),
        (Scope(session_id="s"), {"s"}),
        (Scope(session_id="none"), set()),
        (Scope(), {"s", "t"}),
    ],
)
def test_a_scope_bounds_messages_facts_and_summaries(past: Past, scope: Scope, sessions: set[str]) -> None:
    for session, days in (("s", 0), ("t", 2)):
        at = AT + timedelta(days=days)
        past.talk(session, "I bought apples.", "And pears.", at=at)
        past.store.put_notes(Summary(session, "Fruit", "Bought fruit.", AT + timedelta(days=9), "model", USER), ())
    assert {hit.session_id for hit in past.find("What fruit did I buy?", scope)} == sessions


@pytest.mark.parametrize("kind", ["message", "fact", "summary"])
def test_a_scope_of_kinds(past: Past, kind: str) -> None:
    past.talk("s", "I bought apples.")
    past.notes("s", "Bought apples.", fact("Bought apples.", "s", "m1"))
    assert {hit.kind for hit in past.find("apples", Scope(kinds=(kind,)))} == {kind}  # type: ignore[arg-type]


def test_scores_are_the_sum_of_the_parts_that_why_names(past: Past) -> None:
    filled(past).talk("s", "My sister Ana lives in Porto.")
    best = past.find("Where does Ana live?")[0]
    assert best.score == pytest.approx(sum(best.why["parts"].values()), abs=0.01) and best.score > 0


@pytest.mark.parametrize(
    "question", ['"', "AND OR NOT", "NEAR(a b, 2)", "name:x*", "?!", "", " ", "ß\u0000\ud800", "猫"]
)
def test_odd_questions_are_answered(past: Past, question: str) -> None:
    filled(past)
    past.find(question, mode="words")
    past.prompt(question)


def test_a_question_of_ten_kilobytes_is_answered(past: Past) -> None:
    filled(past).talk("s", "My sister Ana lives in Porto.")
    assert past.find("Porto " + "lorem ipsum dolor " * 600)[0].session_id == "s"


def test_words_alone_load_no_vectors() -> None:
    code = "import sys, memory.recall; print([m for m in ('chromadb', 'numpy', 'onnxruntime') if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=Path(__file__).parent.parent
    )
    assert done.stdout.strip() == "[]", done.stderr


# ---------------------------------------------------------------------- the gate


@pytest.mark.parametrize("others", [0, 1, 4, 60])
def test_the_gate_of_a_small_memory(past: Past, others: int) -> None:
    """From one message on: the right one passes, small talk gets nothing."""
    past.talk("s", "My sister Ana lives in Porto.")
    for place in range(others):
        past.talk(f"filler{place}", f"{FILLER[place % 5]}{' Really.' * (place // 5)}")
    for question in ("Where does my sister live?", "Does anyone in my family live in Portugal?"):
        assert past.prompt(question)[0].session_id == "s", question
    for line in SMALL_TALK:
        assert past.prompt(line) == [], line


def test_an_empty_memory_has_nothing_for_a_prompt(past: Past) -> None:
    assert past.prompt("Where does my sister live?") == []


def test_a_preference_is_found_for_a_request(past: Past) -> None:
    filled(past).talk("s", "I am vegetarian and I hate coriander.")
    assert "s" in [hit.session_id for hit in past.prompt("What vegetarian dish should I cook tonight?")]


def test_small_talk_said_before_is_nothing_to_go_by(past: Past) -> None:
    for place in range(3):
        past.talk(f"s{place}", "Hello", "Hi there, good morning!", "Continue.", "ok", "Thanks a lot!", "Bye")
    for line in ("hi", "Hi there", "continue", "Thanks!", "bye", "Good morning", "ok, thank you", "merci!"):
        for mode in ("both", "words"):
            assert past.prompt(line, mode=mode) == [], line


def test_a_question_of_small_words_is_no_small_talk() -> None:
    for line in ("Where did I go?", "What did I do that night?", "When did I stop?"):
        assert not gate.asks_nothing(words.all_words(line)), line


def test_a_line_that_is_shown_is_not_repeated_by_another(past: Past) -> None:
    past.talk("s", "My sister Ana lives in Porto.")
    past.notes("s", "Family.", fact("My sister Ana lives in Porto.", "s", "m1"))
    selection = past.select("Where does my sister Ana live?", 1000, "both")
    assert [hit.text.count("Ana lives in Porto") for hit in selection.hits].count(1) == 1
    assert recall.SAID in [one.reason for one in selection.cut]


def test_the_gate_works_by_words_alone(past: Past) -> None:
    filled(past).talk("s", "My sister Ana lives in Porto.")
    assert [hit.session_id for hit in past.prompt("Where does my sister live?", mode="words")] == ["s"]
    for line in SMALL_TALK:
        assert past.prompt(line, mode="words") == [], line


def test_what_has_no_vector_yet_is_judged_by_its_words(past: Past) -> None:
    """The live session's messages get their vectors at its end; what is merely far from the question is far."""
    for place in range(60):
        past.talk(f"filler{place}", f"{FILLER[place % 5]} Number {place}.")
    past.store.note_vectors("v", past.store.unindexed("v", 100))
    past.talk("live", "I parked the scooter in Keller Street.")
    question = "Where did I park my scooter?"
    nearest = [one for one in past.nearest(question, 100) if one[0] != "m61"]
    found = recall.find(past.store, question, lambda _question, _limit: nearest, Scope())

    def chosen() -> list[str]:
        return [hit.unit for hit in recall.select(past.store, question, found, 1000, len).hits]

    assert chosen()[:1] == ["m61"]
    past.store.note_vectors("v", [("m", 61)])
    assert chosen() == []


def test_among_more_messages_more_words_must_agree() -> None:
    one = recall.Candidate(Entry("m", 1, "s", "The haiku was on rust.", "2026-03-02T12:00:00+00:00", USER, 7), bm25=7.0)
    assert gate.judged(one, ["haiku", "rust"], 300, by_words=300).opens
    assert not gate.judged(one, ["haiku", "rust"], 300, by_words=30_000).opens


def test_more_messages_ask_for_more_relevance() -> None:
    sizes = [gate.threshold(size) for size in (0, 1, 100, 10_000, 10**9)]
    assert sizes == sorted(sizes) and sizes[-1] == ranking.CEILING


# ---------------------------------------------------------------------- into the prompt


def test_a_fact_in_review_is_hidden_but_leads_to_its_message(past: Past) -> None:
    filled(past).talk("s", "Two of them, as I said.")
    past.notes("s", "Small talk.", fact("The owner keeps two parrots.", "s", "m1", status="review"))
    shown = past.prompt("How many parrots do I keep?")
    assert "Two of them, as I said." in shown[0].text
    assert all("parrots" not in hit.text for hit in shown)


@given(budget=st.integers(0, 300))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_budget_is_never_exceeded(crowd: Past, counter: Counter, budget: int) -> None:
    shown = crowd.prompt("Where does my sister live?", budget)
    assert sum(hit.tokens for hit in shown) <= budget
    assert counter.text("\n".join(hit.text for hit in shown)) <= budget


@pytest.fixture(scope="module")
def crowd(
    tmp_path_factory: pytest.TempPathFactory, embed: Callable[[Sequence[str]], list[list[float]]], counter: Counter
) -> Past:
    past = Past(tmp_path_factory.mktemp("crowd"), embed, counter)
    for place in range(12):
        past.talk(f"s{place}", f"My sister number {place} lives in Porto. " + "She likes it there. " * place * place)
    return past


def test_one_session_does_not_take_all_the_room(past: Past) -> None:
    past.talk("long", *(f"My sister lives in Porto, as I said {place} times." for place in range(20)))
    past.talk("short", "My sister lives near the river.")
    shown = [hit.session_id for hit in past.prompt("Where does my sister live?", 5000)]
    assert shown.count("long") == ranking.SESSION_SHARE and "short" in shown


def test_a_line_says_who_when_and_where(past: Past) -> None:
    past.talk("s", "My sister\nlives in Porto.", name="Ben")
    assert past.prompt("Where does my sister live?")[0].text == "My sister lives in Porto. (Ben, 2026-03-02)"


def test_a_line_says_that_its_words_are_not_the_owners(past: Past) -> None:
    past.store.start(Session("s", AT))
    past.store.add(Message("m1", "s", "user", "My sister lives in Porto.", AT, IMPORTED, tokens=8))
    assert "(user (imported), 2026-03-02)" in past.prompt("Where does my sister live?")[0].text


def test_of_a_long_message_the_passage_that_matters_is_shown_and_the_whole_is_named(past: Past) -> None:
    padding = "The weather was fine and we walked along the river for a while. " * 30
    past.talk("s", f"{padding}My sister Ana lives in Porto. {padding}")
    shown = past.prompt("Where does my sister live?")[0]
    assert "My sister Ana lives in Porto." in shown.text and shown.text.startswith("…")
    assert shown.tokens < 2 * ranking.PASSAGE_TOKENS
    assert (shown.unit, shown.message_ids) == ("m1", ("m1",))
    assert shown.text.endswith("(user, 2026-03-02, part of message m1)")


@given(st.text(max_size=2000), st.integers(10, 500))
@settings(max_examples=100, deadline=None)
def test_a_passage_is_never_longer_than_asked(text: str, size: int) -> None:
    assert len(passages.passage(text, ["a", "b"], size)) <= size + 4


def test_a_passage_of_one_long_sentence_is_cut() -> None:
    assert passages.passage("word " * 1000, ["word"], 50).endswith(" …")


# ---------------------------------------------------------------------- what is cut


def test_what_is_cut_says_why_the_best_first(past: Past) -> None:
    filled(past).talk("s", *(f"My sister lives in Porto, as I said {place} times." for place in range(8)))
    past.notes("s", "Talk of the family.", fact("The sister lives in Porto.", "s", "m1", status="review"))
    past.talk("t", "My sister Ana lives in Porto near the river.", "A fine bridge!")
    shown = past.select("Where does my sister live?")
    reasons = {one.unit: one.reason for one in shown.cut}
    assert reasons["f1"] == recall.IN_REVIEW
    assert recall.FULL_SESSION in reasons.values() and recall.BELOW in reasons.values()
    assert not reasons.keys() & {hit.unit for hit in shown.hits}
    scores = [one.score for one in shown.cut]
    assert scores == sorted(scores, reverse=True) and len(scores) <= ranking.CUTS
    assert all(one.why["gate"]["threshold"] > 0 and one.why["arms"] for one in shown.cut)


def test_what_the_prompt_shows_already_is_cut_and_does_not_open_the_gate(past: Past) -> None:
    filled(past).talk("s", "My sister Ana lives in Porto.")
    shown = past.select("Where does my sister live?", skip=["m6"])
    assert shown.hits == () and shown.gate["open"] is False
    assert {one.unit: one.reason for one in shown.cut}["m6"] == recall.IN_WINDOW
    assert {one.reason for one in shown.cut if one.unit != "m6"} == {recall.SHUT}


def test_a_question_asked_before_only_repeats_it_and_the_question_itself_needs_no_reason(past: Past) -> None:
    filled(past).talk("live", "Where does my sister live?")
    assert {one.unit: one.reason for one in past.select("Where does my sister live?").cut}["m6"] == recall.REPEATS
    assert "m6" not in {one.unit for one in past.select("Where does my sister live?", skip=["m6"]).cut}


def test_what_finds_no_room_says_how_much_was_left(past: Past) -> None:
    for place in range(4):
        past.talk(f"s{place}", f"My sister number {place} lives in Porto.")
    shown = past.select("Where does my sister live?", 60)
    left = 60 - sum(hit.tokens for hit in shown.hits)
    assert shown.hits and {one.reason for one in shown.cut} == {f"no room left ({left} tokens)"}


def test_the_gates_verdict_is_that_of_the_most_relevant(past: Past) -> None:
    filled(past).talk("s", "My sister Ana lives in Porto.")
    for question, is_open in (("Where does my sister live?", True), ("thanks!", False)):
        found = past.select(question)
        assert found.gate["open"] is is_open is (found.gate["relevance"] >= found.gate["threshold"])
        judged = [one.why["gate"]["relevance"] for one in (*found.hits, *found.cut)]
        assert found.gate["relevance"] == max(judged)


# ---------------------------------------------------------------------- times in a question


@pytest.mark.parametrize(
    ("question", "first", "after"),
    [
        ("on October 13, 2025?", "2025-10-13", "2025-10-14"),
        ("What was on 3rd of June 2024", "2024-06-03", "2024-06-04"),
        ("in December", "2025-12-01", "2026-01-01"),
        ("in may", "2025-05-01", "2025-06-01"),
        ("on 2026-02-07", "2026-02-07", "2026-02-08"),
        ("in 2024", "2024-01-01", "2025-01-01"),
        ("two weeks ago", "2026-02-13", "2026-02-19"),
        ("yesterday", "2026-02-28", "2026-03-02"),
        ("last week", "2026-02-20", "2026-03-02"),
        ("last winter", "2025-12-01", "2026-03-03"),
    ],
)
def test_times_in_words(question: str, first: str, after: str) -> None:
    assert [tuple(map(str, span)) for span in when.spans(question, AT)] == [(first, after)]


@pytest.mark.parametrize(
    "question", ["May I ask?", "We march on", "31 February 2026", "10000000 years ago", "", "at 17:30"]
)
def test_what_is_no_time_is_left_out(question: str) -> None:
    assert when.spans(question, AT) == []


@given(st.text(max_size=100))
def test_no_question_raises(text: str) -> None:
    when.spans(text, AT)


@pytest.mark.parametrize("question", ["what happened on 0001-01-01?", "and on 9999-12-30?"])
def test_a_time_at_the_end_of_all_times_is_near_none_of_ours(question: str) -> None:
    assert when.spans(question, AT)
    assert when.nearness(AT.date(), when.spans(question, AT)) == 0


@settings(deadline=None)
@given(st.lists(st.sampled_from("do we know Größe ЁЛКА 東京に ﬁne İ ß's".split()), min_size=1), st.text(max_size=12))
def test_no_echo_is_missed_by_the_quick_look_at_its_words(said: list[str], more: str) -> None:
    question = " ".join(said)
    for text in (question, question.upper(), f"{more} {question}", " ".join(reversed(said)) + more):
        asked = words.all_words(question)
        if scoring._echo(words.all_words(text), asked):
            assert scoring._may_echo(text, asked)
