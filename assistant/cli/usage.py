"""`assistant usage`: what the calls of models took."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

import click

from assistant.cli.figures import cost, span
from assistant.cli.markdown import one_line
from assistant.cli.options import json_option, open_app, scope_of
from memory.errors import NothingFound
from memory.manager import MemoryManager
from memory.usage import COLUMNS, By, Usage, total, usage

SCHEMA = "assistant.usage/1"
MEASURES = ("calls", "prompt", "cached", "reply", "cost", "time")


@click.command()
@click.option("--by", type=click.Choice(list(COLUMNS)), default="day", show_default=True, help="What is summed up.")
@click.option("--after", metavar="D", help='Only calls since D began. D is a date, or "last week".')
@click.option("--before", metavar="D", help="Only calls before D begins.")
@json_option
def command(by: By, after: str | None, before: str | None, as_json: bool) -> None:
    """Show what the calls of models took: tokens, money, time. Days are those of the local clock."""
    app, output = open_app()
    memory = app.memory
    scope = scope_of(memory, output.note, after, before, None, None, ())
    parts = usage(memory.store, by, scope.after, scope.before)
    if not parts:
        raise NothingFound("No model was asked then.", "Say another time, or ask something.")
    if as_json:
        output.json(as_object(by, parts))
    else:
        output.table([*names(by), *MEASURES], rows(memory, by, parts))


def as_object(by: By, parts: Sequence[tuple[str, Usage]]) -> dict[str, Any]:
    """The sums in the form assistant.usage/1 (docs/trace.md)."""
    found = [{by: key, **asdict(part)} for key, part in parts]
    return {"schema": SCHEMA, "by": by, "rows": found, "sum": asdict(total(part for _, part in parts))}


def names(by: By) -> list[str]:
    """The first columns' names."""
    return ["session", "title"] if by == "session" else [by]


def rows(memory: MemoryManager, by: By, parts: Sequence[tuple[str, Usage]]) -> Iterator[list[str]]:
    """A row for each part, and their sum."""
    titles = {one.id: one_line(one.title) for one in memory.store.sessions()} if by == "session" else {}
    for key, part in parts:
        yield [key, *([titles.get(key, "")] if by == "session" else []), *measures(part)]
    yield ["sum", *([""] if by == "session" else []), *measures(total(part for _, part in parts))]


def measures(part: Usage) -> list[str]:
    """What calls took, a cell each."""
    figures = (part.calls, part.prompt_tokens, part.cached_tokens, part.completion_tokens)
    return [*(f"{figure:,}" for figure in figures), cost(part), span(part.ms)]
