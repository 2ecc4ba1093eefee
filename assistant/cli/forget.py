"""`assistant forget`: take things out of the memory, and out of every file under its home, and prove it."""

from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime
from typing import Any

import click

from assistant.app import App
from assistant.cli.markdown import one_line
from assistant.cli.options import count, json_option, open_app, scope_of, session_named, shortened, yes_option
from assistant.cli.terminal import Output, confirm
from memory import cascade, selecting
from memory.cascade import Cascade
from memory.errors import Failure, NothingFound
from memory.forget import BACKUPS, Forgetting, Receipt

EXIT_REFUSED = 4
GOES_ON = "The next command that writes goes on with it; now: assistant forget"
TOLD = ("sessions", "messages", "facts")  # of what is gone in a list of receipts
NOT_LOOKED = {
    "models": "models/, weights that are checked by their sha256",
    "cache": "cache/, vocabularies that are checked by their sha256",
    "profiles": "profiles/, other lives with a memory of their own",
}
SHOWN = 12  # messages and facts that are shown before the question


@click.command()
@click.argument("ids", nargs=-1, metavar="[ID]...")
@click.option("--session", "session_id", metavar="ID", help="A whole conversation.")
@click.option("--query", metavar="WORDS", help="All messages and facts that hold all these words.")
@click.option("--after", metavar="D", help="With --query: only what was said since D began.")
@click.option("--before", metavar="D", help="All that was said before D begins; with --query only of that.")
@click.option("--all", "everything", is_flag=True, help="Everything but settings and models.")
@click.option("--fact-only", is_flag=True, help="Of a fact's id: keep the messages that it rests on.")
@click.option("--list", "listing", is_flag=True, help="List what was forgotten: the receipts, which hold no words.")
@click.option("--dry-run", is_flag=True, help="Only show what would go.")
@yes_option
@json_option
def command(ids: tuple[str, ...], listing: bool, dry_run: bool, yes: bool, as_json: bool, **asked: Any) -> int:
    """Forget for good, with all that was made of it, and look through every file for what is left.

    ID is that of a fact, a message (SESSION/MESSAGE where several have it) or a session, or its beginning. A fact takes
    the messages that it rests on with it. Leaves with 3 where nothing matches, with 4 where it is refused.
    """
    app, output = open_app()
    forgetting = Forgetting(app.memory)
    if listing:
        return list_(forgetting, output, as_json)
    settled = finish(app, output, writer(app))
    if not (ids or any(value for name, value in asked.items() if name not in ("after", "fact_only"))):
        if settled:
            return 0
        raise click.UsageError("Say what: an ID, --session, --query, --before or --all.")
    app.memory.close_abandoned()
    plan = planned(app, output, ids, **asked)
    if not plan:
        raise NothingFound("Nothing matches, so nothing was forgotten.")
    if dry_run and as_json:
        output.json({"would": forgetting.preview(plan), **asdict(plan)})
        return 0
    show(app, output, plan, forgetting)
    if dry_run:
        output.note("Nothing was changed.")
        return 0
    if not yes and not confirm("Forget this for good?"):
        output.note("Nothing was forgotten.")
        return EXIT_REFUSED
    receipt = carried_out(app, output, plan)
    tell(output, receipt, as_json)
    return int(bool(receipt.found))


def carried_out(app: App, output: Output, plan: Cascade) -> Receipt:
    """Forget, and show how far it is. Raises Refused."""
    try:
        with output.progress("forgetting:") as progress:
            return Forgetting(app.memory, writer(app), lambda line: progress.update(0, line)).carry_out(plan)
    except KeyboardInterrupt:
        if Forgetting(app.memory).owed():
            output.note(f"Not done yet. {GOES_ON}")
        raise


def writer(app: App) -> Callable[[str], object]:
    """Writes a session's notes again, by the model where there is one."""
    return lambda session: app.write_notes(app.memory, session)


def finish(app: App, output: Output, note: Callable[[str], object] | None = None) -> bool:
    """Go on with what a kill or a reader has left; says in a line what came of it, and whether there was any."""
    if not Forgetting(app.memory).owed():
        return False
    with output.progress("an earlier forgetting:") as progress:
        done = Forgetting(app.memory, note, lambda line: progress.update(0, line)).finish()
    for one in done:
        how = f"is still owed: {one.owed}" if one.owed else "is done now"
        output.note(f"An earlier forgetting (number {one.number}) {how}. See: assistant forget --list")
    if not done:
        output.note("An earlier forgetting goes on in another process.")
    return True


def planned(
    app: App,
    output: Output,
    ids: tuple[str, ...],
    session_id: str | None,
    query: str | None,
    after: str | None,
    before: str | None,
    everything: bool,
    fact_only: bool,
) -> Cascade:
    """The cascade of what the options name, of which there may be one kind at a time. Raises UsageError."""
    memory = app.memory
    ways = [bool(ids), session_id is not None, query is not None, before is not None and query is None, everything]
    if sum(ways) != 1 or (after is not None and query is None) or (fact_only and not ids):
        raise click.UsageError("Give either IDs, --session, --query (with --after, --before), --before, or --all.")
    if everything:
        return cascade.of(memory.store, everything=True)
    if session_id is not None:
        return cascade.of(memory.store, sessions=[session_named(memory.store, session_id).id])
    scope = scope_of(memory, output.note, after, before, None, None, ())
    if query is not None:
        return selecting.by_words(memory.store, query, scope)
    if before is not None:
        return selecting.before(memory.store, scope)
    return selecting.by_ids(memory.store, ids, fact_only)


def show(app: App, output: Output, plan: Cascade, forgetting: Forgetting) -> None:
    """The cascade, as a person reads it before they agree. It is talk, so that --json leaves one object alone."""
    store = app.memory.store
    messages, facts = cascade.messages_of(store, plan), cascade.facts_of(store, plan)
    lines = [f"  {one.session_id}/{one.id}  {one.role}: {shortened(one_line(one.content))}" for one in messages]
    lines += [f"  {one.id}  {one.kind}: {shortened(one_line(one.text))}" for one in facts]
    for line in lines[:SHOWN]:
        output.note(line)
    if len(lines) > SHOWN:
        output.note(f"  ... and {len(lines) - SHOWN:,} more")
    with output.progress("counting what goes") as progress:
        progress.update(0)
        counted = forgetting.preview(plan)
    output.note("This goes:")
    for place, number in counted.items():
        output.note(f"{number:>9,}  {called(place, number)}")
    for line in remarks(app, plan):
        output.note(line)


PLACES = {
    "history": ("line of the typed history", "lines of the typed history"),
    "assistant.log": ("entry of the log", "entries of the log"),
    "assistant.log.1": ("entry of the older log", "entries of the older log"),
    BACKUPS: ("backup in the home: one of now takes its place", "backups in the home: one of now takes their place"),
    "pending": ("pending call or plan", "pending calls and plans"),
    "replaced": ("earlier wording of notes", "earlier wordings of notes"),
    "candidates": ("result of recall", "results of recall"),
    "recalls": ("recall", "recalls"),
    "receipts": ("receipt of a model call", "receipts of model calls"),
    "calls": ("log row of a tool", "log rows of tools"),
    "changes": ("undo row", "undo rows"),
    "secrets": ("unmasked message", "unmasked messages"),
    "summaries": ("summary", "summaries"),
}


def called(place: str, number: int) -> str:
    """What a person is told of a place that a receipt counts: "summary" for one, "summaries" for more."""
    one, many = PLACES.get(place, (place.removesuffix("s"), place))
    return one if number == 1 else many


def remarks(app: App, plan: Cascade) -> list[str]:
    """What beside rows a forgetting does."""
    lines = []
    if plan.noted:
        lines.append(f"Notes are written again without it: {', '.join(plan.noted[:5])}.")
    if plan.sessions:
        lines.append(f"{count(len(plan.sessions), 'session')} goes whole." if len(plan.sessions) == 1 else
                     f"{count(len(plan.sessions), 'session')} go whole.")  # fmt: skip
    if plan.kept_retired:
        lines.append(f"Stays retired, though what took its place goes: {', '.join(plan.kept_retired[:5])}.")
    for row in app.memory.store.rows("SELECT kind, path FROM carried ORDER BY seq"):
        lines.append(f"Out of reach: the {row['kind']} {row['path']}.")
    return lines


def tell(output: Output, receipt: Receipt, as_json: bool) -> None:
    """A receipt, on stdout."""
    if as_json:
        output.json({"schema": "assistant.forgotten/1", **asdict(receipt)})
    else:
        output.lines(lines_of(receipt))


def lines_of(receipt: Receipt) -> list[str]:
    """A receipt in lines; it never holds the words that are gone."""
    went = [f"{number:>9,}  {called(place, number)}" for place, number in receipt.went.items()]
    lines = [f"Forgotten (number {receipt.number}):", *went] if went else [f"Forgotten (number {receipt.number})."]
    if receipt.noted:
        lines.append(f"Notes written again: {receipt.noted}.")
    lines.append(
        f"Looked through {count(receipt.files, 'file')}, {receipt.bytes / 1e6:,.1f} MB, for "
        f"{count(receipt.texts, 'text')}, also in encodings."
    )
    if receipt.found:
        lines += [f"STILL THERE: {path} at byte {offset:,}" for path, offset in receipt.found]
    else:
        lines.append("Nothing of it was found.")
    if receipt.short:
        lines.append(f"Too short to be looked for: {count(receipt.short, 'text')}.")
    if receipt.left_out:
        lines.append(f"Not looked for, since there were so many: {count(receipt.left_out, 'text')}.")
    lines += [f"Some of the same words stand in: {one}" for one in receipt.also[:SHOWN]]
    if len(receipt.also) > SHOWN:
        lines.append(f"... and {len(receipt.also) - SHOWN} more")
    if receipt.also:
        lines.append("These were kept. To forget them as well: assistant forget --query WORDS")
    lines += [f"Could not be read: {one}" for one in receipt.unread]
    lines += [f"Not looked through: {NOT_LOOKED.get(one, one)}" for one in receipt.skipped]
    lines += [f"Out of reach: {one}" for one in receipt.out_of_reach]
    owed = f"NOT DONE YET: {receipt.owed}. {GOES_ON}"
    return [*lines, owed if receipt.owed else "Done."]


def list_(forgetting: Forgetting, output: Output, as_json: bool) -> int:
    """All receipts, the newest first."""
    found = forgetting.receipts()
    if not found:
        raise NothingFound("Nothing was forgotten yet.")
    for state, receipt in found:
        if as_json:
            output.json({"state": state, **asdict(receipt)})
    if not as_json:
        output.table(["number", "when", "state", "gone", "found", "owed"], [_row(*one) for one in found])
    return 0


def _row(state: str, receipt: Receipt) -> tuple[object, ...]:
    when = f"{datetime.fromisoformat(receipt.at).astimezone():%Y-%m-%d %H:%M}"
    gone = ", ".join(f"{number:,} {called(place, number)}" for place, number in receipt.went.items() if place in TOLD)
    return receipt.number, when, state, gone, len(receipt.found) or "", receipt.owed


def settle(app: App, output: Output) -> None:
    """Go on with what is owed before another command does its own. What fails stays owed, and is told."""
    try:
        finish(app, output)
    except Failure as error:
        output.error(f"An earlier forgetting stays owed: {error}")
