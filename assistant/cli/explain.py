"""Why each hit of a recall was found, and what was not shown: tables of 80 columns, the same in a terminal and a pipe.

Pure: a recall comes in, lines go out.
"""

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from assistant.cli.markdown import cells_of, fitted, one_line
from memory.manager import Recalled
from memory.records import Cut, Hit

WIDTH = 80
RIGHT = frozenset({"hit", "score", "words", "vectors", "tokens"})  # columns of numbers
Row = Sequence[str]


def explained(recalled: Recalled, texts: Mapping[str, str]) -> list[str]:
    """The hits with what found them, the gate's verdict, and what was cut. `texts` are the words of the cut units."""
    parts = [
        [*_hits(recalled.hits)],
        [verdict(recalled.gate)] if recalled.gate else [],
        ["Found, and not shown:", *_cut(recalled.cut, texts)] if recalled.cut else [],
    ]
    return [line for part in parts if part for line in ["", *part]]


def _hits(hits: Sequence[Hit]) -> Iterator[str]:
    """A row for each hit: its arms, its gate, its place in the budget; below it the sum that its score is."""
    if not hits:
        return
    prompt = any("budget" in hit.why for hit in hits)
    head = ["hit", "unit", "score", "words", "vectors", *(["gate", "tokens", "used"] if prompt else ["tokens"])]
    rows = [_row(rank, hit, prompt) for rank, hit in enumerate(hits, 1)]
    header, *body = laid_out([head, *rows])
    yield header
    for hit, line in zip(hits, body, strict=True):
        yield line
        yield from textwrap.wrap(reason(hit.why), WIDTH, initial_indent="     ", subsequent_indent="       ")


def _row(rank: int, hit: Hit, prompt: bool) -> Row:
    arms, budget = hit.why.get("arms", {}), hit.why.get("budget", {})
    place = [_gate(hit.why), str(hit.tokens), f"{budget.get('used', 0)}/{budget.get('of', 0)}"]
    found = [_figure(arms.get("words")), _figure(arms.get("vectors"))]
    return [str(rank), hit.unit, _figure(hit.score), *found, *(place if prompt else [str(hit.tokens)])]


def reason(why: Mapping[str, Any]) -> str:
    """What a score is made of, or by which occasion something came: "= words 1.00 + owner 0.50 - length 0.10"."""
    if "occasion" in why:
        return f"by time or kind: {why['occasion']}"
    if "pinned" in why:
        return "pinned: it stands in every prompt"
    parts = [f"{'-' if value < 0 else '+'} {name} {abs(value):.2f}" for name, value in why.get("parts", {}).items()]
    return "= " + " ".join(parts).removeprefix("+ ") if parts else "no score: it says what the question says"


def verdict(gate: Mapping[str, Any]) -> str:
    """The gate's verdict in one line."""
    if "occasion" in gate:
        return f"No gate: it is a question of time or kind ({gate['occasion']})."
    if not gate["open"] and gate["relevance"] >= gate["threshold"]:
        return "The gate is shut: greeting, thanks or assent asks for nothing."
    figures = f"the best has {gate['relevance']:.2f}, asked for is {gate['threshold']:.2f}"
    return f"The gate is {'open' if gate['open'] else 'shut'}: {figures}."


def _cut(cut: Sequence[Cut], texts: Mapping[str, str]) -> Iterator[str]:
    """A row for each candidate that was found and not shown."""
    rows = [[one.unit, _figure(one.score), _gate(one.why), one.reason, texts.get(one.unit, "")] for one in cut]
    yield from laid_out([["unit", "score", "gate", "reason", "text"], *rows])


def _gate(why: Mapping[str, Any]) -> str:
    return f"{why['gate']['relevance']:.2f}/{why['gate']['threshold']:.2f}" if "gate" in why else "-"


def _figure(value: float | None) -> str:
    return f"{value:.2f}" if value else "-"


def laid_out(rows: Sequence[Row]) -> list[str]:
    """Rows, the first being the names of the columns, as lines of at most 80 columns; the last column gives way."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]) - 1)]
    room = max(8, WIDTH - sum(widths) - 2 * len(widths))
    return [_line(rows[0], row, [*widths, room]) for row in rows]


def _line(names: Row, row: Row, widths: Sequence[int]) -> str:
    cells = [fitted(one_line(cell), width) for cell, width in zip(row, widths, strict=True)]
    pads = [" " * (width - cells_of(cell)) for cell, width in zip(cells, widths, strict=True)]
    right = [name in RIGHT and name != names[-1] for name in names]
    padded = [pad + cell if far else cell + pad for cell, pad, far in zip(cells, pads, right, strict=True)]
    return "  ".join(padded).rstrip()
