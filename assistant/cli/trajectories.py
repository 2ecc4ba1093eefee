"""`assistant eval --trajectories`: whether questions are answered in the way that is expected."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from assistant.app import App
from assistant.cli.eval_ import told_bad
from assistant.cli.options import count
from assistant.cli.terminal import Output
from assistant.judging import differences, shown
from assistant.rehearsal import rehearsed
from assistant.trajectories import Case, Outcome, read
from memory.errors import BadInput, NothingFound
from memory.records import Spent
from tools.arguments import quoted, similar

SCHEMA = "assistant.trajectory-result/1"


def judged(app: App, output: Output, path: Path, only: Sequence[str], real: bool, as_json: bool) -> int:
    """Let the cases of a file happen and tell of each; `real`: with the model, also where there is a script.

    Returns the exit code: 1 where something differs, or a line is no case.
    """
    cases, bad = read(path)
    if told_bad(output, [(path, one) for one in bad]):
        return 1
    chosen, wrong = selected(cases, only), 0
    for case in chosen:
        scripted = bool(case.script) and case.held != "real" and (case.held == "scripted" or not real)
        outcome, spent = rehearsed(case, app.settings, app.say, scripted)
        found = differences(case.expected, outcome)
        wrong += bool(found)
        if as_json:
            output.json(as_object(case, scripted, outcome, spent, found))
        else:
            output.lines(as_lines(case, outcome, spent, found))
    if not as_json:
        output.lines([f"{count(len(chosen), 'case')}: {len(chosen) - wrong} right, {wrong} wrong."])
    return int(wrong > 0)


def selected(cases: Sequence[Case], only: Sequence[str]) -> list[Case]:
    """The cases of these ids, or all. Raises BadInput where there is none, NothingFound for an id that is none."""
    known = [case.id for case in cases]
    if not known:
        raise BadInput("There is no case in this file.", "Each is a JSON line: see docs/trajectories.md.")
    for name in only:
        if name not in known:
            raise NothingFound(f"There is no case {name!r}{similar(name, known) or '.'}", "")
    return [case for case in cases if not only or case.id in only]


def as_lines(case: Case, outcome: Outcome, spent: Spent, found: Sequence[str]) -> list[str]:
    """A case for people: a line, and one below it for each thing that differs."""
    calls = ", ".join(shown(call) for call in outcome.calls) or "no calls"
    told = [count(spent.tokens, "token")] if spent.tokens else []  # neither scripts nor all endpoints count them
    took = ", ".join([count(spent.steps, "step"), *told, f"{spent.seconds:.1f} s"])
    head = f"{'wrong' if found else 'right'}  {quoted(case.id)}: {calls} ({took})"
    return [head, *(f"       {one}" for one in found)]


def as_object(case: Case, scripted: bool, outcome: Outcome, spent: Spent, found: Sequence[str]) -> dict[str, Any]:
    """A case for other programs. `usd` is null where a price is unknown."""
    return {
        "schema": SCHEMA,
        "id": case.id,
        "model": "scripted" if scripted else "real",
        "right": not found,
        "differences": list(found),
        "calls": [{"name": call.name, "arguments": call.arguments} for call in outcome.calls],
        "answer": outcome.answer,
        "at_limit": outcome.at_limit,
        "steps": spent.steps,
        "tokens": spent.tokens,
        "seconds": round(spent.seconds, 3),
        "usd": spent.usd,
    }
