"""What calls of models took, summed up by day, model, session or purpose."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from memory.receipts import UNPRICED, Receipt
from memory.rows import to_text
from memory.store import Store

By = Literal["day", "model", "session", "purpose"]

# What calls are grouped by. Days are those of the clock on the wall, where this machine stands.
COLUMNS: dict[By, str] = {
    "day": "date(at, 'localtime')",
    "model": "model",
    "session": "session_id",
    "purpose": "purpose",
}


@dataclass(frozen=True, slots=True)
class Usage:
    """What calls took: their number, tokens as the endpoints counted them, US dollars, milliseconds.

    `prompt_tokens` hold the `cached_tokens`. `usd` is the sum of the known prices, None where none is known; of
    `unpriced` calls the price is unknown.
    """

    calls: int = 0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    usd: float | None = None
    unpriced: int = 0
    ms: int = 0


def usage(
    store: Store, by: By, after: datetime | None = None, before: datetime | None = None
) -> list[tuple[str, Usage]]:
    """What the calls took that began from `after` on and before `before`, for each day, model, session or purpose.

    Days and sessions come in order of time, models and purposes by name. Raises StoreError.
    """
    order = "min(at)" if by in ("day", "session") else "1"
    sql = f"""SELECT {COLUMNS[by]}, count(*), coalesce(sum(prompt_tokens), 0), coalesce(sum(cached_tokens), 0),
              coalesce(sum(completion_tokens), 0), sum(usd), sum({UNPRICED}), coalesce(sum(ms), 0)
              FROM receipts WHERE at >= ? AND at < ? GROUP BY 1 ORDER BY {order}"""
    bounds = [to_text(after) or "", to_text(before) or "~"]  # "~" sorts behind every date
    return [(str(row[0]), Usage(*row[1:])) for row in store.rows(sql, bounds)]


def of_receipts(receipts: Iterable[Receipt]) -> Usage:
    """What these calls took."""
    return total(_of(one) for one in receipts)


def total(parts: Iterable[Usage]) -> Usage:
    """The sum."""
    sums = Usage()
    for one in parts:
        known = [usd for usd in (sums.usd, one.usd) if usd is not None]
        sums = Usage(
            sums.calls + one.calls,
            sums.prompt_tokens + one.prompt_tokens,
            sums.cached_tokens + one.cached_tokens,
            sums.completion_tokens + one.completion_tokens,
            sum(known) if known else None,
            sums.unpriced + one.unpriced,
            sums.ms + one.ms,
        )
    return sums


def _of(receipt: Receipt) -> Usage:
    ended = receipt.outcome
    if ended is None:
        return Usage(1, unpriced=1)
    failed = bool(ended.error) and ended.prompt_tokens is None
    tokens = (ended.prompt_tokens or 0, ended.cached_tokens or 0, ended.completion_tokens or 0)
    return Usage(1, *tokens, receipt.usd, int(receipt.usd is None and not failed), ended.ms)
