"""Which index answers: the fullest. So the old one does while vectors of a newly chosen embedding model are made.

Sync fills the chosen model's index alone, the newest messages first, and lets the others go once it is complete. What
is said meanwhile has no vector in the old one; words find it.
"""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from memory.errors import Failure, IndexBroken
from memory.store import Store

if TYPE_CHECKING:
    from memory.index import Index

Older = Callable[[str], "Index"]  # of an embedding model's name, the index that its vectors are in
Found = list[tuple[str, float]]  # (unit id, cosine), best first


def held(store: Store, chosen: "Index", older: Older) -> "Iterator[Index]":
    """The indexes that hold vectors, the fullest first, of equal ones the chosen one."""
    collections = store.collections()
    if len(collections) > 1:  # to count one of 200,000 vectors takes longer than to search it
        collections.sort(key=lambda one: (-store.count_indexed(one[0]), one[0] != chosen.collection))
    for name, model in collections:
        yield chosen if name == chosen.collection else older(model)


def replaced(store: Store, chosen: "Index") -> bool:
    """Whether the index of another embedding model is still there, to be let go when the chosen one's is complete."""
    return any(name != chosen.collection for name, _ in store.collections())


def nearest(store: Store, chosen: "Index", older: Older, question: str, limit: int) -> tuple[Found, str]:
    """What the fullest index finds, and "" or one line about what kept it from answering; then the next is asked."""
    failed: Failure | None = None
    for index in held(store, chosen, older):
        try:
            found = search(store, index, question, limit)
        except Failure as error:  # the index, or the endpoint that makes vectors
            if any(name == index.collection for name, _ in store.collections()):  # else it was let go just now
                failed = failed or error
        else:
            return found, told(failed, "Words answered, and the new index as far as it is.")
    return [], told(failed, "Words alone answered.")


def told(failed: Failure | None, instead: str) -> str:
    """A failure in one line, with what answered instead and the remedy."""
    return f"{failed.message} {instead} {failed.remedy}".strip() if failed else ""


def search(store: Store, index: "Index", question: str, limit: int) -> Found:
    """What one index finds. Raises IndexBroken where it is empty and should not be."""
    found = index.search([question], limit, store.version(index.collection))[0]
    if not found and store.count_indexed(index.collection):
        raise IndexBroken("The index was lost.")
    return found
