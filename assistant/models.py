"""The model table of data/models.json: window, reply, encoding and price of a model, by its name."""

import functools
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import data
from memory.errors import Failure

# What an unknown model is taken for. 8192 is the smallest window that models in use still have: a guess too small
# only forgets earlier, a guess too large gets requests refused. o200k_base is the encoding of the newest models.
UNKNOWN_CONTEXT_TOKENS = 8192
UNKNOWN_REPLY_TOKENS = 1024
UNKNOWN_ENCODING = "o200k_base"

SNAPSHOT = re.compile(r"(-\d{4}-\d{2}-\d{2})?")  # "gpt-4o-2024-08-06" costs what gpt-4o does; "gpt-4o-audio" does not


@dataclass(frozen=True)
class Prices:
    """USD per million tokens, with the day and the place where they were seen.

    `cached` is None where the maker gives no discount. Above `up_to_prompt_tokens` another tariff holds.
    """

    prompt: float
    cached: float | None
    completion: float
    up_to_prompt_tokens: int | None
    seen: str
    source: str


@dataclass(frozen=True)
class LocalFile:
    """A GGUF file that the table pins: where it comes from, and by which size and sha256 it is known.

    `package` is a pip requirement whose wheel holds the file as `member`; both None if there is no such package.
    """

    name: str
    file: str
    bytes: int
    sha256: str
    url: str
    licence: str
    package: str | None = None
    member: str | None = None


@dataclass(frozen=True)
class ModelInfo:
    """What is known of a model. `late_system`: its template takes system messages after the first message.

    `notes`: it can write notes on a session that are worth keeping. `by_schema`: it uses tools better where they are
    offered through a JSON schema (schemacalls.py). `decides`: it can tell what a new fact does to earlier ones.
    """

    name: str
    context_tokens: int
    reply_tokens: int
    encoding: str
    prices: Prices | None
    tools: bool
    known: bool
    local: LocalFile | None
    late_system: bool
    notes: bool
    by_schema: bool
    decides: bool


def lookup(name: str) -> ModelInfo:
    """Return what the table knows of `name`, or the stated defaults with `known` False; raise Failure without a table.

    A maker before a slash ("openai/gpt-4o") is passed over; the price is then unknown, for it is another seller's.
    """
    table = _table()
    bare = name.rpartition("/")[2]
    key = max((key for key in table if bare == key or bare.startswith(key + "-")), key=len, default=None)
    if key is None:
        return _unknown(name)
    row = table[key]
    own_price = bare == name and SNAPSHOT.fullmatch(bare.removeprefix(key)) is not None
    return ModelInfo(
        name=name,
        context_tokens=row["context_tokens"],
        reply_tokens=row["reply_tokens"],
        encoding=row["encoding"],
        prices=Prices(**row["price"]) if row["price"] and own_price else None,
        tools=row["tools"],
        known=True,
        local=LocalFile(name=key, **row["local"]) if "local" in row and name == key else None,
        late_system=row["late_system"],
        notes=row["notes"],
        by_schema=row.get("by_schema", False),
        decides=row.get("decides", True),
    )


def local_files() -> list[LocalFile]:
    """Return the GGUF files that the table pins, smallest first; raise Failure without a table."""
    files = [LocalFile(name=name, **row["local"]) for name, row in _table().items() if "local" in row]
    return sorted(files, key=lambda file: file.bytes)


def cost(prices: Prices | None, prompt: int, cached: int, completion: int) -> float | None:
    """Return the USD for these tokens, or None if the price is unknown. `prompt` includes the `cached` tokens."""
    if prices is None or (prices.up_to_prompt_tokens is not None and prompt > prices.up_to_prompt_tokens):
        return None
    cached_price = prices.prompt if prices.cached is None else prices.cached
    millionths = (prompt - cached) * prices.prompt + cached * cached_price + completion * prices.completion
    return millionths / 1_000_000


def _unknown(name: str) -> ModelInfo:
    return ModelInfo(
        name=name,
        context_tokens=UNKNOWN_CONTEXT_TOKENS,
        reply_tokens=UNKNOWN_REPLY_TOKENS,
        encoding=UNKNOWN_ENCODING,
        prices=None,
        tools=True,  # most endpoints take tools; one that does not says so
        known=False,
        local=None,
        late_system=False,  # some templates refuse a system message that is not the first, others drop it unseen
        notes=True,  # what it writes is checked
        by_schema=False,
        decides=True,  # a control among the questions tells one that cannot
    )


@functools.cache
def _table() -> dict[str, dict[str, Any]]:
    """Read data/models.json once, at the first question."""
    try:
        text = Path(data.__file__).with_name("models.json").read_text(encoding="utf-8")
        return dict(json.loads(text)["models"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Failure(
            f"The model table data/models.json cannot be read: {error}.", "Install the program again."
        ) from error
