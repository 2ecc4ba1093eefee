"""`assistant remember`: note something by hand."""

import sys

import click

from assistant.app import App
from assistant.cli.options import open_app
from assistant.cli.terminal import Output
from memory.errors import Failure


@click.command()
@click.argument("text", nargs=-1)
def command(text: tuple[str, ...]) -> None:
    """Note something by hand. Without TEXT it is what is piped in."""
    words = " ".join(text) if text or sys.stdin.isatty() else sys.stdin.read()
    if not words.strip():
        raise click.UsageError('There is nothing to remember. Write: assistant remember "..."')
    app, output = open_app()
    keep(app, output, words)


def keep(app: App, output: Output, text: str) -> None:
    """Note `text`, give it its vector, and say so in one line."""
    fact = app.memory.note(text)
    try:
        app.memory.sync(fact.session_id)
    except Failure as error:  # the index, or the endpoint that makes vectors
        output.note(f"Found by words only, for now: {error}")
    output.note(f"Remembered, as session {fact.session_id}.")
