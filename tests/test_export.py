"""Export: what is written can be read by people, by programs, and by the import that brings it all back."""

import io
import json
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memory.errors import BadInput
from memory.export import Format, session_object, write, write_file
from memory.extract import fact_id
from memory.importers.run import import_file
from memory.records import Fact, Message, Session, Summary, ToolCall
from memory.session import clean
from memory.store import Store
from memory.tokens import Counter

AT = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)


@pytest.fixture
def store(home: Path) -> Iterator[Store]:
    made = Store(home / "memory.db")
    yield made
    made.close()


def exported(store: Store, form: Format = "jsonl") -> str:
    out = io.StringIO()
    write(store, reversed(store.sessions()), out, form)
    return out.getvalue()


def talk(store: Store, session_id: str = "s1", *texts: str, **fields: Any) -> None:
    """Put a session with one user message a text into the store, summarised."""
    store.start(Session(session_id, AT, ended_at=AT, **fields))
    for number, text in enumerate(texts):
        store.add(Message(f"m{number}", session_id, "user", text, AT, "user"))


def noted(store: Store, session_id: str, *facts: Fact) -> None:
    store.put_notes(Summary(session_id, "A title", "A gist.", AT, "a-model", "user"), facts)


def a_fact(session_id: str, text: str, **fields: Any) -> Fact:
    ids = fields.pop("message_ids", ("m0",))
    given: dict[str, Any] = {"kind": "fact", "at": AT, "quote": "", "origin": "user"} | fields
    return Fact(fact_id(session_id, text, ids), session_id, text, message_ids=ids, **given)


# ---------------------------------------------------------------------- the form


def test_a_session_has_the_form_of_the_contract(store: Store) -> None:
    store.start(Session("s1", AT, ended_at=AT, model="a-model"))
    store.add(Message("m0", "s1", "user", "My name is Ada.", AT, "user"))
    call = ToolCall("c1", "calculator", '{"expression": "1+1"}')
    store.add(Message("m1", "s1", "assistant", "", AT, "assistant", tool_calls=(call,)))
    store.add(Message("m2", "s1", "tool", "2", AT, "tool:calculator", name="calculator", tool_call_id="c1"))
    noted(store, "s1", a_fact("s1", "The user is Ada.", kind="person", quote="My name is Ada.", pinned=True))
    session = store.session("s1")
    assert session
    at = "2026-03-01T12:30:00+00:00"
    assert session_object(store, session) == {
        "schema": "assistant.session/1",
        "id": "s1",
        "title": "A title",
        "started_at": at,
        "ended_at": at,
        "model": "a-model",
        "messages": [
            {"id": "m0", "role": "user", "content": "My name is Ada.", "at": at, "origin": "user"},
            {
                "id": "m1",
                "role": "assistant",
                "content": "",
                "at": at,
                "origin": "assistant",
                "tool_calls": [
                    {
                        "id": "c1",
                        "type": "function",
                        "function": {"name": "calculator", "arguments": '{"expression": "1+1"}'},
                    }
                ],
            },
            {
                "id": "m2",
                "role": "tool",
                "name": "calculator",
                "content": "2",
                "at": at,
                "origin": "tool:calculator",
                "tool_call_id": "c1",
            },
        ],
        "summary": {"title": "A title", "gist": "A gist.", "at": at, "written_by": "a-model", "origin": "user"},
        "facts": [
            {
                "id": fact_id("s1", "The user is Ada.", ("m0",)),
                "text": "The user is Ada.",
                "message_ids": ["m0"],
                "kind": "person",
                "at": at,
                "quote": "My name is Ada.",
                "origin": "user",
                "status": "kept",
                "pinned": True,
            }
        ],
    }


def test_what_may_be_left_out_is_left_out(store: Store) -> None:
    store.start(Session("s1", AT))
    assert json.loads(exported(store)) == {
        "schema": "assistant.session/1",
        "id": "s1",
        "started_at": "2026-03-01T12:30:00+00:00",
        "messages": [],
    }


def test_jsonl_is_one_line_a_session_for_every_reader_of_lines(store: Store) -> None:
    talk(store, "s1", "a\nb\r\nc\u2028d\u2029e\x85f\x0bg")
    talk(store, "s2")
    lines = exported(store).splitlines()
    assert [json.loads(line)["id"] for line in lines] == ["s1", "s2"]
    assert json.loads(lines[0])["messages"][0]["content"] == "a\nb\r\nc\u2028d\u2029e\x85f\x0bg"


@pytest.mark.parametrize("count", [0, 1, 3])
def test_json_is_one_document_of_the_same_sessions(store: Store, count: int) -> None:
    for number in range(count):
        talk(store, f"s{number}", "hello")
    document = json.loads(exported(store, "json"))
    assert document["schema"] == "assistant.export/1"
    assert document["sessions"] == [json.loads(line) for line in exported(store).splitlines()]


def test_sessions_are_read_one_at_a_time(store: Store) -> None:
    """Writing begins before the second session is asked for: nothing waits in memory."""
    talk(store, "s1", "first")
    talk(store, "s2", "second")
    out = io.StringIO()

    def sessions() -> Iterator[Session]:
        for session in reversed(store.sessions()):
            assert ("first" in out.getvalue()) == (session.id == "s2")
            yield session

    write(store, sessions(), out, "jsonl")
    assert "second" in out.getvalue()


# ---------------------------------------------------------------------- there and back

texts = st.text(max_size=30).map(clean)
words = texts.filter(lambda text: bool(text.strip()))
ids = st.text(st.characters(exclude_categories=("Cc", "Cs")), min_size=1, max_size=8)
times = st.datetimes(datetime(1975, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))
origins = st.sampled_from(["user", "assistant", "system", "imported", "recalled", "tool:web_search"])
calls = st.builds(ToolCall, texts, words, texts)


@st.composite
def conversations(draw: st.DrawFn, session_id: str) -> tuple[Session, list[Message], Summary | None, list[Fact]]:
    message_ids = draw(st.lists(ids, max_size=4, unique=True))
    messages = [
        Message(
            one,
            session_id,
            draw(st.sampled_from(["system", "user", "assistant", "tool"])),
            draw(texts),
            draw(times),
            draw(origins),
            draw(st.none() | words),
            tuple(draw(st.lists(calls, max_size=2))),
            draw(st.none() | words),
        )
        for one in message_ids
    ]
    session = Session(session_id, draw(times), ended_at=draw(times), state="ended", model=draw(texts))
    if not draw(st.booleans()):
        return session, messages, None, []
    summary = Summary(session_id, draw(texts), draw(words), draw(times), draw(words), draw(origins), draw(texts))
    facts = [draw(noted_facts(session_id, messages)) for _ in range(draw(st.integers(0, 3)))]
    return session, messages, summary, list({fact.id: fact for fact in facts}.values())


@st.composite
def noted_facts(draw: st.DrawFn, session_id: str, messages: list[Message]) -> Fact:
    evidence = [one for one in messages if draw(st.booleans())]
    named = tuple(one.id for one in evidence)
    text = draw(words)
    return Fact(
        fact_id(session_id, text, named),
        session_id,
        text,
        draw(st.sampled_from(["fact", "preference", "decision", "task", "person"])),
        draw(times),
        named,
        draw(st.sampled_from(["", *(one.content[: draw(st.integers(0, 9))] for one in evidence)])),
        draw(origins),
        draw(st.sampled_from(["kept", "review"])),
        draw(st.none() | times),
        draw(st.none() | ids),
        draw(st.booleans()),
    )


histories = st.lists(ids, max_size=3, unique=True).flatmap(
    lambda session_ids: st.tuples(*(conversations(one) for one in session_ids))
)


@settings(max_examples=60, deadline=None)
@given(histories)
def test_export_import_export_gives_the_same_bytes(
    counter: Counter, history: tuple[tuple[Session, list[Message], Summary | None, list[Fact]], ...]
) -> None:
    """Odd Unicode, tool calls, empty content, facts in review, pinned ones, one message id in two sessions."""
    with tempfile.TemporaryDirectory() as folder:
        first, second = Store(Path(folder, "a", "memory.db")), Store(Path(folder, "b", "memory.db"))
        with first.writing():  # one transaction, so that the disk is waited for once
            for session, messages, summary, facts in history:
                first.start(session)
                for message in messages:
                    first.add(message)
                if summary:
                    first.put_notes(summary, facts)
        for form in ("jsonl", "json"):
            path = Path(folder, "out")
            write_file(first, reversed(first.sessions()), path, form)
            report = import_file(path, second, counter, mine=True, owes=False)
            assert report.bad == ()
            assert (report.sessions == len(history)) == (form == "jsonl" or not history)
            assert exported(second) == exported(first)
        first.close()
        second.close()


def test_two_sessions_may_use_the_same_message_ids(store: Store, counter: Counter, tmp_path: Path) -> None:
    talk(store, "s1", "one")
    talk(store, "s2", "two")
    write_file(store, reversed(store.sessions()), tmp_path / "out.jsonl", "jsonl")
    other = Store(tmp_path / "other" / "memory.db")
    import_file(tmp_path / "out.jsonl", other, counter, mine=True, owes=False)
    assert exported(other) == exported(store)
    assert '"content": "one"' in exported(other)
    other.close()


# ---------------------------------------------------------------------- for people


def test_markdown_shows_title_date_id_notes_and_talk(store: Store) -> None:
    talk(store, "s1", "My sister lives in Porto.")
    gone = a_fact("s1", "The user lives in Lyon.", retired_by="abc")
    noted(store, "s1", gone, a_fact("s1", "The sister lives in Porto.", kind="person", valid_from=AT, status="review"))
    assert exported(store, "md") == (
        "# Conversations\n"
        "\n## A title\n"
        "\n2026-03-01 12:30 to 2026-03-01 12:30 UTC, session s1\n"
        "\n### Notes\n"
        "\n> A gist.\n"
        "\n- fact, 2026-03-01: The user lives in Lyon. (retired by abc)\n"
        "- person, 2026-03-01, since 2026-03-01: The sister lives in Porto. (waits for review)\n"
        "\n### Conversation\n"
        "\n**user**, 2026-03-01 12:30:00\n"
        "\n> My sister lives in Porto.\n"
    )


@given(st.text("#*_`~<!-\n\r >a1.|[]\\", max_size=60))
@settings(max_examples=50, deadline=None)
def test_no_text_can_look_like_the_documents_own_lines(text: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder, "memory.db"))
        talk(store, "s1", text)
        noted(store, "s1", a_fact("s1", "x" + text))
        ours = [line for line in exported(store, "md").split("\n") if line and not line.startswith(">")]
        store.close()
    assert [line[:5] for line in ours] == ["# Con", "## A ", "2026-", "### N", "- fac", "### C", "**use"]


def test_what_was_remembered_by_hand_stands_under_facts(store: Store) -> None:
    talk(store, "s1", "I am allergic to nuts.", title="I am allergic to nuts.")
    fact = a_fact("s1", "I am allergic to nuts.")
    store.merge(Session("s1", AT), [], None, [fact], owes=False)
    assert exported(store, "md") == (
        "# Conversations\n\n# Facts remembered by hand\n\n- fact, 2026-03-01: I am allergic to nuts.\n"
    )


# ---------------------------------------------------------------------- files


def test_a_file_is_private_and_replaces_the_old_one(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    path.write_text("old")
    talk(store, "s1", "new")
    write_file(store, store.sessions(), path, "jsonl")
    assert "new" in path.read_text(encoding="utf-8")
    assert path.stat().st_mode & 0o777 == 0o600
    assert [one.name for one in tmp_path.iterdir() if one.is_file()] == ["out.jsonl"]


def test_half_an_export_never_has_the_files_name(store: Store, tmp_path: Path) -> None:
    """An interrupt in mid-write leaves the old file as it was, and nothing beside it."""
    path = tmp_path / "out.jsonl"
    path.write_text("old")
    talk(store, "s1", "new")

    def interrupted() -> Iterator[Session]:
        yield from store.sessions()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_file(store, interrupted(), path, "jsonl")
    assert path.read_text() == "old"
    assert [one.name for one in tmp_path.iterdir() if one.is_file()] == ["out.jsonl"]


def test_a_link_stays_a_link(store: Store, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "out.jsonl")
    write_file(store, [], tmp_path / "link", "json")
    assert (tmp_path / "link").is_symlink()
    assert json.loads((tmp_path / "out.jsonl").read_text())["sessions"] == []


def test_a_place_that_takes_no_file_is_refused_with_a_remedy(store: Store, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="not a file"):
        write_file(store, [], tmp_path, "json")
    with pytest.raises(BadInput, match=r"No such file.*folder"):
        write_file(store, [], tmp_path / "missing" / "out", "json")
