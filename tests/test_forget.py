"""Forgetting: the cascade, its carrying out with its proof, and kills, readers and late jobs that come between."""

import base64
import json
import os
import shutil
import signal
import sqlite3
import struct
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from memory import backup, cascade, selecting
from memory.errors import BadInput, Failure, NothingFound, Stale
from memory.export import write_file
from memory.forget import Forgetting, Refused
from memory.importers.run import import_file
from memory.index import Unit
from memory.manager import MemoryManager
from memory.records import Fact, Message, Scope, ToolCall
from memory.session import now
from memory.tokens import Counter
from tests.conftest import ROOT
from tests.memories import NOTES, Scribe, Words, a_memory, leave, talk

SECRET = "The vault under the old lighthouse opens with Xylophonquark-4711."
OTHER = "My dog Rex sleeps on the blue carpet in the kitchen."


@pytest.fixture
def memory(home: Path, counter: Counter) -> Iterator[MemoryManager]:
    made = a_memory(home, counter)
    yield made
    leave(made)


def where(home: Path, secret: str = "Xylophonquark-4711") -> list[str]:
    """The files that hold the secret in any plain form: a reader of its own, past the program's."""
    forms = [secret.encode(), secret.lower().encode(), secret.encode("utf-16-le"), secret.encode().hex().encode()]
    forms += [base64.b64encode(bytes(pad) + secret.encode())[4:-4] for pad in range(3)]
    held = [path for path in home.rglob("*") if path.is_file()]
    return [path.name for path in held if any(form in path.read_bytes() for form in forms)]


def everywhere(memory: MemoryManager) -> str:
    """A home where the secret went wherever words go; gives the id of the session."""
    session = memory.begin("a-model")
    first = session.remember(session.make("user", SECRET, origin="user"))
    call = ToolCall("c1", "note", json.dumps({"text": SECRET}))
    session.remember(session.make("assistant", "", origin="assistant", tool_calls=(call,)))
    session.remember(session.make("tool", f"Kept: {SECRET}", origin="tool:note", name="note", tool_call_id="c1"))
    session.remember(session.make("assistant", "Noted.", origin="assistant"))
    session.remember(session.make("user", OTHER, origin="user"))
    session.remember(session.make("assistant", "How nice.", origin="assistant"))
    session.end()
    memory.extract(session.id)
    at = now().isoformat()
    with memory.store.writing() as db:
        db.execute(
            "INSERT INTO receipts (session_id, purpose, turn, step, at, model, bytes, sha256, request, said, error) "
            "VALUES (?, 'turn', ?, 1, ?, 'm', 1, 'x', ?, ?, ?)",
            [session.id, first.seq, at, json.dumps([SECRET]), SECRET, SECRET],
        )
        db.execute(
            "INSERT INTO calls (receipt, call_id, name, arguments, said, ok, outside, decision, ms) "
            "VALUES (1, 'c1', 'note', ?, ?, 1, 0, 'rule', 1)",
            [SECRET, SECRET],
        )
        db.execute(
            "INSERT INTO pending (id, session_id, turn, kind, shown, why, at) VALUES ('p', ?, 5, 'call', ?, 'x', ?)",
            [session.id, SECRET, at],
        )
        db.execute(
            "INSERT INTO plans (turn, session_id, at, state, steps) VALUES (?, ?, ?, 'done', ?)",
            [first.seq, session.id, at, SECRET],
        )
        db.execute("INSERT INTO secrets VALUES (?, ?, ?)", [first.seq, SECRET, "[]"])
    memory.sync()
    (memory.home / "history").write_text(f"\n# 2026-11-23 10:00:00\n+{SECRET}\n\n# 2026-11-23 10:01:00\n+{OTHER}\n")
    (memory.home / "assistant.log").write_text(f"2026-11-23 10:00 INFO x: {SECRET}\n2026-11-23 10:01 INFO x: well\n")
    backup.make(memory.store, memory.home, now())
    return session.id


def messages_holding(memory: MemoryManager) -> cascade.Cascade:
    return selecting.by_words(memory.store, "xylophonquark 4711", Scope())


def test_a_secret_that_went_everywhere_is_nowhere_any_more(memory: MemoryManager, home: Path) -> None:
    session = everywhere(memory)
    assert {"memory.db-wal", "history", "assistant.log"} < set(where(home)) and len(where(home)) >= 4
    vectors = memory.index.ids()
    receipt = Forgetting(memory).carry_out(messages_holding(memory))
    assert (receipt.owed, receipt.found) == ("", [])
    memory.index.close()
    assert where(home) == []
    assert {name: receipt.went[name] for name in ("messages", "secrets", "plans", "pending", "calls", "receipts")} == {
        "messages": 3, "secrets": 1, "plans": 1, "pending": 1, "calls": 1, "receipts": 1,
    }  # fmt: skip
    assert receipt.went["history"] == receipt.went["assistant.log"] == receipt.went["backups"] == 1
    assert OTHER in (home / "history").read_text() and "well" in (home / "assistant.log").read_text()
    assert [one.content for one in memory.store.transcript(session)] == ["Noted.", OTHER, "How nice."]
    summary = memory.store.summary(session)
    assert summary and "Rex" in summary.gist and receipt.noted == 1
    assert len(backup.listed(home)) == 1
    memory.sync()
    assert memory.index.ids() and not memory.index.ids() & {f"m{one}" for one in (1, 2)} and vectors
    assert memory.store.damage() == []
    kept = memory.store.rows("SELECT * FROM forgets")[0]
    assert (kept["state"], kept["plan"], kept["needles"]) == ("done", "{}", "[]")


def test_the_bytes_of_forgotten_vectors_leave_the_index(memory: MemoryManager, home: Path) -> None:
    gone = talk(memory, SECRET)
    talk(memory, OTHER)
    memory.sync()
    ((_, numbers),) = memory.index.embed([Unit("x", SECRET)])
    vector = struct.pack(f"<{len(numbers)}f", *numbers)
    held = [path for path in (home / "index").rglob("*") if path.is_file()]
    assert any(vector in path.read_bytes() for path in held)
    Forgetting(memory).carry_out(cascade.of(memory.store, sessions=[gone]))
    memory.index.close()
    held = [path for path in (home / "index").rglob("*") if path.is_file()]
    assert held and not any(vector in path.read_bytes() for path in held)


def test_while_a_reader_holds_the_old_pages_it_is_not_done(memory: MemoryManager, home: Path) -> None:
    everywhere(memory)
    reader = sqlite3.connect(home / "memory.db", isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM messages").fetchone()
    receipt = Forgetting(memory).carry_out(messages_holding(memory))
    assert "reads the old pages" in receipt.owed and Forgetting(memory).owed() == [1]
    reader.close()
    (receipt,) = Forgetting(memory).finish()
    memory.index.close()
    assert receipt.owed == "" and receipt.found == [] and where(home) == []
    assert receipt.went["messages"] == 3, "the receipt still tells what went"


STAGES = ["_delete", "_note_again", "_vectors", "_also", "_lines", "_backups", "_scan", "_close"]
KILLED = """
import os, sys
from pathlib import Path
from memory import forget, selecting
from memory.records import Scope
from memory.tokens import Counter
from tests.memories import a_memory
home, cache, stage = sys.argv[1:]
def die(*_): os.kill(os.getpid(), 9)
setattr(forget.Forgetting, stage, die)
memory = a_memory(Path(home), Counter("o200k_base", Path(cache)))
forget.Forgetting(memory).carry_out(selecting.by_words(memory.store, "xylophonquark 4711", Scope()))
"""


def test_killed_at_any_stage_it_is_finished_at_the_next_start(
    home: Path, tmp_path: Path, counter: Counter, token_cache: Path
) -> None:
    memory = a_memory(home, counter)
    everywhere(memory)
    leave(memory)
    shutil.copytree(home, tmp_path / "before")
    for stage in STAGES:
        shutil.rmtree(home)
        shutil.copytree(tmp_path / "before", home)
        words = [sys.executable, "-c", KILLED, str(home), str(token_cache), stage]
        ran = subprocess.run(words, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True)
        assert ran.returncode == -signal.SIGKILL, ran.stderr
        memory = a_memory(home, counter)
        (receipt,) = Forgetting(memory).finish()
        assert (receipt.owed, receipt.found, Forgetting(memory).owed()) == ("", [], []), stage
        leave(memory)
        assert where(home) == [], stage


def test_one_that_was_only_begun_waits_for_a_conversation_that_was_taken_up_since(
    home: Path, counter: Counter, token_cache: Path
) -> None:
    memory = a_memory(home, counter)
    session = everywhere(memory)
    words = [sys.executable, "-c", KILLED, str(home), str(token_cache), "_delete"]
    subprocess.run(words, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True)
    other = a_memory(home, counter)
    live = other.resume(session, "a-model")
    (receipt,) = Forgetting(memory).finish()
    assert "still going on" in receipt.owed and SECRET in [one.content for one in memory.store.transcript(session)]
    live.end()
    leave(other)
    (receipt,) = Forgetting(memory).finish()
    leave(memory)
    assert (receipt.owed, receipt.found, where(home)) == ("", [], [])


def test_an_old_export_brings_nothing_back(memory: MemoryManager, tmp_path: Path) -> None:
    session = everywhere(memory)
    talk(memory, "Another talk altogether, about trains.")
    old = tmp_path / "old.jsonl"
    write_file(memory.store, memory.store.sessions(), old, "jsonl")
    Forgetting(memory).carry_out(messages_holding(memory))
    report = import_file(old, memory.store, memory.counter, mine=True, owes=False)
    assert report.forgotten >= 3 and report.sessions == 0
    assert not messages_holding(memory)
    renamed = tmp_path / "renamed.jsonl"
    renamed.write_text(old.read_text().replace(session, "another-id"))
    import_file(renamed, memory.store, memory.counter, mine=True, owes=False)
    assert not [one for one in memory.store.transcript("another-id") if one.content == SECRET]
    assert not [one for one in memory.store.facts_of("another-id") if "Xylophonquark" in one.text]


def test_a_session_forgotten_whole_is_not_imported_again_in_part(memory: MemoryManager, tmp_path: Path) -> None:
    gone = talk(memory, "Hi.", "Bye.")
    old = tmp_path / "old.jsonl"
    write_file(memory.store, memory.store.sessions(), old, "jsonl")
    Forgetting(memory).carry_out(cascade.of(memory.store, sessions=[gone]))
    report = import_file(old, memory.store, memory.counter, mine=True, owes=False)
    assert memory.store.sessions() == [] and report.forgotten == 4


def test_notes_that_were_begun_before_are_not_kept_and_are_owed(memory: MemoryManager) -> None:
    session = everywhere(memory)

    class Slow(Scribe):
        def __call__(self, system: str, text: str, schema: Mapping[str, Any] | None, max_tokens: int) -> str:
            Forgetting(memory).carry_out(messages_holding(memory))
            return super().__call__(system, text, schema, max_tokens)

    with pytest.raises(Stale):
        memory.summarise(session, Slow())
    summary = memory.store.summary(session)
    assert summary and summary.written_by == "extracted"
    assert [one.id for one in memory.owed("scribe")] == [session]


def test_a_forgotten_fact_is_not_noted_again_but_what_is_said_anew_is(memory: MemoryManager) -> None:
    session = talk(memory, OTHER)
    memory.extract(session)
    (fact,) = memory.store.facts_of(session)
    Forgetting(memory).carry_out(selecting.by_ids(memory.store, [fact.id[:8]], fact_only=True))
    memory.extract(session)
    assert memory.store.facts_of(session) == [] and len(memory.store.transcript(session)) == 2
    assert memory.note(OTHER).text == OTHER and memory.store.number("SELECT count(*) FROM facts") == 1


def test_a_fact_takes_the_messages_with_it_that_it_rests_on(memory: MemoryManager) -> None:
    session = talk(memory, OTHER, "And what else is there to say about trains?")
    memory.extract(session)
    fact = next(one for one in memory.store.facts_of(session) if "Rex" in one.text)
    Forgetting(memory).carry_out(selecting.by_ids(memory.store, [fact.id]))
    assert not memory.recall("Rex carpet", mode="words").hits


def test_a_fact_that_rests_on_others_too_stays_where_its_quote_does(memory: MemoryManager) -> None:
    session = talk(memory, "I live in Porto.", "Yes, I live in Porto.", "And I like trains.")
    first, _, second, _, third, _ = memory.store.transcript(session)
    made = [
        Fact(name, session, text, "fact", now(), (first.id, other.id), quote, "user", tokens=1)
        for name, text, quote, other in (
            ("stays", "Lives in Porto.", "I live in Porto", second),
            ("goes", "Lives in Porto, likes trains.", "I live in Porto", third),
        )
    ]
    memory.store.insert_facts(made)
    plan = cascade.of(memory.store, [first.seq])
    assert plan.fact_ids == ("goes",) and plan.touched == (session,)


def test_calls_and_their_answers_go_together(memory: MemoryManager) -> None:
    everywhere(memory)
    for seq in (2, 3):
        assert cascade.of(memory.store, [seq]).messages == (2, 3)
    assert cascade.of(memory.store, [1]).messages == (1,)


def test_what_would_go_is_counted_as_the_receipt_counts_it(memory: MemoryManager) -> None:
    everywhere(memory)
    plan = messages_holding(memory)
    seen = Forgetting(memory).preview(plan)
    assert memory.store.number("SELECT count(*) FROM forgets") == 0 and messages_holding(memory) == plan
    assert {"plans", "pending", "calls", "history", "assistant.log", "backups", "vectors"} <= set(seen)
    assert Forgetting(memory).carry_out(plan).went == seen
    rest = cascade.of(memory.store, everything=True)
    seen = Forgetting(memory).preview(rest)
    assert seen["history"] == 1 and Forgetting(memory).carry_out(rest).went == seen


def test_words_in_calls_are_looked_for_as_they_were_and_as_they_were_written(memory: MemoryManager) -> None:
    umlauts = "Das Schließfach öffnet sich mit Größenwahn."
    arguments = json.dumps({"list": [{"text": umlauts}]})
    calls = json.dumps([{"id": "c", "name": "note", "arguments": json.dumps("Ein zweites mit Übermut, rückwärts.")}])
    session = memory.begin("a-model")
    session.remember(session.make("user", "Note it, please.", origin="user"))
    call = ToolCall("c", "note", arguments)
    message = session.remember(session.make("assistant", "", origin="assistant", tool_calls=(call,)))
    session.end()
    with memory.store.writing() as db:
        db.execute("INSERT INTO secrets VALUES (?, '', ?)", [message.seq, calls])
    texts = cascade.texts_of(memory.store, cascade.of(memory.store, [message.seq]))
    assert {umlauts, arguments, "Ein zweites mit Übermut, rückwärts."} <= set(texts)


def test_a_conversation_that_was_shown_it_and_goes_on_is_told(
    memory: MemoryManager, home: Path, counter: Counter
) -> None:
    told = talk(memory, SECRET)
    other = a_memory(home, counter)
    live = other.begin("a-model")
    asked = live.remember(live.make("user", "What was it about the lighthouse?", origin="user"))
    with memory.store.writing() as db:
        db.execute("INSERT INTO recalls (turn, session_id) VALUES (?, ?)", [asked.seq, live.id])
        db.execute("INSERT INTO candidates VALUES (?, 1, 'm1', 1, 9, '', '{}')", [asked.seq])
    receipt = Forgetting(memory).carry_out(cascade.of(memory.store, sessions=[told]))
    assert any(live.id in one for one in receipt.out_of_reach) and receipt.owed == ""
    live.remember(live.make("assistant", "I cannot say.", origin="assistant"))
    live.end()
    leave(other)


def test_vectors_that_a_late_job_made_of_it_stay_out_of_the_index(
    memory: MemoryManager, home: Path, counter: Counter
) -> None:
    gone, kept = talk(memory, SECRET), talk(memory, OTHER)

    class Slow(Words):
        def __call__(self, texts: Sequence[str]) -> list[list[float]]:
            if memory.store.session(gone):
                Forgetting(memory).carry_out(cascade.of(memory.store, sessions=[gone]))
            return super().__call__(texts)

    other = a_memory(home, counter, Slow())
    other.sync()
    assert other.index.ids() == {f"m{one.seq}" for one in memory.store.transcript(kept)}
    leave(other)


def test_notes_are_written_again_by_the_model_without_what_went_or_extracted(memory: MemoryManager) -> None:
    told = f"I live in Porto with my dog Rex. {SECRET}"
    session = talk(memory, "I live in Porto with my dog Rex.", told)
    gist = {**NOTES, "gist": f"The user lives in Porto with their dog Rex. {SECRET}"}
    memory.summarise(session, Scribe(reply=gist))
    assert SECRET in (memory.store.summary(session) or gist).gist  # type: ignore[union-attr]
    scribe = Scribe("other")
    forgetting = Forgetting(memory, lambda one: memory.summarise(one, scribe))
    assert forgetting.carry_out(messages_holding(memory)).found == []
    summary = memory.store.summary(session)
    assert summary and summary.written_by == "other" and not any("Xylophonquark" in one for one in scribe.asked)
    assert "Rex" in summary.gist and SECRET not in summary.gist


def test_without_its_model_the_notes_are_extracted_and_owed(memory: MemoryManager) -> None:
    session = talk(memory, "I live in Porto with my dog Rex.", SECRET)
    memory.summarise(session, Scribe())

    def fails(_session: str) -> object:
        raise Failure("The model is away.")

    receipt = Forgetting(memory, fails).carry_out(messages_holding(memory))
    summary = memory.store.summary(session)
    assert receipt.owed == "" and receipt.noted == 1 and summary and summary.written_by == "extracted"
    assert [one.id for one in memory.owed("scribe")] == [session]


def test_what_stands_elsewhere_too_is_told_and_not_claimed_gone(memory: MemoryManager) -> None:
    gone = talk(memory, SECRET)
    kept = talk(memory, f"As I said: {SECRET}")
    receipt = Forgetting(memory).carry_out(cascade.of(memory.store, sessions=[gone]))
    assert receipt.found == [] and any(one.startswith(f"message {kept}") for one in receipt.also)
    assert "Xylophonquark" not in json.dumps(receipt.also)


def test_a_file_of_the_owners_own_is_named_where_it_holds_the_words(memory: MemoryManager, home: Path) -> None:
    gone = talk(memory, SECRET)
    (home / "mine.txt").write_text(f"x{SECRET}")
    receipt = Forgetting(memory).carry_out(cascade.of(memory.store, sessions=[gone]))
    assert {path for path, _ in receipt.found} == {"mine.txt"} and receipt.found[0] == ("mine.txt", 1)


def test_a_conversation_that_goes_on_is_refused_and_goes_on(
    memory: MemoryManager, home: Path, counter: Counter
) -> None:
    other = a_memory(home, counter)
    live = other.begin("a-model")
    live.remember(live.make("user", SECRET, origin="user"))
    with pytest.raises(Refused, match="still going on"):
        Forgetting(memory).carry_out(messages_holding(memory))
    assert memory.store.number("SELECT count(*) FROM forgets") == 0
    live.remember(live.make("assistant", "Noted.", origin="assistant"))
    live.end()
    assert Forgetting(memory).carry_out(messages_holding(memory)).owed == ""
    with pytest.raises(Failure, match="forgotten"):
        live.remember(Message("x", "no-such-session", "user", SECRET, now(), "user"))
    leave(other)


def test_everything_goes_but_settings_and_models_and_does_not_come_back(
    memory: MemoryManager, home: Path, tmp_path: Path
) -> None:
    everywhere(memory)
    (home / "config.toml").write_text("threads = 1\n")
    old = tmp_path / "old.jsonl"
    write_file(memory.store, memory.store.sessions(), old, "jsonl")
    backup.carried(memory.store, home, old, "export", now())
    receipt = Forgetting(memory).carry_out(cascade.of(memory.store, everything=True))
    memory.index.close()
    assert where(home) == [] and (home / "config.toml").exists() and not backup.listed(home)
    assert receipt.owed == "" and (home / "history").read_bytes() == b""
    assert any(str(old) in one for one in receipt.out_of_reach)
    assert import_file(old, memory.store, memory.counter, mine=True, owes=False).sessions == 0


def test_ids_are_found_by_their_beginning_and_words_literally(memory: MemoryManager) -> None:
    session = talk(memory, OTHER, "Rex is ill.")
    first = memory.store.transcript(session)[0]
    assert selecting.by_ids(memory.store, [f"{session}/{first.id[:6]}"]).messages == (first.seq,)
    assert selecting.by_ids(memory.store, [session]).sessions == (session,)
    memory.store.connection.execute("UPDATE messages SET id = 'odd/☃ id' WHERE seq = ?", [first.seq])
    for name in ("odd/☃ id", f"{session}/odd/☃ id", "odd/", f"{session}/odd"):
        assert selecting.by_ids(memory.store, [name]).messages == (first.seq,)
    assert selecting.by_words(memory.store, "rex CARPET", Scope()).messages == (first.seq,)
    assert not selecting.by_words(memory.store, "carp", Scope())
    with pytest.raises(NothingFound):
        selecting.by_ids(memory.store, ["nothing"])
    with pytest.raises(NothingFound):
        selecting.by_ids(memory.store, [" "])
    with pytest.raises(BadInput):
        selecting.by_words(memory.store, "?!", Scope())
