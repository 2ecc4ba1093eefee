"""`assistant ask`: one question, the answer alone."""

import logging
import sys
from collections.abc import Callable
from contextlib import closing

import click

from assistant.agent import Event
from assistant.app import App
from assistant.cli.options import model_option, open_app
from assistant.cli.terminal import Output
from assistant.reply import Delta
from memory.errors import Failure
from memory.manager import Recalled

log = logging.getLogger(__name__)


@click.command()
@click.argument("prompt", nargs=-1)
@model_option
def command(prompt: tuple[str, ...], model: str | None) -> None:
    """Ask one question and print the answer alone. What is piped in belongs to the question."""
    text = question(prompt)
    app, output = open_app(model=model)
    app.log_to_file()
    answer(app, output, text)


def question(prompt: tuple[str, ...]) -> str:
    """The words given and what is piped in. Raises UsageError where there is neither."""
    piped = "" if sys.stdin is None or sys.stdin.isatty() else sys.stdin.read()
    text = "\n\n".join(part for part in (" ".join(prompt).strip(), piped.strip()) if part)
    if not text:
        raise click.UsageError('There is no question. Write: assistant ask "..."')
    return text


def answer(app: App, output: Output, text: str) -> None:
    """Answer as one session. Its notes are owed; its words are given vectors, so that the next question finds them."""
    chat = app.chat()
    try:
        with output.answer() as out, closing(chat.turn(text)) as events:
            for event in events:
                show(output, out.write, event)
    finally:
        chat.end()
    try:
        app.memory.sync(chat.session.id)
    except Failure as error:  # the index, or the endpoint that makes vectors
        log.warning("no vectors for %s: %s", chat.session.id, error)


def show(output: Output, write: Callable[[str], None], event: Event | Recalled) -> None:
    """The answer's words as they come; anything else is for the log or for nobody."""
    if isinstance(event, Delta) and not event.reasoning:
        write(event.text)
    elif isinstance(event, Recalled) and event.trouble:
        output.note(event.trouble)
