"""Which index answers: the fullest. So the old one does while vectors of a newly chosen embedding model are made.

Sync fills the chosen model's index alone, the newest messages first, and lets the others go once it is complete. What
is said meanwhile has no vector in the old one; words find it.
"""

from collections.abc import Callable, Iterable, Iterator
from itertools import chain, islice
from typing import TYPE_CHECKING

from memory.errors import Failure, IndexBroken
from memory.store import Store

if TYPE_CHECKING:
    from memory.index import Index

Older = Callable[[str], "Index"]  # of an embedding model's name, the index that its vectors are in
Found = list[tuple[str, float]]  # (unit id, cosine), best first
Asked = tuple["Index", Callable[[], Found]]  # an index, and what gives its answer


def held(store: Store, chosen: "Index", older: Older) -> "Iterator[Index]":
    """The indexes that hold vectors, the fullest first, of equal ones the chosen one."""
    collections = store.collections()
    if len(collections) > 1:  # to count one of 200,000 vectors takes longer than to search it
        collections.sort(key=lambda one: (-store.count_indexed(one[0]), one[0] != chosen.collection))
    for name, model in collections:
        yield chosen if name == chosen.collection else older(model)


def on_disk(store: Store, chosen: Callable[[], "Index"], older: Older) -> "Iterator[Index]":
    """The indexes whose files are there, whatever they hold, and those whose folder something else stands in."""
    for name, model in store.rows("SELECT name, model FROM collections ORDER BY name"):
        index = chosen()
        found = index if name == index.collection else older(model)
        if found.folder.exists() or found.folder.parent.is_file():
            yield found


def replaced(store: Store, chosen: "Index") -> bool:
    """Whether the index of another embedding model is still there, to be let go when the chosen one's is complete."""
    return any(name != chosen.collection for name, _ in store.collections())


def nearest(store: Store, chosen: "Index", older: Older, question: str, limit: int) -> tuple[Found, str]:
    """What the fullest index finds, and "" or one line about what kept it from answering; then the next is asked."""
    return begin(store, chosen, older, question, limit)()


def begin(store: Store, chosen: "Index", older: Older, question: str, limit: int) -> Callable[[], tuple[Found, str]]:
    """Begin what `nearest` does; what this gives is called for its result, in this thread, as the store is asked.

    A native index works in a thread of its own, and the store can be searched by words meanwhile.
    """
    asked = (_asked(store, index, question, limit) for index in held(store, chosen, older))
    first = list(islice(asked, 1))
    return lambda: _first_found(store, chain(first, asked))


def _first_found(store: Store, asked: Iterable[Asked]) -> tuple[Found, str]:
    failed: Failure | None = None
    for index, answer in asked:
        try:
            found = answer()
            if not found and store.count_indexed(index.collection):
                raise IndexBroken("The index was lost.")
        except Failure as error:  # the index, or the endpoint that makes vectors
            if any(name == index.collection for name, _ in store.collections()):  # else it was let go just now
                failed = failed or error
        else:
            return found, told(failed, "Words answered, and the new index as far as it is.")
    return [], told(failed, "Words alone answered.")


def _asked(store: Store, index: "Index", question: str, limit: int) -> Asked:
    """An index, and what gives its answer."""
    version = store.version(index.collection)

    def search() -> Found:
        return index.search([question], limit, version)[0]

    return index, _started(search) if index.native else search


def _started(call: Callable[[], Found]) -> Callable[[], Found]:
    """Begin a call in a thread of its own; what this gives waits for the result, or raises its error."""
    from concurrent.futures import ThreadPoolExecutor  # some milliseconds, which a search by words alone spares

    pool = ThreadPoolExecutor(1, "index")
    begun = pool.submit(call)
    pool.shutdown(wait=False)
    return begun.result


def told(failed: Failure | None, instead: str) -> str:
    """A failure in one line, with what answered instead and the remedy."""
    return f"{failed.message} {instead} {failed.remedy}".strip() if failed else ""
