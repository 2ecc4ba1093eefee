"""Full-text search: a question as words, and the rows of the store that hold them, by bm25."""

import re
from collections.abc import Sequence
from functools import lru_cache

from memory.records import Scope
from memory.rows import to_text
from memory.store import Store

# Words that stand in most messages: they cost most of a search's time and tell nothing (52 ms against 11 ms measured).
STOP_WORDS = frozenset(
    """
    a about above after again ago all also am an and any are as at be because been before being below between both
    but by can could did do does doing don down during each few for from further get got had has have having he her
    here hers him his how i if in into is it its itself just let like many me more most much my myself no nor not
    now of off often on once only or other our ours out over own please s same she should so some such t tell than
    that the their theirs them then there these they this those through to too under until up very was we were what
    when where which while who whom why will with would you your yours yourself ve ll re d m
    """.split()
)
MAX_TERMS = 40  # a pasted page is no question; its first words are as good
TABLES = {
    "m": ("messages_fts", "messages", "bm25(messages_fts, 0.5, 1.0)", "source.at"),
    "s": ("summaries_fts", "summaries", "bm25(summaries_fts, 2.0, 1.0)", "sessions.started_at"),
    "f": ("facts_fts", "facts", "bm25(facts_fts)", "source.at"),
}


def terms(text: str) -> list[str]:
    """The words of a question that are worth searching, lower case, each once, in order."""
    words = dict.fromkeys(re.findall(r"\w+", text.casefold()))
    return [word for word in words if word not in STOP_WORDS][:MAX_TERMS]


def expression(words: Sequence[str]) -> str:
    """An FTS5 query for any of the words. Each is quoted, so none can be an operator."""
    return " OR ".join('"' + word.replace('"', '""') + '"' for word in words)


def conditions(scope: Scope, at: str) -> tuple[str, list[str]]:
    """A scope as SQL on the column `at`, with its values."""
    parts, values = [], []
    for sql, value in (
        (f"{at} >= ?", to_text(scope.after)),
        (f"{at} < ?", to_text(scope.before)),
        ("source.session_id = ?", scope.session_id),
    ):
        if value:
            parts.append(" AND " + sql)
            values.append(value)
    return "".join(parts), values


def search(store: Store, question: str, limit: int, scope: Scope) -> dict[tuple[str, int], float]:
    """{(kind, seq): bm25} of the best `limit` rows of each kind; higher is better. Empty without a word to search."""
    words = terms(question)
    if not words:
        return {}
    return {
        (kind, row[0]): -row[1] for kind in TABLES for row in store.rows(*_query(kind, scope, expression(words), limit))
    }


def _query(kind: str, scope: Scope, match: str, limit: int) -> tuple[str, list[str | int]]:
    fts, table, rank, at = TABLES[kind]
    where, values = conditions(scope, at)
    sql = f"""
        SELECT {fts}.rowid, {rank} AS rank FROM {fts} JOIN {table} AS source ON source.seq = {fts}.rowid
        JOIN sessions ON sessions.id = source.session_id
        WHERE {fts} MATCH ? {where} ORDER BY rank LIMIT ?"""
    return sql, [match, *values, limit]


@lru_cache(1 << 16)
def stem(word: str) -> str:
    """A crude stem for comparing words of one language: "vegetarians" and "vegetarian", "moved" and "moving"."""
    for ending in ("ings", "ing", "edly", "ies", "ied", "es", "ed", "ly", "s", "e", "y"):
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            return word[: -len(ending)]
    return word


def all_words(text: str) -> set[str]:
    """The words of a text, lower case."""
    return set(re.findall(r"\w+", text.casefold()))


def held(terms: Sequence[str], text: str) -> set[str]:
    """Those of `terms` that stand in `text`, by their stems."""
    lower = text.casefold()
    return {term for term in terms if (root := stem(term)) in lower and _stands(root, lower)}


def _stands(root: str, lower: str) -> bool:
    return any(stem(word) == root for word in _begun(root).findall(lower))


@lru_cache(1 << 12)
def _begun(root: str) -> re.Pattern[str]:
    """What finds the words that begin with `root`. Ten times as fast as looking at all words of each text."""
    return re.compile(rf"\b{re.escape(root)}\w*")
