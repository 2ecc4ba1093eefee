"""Shows a plan to the person at the terminal, for a yes, a no, or changes in their editor."""

import sys

import click

from assistant import plans
from assistant.cli.screen import BOLD, asked, awaiting_keys, styled
from assistant.cli.terminal import Output
from assistant.planning import Agree
from assistant.plans import Steps

EDIT_NOTE = "\n\n# The steps of the plan, a line each with its number. Lines without one are left out; none: no.\n"


def agreer(output: Output, defer: bool, keeps: bool = True) -> Agree | None:
    """Who agrees on plans; None where nobody can be asked: no terminal, or what asks is to wait (`defer`).

    Where nothing is kept nothing can wait: `defer` is not heeded, and whom nobody can ask says no.
    """
    if (defer and keeps) or not (sys.stdin.isatty() and sys.stderr.isatty()):
        return None if keeps else lambda steps: _refused(output)
    return lambda steps: agreement(output, steps, keeps)


def _refused(output: Output) -> Steps | None:
    output.note("The plan needs your yes, nobody can be asked here, and nothing waits in incognito.")
    return None


def agreement(output: Output, steps: Steps, edits: bool = True) -> Steps | None:
    """Ask until the answer is clear; the end of input is a no. Raises KeyboardInterrupt at Ctrl-C.

    Without `edits` no editor is offered, which would be given the plan in a file.
    """
    choices = "[y]es, [e]dit, [n]o" if edits else "[y]es, [n]o"
    while True:
        with output.interrupted(), awaiting_keys():
            for line in ("The plan:", *plans.editable(steps).splitlines()):
                output.note(line)
            line = asked(styled(f"Carry it out? {choices}: ", BOLD, sys.stderr))
        word = line.strip().lower()
        if word in ("y", "yes"):
            return steps
        if word in ("n", "no") or not line:
            return None
        if edits and word in ("e", "edit"):
            try:
                steps = edited(steps)
            except click.ClickException as error:  # there is no such editor, or it failed
                output.error(f"{error.format_message()}. Set EDITOR, or answer otherwise.")
            if not steps:
                return None


def edited(steps: Steps) -> Steps:
    """The steps as their owner leaves them in $EDITOR; as they were where nothing was saved. Raises ClickException."""
    text = click.edit(plans.editable(steps) + EDIT_NOTE)
    return steps if text is None else plans.read(text)
