"""The store: nothing committed is lost, nothing deleted stays, and every failure says what to do."""

import contextlib
import multiprocessing
import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memory import words
from memory.errors import StoreError
from memory.migrations import MIGRATIONS
from memory.records import Fact, Message, Scope, Session, Summary, ToolCall
from memory.session import clean
from memory.store import Added, Store, remedy

if TYPE_CHECKING:
    from sqlite_utils import Database

ROOT = Path(__file__).parent.parent
AT = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)


@pytest.fixture
def path(home: Path) -> Path:
    return home / "memory.db"


@pytest.fixture
def store(path: Path) -> Iterator[Store]:
    made = Store(path)
    yield made
    made.close()


def a_message(message_id: str, content: str = "hello", session_id: str = "s1", **fields: Any) -> Message:
    given: dict[str, Any] = {"role": "user", "at": AT, "origin": "user"} | fields
    return Message(message_id, session_id, content=content, **given)


def a_summary(session_id: str = "s1", **fields: Any) -> Summary:
    given: dict[str, Any] = {"title": "Porto", "gist": "They talked.", "written_by": "a-model", "origin": "user"}
    return Summary(session_id, at=AT, **(given | fields))


def a_fact(fact_id: str, session_id: str = "s1", *message_ids: str, **fields: Any) -> Fact:
    given: dict[str, Any] = {"text": f"Fact {fact_id}.", "kind": "fact", "quote": "", "origin": "user"} | fields
    return Fact(fact_id, session_id, at=AT, message_ids=message_ids, **given)


def talk(store: Store, session_id: str = "s1", *contents: str, at: datetime = AT) -> list[Message]:
    """An ended session with a user message a text."""
    store.start(Session(session_id, at))
    messages = [store.add(a_message(f"m{place}", text, session_id)) for place, text in enumerate(contents)]
    store.set_state(session_id, "ended", at)
    return messages


# ---------------------------------------------------------------------- there and back

texts = st.text(max_size=50).map(clean)
times = st.datetimes(datetime(1900, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC))
messages = st.builds(
    Message,
    id=texts.filter(bool),
    session_id=st.just("s1"),
    role=st.sampled_from(["system", "user", "assistant", "tool"]),
    content=texts,
    at=times,
    origin=st.sampled_from(["user", "assistant", "tool:web_search", "imported", "recalled"]),
    name=st.none() | texts,
    tool_calls=st.lists(st.builds(ToolCall, texts, texts, texts), max_size=2).map(tuple),
    tool_call_id=st.none() | texts,
    tokens=st.integers(0, 10**6),
    seq=st.just(0),
    drawn_from=st.just(()),
    masked=st.just(0),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(messages, max_size=5, unique_by=lambda one: one.id))
def test_messages_come_back_as_they_went_in(written: list[Message]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder, "memory.db"))
        with store.writing():  # one transaction, so that the disk is waited for once
            store.start(Session("s1", AT))
            added = [store.add(one) for one in written]
        assert [one._replace(seq=0) for one in added] == written
        assert store.transcript("s1") == added
        assert store.messages(one.seq for one in added) == {one.seq: one for one in added}
        assert store.damage() == []
        store.close()


def test_notes_come_back_as_they_went_in(store: Store) -> None:
    talk(store, "s1", "one", "two")
    summary = a_summary(tried_by="b-model", tokens=7)
    facts = [
        a_fact("f1", "s1", "m0", "m1", kind="person", quote="one", valid_from=AT, tokens=5),
        a_fact("f2", "s1", status="review", retired_by="f1", origin="imported"),
    ]
    store.put_notes(summary, facts)
    assert store.summary("s1") == summary
    assert store.facts_of("s1") == facts
    session = store.session("s1")
    assert session
    assert (session.title, session.state) == ("Porto", "summarised")


def test_times_of_any_zone_are_kept_as_the_same_moment(store: Store) -> None:
    from zoneinfo import ZoneInfo

    at = datetime(2026, 7, 1, 23, 30, tzinfo=ZoneInfo("America/New_York"))
    store.start(Session("s1", at))
    store.add(a_message("m1", at=at))
    assert store.transcript("s1")[0].at == at
    assert store.rows("SELECT at FROM messages")[0][0] == "2026-07-02T03:30:00+00:00"


def test_the_same_message_id_may_stand_in_two_sessions_but_not_twice_in_one(store: Store) -> None:
    talk(store, "s1", "one")
    talk(store, "s2", "two")
    with pytest.raises(StoreError, match="UNIQUE"):
        store.add(a_message("m0", "three"))
    assert [one.content for one in store.transcript("s1")] == ["one"]


# ---------------------------------------------------------------------- sessions


def test_sessions_are_listed_newest_first_and_found_by_the_start_of_their_id(store: Store) -> None:
    for day, session_id in enumerate(["abc", "abd", "x%_"]):
        store.start(Session(session_id, AT + timedelta(days=day)))
    assert [one.id for one in store.sessions()] == ["x%_", "abd", "abc"]
    assert [one.id for one in store.sessions(1)] == ["x%_"]
    assert [one.id for one in store.matching("ab")] == ["abd", "abc"]
    assert [one.id for one in store.matching("abc")] == ["abc"]
    assert store.matching("%") == []


def test_the_first_end_of_a_session_stays(store: Store) -> None:
    talk(store, "s1", "hello")
    store.set_state("s1", "ended", AT + timedelta(days=1))
    session = store.session("s1")
    assert session
    assert session.ended_at == AT


def test_every_ended_session_with_a_user_message_is_owed_notes(store: Store) -> None:
    store.start(Session("open", AT))
    store.add(a_message("m1", session_id="open"))
    talk(store, "silent")
    talk(store, "later", "hello", at=AT + timedelta(days=1))
    talk(store, "first", "hello")
    assert [one.id for one in store.owed("a-model")] == ["first", "later"]


@pytest.mark.parametrize(
    ("fields", "owed_to_a", "owed_to_b"),
    [
        ({"written_by": "a-model"}, False, False),
        ({"written_by": "imported"}, False, False),
        ({"written_by": "extracted"}, True, True),
        ({"written_by": "extracted", "tried_by": "a-model"}, False, True),
    ],
)
def test_extracted_notes_are_written_again_by_a_model_that_has_not_tried(
    store: Store, fields: dict[str, str], owed_to_a: bool, owed_to_b: bool
) -> None:
    talk(store, "s1", "hello")
    store.put_notes(a_summary(**fields), [])
    assert (bool(store.owed("a-model")), bool(store.owed("b-model"))) == (owed_to_a, owed_to_b)


def test_an_import_owes_notes_only_where_they_are_wanted(store: Store) -> None:
    session = Session("s1", AT, state="ended", origin="imported")
    assert store.merge(session, [a_message("m1")], None, [], owes=False) == Added(1, 1, 0, 0)
    assert store.owed("a-model") == []
    store.want_notes("s1")
    assert [one.id for one in store.owed("a-model")] == ["s1"]


# ---------------------------------------------------------------------- notes


def test_new_notes_replace_the_old_but_not_what_is_pinned(store: Store) -> None:
    talk(store, "s1", "one")
    store.put_notes(a_summary(), [a_fact("f1", "s1", "m0"), a_fact("f2", "s1", "m0", pinned=True)])
    store.put_notes(a_summary(gist="Better."), [a_fact("f3", "s1", "m0"), a_fact("f2", "s1", text="Changed.")])
    assert [(one.id, one.text) for one in store.facts_of("s1")] == [("f2", "Fact f2."), ("f3", "Fact f3.")]
    summary = store.summary("s1")
    assert summary
    assert summary.gist == "Better."
    assert store.damage() == []


def test_what_is_rewritten_gets_a_new_row_number(store: Store) -> None:
    """A vector is named by kind and row number: a number that is given twice would show an old text's vector."""
    talk(store, "s1", "one")
    seen: set[int] = set()
    for _ in range(3):
        store.put_notes(a_summary(), [a_fact("f1")])
        now = {row[0] for row in store.rows("SELECT seq FROM facts")}
        assert not now & seen
        seen |= now


def test_evidence_is_of_the_facts_own_session(store: Store) -> None:
    first = talk(store, "s1", "one", "two")
    talk(store, "s2", "three")
    store.put_notes(a_summary(), [a_fact("f1", "s1", "m1", "m0", "gone")])
    store.merge(Session("s2", AT), [], None, [a_fact("f1", "s2", "m0")], owes=False)
    assert store.evidence_seqs([1]) == {1: [one.seq for one in first]}
    assert store.facts([1])[1].message_ids == ("m0", "m1")


# ---------------------------------------------------------------------- import


def test_merging_adds_what_is_not_there_and_changes_nothing_else(store: Store) -> None:
    talk(store, "s1", "one")
    before = store.session("s1")
    new = Session("s1", AT + timedelta(days=9), title="Other", state="summarised", origin="imported")
    given = [a_message("m0", "changed"), a_message("m9", "new")]
    assert store.merge(new, given, a_summary(), [a_fact("f1", "s1", "m9")], owes=False) == Added(0, 1, 1, 1)
    assert store.merge(new, given, a_summary(gist="x"), [a_fact("f1")], owes=False) == Added()
    assert store.session("s1") == before
    assert [one.content for one in store.transcript("s1")] == ["one", "new"]


# ---------------------------------------------------------------------- what the index holds


def units(store: Store) -> list[tuple[str, int]]:
    return store.unindexed("all", 100)


def test_notes_want_vectors_before_messages_and_the_newest_first(store: Store) -> None:
    talk(store, "s1", "one", "", "three")
    store.add(a_message("t1", "a tool's words", role="tool", origin="tool:web_search"))
    store.add(a_message("r1", "recalled", role="assistant", origin="recalled"))
    store.put_notes(a_summary(), [a_fact("f1", "s1", "m0")])
    assert units(store)[2:] == [("m", 3), ("m", 1)]
    assert set(units(store)[:2]) == {("s", 1), ("f", 1)}
    assert len(store.unindexed("all", 3)) == 3
    assert store.unindexed("all", 100, "other") == []
    assert store.count_unindexed("all") == 4


def test_a_session_is_indexed_once_its_notes_and_words_have_vectors(store: Store) -> None:
    talk(store, "s1", "one", "two")
    store.put_notes(a_summary(), [])
    for unit in units(store):
        session = store.session("s1")
        assert session
        assert session.state == "summarised"
        store.note_vectors("all", added=[unit])
    session = store.session("s1")
    assert session
    assert session.state == "indexed"
    assert store.count_indexed("all") == 3
    assert store.indexed("all") == {("s", 1), ("m", 1), ("m", 2)}
    assert (store.version("all"), store.version("other")) == (3, 0)


def test_a_session_without_notes_is_not_indexed(store: Store) -> None:
    talk(store, "s1", "one")
    store.note_vectors("all", added=units(store))
    session = store.session("s1")
    assert session
    assert session.state == "ended"


def test_vectors_of_what_is_gone_are_orphans_until_they_are_taken_away(store: Store) -> None:
    talk(store, "s1", "one")
    talk(store, "s2", "two")
    store.put_notes(a_summary(), [a_fact("f1")])
    store.note_vectors("all", added=units(store))
    removed(store, "s1")
    assert set(store.orphaned("all")) == {("s", 1), ("f", 1), ("m", 1)}
    assert store.count_unindexed("all") == 0
    store.note_vectors("all", removed=store.orphaned("all"))
    assert store.orphaned("all") == []
    assert store.indexed("all") == {("m", 2)}


def test_what_has_a_vector_in_no_collection_waits_for_one_and_may_be_of_a_live_session(store: Store) -> None:
    talk(store, "ended", "one")
    store.start(Session("live", AT))
    for place in range(3):
        store.add(a_message(f"m{place}", "words", session_id="live"))
    store.note_vectors("old", added=[("m", 2)])
    store.note_vectors("new", added=[("m", 3)])
    assert store.without_vector([1, 2, 3, 4]) == {1: False, 4: True}
    assert store.without_vector([]) == {}


def test_an_emptied_index_wants_everything_again(store: Store) -> None:
    talk(store, "s1", "one")
    store.put_notes(a_summary(), [])
    store.note_vectors("all", added=units(store))
    version = store.version("all")
    store.forget_vectors("all")
    session = store.session("s1")
    assert session
    assert session.state == "summarised"
    assert len(units(store)) == 2
    assert store.version("all") > version


def test_a_models_calibration_is_kept(store: Store) -> None:
    assert store.calibration("a-model") == 1.0
    store.calibrate("a-model", 1.5)
    store.calibrate("a-model", 1.25)
    assert store.calibration("a-model") == 1.25


# ---------------------------------------------------------------------- deletion


def removed(store: Store, session_id: str) -> bool:
    """Delete a session and purge; whether its bytes are gone."""
    store.connection.execute("DELETE FROM sessions WHERE id = ?", [session_id])
    return store.purge()


def test_a_removed_session_leaves_no_bytes_of_its_text(store: Store, path: Path) -> None:
    secret = "zyxwvutq"
    talk(store, "s1", f"My word is {secret}one.")
    call = ToolCall("c1", "note", f'{{"a": "{secret}two"}}')
    store.add(a_message("a1", f"{secret}three", role="assistant", origin="assistant", tool_calls=(call,)))
    store.add(a_message("t1", f"{secret}four", role="tool", origin="tool:note", name=f"{secret}five"))
    store.put_notes(a_summary(gist=f"{secret}six", title=f"{secret}seven"), [a_fact("f1", text=f"{secret}eight")])
    talk(store, "s2", "This stays.")
    assert removed(store, "s1")
    for file in path.parent.iterdir():
        assert secret.encode() not in file.read_bytes(), file
    store.close()
    assert secret.encode() not in path.read_bytes()
    kept = Store(path)
    assert [one.content for one in kept.transcript("s2")] == ["This stays."]
    assert kept.damage() == []
    kept.close()


def test_a_removed_session_leaves_no_bytes_of_a_text_without_spaces(store: Store, path: Path) -> None:
    talk(store, "s1", "秘密の言葉は蜥蜴です。", "Größenwahn")
    store.add(a_message("n1", "見た", name="蜥蜴"))
    store.put_notes(a_summary(title="蜥蜴の話", gist="蜥蜴が好き。"), [a_fact("f1", text="蜥蜴を飼う。")])
    talk(store, "s2", "これは残る。")
    assert store.number("SELECT count(*) FROM messages_fts WHERE messages_fts MATCH '蜥蜴'") == 2
    assert removed(store, "s1")
    words = [word.encode() for word in ("蜥蜴", "蜴で", "グロ", "groessenwahn", "grössenwahn", "Größenwahn")]
    for file in path.parent.iterdir():
        assert not [word for word in words if word in file.read_bytes()], file
    assert store.number("SELECT count(*) FROM messages_fts WHERE messages_fts MATCH '残る'") == 1
    assert store.damage() == []


# ---------------------------------------------------------------------- the file


def test_the_folder_and_all_files_are_private(store: Store, path: Path) -> None:
    talk(store, "s1", "one")
    assert path.parent.stat().st_mode & 0o777 == 0o700
    files = sorted(path.parent.iterdir())
    assert [one.name for one in files] == ["memory.db", "memory.db-shm", "memory.db-wal"]
    assert {one.stat().st_mode & 0o777 for one in files} == {0o600}


def test_a_file_that_others_could_read_is_closed_to_them(path: Path) -> None:
    path.parent.mkdir()
    path.touch()
    path.chmod(0o644)
    Store(path).close()
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_newer_schema_is_refused(path: Path) -> None:
    Store(path).close()
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    with pytest.raises(StoreError, match=r"newer assistant\. Update"):
        Store(path)


@pytest.mark.parametrize("content", [b"This is no database. " * 500, b"SQLite format 3\0" + b"x" * 5000])
def test_a_file_that_is_no_store_is_refused_and_left_alone(path: Path, content: bytes) -> None:
    path.parent.mkdir()
    path.write_bytes(content)
    with pytest.raises(StoreError, match=r"failed: .*assistant doctor"):
        Store(path)
    assert path.read_bytes() == content


@pytest.mark.parametrize("told", ["unable to open database file", "attempt to write a readonly database"])
def test_a_folder_that_cannot_be_written_is_no_damage(told: str) -> None:
    assert "folder writable" in remedy(sqlite3.OperationalError(told))


def test_damage_is_seen(path: Path) -> None:
    store = Store(path)
    talk(store, "s1", "one")
    assert store.damage() == []
    store.connection.execute("DROP TRIGGER messages_gone")
    store.connection.execute("DELETE FROM messages")
    assert any("messages_fts" in line for line in store.damage())
    store.close()


def a_later_step(db: "Database") -> None:
    db.execute("ALTER TABLE sessions ADD COLUMN mood TEXT NOT NULL DEFAULT 'good'")


def a_broken_step(db: "Database") -> None:
    a_later_step(db)
    db.execute("SELECT nonsense")


def test_a_store_of_an_earlier_schema_is_brought_up_to_date(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("memory.store.MIGRATIONS", MIGRATIONS)
    old = Store(path)
    talk(old, "s1", "one")
    old.close()
    monkeypatch.setattr("memory.store.MIGRATIONS", (*MIGRATIONS, a_later_step))
    for _ in range(2):
        new = Store(path)
        assert [one.content for one in new.transcript("s1")] == ["one"]
        assert new.rows("SELECT mood FROM sessions")[0][0] == "good"
        assert new.number("PRAGMA user_version") == len(MIGRATIONS) + 1
        new.close()


def columns(connection: sqlite3.Connection, table: str) -> list[str]:
    return [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]


def as_first(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file as the first release wrote it, with a talk and notes."""
    with monkeypatch.context() as patch:
        patch.setattr("memory.store.MIGRATIONS", MIGRATIONS[:1])
        old = Store(path)
    now = "2026-03-01T12:30:00+00:00"
    old.connection.executescript(f"""
        INSERT INTO sessions (id, started_at, state, origin) VALUES ('s1', '{now}', 'summarised', 'user');
        INSERT INTO messages (id, session_id, role, content, name, origin, at, tokens) VALUES
          ('m1', 's1', 'user', '東京タワーに登りました。', '田中', 'user', '{now}', 9),
          ('m2', 's1', 'user', 'My sister lives in Porto.', NULL, 'user', '{now}', 9),
          ('m3', 's1', 'tool', '東京の天気', 'weather', 'tool:weather', '{now}', 9);
        INSERT INTO summaries (session_id, title, gist, at, written_by, origin, tokens)
          VALUES ('s1', 'Größe', 'Собаки.', '{now}', 'a-model', 'user', 9);
        INSERT INTO facts (id, session_id, text, kind, at, origin, status, tokens)
          VALUES ('f1', 's1', '京都に住む。', 'fact', '{now}', 'user', 'kept', 9);
        INSERT INTO evidence VALUES (1, 1);""")
    old.close()


def test_a_store_of_the_first_release_is_searched_in_every_script(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    as_first(path, monkeypatch)
    store = Store(path)
    found = {
        question: set(words.search(store, question, dict.fromkeys("msf", 10), Scope()))
        for question in ("東京", "田中", "sisters", "GROESSE", "собака", "京都")
    }
    assert found == {
        "東京": {("m", 1)}, "田中": {("m", 1)}, "sisters": {("m", 2)},
        "GROESSE": {("s", 1)}, "собака": {("s", 1)}, "京都": {("f", 1)},
    }  # fmt: skip
    assert [one.content for one in store.transcript("s1")][2] == "東京の天気"
    assert store.facts_of("s1")[0].message_ids == ("m1",)
    assert store.damage() == []
    assert removed(store, "s1")
    assert "東京".encode() not in path.read_bytes()
    store.close()


def test_vectors_of_the_first_release_are_owed_again(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They lie in a folder that no index reads any more, so the store must not say that they are there."""
    as_first(path, monkeypatch)
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.executescript("""
            INSERT INTO collections (name, version) VALUES ('all-MiniLM-L6-v2-int8-5a02ab28', 7);
            INSERT INTO vectors VALUES ('all-MiniLM-L6-v2-int8-5a02ab28', 'm', 1);
            UPDATE sessions SET state = 'indexed';""")
    store = Store(path)
    assert store.collections() == []
    assert store.count_unindexed("all-MiniLM-L6-v2-int8-5a02ab28") == 4
    assert [session.state for session in store.sessions()] == ["summarised"]
    store.close()


def test_a_move_to_every_script_that_is_broken_off_changes_nothing(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    as_first(path, monkeypatch)
    with monkeypatch.context() as patch:
        patch.setattr("memory.store.MIGRATIONS", (*MIGRATIONS[:2], a_broken_step))
        with pytest.raises(StoreError, match="nonsense"):
            Store(path)
    with sqlite3.connect(path) as connection:
        assert "forms" not in columns(connection, "messages")
        assert connection.execute("SELECT count(*) FROM messages_fts WHERE messages_fts MATCH 'sister'").fetchone()[0]
    Store(path).close()


def test_the_full_text_indexes_are_built_anew_from_the_rows(store: Store) -> None:
    talk(store, "s1", "東京タワー", "Porto")
    for table in ("messages_fts", "summaries_fts", "facts_fts"):
        store.connection.execute(f"INSERT INTO {table} ({table}) VALUES ('delete-all')")
    assert words.search(store, "東京 Porto", dict.fromkeys("msf", 10), Scope()) == {}
    assert len(store.damage()) == 1
    store.rebuild_words()
    assert set(words.search(store, "東京 Porto", dict.fromkeys("msf", 10), Scope())) == {("m", 1), ("m", 2)}
    assert store.damage() == []


def test_a_step_that_fails_changes_nothing(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = Store(path)
    talk(old, "s1", "one")
    old.close()
    monkeypatch.setattr("memory.store.MIGRATIONS", (*MIGRATIONS, a_broken_step))
    with pytest.raises(StoreError, match="nonsense"):
        Store(path)
    monkeypatch.undo()
    same = Store(path)
    assert "mood" not in same.rows("SELECT * FROM sessions")[0].keys()  # noqa: SIM118
    same.close()


# ---------------------------------------------------------------------- disk, processes, death


def test_a_full_disk_loses_nothing_that_was_committed(store: Store) -> None:
    talk(store, "s1", "one")
    pages = store.number("PRAGMA page_count")
    store.connection.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(StoreError, match=r"full.*Free some disk space; what was committed is safe"):
        store.add(a_message("big", "x" * 1_000_000))
    assert [one.id for one in store.transcript("s1")] == ["m0"]
    store.connection.execute(f"PRAGMA max_page_count = {pages + 1000}")
    store.add(a_message("next", "after"))
    other = Store(store.path)
    assert [one.id for one in other.transcript("s1")] == ["m0", "next"]
    assert other.damage() == []
    other.close()


def test_a_failed_transaction_leaves_nothing_and_the_next_is_committed(store: Store) -> None:
    talk(store, "s1", "one")
    with pytest.raises(KeyboardInterrupt), store.writing():
        store.add(a_message("half", "gone"))
        raise KeyboardInterrupt
    store.add(a_message("m1", "two"))
    other = Store(store.path)
    assert [one.content for one in other.transcript("s1")] == ["one", "two"]
    other.close()


def test_a_store_that_another_process_writes_to_says_so(store: Store, path: Path) -> None:
    talk(store, "s1", "one")
    store.connection.execute("PRAGMA busy_timeout = 10")
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match=r"locked\. Another process is writing; try again"):
            store.add(a_message("m1"))
        assert len(store.transcript("s1")) == 1
    store.add(a_message("m1"))


def write_many(path: Path, session_id: str, count: int) -> None:
    store = Store(path)
    store.start(Session(session_id, AT))
    for number in range(count):
        store.add(a_message(f"m{number}", f"message {number}", session_id))
    store.close()


def test_two_processes_that_write_at_once_lose_nothing(path: Path) -> None:
    """Both also find no file yet, and make the schema at the same time."""
    spawn = multiprocessing.get_context("spawn")
    writers = [spawn.Process(target=write_many, args=(path, session_id, 300)) for session_id in ("s1", "s2")]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(60)
    assert [writer.exitcode for writer in writers] == [0, 0]
    store = Store(path)
    for session_id in ("s1", "s2"):
        assert [one.id for one in store.transcript(session_id)] == [f"m{number}" for number in range(300)]
    assert store.damage() == []
    store.close()


WRITE_FOR_EVER = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from memory.records import Message, Session
from memory.store import Store
at = datetime(2026, 3, 1, tzinfo=UTC)
store = Store(Path(sys.argv[1]))
store.start(Session("s1", at))
for number in range(10**9):
    store.add(Message(f"m{number}", "s1", "user", "hello", at, "user"))
    print(number, flush=True)
"""


def test_a_killed_process_loses_no_committed_message(path: Path) -> None:
    command = [sys.executable, "-c", WRITE_FOR_EVER, str(path)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        for _ in range(50):
            process.stdout.readline()
        os.kill(process.pid, signal.SIGKILL)
        told = 50 + len([line for line in process.stdout.read().split("\n") if line])
    store = Store(path)
    there = [one.id for one in store.transcript("s1")]
    assert there == [f"m{number}" for number in range(len(there))]
    assert len(there) >= told
    assert store.damage() == []
    store.add(a_message("after"))
    store.close()


def test_a_transaction_that_was_killed_half_way_leaves_nothing(path: Path) -> None:
    talk_then_die = """
import os, sys
from pathlib import Path
from tests.test_store import Store, a_message, talk
store = Store(Path(sys.argv[1]))
talk(store, "s1", "one")
with store.writing():
    store.add(a_message("half", "gone"))
    os._exit(9)
"""
    done = subprocess.run([sys.executable, "-c", talk_then_die, str(path)], cwd=ROOT, check=False)
    assert done.returncode == 9
    store = Store(path)
    assert [one.content for one in store.transcript("s1")] == ["one"]
    assert store.damage() == []
    store.close()


def test_two_stores_in_one_process_and_a_reader_in_another_lose_nothing(path: Path) -> None:
    """A second connection must not drop the first one's locks: the reader would delete the log as its last user."""
    read = (
        "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); print(c.execute('SELECT id FROM sessions').fetchall())"
    )
    one, two = Store(path), Store(path)
    one.start(Session("first", datetime.now(UTC)))
    two.sessions()
    subprocess.run([sys.executable, "-c", read + "; c.close()", str(path)], check=True)
    one.start(Session("second", datetime.now(UTC)))
    shown = subprocess.run([sys.executable, "-c", read, str(path)], check=True, capture_output=True, text=True)
    assert "first" in shown.stdout and "second" in shown.stdout
    one.close()
    two.close()
