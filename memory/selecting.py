"""What its owner asks to forget, found in the store: by id, by literal words, by time."""

from collections.abc import Iterable

from memory import cascade, forms
from memory.cascade import Cascade
from memory.errors import BadInput, NothingFound
from memory.records import Scope
from memory.rows import to_text
from memory.store import Store

# Of each kind its table, its key, its id and what it is called in full.
IDS = {
    "fact": ("facts", "seq", "id", "'fact ' || id"),
    "message": ("messages", "seq", "id", "session_id || '/' || id"),
    "session": ("sessions", "id", "id", "'session ' || id"),
}
FITS = ("{id} = ?1", "{full} = ?1", "substr({id}, 1, length(?1)) = ?1", "substr({full}, 1, length(?1)) = ?1")
FEW = 4


def by_ids(store: Store, names: Iterable[str], fact_only: bool = False) -> Cascade:
    """The cascade of these facts, messages ("SESSION/MESSAGE" where several have the id) and sessions, or prefixes.

    A fact takes the messages that it rests on with it, unless `fact_only`. Raises NothingFound, and BadInput where a
    name fits several.
    """
    found: dict[str, set[int | str]] = {kind: set() for kind in IDS}
    for name in names:
        kind, key = named(store, name)
        found[kind].add(key)
    facts = cascade.same_facts(store, (int(one) for one in found["fact"]))
    messages = {int(one) for one in found["message"]}
    if not fact_only:
        messages |= cascade.with_evidence(store, facts)
    return cascade.of(store, messages, facts, (str(one) for one in found["session"]))


def named(store: Store, name: str) -> tuple[str, int | str]:
    """The kind and key of what has this id, or else of the one thing whose id begins so."""
    for where in FITS if name.strip() else ():
        fits = [
            (kind, row[0], row[1])
            for kind, (table, key, short, full) in IDS.items()
            for row in store.rows(
                f"SELECT {key}, {full} FROM {table} WHERE {where.format(id=short, full=full)}", [name]
            )
        ]
        if len(fits) == 1:
            return fits[0][0], fits[0][1]
        if fits:
            several = ", ".join(one[2] for one in fits[:FEW])
            raise BadInput(f"{name!r} fits several: {several}.", "Write more of it, or SESSION/MESSAGE.")
    raise NothingFound(f"There is nothing with the id {name!r}.", "See `assistant recall` or `assistant memory list`.")


def by_words(store: Store, query: str, scope: Scope) -> Cascade:
    """The cascade of all messages and facts, in the scope, that hold all these words literally."""
    words = list(dict.fromkeys(forms.words(query)))
    if not words:
        raise BadInput(f"{query!r} holds no word.", "Write words that stand in what is to go.")
    after, before = to_text(scope.after) or "", to_text(scope.before) or "9999"
    found: dict[str, set[int]] = {}
    columns = {"messages": "content || ' ' || tool_calls", "facts": "text || ' ' || quote"}
    for table, texts in columns.items():
        rows = store.rows(f"SELECT seq, {texts} FROM {table} WHERE at >= ? AND at < ?", [after, before])
        found[table] = {seq for seq, text in rows if holds(text, words)}
    return cascade.of(store, found["messages"], cascade.same_facts(store, found["facts"]))


def holds(text: str, words: Iterable[str]) -> bool:
    """Whether all the words stand in the text, as words."""
    plain = forms.normal(text)
    wanted = list(words)
    return all(one in plain for one in wanted) and set(wanted) <= set(forms.words(text))


def before(store: Store, scope: Scope) -> Cascade:
    """The cascade of all that was said in the scope."""
    after, until = to_text(scope.after) or "", to_text(scope.before) or "9999"
    rows = store.rows("SELECT seq FROM messages WHERE at >= ? AND at < ?", [after, until])
    facts = store.rows("SELECT seq FROM facts WHERE at >= ? AND at < ?", [after, until])
    return cascade.of(store, {row[0] for row in rows}, {row[0] for row in facts})
