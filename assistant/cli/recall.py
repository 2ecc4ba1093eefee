"""`assistant recall`: find what was said before."""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from assistant.app import App
from assistant.cli.options import day, file_path, json_option, open_app, scope_of, scope_options
from assistant.cli.terminal import Output
from memory.errors import BadInput, NothingFound
from memory.manager import Recalled
from memory.records import Hit, HitKind, Scope

SCHEMA = "assistant.recall/1"
HITS = 10
SHOWN_CHARACTERS = 300  # of one hit's text, for people; JSON has the whole


@dataclass(frozen=True, slots=True)
class Query:
    """One question; `id` comes back in the answer, `at` is its "now"."""

    text: str
    id: Any = None
    at: datetime | None = None


@click.command()
@click.argument("query", nargs=-1)
@click.option(
    "-n", "--limit", type=click.IntRange(min=1), help="At most so many hits. [default: 10; with --inject what fits]"
)
@scope_options
@click.option(
    "--mode",
    type=click.Choice(["words", "vectors", "both"]),
    default="both",
    show_default=True,
    help="Search by full text, by meaning, or by both.",
)
@click.option("--inject", is_flag=True, help="Show exactly what would go into a prompt.")
@click.option("--explain", is_flag=True, help="Show for each hit what found it.")
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
    scope = scope_of(app.memory.store, after, before, as_of, session_id, kinds)
    asked = list(read_queries(queries)) if queries else [Query(" ".join(query))]
    found = False
    for one in asked:
        began = time.perf_counter()
        recalled = ask(app, one, scope, limit, mode, inject)
        took_ms = (time.perf_counter() - began) * 1000
        found = found or bool(recalled.hits)
        if as_json or queries:
            output.json(answer(one, recalled, took_ms, explain))
        else:
            show(output, recalled, explain)
    if not found and not queries:
        raise NothingFound("Nothing was found.", "")
    return 0


def ask(app: App, query: Query, scope: Scope, limit: int | None, mode: str, inject: bool) -> Recalled:
    """One recall, for the owner or as for a prompt."""
    if inject:
        recalled = app.memory.recall_for_prompt(query.text, app.settings.recall_tokens, scope, mode, at=query.at)
        return Recalled(recalled.hits[:limit], recalled.trouble)
    return app.memory.recall(query.text, scope, limit or HITS, mode, query.at)


def read_queries(path: Path) -> Iterator[Query]:
    """The questions of a file of JSON lines. Raises BadInput with the line's number."""
    for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
        if not line.strip():
            continue
        try:
            given = json.loads(line)
            at = datetime.fromisoformat(given["at"]).astimezone() if given.get("at") else None
            yield Query(str(given["query"]), given["id"], at)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise BadInput(
                f'{path}, line {number}: not {{"id", "query", "at"?}}: {error}.', "Mend the line."
            ) from error


def answer(query: Query, recalled: Recalled, took_ms: float, explain: bool) -> dict[str, Any]:
    """One answer in the form assistant.recall/1."""
    given = {"id": query.id} if query.id is not None else {}
    hits = [hit_object(rank, hit, explain) for rank, hit in enumerate(recalled.hits, 1)]
    return {"schema": SCHEMA, **given, "query": query.text, "took_ms": round(took_ms, 3), "hits": hits}


def hit_object(rank: int, hit: Hit, explain: bool) -> dict[str, Any]:
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
        **({"why": dict(hit.why)} if explain else {}),
    }


def show(output: Output, recalled: Recalled, explain: bool) -> None:
    """Hits for people: a line that says what and whence, then the words."""
    if recalled.trouble:
        output.note(recalled.trouble)
    for rank, hit in enumerate(recalled.hits, 1):
        head = f"{rank}. {day(hit.at)} {hit.kind}, {hit.title or 'untitled'} [{hit.session_id}]"
        text = hit.text if len(hit.text) <= SHOWN_CHARACTERS else hit.text[:SHOWN_CHARACTERS] + " …"
        output.entry(head, text, reason(hit, explain))


def reason(hit: Hit, explain: bool) -> str:
    """What found a hit, if that is to be told."""
    found = "  ".join(f"{name} {value}" for name, value in hit.why.items())
    return f"score {hit.score}  {found}  tokens {hit.tokens}  origin {hit.origin}" if explain else ""
