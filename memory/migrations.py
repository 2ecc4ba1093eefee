"""The schema of the store, as steps that are appended and never edited: what is in a release stays as it is.

Rows of messages, summaries and facts never change their text: what is rewritten gets a new row and so a new `seq`
(AUTOINCREMENT never gives a number twice). A vector can therefore be named by kind and `seq` alone.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlite_utils import Database

FIRST = """
CREATE TABLE sessions (
  id TEXT PRIMARY KEY NOT NULL,
  title TEXT NOT NULL DEFAULT '',
  started_at TEXT NOT NULL,
  ended_at TEXT,
  state TEXT NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'ended', 'summarised', 'indexed')),
  wants_notes INTEGER NOT NULL DEFAULT 1,   -- 0: imported without; nothing is owed
  origin TEXT NOT NULL,
  model TEXT NOT NULL DEFAULT ''
);
CREATE INDEX sessions_started ON sessions (started_at);

CREATE TABLE messages (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  id TEXT NOT NULL,
  session_id TEXT NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
  role TEXT NOT NULL CHECK (role IN ('system', 'user', 'assistant', 'tool')),
  content TEXT NOT NULL,
  name TEXT,
  tool_calls TEXT NOT NULL DEFAULT '[]',    -- JSON: [{id, name, arguments}]
  tool_call_id TEXT,
  origin TEXT NOT NULL,                     -- set by code, never by text
  at TEXT NOT NULL,                         -- ISO 8601, UTC
  tokens INTEGER NOT NULL,                  -- its cost in a request, framing included
  UNIQUE (session_id, id)
);
CREATE INDEX messages_at ON messages (at);

CREATE TABLE summaries (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  session_id TEXT NOT NULL UNIQUE REFERENCES sessions (id) ON DELETE CASCADE,
  title TEXT NOT NULL,
  gist TEXT NOT NULL,
  at TEXT NOT NULL,
  written_by TEXT NOT NULL,                 -- a model's name, 'extracted' or 'imported'
  tried_by TEXT NOT NULL DEFAULT '',        -- the model whose own notes failed the checks
  origin TEXT NOT NULL,
  tokens INTEGER NOT NULL                   -- of title and gist
);

CREATE TABLE facts (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  id TEXT NOT NULL UNIQUE,
  session_id TEXT NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
  text TEXT NOT NULL,
  kind TEXT NOT NULL,
  at TEXT NOT NULL,                         -- when it was said
  valid_from TEXT,                          -- since when it holds
  quote TEXT NOT NULL DEFAULT '',
  origin TEXT NOT NULL,
  status TEXT NOT NULL CHECK (status IN ('kept', 'review')),
  retired_by TEXT,
  pinned INTEGER NOT NULL DEFAULT 0,
  tokens INTEGER NOT NULL                   -- of text
);
CREATE INDEX facts_session ON facts (session_id);

CREATE TABLE evidence (
  fact INTEGER NOT NULL REFERENCES facts (seq) ON DELETE CASCADE,
  message INTEGER NOT NULL REFERENCES messages (seq) ON DELETE CASCADE,
  PRIMARY KEY (fact, message)
) WITHOUT ROWID;
CREATE INDEX evidence_message ON evidence (message);

-- What each collection of the index holds, as far as its writers acknowledged it.
CREATE TABLE vectors (
  collection TEXT NOT NULL,
  kind TEXT NOT NULL CHECK (kind IN ('m', 's', 'f')),
  seq INTEGER NOT NULL,
  PRIMARY KEY (collection, kind, seq)
) WITHOUT ROWID;
-- Counts the writes to a collection, so that a reader knows when to open it again.
CREATE TABLE collections (name TEXT PRIMARY KEY NOT NULL, version INTEGER NOT NULL DEFAULT 0);

-- How much larger than counted a model's prompts are.
CREATE TABLE calibrations (model TEXT PRIMARY KEY NOT NULL, factor REAL NOT NULL);

-- Only what people and the assistant said is searched: tool results may be anybody's words, recalled text is old.
CREATE VIEW spoken AS SELECT seq, session_id, name, content FROM messages
  WHERE role IN ('user', 'assistant') AND origin <> 'recalled';
CREATE VIRTUAL TABLE messages_fts USING fts5 (
  name, content, content='spoken', content_rowid='seq', tokenize='porter unicode61 remove_diacritics 2');
CREATE TRIGGER messages_added AFTER INSERT ON messages
  WHEN new.role IN ('user', 'assistant') AND new.origin <> 'recalled' BEGIN
  INSERT INTO messages_fts (rowid, name, content) VALUES (new.seq, new.name, new.content);
END;
CREATE TRIGGER messages_gone AFTER DELETE ON messages
  WHEN old.role IN ('user', 'assistant') AND old.origin <> 'recalled' BEGIN
  INSERT INTO messages_fts (messages_fts, rowid, name, content) VALUES ('delete', old.seq, old.name, old.content);
END;

CREATE VIRTUAL TABLE summaries_fts USING fts5 (
  title, gist, content='summaries', content_rowid='seq', tokenize='porter unicode61 remove_diacritics 2');
CREATE TRIGGER summaries_added AFTER INSERT ON summaries BEGIN
  INSERT INTO summaries_fts (rowid, title, gist) VALUES (new.seq, new.title, new.gist);
END;
CREATE TRIGGER summaries_gone AFTER DELETE ON summaries BEGIN
  INSERT INTO summaries_fts (summaries_fts, rowid, title, gist) VALUES ('delete', old.seq, old.title, old.gist);
END;

CREATE VIRTUAL TABLE facts_fts USING fts5 (
  text, content='facts', content_rowid='seq', tokenize='porter unicode61 remove_diacritics 2');
CREATE TRIGGER facts_added AFTER INSERT ON facts BEGIN
  INSERT INTO facts_fts (rowid, text) VALUES (new.seq, new.text);
END;
CREATE TRIGGER facts_gone AFTER DELETE ON facts BEGIN
  INSERT INTO facts_fts (facts_fts, rowid, text) VALUES ('delete', old.seq, old.text);
END;
"""


def m001_first(db: "Database") -> None:
    """Sessions, messages, notes, and what the index holds."""
    db.executescript(FIRST)


MIGRATIONS: tuple[Callable[["Database"], None], ...] = (m001_first,)
