"""Makes the index hold what the store says: what is missing gets its vector, what is gone loses it. Safe to repeat."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from memory.answering import replaced
from memory.errors import Failure, IndexBroken, IndexUnavailable
from memory.index import Index, Unit, Vector
from memory.records import Fact, Message, Summary
from memory.store import Store
from memory.units import parsed, text_of, unit_id

log = logging.getLogger(__name__)

# Units between two commits: some seconds of embedding on one slow core, which is all that a kill can cost.
BATCH = 256

Progress = Callable[[int, int], None]  # (done, total) units


@dataclass(frozen=True, slots=True)
class Synced:
    """What a sync did. `rebuilt` says that the index was missing or broken and was begun anew."""

    added: int = 0
    removed: int = 0
    rebuilt: bool = False
    finished: bool = True


def sync(
    store: Store,
    index: Index,
    session_id: str | None = None,
    progress: Progress | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> Synced:
    """Bring the index up to date, for one session or for all; `stop` is asked between batches.

    An index that is broken is built anew; one that another process is writing is left alone. Raises IndexUnavailable.
    """
    rebuilt = False
    store.know_collection(index.collection, index.model)
    try:
        reconcile(store, index)
    except IndexBroken:
        rebuild(store, index)
        rebuilt = True
    removed = remove_orphans(store, index)
    added, finished = _add(store, index, session_id, progress, stop)
    if finished:
        retire_others(store, index)
    return Synced(added, removed, rebuilt, finished)


def rebuild(store: Store, index: Index) -> None:
    """Throw the index away and write down that it is empty."""
    index.rebuild()
    store.forget_vectors(index.collection)


def retire_others(store: Store, index: Index) -> None:
    """Once this index has all vectors, let go of those of other embedding models, which answered until then.

    They go from the list first, all at once: whoever asks next asks this index. A kill between list and disk leaves
    files that nobody reads; the next sync deletes them.
    """
    if not (replaced(store, index) or index.others()) or store.unindexed(index.collection, 1):
        return
    with index.writing():
        store.forget_other_vectors(index.collection)
        for refused in index.delete_others():
            log.warning("an old index is still there: %s", refused)


def reconcile(store: Store, index: Index) -> None:
    """Make index and list agree where they do not: a killed writer, a folder or a store that was restored.

    A vector that is not listed goes: a restored store gives a number again, so it may be another text's. What another
    process adds meanwhile may be taken off the list, and is then added twice, which does no harm.
    """
    if index.count() == store.count_indexed(index.collection):
        return
    there = {parsed(unit) for unit in index.ids()}
    with index.writing():
        listed = store.indexed(index.collection)
        index.delete([unit_id(*one) for one in there - listed])
        store.note_vectors(index.collection, removed=listed - there)


def remove_orphans(store: Store, index: Index) -> int:
    """Take the vectors of rows that are gone out of the index; returns how many."""
    gone = store.orphaned(index.collection)
    if gone:
        with index.writing():
            index.delete([unit_id(*one) for one in gone])
            store.note_vectors(index.collection, removed=gone)
    return len(gone)


def _add(
    store: Store, index: Index, session_id: str | None, progress: Progress | None, stop: Callable[[], bool]
) -> tuple[int, bool]:
    total = store.count_unindexed(index.collection) if progress else 0
    done = 0
    while batch := store.unindexed(index.collection, BATCH, session_id):
        if stop():
            return done, False
        vectors = _embedded(index, units_of(store, batch))
        with index.writing():
            there = {unit.id for unit in units_of(store, batch)}  # else what was forgotten meanwhile would come back
            index.upsert([one for one in vectors if one[0] in there])
            store.note_vectors(index.collection, added=map(parsed, there))
        done += len(batch)
        if progress:
            progress(done, max(total, done))
    return done, True


def _embedded(index: Index, units: Sequence[Unit]) -> list[Vector]:
    try:
        return index.embed(units)
    except Failure as error:  # also that of an endpoint which makes the vectors
        raise IndexUnavailable(error.message, error.remedy) from error


def units_of(store: Store, batch: Sequence[tuple[str, int]]) -> list[Unit]:
    """The units of a batch of (kind, seq), with the text that each stands for."""
    seqs: dict[str, list[int]] = {"m": [], "s": [], "f": []}
    for kind, seq in batch:
        seqs[kind].append(seq)
    records: dict[tuple[str, int], Message | Summary | Fact] = {
        **{("m", seq): one for seq, one in store.messages(seqs["m"]).items()},
        **{("s", seq): one for seq, one in store.summaries(seqs["s"]).items()},
        **{("f", seq): one for seq, one in store.facts(seqs["f"]).items()},
    }
    return [Unit(unit_id(*key), text_of(record)) for key, record in records.items()]
