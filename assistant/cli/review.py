"""The review at a terminal: one by one what waits for its owner, with what it rests on."""

import sys
from collections.abc import Sequence

from assistant.app import App
from assistant.cli.consent import shown_lines
from assistant.cli.editor import edited
from assistant.cli.memory import change, details, evidence
from assistant.cli.options import count
from assistant.cli.screen import BOLD, DIM, asked, awaiting_keys, styled
from assistant.cli.terminal import Output
from memory.errors import Failure
from memory.records import Fact

CHOICES = "[a]ccept, [e]dit, [r]eject, reject all of this [s]ession, [n]ext, [q]uit: "
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
        if fact.id not in {one.id for one in rows.waiting()}:  # rejected with its session
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
            answer = WORDS.get(line.strip().lower()) if line.strip() else ("quit" if not line else None)
            if answer:
                return answer


def _decide(app: App, output: Output, fact: Fact, answer: str) -> int:
    """Carry out an answer; how many facts it decided."""
    rows = app.memory.facts
    if answer == "accept":
        rows.accept([fact.id])
    elif answer == "reject":
        rows.reject([fact.id])
    elif answer == "session":
        all_of_it = [one.id for one in rows.waiting() if one.session_id == fact.session_id]
        rows.reject(all_of_it)
        return len(all_of_it)
    elif answer == "edit":
        return int(_edit(app, output, fact))
    return int(answer in ("accept", "reject"))


def _edit(app: App, output: Output, fact: Fact) -> bool:
    try:
        return change(app, output, fact, edited(fact, app.settings.home, output))
    except Failure as error:
        output.error(str(error))
        return False
