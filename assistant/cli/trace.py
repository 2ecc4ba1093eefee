"""`assistant trace`: what happened in a turn, step by step."""

import json
import textwrap
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import click

from assistant import plans
from assistant.cli.explain import WIDTH
from assistant.cli.figures import cost, span, tokens
from assistant.cli.markdown import fitted, one_line
from assistant.cli.options import count, json_option, open_app, session_named
from assistant.tracing import Call, Helper, Step, Trace, of_session, of_turn
from memory.deltas import LOST
from memory.errors import NothingFound
from memory.manager import MemoryManager
from memory.plans import PlanRow
from memory.session import clean

SCHEMA = "assistant.trace/1"
RESULT_LINES = 3  # of a result or an answer; --json has all
INDENT = "  "
ENDS = {
    "waiting": "It waits for your approval: assistant pending",
    "interrupted": "It was interrupted.",
    "unfinished": "No end was noted: it still goes on, or its process was killed.",
}


@click.command()
@click.argument("session", default="last")
@click.option("--turn", type=click.IntRange(min=1), metavar="N", help="Only the Nth turn of the session.")
@json_option
def command(session: str, turn: int | None, as_json: bool) -> None:
    """Show a turn as a tree: its steps, their calls of tools, what each took.

    SESSION is an id or the beginning of one, and shows all its turns; "last", which is also meant where none is given,
    is the last turn alone.
    """
    app, output = open_app()
    traces = traces_named(app.memory, clean(session), turn)
    for place, trace in enumerate(traces):
        if as_json:
            output.json(as_object(trace))
        else:
            output.lines([*([""] if place else []), *lines(trace)])


def traces_named(memory: MemoryManager, name: str, number: int | None) -> list[Trace]:
    """The traces that are meant. Raises NothingFound, and BadInput where a name begins several ids."""
    if name == "last":
        newest = memory.receipts.newest_turn()
        last = of_turn(memory, newest) if newest else None
        if last is None or number is None:
            return found([last] if last else [])
        session = last.session
    else:
        session = session_named(memory.store, name)
    if number is None:
        return found(of_session(memory, session))
    turns = memory.receipts.turns_of(session.id)
    if number > len(turns):
        raise NothingFound(f"The session has {count(len(turns), 'turn')} with a record.", "Name one of them.")
    return [of_turn(memory, turns[number - 1])]


def found(traces: list[Trace]) -> list[Trace]:
    """The traces, if there is one. Raises NothingFound."""
    if not traces:
        raise NothingFound("No model was asked there.", "Ask something first; what was imported has no record.")
    return traces


# ---------------------------------------------------------------------- for machines


def as_object(trace: Trace) -> dict[str, Any]:
    """A turn, or a writing of notes, in the form assistant.trace/1 (docs/trace.md)."""
    return {
        "schema": SCHEMA,
        "session_id": trace.session.id,
        "title": trace.session.title,
        "purpose": "turn" if trace.number else "notes",
        "turn": trace.number or None,
        "state": trace.state,
        "began_at": trace.began_at.isoformat(),
        "ended_at": trace.ended_at.isoformat(),
        "question": trace.asked and {"message_id": trace.asked.id, "text": trace.asked.content},
        "answer": trace.answer,
        "usage": asdict(trace.usage),
        "plan": trace.plan and plan_object(trace.plan),
        "steps": [step_object(step) for step in trace.steps],
    }


def plan_object(found: PlanRow) -> dict[str, Any]:
    """A plan with its steps."""
    return {"state": found.state, "replanned": found.replanned, "steps": json.loads(found.steps)}


def step_object(step: Step) -> dict[str, Any]:
    """A step; `outcome` is null while it lasts, or where its process was killed."""
    receipt = step.receipt
    return {
        "step": receipt.step,
        "purpose": receipt.purpose,
        "at": receipt.at.isoformat(),
        "model": receipt.model,
        "bytes": receipt.bytes,
        "sha256": receipt.sha256,
        "outcome": receipt.outcome and receipt.outcome._asdict(),
        "usd": receipt.usd,
        "said": step.said,
        "calls": [call_object(call) for call in step.calls],
        "helpers": [{"helper": one.number, "steps": [step_object(each) for each in one.steps]} for one in step.helpers],
    }


def call_object(call: Call) -> dict[str, Any]:
    """A call of a tool; `ok` and `result` are null where nothing came of it."""
    return asdict(call) | {"ended_at": call.ended_at and call.ended_at.isoformat()}


# ---------------------------------------------------------------------- for people, in 80 columns


def lines(trace: Trace) -> Iterator[str]:
    """The trace as a tree: what belongs to a line stands below it, set in."""
    yield from head(trace)
    if trace.plan:
        yield from plan(trace.plan)
    for step in trace.steps:
        yield from step_lines(step, "")
    if trace.answer is not None:
        yield from beginning("answer", trace.answer, "")
    if trace.state in ENDS:
        yield ENDS[trace.state]


def head(trace: Trace) -> Iterator[str]:
    """Whose turn it is, what was asked, and what it took in sum."""
    name = f"Turn {trace.number}" if trace.number else "The notes"
    yield f"{name} of session {trace.session.id}, {trace.began_at.astimezone():%Y-%m-%d %H:%M}"
    if trace.number:
        yield cut(f"You asked: {trace.asked.content if trace.asked else LOST}")
    usage = trace.usage
    took = span(round((trace.ended_at - trace.began_at).total_seconds() * 1000))
    yield f"{count(usage.calls, 'step')}, {tokens(usage)}, {cost(usage)}, {took}"


def plan(found: PlanRow) -> Iterator[str]:
    """The steps of a plan with what became of each."""
    again = f", made anew {count(found.replanned, 'time')}" if found.replanned else ""
    yield f"plan: {found.state}{again}"
    yield from (cut(line, INDENT) for line in plans.lines(plans.from_json(found.steps)).splitlines())


def step_lines(step: Step, indent: str) -> Iterator[str]:
    """A step, what was said in it, its calls and its helpers."""
    receipt, below = step.receipt, indent + INDENT
    name = {"plan": "plan step", "notes": "notes step"}.get(receipt.purpose, "step")
    told = f"{name} {receipt.step}: {', '.join(measures(step))}"
    yield from textwrap.wrap(one_line(told), WIDTH, initial_indent=indent, subsequent_indent=below + INDENT)
    ended = receipt.outcome
    if ended is None:
        yield f"{below}no end was noted"
    elif ended.error:
        yield cut(ended.error, below)
    if step.said and (step.calls or receipt.purpose != "turn"):
        yield from beginning("said", step.said, below)
    for call in step.calls:
        yield from call_lines(call, below)
    for helper in step.helpers:
        yield from helper_lines(helper, below)


def measures(step: Step) -> Iterator[str]:
    """What a step was and took: model, request, tokens, cost, time, retries, end."""
    receipt, ended = step.receipt, step.receipt.outcome
    yield receipt.model
    yield f"{receipt.bytes:,} bytes"
    if ended is None:
        return
    if ended.prompt_tokens is not None:
        cached = f" ({ended.cached_tokens:,} cached)" if ended.cached_tokens else ""
        yield f"{ended.prompt_tokens:,}{cached} + {ended.completion_tokens or 0:,} tokens"
    if not ended.error:
        yield cost(receipt.usd)
    yield span(ended.ms)
    if ended.retries:
        yield f"retries {ended.retries}"
    yield ended.finish or "failed"


def call_lines(call: Call, indent: str) -> Iterator[str]:
    """A call of a tool, who let it run, and how its result begins."""
    yield cut(f"{call.name} {compact(call.arguments)}", indent)
    how = call.decision or "no result was noted"
    if call.ok is not None:
        how += f", {'ok' if call.ok else 'not ok'}, {span(call.ms)}{', from outside' if call.outside else ''}"
    yield from beginning(how, call.result, indent + INDENT) if call.result else [f"{indent}{INDENT}{how}"]


def helper_lines(helper: Helper, indent: str) -> Iterator[str]:
    """A helper and its steps."""
    yield f"{indent}helper {helper.number}"
    for step in helper.steps:
        yield from step_lines(step, indent + INDENT)


def beginning(name: str, text: str, indent: str) -> Iterator[str]:
    """A name with the first lines of a text: beside it if that is one line, else below it."""
    rows = [row for row in text.splitlines() if row.strip()]
    if len(rows) < 2:
        yield cut(f"{name}: {' '.join(rows)}", indent)
        return
    yield f"{indent}{name}:"
    yield from (cut(row.rstrip(), indent + INDENT) for row in rows[:RESULT_LINES])
    if len(rows) > RESULT_LINES:
        yield f"{indent}{INDENT}... and {count(len(rows) - RESULT_LINES, 'more line')}"


def compact(arguments: str) -> str:
    """Arguments in one line: JSON as short as it goes, anything else as it is."""
    try:
        return json.dumps(json.loads(arguments), ensure_ascii=False)
    except ValueError:
        return arguments


def cut(text: str, indent: str = "") -> str:
    """A text in one line of 80 columns."""
    return indent + fitted(one_line(text), max(WIDTH - len(indent), 20))
