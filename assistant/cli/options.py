"""Options and openings that several commands share."""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

import click

from assistant.app import App
from assistant.cli.terminal import Output
from memory.errors import BadInput, NothingFound
from memory.manager import MemoryManager
from memory.records import HitKind, Scope, Session
from memory.session import now
from memory.store import Store

F = TypeVar("F", bound=Callable[..., Any])

model_option = click.option("--model", metavar="NAME", help="The model that answers, instead of the setting's.")
yes_option = click.option("-y", "--yes", is_flag=True, help="Do not ask.")
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON for other programs.")


def scope_options(command: F) -> F:
    """--after, --before, --as-of, --session and --kind."""
    for option in (
        click.option(
            "--kind",
            "kinds",
            multiple=True,
            type=click.Choice(["summary", "fact", "message"]),
            help="Only hits of this kind; may be given again.",
        ),
        click.option("--session", "session_id", metavar="ID", help="Only this session."),
        click.option("--as-of", metavar="D", help="The memory as it was at the end of D."),
        click.option("--before", metavar="D", help="Only what was said before D."),
        click.option("--after", metavar="D", help="Only what was said on D or later."),
    ):
        command = option(command)
    return command


def open_app(**flags: Any) -> tuple[App, Output]:
    """The program's parts, let go of when the command ends, and where it prints."""
    output = Output()
    app = App.from_flags(output.note, **flags)
    click.get_current_context().call_on_close(app.close)
    return app, output


def scope_of(
    store: Store,
    after: str | None,
    before: str | None,
    as_of: str | None,
    session_id: str | None,
    kinds: tuple[HitKind, ...],
) -> Scope:
    """The scope that the options name. Raises UsageError for dates that are none, NothingFound for unknown sessions."""
    starts = [dates(before)[0]] if before else []
    ends = [dates(as_of)[1]] if as_of else []
    return Scope(
        after=dates(after)[0] if after else None,
        before=min(starts + ends, default=None),
        session_id=session_named(store, session_id).id if session_id else None,
        kinds=kinds,
    )


def dates(text: str) -> tuple[datetime, datetime]:
    """The first moment that a date means, and the first that it no longer does. Raises UsageError for what is none."""
    from memory.dates import span

    try:
        return span(text, now())
    except BadInput as error:
        raise click.UsageError(str(error)) from error


def session_named(store: Store, name: str) -> Session:
    """The session of this id, of an id that begins so, or the last. Raises NothingFound, or BadInput if several fit."""
    found = store.sessions(1) if name == "last" else store.matching(name)
    if not found:
        raise NothingFound(f"There is no session {name!r}.", "See `assistant sessions list`.")
    if len(found) > 1:
        raise BadInput(f"{name!r} begins several ids: {', '.join(one.id for one in found[:4])}.", "Write more of it.")
    return found[0]


def settled_session(memory: MemoryManager, name: str) -> Session:
    """A session that no conversation goes on in, ended if its process was killed. Raises BadInput, NothingFound."""
    found = session_named(memory.store, name)
    if found.state != "open":
        return found
    memory.close_abandoned()
    found = session_named(memory.store, found.id)
    if found.state == "open":
        raise BadInput(f"{found.id} is still going on.", "End it first.")
    return found


def count(number: int, noun: str) -> str:
    """A number with its noun: "1 fact", "2 facts"."""
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def day(at: datetime) -> str:
    """A day as lists show it, in local time."""
    return f"{at.astimezone():%Y-%m-%d}"


def file_path(**options: Any) -> Any:
    """A click type for a path to a file."""
    return click.Path(path_type=Path, dir_okay=False, **options)
