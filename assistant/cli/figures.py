"""Tokens, money and time as a person reads them."""

import math

from memory.usage import Usage

MS_IN_MINUTE = 60_000


def cost(spent: Usage | float | None) -> str:
    """US dollars: "$0.0012", "free", "unknown cost", or what is known of a sum and how many calls it leaves out.

    Calls that failed before anything was counted have no cost.
    """
    if not isinstance(spent, Usage):
        return "unknown cost" if spent is None else _dollars(spent)
    if not spent.unpriced:
        return "no cost" if spent.usd is None else _dollars(spent.usd)
    if spent.usd is None or (not spent.usd and spent.unpriced == spent.calls):
        return "unknown cost"
    return f"{_dollars(spent.usd)} + {spent.unpriced:,} of unknown cost"


def _dollars(usd: float) -> str:
    if not usd:
        return "free"
    return f"${usd:,.{max(2, 1 - math.floor(math.log10(abs(usd))))}f}"  # two figures at least


def tokens(spent: Usage) -> str:
    """What went to models and came from them: "1,234 (512 cached) + 56 tokens"."""
    cached = f" ({spent.cached_tokens:,} cached)" if spent.cached_tokens else ""
    return f"{spent.prompt_tokens:,}{cached} + {spent.completion_tokens:,} tokens"


def span(ms: int) -> str:
    """A time: "740 ms", "4.1 s", "3 min 20 s", "2 h 5 min"."""
    if ms < 1000:
        return f"{ms} ms"
    if ms < MS_IN_MINUTE:
        return f"{ms / 1000:.1f} s"
    minutes, seconds = divmod(ms // 1000, 60)
    return f"{minutes} min {seconds} s" if minutes < 60 else f"{minutes // 60:,} h {minutes % 60} min"
