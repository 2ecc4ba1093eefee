"""`assistant recall`: find what was said before."""

import json
import time
from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import click

from assistant.app import App
from assistant.cli.options import day, file_path, json_option, mode_option, open_app, scope_of, scope_options
from assistant.cli.terminal import Output
from memory.errors import BadInput, NothingFound
from memory.manager import Recalled
from memory.records import IMPORTED, NOTHING, Hit, HitKind, Scope

SCHEMA = "assistant.recall/1"
HITS = 10
SHOWN_CHARACTERS = 300  # of one hit's text, for people; JSON has the whole
CHANGE_CHARACTERS = 120  # of what is said of a change


class Query(NamedTuple):
    """One question; `at` is its "now", `given` comes back in the answer: its id, if it has one."""

    text: str
    at: datetime | None = None
    given: Mapping[str, Any] = NOTHING


@click.command()
@click.argument("query", nargs=-1)
@click.option(
    "-n", "--limit", type=click.IntRange(min=1), help="At most so many hits. [default: 10; with --inject what fits]"
)
@scope_options
@mode_option
@click.option("--inject", is_flag=True, help="Show exactly what would go into a prompt.")
@click.option("--explain", is_flag=True, help="Show what found each hit, and with --inject what was cut.")
@json_option
@click.option("--queries", type=file_path(exists=True), help='Many at once: JSON lines {"id", "query", "at"?}.')
def command(
    query: tuple[str, ...],
    limit: int | None,
    after: str | None,
    before: str | None,
    as_of: str | None,
    session_id: str | None,
    kinds: tuple[HitKind, ...],
    mode: str,
    inject: bool,
    explain: bool,
    as_json: bool,
    queries: Path | None,
) -> int:
    """Find what was said before: messages, facts and summaries, the best first."""
    if bool(" ".join(query).strip()) == bool(queries):
        raise click.UsageError("Give a question, or --queries FILE.")
    app, output = open_app()
    say = cache(output.note)  # each event once, however many questions

    @cache
    def scope(at: datetime | None) -> Scope:
        return scope_of(app.memory, say, after, before, as_of, session_id, kinds, at)

    asked = list(read_queries(queries)) if queries else [Query(" ".join(query))]
    found = False
    for one in asked:
        within, began = scope(one.at), time.perf_counter()
        recalled = ask(app, one, within, limit, mode, inject)
        took_ms = (time.perf_counter() - began) * 1000
        found = found or bool(recalled.hits)
        if as_json or queries:
            output.json(answer(one, recalled, took_ms, explain))
        else:
            show(output, recalled)
        if explain and not (as_json or queries):
            from assistant.cli.explain import explained

            output.lines(explained(recalled, app.memory.texts(one.unit for one in recalled.cut)))
    if not found and not queries:
        raise NothingFound("Nothing was found.", "")
    return 0


def ask(app: App, query: Query, scope: Scope, limit: int | None, mode: str, inject: bool) -> Recalled:
    """One recall, for the owner or as for a prompt."""
    if inject:
        recalled = app.memory.recall_for_prompt(query.text, app.recall_budget(), scope, mode, at=query.at)
        return recalled._replace(hits=recalled.hits[:limit])
    return app.memory.recall(query.text, scope, limit or HITS, mode, query.at)


def read_queries(path: Path) -> Iterator[Query]:
    """The questions of a file of JSON lines. Raises BadInput with the line's number."""
    with path.open(encoding="utf-8-sig", errors="replace") as file:
        for number, line in enumerate(file, 1):
            try:
                if line.strip():
                    yield read_query(line)
            except (ValueError, TypeError, RecursionError, OverflowError) as error:
                where = f"{path}, line {number}"
                raise BadInput(f'{where}: not {{"id", "query", "at"?}}: {error}.', "Mend the line.") from error


def read_query(line: str) -> Query:
    """One question. Raises ValueError and its like, saying what is wrong."""
    given = json.loads(line, parse_constant=no_number)
    if not isinstance(given, dict):
        raise TypeError("it is no object")
    if "id" not in given:
        raise ValueError("id is missing")
    if not isinstance(given.get("query"), str):
        raise TypeError("query is missing, or is no text")
    at = given.get("at")
    return Query(given["query"], datetime.fromisoformat(at).astimezone() if at else None, {"id": given["id"]})


def no_number(name: str) -> None:
    """Refuse NaN and Infinity, which JSON does not know: other programs could not read the answer."""
    raise ValueError(f"{name} is not JSON")


def answer(query: Query, recalled: Recalled, took_ms: float, explain: bool) -> dict[str, Any]:
    """One answer in the form assistant.recall/1. `explain` adds what a recall for a prompt cut, and its gate."""
    hits = [hit_object(rank, hit) for rank, hit in enumerate(recalled.hits, 1)]
    found = {"schema": SCHEMA, **query.given, "query": query.text, "took_ms": round(took_ms, 3), "hits": hits}
    if explain and recalled.gate:
        found |= {"gate": dict(recalled.gate), "cut": [one._asdict() for one in recalled.cut]}
    return found


def hit_object(rank: int, hit: Hit) -> dict[str, Any]:
    """A hit as JSON."""
    return {
        "rank": rank,
        "score": hit.score,
        "kind": hit.kind,
        "session_id": hit.session_id,
        "message_ids": list(hit.message_ids),
        "text": hit.text,
        "at": hit.at.isoformat(),
        "tokens": hit.tokens,
        "origin": hit.origin,
        "why": dict(hit.why),
    }


def show(output: Output, recalled: Recalled) -> None:
    """Hits for people: a line that says what and whence, then the words."""
    if recalled.trouble:
        output.note(recalled.trouble)
    for rank, hit in enumerate(recalled.hits, 1):
        head = f"{rank}. {day(hit.at)} {hit.kind}{of_outside(hit)}{changed(hit)}"
        head += f", {hit.title or 'untitled'} [{hit.session_id}]"
        output.entry(head, hit.text if len(hit.text) <= SHOWN_CHARACTERS else hit.text[:SHOWN_CHARACTERS] + " …")


def changed(hit: Hit) -> str:
    """What took the place of what a hit says, or until when it held; empty where it holds."""
    note = hit.why.get("changed", "")
    if note in hit.text:  # a line of a prompt says it itself
        return ""
    return f" ({note if len(note) <= CHANGE_CHARACTERS else note[:CHANGE_CHARACTERS] + ' …'})"


def of_outside(hit: Hit) -> str:
    """Whose words from outside a hit holds or may repeat; empty where it is its owner's or the assistant's own."""
    if names := hit.why.get("drawn_from"):
        return f", drawn from {', '.join(names)}"
    return ", imported" if hit.origin == IMPORTED else ""
