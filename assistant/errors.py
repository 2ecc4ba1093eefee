"""What a person is told when a model cannot answer: one line, its remedy, and the process's exit code.

memory.errors.Failure        1
  RateLimited               75   the endpoint asks for a pause, longer than was waited
  KeyRefused                76   no key, or one that the endpoint does not take
  ModelUnreachable          77   no model can be reached: offline, no weights, no server
  ModelError                 1   the endpoint refused the request; its message is passed on
    ContextOverflow          1   the endpoint says that the prompt is too long
    SchemaRefused            1   the endpoint cannot answer in a JSON schema
  LimitReached               5   a limit of steps, tokens, time or money stopped the turn
  PlanRefused                4   the owner said no to a plan
  Paused                     6   the turn waits for its owner's approval
  Interrupted (Stopped)    130   Ctrl-C
"""

from memory.errors import Failure, Stopped


class RateLimited(Failure):
    """The endpoint asks for a pause, longer than was waited."""

    exit_code = 75


class KeyRefused(Failure):
    """There is no key, or the endpoint does not take it."""

    exit_code = 76


class ModelUnreachable(Failure):
    """No model can be reached: offline, no weights, no server."""

    exit_code = 77


class ModelError(Failure):
    """The endpoint refused the request; its message is passed on."""


class ContextOverflow(ModelError):
    """The endpoint says that the prompt is too long for the model's window.

    `window` and `prompt` are what it says of their sizes, in tokens as it counts; None where it does not.
    """

    def __init__(self, message: str, remedy: str = "", window: int | None = None, prompt: int | None = None) -> None:
        super().__init__(message, remedy)
        self.window, self.prompt = window, prompt


class SchemaRefused(ModelError):
    """The endpoint cannot answer in the form of a JSON schema."""


class LimitReached(Failure):
    """A limit of steps, tokens, time or money stopped the turn."""

    exit_code = 5


class PlanRefused(Failure):
    """The owner said no to a plan."""

    exit_code = 4


class Paused(Failure):
    """The turn waits for its owner's approval; it goes on where it stands once that is given."""

    exit_code = 6


class Interrupted(Stopped):
    """The person at the keyboard stopped it, as Ctrl-C does."""

    exit_code = 130
