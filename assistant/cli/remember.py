"""`assistant remember`: note something by hand."""

import re
import sys

import click

from assistant.app import App
from assistant.cli.markdown import one_line
from assistant.cli.options import open_to_write, shortened
from assistant.cli.terminal import Output
from memory.errors import Failure
from memory.manager import MemoryManager
from memory.records import Fact

LEADS = re.compile(r"\s*(?:that|to)\s", re.IGNORECASE)
TAKE_BACK = "Take it back: assistant memory undo"


@click.command()
@click.argument("text", nargs=-1)
def command(text: tuple[str, ...]) -> None:
    """Note something by hand. Without TEXT it is what is piped in."""
    words = " ".join(text) if text or sys.stdin.isatty() else sys.stdin.read()
    if not words.strip():
        raise click.UsageError('There is nothing to remember. Write: assistant remember "..."')
    app, output = open_to_write()
    keep(app, output, words)


def keep(app: App, output: Output, text: str) -> None:
    """Note `text`, give it its vector, and say so in one line; in others what that changed."""
    from memory.asked import to_remember

    asked = to_remember(f"remember {text.strip()}") if LEADS.match(text) else None  # "remember that ...", as a command
    statement, kind = asked or (text, None)
    fact = app.memory.note(statement, kind=kind)
    try:
        app.memory.sync(fact.session_id)
    except Failure as error:  # the index, or the endpoint that makes vectors
        output.note(f"Found by words only, for now: {error}")
    output.note(f"Remembered, as session {fact.session_id}.")
    for line in changed(app.memory, fact):
        output.note(line)


def remembered(text: str) -> str:
    """The line for what was kept of a conversation at once."""
    return f"Remembered: {shortened(one_line(text))}. {TAKE_BACK}"


def changed(memory: MemoryManager, fact: Fact) -> list[str]:
    """What a remembered fact did to others: what it replaced, or says once more."""
    lines = []
    for one in memory.facts.history(fact.id):
        if one.act == "joined" and one.fact == fact.id:
            heard = memory.facts.heard([one.other])[one.other]
            lines.append(f"It was known before: heard {heard} times now.")
        if one.act == "retired" and one.other == fact.id:
            old = memory.facts.find(one.fact)
            lines.append(f"It replaces: {shortened(one_line(old.text))} ({old.id}). {TAKE_BACK}")
    return lines
