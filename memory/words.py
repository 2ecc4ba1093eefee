"""Full-text search: a question as words, and the rows of the store that hold them, by bm25.

A word that stands in most messages costs most of a search and tells least. So the rarer words of a question drive the
search: they say which rows are looked at, the others count where they stand in these.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from memory import forms
from memory.records import Scope
from memory.rows import to_text
from memory.store import Store

# English words that stand in most messages, however few there are: they are no part of what is asked.
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
INFLECTED = 6  # letters of a word that is also looked for under other endings, where no row holds it as it is
# Rows of one kind that a search looks at. More take longer, about 1 ms a thousand, and change little: of 200,000
# messages the best twenty are the same for 99.7 per cent.
ROWS = 10_000
# Rows in which a word is counted. One in more of them adds next to nothing to a score.
COUNTED = 40_000
# A scope with more rows of a kind than these is not looked up before the search.
NARROW = 5_000


@dataclass(frozen=True, slots=True)
class Table:
    """Where one kind of rows is searched. `rank` weighs the columns; a name is worth half, a title double."""

    rows: str
    rank: str
    at: str  # when it was said, in SQL
    join: str = ""

    @property
    def fts(self) -> str:
        """Its full-text index."""
        return f"{self.rows}_fts"


TABLES = {
    "m": Table("messages", "bm25(messages_fts, 0.5, 1.0, 1.0)", "source.at"),
    "s": Table(
        "summaries",
        "bm25(summaries_fts, 2.0, 1.0, 1.0)",
        "sessions.started_at",
        "JOIN sessions ON sessions.id = source.session_id",
    ),
    "f": Table("facts", "bm25(facts_fts)", "source.at"),
}
ENDED = "coalesce(sessions.ended_at, sessions.started_at)"  # when a summary can have been written at the earliest


def terms(text: str) -> list[str]:
    """The words of a question that are worth searching, in normal form, each once, in order."""
    return [word for word in dict.fromkeys(forms.words(text)) if word not in STOP_WORDS][:MAX_TERMS]


def phrase(word: str) -> str:
    """An FTS5 query for a word, under the form in which it is stored. It is quoted, so it cannot be an operator."""
    found = f'"{forms.stem(word)}"'
    if len(word) == 1 and forms.unspaced(word):
        return found + "*"  # stored are pairs of characters, and the last one of each run
    other = forms.written_out(word)
    return found if other == word else f'({found} OR "{other}")'


def beginning(word: str) -> str:
    """An FTS5 query for words that begin as this one does, "Häusern" as "Häuser"; empty for short words."""
    return f'"{word[:-2]}"*' if len(word) >= INFLECTED else ""


def conditions(scope: Scope, at: str) -> tuple[str, list[str]]:
    """A scope as SQL on the column `at`, with its values."""
    parts, values = [], []
    for sql, value in (
        (f"{at} >= ?", to_text(scope.after)),
        (f"{at} < ?", to_text(scope.before)),
        (f"{ENDED if at == 'sessions.started_at' else at} < ?", to_text(scope.as_of)),
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
    return {(kind, row[0]): row[1] for kind in TABLES for row in _Search(store, kind, scope).best(words, limit)}


class _Search:
    """A search in one kind of rows."""

    def __init__(self, store: Store, kind: str, scope: Scope) -> None:
        self._store, self._table = store, TABLES[kind]
        self._where, self._values = conditions(scope, self._table.at)
        self._range = self._narrowed() if self._where else ""

    def _narrowed(self) -> str:
        """A scope as a range of numbers: rows are numbered as they come, and so nearly by time and session."""
        sql = f"""
            SELECT count(*), min(seq), max(seq) FROM (
                SELECT source.seq AS seq FROM {self._table.rows} AS source {self._table.join}
                WHERE true {self._where} LIMIT {NARROW})"""
        count, first, last = self._store.rows(sql, self._values)[0]
        return f"AND rowid BETWEEN {first or 0} AND {last or 0}" if count < NARROW else ""

    def best(self, words: Sequence[str], limit: int) -> list[tuple[int, float]]:
        """(seq, bm25) of the best rows for these words, best first."""
        counts = self._counts(words)
        match = self._match(counts)
        if not match:
            return []
        known = self._range or not self._where  # whether all rows looked at are in the scope
        rows = self._newest(match) if known and min(counts.values()) > ROWS else self._range
        sql = self._scoped(rows, limit) if self._where else self._ranked(rows, limit)
        return [(seq, score) for seq, score in self._store.rows(sql, [match, *self._values])]

    def _ranked(self, rows: str, limit: int) -> str:
        """SQL for the best of the rows that match."""
        return f"""
            SELECT rowid AS seq, -{self._table.rank} AS score FROM {self._table.fts}
            WHERE {self._table.fts} MATCH ? {rows} ORDER BY score DESC LIMIT {limit}"""

    def _scoped(self, rows: str, limit: int) -> str:
        """SQL for the same within a scope: row after row is looked up, best first, until there are enough."""
        return f"""
            SELECT ranked.seq, score FROM ({self._ranked(rows, -1)}) AS ranked
            CROSS JOIN {self._table.rows} AS source ON source.seq = ranked.seq {self._table.join}
            WHERE true {self._where} LIMIT {limit}"""

    def _counts(self, words: Sequence[str]) -> dict[str, int]:
        """The phrases to search for, each with the number of its rows, up to COUNTED; what stands in none is left out.

        A word that stands nowhere is looked for under other endings: only those of English and Russian are known.
        """
        counts = {}
        for word in words:
            for one in filter(None, (phrase(word), beginning(word))):
                if count := self._count(one):
                    counts[one] = count
                    break
        return counts

    def _match(self, counts: Mapping[str, int]) -> str:
        """An FTS5 query for any of the phrases, driven by the rarer ones where there are many rows."""
        if self._store.number(f"SELECT max(seq) FROM {self._table.rows}") <= ROWS:
            return " OR ".join(counts)
        by_count = sorted(counts, key=lambda one: counts[one])
        driving, total = [], 0
        for one in by_count:
            if (total := total + counts[one]) <= ROWS:
                driving.append(one)
        if not driving:
            return self._together(by_count)
        others = [one for one in by_count if one not in driving and counts[one] < COUNTED]
        return _with(" OR ".join(driving), " OR ".join(others))

    def _together(self, phrases: Sequence[str]) -> str:
        """A query for common phrases: of rows that hold several of them, as few as can be looked at."""
        match = phrases[0] if phrases else ""
        for one in phrases[1:]:
            if self._count(match) < ROWS:
                break
            if self._count(both := f"{match} AND {one}"):
                match = both
        return match

    def _newest(self, match: str) -> str:
        """A range with the newest of the rows that match: where all words are common, they are as good as others."""
        sql = f"SELECT rowid FROM {self._table.fts} WHERE {self._table.fts} MATCH ? {self._range} ORDER BY rowid DESC"
        first = self._store.number(f"SELECT min(rowid) FROM ({sql} LIMIT {ROWS})", [match])
        return f"{self._range} AND rowid >= {first}"

    def _count(self, match: str) -> int:
        sql = f"SELECT 1 FROM {self._table.fts} WHERE {self._table.fts} MATCH ? {self._range} LIMIT {COUNTED}"
        return self._store.number(f"SELECT count(*) FROM ({sql})", [match])


def _with(driving: str, others: str) -> str:
    """A query for the rows of `driving` in whose scores `others` count too. FTS5 scores what stands on the side of the
    OR that a row matches, so each phrase once."""
    return f"(({driving}) NOT ({others})) OR (({driving}) AND ({others}))" if driving and others else driving


@lru_cache(1 << 16)
def stem(word: str) -> str:
    """A crude stem for comparing words of one language: "vegetarians" and "vegetarian", "moved" and "moving"."""
    for ending in ("ings", "ing", "edly", "ies", "ied", "es", "ed", "ly", "s", "e", "y"):
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            return word[: -len(ending)]
    return forms.stem(word)


def all_words(text: str) -> set[str]:
    """The words of a text, in normal form."""
    return set(forms.words(text))


def held(terms: Sequence[str], text: str) -> set[str]:
    """Those of `terms` that stand in `text`, by their stems; of a script without spaces anywhere in it."""
    plain = forms.comparable(text)
    return {term for term, root, inside in _roots(tuple(terms)) if root in plain and (inside or _stands(root, plain))}


@lru_cache(1 << 8)
def _roots(terms: tuple[str, ...]) -> list[tuple[str, str, bool]]:
    """Each term with what must stand in a text for it, and whether that may stand inside of a word."""
    return [
        (term, term, True) if forms.unspaced(term) else (term, stem(forms.comparable(term)), False) for term in terms
    ]


def _stands(root: str, plain: str) -> bool:
    return any(stem(word) == root for word in _begun(root).findall(plain))


@lru_cache(1 << 12)
def _begun(root: str) -> re.Pattern[str]:
    """What finds the words that begin with `root`. Ten times as fast as looking at all words of each text."""
    return re.compile(rf"\b{re.escape(root)}\w*")
