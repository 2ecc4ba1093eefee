"""The schema of the store, as steps that are appended and never edited: what is in a release stays as it is.

Rows of messages, summaries and facts never change their text: what is rewritten gets a new row and so a new `seq`
(AUTOINCREMENT never gives a number twice). A vector can therefore be named by kind and `seq` alone.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from memory.forms import forms

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


# Words of every script: `forms` holds what a row is found by beside its own spelling (memory/forms.py), mostly nothing.
# Marks are parts of words, as the vowel signs of Hindi and Thai are.
WORDS = """
DROP TRIGGER messages_added;
DROP TRIGGER messages_gone;
DROP TRIGGER summaries_added;
DROP TRIGGER summaries_gone;
DROP TRIGGER facts_added;
DROP TRIGGER facts_gone;
DROP TABLE messages_fts;
DROP TABLE summaries_fts;
DROP TABLE facts_fts;
DROP VIEW spoken;

ALTER TABLE messages ADD COLUMN forms TEXT;
ALTER TABLE summaries ADD COLUMN forms TEXT;
ALTER TABLE facts ADD COLUMN forms TEXT;
CREATE INDEX facts_at ON facts (at);

CREATE VIEW spoken AS SELECT seq, session_id, name, content, forms FROM messages
  WHERE role IN ('user', 'assistant') AND origin <> 'recalled';
CREATE VIRTUAL TABLE messages_fts USING fts5 (name, content, forms, content='spoken', content_rowid='seq',
  tokenize="porter unicode61 remove_diacritics 2 categories 'L* N* M* Co'");
CREATE TRIGGER messages_added AFTER INSERT ON messages
  WHEN new.role IN ('user', 'assistant') AND new.origin <> 'recalled' BEGIN
  INSERT INTO messages_fts (rowid, name, content, forms) VALUES (new.seq, new.name, new.content, new.forms);
END;
CREATE TRIGGER messages_gone AFTER DELETE ON messages
  WHEN old.role IN ('user', 'assistant') AND old.origin <> 'recalled' BEGIN
  INSERT INTO messages_fts (messages_fts, rowid, name, content, forms)
    VALUES ('delete', old.seq, old.name, old.content, old.forms);
END;

CREATE VIRTUAL TABLE summaries_fts USING fts5 (title, gist, forms, content='summaries', content_rowid='seq',
  tokenize="porter unicode61 remove_diacritics 2 categories 'L* N* M* Co'");
CREATE TRIGGER summaries_added AFTER INSERT ON summaries BEGIN
  INSERT INTO summaries_fts (rowid, title, gist, forms) VALUES (new.seq, new.title, new.gist, new.forms);
END;
CREATE TRIGGER summaries_gone AFTER DELETE ON summaries BEGIN
  INSERT INTO summaries_fts (summaries_fts, rowid, title, gist, forms)
    VALUES ('delete', old.seq, old.title, old.gist, old.forms);
END;

CREATE VIRTUAL TABLE facts_fts USING fts5 (text, forms, content='facts', content_rowid='seq',
  tokenize="porter unicode61 remove_diacritics 2 categories 'L* N* M* Co'");
CREATE TRIGGER facts_added AFTER INSERT ON facts BEGIN
  INSERT INTO facts_fts (rowid, text, forms) VALUES (new.seq, new.text, new.forms);
END;
CREATE TRIGGER facts_gone AFTER DELETE ON facts BEGIN
  INSERT INTO facts_fts (facts_fts, rowid, text, forms) VALUES ('delete', old.seq, old.text, old.forms);
END;
"""
TEXTS = {
    "messages": "SELECT seq, name, content FROM spoken",
    "summaries": "SELECT seq, title, gist FROM summaries",
    "facts": "SELECT seq, text FROM facts",
}


def m002_words(db: "Database") -> None:
    """Full-text search for every script: the forms of all texts, and indexes that hold them."""
    db.executescript(WORDS)
    for table, texts in TEXTS.items():
        found = [(forms(*row[1:]), row[0]) for row in db.conn.execute(texts)]
        db.conn.executemany(f"UPDATE {table} SET forms = ? WHERE seq = ?", [row for row in found if row[0]])
        db.execute(f"INSERT INTO {table}_fts ({table}_fts) VALUES ('rebuild')")


# The name of the model that a collection's vectors were made with: until another one's are complete, questions are put
# to it. Each model has a folder of its own from now on, where the vectors so far do not lie: they are made once more.
MODELS = """
ALTER TABLE collections ADD COLUMN model TEXT NOT NULL DEFAULT '';
DELETE FROM vectors;
DELETE FROM collections;
UPDATE sessions SET state = 'summarised' WHERE state = 'indexed';
"""


def m003_embedding_models(db: "Database") -> None:
    """Which embedding model each collection belongs to."""
    db.executescript(MODELS)


# What each model call was shown and why: references, no copies (memory/receipts.py has the form of `note`, `request`
# and the names of units). What they refer to goes on its own way; a session takes its own receipts with it.
RECEIPTS = """
CREATE TABLE recalls (                      -- what the past had to say to a user message
  turn INTEGER PRIMARY KEY NOT NULL,        -- that message's seq
  session_id TEXT NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
  note TEXT NOT NULL DEFAULT '[]',          -- JSON: the system message made of it, in pieces
  gate TEXT NOT NULL DEFAULT '{}',          -- JSON: the gate's verdict
  trouble TEXT NOT NULL DEFAULT ''          -- why the vectors had no say
);
CREATE INDEX recalls_session ON recalls (session_id);
CREATE TABLE candidates (                   -- what was found for it: first what is shown, then what was cut
  turn INTEGER NOT NULL REFERENCES recalls (turn) ON DELETE CASCADE,
  place INTEGER NOT NULL,                   -- 1 is the best
  unit TEXT NOT NULL,
  score REAL NOT NULL,
  tokens INTEGER NOT NULL,                  -- of its line in the prompt; 0: cut
  reason TEXT NOT NULL,                     -- why it was cut; empty: it is shown
  why TEXT NOT NULL,                        -- JSON
  PRIMARY KEY (turn, place)
) WITHOUT ROWID;
CREATE INDEX candidates_unit ON candidates (unit);

CREATE TABLE receipts (                     -- one row a request, written before it is sent
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  session_id TEXT NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
  purpose TEXT NOT NULL CHECK (purpose IN ('turn', 'notes')),
  turn INTEGER,                             -- the user message's seq; NULL: notes
  step INTEGER NOT NULL,                    -- counted in the turn, or in the writing of the notes; from 1
  at TEXT NOT NULL,
  model TEXT NOT NULL,
  bytes INTEGER NOT NULL,                   -- of the request's body
  sha256 TEXT NOT NULL,                     -- of the same
  request TEXT NOT NULL,                    -- JSON: the body in references
  answer INTEGER,                           -- the assistant message's seq
  prompt_tokens INTEGER,                    -- these three as the endpoint counts
  completion_tokens INTEGER,
  cached_tokens INTEGER,
  ms INTEGER,                               -- until the reply's end; NULL: the process ended before
  finish TEXT,                              -- the endpoint's word, or broken, or interrupted
  error TEXT,
  retries INTEGER                           -- how often the same was sent again
);
CREATE INDEX receipts_session ON receipts (session_id);
CREATE INDEX receipts_turn ON receipts (turn);

-- Constant texts of the program: schemas, what notes are asked for. Nothing that anybody said.
CREATE TABLE texts (unit TEXT PRIMARY KEY NOT NULL, text TEXT NOT NULL) WITHOUT ROWID;

CREATE TABLE replaced (                     -- notes that were written again, but stand in a receipt
  unit TEXT PRIMARY KEY NOT NULL,
  session_id TEXT NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
  text TEXT NOT NULL,
  tokens INTEGER NOT NULL,
  origin TEXT NOT NULL,
  at TEXT NOT NULL,
  messages TEXT NOT NULL                    -- JSON: the seqs that a fact rested on
) WITHOUT ROWID;
CREATE INDEX replaced_session ON replaced (session_id);
"""


def m004_receipts(db: "Database") -> None:
    """What each model call was shown and why."""
    db.executescript(RECEIPTS)


# The loop: what calls of tools came to, what waits for its owner, plans; and receipts for plans and helpers as well.
LOOP = """
CREATE TABLE receipts_new (                 -- one row a request, written before it is sent
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  session_id TEXT NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
  purpose TEXT NOT NULL CHECK (purpose IN ('turn', 'notes', 'plan', 'helper')),
  turn INTEGER,                             -- the user message's seq; NULL: notes
  step INTEGER NOT NULL,                    -- counted in the turn, the helper or the writing of the notes; from 1
  parent INTEGER,                           -- of a helper: the receipt of the step that called it
  helper INTEGER,                           -- and its number in the turn, from 1
  at TEXT NOT NULL,
  model TEXT NOT NULL,
  bytes INTEGER NOT NULL,                   -- of the request's body
  sha256 TEXT NOT NULL,                     -- of the same
  request TEXT NOT NULL,                    -- JSON: the body in references
  answer INTEGER,                           -- the assistant message's seq
  said TEXT,                                -- the answer's text where it is no message of the session
  prompt_tokens INTEGER,                    -- these three as the endpoint counts
  completion_tokens INTEGER,
  cached_tokens INTEGER,
  usd REAL,                                 -- what it cost; NULL: unknown
  ms INTEGER,                               -- until the reply's end; NULL: the process ended before
  finish TEXT,                              -- the endpoint's word, or broken, or interrupted
  error TEXT,
  retries INTEGER                           -- how often the same was sent again
);
INSERT INTO receipts_new (seq, session_id, purpose, turn, step, at, model, bytes, sha256, request, answer,
  prompt_tokens, completion_tokens, cached_tokens, ms, finish, error, retries)
  SELECT seq, session_id, purpose, turn, step, at, model, bytes, sha256, request, answer,
    prompt_tokens, completion_tokens, cached_tokens, ms, finish, error, retries FROM receipts;
DROP TABLE receipts;
ALTER TABLE receipts_new RENAME TO receipts;
CREATE INDEX receipts_session ON receipts (session_id);
CREATE INDEX receipts_turn ON receipts (turn);
CREATE INDEX receipts_at ON receipts (at);

CREATE TABLE calls (                        -- what came of a call of a tool
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  receipt INTEGER NOT NULL REFERENCES receipts (seq) ON DELETE CASCADE,
  call_id TEXT NOT NULL,
  name TEXT NOT NULL,
  arguments TEXT,                           -- NULL: as they stand in the answer's message
  result INTEGER,                           -- the tool message's seq
  said TEXT,                                -- the result's text where it is no message of the session
  ok INTEGER NOT NULL,
  outside INTEGER NOT NULL,                 -- 1: it may hold foreign words
  decision TEXT NOT NULL,                   -- who let it run, or why it did not
  ms INTEGER NOT NULL
);
CREATE INDEX calls_receipt ON calls (receipt);
CREATE INDEX calls_result ON calls (result);

CREATE TABLE pending (                      -- what waits for its owner's yes, until the turn is past it
  id TEXT PRIMARY KEY NOT NULL,
  session_id TEXT NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
  turn INTEGER NOT NULL,                    -- the user message's seq
  kind TEXT NOT NULL CHECK (kind IN ('call', 'plan')),
  call_id TEXT NOT NULL DEFAULT '',
  name TEXT NOT NULL DEFAULT '',
  shown TEXT NOT NULL,                      -- exactly this is approved
  why TEXT NOT NULL,                        -- the rule by which it waits; empty: it asks nothing, and waits with others
  at TEXT NOT NULL,
  decision TEXT CHECK (decision IN ('approved', 'denied')),
  decided_at TEXT,
  note TEXT NOT NULL DEFAULT '',            -- what the owner said with it
  begun_at TEXT                             -- when the turn went on with it: it is not run a second time
);
CREATE INDEX pending_session ON pending (session_id);

CREATE TABLE plans (
  turn INTEGER PRIMARY KEY NOT NULL,        -- the user message's seq
  session_id TEXT NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
  at TEXT NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('proposed', 'working', 'done', 'stopped', 'refused')),
  steps TEXT NOT NULL,                      -- JSON: [{"text", "state", "result"}]
  replanned INTEGER NOT NULL DEFAULT 0      -- how often
);
CREATE INDEX plans_session ON plans (session_id);
"""


def m005_loop(db: "Database") -> None:
    """The log of calls, what waits for approval, and plans."""
    db.executescript(LOOP)


# Trust: what its owner and later notes do to a fact, whose words a message draws on, secrets, and forgetting.
# The texts of facts never change here either: an edit is a new fact, and the old one points to it.
TRUST = """
CREATE TEMP TABLE evidence_kept AS SELECT * FROM evidence;
CREATE TABLE facts_new (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  id TEXT NOT NULL UNIQUE,
  session_id TEXT NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
  text TEXT NOT NULL,
  kind TEXT NOT NULL,
  at TEXT NOT NULL,                         -- when it was said
  valid_from TEXT,                          -- since when it holds
  until TEXT,                               -- up to when it held; NULL: nothing took its place
  quote TEXT NOT NULL DEFAULT '',
  origin TEXT NOT NULL,
  status TEXT NOT NULL CHECK (status IN ('kept', 'review', 'rejected')),
  handled INTEGER NOT NULL DEFAULT 0,       -- 1: its owner decided on it; notes that are written again leave it
  retired_by TEXT,                          -- the id of the fact that took its place
  same_as TEXT,                             -- the id of the fact that says the same, and stands for both
  pinned INTEGER NOT NULL DEFAULT 0,
  tokens INTEGER NOT NULL,                  -- of text
  forms TEXT
);
INSERT INTO facts_new (seq, id, session_id, text, kind, at, valid_from, quote, origin, status, handled, retired_by,
  pinned, tokens, forms)
  SELECT seq, id, session_id, text, kind, at, valid_from, quote, origin, status, pinned, retired_by,
    pinned, tokens, forms FROM facts;
DROP TABLE facts_fts;
DROP TABLE evidence;
DROP TABLE facts;
ALTER TABLE facts_new RENAME TO facts;
CREATE INDEX facts_session ON facts (session_id);
CREATE INDEX facts_at ON facts (at);
CREATE INDEX facts_retired ON facts (retired_by) WHERE retired_by IS NOT NULL;
CREATE INDEX facts_same ON facts (same_as) WHERE same_as IS NOT NULL;
CREATE TABLE evidence (
  fact INTEGER NOT NULL REFERENCES facts (seq) ON DELETE CASCADE,
  message INTEGER NOT NULL REFERENCES messages (seq) ON DELETE CASCADE,
  PRIMARY KEY (fact, message)
) WITHOUT ROWID;
INSERT INTO evidence SELECT * FROM evidence_kept;
DROP TABLE evidence_kept;
CREATE INDEX evidence_message ON evidence (message);
CREATE VIRTUAL TABLE facts_fts USING fts5 (text, forms, content='facts', content_rowid='seq',
  tokenize="porter unicode61 remove_diacritics 2 categories 'L* N* M* Co'");
CREATE TRIGGER facts_added AFTER INSERT ON facts BEGIN
  INSERT INTO facts_fts (rowid, text, forms) VALUES (new.seq, new.text, new.forms);
END;
CREATE TRIGGER facts_gone AFTER DELETE ON facts BEGIN
  INSERT INTO facts_fts (facts_fts, rowid, text, forms) VALUES ('delete', old.seq, old.text, old.forms);
END;
INSERT INTO facts_fts (facts_fts) VALUES ('rebuild');

CREATE TABLE changes (                      -- what was done to facts; it holds no words of theirs
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  deed INTEGER NOT NULL,                    -- what was done at once has one number, and is undone at once
  at TEXT NOT NULL,
  who TEXT NOT NULL,                        -- owner, rules, or the name of a model
  act TEXT NOT NULL,
  fact TEXT NOT NULL,                       -- its id
  other TEXT NOT NULL DEFAULT '',           -- the id of the other fact where there are two
  before TEXT NOT NULL DEFAULT '{}',        -- JSON: the columns that were changed
  undone_at TEXT
);
CREATE INDEX changes_fact ON changes (fact);
CREATE INDEX changes_deed ON changes (deed);

-- The tools whose words from outside stood in the window when a message was written, with commas.
ALTER TABLE messages ADD COLUMN drawn_from TEXT NOT NULL DEFAULT '';
-- Of the messages that are there it is every one that came later in its session: what the window was is not known.
UPDATE messages SET drawn_from = (
  SELECT coalesce(group_concat(DISTINCT read.name), '') FROM messages AS read JOIN calls ON calls.result = read.seq
  WHERE calls.outside AND read.session_id = messages.session_id AND read.seq < messages.seq)
WHERE role = 'assistant' AND session_id IN (
  SELECT read.session_id FROM messages AS read JOIN calls ON calls.result = read.seq WHERE calls.outside);
-- How many secrets were masked in it.
ALTER TABLE messages ADD COLUMN masked INTEGER NOT NULL DEFAULT 0;
CREATE TABLE secrets (                      -- messages as they were, where the setting says that they are kept
  message INTEGER PRIMARY KEY NOT NULL REFERENCES messages (seq) ON DELETE CASCADE,
  content TEXT NOT NULL,
  tool_calls TEXT NOT NULL DEFAULT '[]'
);

CREATE TABLE salts (name TEXT PRIMARY KEY NOT NULL, salt BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE tombstones (                   -- salted digests of what was forgotten, so that it does not come back
  digest BLOB PRIMARY KEY NOT NULL,
  at TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE forgets (                      -- deeds of forgetting; they hold no words
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  at TEXT NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('begun', 'deleted', 'done')),
  plan TEXT NOT NULL DEFAULT '{}',          -- JSON: the rows that are to go, until they are gone
  needles TEXT NOT NULL DEFAULT '[]',       -- JSON: salted digests of stretches of the text, to look for it on disk
  receipt TEXT NOT NULL DEFAULT '{}'        -- JSON: what went, and what the scan found
);
CREATE TABLE carried (                      -- files made outside the home: exports, backups; out of reach
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  at TEXT NOT NULL,
  kind TEXT NOT NULL CHECK (kind IN ('export', 'backup')),
  path TEXT NOT NULL
);
"""


def m006_trust(db: "Database") -> None:
    """What is done to facts, whose words messages draw on, secrets, forgetting."""
    db.executescript(TRUST)


MIGRATIONS: tuple[Callable[["Database"], None], ...] = (
    m001_first,
    m002_words,
    m003_embedding_models,
    m004_receipts,
    m005_loop,
    m006_trust,
)
