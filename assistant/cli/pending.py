"""`assistant pending`, `approve` and `deny`: what waits for its owner, and the turns that go on with their word."""

import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from functools import partial
from typing import Any

import click

from assistant import plans
from assistant.app import App
from assistant.cli.ask import answer
from assistant.cli.consent import asker, shown_lines
from assistant.cli.options import (
    TURN_LIMITS,
    F,
    count,
    defer_option,
    json_option,
    limit_options,
    model_option,
    open_app,
    open_to_write,
    reasoning_option,
)
from assistant.cli.terminal import Output
from assistant.errors import Paused
from memory.errors import BadInput, Failure, NothingFound
from memory.masks import MARK
from memory.pending import Pending, PendingRows, Said
from memory.plans import PlanRow
from memory.session import clean, now


@click.command()
@json_option
def command(as_json: bool) -> None:
    """List what waits for your approval, whole: exactly what is shown is what would run.

    Plans that were stopped, or whose process was killed, are listed as well, with how far they have come.
    """
    app, output = open_app()
    found = [row for row in app.memory.pending.all() if row.why] + [as_pending(one) for one in app.memory.unfinished()]
    if as_json:
        for row in found:
            output.json(as_object(row))
    elif found:
        for row in found:
            show(output, row)
        output.note("Next: assistant approve ID, or assistant deny ID --reason TEXT")
    else:
        raise NothingFound("Nothing waits for your approval.")


def as_pending(plan: PlanRow) -> Pending:
    """An unfinished plan, as what waits is listed."""
    steps = plans.from_json(plan.steps)
    behind = sum(step.state != "open" for step in steps)
    why = "it was not agreed on" if plan.state == "proposed" else f"it was stopped after {behind} of {len(steps)} steps"
    return Pending(plan.id, plan.session_id, plan.turn, "plan", plans.lines(steps), why, plan.at)


def as_object(row: Pending) -> dict[str, Any]:
    """What waits, as JSON."""
    times = {name: at.isoformat() if (at := getattr(row, name)) else None for name in ("at", "decided_at", "begun_at")}
    fields = asdict(row) | times
    return {"id": fields.pop("id"), "kind": fields.pop("kind"), "tool": fields.pop("name"), **fields}


def show(output: Output, row: Pending) -> None:
    """What waits, as a person reads it."""
    what = f"{row.kind} {row.name}".strip()
    output.lines([f"{row.id}  {what}  {row.at.astimezone():%Y-%m-%d %H:%M}  session {row.session_id}"])
    output.lines([f"  {state(row)}; it asks because: {row.why}"])
    output.styled_lines(shown_lines(row.shown, sys.stdout))


def state(row: Pending) -> str:
    """How far it has come."""
    if row.begun_at:
        return f"{row.decision}, and broken off or under way: assistant approve {row.id} goes on"
    return f"{row.decision}; its turn waits for other calls" if row.decision else "waits"


def deciding(decide: F) -> F:
    """The options of `approve` and `deny`."""
    for option in (
        defer_option,
        reasoning_option,
        limit_options(TURN_LIMITS),
        model_option,
        click.option("--all", "every", is_flag=True, help="All that wait; unfinished plans are named one by one."),
        click.argument("ids", nargs=-1, metavar="[ID]..."),
    ):
        decide = option(decide)
    return decide


@click.command()
@deciding
def approve(ids: tuple[str, ...], every: bool, **flags: Any) -> None:
    """Say yes to what waits. Once all calls of a turn are decided it goes on, and prints its answer. An unfinished plan
    goes on where it stands.

    ID is what `assistant pending` lists, or its beginning.
    """
    decide("approved", "", ids, every, **flags)


@click.command()
@deciding
@click.option("--reason", default="", metavar="TEXT", help="Why not, for the model to know.")
def deny(ids: tuple[str, ...], every: bool, reason: str, **flags: Any) -> None:
    """Say no to what waits. Once all calls of a turn are decided it goes on, and prints its answer. An unfinished plan
    is ended.

    ID is what `assistant pending` lists, or its beginning.
    """
    decide("denied", reason, ids, every, **flags)


def decide(said: Said, reason: str, ids: Sequence[str], every: bool, defer: bool, **flags: Any) -> None:
    """Write down what the owner says, and go on with the turns that wait for nothing else."""
    if every == bool(ids):
        raise click.UsageError("Give ids of `assistant pending`, or --all.")
    app, output = open_to_write(**flags)
    app.log_to_file()
    pending = app.memory.pending
    unfinished = {plan.id: plan for plan in app.memory.unfinished()}
    chosen = [row for row in pending.all() if row.why] if every else []
    chosen += [named(pending, one) for one in ids if one not in unfinished]
    left = [unfinished[one] for one in dict.fromkeys(ids) if one in unfinished]
    if not (chosen or left):
        raise NothingFound("Nothing waits for your approval.")
    pending.decide([row.id for row in chosen if row.waits or not every], said, now(), reason)
    turns = [partial(go_on, app, output, session, defer) for session in dict.fromkeys(row.session_id for row in chosen)]
    each(output, [*turns, *(partial(settle, app, output, plan, said, defer) for plan in left)])


def named(pending: PendingRows, name: str) -> Pending:
    """What waits under this id, or one that begins so. Raises NothingFound, or BadInput where several do."""
    found = pending.matching(clean(name)) if name else []
    if not found:
        raise NothingFound(f"Nothing waits under {name!r}.", "See `assistant pending`.")
    if len(found) > 1:
        raise BadInput(f"{name!r} begins several ids: {', '.join(one.id for one in found[:4])}.", "Write more of it.")
    return found[0]


def each(output: Output, turns: Iterable[Callable[[], None]]) -> None:
    """Go on with each turn, also where one fails. Raises the last failure; those before it are told."""
    failed: Failure | None = None
    for turn in turns:
        try:
            turn()
        except Failure as error:
            if failed:
                output.error(str(failed))
            failed = error
    if failed:
        raise failed


def go_on(app: App, output: Output, session_id: str, defer: bool) -> None:
    """Go on with a session's turn and print its answer. Raises Paused where it waits for more."""
    rows = app.memory.pending.of_session(session_id)
    left = [row for row in rows if row.waits]
    if left:
        others = ", ".join(row.id for row in left)
        raise Paused(f"The turn waits for {count(len(left), 'other call')}: {others}.", "See `assistant pending`.")
    if any(row.kind == "call" for row in rows) and lost_secrets(app, session_id):
        output.note("A call whose secret was masked is not run: its secret was not kept; ask again.")
    chat = app.resumed(session_id, asker(output, defer))
    answer(app, output, chat, chat.go_on(rows[0].turn if rows else None))


def lost_secrets(app: App, session_id: str) -> bool:
    """Whether a secret stood in the calls of the session's newest answer, and was not kept."""
    store = app.memory.store
    said = next((one for one in reversed(store.transcript(session_id)) if one.tool_calls), None)
    return bool(said and store.as_it_was(said).masked and any(MARK in call.arguments for call in said.tool_calls))


def settle(app: App, output: Output, plan: PlanRow, said: Said, defer: bool) -> None:
    """Go on with an unfinished plan and print its answer, or end it."""
    if said == "denied":
        app.memory.give_up(plan)
        output.note(f"The plan {plan.id} has ended.")
        return
    chat = app.resumed_plan(plan, asker(output, defer))
    answer(app, output, chat, chat.go_on(plan.turn))
