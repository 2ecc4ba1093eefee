"""`assistant ask`: one question, the answer alone."""

import logging
import sys
from collections.abc import Callable, Generator
from contextlib import closing
from typing import TYPE_CHECKING, Any

import click

from assistant.agent import Event
from assistant.app import App
from assistant.cli.agreement import agreer
from assistant.cli.consent import asker
from assistant.cli.options import (
    TURN_LIMITS,
    defer_option,
    incognito_option,
    limit_options,
    model_option,
    open_talk,
    plan_option,
    profile_option,
    reasoning_option,
    with_memory_option,
)
from assistant.cli.remember import changed, remembered
from assistant.cli.terminal import Output
from assistant.planning import Plan
from assistant.plans import lines
from assistant.reply import Delta
from memory.errors import Failure
from memory.manager import MemoryManager, Recalled
from memory.records import Fact, Message

if TYPE_CHECKING:
    from assistant.chat import Chat

log = logging.getLogger(__name__)

PIPED = "stdin"  # as whose words a text is kept that was piped in to be asked about


@click.command()
@click.argument("prompt", nargs=-1)
@model_option
@limit_options(TURN_LIMITS)
@reasoning_option
@plan_option
@defer_option
@incognito_option
@with_memory_option
@profile_option
def command(prompt: tuple[str, ...], plan: bool, defer: bool, incognito: bool, with_memory: bool, **flags: Any) -> None:
    """Ask one question and print the answer alone. What is piped in belongs to the question.

    Beside a question it is taken for a file or a page: nothing of it is learned, and tools with effects ask first.
    """
    text, drawn_from = question(prompt)
    app, output = open_talk(incognito, with_memory, **flags)
    chat = app.chat(asker(output, defer, app.keeps), agreer(output, defer, app.keeps))
    answer(app, output, chat, chat.turn(text, plan, drawn_from))


def question(prompt: tuple[str, ...]) -> tuple[str, tuple[str, ...]]:
    """The words given and what is piped in; and that the latter, beside the former, is a file or a page.

    Alone it is the question, and its owner's word. Raises UsageError where there is neither.
    """
    piped = "" if sys.stdin is None or sys.stdin.isatty() else sys.stdin.read()
    parts = [part for part in (" ".join(prompt).strip(), piped.strip()) if part]
    if not parts:
        raise click.UsageError('There is no question. Write: assistant ask "..."')
    return "\n\n".join(parts), (PIPED,) if len(parts) > 1 else ()


def answer(app: App, output: Output, chat: "Chat", turn: Generator[Event | Recalled | Plan | Fact]) -> None:
    """Show a turn, and end its session, if it waits for nothing.

    Its notes are owed; its words are given vectors, so that the next question finds them.
    """
    try:
        with output.answer() as out, closing(turn):
            shown = Shown(output, out.write, app.memory, app.settings.show_reasoning)
            for event in turn:
                shown(event)
    finally:
        chat.end()
    try:
        app.memory.sync(chat.session.id)
    except Failure as error:  # the index, or the endpoint that makes vectors
        log.warning("no vectors for %s: %s", chat.session.id, error)


class Shown:
    """Shows the events of a turn: the answer's words as they come; on request the model's thoughts, line by line.

    What the model says between calls of tools, and of each step of a plan, is a paragraph of its own.
    """

    def __init__(
        self, output: Output, write: Callable[[str], None], memory: MemoryManager, reasoning: bool = False
    ) -> None:
        """`write` takes the answer's words; thoughts are notes beside it, as is what was remembered in `memory`."""
        self._output, self._write, self._memory, self._reasoning = output, write, memory, reasoning
        self._thought = ""
        self._said = self._ended = False  # whether anything was said so far, and whether its message has ended

    def __call__(self, event: Event | Recalled | Plan | Fact) -> None:
        """Show an event; what is for the log or for nobody is passed over."""
        if isinstance(event, Fact):
            for line in [remembered(event.text), *changed(self._memory, event)]:
                self._output.note(line)
        elif isinstance(event, Recalled):
            if event.trouble:
                self._output.note(event.trouble)
        elif isinstance(event, Plan):
            self._begin_anew()
            self._output.note(lines(event.steps))
        elif isinstance(event, Delta) and event.reasoning:
            self._think(event.text)
        else:
            self._think("\n")
            if isinstance(event, Delta) and event.text:
                self._begin_anew()
                self._said = True
                self._write(event.text)
            elif isinstance(event, Message):
                self._ended = True

    def _begin_anew(self) -> None:
        if self._said and self._ended:
            self._write("\n\n")
            self._said = False
        self._ended = False

    def _think(self, text: str) -> None:
        if not self._reasoning:
            return
        *lines, self._thought = (self._thought + text).split("\n")
        for line in filter(str.strip, lines):
            self._output.note(line)
