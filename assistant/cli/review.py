"""The review at a terminal: one by one what waits for its owner, with what it rests on."""

import sys
from collections.abc import Sequence

from assistant.app import App
from assistant.cli.consent import shown_lines
from assistant.cli.editor import editing
from assistant.cli.memory import change, details, evidence
from assistant.cli.options import count
from assistant.cli.screen import BOLD, DIM, asked, awaiting_keys, styled
from assistant.cli.terminal import Output, confirm
from memory.errors import Failure
from memory.records import Fact

CHOICES = "[a]ccept, [e]dit, [r]eject, reject what waits of this [s]ession, [S] also what is kept, [n]ext, [q]uit: "
WORDS = {
    "a": "accept", "e": "edit", "r": "reject", "s": "session", "n": "next", "q": "quit",
    "accept": "accept", "edit": "edit", "reject": "reject", "session": "session", "next": "next", "skip": "next",
    "quit": "quit", "": "quit",
}  # fmt: skip


def go_through(app: App, output: Output, waiting: Sequence[Fact]) -> None:
    """Ask about each fact until all are seen or its owner quits. Each answer is carried out at once."""
    rows = app.memory.facts
    decided = 0
    for place, fact in enumerate(waiting, 1):
        if not rows.waits(fact.id):  # rejected with its session, or decided in another terminal
            continue
        answer = _asked(app, fact, f"{place} of {len(waiting)}")
        if answer == "quit":
            break
        decided += _decide(app, output, fact, answer)
    left = len(rows.waiting())
    output.note(f"Decided: {count(decided, 'fact')}; {left} left. Take it back: assistant memory undo")


def _asked(app: App, fact: Fact, place: str) -> str:
    """The answer, asked for until it is clear; the end of input is "quit"."""
    lines = [*details(app.memory, fact, 1), *evidence(app.memory, fact)]
    with awaiting_keys():
        sys.stderr.write("\n" + styled(place, DIM, sys.stderr) + "\n")
        sys.stderr.writelines(line + "\n" for line in shown_lines("\n".join(lines), sys.stderr))
        while True:
            line = asked(styled(CHOICES, BOLD, sys.stderr))
            if not line:
                return "quit"
            if line.strip() == "S":
                return "whole session"
            if line.strip() and (answer := WORDS.get(line.strip().lower())):
                return answer


def _decide(app: App, output: Output, fact: Fact, answer: str) -> int:
    """Carry out an answer; how many facts it decided."""
    rows = app.memory.facts
    if answer == "accept":
        rows.accept([fact.id])
    elif answer == "reject":
        rows.reject([fact.id])
    elif answer in ("session", "whole session"):
        return _reject_session(app, fact.session_id, kept_too=answer == "whole session")
    elif answer == "edit":
        return int(_edit(app, output, fact))
    return int(answer in ("accept", "reject"))


def _reject_session(app: App, session_id: str, kept_too: bool) -> int:
    """Reject what waits of a session; with a yes also what is kept. How many facts it were."""
    rows = app.memory.facts
    facts = [one.id for one in rows.of_session(session_id) if kept_too or rows.waits(one.id)]
    if kept_too:
        with awaiting_keys():
            if not confirm(f"Reject {count(len(facts), 'fact')} of {session_id}, also those that are kept?"):
                return 0
    rows.reject(facts)
    return len(facts)


def _edit(app: App, output: Output, fact: Fact) -> bool:
    try:
        with editing(fact, app.settings.home, output) as wanted:
            return change(app, output, fact, wanted)
    except Failure as error:
        output.error(str(error))
        return False
