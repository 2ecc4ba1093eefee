"""Asks the person at the terminal whether a call of a tool may run, and shows them exactly what would run."""

import re
import sys
from collections.abc import Iterable, Iterator
from typing import IO
from unicodedata import east_asian_width

from assistant.approval import Answer, AskOwner, Question
from assistant.cli.screen import BOLD, DIM, GREEN, RED, asked, awaiting_keys, size_of, styled
from assistant.cli.terminal import Output
from tools.visible import visible

GUTTER = "  │ "  # before each line that would run: nothing in it can look like the question
GO_ON = "  ┊ "  # before the rest of a line that is longer than the terminal is wide
DIFF = {"+": GREEN, "-": RED, "@": DIM}  # the colours of a diff's lines, by how they begin
NO_ANSWER = "there was no answer"


def asker(output: Output, defer: bool, keeps: bool = True) -> AskOwner | None:
    """Who asks the owner; None where nobody can be asked: no terminal, or what asks is to wait (`defer`).

    Where nothing is kept nothing can wait: `defer` is not heeded, and whom nobody can ask says no.
    """
    if (defer and keeps) or not (sys.stdin.isatty() and sys.stderr.isatty()):
        return None if keeps else lambda question: _refused(output, question)
    return lambda question: consent(output, question)


def _refused(output: Output, question: Question) -> Answer:
    """The answer for an owner who cannot be asked now, nor later."""
    output.note(f"Not run: {question.name} needs your yes, nobody can be asked here, and nothing waits in incognito.")
    return Answer(False, reason="the user cannot be asked now")


def consent(output: Output, question: Question) -> Answer:
    """Ask until the answer is clear; the end of input is a no. Raises KeyboardInterrupt at Ctrl-C."""
    with output.interrupted(), awaiting_keys():
        sys.stderr.writelines(line + "\n" for line in _put(question))
        while True:
            line = asked(styled(f"{question.name}? {_choices(question)} ", BOLD, sys.stderr))
            if not line:
                return Answer(False, reason=NO_ANSWER)
            if answer := read_answer(line, question.lasting):
                return answer


def read_answer(line: str, lasting: bool) -> Answer | None:
    """What was typed as an answer: y, a where a yes may last, or n and perhaps why. None: it is none of them."""
    word, _, rest = line.strip().partition(" ")
    said, reason = word.lower().rstrip(",.:"), rest.strip()
    if said in ("n", "no"):
        return Answer(False, reason=reason)
    if said in ("y", "yes") and not reason:
        return Answer(True)
    if said in ("a", "always") and not reason and lasting:
        return Answer(True, always=True)
    return None


def shown_lines(text: str, stream: IO[str]) -> list[str]:
    """What would run, line by line, with nothing hidden; at a terminal wrapped there, and a diff in colours."""
    lines = visible(text).removesuffix("\n").split("\n")
    is_diff = re.match(r"--- .*\n\+\+\+ ", text) is not None
    room = size_of(stream)[0] - len(GUTTER) - 1 if stream.isatty() else sys.maxsize
    found = []
    for line in lines:
        style = DIFF.get(line[:1], "") if is_diff else ""
        first, *more = _parts(line.expandtabs(4) if stream.isatty() else line, max(room, 20))
        found.append(GUTTER + styled(first, style, stream))
        found += [GO_ON + styled(part, style, stream) for part in more]
    return found


def _parts(line: str, room: int) -> Iterator[str]:
    """A line cut for so many columns. The terminal's own wrapping would begin at the edge, as what we ask does."""
    part, used = "", 0
    for character in line:
        columns = 2 if east_asian_width(character) in "WF" else 1
        if used + columns > room:
            yield part
            part, used = "", 0
        part, used = part + character, used + columns
    yield part


def _put(question: Question) -> Iterable[str]:
    effects = f" ({', '.join(question.effects)})" if question.effects else ""
    yield styled(f"The model wants to call {question.name}{effects}.", BOLD, sys.stderr)
    yield styled(f"You are asked because: {question.why}", DIM, sys.stderr)
    yield from shown_lines(question.shown, sys.stderr)


def _choices(question: Question) -> str:
    return f"[y]es, [n]o (and why){', [a]lways in this session' if question.lasting else ''}:"
