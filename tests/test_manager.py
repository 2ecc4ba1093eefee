"""The one door to the memory: what is noted is recalled, what fails is told, what is removed is gone."""

import shutil
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from assistant.errors import ModelUnreachable
from memory.embedding import Embedder, MiniLM
from memory.errors import Failure
from memory.forget import Forgetting
from memory.manager import MemoryManager, Recalled
from memory.records import Scope
from memory.tokens import Counter
from tests.memories import NOTES, PORTO, Scribe, Words, a_memory, forget_session, leave, talk

Open = Callable[..., MemoryManager]


@pytest.fixture
def opened(home: Path, counter: Counter) -> Iterator[Open]:
    """Opens the memory, each time as another process would; all are closed in the end."""
    made: list[MemoryManager] = []

    def open_it(embedder: Embedder | None = None, **more: object) -> MemoryManager:
        made.append(a_memory(home, counter, embedder, **more))  # type: ignore[arg-type]
        return made[-1]

    yield open_it
    for memory in made:
        leave(memory)


@pytest.fixture
def memory(opened: Open) -> MemoryManager:
    return opened()


def texts(recalled: Recalled) -> list[str]:
    return [hit.text for hit in recalled.hits]


# ---------------------------------------------------------------------- by hand


def test_a_note_by_hand_is_a_session_with_a_fact_that_quotes_it(memory: MemoryManager) -> None:
    fact = memory.note("  My passport number is 4711.\0 ")
    (session,) = memory.store.sessions()
    (message,) = memory.store.transcript(session.id)
    assert memory.store.facts_of(session.id) == [fact]
    assert (fact.text, fact.quote, fact.message_ids) == (message.content, message.content, (message.id,))
    assert message.content == "My passport number is 4711.\ufffd"
    assert (message.role, message.origin, fact.origin, fact.status) == ("user", "user", "user", "kept")
    assert session.state == "summarised" and session.ended_at == session.started_at
    assert memory.by_hand(session.id)
    assert memory.owed("any model") == [], "a note needs no notes"
    assert texts(memory.recall("passport number", limit=1)) == [fact.text]
    memory.sync(session.id)
    found = memory.store.session(session.id)
    assert found and found.state == "indexed"


def test_a_talk_is_not_by_hand(memory: MemoryManager) -> None:
    session_id = talk(memory, PORTO)
    memory.extract(session_id)
    assert not memory.by_hand(session_id)


# ---------------------------------------------------------------------- recall


def test_what_shares_no_word_with_the_question_is_found_by_its_meaning(opened: Open) -> None:
    memory = opened(MiniLM())
    talk(memory, "My sister moved to Lisbon.", "The build fails on Windows.", "I bought oat milk on Friday.")
    assert memory.recall_for_prompt("In which city does my sibling live?", 500).hits == ()
    memory.sync()
    question = "In which city does my sibling live?"
    assert texts(memory.recall(question, limit=1)) == ["My sister moved to Lisbon."]
    (hit, *_) = memory.recall_for_prompt(question, 500).hits
    assert hit.text.startswith("My sister moved to Lisbon. (user, ")
    assert memory.recall_for_prompt("How do I sharpen a kitchen knife?", 500).hits == ()


def test_what_only_the_summary_says_is_found(opened: Open) -> None:
    """The messages themselves never say what the talk was about."""
    memory = opened(MiniLM())
    session_id = talk(memory, "Can we move it to the 14th?", "Better the aisle then, and no meal please.")
    # A summary of the user's own making, as an import brings it.
    notes = memory.extract(session_id)
    memory.store.put_notes(
        type(notes.summary)(
            session_id,
            "Flight to Oslo",
            "The user rebooked a plane ticket to Norway.",
            notes.summary.at,
            "a-model",
            "user",
        ),
        (),
    )
    memory.sync()
    hits = memory.recall_for_prompt("When was my journey by air to Scandinavia?", 500).hits
    assert {hit.session_id for hit in hits} == {session_id}
    (summary,) = (hit for hit in hits if hit.kind == "summary")
    assert "rebooked a plane ticket" in summary.text


def test_a_recall_keeps_to_its_scope_its_limit_and_its_budget(opened: Open) -> None:
    times = iter(
        [datetime(2026, 3, day, 12, tzinfo=UTC) + timedelta(seconds=n) for day in (1, 2, 3) for n in range(99)]
    )
    memory = opened(clock=lambda: next(times))
    first = talk(memory, *(f"The code of gate {number} is {number * 37}." for number in range(5)))
    while next(times) < datetime(2026, 3, 2, tzinfo=UTC):
        pass
    second = talk(memory, *(f"The code of gate {number} is {number * 41}." for number in range(5)))
    memory.sync()
    question = "What is the code of gate 3?"
    assert len(memory.recall(question, limit=3).hits) == 3
    for scope, expected in (
        (Scope(session_id=first), {first}),
        (Scope(before=datetime(2026, 3, 2, tzinfo=UTC)), {first}),
        (Scope(after=datetime(2026, 3, 2, tzinfo=UTC)), {second}),
    ):
        for mode in ("words", "vectors", "both"):
            assert {hit.session_id for hit in memory.recall(question, scope, mode=mode).hits} == expected
    assert memory.recall(question, Scope(kinds=("fact",))).hits == ()
    hits = memory.recall_for_prompt(question, 60).hits
    assert hits and sum(hit.tokens for hit in hits) <= 60
    assert memory.recall_for_prompt(question, 0).hits == ()
    best = memory.recall(question, limit=1).hits[0].unit
    assert best in [hit.unit for hit in memory.recall_for_prompt(question, 500).hits]
    assert best not in [hit.unit for hit in memory.recall_for_prompt(question, 500, skip={best}).hits]


def test_words_alone_never_open_the_index(memory: MemoryManager, home: Path) -> None:
    talk(memory, "My dog is called Rex.")
    memory.sync()
    memory.index.close()
    shutil.rmtree(home / "index")
    assert texts(memory.recall("dog", mode="words"))[0] == "My dog is called Rex."
    assert not (home / "index").exists()


def test_a_memory_without_vectors_needs_no_index(memory: MemoryManager, home: Path) -> None:
    talk(memory, "My dog is called Rex.")
    assert memory.recall("What is my dog called?") == memory.recall("What is my dog called?", mode="words")
    assert not (home / "index").exists()


# ---------------------------------------------------------------------- an index that fails


def broken(home: Path) -> None:
    for path in (home / "index").rglob("*"):
        if path.is_file():
            path.write_bytes(b"garbage" * 1000)


def lost(home: Path) -> None:
    shutil.rmtree(home / "index")


@pytest.mark.parametrize("damage", [lost, broken])
def test_words_answer_where_the_index_is_lost_or_broken_and_the_trouble_is_told(
    opened: Open, home: Path, counter: Counter, damage: Callable[[Path], None]
) -> None:
    memory = a_memory(home, counter)
    talk(memory, "My dog is called Rex.")
    memory.sync()
    leave(memory)
    damage(home)

    again = opened()
    for recalled in (again.recall("dog"), again.recall_for_prompt("What is my dog called?", 500)):
        assert "My dog is called Rex." in recalled.hits[0].text
        assert "Words alone answered. Run `assistant doctor --fix`." in recalled.trouble
    again.sync()
    assert again.recall("dog").trouble == ""
    assert again.recall("called", mode="vectors").hits


class Deaf(Words):
    """An embedder whose endpoint is down."""

    def __call__(self, texts: Sequence[str]) -> list[list[float]]:
        raise ModelUnreachable("127.0.0.1 cannot be reached.", "Is the server running?")


def test_words_answer_where_no_vector_can_be_made_of_the_question(memory: MemoryManager, opened: Open) -> None:
    talk(memory, "My dog is called Rex.")
    memory.sync()
    recalled = opened(Deaf()).recall("dog")
    assert texts(recalled)[0] == "My dog is called Rex."
    assert recalled.trouble == "127.0.0.1 cannot be reached. Words alone answered. Is the server running?"


# ---------------------------------------------------------------------- notes


def test_notes_are_kept_counted_and_replace_those_before(memory: MemoryManager, counter: Counter) -> None:
    session_id = talk(memory, PORTO)
    extracted = memory.extract(session_id)
    assert memory.store.summary(session_id) == extracted.summary
    written = memory.summarise(session_id, Scribe())
    assert written.problem == ""
    summary = memory.store.summary(session_id)
    assert summary == written.summary
    assert summary and (summary.title, summary.gist) == (NOTES["title"], NOTES["gist"])
    assert summary.tokens == counter.text(f"{summary.title}: {summary.gist}")
    (fact,) = memory.store.facts_of(session_id)
    assert fact == written.facts[0]
    assert fact.quote in PORTO and fact.tokens == counter.text(fact.text)
    found = memory.store.session(session_id)
    assert found and (found.state, found.title) == ("summarised", NOTES["title"])


def test_notes_are_owed_until_a_model_wrote_them_and_to_others_where_one_has_failed(memory: MemoryManager) -> None:
    session_id = talk(memory, PORTO)

    def owed(model: str) -> list[str]:
        return [session.id for session in memory.owed(model)]

    assert owed("scribe") == [session_id]
    memory.extract(session_id)  # no model was there
    assert owed("scribe") == [session_id]
    refused = memory.summarise(session_id, Scribe(reply={"title": "Mars", "gist": "The Martians landed.", "facts": []}))
    assert refused.problem and refused.summary.written_by == "extracted"
    assert (owed("scribe"), owed("another")) == ([], [session_id])
    memory.summarise(session_id, Scribe("another"))
    assert (owed("scribe"), owed("another"), owed("a third")) == ([], [], [])


def test_an_open_session_and_one_without_a_word_of_its_users_owe_nothing(memory: MemoryManager) -> None:
    talk(memory, PORTO, end=False)
    silent = memory.begin("a-model")
    silent.remember(silent.make("assistant", "Hello!", origin="assistant"))
    silent.end()
    assert memory.owed("scribe") == []


def test_notes_that_fail_leave_what_was_there(memory: MemoryManager) -> None:
    session_id = talk(memory, PORTO)
    before = memory.extract(session_id).summary
    with pytest.raises(Failure):
        memory.summarise(session_id, Scribe(reply=ModelUnreachable("Nobody there.")))
    assert memory.store.summary(session_id) == before


# ---------------------------------------------------------------------- removal


def test_what_is_removed_is_nowhere_any_more(memory: MemoryManager, home: Path) -> None:
    kept = talk(memory, "My dog is called Rex.")
    gone = talk(memory, "The password of the vault is Xylophonquark.")
    memory.extract(gone)
    memory.sync()
    before = memory.index.ids()
    assert not forget_session(memory, gone).owed
    assert memory.recall("password of the vault Xylophonquark", Scope(session_id=gone)).hits == ()
    assert all(hit.session_id == kept for hit in memory.recall("password vault dog").hits)
    rows = {f"m{message.seq}" for message in memory.store.transcript(kept)}
    assert memory.index.ids() == rows < before
    memory.index.close()
    for path in home.rglob("*"):
        assert path.is_dir() or b"Xylophonquark" not in path.read_bytes(), path


def test_what_is_removed_while_the_index_is_away_loses_its_vectors_later(opened: Open, home: Path) -> None:
    memory = opened()
    talk(memory, "My dog is called Rex.")
    gone = talk(memory, "I live in Porto.")
    memory.sync()
    memory.index.close()
    (home / "index").rename(home / "away")
    (home / "index").write_text("in the way")
    assert forget_session(memory, gone).owed.startswith("the index: ")
    assert memory.store.session(gone) is None
    (home / "index").unlink()
    (home / "away").rename(home / "index")
    (receipt,) = Forgetting(memory).finish()
    assert receipt.owed == "" and memory.index.ids() == {"m1", "m2"}


def test_a_removed_session_can_be_removed_again(memory: MemoryManager) -> None:
    gone = talk(memory, "I live in Porto.")
    assert forget_session(memory, gone).owed == forget_session(memory, gone).owed == ""


def test_managers_of_one_process_share_an_index_and_see_each_others_words(
    memory: MemoryManager, home: Path, counter: Counter
) -> None:
    other = MemoryManager(home, counter, lambda: memory.index)
    talk(other, "My dog is called Rex.")
    other.sync()
    assert memory.index.collection == other.index.collection
    assert texts(memory.recall("called", mode="vectors", limit=1)) == ["My dog is called Rex."]
    other.close()
