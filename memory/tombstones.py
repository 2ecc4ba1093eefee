"""Tombstones: salted digests of what was forgotten, so that no import and no late job brings it back.

A message is known by its ids, and by its words where they are telling; a fact by its words. Words count only for what
was said before they were forgotten: what their owner says anew is new.
"""

import hashlib
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from memory.records import Fact, Message
from memory.rows import from_text, to_text

if TYPE_CHECKING:
    from memory.store import Store

TELLING = 24  # letters and digits from which on a message's words are not said by chance
SALT = "tombstones"


@dataclass(frozen=True, slots=True)
class Grave:
    """What a deed buries: whole sessions by id, messages, facts."""

    sessions: tuple[str, ...] = ()
    messages: tuple[Message, ...] = ()
    facts: tuple[Fact, ...] = ()


class Tombstones:
    """The tombstones of a store. Raises StoreError for whatever SQLite refuses."""

    def __init__(self, store: "Store") -> None:
        self._store = store
        rows = store.rows("SELECT salt FROM salts WHERE name = ?", [SALT])
        self._salt: bytes = rows[0][0] if rows else b""

    def __bool__(self) -> bool:
        return bool(self._salt)

    def bury(self, grave: Grave, at: datetime) -> None:
        """Write the tombstones of what goes, inside the transaction in which it goes."""
        with self._store.writing() as db:
            if not self._salt:
                self._salt = os.urandom(16)
                db.execute("INSERT INTO salts VALUES (?, ?)", [SALT, self._salt])
            digests = [self._session(one) for one in grave.sessions]
            for message in grave.messages:
                digests += [self._ids(message), *filter(None, [self._words(message)])]
            digests += [self._fact(fact) for fact in grave.facts]
            db.conn.executemany(
                "INSERT OR REPLACE INTO tombstones VALUES (?, ?)", [(one, to_text(at)) for one in digests]
            )

    def sessions(self, ids: Iterable[str]) -> set[str]:
        """Those of the sessions that were forgotten whole."""
        return {one for one in ids if self and self._at(self._session(one))}

    def messages(self, messages: Iterable[Message]) -> set[str]:
        """The ids of those of one session's messages that were forgotten."""
        return {one.id for one in messages if self and self._buried(one)}

    def messages_by_seq(self, messages: Iterable[Message]) -> set[int]:
        """The same for messages of any sessions, by their `seq`."""
        return {one.seq for one in messages if self and self._buried(one)}

    def _buried(self, message: Message) -> bool:
        words = self._words(message)
        return self._at(self._ids(message)) is not None or bool(words and self._before(words, message.at))

    def facts(self, facts: Sequence[Fact]) -> list[Fact]:
        """The facts without those that were forgotten."""
        return [one for one in facts if not self._before(self._fact(one), one.at)] if self else list(facts)

    def _before(self, digest: bytes, said: datetime) -> bool:
        at = self._at(digest)
        return at is not None and said <= at

    def _at(self, digest: bytes) -> datetime | None:
        rows = self._store.rows("SELECT at FROM tombstones WHERE digest = ?", [digest])
        return from_text(rows[0][0]) if rows else None

    def _session(self, session_id: str) -> bytes:
        return self._digest("session", session_id)

    def _ids(self, message: Message) -> bytes:
        return self._digest("message", message.session_id, message.id)

    def _words(self, message: Message) -> bytes | None:
        from memory.grounding import same

        words = same(message.content)
        return self._digest("words", message.role, words) if len(words) >= TELLING else None

    def _fact(self, fact: Fact) -> bytes:
        from memory.grounding import same

        return self._digest("fact", same(fact.text) or fact.text)

    def _digest(self, *parts: str) -> bytes:
        text = "\0".join(parts).encode("utf-8", "surrogatepass")
        return hashlib.blake2b(text, digest_size=16, key=self._salt).digest()


def without(facts: Sequence[Fact], gone: set[str]) -> list[Fact]:
    """Facts without the messages that are gone; one that rested on these alone goes with them."""
    kept = [(one, tuple(each for each in one.message_ids if each not in gone)) for one in facts]
    return [one._replace(message_ids=left) for one, left in kept if left or not one.message_ids]
