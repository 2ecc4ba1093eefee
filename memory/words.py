"""Full-text search: a question as words, and the rows of the store that hold them, by bm25.

A word that stands in most messages costs most of a search and tells least. So the rarer words of a question drive the
search: they say which rows are looked at, the others count where they stand in these. Of commoner words two must agree.
"""

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

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
_WORD = re.compile(r"(?<!\w)\w+")  # from its beginning
# Rows of one kind that a search looks at, at most: all that hold one of the rarest words, which stand in RARE together,
# and those that hold two of the next ones. A row costs about 2 microseconds. Of 200,000 messages the best twenty are
# those of a search in all rows for 99.9 per cent, as with 10,000 rows; with 6,000 for 98.9.
ROWS, RARE = 8_000, 2_000
# Rows in which a word is counted, more than 3 * ROWS. One in more of them adds next to nothing to a score.
COUNTED = 25_000
# A scope with more rows of a kind than these is not looked up before the search.
NARROW = 5_000


class Table(NamedTuple):
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


def search(store: Store, question: str, limits: Mapping[str, int], scope: Scope) -> dict[tuple[str, int], float]:
    """{(kind, seq): bm25} of so many best rows of each kind; higher is better. Empty without a word to search."""
    words = terms(question)
    if not words:
        return {}
    return {
        (kind, row[0]): row[1]
        for kind, limit in limits.items()
        for row in _Search(store, kind, scope).best(words, limit)
    }


def search_facts(store: Store, text: str, limit: int) -> list[int]:
    """The numbers of the facts that hold words of `text`, best first."""
    found = terms(text)
    return [seq for seq, _ in _Search(store, "f", Scope()).best(found, limit)] if found else []


class _Search:
    """A search in one kind of rows."""

    def __init__(self, store: Store, kind: str, scope: Scope) -> None:
        self._store, self._table = store, TABLES[kind]
        self._where, self._values = conditions(scope, self._table.at)
        self._range = self._narrowed() if self._where else ""
        self._known = bool(self._range) or not self._where  # whether all rows looked at are in the scope

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
        if not counts:
            return []
        match, rows, values = self._looked_at(counts)
        sql = self._scoped(rows, limit) if self._where else self._ranked(rows, limit)
        return [(seq, score) for seq, score in self._store.rows(sql, [match, *values, *self._values])]

    def _looked_at(self, counts: Mapping[str, int]) -> tuple[str, str, list[str]]:
        """An FTS5 query for the phrases that score, and which rows are looked at: SQL with its values."""
        if self._store.number(f"SELECT max(seq) FROM {self._table.rows}") <= ROWS:
            return " OR ".join(counts), self._range, []
        if min(counts.values()) > ROWS:
            match = self._together(sorted(counts, key=lambda one: counts[one]))
            return match, self._newest(match) if self._known else self._range, []
        scoring = " OR ".join(one for one in counts if counts[one] < COUNTED)
        driving = f"SELECT rowid FROM {self._table.fts} WHERE {self._table.fts} MATCH ? {self._range}"
        return scoring, f"{self._range} AND +rowid IN ({driving})", [self._driving(counts)]

    def _driving(self, counts: Mapping[str, int]) -> str:
        """An FTS5 query for the rows that hold one of the rarest phrases, or two of the next ones."""
        first, *others = sorted(counts, key=lambda one: counts[one])
        rare, common, total = [first], list[str](), counts[first]
        for one in others:
            total += counts[one]
            if total <= (RARE if self._known else ROWS):
                rare.append(one)
            elif total <= 3 * ROWS:  # so at most half as many rows hold two of them
                common.append(one)
        pairs = [f"({one} AND ({' OR '.join(common[place:])}))" for place, one in enumerate(common[:-1], 1)]
        return " OR ".join([*rare, *pairs])

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
    """Whether a word of `plain` has this stem. Ten times as fast as looking at all of its words."""
    start = plain.find(root)
    while start >= 0:
        word = _WORD.match(plain, start)
        if word and stem(word[0]) == root:
            return True
        start = plain.find(root, start + 1)
    return False
