"""`assistant sessions`: list, show or summarize conversations."""

from typing import Any

import click

from assistant.app import App
from assistant.cli.markdown import one_line
from assistant.cli.options import (
    count,
    day,
    json_option,
    model_option,
    open_app,
    open_to_write,
    session_named,
    settled_session,
)
from assistant.cli.terminal import document_stream
from memory.errors import BadInput, NothingFound
from memory.records import Session


@click.group(invoke_without_command=True)
@click.pass_context
def command(ctx: click.Context) -> None:
    """List, show or summarize conversations. Alone it lists them."""
    if ctx.invoked_subcommand is None:
        ctx.invoke(list_)


@command.command("list")
@click.option("-n", "--limit", type=click.IntRange(min=1), default=20, show_default=True, help="The newest so many.")
@click.option("--all", "every", is_flag=True, help="All of them.")
@json_option
def list_(limit: int, every: bool, as_json: bool) -> None:
    """List conversations, the newest first."""
    app, output = open_app()
    sessions = app.memory.store.sessions(-1 if every else limit)
    if as_json:
        for session in sessions:
            output.json(as_object(session))
    elif sessions:
        rows = [(one.id, day(one.started_at), one.state, one.title) for one in sessions]
        output.table(["id", "day", "state", "title"], rows)
    else:
        raise NothingFound("There are no sessions yet.", "Begin with `assistant chat`.")


def as_object(session: Session) -> dict[str, Any]:
    """A session as JSON, without its messages."""
    ended = session.ended_at.isoformat() if session.ended_at else None
    return {
        "id": session.id,
        "title": session.title,
        "started_at": session.started_at.isoformat(),
        "ended_at": ended,
        "state": session.state,
        "origin": session.origin,
        "model": session.model,
    }


@command.command()
@click.argument("session", default="last")
@click.option(
    "--secrets", is_flag=True, help="Messages as they were before they were masked, where keep_secrets kept them."
)
@json_option
def show(session: str, secrets: bool, as_json: bool) -> None:
    """Show one conversation with its notes. SESSION is an id, the beginning of one, or "last"."""
    from memory.export import write

    app, output = open_app()
    store = app.memory.store
    found = session_named(store, session)
    with document_stream() as out:
        write(store, [found], out, "jsonl" if as_json else "md", secrets)
    lost = sum(store.as_it_was(one).masked for one in store.transcript(found.id)) if secrets else 0
    if lost:
        output.note(f"{count(lost, 'secret')} in it {'was' if lost == 1 else 'were'} masked and not kept.")


@command.command()
@click.argument("session", required=False)
@click.option("--pending", is_flag=True, help="All that are owed notes; killed sessions are ended first.")
@model_option
def summarize(session: str | None, pending: bool, model: str | None) -> int:
    """Have the model write the notes on ended conversations."""
    from memory.extract import EXTRACTED

    if pending == bool(session):
        raise click.UsageError("Give a session, or --pending.")
    app, output = open_to_write(model=model)
    if pending:
        return settle(app, output)
    found = settled_session(app.memory, session or "")
    if app.memory.by_hand(found.id):
        raise BadInput(f"{found.id} was noted by hand.", "It needs no other notes.")
    app.memory.store.want_notes(found.id)
    with output.progress("notes") as progress:
        progress.update(0, found.id)
        notes = app.write_notes(app.memory, found.id)
        app.memory.sync(found.id)
    if notes.problem:
        kept = "extracted ones stand in" if notes.summary.written_by == EXTRACTED else "those that are there stay"
        output.note(f"The model's notes were refused ({notes.problem}); {kept}.")
    click.echo(one_line(notes.summary.title))
    return 0


def settle(app: App, output: Any) -> int:
    """Do what is owed; 1 if something stays."""
    from assistant import owed

    with output.progress("owed work") as progress:
        done = owed.settle(app.memory, app.write_notes, app.choice.name, say=lambda line: progress.update(0, line))
    click.echo(f"{count(done.closed, 'killed session')} ended, {done.noted} noted, {done.indexed} vectors made.")
    if done.left:
        output.error(f"Some stays owed: {done.left}")
    return int(bool(done.left))
