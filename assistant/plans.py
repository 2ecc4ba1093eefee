"""A plan: numbered steps, read from what a model or its owner wrote, and how far they have come. Pure."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

State = Literal["open", "done", "failed"]

MOST_STEPS = 12
NONE = "NONE"  # what a model is asked to say where nothing is left to do
RESULT_CHARACTERS = 400  # of a step's result, as the plan keeps it; the whole is in the transcript

_NUMBERED = re.compile(r"^[ \t]*(?:[-*][ \t]+)?(?:step[ \t]+)?(\d{1,2})[ \t]*[.):][ \t]+(\S.*)$", re.I | re.M)
_FAILED = re.compile(r"^\W*FAILED\b\W*(.*)", re.DOTALL)
_MARKS: dict[State, str] = {"open": " ", "done": "x", "failed": "!"}


@dataclass(frozen=True, slots=True)
class Step:
    """One step. `result` says in a few words what came of it."""

    text: str
    state: State = "open"
    result: str = ""


Steps = tuple[Step, ...]


def read(text: str) -> Steps:
    """The numbered lines of a text as open steps; none where it has none."""
    found = [" ".join(match[2].strip(" *").split()) for match in _NUMBERED.finditer(text)]
    return tuple(Step(one) for one in found[:MOST_STEPS])


def is_none(text: str) -> bool:
    """Whether a text says that no step is left, as it was asked to."""
    return text.strip(" \t\n.*\"'`").upper() == NONE


def lines(steps: Sequence[Step]) -> str:
    """The steps as a person and a model read them, each with its mark and what came of it."""
    return "\n".join(
        f"[{_MARKS[one.state]}] {place}. {one.text}" + (f" -> {one.result}" if one.result else "")
        for place, one in enumerate(steps, 1)
    )


def editable(steps: Sequence[Step]) -> str:
    """The open steps as numbered lines, to be changed and read again."""
    return "\n".join(f"{place}. {one.text}" for place, one in enumerate(steps, 1))


def next_open(steps: Sequence[Step]) -> int | None:
    """The place of the first step that is still to be done, from 0; None: there is none."""
    return next((place for place, one in enumerate(steps) if one.state == "open"), None)


def marked(steps: Steps, place: int, answer: str) -> Steps:
    """The steps after a model has answered to the one at `place`: done, or failed where it says so."""
    failed = _FAILED.match(answer)
    said = " ".join((failed[1] if failed else answer).split())
    short = said if len(said) <= RESULT_CHARACTERS else f"{said[:RESULT_CHARACTERS].rstrip()} …"
    one = replace(steps[place], state="failed" if failed else "done", result=short)
    return (*steps[:place], one, *steps[place + 1 :])


def replanned(steps: Sequence[Step], new: Sequence[Step]) -> Steps:
    """What was done or has failed, and then new steps in the place of the open ones."""
    return (*(one for one in steps if one.state != "open"), *new)


def to_json(steps: Sequence[Step]) -> str:
    """The steps as the store keeps them."""
    return json.dumps(
        [{"text": one.text, "state": one.state, "result": one.result} for one in steps], ensure_ascii=False
    )


def from_json(text: str) -> Steps:
    """The inverse of `to_json`."""
    return tuple(Step(**one) for one in json.loads(text))
