"""The store: one SQLite file, the only truth. Writes go through sqlite-utils, reads through the standard sqlite3.

Importing sqlite_utils costs as much as fourteen interpreters, so it happens at the first write, and a command that
only reads never pays for it. Times are kept as ISO 8601 in UTC, which sorts as text.
"""

import contextlib
import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from memory.connection import BUSY_TIMEOUT_S, InMemory, connect, is_encrypted
from memory.errors import Stale, StoreError
from memory.migrations import MIGRATIONS
from memory.records import Fact, Message, Session, State, Summary
from memory.rows import (
    as_calls,
    as_fact,
    as_message,
    as_session,
    as_summary,
    fact_row,
    message_row,
    session_row,
    summary_row,
    to_text,
)

if TYPE_CHECKING:
    from sqlite_utils import Database

    from memory.masks import Masking

PURGE_TIMEOUT_S = 2  # a reader of the old pages may take for ever; the next start tries again

# What has a vector: its letter in `vectors`, its table, and which of its rows.
UNITS = (("s", "summaries", "1"), ("f", "facts", "1"), ("m", "spoken", "content <> ''"))

# A session is indexed once its notes and all that was said in it have vectors.
FINISH = """
UPDATE sessions SET state = 'indexed' WHERE state = 'summarised'
  AND NOT EXISTS (SELECT 1 FROM spoken WHERE session_id = sessions.id AND content <> ''
    AND seq NOT IN (SELECT seq FROM vectors WHERE collection = ? AND kind = 'm'))
  AND NOT EXISTS (SELECT 1 FROM summaries WHERE session_id = sessions.id
    AND seq NOT IN (SELECT seq FROM vectors WHERE collection = ? AND kind = 's'))
"""

# "My sister is called Ana" is in "The user's sister is called Ana": at least such a share of each one's words in the
# other.
RETOLD = (0.9, 0.6)

# Notes that are written again, where a receipt refers to the old ones: what was shown can still be told.
KEEP_REPLACED = (
    """INSERT OR IGNORE INTO replaced
         SELECT 's' || seq, session_id, summaries.title || ': ' || gist, tokens, summaries.origin,
           started_at, '[]'
         FROM summaries JOIN sessions ON sessions.id = session_id
         WHERE session_id = ? AND EXISTS (SELECT 1 FROM candidates WHERE unit = 's' || seq)""",
    """INSERT OR IGNORE INTO replaced
         SELECT 'f' || seq, session_id, text, tokens, origin, at,
           (SELECT json_group_array(message) FROM evidence WHERE fact = facts.seq)
         FROM facts
         WHERE session_id = ? AND NOT pinned AND NOT handled
           AND EXISTS (SELECT 1 FROM candidates WHERE unit = 'f' || seq)""",
)


class Added(NamedTuple):
    """What an import changed: sessions, messages, summaries and facts that were not there before."""

    sessions: int = 0
    messages: int = 0
    summaries: int = 0
    facts: int = 0


def rewritten(before: Sequence[Fact], facts: Sequence[Fact]) -> list[Fact]:
    """Of new notes the facts to be added beside what their owner decided on, in the places of those that go."""
    from memory.grounding import same

    handled = [fact for fact in before if fact.handled or fact.pinned]
    earlier = {same(fact.text): fact for fact in before}
    return [
        fact._replace(retired_by=old.retired_by, until=old.until, same_as=old.same_as)
        if (old := earlier.get(same(fact.text)))
        else fact
        for fact in facts
        if not any(_retold(fact, one) for one in handled)
    ]


def _retold(fact: Fact, handled: Fact) -> bool:
    """Whether a fact says what another says of the same session: in its words, or nearly so of the same message."""
    from memory.asked import to_remember
    from memory.grounding import same, share, source_of

    asked = to_remember(fact.text)  # extracted notes have it with its "remember that"
    text = asked[0] if asked else fact.text
    if same(text) == same(handled.text):
        return True
    if not set(fact.message_ids) & set(handled.message_ids) or _figures(text) != _figures(handled.text):
        return False
    kept, told = share(handled.text, source_of([text])), share(text, source_of([handled.text]))
    return kept >= RETOLD[0] and told >= RETOLD[1]


def _figures(text: str) -> set[str]:
    """The words of a text that hold digits."""
    return {word for word in text.casefold().split() if any(map(str.isdecimal, word))}


@contextlib.contextmanager
def translated(path: Path | InMemory) -> Iterator[None]:
    """SQLite's errors as one line with its remedy."""
    try:
        yield
    except sqlite3.Error as error:
        raise StoreError(f"The store {path} failed: {error}.", remedy(error)) from error


def remedy(error: sqlite3.Error) -> str:
    """What a person can do about an error of SQLite's."""
    text = str(error)
    if "malformed" in text or "not a database" in text:
        return "Run `assistant doctor`; nothing was changed."
    if "locked" in text:
        return "Another process is writing; try again."
    if "full" in text or "I/O" in text:
        return "Free some disk space; what was committed is safe."
    if "unable to open" in text or "readonly" in text:
        return "Make its folder writable, which SQLite needs to read, too."
    return "Run `assistant doctor`."


class Store:
    """The sessions, their messages and the notes on them. One per thread; any number of processes.

    Raises StoreError for whatever SQLite refuses.
    """

    def __init__(self, path: Path | InMemory, masking: "Masking | None" = None) -> None:
        """`masking` is what is done to texts before they are stored; None: secrets are masked."""
        self.path, self._masking = path, masking
        with translated(path):
            self.connection = connect(path)
            self.connection.execute("PRAGMA foreign_keys = ON")
            self.connection.execute("PRAGMA secure_delete = ON")
            self._migrate()

    @property
    def encrypted(self) -> bool:
        """Whether the file is encrypted: then no word of it may stand in plain elsewhere in the home."""
        return is_encrypted(self.connection)

    def close(self) -> None:
        """Close the connection; the store cannot be used afterwards."""
        self.connection.close()

    @cached_property
    def _db(self) -> "Database":
        from sqlite_utils import Database

        from memory.masks import Gate

        return Database(Gate(self.connection, self.masking), execute_plugins=False)  # type: ignore[arg-type]

    @cached_property
    def masking(self) -> "Masking":
        """What is done to texts before they are stored."""
        from memory.masks import Masking

        return self._masking or Masking()

    def _migrate(self) -> None:
        """Bring the schema up to date. The number of steps taken is the file's user_version."""
        version = self.connection.execute("PRAGMA user_version").fetchone()[0]
        if version > len(MIGRATIONS):
            raise StoreError(f"{self.path} was written by a newer assistant.", "Update this one.")
        if version < len(MIGRATIONS):
            from sqlite_utils import Migrations

            self.connection.execute("PRAGMA journal_mode = WAL")
            steps = Migrations("assistant")
            for step in MIGRATIONS:
                steps(name=step.__name__)(step)
            with self.writing():
                steps.apply(self._db)
                self.connection.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")

    @contextlib.contextmanager
    def writing(self) -> Iterator["Database"]:
        """One transaction that holds the write lock from its start (a deferred one could fail half way)."""
        with translated(self.path):
            if self.connection.in_transaction:
                yield self._db
                return
            self.connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
                self.connection.execute("COMMIT")
            except BaseException:
                self.connection.rollback()  # nothing to do where a full disk has ended the transaction already
                raise

    def rows(self, sql: str, values: Sequence[Any] = ()) -> list[sqlite3.Row]:
        """The rows of a query that only reads."""
        with translated(self.path):
            return self.connection.execute(sql, values).fetchall()

    def number(self, sql: str, values: Sequence[Any] = ()) -> int:
        """The first column of a query's first row, or 0."""
        found = self.rows(sql, values)
        return int(found[0][0] or 0) if found else 0

    # ------------------------------------------------------------------ sessions

    def start(self, session: Session) -> None:
        """Write a new session."""
        with self.writing() as db:
            db.table("sessions").insert(session_row(session, wants_notes=True))

    def session(self, session_id: str) -> Session | None:
        """The session of this id, or None."""
        found = self.rows("SELECT * FROM sessions WHERE id = ?", [session_id])
        return as_session(found[0]) if found else None

    def sessions(self, limit: int = -1) -> list[Session]:
        """Sessions, newest first; -1 means all."""
        sql = "SELECT * FROM sessions ORDER BY started_at DESC, rowid DESC LIMIT ?"
        return [as_session(row) for row in self.rows(sql, [limit])]

    def matching(self, prefix: str) -> list[Session]:
        """Sessions whose id is `prefix`, else those whose id starts with it, newest first."""
        exact = self.session(prefix)
        if exact:
            return [exact]
        sql = "SELECT * FROM sessions WHERE substr(id, 1, ?) = ? ORDER BY started_at DESC LIMIT 20"
        return [as_session(row) for row in self.rows(sql, [len(prefix), prefix])]

    def set_state(self, session_id: str, state: State, ended_at: datetime | None = None) -> None:
        """Move a session on. An end that is already written stays."""
        with self.writing() as db:
            db.execute(
                "UPDATE sessions SET state = ?, ended_at = coalesce(ended_at, ?) WHERE id = ?",
                [state, to_text(ended_at), session_id],
            )

    def reopen(self, session_id: str) -> None:
        """Let an ended session go on: its summary, which knows nothing of that, goes, so that new notes are owed."""
        with self.writing() as db:
            db.execute(KEEP_REPLACED[0], [session_id])
            db.execute("DELETE FROM summaries WHERE session_id = ?", [session_id])
            db.execute("UPDATE sessions SET state = 'open', ended_at = NULL WHERE id = ?", [session_id])

    def want_notes(self, session_id: str) -> None:
        """Let a session be owed a summary (an import may come without)."""
        with self.writing() as db:
            db.execute("UPDATE sessions SET wants_notes = 1 WHERE id = ?", [session_id])

    def open_sessions(self) -> list[Session]:
        """Sessions that nobody has ended yet, and that wait for nothing; a live process may hold them."""
        sql = """SELECT * FROM sessions WHERE state = 'open' AND NOT EXISTS (
                   SELECT 1 FROM pending WHERE session_id = sessions.id)"""
        return [as_session(row) for row in self.rows(sql)]

    def owed(self, writer: str) -> list[Session]:
        """Ended sessions that `writer` (a model's name) owes notes, oldest first.

        Owed are sessions with a user message that have no notes, or extracted ones which this model has not tried.
        """
        sql = """
            SELECT * FROM sessions WHERE wants_notes AND state <> 'open'
              AND EXISTS (SELECT 1 FROM messages WHERE session_id = sessions.id AND role = 'user')
              AND NOT EXISTS (SELECT 1 FROM summaries WHERE session_id = sessions.id
                              AND (written_by <> 'extracted' OR tried_by = ?))
            ORDER BY started_at"""
        return [as_session(row) for row in self.rows(sql, [writer])]

    def purge(self) -> bool:
        """Take deleted text off the disk; False while another process still reads the old pages, or writes.

        Full-text rows keep their words until optimised, free pages until vacuumed, the log until it is truncated.
        """
        with translated(self.path):
            self.connection.execute(f"PRAGMA busy_timeout = {PURGE_TIMEOUT_S * 1000}")
            try:
                for table in ("messages_fts", "summaries_fts", "facts_fts"):
                    self.connection.execute(f"INSERT INTO {table} ({table}) VALUES ('optimize')")
                self.connection.execute("VACUUM")
                return self.truncate_log()
            except sqlite3.OperationalError as error:
                if "locked" not in str(error):
                    raise
                return False
            finally:
                self.connection.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_S * 1000}")

    def truncate_log(self) -> bool:
        """Work the write-ahead log into the file, and empty it; False while another process reads old pages."""
        with translated(self.path):
            return not self.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]

    def deeds_of_forgetting(self) -> int:
        """How many there were: notes that were begun before the last one may hold what is forgotten."""
        return self.number("SELECT count(*) FROM forgets WHERE state <> 'begun'")

    # ------------------------------------------------------------------ messages

    def add(self, message: Message, count: Callable[[Message], int] | None = None) -> Message:
        """Commit a message, masked; returns it as it is stored, with its `seq`.

        `count` gives the tokens of one that was masked. Where the masking says so, it is kept as it was, too, in the
        table `secrets` alone.
        """
        kept = self.masking.message(message)
        if kept is not message and count:
            kept = kept._replace(tokens=count(kept))
        with self.writing() as db:
            if self.session(message.session_id) is None:
                raise StoreError(f"{message.session_id} was forgotten meanwhile.", "Begin another conversation.")
            seq = db.table("messages").insert(message_row(kept)).last_rowid
            self._keep_raw([kept])
        return as_message({**message_row(kept), "seq": seq})

    def _keep_raw(self, messages: Iterable[Message]) -> None:
        """Keep what of the messages, which are stored, was masked, where the setting says so."""
        for message in messages if self.masking.keep else ():
            if raw := self.masking.raw(message):
                self.connection.execute(
                    """INSERT OR IGNORE INTO secrets SELECT seq, ?, ? FROM messages
                       WHERE session_id = ? AND id = ? AND content = ?""",
                    [raw.content, message_row(raw)["tool_calls"], message.session_id, message.id, message.content],
                )

    def as_it_was(self, message: Message) -> Message:
        """A stored message with its secrets, where they were kept; else as it is."""
        rows = self.rows("SELECT * FROM secrets WHERE message = ?", [message.seq]) if message.masked else []
        if not rows:
            return message
        return message._replace(content=rows[0]["content"], tool_calls=as_calls(rows[0]["tool_calls"]), masked=0)

    def transcript(self, session_id: str) -> list[Message]:
        """All messages of a session, in order."""
        sql = "SELECT * FROM messages WHERE session_id = ? ORDER BY seq"
        return [as_message(row) for row in self.rows(sql, [session_id])]

    def messages(self, seqs: Iterable[int]) -> dict[int, Message]:
        """Messages by their `seq`."""
        return {row["seq"]: as_message(row) for row in self._by_seq("messages", seqs)}

    def _by_seq(self, table: str, seqs: Iterable[int]) -> list[sqlite3.Row]:
        numbers = json.dumps(sorted(seqs))
        return self.rows(f"SELECT * FROM {table} WHERE seq IN (SELECT value FROM json_each(?))", [numbers])

    # ------------------------------------------------------------------ notes

    def put_notes(self, summary: Summary, facts: Sequence[Fact], seen: int | None = None) -> list[Fact]:
        """Replace the notes on a session and mark it summarised; gives the facts that were added.

        `seen` is `deeds_of_forgetting` from before the transcript was read. Raises Stale where there are more now, or
        the session is gone: what was forgotten meanwhile may stand in these notes.

        What its owner decided on or pinned stays, and is not added again. What says the same as a fact that goes keeps
        its place among the others; what a fact that does not come back had retired holds again.
        """
        session_id = summary.session_id
        with self.writing() as db:
            if (seen is not None and seen != self.deeds_of_forgetting()) or self.session(session_id) is None:
                raise Stale(f"Something was forgotten while the notes on {session_id} were written.")
            for keep in KEEP_REPLACED:
                db.execute(keep, [session_id])
            before = self.facts_of(session_id)
            db.execute("DELETE FROM summaries WHERE session_id = ?", [session_id])
            db.execute("DELETE FROM facts WHERE session_id = ? AND NOT pinned AND NOT handled", [session_id])
            added = rewritten(before, facts)
            self._insert_notes(summary, added)
            self._give_back([fact.id for fact in before])
            db.execute("UPDATE sessions SET state = 'summarised', title = ? WHERE id = ?", [summary.title, session_id])
        return added

    def _give_back(self, fact_ids: Sequence[str]) -> None:
        """Let hold again what one of these facts, if it is gone, had taken the place of or stood for."""
        gone = [one for one in fact_ids if not self.number("SELECT 1 FROM facts WHERE id = ?", [one])]
        with self.writing() as db:
            for columns, name in (("retired_by = NULL, until = NULL", "retired_by"), ("same_as = NULL", "same_as")):
                sql = f"UPDATE facts SET {columns} WHERE {name} IN (SELECT value FROM json_each(?))"
                db.execute(sql, [json.dumps(gone)])

    def remove_fact(self, fact: Fact) -> None:
        """Delete a fact. What a prompt showed of it can still be told."""
        with self.writing() as db:
            db.execute(KEEP_REPLACED[1].replace("session_id = ? AND NOT pinned AND NOT handled", "id = ?"), [fact.id])
            db.execute("DELETE FROM facts WHERE id = ?", [fact.id])

    def _insert_notes(self, summary: Summary | None, facts: Sequence[Fact]) -> None:
        if summary:
            self._db.table("summaries").insert(summary_row(summary))
        self.insert_facts(facts)

    def insert_facts(self, facts: Sequence[Fact]) -> None:
        """Write facts of sessions that are there, with what they rest on; those whose id is there stay as they are."""
        if not facts:
            return
        from memory.tombstones import Tombstones

        with self.writing():
            facts = Tombstones(self).facts(facts)  # in here, so that no late job brings back what was forgotten
            if not facts:
                return
            self._db.table("facts").insert_all([fact_row(fact) for fact in facts], ignore=True)
            self._db.conn.executemany(
                """INSERT OR IGNORE INTO evidence SELECT facts.seq, messages.seq FROM facts, messages
                   WHERE facts.id = ? AND facts.session_id = ? AND messages.session_id = facts.session_id
                     AND messages.id = ?""",
                [(fact.id, fact.session_id, one) for fact in facts for one in fact.message_ids],
            )

    def summary(self, session_id: str) -> Summary | None:
        """The summary of a session, or None."""
        found = self.rows("SELECT * FROM summaries WHERE session_id = ?", [session_id])
        return as_summary(dict(found[0])) if found else None

    def summaries(self, seqs: Iterable[int]) -> dict[int, Summary]:
        """Summaries by their `seq`."""
        return {row["seq"]: as_summary(dict(row)) for row in self._by_seq("summaries", seqs)}

    def facts(self, seqs: Iterable[int]) -> dict[int, Fact]:
        """Facts by their `seq`, with the messages they rest on."""
        numbers = list(seqs)
        evidence = self.evidence(numbers)
        rows = self._by_seq("facts", numbers)
        return {row["seq"]: as_fact(dict(row), evidence.get(row["seq"], ())) for row in rows}

    def facts_of(self, session_id: str) -> list[Fact]:
        """The facts of a session, in the order in which they were noted."""
        seqs = [row["seq"] for row in self.rows("SELECT seq FROM facts WHERE session_id = ?", [session_id])]
        return [fact for _, fact in sorted(self.facts(seqs).items())]

    def evidence(self, facts: Sequence[int]) -> dict[int, tuple[str, ...]]:
        """For each fact's `seq` the ids of the messages that it rests on, in order."""
        sql = """SELECT fact, messages.id FROM evidence JOIN messages ON messages.seq = evidence.message
                 WHERE fact IN (SELECT value FROM json_each(?)) ORDER BY fact, messages.seq"""
        found: dict[int, tuple[str, ...]] = {}
        for fact, message in self.rows(sql, [json.dumps(facts)]):
            found[fact] = (*found.get(fact, ()), message)
        return found

    def evidence_seqs(self, facts: Iterable[int]) -> dict[int, list[int]]:
        """For each fact's `seq` the `seq` of the messages that it rests on."""
        sql = "SELECT fact, message FROM evidence WHERE fact IN (SELECT value FROM json_each(?)) ORDER BY fact, message"
        found: dict[int, list[int]] = {}
        for fact, message in self.rows(sql, [json.dumps(list(facts))]):
            found.setdefault(fact, []).append(message)
        return found

    # ------------------------------------------------------------------ import

    def merge(
        self, session: Session, messages: Sequence[Message], summary: Summary | None, facts: Sequence[Fact], owes: bool
    ) -> Added:
        """Add what is not there yet of a session from outside, in one transaction; what is there stays as it is."""
        with self.writing() as db:
            new = self.session(session.id) is None
            if new:
                db.table("sessions").insert(session_row(session, wants_notes=owes))
            before = self._counts(session.id)
            if messages:
                db.table("messages").insert_all((message_row(one) for one in messages), ignore=True, batch_size=500)
                self._keep_raw(messages)
            self._insert_notes(None if before[1] else summary, facts)
            after = self._counts(session.id)
        return Added(int(new), *(late - early for late, early in zip(after, before, strict=True)))

    def _counts(self, session_id: str) -> tuple[int, int, int]:
        return (
            self.number("SELECT count(*) FROM messages WHERE session_id = ?", [session_id]),
            self.number("SELECT count(*) FROM summaries WHERE session_id = ?", [session_id]),
            self.number("SELECT count(*) FROM facts WHERE session_id = ?", [session_id]),
        )

    # ------------------------------------------------------------------ what the index holds

    def unindexed(self, collection: str, limit: int, session_id: str | None = None) -> list[tuple[str, int]]:
        """Up to `limit` (kind, seq) that have no vector in `collection`: notes first, then the newest messages."""
        only = "AND session_id = :session" if session_id else ""
        # Each kind by itself can stop at the limit, which a sync reaches 800 times where there are 200,000 messages.
        parts = [
            f"SELECT * FROM (SELECT '{kind}' AS kind, seq FROM {table} AS unit WHERE {where} {only} AND NOT EXISTS "
            f"(SELECT 1 FROM vectors WHERE collection = :collection AND kind = '{kind}' AND vectors.seq = unit.seq) "
            "ORDER BY seq DESC LIMIT :limit)"
            for kind, table, where in UNITS
        ]
        sql = f"SELECT * FROM ({' UNION ALL '.join(parts)}) ORDER BY kind = 'm', seq DESC LIMIT :limit"
        with translated(self.path):
            values = {"collection": collection, "limit": limit, "session": session_id}
            return [(kind, seq) for kind, seq in self.connection.execute(sql, values)]

    def orphaned(self, collection: str) -> list[tuple[str, int]]:
        """(kind, seq) that have a vector in `collection` but no row any more."""
        parts = [
            f"SELECT kind, seq FROM vectors WHERE collection = ? AND kind = '{kind}' "
            f"AND NOT EXISTS (SELECT 1 FROM {table} AS unit WHERE unit.seq = vectors.seq)"
            for kind, table, _ in UNITS
        ]
        return [(kind, seq) for kind, seq in self.rows(" UNION ALL ".join(parts), [collection] * len(parts))]

    def indexed(self, collection: str) -> set[tuple[str, int]]:
        """All (kind, seq) that have an acknowledged vector in `collection`."""
        sql = "SELECT kind, seq FROM vectors WHERE collection = ?"
        return {(kind, seq) for kind, seq in self.rows(sql, [collection])}

    def without_vector(self, messages: Iterable[int]) -> dict[int, bool]:
        """Those of `messages`, by `seq`, that have no vector in any collection, and whether their session goes on."""
        sql = """
            SELECT messages.seq, state = 'open'
            FROM json_each(?) AS asked CROSS JOIN messages ON messages.seq = asked.value
            CROSS JOIN sessions ON sessions.id = session_id
            WHERE NOT EXISTS (
              SELECT 1 FROM collections CROSS JOIN vectors  -- in this order: SQLite would walk through all vectors
              WHERE collection = collections.name AND kind = 'm' AND vectors.seq = asked.value)"""
        return {seq: bool(live) for seq, live in self.rows(sql, [json.dumps(list(messages))])}

    def count_indexed(self, collection: str) -> int:
        """How many vectors `collection` should hold."""
        return self.number("SELECT count(*) FROM vectors WHERE collection = ?", [collection])

    def count_unindexed(self, collection: str) -> int:
        """How many units still want a vector in `collection`."""
        units = sum(self.number(f"SELECT count(*) FROM {table} WHERE {where}") for _, table, where in UNITS)
        return max(0, units + len(self.orphaned(collection)) - self.count_indexed(collection))

    def collections(self) -> list[tuple[str, str]]:
        """The collections that hold vectors, each with its embedding model's name."""
        sql = """SELECT name, model FROM collections
                 WHERE EXISTS (SELECT 1 FROM vectors WHERE collection = collections.name) ORDER BY name"""
        return [(name, model) for name, model in self.rows(sql)]

    def know_collection(self, collection: str, model: str) -> None:
        """Write down whose vectors `collection` holds, if that is not known yet."""
        if not self.rows("SELECT 1 FROM collections WHERE name = ? AND model = ?", [collection, model]):
            with self.writing() as db:
                db.table("collections").upsert({"name": collection, "model": model}, pk="name")

    def note_vectors(
        self, collection: str, added: Iterable[tuple[str, int]] = (), removed: Iterable[tuple[str, int]] = ()
    ) -> None:
        """Write down what was added to and removed from `collection`, and let its readers open it again."""
        with self.writing() as db:
            db.conn.executemany("INSERT OR IGNORE INTO vectors VALUES (?, ?, ?)", [(collection, *one) for one in added])
            db.conn.executemany(
                "DELETE FROM vectors WHERE collection = ? AND kind = ? AND seq = ?",
                [(collection, *one) for one in removed],
            )
            db.execute("INSERT OR IGNORE INTO collections (name) VALUES (?)", [collection])
            db.execute("UPDATE collections SET version = version + 1 WHERE name = ?", [collection])
            db.execute(FINISH, [collection, collection])

    def forget_vectors(self, collection: str) -> None:
        """Write down that `collection` is empty, whatever it held: it is about to be built anew."""
        with self.writing() as db:
            db.execute("DELETE FROM vectors WHERE collection = ?", [collection])
            db.execute("UPDATE collections SET version = version + 1 WHERE name = ?", [collection])
            db.execute("UPDATE sessions SET state = 'summarised' WHERE state = 'indexed'")

    def forget_other_vectors(self, collection: str) -> None:
        """Write down that of all collections only `collection` is left; whoever reads another turns to it."""
        with self.writing() as db:
            db.execute("DELETE FROM vectors WHERE collection <> ?", [collection])
            db.execute("UPDATE collections SET version = version + 1 WHERE name <> ?", [collection])

    def version(self, collection: str) -> int:
        """How many writes `collection` has seen: a reader that knows another number must open it again."""
        return self.number("SELECT version FROM collections WHERE name = ?", [collection])

    # ------------------------------------------------------------------ calibration

    def calibration(self, model: str) -> float:
        """How much larger than counted this model's prompts are; 1.0 when unknown."""
        found = self.rows("SELECT factor FROM calibrations WHERE model = ?", [model])
        return float(found[0][0]) if found else 1.0

    def calibrate(self, model: str, factor: float) -> None:
        """Keep a model's factor."""
        with self.writing() as db:
            db.table("calibrations").upsert({"model": model, "factor": factor}, pk="model")

    # ------------------------------------------------------------------ health

    def rebuild_words(self) -> None:
        """Build the full-text indexes anew from the rows."""
        with self.writing() as db:
            for table in ("messages_fts", "summaries_fts", "facts_fts"):
                db.execute(f"INSERT INTO {table} ({table}) VALUES ('rebuild')")

    def damage(self) -> list[str]:
        """What is wrong with the file, one line each; empty when it is sound."""
        found = [row[0] for row in self.rows("PRAGMA integrity_check") if row[0] != "ok"]
        found += [
            f"{row[0]} row {row[1]} refers to nothing in {row[2]}" for row in self.rows("PRAGMA foreign_key_check")
        ]
        for table in ("messages_fts", "summaries_fts", "facts_fts"):
            try:
                self.connection.execute(f"INSERT INTO {table} ({table}, rank) VALUES ('integrity-check', 1)")
            except sqlite3.DatabaseError as error:
                found.append(f"the full-text index {table} does not match: {error}")
        return found
