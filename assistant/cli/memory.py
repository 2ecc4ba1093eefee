"""`assistant memory`: the facts that are remembered, and their owner's hand on them."""

import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, get_args

import click

from assistant.app import App
from assistant.cli.markdown import one_line
from assistant.cli.options import count, day, json_option, open_app, open_to_write, session_named, yes_option
from assistant.cli.terminal import Output, confirm
from memory.errors import BadInput, NothingFound, Refused
from memory.listing import Change, Listing
from memory.manager import MemoryManager
from memory.records import USER, Fact, FactKind

if TYPE_CHECKING:
    from assistant.editing import Edited

KINDS = get_args(FactKind)
UNDO = "Take it back: assistant memory undo"
ids_argument = click.argument("ids", nargs=-1, metavar="ID...")
id_argument = click.argument("fact_id", metavar="ID")


@click.group(invoke_without_command=True)
@click.pass_context
def command(ctx: click.Context) -> None:
    """See, accept, edit, pin and undo what is remembered as facts. Alone it lists them."""
    if ctx.invoked_subcommand is None:
        ctx.invoke(list_)


# ---------------------------------------------------------------------- reading


@command.command("list")
@click.option("-n", "--limit", type=click.IntRange(min=1), default=30, show_default=True, help="The newest so many.")
@click.option("--all", "every", is_flag=True, help="All of them.")
@click.option("--kind", type=click.Choice(KINDS), help="Only facts of this kind.")
@click.option("--session", "session_id", metavar="ID", help='Only what was noted on this session, or the "last".')
@click.option("--review", is_flag=True, help="Only what waits for your review.")
@click.option("--outside", is_flag=True, help="Only what rests on words of tools, and is not shown to models.")
@click.option("--retired", is_flag=True, help="Only what was replaced, rejected, or is said by another.")
@click.option("--pinned", is_flag=True, help="Only what is in every prompt.")
@click.option("--query", "words", metavar="WORDS", default="", help="Only facts with these words.")
@json_option
def list_(limit: int, every: bool, kind: str | None, session_id: str | None, as_json: bool, **chosen: Any) -> None:
    """List facts, the newest first."""
    app, output = open_app()
    store, rows = app.memory.store, app.memory.facts
    which = Listing(kind or "", session_id=session_named(store, session_id).id if session_id else "", **chosen)
    found = rows.listed(which, -1 if every else limit)
    if not found:
        raise NothingFound("There are no such facts.", "Keep one: assistant remember ...")
    show_list(app.memory, output, found, as_json)


def show_list(memory: MemoryManager, output: Output, facts: Sequence[Fact], as_json: bool = False) -> None:
    """Print facts as a table, or each as JSON on a line."""
    heard = memory.facts.heard([fact.id for fact in facts])
    if as_json:
        for fact in facts:
            output.json(as_object(fact, heard[fact.id]))
        return
    lines = [(one.id, day(one.at), one.kind, one.text, marks(one, heard[one.id])) for one in facts]
    output.table(["id", "day", "kind", "text", "marks"], lines)


def marks(fact: Fact, heard: int = 1) -> str:
    """What is to be known of a fact besides its words, in a few of them."""
    found = [
        "pinned" if fact.pinned else "",
        fact.status if fact.status != "kept" else "",
        f"until {day(fact.until)}" if fact.until else "replaced" if fact.retired_by and fact.status == "kept" else "",
        f"same as {fact.same_as}" if fact.same_as else "",
        f"×{heard}" if heard > 1 else "",
        fact.origin if fact.origin != USER else "",
    ]
    return ", ".join(filter(None, found))


def as_object(fact: Fact, heard: int) -> dict[str, Any]:
    """A fact as JSON."""
    plain = (
        "id",
        "session_id",
        "text",
        "kind",
        "quote",
        "origin",
        "status",
        "handled",
        "pinned",
        "retired_by",
        "same_as",
    )
    times = {"at": fact.at, "valid_from": fact.valid_from, "until": fact.until}
    return (
        {name: getattr(fact, name) for name in plain}
        | {name: at.isoformat() if at else None for name, at in times.items()}
        | {"message_ids": list(fact.message_ids), "heard": heard}
    )


@command.command()
@id_argument
@json_option
def show(fact_id: str, as_json: bool) -> None:
    """Show one fact with what it rests on and what it is tied to. ID may be the beginning of one."""
    app, output = open_app()
    fact = app.memory.facts.find(fact_id)
    heard = app.memory.facts.heard([fact.id])[fact.id]
    if as_json:
        output.json(as_object(fact, heard))
        return
    output.lines([*details(app.memory, fact, heard), *evidence(app.memory, fact)])
    chain = app.memory.facts.chain(fact)
    if chain:
        output.lines(["", "Tied to it:"])
        show_list(app.memory, output, chain)


def details(memory: MemoryManager, fact: Fact, heard: int) -> list[str]:
    """A fact's own lines."""
    session = memory.store.session(fact.session_id)
    told = {
        "id": fact.id,
        "kind": fact.kind,
        "said": day(fact.at),
        "since": f"{fact.valid_from.astimezone(UTC):%Y-%m-%d}" if fact.valid_from else "",
        "origin": fact.origin,
        "marks": marks(fact, heard),
        "session": f"{fact.session_id} {one_line(session.title) if session else ''}".strip(),
    }
    return [one_line(fact.text), *(f"  {name:8}{value}" for name, value in told.items() if value)]


def evidence(memory: MemoryManager, fact: Fact) -> list[str]:
    """The quote, and the messages that a fact rests on, each with the message before it."""
    lines = ["", f'Quote: "{one_line(fact.quote)}"' if fact.quote else "No quote was found for it."]
    transcript = [one for one in memory.store.transcript(fact.session_id) if one.content]
    places = [place for place, one in enumerate(transcript) if one.id in fact.message_ids]
    shown = sorted({near for place in places for near in (place - 1, place) if near >= 0})
    for place in shown:
        message = transcript[place]
        mark = ">" if place in places else " "
        lines.append(f"{mark} {day(message.at)} {message.role}: {around(one_line(message.content), fact.quote)}")
    return lines


def around(text: str, quote: str, room: int = 400) -> str:
    """Of a long text the part around the quote."""
    if len(text) <= room:
        return text
    start = max(0, text.find(one_line(quote)) - room // 3) if quote else 0
    cut = text[start : start + room]
    return f"{'… ' if start else ''}{cut}{' …' if start + room < len(text) else ''}"


@command.command()
@click.argument("fact_id", metavar="[ID]", default="")
@json_option
def history(fact_id: str, as_json: bool) -> None:
    """Say what was done to a fact, by whom and when; without ID what was done last to any."""
    app, output = open_app()
    rows = app.memory.facts
    known = rows.find(fact_id).id if fact_id else ""
    changes = [one for one in rows.history(known) if known or one.act != "noted"][-100:]
    if not changes:
        raise NothingFound("Nothing was done yet.", "See `assistant memory list`.")
    if as_json:
        for one in changes:
            output.json(_as_json(one))
        return
    output.table(["deed", "at", "who", "act", "fact", "with", "undone"], [_row(one) for one in changes])


def _row(one: Change) -> tuple[object, ...]:
    undone = day(one.undone_at) if one.undone_at else ""
    return one.deed, f"{one.at.astimezone():%Y-%m-%d %H:%M}", one.who, one.act, one.fact, one.other, undone


def _as_json(one: Change) -> dict[str, Any]:
    undone = one.undone_at.isoformat() if one.undone_at else None
    return {"deed": one.deed, "at": one.at.isoformat(), "who": one.who, "act": one.act, "fact": one.fact,
            "with": one.other or None, "undone_at": undone}  # fmt: skip


# ---------------------------------------------------------------------- deciding


@command.command()
@ids_argument
def accept(ids: tuple[str, ...]) -> None:
    """Let facts stand that wait for review, or rest on words of tools: models are shown them from now on."""
    app, output = open_to_write()
    facts = _found(app, ids)
    app.memory.facts.accept([fact.id for fact in facts])
    output.note(f"Accepted: {count(len(facts), 'fact')}. {UNDO}")


@command.command()
@ids_argument
@click.option("--session", "session_id", metavar="ID", help='All that waits for review of this session, or the "last".')
@click.option("--all", "every", is_flag=True, help="With --session: what is kept of it, too.")
@yes_option
def reject(ids: tuple[str, ...], session_id: str | None, every: bool, yes: bool) -> int:
    """Take facts for wrong: they are found no more, and what they replaced holds again."""
    if bool(ids) == bool(session_id) or (every and not session_id):
        raise click.UsageError("Give facts by their ids, or --session, which --all widens.")
    app, output = open_to_write()
    facts = of_session(app.memory, session_id, every) if session_id else _found(app, ids)
    if every and not yes:
        show_list(app.memory, output, facts)
        if not confirm(f"Reject {count(len(facts), 'fact')}?"):
            output.note("Nothing was rejected.")
            return Refused.exit_code
    app.memory.facts.reject([fact.id for fact in facts])
    output.note(f"Rejected: {count(len(facts), 'fact')}. {UNDO}")
    return 0


def of_session(memory: MemoryManager, session: str, every: bool) -> list[Fact]:
    """What waits of a session, or every fact of it that is not rejected yet. Raises NothingFound."""
    found = session_named(memory.store, session)
    facts = [fact for fact in memory.facts.of_session(found.id) if every or memory.facts.waits(fact.id)]
    if not facts:
        told = f"There is no fact of {found.id}." if every else f"Nothing of {found.id} waits for review."
        raise NothingFound(told, "See `assistant memory list --review`.")
    return facts


def _found(app: App, ids: Sequence[str]) -> list[Fact]:
    if not ids:
        raise click.UsageError("Give the id of a fact. See: assistant memory list")
    return list({fact.id: fact for fact in map(app.memory.facts.find, ids)}.values())


@command.command()
def review() -> None:
    """Go one by one through what waits for you: facts without a quote, and those that rest on words of tools."""
    from assistant.cli.review import go_through

    app, output = open_to_write()
    waiting = app.memory.facts.waiting()
    if not waiting:
        output.note("Nothing waits for your review.")
    elif sys.stdin.isatty() and sys.stderr.isatty():
        go_through(app, output, waiting)
        sync(app, output)
    else:
        show_list(app.memory, output, waiting)
        output.note("Decide with: assistant memory accept ID... or: assistant memory reject ID...")


# ---------------------------------------------------------------------- changing


@command.command()
@id_argument
@click.option("--text", help="The new text, instead of an editor's.")
@click.option("--kind", type=click.Choice(KINDS), help="The new kind.")
@click.option("--since", metavar="D", help="Since when it holds.")
def edit(fact_id: str, text: str | None, kind: FactKind | None, since: str | None) -> None:
    """Change what a fact says, in $VISUAL or $EDITOR or by options."""
    from assistant.cli.editor import editing
    from assistant.editing import Edited
    from assistant.editing import one_line as in_one_line

    app, output = open_to_write()
    fact = app.memory.facts.must_stand(app.memory.facts.find(fact_id).id)
    if text is not None and not text.strip():
        raise click.UsageError("--text is empty. To take a fact for wrong: assistant memory reject ID")
    if text is None and kind is None and since is None:
        with editing(fact, app.settings.home, output) as wanted:
            change(app, output, fact, wanted)
        return
    said = fact.text if text is None else in_one_line(text)
    change(app, output, fact, Edited(said, kind or fact.kind, _day(since) if since else fact.valid_from))


def change(app: App, output: Output, fact: Fact, wanted: "Edited | None") -> bool:
    """Carry out an edit, and say so; False where nothing differs."""
    if wanted is None or (wanted.text, wanted.kind, wanted.valid_from) == (fact.text, fact.kind, fact.valid_from):
        output.note("Nothing was changed.")
        return False
    new = app.memory.edit(fact, wanted.text, wanted.kind, wanted.valid_from)
    sync(app, output)
    output.note(f"Changed, as fact {new.id}. {UNDO}")
    return True


def sync(app: App, output: Output) -> None:
    """Give vectors to what has none; where that cannot be, say so."""
    from memory.errors import Failure

    try:
        app.memory.sync()
    except Failure as error:
        output.note(f"Found by words only, for now: {error}")


def _day(text: str) -> datetime:
    """The day that a date begins with, as a bare day is stored: midnight UTC. Raises BadInput."""
    from memory.dates import span
    from memory.session import now

    return datetime.combine(span(text, now())[0].astimezone().date(), datetime.min.time(), UTC)


@command.command()
@id_argument
def pin(fact_id: str) -> None:
    """Let a fact be in every prompt, within the setting pinned_tokens."""
    app, output = open_to_write()
    memory = app.memory
    fact = memory.facts.must_stand(memory.facts.find(fact_id).id)
    if fact.pinned and not memory.facts.waits(fact.id):
        output.note("It is pinned already.")
        return
    budget, used = app.settings.pinned_tokens, sum(hit.tokens for hit in memory.pinned_lines())
    needed = memory.line(memory.facts.seq(fact.id)).tokens
    if used + needed > budget:
        room = f"{used} of {budget} tokens are taken, and it needs {needed}"
        raise BadInput(f"It does not fit: {room}.", "Unpin another, or: assistant config set pinned_tokens N")
    memory.facts.pin(fact.id)
    output.note(f"Pinned: it is in every prompt from the next conversation on. {UNDO}")


@command.command()
@id_argument
def unpin(fact_id: str) -> None:
    """Let a fact be in prompts only where it is recalled."""
    app, output = open_to_write()
    fact = app.memory.facts.find(fact_id)
    if not fact.pinned:
        raise BadInput(f"{fact.id} is not pinned.", "See `assistant memory list --pinned`.")
    app.memory.facts.unpin(fact.id)
    output.note(f"Unpinned. {UNDO}")


@command.command()
@id_argument
@click.argument("new", nargs=-1, required=True)
@click.option("--since", metavar="D", help="Since when the new one holds; without: now.")
def supersede(fact_id: str, new: tuple[str, ...], since: str | None) -> None:
    """Say what took a fact's place: NEW is a text, or the id of another fact. The old one keeps its dates."""
    app, output = open_to_write()
    facts = app.memory.facts
    old, said, start = facts.find(fact_id), " ".join(new), _day(since) if since else None
    by = facts.known(said)
    if by:
        facts.supersede(old.id, by.id, start or by.valid_from or by.at)
    else:
        by = app.memory.supersede(old, said, start)
        sync(app, output)
    until = facts.find(old.id).until
    output.note(f"{old.id} holds until {day(until) if until else 'then'}, then {by.id}. {UNDO}")


@command.command()
@id_argument
def restore(fact_id: str) -> None:
    """Let a fact stand again that was rejected, replaced, or is said by another."""
    app, output = open_to_write()
    app.memory.facts.restore(app.memory.facts.find(fact_id).id)
    output.note(f"It stands again. {UNDO}")


@command.command()
@click.argument("deed", type=int, required=False)
@click.option("-n", "number", type=click.IntRange(min=1), default=1, help="Your last so many deeds.")
def undo(deed: int | None, number: int) -> None:
    """Take back your last deeds, or the one of this number. What was forgotten does not come back."""
    app, output = open_to_write()
    rows = app.memory.facts
    deeds = [deed] if deed is not None else rows.last_deeds(number)
    if not deeds:
        raise NothingFound("There is nothing to undo.", "See `assistant memory history`.")
    changes = rows.undo(deeds)
    sync(app, output)
    for one in changes:
        output.note(f"Undone: {one.act} {one.fact}{f' with {one.other}' if one.other else ''}, deed {one.deed}.")
