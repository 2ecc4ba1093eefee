"""Import: what comes in is checked, marked as imported, added once, and never in the way of what is there."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memory.errors import BadInput
from memory.extract import fact_id
from memory.importers.jsonl import read
from memory.importers.parsed import Bad, Conversation
from memory.importers.run import Report, import_file
from memory.records import Fact, Message, Session, Summary
from memory.store import Store
from memory.tokens import Counter

ROOT = Path(__file__).parent.parent
SAMPLE = ROOT / "data" / "sample.jsonl"
AT = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)


@pytest.fixture
def store(home: Path) -> Iterator[Store]:
    made = Store(home / "memory.db")
    yield made
    made.close()


def a_session(**fields: Any) -> dict[str, Any]:
    return {
        "schema": "assistant.session/1",
        "id": "s1",
        "started_at": "2026-03-01T12:30:00Z",
        "messages": [{"id": "m1", "role": "user", "content": "I moved to Porto in May."}],
    } | fields


def a_message(**fields: Any) -> dict[str, Any]:
    return a_session(messages=[{"id": "m1", "role": "user", "content": "hi"} | fields])


def a_fact(**fields: Any) -> dict[str, Any]:
    return a_session(facts=[{"text": "The user lives in Porto.", "message_ids": ["m1"]} | fields])


def lines(*objects: object) -> bytes:
    return b"".join(json.dumps(one).encode() + b"\n" for one in objects)


def parsed(data: bytes, mine: bool = False) -> list[Conversation | Bad]:
    return list(read(BytesIO(data), mine))


def good(value: object, mine: bool = False) -> Conversation:
    (found,) = parsed(lines(value), mine)
    assert isinstance(found, Conversation), found
    return found


def bad(value: object) -> str:
    (found,) = parsed(lines(value))
    assert isinstance(found, Bad), found
    return found.reason


# ---------------------------------------------------------------------- what is mended


def test_a_small_session_is_read() -> None:
    assert good(a_session()) == Conversation(
        Session("s1", AT, ended_at=AT, state="ended", origin="imported"),
        (Message("m1", "s1", "user", "I moved to Porto in May.", AT, "imported"),),
    )


def test_a_missing_message_id_is_made_from_session_and_place() -> None:
    value = a_session(messages=[{"role": "user", "content": "a"}, {"role": "user", "content": "a"}])
    first, second = (one.id for one in good(value).messages)
    assert first != second
    assert (first, second) == tuple(one.id for one in good(value).messages)
    assert first not in {one.id for one in good(value | {"id": "s2"}).messages}


def test_missing_times_come_from_the_session_or_the_first_message() -> None:
    messages = [{"role": "user", "content": "a"}, {"role": "user", "content": "b", "at": "2026-03-02T00:00:00+01:00"}]
    found = good(a_session(messages=messages))
    assert [one.at for one in found.messages] == [AT, datetime(2026, 3, 1, 23, tzinfo=UTC)]
    assert found.session.ended_at == found.messages[-1].at
    assert good(a_session(messages=messages, started_at=None)).session.started_at == found.messages[-1].at


def test_a_time_without_a_zone_is_local() -> None:
    local = datetime(2026, 3, 1, 12, 30).astimezone()
    assert good(a_session(started_at="2026-03-01T12:30")).session.started_at == local
    assert good(a_session(started_at="2026-03-01T12:30")).session.started_at.utcoffset() == timedelta(0)


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (None, ""),
        ([{"type": "text", "text": "a"}, {"type": "image_url", "image_url": {}}, "b"], "a\nb"),
        ([], ""),
        ("a\0b\ud800c", "a\ufffdb\ufffdc"),
        ("\ud83d\ude00", "😀"),
    ],
)
def test_content_of_any_form_becomes_text_that_can_be_stored(content: object, text: str) -> None:
    assert good(a_message(content=content)).messages[0].content == text


def test_a_developer_is_the_system() -> None:
    assert good(a_message(role="developer")).messages[0].role == "system"


@pytest.mark.parametrize(
    "call",
    [
        {"id": "c", "type": "function", "function": {"name": "clock", "arguments": '{"a": 1}'}},
        {"id": "c", "name": "clock", "arguments": {"a": 1}},
    ],
)
def test_tool_calls_are_read_flat_and_as_openai_writes_them(call: object) -> None:
    (found,) = good(a_message(tool_calls=[call])).messages[0].tool_calls
    assert (found.id, found.name, found.arguments) == ("c", "clock", '{"a": 1}')


def test_a_summary_may_be_a_text_or_an_object() -> None:
    summary = good(a_session(summary="They talked.")).summary
    assert summary == Summary("s1", "I moved to Porto in May.", "They talked.", AT, "imported", "imported")
    told = good(a_session(summary={"title": "Porto", "gist": "They talked.", "at": "2026-03-05T00:00:00Z"}))
    assert told.summary == Summary(
        "s1", "Porto", "They talked.", AT.replace(day=5, hour=0, minute=0), "imported", "imported"
    )
    assert told.session.title == "Porto"
    assert told.session.state == "summarised"
    assert good(a_session(summary="")).summary is None


def test_unknown_fields_and_empty_lines_and_a_mark_at_the_start_are_no_matter() -> None:
    data = b"\xef\xbb\xbf\n\r\n" + lines(a_session(mood="good")) + b"\n   \n" + lines(a_session(id="s2"))
    assert [one.session.id for one in parsed(data) if isinstance(one, Conversation)] == ["s1", "s2"]


def test_a_huge_line_is_read() -> None:
    assert len(good(a_message(content="word " * 1_000_000)).messages[0].content) == 5_000_000


# ---------------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ([], "the line is not an object"),
        (a_session(schema="assistant.session/2"), "schema is 'assistant.session/2'"),
        (a_session(schema=None), "schema is None"),
        (a_session(id=None), "id is missing"),
        (a_session(id=7), "id is not text"),
        (a_session(id="x" * 201), "id is longer than 200 characters"),
        (a_session(id="a\nb"), "id .* control characters"),
        (a_session(messages=None), "messages is not a list"),
        (a_session(messages=["hi"]), r"messages\[0\] is not an object"),
        (a_session(title=1), "title is not text"),
        (a_session(started_at=None), "started_at is missing, and no message has an at"),
        (a_session(started_at="yesterday"), "started_at is not a date .*'yesterday'"),
        (a_session(started_at="0001-01-01T00:00:00+14:00"), "started_at is not a date"),
        (a_session(ended_at=5), "ended_at is not text"),
        (a_session(summary=3), "summary is not an object"),
        (a_session(summary={"gist": []}), r"summary\.gist is not text"),
        (a_message(role="wizard"), r"messages\[0\]\.role is 'wizard'"),
        (a_message(content=5), r"messages\[0\]\.content is not text"),
        (a_message(at="soon"), r"messages\[0\]\.at is not a date"),
        (a_message(id="\u0007"), r"messages\[0\]\.id .* control characters"),
        (a_message(tool_calls="x"), r"messages\[0\]\.tool_calls is not a list"),
        (a_message(tool_calls=[{"id": "c"}]), r"messages\[0\]\.tool_calls\[0\]\.name is missing"),
        (a_session(facts={}), "facts is not a list"),
        (a_fact(text=" "), r"facts\[0\]\.text is missing"),
        (a_fact(message_ids=[3]), r"facts\[0\]\.message_ids\[0\] is not text"),
        (a_fact(pinned="yes"), r"facts\[0\]\.pinned is neither true nor false"),
        (a_fact(valid_from="2026-13-01"), r"facts\[0\]\.valid_from is not a date"),
    ],
)
def test_a_refusal_names_the_field(value: object, reason: str) -> None:
    assert re.search(reason, bad(value)), bad(value)


def test_a_bad_line_does_not_stop_the_others() -> None:
    data = lines(a_session()) + b"{broken\n" + b"[" * 100_000 + b"\n" + b"1" * 5000 + b"\n" + lines(a_session(id="s2"))
    found = parsed(data)
    assert [type(one) for one in found] == [Conversation, Bad, Bad, Bad, Conversation]
    assert [one.line for one in found if isinstance(one, Bad)] == [2, 3, 4]


def test_a_broken_first_line_does_not_stop_the_others() -> None:
    first, second = parsed(b'{"schema": \n' + lines(a_session()))
    assert isinstance(first, Bad)
    assert first.line == 1
    assert isinstance(second, Conversation)


def test_what_is_not_utf_8_says_so() -> None:
    with pytest.raises(BadInput, match=r"Line 2 .* not UTF-8"):
        parsed(lines(a_session()) + "{'id': 'é'}".encode("latin-1"))
    with pytest.raises(BadInput, match="not UTF-8"):
        parsed(json.dumps(a_session()).encode("utf-16"))


@given(st.binary(max_size=60) | st.text(max_size=60).map(str.encode))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    try:
        assert all(isinstance(one, Bad) for one in parsed(data))
    except BadInput as error:
        assert "UTF-8" in error.message


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@settings(max_examples=300)
@given(st.sampled_from([a_session, a_message, a_fact]), st.data(), st.booleans(), json_values)
def test_any_value_in_any_field_is_read_or_refused(make: Any, data: st.DataObject, mine: bool, value: object) -> None:
    session_fields = ["id", "title", "started_at", "ended_at", "messages", "summary", "facts", "origin", "model"]
    message_fields = ["id", "role", "name", "content", "at", "origin", "tool_calls", "tool_call_id"]
    fact_fields = ["id", "text", "message_ids", "kind", "at", "quote", "origin", "valid_from", "retired_by", "status"]
    names = {a_session: session_fields, a_message: message_fields, a_fact: fact_fields}[make]
    (found,) = parsed(lines(make(**{data.draw(st.sampled_from(names)): value})), mine)
    assert isinstance(found, Conversation | Bad)


# ---------------------------------------------------------------------- one document


@pytest.mark.parametrize("indent", [None, 2])
def test_the_json_export_is_known_by_its_content(indent: int | None) -> None:
    document = {"schema": "assistant.export/1", "sessions": [a_session(), {"schema": "x"}, a_session(id="s2")]}
    first, second, third = parsed(json.dumps(document, indent=indent).encode())
    assert isinstance(first, Conversation)
    assert isinstance(second, Bad)
    assert second.line == 2
    assert isinstance(third, Conversation)


def test_one_session_may_be_spread_over_many_lines() -> None:
    (found,) = parsed(json.dumps(a_session(), indent=2).encode())
    assert isinstance(found, Conversation)


# ---------------------------------------------------------------------- trust


@pytest.mark.parametrize("origin", ["user", "tool:web_search", "system"])
def test_what_comes_in_is_imported_whatever_the_file_says(origin: str) -> None:
    value = a_fact(origin=origin, pinned=True, status="kept")
    value["messages"][0]["origin"] = origin
    value["summary"] = {"gist": "g", "origin": origin, "written_by": "a-model", "tried_by": "b"}
    found = good(value)
    assert found.summary
    assert {found.session.origin, found.messages[0].origin, found.summary.origin, found.facts[0].origin} == {"imported"}
    assert (found.summary.written_by, found.summary.tried_by) == ("imported", "")
    assert (found.facts[0].status, found.facts[0].pinned) == ("review", False)


@pytest.mark.parametrize(
    ("fields", "origin"),
    [
        ({}, "user"),
        ({"role": "assistant"}, "assistant"),
        ({"role": "tool", "name": "clock"}, "tool:clock"),
        ({"role": "tool"}, "tool:unknown"),
        ({"origin": "imported"}, "imported"),
        ({"origin": "recalled"}, "recalled"),
        ({"origin": "tool:clock"}, "tool:clock"),
        ({"origin": "the king"}, "user"),
        ({"origin": "tool:"}, "user"),
    ],
)
def test_the_owners_own_file_is_believed_where_it_names_an_origin_of_ours(fields: Any, origin: str) -> None:
    assert good(a_message(**fields), mine=True).messages[0].origin == origin


@pytest.mark.parametrize(
    ("quote", "stored", "status"),
    [
        ("moved to Porto", "moved to Porto", "kept"),
        ("MOVED   to\nporto", "moved to Porto", "kept"),
        ("moved to Lisbon", "", "review"),
        ("I", "I", "review"),  # stands in any text and proves nothing
        (None, "", "review"),
    ],
)
def test_a_fact_is_kept_only_if_its_quote_stands_in_its_message(quote: str | None, stored: str, status: str) -> None:
    (fact,) = good(a_fact(quote=quote)).facts
    assert (fact.quote, fact.status) == (stored, status)


def test_a_quote_from_another_message_proves_nothing() -> None:
    value = a_fact(quote="moved to Porto", message_ids=["m2"])
    value["messages"].append({"id": "m2", "role": "user", "content": "What is the weather?"})
    assert good(value).facts[0].status == "review"


def test_a_fact_has_the_same_id_at_each_import() -> None:
    (fact,) = good(a_fact()).facts
    assert fact.id == fact_id("s1", "The user lives in Porto.", ("m1",))
    assert good(a_fact(id="0123456789ab")).facts[0].id == "0123456789ab"
    assert good(a_fact(id="fact 1")).facts[0].id == fact.id


def test_facts_that_retire_one_another_still_do() -> None:
    facts = [{"id": "1", "text": "Old.", "retired_by": "2"}, {"id": "2", "text": "New."}]
    old, new = good(a_session(facts=facts)).facts
    assert old.retired_by == new.id


# ---------------------------------------------------------------------- into the store


def carried(store: Store, counter: Counter, tmp_path: Path, *values: object, **options: Any) -> Report:
    path = tmp_path / "in.jsonl"
    path.write_bytes(lines(*values))
    return import_file(path, store, counter, **({"mine": False, "owes": False} | options))


def contents(store: Store) -> list[str]:
    """All rows; what SQLite counts for itself is no content."""
    return [line for line in store.connection.iterdump() if "sqlite_sequence" not in line]


def test_an_import_says_what_it_added(store: Store, counter: Counter, tmp_path: Path) -> None:
    value = a_fact() | {"summary": "They talked."}
    report = carried(store, counter, tmp_path, value, {"schema": "x"}, a_session(id="s2"))
    assert (report.sessions, report.messages, report.summaries, report.facts, report.unchanged) == (2, 2, 1, 1, 0)
    assert [one.line for one in report.bad] == [2]
    (message,) = store.transcript("s1")
    assert message.tokens == counter.message("user", message.content)
    assert store.facts_of("s1")[0].tokens == counter.text("The user lives in Porto.")


def test_the_same_file_twice_changes_nothing(store: Store, counter: Counter, tmp_path: Path) -> None:
    value = a_fact() | {"summary": "They talked."}
    carried(store, counter, tmp_path, value)
    before = contents(store)
    assert carried(store, counter, tmp_path, value) == Report(unchanged=1)
    assert contents(store) == before


def test_a_session_that_grew_gets_its_new_messages(store: Store, counter: Counter, tmp_path: Path) -> None:
    carried(store, counter, tmp_path, a_session())
    more = [*a_session()["messages"], {"id": "m2", "role": "assistant", "content": "Nice."}]
    report = carried(store, counter, tmp_path, a_session(messages=more), a_session(messages=more))
    assert (report.sessions, report.messages, report.unchanged) == (0, 1, 1)
    assert [one.content for one in store.transcript("s1")] == ["I moved to Porto in May.", "Nice."]


def test_two_lines_of_one_session_become_one(store: Store, counter: Counter, tmp_path: Path) -> None:
    later = a_session(
        messages=[{"id": "m2", "role": "user", "content": "Bye."}],
        facts=[{"text": "The user lives in Porto.", "message_ids": ["m1", "gone"]}],
    )
    report = carried(store, counter, tmp_path, a_session(), later)
    assert (report.sessions, report.messages, report.facts) == (1, 2, 1)
    assert store.facts_of("s1")[0].message_ids == ("m1",)


def test_a_fact_without_any_message_stays_for_review(store: Store, counter: Counter, tmp_path: Path) -> None:
    carried(store, counter, tmp_path, a_fact(message_ids=["gone"], quote="moved to Porto"))
    (fact,) = store.facts_of("s1")
    assert (fact.message_ids, fact.status) == ((), "review")


def test_a_message_with_another_text_is_a_conflict_and_stays(store: Store, counter: Counter, tmp_path: Path) -> None:
    carried(store, counter, tmp_path, a_message(content="first"))
    assert carried(store, counter, tmp_path, a_message(content="second")).conflicts == 1
    assert store.transcript("s1")[0].content == "first"


def test_a_summary_decides_whether_a_session_is_owed_one(store: Store, counter: Counter, tmp_path: Path) -> None:
    with_summary, without = a_session(summary="They talked."), a_session(id="s2")
    carried(store, counter, tmp_path, with_summary, without, owes=True)
    assert [one.id for one in store.owed("a-model")] == ["s2"]
    states = {one.id: one.state for one in store.sessions()}
    assert states == {"s1": "summarised", "s2": "ended"}


def test_what_was_remembered_by_hand_is_owed_nothing(store: Store, counter: Counter, tmp_path: Path) -> None:
    carried(store, counter, tmp_path, a_fact(), mine=True, owes=True)
    assert store.owed("a-model") == []


def test_an_open_session_only_gets_more(store: Store, counter: Counter, tmp_path: Path) -> None:
    """Its summary is still to be written by the process that holds it; a file's would leave it owed nothing."""
    store.start(Session("s1", AT))
    store.add(Message("live", "s1", "user", "Hello.", AT, "user"))
    carried(store, counter, tmp_path, a_session(summary="They talked.", title="Other"))
    session = store.session("s1")
    assert session == Session("s1", AT)
    assert store.summary("s1") is None
    assert [one.id for one in store.transcript("s1")] == ["live", "m1"]


def test_an_ended_session_stays_as_it_is(store: Store, counter: Counter, tmp_path: Path) -> None:
    ended = Session("s1", AT, title="Mine", ended_at=AT, state="ended")
    store.start(ended)
    carried(store, counter, tmp_path, a_session(title="Other", ended_at="2026-04-01T00:00:00Z"))
    assert store.session("s1") == ended
    assert [one.id for one in store.owed("a-model")] == ["s1"]


def test_notes_written_since_are_not_mixed_with_the_files(store: Store, counter: Counter, tmp_path: Path) -> None:
    carried(store, counter, tmp_path, a_fact(), owes=True)
    store.put_notes(Summary("s1", "Porto", "The user moved.", AT, "a-model", "imported"), [])
    assert carried(store, counter, tmp_path, a_fact()) == Report(unchanged=1)


def test_a_copied_session_keeps_its_facts(store: Store, counter: Counter, tmp_path: Path) -> None:
    """Two sessions whose facts have the same ids: neither loses one, nor gets the other's evidence."""
    first = a_fact(id="0123456789ab")
    for _ in range(2):
        carried(store, counter, tmp_path, first, first | {"id": "s2"})
        one, two = store.facts_of("s1") + store.facts_of("s2")
        assert one.id == "0123456789ab" != two.id
        assert store.evidence_seqs([1, 2]) == {1: [1], 2: [2]}


def test_progress_ends_at_the_files_size(store: Store, counter: Counter, tmp_path: Path) -> None:
    path = tmp_path / "in.jsonl"
    path.write_bytes(lines(*(a_session(id=f"s{number}") for number in range(2500))))
    told: list[tuple[int, int]] = []
    import_file(path, store, counter, mine=False, owes=False, progress=lambda done, size: told.append((done, size)))
    assert len(told) > 1
    assert told == sorted(told)
    assert told[-1] == (path.stat().st_size, path.stat().st_size)


def test_an_interrupted_import_goes_on_where_it_stopped(store: Store, counter: Counter, tmp_path: Path) -> None:
    path = tmp_path / "in.jsonl"
    path.write_bytes(lines(*(a_session(id=f"s{number}") for number in range(1200))))

    def interrupt(done: int, size: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        import_file(path, store, counter, mine=False, owes=False, progress=interrupt)
    there = len(store.sessions())
    assert 0 < there < 1200
    report = import_file(path, store, counter, mine=False, owes=False)
    assert (report.sessions, report.unchanged) == (1200 - there, there)


IMPORT_FOR_EVER = """
import sys
from pathlib import Path
from memory.importers.run import import_file
from memory.store import Store
from memory.tokens import Counter
home = Path(sys.argv[1])
import_file(Path(sys.argv[2]), Store(home / "memory.db"), Counter("o200k_base", Path(sys.argv[3])),
            mine=False, owes=False, progress=lambda done, size: print(done, flush=True))
"""


def test_ctrl_c_leaves_whole_sessions(home: Path, tmp_path: Path, token_cache: Path) -> None:
    """A real interrupt in a real process: each session that is there has all of its messages."""
    path = tmp_path / "in.jsonl"
    messages = [{"id": str(number), "role": "user", "content": f"message {number}"} for number in range(30)]
    path.write_bytes(lines(*(a_session(id=f"s{number}", messages=messages) for number in range(3000))))
    words = [sys.executable, "-c", IMPORT_FOR_EVER, str(home), str(path), str(token_cache)]
    with subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout
        process.stdout.readline()
        os.kill(process.pid, signal.SIGINT)
        _, error = process.communicate(timeout=60)
    assert b"KeyboardInterrupt" in error
    store = Store(home / "memory.db")
    counts = {
        row[0]
        for row in store.rows(
            "SELECT count(messages.seq) FROM sessions LEFT JOIN messages "
            "ON messages.session_id = sessions.id GROUP BY sessions.id"
        )
    }
    assert counts == {30}
    assert store.damage() == []
    store.close()


def test_a_file_that_cannot_be_read_is_refused(store: Store, counter: Counter, tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "missing"):
        with pytest.raises(BadInput, match="Cannot read"):
            import_file(path, store, counter, mine=False, owes=False)


# ---------------------------------------------------------------------- the sample history


def sample() -> list[Conversation]:
    found = parsed(SAMPLE.read_bytes())
    assert all(isinstance(one, Conversation) for one in found), found
    return [one for one in found if isinstance(one, Conversation)]


def test_the_sample_is_a_year_of_short_sessions_with_notes() -> None:
    sessions = sample()
    assert 6 <= len(sessions) <= 8
    assert {one.session.started_at.year for one in sessions} == {2026}
    assert sorted(one.session.started_at for one in sessions) == [one.session.started_at for one in sessions]
    for one in sessions:
        assert 4 <= len(one.messages) <= 10
        assert one.summary
        assert one.facts


def test_every_quote_of_the_sample_stands_in_its_message() -> None:
    for line in SAMPLE.read_text(encoding="utf-8").splitlines():
        session = json.loads(line)
        said = {one["id"]: one["content"] for one in session["messages"]}
        for fact in session["facts"]:
            assert any(fact["quote"] in said[one] for one in fact["message_ids"]), fact


def test_the_sample_comes_in_whole_and_kept(store: Store, counter: Counter) -> None:
    report = import_file(SAMPLE, store, counter, mine=False, owes=True)
    facts = [fact for one in sample() for fact in store.facts_of(one.session.id)]
    assert report.facts == len(facts)
    assert {fact.status for fact in facts} == {"kept"}
    assert {fact.kind for fact in facts} == {"fact", "preference", "decision", "task", "person"}
    assert report.bad == ()
    assert report.conflicts == 0
    assert store.owed("a-model") == []


def test_the_sample_corrects_itself() -> None:
    facts: dict[str, Fact] = {fact.id: fact for one in sample() for fact in one.facts}
    (moved,) = [fact for fact in facts.values() if fact.retired_by]
    assert moved.retired_by
    assert "October" in facts[moved.retired_by].text
