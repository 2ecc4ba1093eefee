"""Receipts against a scripted endpoint: the bytes that came there are built again from references, and nothing else."""

import json
import sqlite3
from contextlib import closing
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assistant.account import account
from assistant.app import App
from assistant.approval import Answer as OwnersAnswer
from assistant.chat import Chat
from assistant.errors import ModelError, ModelUnreachable
from assistant.recorder import sent
from assistant.reply import Delta
from memory import deltas
from memory.deltas import decoded, encoded
from memory.errors import StoreError
from memory.receipts import Receipt
from tests.conftest import MODEL, Apps
from tests.memories import NOTES, PORTO, forget_session, talk
from tests.scripted import Answer, Call, ScriptedServer, bad_template, no_schema, rate_limited, refusal, too_long

SECRET = "The cellar door opens with the word marmalade, twice."


def hear(chat: Chat, text: str) -> None:
    with closing(chat.turn(text)) as events:
        list(events)


def receipts(app: App) -> list[Receipt]:
    """All receipts, oldest first."""
    seqs = [row[0] for row in app.memory.store.rows("SELECT seq FROM receipts ORDER BY seq")]
    return [app.memory.receipts.receipt(seq) for seq in seqs]


def bodies(server: ScriptedServer) -> list[bytes]:
    """The bytes of the chat requests as they came."""
    return [seen.raw for seen in server.requests if seen.path.endswith("/chat/completions")]


def assert_all_are_built_again(app: App, server: ScriptedServer) -> None:
    built = [sent(app.memory, receipt) for receipt in receipts(app)]
    assert [one.problem for one in built] == [""] * len(built)
    once = [body for body, _ in groupby(bodies(server))]  # what was sent again after a fault has one receipt
    assert [one.body for one in built] == once


def written(app: App) -> str:
    """All that stands in the tables of the receipts, but for the copies that replaced notes are."""
    tables = ("recalls", "candidates", "receipts", "calls", "texts")
    return "\n".join(str(tuple(row)) for table in tables for row in app.memory.store.rows(f"SELECT * FROM {table}"))


# ---------------------------------------------------------------------- the very request


def test_the_first_request_is_built_again(app: App, server: ScriptedServer) -> None:
    server.enqueue("Hello.")
    hear(app.chat(), 'Hello!\n"Quotes", \\ and \u2028 and 世界 🌍.')
    assert_all_are_built_again(app, server)


@pytest.mark.parametrize("model", [MODEL, "somebody's own"], ids=["late notes", "one system message"])
def test_requests_with_what_was_recalled_are_built_again_and_hold_no_copy_of_it(
    apps: Apps, server: ScriptedServer, model: str
) -> None:
    app = apps(model=model)
    talk(app.memory, SECRET, "The violin\nlesson is   on Friday.\n\nNot on <b>my birthday</b>, never.")
    app.memory.sync()
    server.default = "I see."
    chat = app.chat()
    for question in ("What opens the cellar door?", "When is the violin lesson?", "Thanks.", "And the violin?"):
        hear(chat, question)
    assert b"marmalade" in bodies(server)[0]
    assert b"on Friday" not in bodies(server)[0] and b"on Friday" in bodies(server)[1]
    assert_all_are_built_again(app, server)
    for words in ("marmalade", "cellar", "violin", "Friday", "birthday", "I see"):
        assert words not in written(app)


def test_the_steps_of_a_turn_are_built_again(app: App, server: ScriptedServer) -> None:
    server.enqueue(
        Answer("Let me see.", calls=(Call("calculator", '{"expression": "6*7"}'), Call("calculator", "{broken"))),
        Answer(calls=(Call("no such tool", "{}"),)),
        "It is 42.",
    )
    hear(app.chat(), "How much is 6*7?")
    assert [(one.step, one.turn) for one in receipts(app)] == [(1, 1), (2, 1), (3, 1)]
    assert_all_are_built_again(app, server)


def test_the_last_step_without_tools_is_built_again(apps: Apps, server: ScriptedServer) -> None:
    app = apps(max_steps=1)
    server.enqueue(Answer(calls=(Call("calculator", '{"expression": "6*7"}'),)), "It may be 42.")
    with pytest.raises(Exception, match="limit of 1 steps"):
        hear(app.chat(), "How much is 6*7?")
    assert "has reached a limit" in bodies(server)[-1].decode()
    assert_all_are_built_again(app, server)


def test_a_window_that_was_cut_and_a_huge_message_in_it_are_built_again(apps: Apps, server: ScriptedServer) -> None:
    app = apps(context_tokens=2000)
    server.default = Answer("word " * 150, usage=None)
    chat = app.chat()
    for number in range(8):
        hear(chat, f"{number}: " + "text " * 60)
    log = "\n".join(f"2026-11-23 line {number} of {number * 37 % 101}" for number in range(3000))
    hear(chat, log)
    assert b"tokens left out" in bodies(server)[-1]
    assert_all_are_built_again(app, server)
    newest = receipts(app)[-1]
    assert len(json.dumps(newest.request)) < 1000
    told = account(app.memory, newest.turn or 0)
    stored = app.memory.store.transcript(chat.session.id)
    assert told.asked.content == log and told.conversation.shortened == (told.asked.id,)
    assert told.conversation.shown + told.conversation.left_out == len(stored) - 1
    assert "line 17" not in written(app)


def test_a_large_tool_result_that_is_shortened_later_is_built_again(
    apps: Apps, server: ScriptedServer, tmp_path: Path
) -> None:
    (tmp_path / "log.txt").write_text("\n".join(f"entry {number}: {number * 7919}" for number in range(4000)))
    app = apps(context_tokens=3000, folders=(str(tmp_path),), tool_tokens=2000)
    read = Answer(calls=(Call("read_file", json.dumps({"path": str(tmp_path / "log.txt")})),), usage=None)
    server.enqueue(read, read, "It is a log.")
    hear(app.chat(lambda _question: OwnersAnswer(True)), "What is in the log?")
    assert b"tokens left out" in bodies(server)[-1]
    assert_all_are_built_again(app, server)
    assert "7919" not in written(app)


@pytest.mark.parametrize(
    ("refused", "quirks"),
    [
        ((bad_template(),), {"no_late_system"}),
        ((bad_template(), refusal(400, "System role not supported.")), {"no_late_system", "no_system"}),
        ((refusal(400, "Conversation roles must alternate user/assistant/user"),) * 2, {"roles_alternate"}),
        ((refusal(400, "Unsupported parameter: stream_options"),), {"no_stream_options"}),
    ],
)
def test_requests_adapted_to_what_an_endpoint_refuses_are_built_again(
    app: App, server: ScriptedServer, refused: tuple[Any, ...], quirks: set[str]
) -> None:
    talk(app.memory, SECRET)
    app.memory.sync()
    server.enqueue("Hello.", refusal(500, "Out of order.", x_should_retry="false"), *refused)
    server.default = "I see."
    chat = app.chat()
    hear(chat, "Hello there!")
    with pytest.raises(ModelError):
        hear(chat, "Are you there?")
    hear(chat, "What opens the cellar door?")
    hear(chat, "Thanks.")
    assert quirks <= app.endpoint.quirks
    assert_all_are_built_again(app, server)
    assert "marmalade" not in written(app)


def test_the_requests_for_notes_are_built_again(app: App, server: ScriptedServer) -> None:
    session = talk(app.memory, PORTO, SECRET + "\n\nReally.\n- yes", "1", "ok")
    server.enqueue(no_schema(), "no notes at all", "TITLE: Porto\nGIST: The user lives in Porto.")
    app.write_notes(app.memory, session)
    made = app.memory.receipts.of_notes(session)
    assert [(one.purpose, one.step, one.turn) for one in made] == [("notes", step, None) for step in (1, 2)]
    assert_all_are_built_again(app, server)
    assert "marmalade" not in written(app) and PORTO not in written(app)


def test_the_requests_on_what_notes_change_are_built_again(app: App, server: ScriptedServer) -> None:
    app.memory.extract(talk(app.memory, "I walk my dog Rex every day."), tried_by=app.choice.name)
    session = talk(app.memory, PORTO)
    server.enqueue(NOTES, {"replaced": [], "same": []})
    app.write_notes(app.memory, session)
    assert [one.purpose for one in app.memory.receipts.of_notes(session)] == ["notes", "notes"]
    assert_all_are_built_again(app, server)


def test_a_broken_json_of_the_notes_and_the_folding_of_parts_are_built_again(
    apps: Apps, server: ScriptedServer
) -> None:
    app = apps(context_tokens=4000)
    session = talk(app.memory, *(f"{PORTO} My number {number} is {number * 7919}." for number in range(60)))
    server.enqueue('{"note": "The user lives in Porto"}')
    server.default = NOTES
    app.write_notes(app.memory, session)
    assert len(bodies(server)) > 3
    assert_all_are_built_again(app, server)


def test_a_window_that_was_too_long_and_its_tighter_one_are_built_again(app: App, server: ScriptedServer) -> None:
    server.default = "word " * 100
    chat = app.chat()
    for number in range(4):
        hear(chat, f"Question {number}: " + "text " * 100)
    server.enqueue(too_long(), "Short again.")
    hear(chat, "And now?")
    *_, refused, accepted = receipts(app)
    assert (refused.step, accepted.step) == (1, 2)
    assert refused.outcome and refused.outcome.error.startswith("ContextOverflow: ") and refused.answer is None
    assert_all_are_built_again(app, server)


# ---------------------------------------------------------------------- when, and how it ended


def test_a_receipt_is_in_the_file_before_the_model_is_asked(app: App, server: ScriptedServer) -> None:
    seen: list[list[Any]] = []

    def look(_body: Any) -> str:
        with closing(sqlite3.connect(app.memory.store.path)) as file:
            seen.append(file.execute("SELECT turn, step, bytes, sha256, ms, answer FROM receipts").fetchall())
        return "Hello."

    server.enqueue(look)
    hear(app.chat(), "Hello!")
    (before,) = seen[0]
    (after,) = receipts(app)
    assert before == (1, 1, len(bodies(server)[0]), after.sha256, None, None)
    assert after.outcome and after.outcome.ms >= 0 and after.answer == 2


def test_a_receipt_that_cannot_be_written_fails_the_turn_before_the_call(app: App, server: ScriptedServer) -> None:
    full = "CREATE TRIGGER full BEFORE INSERT ON receipts BEGIN SELECT RAISE(ABORT, 'database or disk is full'); END"
    app.memory.store.connection.execute(full)
    with pytest.raises(StoreError, match="Free some disk space"):
        hear(app.chat(), "Hello!")
    assert bodies(server) == []


def test_what_a_call_cost_and_how_it_ended_is_noted(app: App, server: ScriptedServer) -> None:
    usage = {"prompt_tokens": 90, "completion_tokens": 7, "prompt_tokens_details": {"cached_tokens": 64}}
    server.enqueue(rate_limited(retry_after="0"), Answer("Cut off", finish="length", usage=usage))
    hear(app.chat(), "Hello!")
    (receipt,) = receipts(app)
    assert receipt.outcome
    outcome = receipt.outcome
    assert (outcome.finish, outcome.error, outcome.retries) == ("length", "", 1)
    assert (outcome.prompt_tokens, outcome.completion_tokens, outcome.cached_tokens) == (90, 7, 64)
    assert len(bodies(server)) == 2 and bodies(server)[0] == bodies(server)[1]


def test_a_failure_an_interrupt_and_a_broken_connection_are_noted(app: App, server: ScriptedServer) -> None:
    chat = app.chat()
    server.enqueue(refusal(500, "Out of order.", x_should_retry="false"))
    with pytest.raises(ModelError):
        hear(chat, "Are you there?")
    server.enqueue(Answer("Once upon a time there was a king.", pause_s=0.005))
    events = chat.turn("Tell me a story.")
    assert any(isinstance(event, Delta) for event in events)
    events.close()
    server.enqueue(Answer("Half of a reply", drop_after=3))
    hear(chat, "And?")
    server.enqueue(*[Answer("I was about to", drop_after=0)] * 3)
    with pytest.raises(ModelUnreachable):
        hear(chat, "And?")
    failed, interrupted, broken, nothing = (one.outcome for one in receipts(app))
    assert failed and failed.finish == "" and "Out of order." in failed.error
    assert interrupted and (interrupted.finish, interrupted.error) == ("interrupted", "")
    assert broken and (broken.finish, broken.error) == ("broken", "")
    assert nothing and nothing.error.startswith("ModelUnreachable: ") and nothing.retries == 2
    assert [bool(one.answer) for one in receipts(app)] == [False, True, True, False]
    assert_all_are_built_again(app, server)


def test_each_message_of_a_turn_names_it_and_one_that_was_never_sent_names_none(
    app: App, server: ScriptedServer
) -> None:
    server.enqueue("Hello.", Answer(calls=(Call("calculator", '{"expression": "6*7"}'),)), "42.")
    chat = app.chat()
    hear(chat, "Hello!")
    hear(chat, "How much is 6*7?")
    unsent = chat.session.remember(chat.session.make("user", "And now?", origin="user"))
    turns = [app.memory.receipts.turn_of_message(one.id) for one in app.memory.store.transcript(chat.session.id)]
    assert turns == [1, 1, 3, 3, 3, 3, None]
    assert app.memory.receipts.turn_of_message("nobody's") is None
    assert [app.memory.receipts.newest_turn(back) for back in (1, 2, 3)] == [3, 1, None]
    assert app.memory.receipts.last_turn_of(unsent.session_id) == 3


def test_a_request_that_was_refused_has_a_receipt_of_its_own(app: App, server: ScriptedServer) -> None:
    server.enqueue(refusal(400, "Unsupported parameter: stream_options"), "Hello.")
    hear(app.chat(), "Hello!")
    refused, accepted = receipts(app)
    assert refused.outcome and "stream_options" in refused.outcome.error
    assert accepted.outcome and accepted.outcome.finish == "stop" and accepted.answer
    assert refused.sha256 != accepted.sha256


# ---------------------------------------------------------------------- how much


def size(app: App) -> int:
    """Bytes in the tables of the receipts, a number taken for eight."""
    tables = ("recalls", "candidates", "receipts", "calls", "texts")
    return sum(
        len(value.encode()) if isinstance(value, str) else 8
        for table in tables
        for row in app.memory.store.rows(f"SELECT * FROM {table}")
        for value in row
    )


def test_a_turn_of_a_long_session_writes_less_than_20_kilobytes(
    apps: Apps, server: ScriptedServer, tmp_path: Path
) -> None:
    (tmp_path / "log.txt").write_text("\n".join(f"entry {number}: {number * 7919}" for number in range(9000)))
    app = apps(context_tokens=1_000_000, folders=(str(tmp_path),), tool_tokens=30_000)
    for number in range(25):
        talk(app.memory, f"north{number} south{number} east{number} west{number} heaven{number}")
    app.memory.sync()
    server.default = Answer("I see.", usage=None)
    chat = app.chat(lambda _question: OwnersAnswer(True))
    for number in range(25):
        hear(chat, f"south{number} east{number} west{number} earth{number}?")
    for number in range(400):
        role = "assistant" if number % 2 else "user"
        chat.session.remember(chat.session.make(role, f"So it goes, {number} times over.", origin=role))
    before = size(app)
    paths = [f"{tmp_path}{'/' * number}log.txt" for number in range(1, 9)]  # the same file, but not the same call
    reads = [Answer(calls=(Call("read_file", json.dumps({"path": path})),), usage=None) for path in paths]
    server.enqueue(*reads, "It is a log.")
    hear(chat, " ".join(f"east{number} west{number}" for number in range(25)) + ", and what is in the log?")
    assert len(bodies(server)[-1]) > 400_000 and bodies(server)[-1].count(b"<memory>") > 15
    assert size(app) - before < 20_000
    newest = app.memory.receipts.newest_turn()
    assert newest
    built = [sent(app.memory, one) for one in app.memory.receipts.of_turn(newest)]
    assert [one.body for one in built] == bodies(server)[-9:]


# ---------------------------------------------------------------------- what goes on afterwards


def asked_about(app: App, server: ScriptedServer, *said: str) -> tuple[str, Chat]:
    """A session in which this was said, with notes, and another that drew on it."""
    session = talk(app.memory, *said)
    app.memory.extract(session)
    app.memory.sync()
    server.enqueue("I see.")
    chat = app.chat()
    hear(chat, "What opens the cellar door?")
    assert b"marmalade" in bodies(server)[-1]
    return session, chat


def test_notes_that_were_written_again_are_told_as_they_were(app: App, server: ScriptedServer) -> None:
    session, _ = asked_about(app, server, "I open the cellar door with the word marmalade, twice.")
    (fact,) = app.memory.store.facts_of(session)
    before = app.memory.receipts.looked_for(3)
    assert {one.kind for one in before.found} >= {"message", "fact"}
    server.default = NOTES | {"title": "The cellar", "gist": "The cellar door opens with marmalade.", "facts": []}
    app.write_notes(app.memory, session)
    assert all(one.unit[0] != "f" or one.text == fact.text for one in app.memory.receipts.looked_for(3).found)
    assert sent(app.memory, receipts(app)[0]).problem == ""
    kept = app.memory.store.rows("SELECT unit FROM replaced")
    assert {row["unit"][0] for row in kept} == {one.unit[0] for one in before.found if one.unit[0] != "m"}
    forget_session(app.memory, session)
    assert app.memory.store.rows("SELECT * FROM replaced") == []


def test_notes_that_stand_in_no_receipt_are_not_kept_when_they_are_written_again(app: App) -> None:
    session = talk(app.memory, PORTO)
    app.memory.extract(session)
    app.memory.extract(session)
    assert app.memory.store.rows("SELECT * FROM replaced") == []


def test_a_removed_session_takes_its_words_out_of_the_receipts_of_others(app: App, server: ScriptedServer) -> None:
    session, chat = asked_about(app, server, SECRET)
    chat.end()
    app.memory.sync()
    forget_session(app.memory, session)
    built = sent(app.memory, receipts(app)[-1])
    assert "forgotten since" in built.problem and "m1" in built.problem
    assert b"marmalade" not in built.body and b"[forgotten since]" in built.body
    assert b"What opens the cellar door?" in built.body, "the rest is still told"
    found = app.memory.receipts.looked_for(3).found
    assert found and all(one.text is None for one in found if one.unit in ("m1", "f1", "s1"))
    app.memory.store.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    assert b"marmalade" not in app.memory.store.path.read_bytes()
    assert app.memory.store.damage() == []


def test_a_removed_session_takes_its_own_receipts_with_it(app: App, server: ScriptedServer) -> None:
    session, chat = asked_about(app, server, SECRET)
    chat.end()
    server.default = NOTES
    app.write_notes(app.memory, chat.session.id)
    forget_session(app.memory, chat.session.id)
    counts = {
        table: app.memory.store.number(f"SELECT count(*) FROM {table}")
        for table in ("receipts", "recalls", "candidates", "replaced")
    }
    assert set(counts.values()) == {0}, counts
    assert app.memory.store.damage() == []
    assert app.memory.store.session(session)


# ---------------------------------------------------------------------- pieces

TEXTS = st.text(alphabet="ab \n\0c世‹", max_size=40)


@given(st.lists(TEXTS, max_size=4), st.lists(TEXTS, max_size=2), st.data())
def test_any_text_over_any_sources_comes_back(said: list[str], ours: list[str], data: st.DataObject) -> None:
    sources = {f"m{place}": text for place, text in enumerate(said)}
    constants = {f"t{place}": text for place, text in enumerate(ours)}
    parts = st.one_of(TEXTS, st.sampled_from([*said, *ours])) if said or ours else TEXTS
    text = "".join(data.draw(st.lists(parts, max_size=6)))
    pieces = encoded(text, sources, constants)
    assert decoded(pieces, (sources | constants).__getitem__) == text


@given(
    st.lists(st.text(alphabet="abcdefgh", min_size=4), min_size=1, max_size=12), st.sampled_from([" ", "  ", "\n\n"])
)
def test_words_that_a_source_holds_stand_in_no_piece(words: list[str], gap: str) -> None:
    pieces = encoded("- " + " ".join(words) + " (2026)", {"m1": gap.join(words)})
    assert not any(word in piece for piece in pieces if isinstance(piece, str) for word in words)


def test_what_is_whole_is_named_and_a_part_is_a_span() -> None:
    assert encoded("one two", {"m1": "one two"}) == [["m1"]]
    assert encoded("see: two three.", {"m1": "one two three four"}) == ["see: ", ["m1", 4, 13], "."]
    ours = "You are an assistant."
    assert encoded(f"{ours} Say: three.", {"m1": "one two three"}, {"t1": ours}) == [
        ["t1"],
        " Say: ",
        ["m1", 8, 13],
        ".",
    ]
    assert encoded("You are an ass", {}, {"t1": ours}) == ["You are an ass"], "constants stand whole or not at all"
    assert decoded([["m1"], " and ", ["m2", 0, 3]], {"m1": "one"}.get) == f"one and {deltas.LOST}"


def test_a_long_text_cut_in_the_middle_is_two_spans() -> None:
    log = "\n".join(f"2026-11-23 line {number} of {number * 37 % 101}" for number in range(5000))
    shown = f"{log[:20000]}\n[... cut ...]\n{log[-20000:]}"
    assert encoded(shown, {"m1": log}) == [
        ["m1", 0, 20000],
        "\n[... cut ...]\n",
        ["m1", len(log) - 20000, len(log)],
    ]
