"""What is done to facts: deeds, what they leave, and undone exactly."""

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assistant.editing import Edited, as_text, from_text
from memory.asked import to_remember
from memory.errors import BadInput, NothingFound
from memory.extract import fact_id
from memory.facts import OWNER, RULES, FactRows
from memory.listing import Listing
from memory.manager import MemoryManager
from memory.records import Fact, Message, Scope, Session, Summary
from memory.since import begins
from memory.store import Store
from memory.tokens import Counter
from tests.memories import Scribe, a_memory, leave

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
WORDS = ["red", "blue", "green", "black", "white"]
TEXTS = [f"The {word} house stands in Porto." for word in WORDS]


def a_fact(text: str, session: str = "s1", **changed: Any) -> Fact:
    made = Fact(fact_id(session, text, ["m1"]), session, text, "fact", NOW, ("m1",), text, "user", tokens=8)
    return made._replace(**changed)


def a_store(path: Path) -> Store:
    store = Store(path / "memory.db")
    for one in ("s1", "s2"):
        store.start(Session(one, NOW, state="ended"))
        store.add(Message("m1", one, "user", " ".join(TEXTS), NOW, "user"))
    return store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with closing(a_store(tmp_path)) as opened:
        yield opened


@pytest.fixture
def rows(store: Store) -> FactRows:
    return FactRows(store, lambda: NOW)


@pytest.fixture
def memory(home: Path, counter: Counter) -> Iterator[MemoryManager]:
    made = a_memory(home, counter)
    yield made
    leave(made)


def added(rows: FactRows, *texts: str, session: str = "s1") -> list[Fact]:
    facts = [a_fact(text, session) for text in texts]
    rows.add(facts, "a-model")
    return facts


def state(store: Store) -> dict[str, Fact]:
    return {fact.id: fact for one in ("s1", "s2") for fact in store.facts_of(one)}


def summary() -> Summary:
    return Summary("s1", "Houses", "Houses in Porto.", NOW, "a-model", "user")


# ------------------------------------------------------------------ deeds


def test_an_edit_is_a_new_fact_in_the_old_ones_place(rows: FactRows, store: Store) -> None:
    old, other = added(rows, *TEXTS[:2])
    rows.pin(old.id)
    rows.retire(other.id, old.id, NOW, RULES)
    new = rows.edit(rows.find(old.id), "The red house stands in Lisbon.", "decision")
    facts = state(store)
    assert (facts[new.id].origin, facts[new.id].handled, facts[new.id].pinned) == ("user", True, True)
    assert (facts[new.id].message_ids, facts[new.id].quote) == (old.message_ids, old.quote)
    assert (facts[old.id].status, facts[old.id].retired_by, facts[old.id].text) == ("rejected", new.id, old.text)
    assert facts[other.id].retired_by == new.id


def test_what_a_rejected_fact_had_replaced_holds_again(rows: FactRows, store: Store) -> None:
    old, new = added(rows, *TEXTS[:2])
    rows.retire(old.id, new.id, NOW, RULES)
    rows.reject([new.id])
    assert (state(store)[old.id].retired_by, state(store)[old.id].until) == (None, None)
    rows.undo(rows.last_deeds())
    assert (state(store)[old.id].retired_by, state(store)[old.id].until) == (new.id, NOW)


def test_a_fact_takes_no_place_of_its_own(rows: FactRows) -> None:
    one, two, three = added(rows, *TEXTS[:3])
    rows.retire(one.id, two.id, NOW, RULES)
    rows.retire(two.id, three.id, NOW, RULES)
    for old, new in ((three, one), (one, one)):
        with pytest.raises(BadInput):
            rows.retire(old.id, new.id, NOW, RULES)


def test_what_stood_for_others_passes_them_on(rows: FactRows) -> None:
    one, two, three = added(rows, *TEXTS[:3])
    rows.join(one.id, two.id, RULES)
    rows.join(two.id, three.id, RULES)
    assert rows.heard([three.id]) == {three.id: 3}


def test_a_deed_is_undone_whole_and_only_if_nothing_stands_on_it(rows: FactRows, store: Store) -> None:
    one, two = added(rows, *TEXTS[:2])
    before = state(store)
    with rows.deed() as first:
        rows.reject([one.id])
        rows.pin(two.id)
    rows.unpin(two.id)
    with pytest.raises(BadInput, match="later ones"):
        rows.undo([first])
    assert state(store)[one.id].status == "rejected"
    rows.undo(rows.last_deeds(2))
    assert state(store) == before
    with pytest.raises(NothingFound):
        rows.undo([first])


def test_a_deed_that_fails_leaves_nothing(rows: FactRows, store: Store) -> None:
    (one,) = added(rows, TEXTS[0])
    before, deeds = state(store), len(rows.history())
    with pytest.raises(NothingFound):
        rows.reject([one.id, "0123456789ab"])
    assert (state(store), len(rows.history())) == (before, deeds)


def test_a_fact_is_found_by_the_beginning_of_its_id(rows: FactRows) -> None:
    facts = [a_fact(TEXTS[0], id="abcd00000000"), a_fact(TEXTS[1], id="abcd11111111")]
    rows.add(facts, "a-model")
    assert rows.find("ABCD1").id == "abcd11111111"
    with pytest.raises(BadInput, match=r"abcd00000000, abcd11111111"):
        rows.find("abcd")
    for text in ("abc", "%bcd", "ffff", ""):
        with pytest.raises(NothingFound):
            rows.find(text)


ACTS = ["accept", "reject", "pin", "unpin", "edit", "retire", "supersede", "join", "restore", "undo"]
DEEDS = st.lists(st.tuples(st.sampled_from(ACTS), st.integers(0, 4), st.integers(0, 4)), max_size=8)


@settings(max_examples=25, deadline=None)
@given(DEEDS)
def test_all_deeds_undone_leave_what_was_there(deeds: list[tuple[str, int, int]]) -> None:
    with TemporaryDirectory() as folder, closing(a_store(Path(folder))) as store:
        rows = FactRows(store, lambda: NOW)
        facts = added(rows, *TEXTS)
        before, done = state(store), 0
        for act, one, other in deeds:
            first, second = facts[one].id, facts[other].id
            try:
                if act in ("accept", "reject"):
                    getattr(rows, act)([first])
                elif act == "edit":
                    rows.edit(rows.find(first), f"Something else {done}.")
                elif act == "undo":
                    rows.undo(rows.last_deeds())
                    continue
                elif act == "supersede":
                    rows.supersede(first, second, NOW)
                elif act == "retire":
                    rows.retire(first, second, NOW, OWNER)
                elif act == "join":
                    rows.join(first, second, OWNER)
                else:
                    getattr(rows, act)(first)
                done += 1
            except (BadInput, NothingFound):
                continue
            standing = [fact for fact in state(store).values() if fact.retired_by is None and fact.same_as is None]
            assert standing  # nothing is replaced or repeated by what is so itself, in a circle
        if left := rows.last_deeds(done):
            rows.undo(left)
        assert state(store) == before


def test_what_does_not_stand_is_neither_edited_nor_pinned_nor_superseded(rows: FactRows) -> None:
    stands, rejected, retired, same, edited = added(rows, *TEXTS)
    rows.reject([rejected.id])
    rows.retire(retired.id, stands.id, NOW, RULES)
    rows.join(same.id, stands.id, RULES)
    new = rows.edit(edited, "The white house stands in Braga.")
    for fact, told in ((rejected, "rejected"), (retired, stands.id), (same, stands.id), (edited, new.id)):
        for deed in (
            lambda id: rows.edit(rows.find(id), "Something else."),
            rows.pin,
            lambda id: rows.supersede(id, stands.id, NOW),
            lambda id: rows.supersede(stands.id, id, NOW),
        ):
            with pytest.raises(BadInput, match=told):
                deed(fact.id)
    with pytest.raises(BadInput, match=new.id):  # both wordings would stand
        rows.restore(edited.id)


def test_a_second_edit_of_what_was_changed_meanwhile_is_refused(rows: FactRows, store: Store) -> None:
    (seen,) = added(rows, TEXTS[0])
    new = rows.edit(seen, "The red house stands in Braga.")
    with pytest.raises(BadInput, match=new.id):
        rows.edit(seen, "The red house stands in Faro.")
    assert {fact.text for fact in rows.listed(Listing())} == {"The red house stands in Braga."}


def test_a_pin_goes_on_to_what_takes_the_place_and_comes_back_with_it(rows: FactRows) -> None:
    old, new, third = added(rows, *TEXTS[:3])
    rows.pin(old.id)
    rows.supersede(old.id, new.id, NOW)
    assert [fact.id for _, fact in rows.pinned()] == [new.id]
    rows.join(new.id, third.id, OWNER)
    assert [fact.id for _, fact in rows.pinned()] == [third.id]
    rows.undo(rows.last_deeds())
    rows.reject([new.id])
    assert [fact.id for _, fact in rows.pinned()] == [old.id]


def test_what_its_owner_lets_take_a_place_is_accepted(rows: FactRows) -> None:
    (old,) = added(rows, TEXTS[0])
    rows.add([a_fact(TEXTS[2], status="review")], "a-model")
    waiting = a_fact(TEXTS[2])
    rows.supersede(old.id, waiting.id, NOW)
    assert (rows.find(waiting.id).status, rows.find(waiting.id).handled) == ("kept", True)
    rows.undo(rows.last_deeds())
    assert rows.find(waiting.id).status == "review"


def test_a_title_in_a_facts_words_follows_it_and_its_undoing(rows: FactRows, store: Store) -> None:
    (old,) = added(rows, TEXTS[0])
    with store.writing() as db:
        db.execute("UPDATE sessions SET title = ? WHERE id = 's1'", [TEXTS[0]])

    def title() -> str:
        return getattr(store.session("s1"), "title", "")

    new = rows.edit(old, "The red house stands in Braga.")
    assert title() == new.text
    rows.undo(rows.last_deeds())
    assert title() == TEXTS[0]
    other = added(rows, TEXTS[1])[0]
    rows.edit(other, "Something else.")
    assert title() == TEXTS[0]


def test_undo_ties_nothing_to_what_was_forgotten(rows: FactRows, store: Store) -> None:
    (one,) = added(rows, TEXTS[0])
    (other,) = added(rows, TEXTS[1], session="s2")
    rows.join(one.id, other.id, OWNER)
    rows.restore(one.id)
    with store.writing() as db:  # as forgetting does
        db.execute("DELETE FROM changes WHERE fact = ? OR other = ?", [other.id, other.id])
        db.execute("DELETE FROM sessions WHERE id = 's2'")
    rows.undo(rows.last_deeds())
    assert [fact.id for fact in rows.listed(Listing())] == [one.id]


# ------------------------------------------------------------------ notes written again


@settings(max_examples=30, deadline=None)
@given(
    first=st.lists(st.sampled_from(TEXTS), unique=True, min_size=1),
    again=st.lists(st.sampled_from(TEXTS), unique=True),
    acts=st.lists(st.sampled_from(["accept", "reject", "pin", "edit", ""]), min_size=5, max_size=5),
)
def test_notes_written_again_lose_and_double_nothing_that_its_owner_decided_on(
    first: list[str], again: list[str], acts: list[str]
) -> None:
    with TemporaryDirectory() as folder, closing(a_store(Path(folder))) as store:
        rows = FactRows(store, lambda: NOW)
        store.put_notes(summary(), [a_fact(text) for text in first])
        (old,) = added(rows, "An older fact.", session="s2")
        rows.retire(old.id, a_fact(first[0]).id, NOW, RULES)
        for text, act in zip(first, acts, strict=False):
            if act == "edit":
                rows.edit(a_fact(text), text.replace("Porto", "Lisbon"))
            elif act:
                getattr(rows, act)([a_fact(text).id] if act != "pin" else a_fact(text).id)
        handled = {fact for fact in state(store).values() if fact.handled}
        store.put_notes(summary(), [a_fact(text, quote="") for text in again])
        after = state(store)
        assert handled <= set(after.values())
        said = [fact.text for fact in store.facts_of("s1")]
        assert len(said) == len(set(said))
        assert {fact.text for fact in store.facts_of("s1")} == {fact.text for fact in handled} - {old.text} | set(again)
        assert after[old.id].retired_by is None or after[old.id].retired_by in after


def test_what_was_replaced_stays_so_when_its_notes_are_written_again(rows: FactRows, store: Store) -> None:
    store.put_notes(summary(), [a_fact(TEXTS[0])])
    (new,) = added(rows, TEXTS[1], session="s2")
    rows.retire(a_fact(TEXTS[0]).id, new.id, NOW, RULES)
    store.put_notes(summary(), [a_fact(TEXTS[0].upper())])
    (fact,) = store.facts_of("s1")
    assert (fact.text, fact.retired_by, fact.until) == (TEXTS[0].upper(), new.id, NOW)


# ------------------------------------------------------------------ by hand


def test_the_same_words_are_heard_once_more(memory: MemoryManager) -> None:
    first = memory.note("My cat is called Miso.")
    second = memory.note("my cat is called miso")
    assert [fact.id for fact in memory.facts.listed(Listing())] == [first.id]
    assert memory.facts.heard([first.id]) == {first.id: 2}
    assert memory.facts.find(second.id).same_as == first.id
    memory.facts.undo(memory.facts.last_deeds())
    assert memory.facts.heard([first.id]) == {first.id: 1}
    assert memory.store.session(second.session_id) is None


def test_what_takes_a_place_by_hand_says_something_else(memory: MemoryManager) -> None:
    old = memory.note("The office is in Braga.")
    for text in ("the office is in braga", "The office is in Braga!"):
        with pytest.raises(BadInput, match="says the same"):
            memory.supersede(old, text)
    assert [fact.id for fact in memory.facts.listed(Listing())] == [old.id]
    assert len(memory.store.sessions()) == 1
    known = memory.note("My cat sleeps on the roof.")
    assert memory.supersede(old, "my cat sleeps on the roof").id == known.id
    assert memory.facts.find(old.id).retired_by == known.id
    with pytest.raises(BadInput, match=known.id):
        memory.supersede(old, "The office is in Faro.")


def test_every_message_that_said_it_is_marked_when_it_has_changed(memory: MemoryManager) -> None:
    first = memory.note("My parrot is called Kiwi.")
    memory.note("my parrot is called kiwi")
    changed = memory.supersede(first, "The bird has the name Mango.")
    memory.note("the bird has the name mango")
    found = memory.recall("What is my parrot called?", Scope(kinds=("message",)), mode="words").hits
    told = {hit.text: hit.why.get("changed", "") for hit in found if "parrot" in hit.text.lower()}
    assert len(told) == 2
    assert all(changed.text in mark for mark in told.values())


def test_an_edit_to_words_that_stand_already_leaves_one_fact(memory: MemoryManager) -> None:
    known, wrong = memory.note("My cat is called Miso."), memory.note("The cat of mine has the name Mioso.")
    memory.facts.pin(known.id)
    new = memory.edit(wrong, "My cat is called Miso.", "fact", None)
    assert [fact.id for fact in memory.facts.listed(Listing())] == [new.id]
    assert [fact.id for _, fact in memory.facts.pinned()] == [new.id]
    assert memory.facts.heard([new.id]) == {new.id: 2}
    memory.facts.undo(memory.facts.last_deeds())
    assert {fact.id for fact in memory.facts.listed(Listing())} == {known.id, wrong.id}
    assert [fact.id for _, fact in memory.facts.pinned()] == [known.id]


def test_old_words_lead_to_what_holds_after_fifty_changes(memory: MemoryManager) -> None:
    first = last = memory.note("The green parrot lives in room 0.")
    for number in range(1, 51):
        last = memory.supersede(last, f"Bird number {number} sits elsewhere, in house {number}.")
    with pytest.raises(BadInput):
        memory.facts.supersede(last.id, first.id, NOW)
    found = memory.recall("Where does the green parrot live?", Scope(kinds=("fact",)), mode="words").hits
    assert [hit.text for hit in found] == [last.text]
    edited = memory.edit(last, "No bird sits in any house.", "fact", None)
    found = memory.recall("Where does the green parrot live?", Scope(kinds=("fact",)), mode="words").hits
    assert [hit.text for hit in found] == [edited.text]


def test_what_was_kept_of_a_conversation_and_undone_is_not_noted_again(memory: MemoryManager) -> None:
    session = memory.begin("a-model")
    said = session.remember(session.make("user", "Remember that my cat is called Miso.", origin="user"))
    fact = memory.note_said(said, *(to_remember(said.content) or ("", "fact")))
    assert (fact.text, fact.quote, fact.message_ids) == ("my cat is called Miso", "my cat is called Miso", (said.id,))
    session.end()
    memory.facts.undo(memory.facts.last_deeds())
    memory.extract(session.id)
    assert memory.facts.listed(Listing(session_id=session.id)) == []


def test_notes_do_not_double_what_a_message_asked_to_keep(memory: MemoryManager) -> None:
    session = memory.begin("a-model")
    said = session.remember(
        session.make("user", "Remember that my cat is called Miso. I work in Porto.", origin="user")
    )
    memory.note_said(said, "my cat is called Miso", "fact")
    session.end()
    noted = [
        {"kind": "fact", "text": text, "date": "", "messages": [1], "quote": quote}
        for text, quote in (("The user's cat is called Miso.", "my cat"), ("The user works in Porto.", "work in Porto"))
    ]
    notes = {"title": "The cat Miso", "gist": "The user's cat is called Miso. The user works in Porto.", "facts": noted}
    memory.extract(session.id)
    memory.summarise(session.id, Scribe(reply=notes))
    standing = memory.facts.listed(Listing(session_id=session.id))
    assert {one.text for one in standing} == {"my cat is called Miso", "The user works in Porto."}


def test_every_new_fact_waits_where_its_owner_wants_so(memory: MemoryManager) -> None:
    memory.review_facts = True
    session = memory.begin("a-model")
    session.remember(session.make("user", "I live in Porto with my dog Rex.", origin="user"))
    session.end()
    memory.extract(session.id)
    by_hand = memory.note("My cat is called Miso.")
    assert memory.facts.count_waiting() == memory.facts.count_waiting(session.id) == 1
    assert memory.facts.find(by_hand.id).status == "kept"


def test_what_rests_on_a_tools_words_waits_until_it_is_accepted(rows: FactRows) -> None:
    rows.add([a_fact(TEXTS[0], origin="tool:web_fetch", pinned=True)], "a-model")
    (waiting,) = rows.waiting()
    assert rows.pinned() == []
    rows.accept([waiting.id])
    assert (rows.waiting(), len(rows.pinned())) == ([], 1)


def test_pinned_lines_stay_within_their_budget(memory: MemoryManager) -> None:
    facts = [memory.note(text) for text in ("My cat is called Miso.", "My car is red and old.", "Tea is best at five.")]
    for fact in facts:
        memory.facts.pin(fact.id)
    lines = memory.pinned_lines()
    assert [line.text.split(" (")[0] for line in lines] == [fact.text for fact in facts]
    budget = lines[0].tokens + lines[1].tokens
    assert memory.pinned(budget) == tuple(lines[:2])
    assert memory.pinned(0) == ()


# ------------------------------------------------------------------ words


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("remember that my sister is called Ana", ("my sister is called Ana", "person")),
        ("Please remember: the door code changed in May. What is new?", ("the door code changed in May", "fact")),
        ("Note that we’ll go with the blue tiles.", ("we’ll go with the blue tiles", "decision")),
        ("Remember I am allergic to nuts!", ("I am allergic to nuts", "fact")),
        ("remember to buy milk", ("buy milk", "task")),
        ("Don't forget to call Marta on Friday.", ("call Marta on Friday", "task")),
        ("Merk dir, dass meine Schwester Ana heißt.", ("meine Schwester Ana heißt", "person")),
        ("Recuerda que mi hermana se llama Ana", ("mi hermana se llama Ana", "fact")),
        ("Souviens-toi que j'habite à Lyon.", ("j'habite à Lyon", "fact")),
        ("Retiens qu'il pleut à Lyon.", ("il pleut à Lyon", "fact")),
        ("Lembra-te que a minha irmã se chama Ana", ("a minha irmã se chama Ana", "fact")),
        ("Do you remember that my sister is called Ana?", None),
        ("Remember that my sister is called Ana?", None),
        ("Remember that time we went to Porto", None),
        ("remember my name?", None),
        ("I remember that it rained.", None),
        ("Can you remember things?", None),
        ("remember that", None),
        ("> Remember that my sister is called Ana.", None),
        ("```\nRemember that my sister is called Ana.\n```", None),
        ("Remember that `x = 1` comes first.", None),
        ("Remember:\n> my sister is called Ana", None),
        ('"Remember that my sister is called Ana" is what he wrote.', None),
        ("Remember that " + "very " * 80 + "long", None),
    ],
)
def test_what_a_message_asks_to_keep(text: str, kept: tuple[str, str] | None) -> None:
    found = to_remember(text)
    assert found == kept
    assert found is None or found[0] in text


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("I live in Porto since last May.", "2026-05-01"),
        ("We moved yesterday.", "2026-11-22"),
        ("I work there since 2020.", "2020-01-01"),
        ("I stopped smoking two weeks ago.", "2026-11-09"),
        ("I like tea.", ""),
        ("Since you ask, I like tea.", ""),
        ("I move to Porto on 2027-01-05.", ""),
        ("We moved to Porto in March.", "2026-03-01"),
        ("I started at the bakery in 2019.", "2019-01-01"),
        ("My birthday is in March.", ""),
    ],
)
def test_since_when_a_statement_holds_by_its_words(text: str, day: str) -> None:
    start = begins(text, NOW)
    assert (start.date().isoformat() if start else "") == day


@given(st.text(max_size=60), st.sampled_from(["fact", "task"]), st.none() | st.integers(0, 9_000))
@settings(deadline=None)
def test_a_fact_to_edit_is_read_as_it_was_written(text: str, kind: Any, days: int | None) -> None:
    said = " ".join(text.split())
    since = None if days is None else datetime(2000, 1, 1, tzinfo=UTC) + timedelta(days=days)
    fact = a_fact(text, kind=kind, valid_from=since)
    if said:
        assert from_text(as_text(fact), fact) == Edited(said, kind, since)
    else:
        with pytest.raises(BadInput, match="line 5"):
            from_text(as_text(fact), fact)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("kind: fly\ntext:\nx", 1),
        ("# a\nsince: May\ntext: x", 2),
        ("since: 2026-02-31\ntext: x", 1),
        ("what\n", 1),
        ("", 1),
    ],
)
def test_a_line_that_cannot_be_understood_is_named(text: str, line: int) -> None:
    with pytest.raises(BadInput, match=f"Line {line} "):
        from_text(text, a_fact("x"))
