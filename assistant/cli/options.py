"""Options and openings that several commands share."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

import click

from assistant.app import App
from assistant.cli.terminal import Output
from memory.errors import BadInput, NothingFound
from memory.manager import MemoryManager
from memory.records import HitKind, Scope, Session
from memory.session import clean, now
from memory.store import Store

SENTENCE_CHARS = 120  # of what is quoted beside the data

FEW = 10

F = TypeVar("F", bound=Callable[..., Any])

model_option = click.option("--model", metavar="NAME", help="The model that answers, instead of the setting's.")
reasoning_option = click.option(
    "--reasoning", "show_reasoning", is_flag=True, default=None, help="Show the model's thoughts, dimmed."
)
defer_option = click.option("--defer", is_flag=True, help="Let what needs your approval wait, and do not ask.")
incognito_option = click.option("--incognito", is_flag=True, help="Keep nothing of it, and read no memory.")
with_memory_option = click.option("--with-memory", is_flag=True, help="With --incognito: read the memory all the same.")
plan_option = click.option(
    "--plan", is_flag=True, help="Write numbered steps first, agree on them with you, and work through them."
)
yes_option = click.option("-y", "--yes", is_flag=True, help="Do not ask.")
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON for other programs.")
mode_option = click.option(
    "--mode",
    type=click.Choice(["words", "vectors", "both"]),
    default="both",
    show_default=True,
    help="Search by full text, by meaning, or by both.",
)


# The limits of settings.py as flags of the same names.
TURN_LIMITS = {
    "max_steps": (int, "Model calls in a turn; a helper has its own."),
    "max_tokens": (int, "Tokens of a turn, prompts and replies."),
    "max_seconds": (float, "Seconds of a turn."),
    "max_usd": (float, "What a turn may cost."),
}
SESSION_LIMITS = {
    "session_steps": (int, "Model calls in the session, helpers' too."),
    "session_tokens": (int, "Tokens of the session, notes included."),
    "session_seconds": (float, "Seconds of the session's turns in sum."),
    "session_usd": (float, "What the session may cost."),
}


def limit_options(limits: Mapping[str, tuple[type, str]]) -> Callable[[F], F]:
    """A flag for each of the limits; what is given goes to `open_app`."""

    def decorated(command: F) -> F:
        for name, (kind, about) in reversed(list(limits.items())):
            flag = f"--{name.replace('_', '-')}"
            command = click.option(flag, name, type=kind, metavar="N", help=about)(command)
        return command

    return decorated


def _chosen_profile(ctx: click.Context, _option: click.Parameter, name: str | None) -> None:
    if name is not None:
        from assistant.cli import profiles

        profiles.choose(ctx, name)


profile_option = click.option(
    "-p", "--profile", metavar="NAME", expose_value=False, callback=_chosen_profile, help="The separate life to use."
)


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
        click.option("--as-of", metavar="D", help="As the memory was at the end of D."),
        click.option("--before", metavar="D", help="Only what was said before D begins."),
        click.option(
            "--after",
            metavar="D",
            help='Only what was said since D began. D is a date, "last spring", or an event: "I moved".',
        ),
    ):
        command = option(command)
    return command


def open_app(**flags: Any) -> tuple[App, Output]:
    """The program's parts, let go of when the command ends, and where it prints."""
    output = Output()
    app = App.from_flags(output.note, **flags)
    click.get_current_context().call_on_close(app.close)
    return app, output


def open_talk(incognito: bool, with_memory: bool, **flags: Any) -> tuple[App, Output]:
    """The parts for a conversation, and where it prints: with a log, or those that keep nothing of it.

    Raises UsageError for --with-memory alone.
    """
    if with_memory and not incognito:
        raise click.UsageError("--with-memory belongs to --incognito; without it the memory is read anyway.")
    app, output = open_app(**flags)
    if incognito:
        return app.incognito(recalls=with_memory), output
    app.log_to_file()
    settle_forgetting(app, output)
    return app, output


def open_to_write(**flags: Any) -> tuple[App, Output]:
    """`open_app` for a command that writes: first it goes on with a forgetting that is owed."""
    app, output = open_app(**flags)
    settle_forgetting(app, output)
    return app, output


def settle_forgetting(app: App, output: Output) -> None:
    """For commands that write: go on with a forgetting that a kill or a reader has left owed."""
    if app.memory.store.number("SELECT 1 FROM forgets WHERE state <> 'done'"):
        from assistant.cli.forget import settle

        settle(app, output)


def scope_of(
    memory: MemoryManager,
    say: Callable[[str], None],
    after: str | None,
    before: str | None,
    as_of: str | None,
    session_id: str | None,
    kinds: tuple[HitKind, ...],
    at: datetime | None = None,
) -> Scope:
    """The scope that the options name, if "now" is `at`. `say` is told which event was taken where a date names one.

    Raises UsageError for dates that are none, NothingFound for unknown sessions.
    """
    at = at or now()
    scope = Scope(
        after=stretch(memory, say, "after", after, at)[0] if after is not None else None,
        before=stretch(memory, say, "before", before, at)[0] if before is not None else None,
        as_of=stretch(memory, say, "as of", as_of, at)[1] if as_of is not None else None,
        session_id=session_named(memory.store, session_id).id if session_id is not None else None,
        kinds=kinds,
    )
    if scope.after and scope.before and scope.after >= scope.before:
        say("Nothing lies between: --after begins no earlier than --before.")
    return scope


def stretch(
    memory: MemoryManager, say: Callable[[str], None], word: str, text: str, at: datetime
) -> tuple[datetime, datetime]:
    """The first moment that a date means, and the first that it no longer does; of an event, those of its day.

    Raises UsageError for what is neither. `word` is what stands before the date, `at` is "now".
    """
    from memory.dates import span

    try:
        return span(text, at)
    except BadInput as error:
        several = len(text.split()) > 1
        event = memory.event(text) if several else None
        if event is None:
            also = " Nothing that you said tells of it as an event." if several else ""
            raise click.UsageError(f"{error.message}{also} {error.remedy}") from error
    told = "when you said" if event.said else "by the note"
    say(f'{word} {day(event.at)}, {told}: "{shortened(event.sentence)}"')
    return span(day(event.at), at)


def shortened(text: str) -> str:
    """The beginning of a text that may be long."""
    return text if len(text) <= SENTENCE_CHARS else text[:SENTENCE_CHARS].rstrip() + " …"


def session_named(store: Store, name: str) -> Session:
    """The session of this id, of an id that begins so, or the last. Raises NothingFound, or BadInput if several fit."""
    found = store.sessions(1) if name == "last" else store.matching(clean(name))
    if not found:
        raise NothingFound(f"There is no session {name!r}.", "See `assistant sessions list`.")
    if len(found) > 1:
        raise BadInput(f"{name!r} begins several ids: {', '.join(one.id for one in found[:4])}.", "Write more of it.")
    return found[0]


def settled_session(memory: MemoryManager, name: str, or_waiting: bool = False) -> Session:
    """A session that no conversation goes on in, ended if its process was killed.

    With `or_waiting` it may be one that waits for approval. Raises BadInput, NothingFound.
    """
    found = session_named(memory.store, name)
    if found.state != "open":
        return found
    memory.close_abandoned()
    found = session_named(memory.store, found.id)
    waits = memory.waits(found)
    if found.state == "open" and not waits:
        raise BadInput(f"{found.id} is still going on.", "End it first.")
    if waits and not or_waiting:
        raise BadInput(f"{found.id} waits for your approval.", "See `assistant pending`.")
    return found


def count(number: int, noun: str) -> str:
    """A number with its noun: "1 fact", "2 facts"."""
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def first_few(lines: Sequence[str], noun: str = "lines") -> list[str]:
    """The first ten of many lines, and how many more there are."""
    more = [f"... and {len(lines) - FEW} more {noun}"] if len(lines) > FEW else []
    return [*lines[:FEW], *more]


def day(at: datetime) -> str:
    """A day as lists show it, in local time."""
    return f"{at.astimezone():%Y-%m-%d}"


def file_path(**options: Any) -> Any:
    """A click type for a path to a file."""
    return click.Path(path_type=Path, dir_okay=False, **options)
