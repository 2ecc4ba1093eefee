"""`assistant chat`: a conversation at the terminal, or with one line a message when it is piped in."""

import sys
from collections.abc import Callable, Generator
from contextlib import closing
from typing import Any

import click

from assistant.agent import Event
from assistant.app import DEFAULT_LOCAL, App
from assistant.chat import Chat
from assistant.cli.agreement import agreer
from assistant.cli.ask import Shown
from assistant.cli.consent import asker
from assistant.cli.options import (
    SESSION_LIMITS,
    TURN_LIMITS,
    count,
    day,
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
from assistant.cli.recall import show as show_hits
from assistant.cli.remember import keep
from assistant.cli.signals import HungUp
from assistant.cli.terminal import Output, Terminal
from assistant.errors import Interrupted, Paused
from assistant.owed import OwedWork
from assistant.planning import Plan
from memory.errors import Failure
from memory.extract import Notes
from memory.manager import MemoryManager, Recalled
from memory.plans import UNFINISHED
from memory.records import Fact

HELP = """\
/help            this list
/new             end this conversation and begin another
/incognito       keep nothing of what is said from now on
/plan TEXT       write a plan for it first, agree on it, and work through it
/plan            go on with the plan of this conversation
/recall WORDS    find what was said before
/remember TEXT   note something by hand
/quit            end (so does Ctrl-D)
Enter sends; Alt-Enter begins a new line; Ctrl-C stops an answer."""
COMMANDS = ("/help", "/new", "/incognito", "/plan", "/recall", "/remember", "/quit")


@click.command()
@model_option
@limit_options(TURN_LIMITS)
@limit_options(SESSION_LIMITS)
@reasoning_option
@plan_option
@defer_option
@incognito_option
@with_memory_option
@profile_option
def command(plan: bool, defer: bool, incognito: bool, with_memory: bool, **flags: Any) -> None:
    """Talk. The conversation is remembered: notes are written when it ends."""
    app, output = open_talk(incognito, with_memory, **flags)
    conversation = Conversation(app, output, plan, defer)
    try:
        conversation.run()
    finally:
        conversation.leave()


class Conversation:
    """The person's side of `chat`: reads lines, shows answers, and sees to the end."""

    def __init__(self, app: App, output: Output, planned: bool = False, defer: bool = False) -> None:
        """`planned`: every message begins with a plan; `defer`: what its owner would be asked waits."""
        self._app, self._output, self._planned, self._defer = app, output, planned, defer
        self._usual = app  # the parts after /new
        self._terminal = self._prompted()
        self._work = self._owed_work()
        self._chat = self._another_chat()
        self._commands: dict[str, Callable[[str], None]] = {
            "/help": lambda _rest: output.note(HELP),
            "/new": lambda _rest: self._begin_anew(),
            "/incognito": lambda _rest: self._go_incognito(),
            "/plan": self._plan,
            "/recall": self._recall,
            "/remember": self._remember,
        }

    def _another_chat(self) -> Chat:
        output, defer, keeps = self._output, self._defer, self._app.keeps
        return self._app.chat(asker(output, defer, keeps), agreer(output, defer, keeps))

    def _prompted(self) -> Terminal:
        """The terminal with a prompt that says whose life this is; where nothing is kept, without a file of lines."""
        app = self._app
        keeps_lines = app.keeps and not app.memory.store.encrypted
        words = [app.settings.profile, "" if app.keeps else "incognito"]
        prompt = " ".join(filter(None, words)) or "you"
        history = app.settings.home / "history" if keeps_lines else None
        return Terminal(history=history, commands=COMMANDS, prompt=f"{prompt}> ", masked=app.masking.text)

    def _owed_work(self) -> OwedWork:
        return OwedWork(self._app.another_memory, self._write_owed, self._app.choice.name)

    def _away(self) -> bool:
        """Whether the background must leave the model: at once if it is embedded, which answers one at a time."""
        return self._work.away() if self._app.choice.embedded else self._work.stopped()

    def _write_owed(self, memory: MemoryManager, session_id: str) -> Notes:
        return self._app.write_notes(memory, session_id, self._away)

    def run(self) -> None:
        """Read and answer until the end of input, then write the notes."""
        self._output.note(introduction(self._app))
        self._begin_work()
        while (line := self._terminal.read()) is not None:
            text = line.strip()
            if text in ("/quit", "/exit"):
                break
            self._handle(text)
        self._work.finish()
        self._end()

    def _begin_work(self) -> None:
        """Let the background do what is owed; nothing is where nothing is kept."""
        if self._app.keeps:
            self._work.start()
            self._work.go_on()

    def leave(self) -> None:
        """Whatever happened: mark the session as ended, and leave what is owed."""
        self._chat.end()
        self._work.finish()

    def _handle(self, text: str) -> None:
        """One line of the person's. A failure is shown, and the conversation goes on."""
        name, _, rest = text.partition(" ")
        self._work.step_aside()
        try:
            if name in self._commands:
                self._commands[name](rest.strip())
            elif name.startswith("/") and name[1:].isalpha():
                self._output.error(f"There is no {name}; /help lists what there is.")
            elif text:
                self._show(self._chat.turn(text, self._planned))
        except HungUp:
            raise
        except (KeyboardInterrupt, Interrupted):
            if not sys.stdin.isatty():
                raise
            self._output.note("Stopped.")
        except Failure as error:
            if not sys.stdin.isatty():
                raise
            self._output.error(str(error))
            if isinstance(error, Paused):
                self._begin_anew()
        finally:
            self._work.go_on()

    def _plan(self, text: str) -> None:
        if text:
            self._show(self._chat.turn(text, planned=True))
            return
        plan = self._app.memory.plans.of_session(self._chat.session.id)
        if plan is None or plan.state not in UNFINISHED:
            self._output.error("There is no plan to go on with. Write what to plan: /plan TEXT")
            return
        self._show(self._chat.go_on(plan.turn))

    def _show(self, turn: Generator[Event | Recalled | Plan | Fact]) -> None:
        drew_on: Recalled | None = None
        with self._output.answer() as out, closing(turn) as events:
            shown = Shown(self._output, out.write, self._app.memory, self._app.settings.show_reasoning)
            for event in events:
                shown(event)
                drew_on = event if isinstance(event, Recalled) else drew_on
        if drew_on and drew_on.hits:
            self._output.note(sources(drew_on))

    def _recall(self, question: str) -> None:
        if not question:
            self._output.error("Write what to look for: /recall WORDS")
            return
        recalled = self._app.memory.recall(question, limit=5, live=self._chat.session.id)
        show_hits(self._output, recalled)
        if not recalled.hits:
            self._output.note("Nothing was found.")

    def _remember(self, text: str) -> None:
        if not text:
            self._output.error("Write what to note: /remember TEXT")
            return
        keep(self._app, self._output, text)

    def _begin_anew(self) -> None:
        self._end()
        if self._app is not self._usual:
            self._usual.log_to_file()
            self._change_to(self._usual)
            self._work = self._owed_work()
            self._begin_work()
        self._chat = self._another_chat()
        self._output.note("A new conversation." if self._app.keeps else "A new conversation, incognito as before.")

    def _change_to(self, app: App) -> None:
        self._app = app
        self._terminal = self._prompted()

    def _go_incognito(self) -> None:
        """Go on with what the window shows, and keep nothing of it; what was said so far is ended as usual."""
        if not self._app.keeps:
            self._output.note("It is incognito already.")
            return
        self._work.finish()
        self._end()
        before, memory = self._chat.session, self._usual.memory
        outside = memory.foreign(before.shown())
        self._usual.stop_log()
        self._change_to(self._usual.incognito(outside=outside))
        self._chat = self._another_chat()
        self._chat.session.take_over(before)
        self._output.note(about_incognito(self._app))
        stays = "What was said before stays, with its notes. " if before.started else ""
        self._output.note(f"{stays}/new begins a usual conversation.")

    def _end(self) -> None:
        """End the session and write its notes. Nobody must wait: Ctrl-C leaves them to the next start."""
        if not self._chat.end() or not self._app.keeps:
            return
        try:
            with self._output.progress("Writing the notes (Ctrl-C leaves them for the next start)") as progress:
                progress.update(0)
                self._write_notes()
        except HungUp:
            raise
        except (KeyboardInterrupt, Interrupted):
            self._output.note("The notes on this conversation are written at the next start.")

    def _write_notes(self) -> None:
        memory, session_id = self._app.memory, self._chat.session.id
        with memory.owing() as mine:
            if not mine:
                self._output.note("Other notes are being written; those on this conversation follow at the next start.")
                return
            try:
                notes = self._app.write_notes(memory, session_id)
            except Failure as error:
                notes = memory.extract(session_id)
                self._output.note(f"No notes by the model: {error} Extracted ones stand in until it is there.")
            self._output.note(noted(memory, notes))
            try:
                memory.sync(session_id)
            except Failure as error:  # the index, or the endpoint that makes vectors
                self._output.note(f"Found by words only, for now: {error}")


def introduction(app: App) -> str:
    """Which model answers, with the embedded one how to get a better one, and at the first time where all is kept."""
    choice = app.choice
    line = f"{choice.name} answers, {'inside this program' if choice.embedded else 'at ' + app.endpoint.host}."
    if choice.name == DEFAULT_LOCAL:
        line += " For a better one: assistant models"
    lines = [line]
    if not (choice.info.known or app.settings.context_tokens):
        window = f"{choice.info.context_tokens:,} tokens, counted as {app.counter.encoding}"
        lines.append(
            f"It is not in the model table: its window is taken for {window}.\nASSISTANT_CONTEXT_TOKENS sets it."
        )
    if app.settings.profile:
        lines.append(f"Profile: {app.settings.profile}.")
    lines += about_memory(app) if app.keeps else [about_incognito(app)]
    return "\n".join([*lines, "/help lists commands, Ctrl-D ends."])


def about_incognito(app: App) -> str:
    """What is kept of an incognito conversation, and what is read."""
    sees = "" if app.choice.embedded else " Its endpoint sees it as always."
    reads = "It reads your memory." if app.recalls else "It reads no memory."
    kept = "nothing of this conversation is kept on this machine, but what tools do with your yes"
    return f"Incognito: {kept}. {reads}{sees}"


def about_memory(app: App) -> list[str]:
    """At the first time where all is kept; later what waits for its owner."""
    lines = []
    if not app.memory.store.sessions(1):
        lines.append(f"What is said is remembered, in {app.settings.home} alone.")
    if waiting := sum(row.waits for row in app.memory.pending.all()):
        lines.append(f"Waiting for your approval: {waiting}. See: assistant pending")
    if unsure := app.memory.facts.count_waiting():
        lines.append(f"Waiting for your review: {count(unsure, 'fact')}. See: assistant memory review")
    if left := len(app.memory.unfinished()):
        lines.append(f"Unfinished: {count(left, 'plan')}. See: assistant pending")
    return lines


def noted(memory: MemoryManager, notes: Notes) -> str:
    """What is new in the memory after a session, and how to see it."""
    session_id = notes.summary.session_id
    facts = memory.facts.of_session(session_id)
    numbers = {
        "known before": sum(fact.same_as is not None for fact in facts),
        "replaced": len(memory.facts.replaced_by(session_id)),
        "for your review": memory.facts.count_waiting(session_id),
        "from outside, not shown to models": memory.facts.count_outside(session_id),
    }
    told = [count(len(facts), "fact"), *(f"{number} {what}" for what, number in numbers.items() if number)]
    named = "last" if memory.store.sessions(1)[0].id == session_id else session_id
    see = f" See: assistant memory list --session {named}" if facts else ""
    return f'Noted: "{notes.summary.title}": {", ".join(told)}.{see}'


def sources(recalled: Recalled) -> str:
    """The sessions that an answer drew on, each once."""
    found = {hit.session_id: f"{day(hit.at)} {hit.title}".strip() for hit in recalled.hits}
    return "from memory: " + "; ".join(list(found.values())[:4])
