"""Entries: the flat rows that recall reads."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from memory.entries import Entry, entries
from memory.records import USER, Fact, Message, Scope, Session, Summary
from memory.rows import to_text
from memory.store import Store

AT = datetime(2026, 4, 1, 12, tzinfo=UTC)
KEYS = [("f", 1), ("m", 2), ("s", 1), ("m", 1), ("m", 9)]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A session with a message of the owner, a tool's result, and notes that were written a day later."""
    store = Store(tmp_path / "memory.db")
    store.start(Session("s", AT))
    store.add(Message("a", "s", "user", "I live in Porto.", AT + timedelta(minutes=1), USER, "Ana", tokens=9))
    store.add(Message("b", "s", "tool", "Porto: sunny", AT + timedelta(minutes=2), "tool:web", tool_call_id="c"))
    fact = Fact("f", "s", "Lives in Porto.", "fact", AT, ("a",), "", USER, status="review", valid_from=AT, tokens=5)
    store.put_notes(Summary("s", "Home", "Lives in Porto.", AT + timedelta(days=1), "model", USER, tokens=7), [fact])
    return store


def test_they_come_in_the_order_of_their_keys_and_what_is_not_there_is_left_out(store: Store) -> None:
    found = entries(store, KEYS)
    assert list(found) == KEYS[:-1]
    assert all(one.key == key for key, one in found.items())


def test_they_hold_what_is_scored_and_shown(store: Store) -> None:
    fact, tool, summary, said = entries(store, KEYS).values()
    assert said == Entry(
        "m", 1, "s", "I live in Porto.", to_text(AT + timedelta(minutes=1)) or "", USER, 9, "a", "user", "Ana"
    )
    assert (summary.text, summary.at, summary.tokens) == ("Home: Lives in Porto.", to_text(AT), 7)
    assert fact.hidden and (fact.text, fact.valid_from) == ("Lives in Porto.", to_text(AT))
    assert tool.text == "Porto: sunny"


def test_in_a_scope_are_only_those_that_are_searched(store: Store) -> None:
    assert list(entries(store, KEYS, Scope())) == [("f", 1), ("s", 1), ("m", 1)]
    assert list(entries(store, KEYS, Scope(after=AT + timedelta(seconds=1)))) == [("m", 1)]
    assert list(entries(store, KEYS, Scope(session_id="t"))) == []
