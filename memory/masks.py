"""The gate in front of the store: whatever text is written into it is masked (memory/masking.py), and counted."""

import re
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from itertools import cycle
from typing import Any

from memory.records import Message

KNOWN = 4000  # texts, of at most as many thousand characters in all: those of some batches of an import
MARK = "[masked: "  # begins what stands in a secret's place
SHORTEST = 6  # characters; nothing shorter is a secret together with what names it
KEPT = "The setting keep_secrets keeps them in raw messages."

MADE = frozenset(["at", "forms", "started_at", "ended_at", "valid_from", "until"])
COLUMNS = re.compile(r'\s*INSERT (?:OR \w+ )?INTO ["\[]?\w+["\]]?\s*\(([\w\s,"\[\]]+)\)\s*VALUES\s*\([?,\s]+\)', re.I)

Values = Sequence[Any] | Mapping[str, Any]


class Masking:
    """What is done to texts before they are stored. `keep`: messages are kept as they were, too, in a table apart.

    `say` is told in one line what was masked.
    """

    def __init__(self, on: bool = True, keep: bool = False, say: Callable[[str], None] | None = None) -> None:
        self.on, self.keep, self._say = on, on and keep, say
        self._found: Counter[str] = Counter()
        self._raw: dict[str, Message] = {}  # by id, as they were, until they are stored
        self._known: set[str] = set()  # texts that hold no secret: what was just masked comes to the gate again
        self._known_characters = 0

    def text(self, text: str) -> str:
        """The text as it is stored."""
        return self._masked(text)[0]

    def _masked(self, text: str) -> tuple[str, tuple[str, ...]]:
        if not self.on or len(text) < SHORTEST or text in self._known:
            return text, ()
        from memory.masking import masked

        kept, found = masked(text)
        self._know(kept)
        return kept, found

    def _know(self, text: str) -> None:
        self._known_characters += len(text)
        if len(self._known) >= KNOWN or self._known_characters > KNOWN * 1000:
            self._known.clear()
            self._known_characters = len(text)
        self._known.add(text)

    def message(self, message: Message) -> Message:
        """The message as it is stored, and counted for what `tell` says. Its tokens are those of before."""
        content, found = self._masked(message.content)
        name, calls = message.name, message.tool_calls
        if calls:
            each = [self._masked(call.arguments) for call in calls]
            found += tuple(one for _, names in each for one in names)
            calls = tuple(call._replace(arguments=text) for call, (text, _) in zip(calls, each, strict=True))
        if name:
            name, names = self._masked(name)
            found += names
        if not found:
            return message
        self._found.update(found)
        if self.keep:
            self._raw[message.id] = message
        masked = message.masked + len(found)
        return message._replace(content=content, name=name, tool_calls=calls, masked=masked)

    def raw(self, message: Message) -> Message | None:
        """What a message was before it was masked, once, where that is to be kept."""
        return self._raw.pop(message.id, None)

    def noted(self, text: str) -> str:
        """The text as it is stored, and counted for what `tell` says."""
        masked, found = self._masked(text)
        self._found.update(found)
        return masked

    def tell(self) -> None:
        """Say what was masked since this was called last; nothing where nothing was."""
        found, self._found = self._found, Counter()
        self._raw.clear()
        if found and self._say:
            kept = "They are kept in raw messages alone (keep_secrets)." if self.keep else KEPT
            self._say(f"Masked before it was stored: {', '.join(_counted(*one) for one in found.items())}. {kept}")

    def values(self, value: Any) -> Any:
        """A value of JSON with all its texts masked; the very same where there is no secret in it."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, list | tuple):
            return [self.values(each) for each in value]
        return {name: self.values(each) for name, each in value.items()} if isinstance(value, Mapping) else value


def _counted(name: str, number: int) -> str:
    return f"{number} {name}{'s' if number > 1 else ''}"


class Gate:
    """A connection whose statements that write get masked texts: no row is written past it.

    What is masked already stays as it is. Only the table `secrets` is written on the connection itself.
    """

    def __init__(self, connection: sqlite3.Connection, masking: Masking) -> None:
        self._connection, self._masking = connection, masking

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    def execute(self, sql: str, values: Values = ()) -> sqlite3.Cursor:
        """As the connection's own."""
        return self._connection.execute(sql, self._through(values, _made(sql)) if _writes(sql) else values)

    def executemany(self, sql: str, rows: Iterable[Values]) -> sqlite3.Cursor:
        """As the connection's own."""
        made = _made(sql)
        return self._connection.executemany(sql, (self._through(row, made) for row in rows) if _writes(sql) else rows)

    def _through(self, values: Values, made: Sequence[bool]) -> Values:
        if not self._masking.on:
            return values
        text = self._masking.text
        if isinstance(values, Mapping):
            return {name: text(one) if isinstance(one, str) else one for name, one in values.items()}
        flags = cycle(made)
        return [text(one) if isinstance(one, str) and not own else one for one, own in zip(values, flags, strict=False)]


@lru_cache(maxsize=64)
def _made(sql: str) -> tuple[bool, ...]:
    """For each value of a row whether the program makes it: of what is masked already, or of no words at all."""
    columns = COLUMNS.match(sql)
    return tuple(one.strip(' []"') in MADE for one in columns[1].split(",")) if columns else (False,)


def _writes(sql: str) -> bool:
    return sql.lstrip()[:7].upper() in ("INSERT ", "UPDATE ", "REPLACE")
