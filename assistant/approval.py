"""Which calls need their owner's yes, and who is asked for it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from memory.records import ToolCall
from tools.toolbox import Prepared


@dataclass(frozen=True, slots=True)
class Wanted:
    """A call that a model wants to make, and what would run."""

    call: ToolCall
    prepared: Prepared


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether a call may run; `how` says for the log who decided, `told` what the model is told of a no."""

    allowed: bool
    how: str
    told: str = ""


# Decides on the calls of one step, in order. Raises Paused where its owner must be asked and cannot be.
Approve = Callable[[Sequence[Wanted]], Sequence[Decision]]


def allow_all(wanted: Sequence[Wanted]) -> list[Decision]:
    """Let everything run: for loops whose tools have no effects."""
    return [Decision(True, "allowed") for _ in wanted]
