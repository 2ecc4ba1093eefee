"""Carries out an import: reads, counts tokens, and adds what the store does not have yet."""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import BinaryIO

from memory.errors import BadInput
from memory.export import by_hand
from memory.extract import fact_id
from memory.importers import jsonl
from memory.importers.parsed import Bad, Conversation, Reader
from memory.masks import Masking
from memory.records import IMPORTED, Fact, Summary
from memory.store import Added, Store
from memory.tokens import Counter
from memory.tombstones import Tombstones, without

# Messages to a transaction: a commit waits for the disk, and other processes wait for a transaction (about 0.1 s).
BATCH_MESSAGES = 1000

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Report:
    """What an import did. `conflicts` are messages that are there with another text: what is there was kept.

    `forgotten` are messages and facts that were left out since their owner made the memory forget them.

    `sessions` to `facts` count what was added, `unchanged` the sessions to which nothing was.
    """

    sessions: int = 0
    messages: int = 0
    summaries: int = 0
    facts: int = 0
    unchanged: int = 0
    conflicts: int = 0
    bad: tuple[Bad, ...] = ()
    forgotten: int = 0


def import_file(
    path: Path,
    store: Store,
    counter: Counter,
    *,
    mine: bool,
    owes: bool,
    progress: Progress | None = None,
    reader: Reader = jsonl.read,
) -> Report:
    """Add the sessions in a file to the store.

    `mine`: the file's own word on origins is believed. `owes`: new sessions that bring no summary are owed one.
    `progress` is told the bytes read and the file's size, now and then. Safe to interrupt and to repeat: each
    transaction holds whole sessions, and what is there stays as it is. A session that a live process holds open only
    gets messages and facts, never a summary, which it is still to write. Raises BadInput and StoreError.
    """
    tally = _Tally()
    with _opened(path) as file:
        size = os.fstat(file.fileno()).st_size
        for batch in _batches(reader(file, mine), tally.bad, counter, store):
            with store.writing():
                graves = Tombstones(store)
                for one in batch:
                    kept, left_out = _remembered(graves, one) if graves else (one, 0)
                    tally.forgotten += left_out
                    if kept:
                        tally.count(*_merged(store, kept, owes or left_out > 0))
            if progress:
                progress(file.tell(), size)
    store.masking.tell()
    return tally.report()


@dataclass(slots=True)
class _Tally:
    """What was done so far."""

    added: list[Added] = field(default_factory=list)
    conflicts: int = 0
    bad: list[Bad] = field(default_factory=list)
    forgotten: int = 0

    def count(self, added: Added, conflicts: int) -> None:
        self.added.append(added)
        self.conflicts += conflicts

    def report(self) -> Report:
        return Report(
            sessions=sum(one.sessions for one in self.added),
            messages=sum(one.messages for one in self.added),
            summaries=sum(one.summaries for one in self.added),
            facts=sum(one.facts for one in self.added),
            unchanged=self.added.count(Added()),
            conflicts=self.conflicts,
            bad=tuple(self.bad),
            forgotten=self.forgotten,
        )


def _opened(path: Path) -> BinaryIO:
    try:
        return path.open("rb")
    except OSError as error:
        raise BadInput(f"Cannot read {path}: {error.strerror}.", "Check the path and its rights.") from error


def _batches(
    found: Iterable[Conversation | Bad], bad: list[Bad], counter: Counter, store: Store
) -> Iterator[Sequence[Conversation]]:
    """Conversations with their tokens counted, about a thousand messages at a time; what is bad goes to `bad`."""
    batch: list[Conversation] = []
    messages = 0
    for one in found:
        if isinstance(one, Bad):
            bad.append(one)
            continue
        batch.append(_counted(one, counter, store.masking))
        messages += 1 + len(one.messages)
        if messages >= BATCH_MESSAGES:
            yield batch
            batch, messages = [], 0
    yield batch


def _counted(one: Conversation, counter: Counter, masking: Masking) -> Conversation:
    """The conversation as it is stored: masked, with its tokens counted."""
    messages = [
        message._replace(tokens=counter.message(message.role, message.content, message.name, message.tool_calls))
        for message in map(masking.message, one.messages)
    ]
    facts = [fact._replace(tokens=counter.text(fact.text)) for fact in one.facts]
    return replace(one, messages=tuple(messages), summary=_counted_summary(one.summary, counter), facts=tuple(facts))


def _counted_summary(summary: Summary | None, counter: Counter) -> Summary | None:
    return summary and summary._replace(tokens=counter.text(f"{summary.title}: {summary.gist}"))


def _remembered(graves: Tombstones, one: Conversation) -> tuple[Conversation | None, int]:
    """A conversation without what was forgotten, None where nothing is left, and how much was left out.

    Where it lacks a message, or is less a fact, its title and summary go as well: they may tell of it.
    """
    if graves.sessions([one.session.id]):
        return None, len(one.messages) + len(one.facts)
    gone = graves.messages(one.messages)
    messages = tuple(each for each in one.messages if each.id not in gone)
    facts = tuple(without(graves.facts(one.facts), gone))
    left_out = len(one.messages) - len(messages) + len(one.facts) - len(facts)
    if not left_out:
        return one, 0
    if not messages:
        return None, left_out
    session = one.session._replace(title="", state="ended")
    return replace(one, session=session, messages=messages, facts=facts, summary=None), left_out


def _merged(store: Store, one: Conversation, owes: bool) -> tuple[Added, int]:
    """Add one conversation; returns what was added, and how many messages are there with another text."""
    there = store.session(one.session.id)
    summary = None if there and there.state == "open" else one.summary
    facts = _own_ids(store, _wanted_facts(store, one)) if one.facts else ()
    owes = owes and not by_hand(one.messages, one.summary, one.facts)
    added = store.merge(one.session, one.messages, summary, facts, owes)
    return added, _conflicts(store, one) if added.messages < len(one.messages) else 0


def _wanted_facts(store: Store, one: Conversation) -> Sequence[Fact]:
    """All facts, unless the assistant has written notes of its own since: an earlier file's are not mixed in again."""
    kept = store.summary(one.session.id)
    if kept is None or kept.written_by in {IMPORTED, one.summary.written_by if one.summary else IMPORTED}:
        return one.facts
    return [fact for fact in one.facts if fact.pinned]


def _own_ids(store: Store, facts: Sequence[Fact]) -> Sequence[Fact]:
    """The facts with another id for each whose id is that of another session's fact, as in a copied session."""
    taken = {
        fact.id
        for fact in facts
        if store.rows("SELECT 1 FROM facts WHERE id = ? AND session_id <> ?", [fact.id, fact.session_id])
    }
    return [
        fact._replace(id=fact_id(fact.session_id, fact.text, fact.message_ids)) if fact.id in taken else fact
        for fact in facts
    ]


def _conflicts(store: Store, one: Conversation) -> int:
    rows = store.rows("SELECT id, role, content FROM messages WHERE session_id = ?", [one.session.id])
    kept = {row["id"]: (row["role"], row["content"]) for row in rows}
    return sum(kept[message.id] != (message.role, message.content) for message in one.messages)
