"""Who decides on the calls of a step: the rules, the owner at the terminal, or the owner later."""

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import NoReturn, Protocol

from assistant.errors import Interrupted
from assistant.policy import Policy, Verdict
from memory.records import ToolCall
from tools.toolbox import Prepared

DENIED = "denied by its owner"  # and a colon with what was said to it


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


@dataclass(frozen=True, slots=True)
class Question:
    """What the owner is asked. Exactly what is `shown` is what runs; `lasting`: they may say yes for the session."""

    name: str
    effects: tuple[str, ...]
    shown: str
    why: str
    lasting: bool


@dataclass(frozen=True, slots=True)
class Answer:
    """What the owner says: yes, yes for this session, or no and why."""

    allowed: bool
    always: bool = False
    reason: str = ""


# Asks the owner, who is there. Raises KeyboardInterrupt where they stop the turn instead.
AskOwner = Callable[[Question], Answer]
# Names of what the model can see of words from outside. Asked before each step.
Outside = Callable[[], Sequence[str]]


class Later(Protocol):
    """Where calls wait whose owner is not there."""

    def decided(self, wanted: Sequence[tuple[Wanted, Verdict]]) -> Sequence[Decision] | None:
        """What was decided on the calls of a step that waited before; None where none did."""

    def wait(self, wanted: Sequence[tuple[Wanted, Verdict]]) -> NoReturn:
        """Keep the calls of a step. Raises Paused."""


class Approval:
    """Decides on the calls of one loop."""

    def __init__(
        self,
        policy: Policy,
        outside: Outside,
        ask: AskOwner | None = None,
        later: Later | None = None,
        always: set[str] | None = None,
    ) -> None:
        """`ask` is None where nobody can be asked: then the step waits, or without `later` what must ask is refused.

        `always` are the tools that have their owner's yes for this session; it grows as they give it.
        """
        self._policy, self._outside, self._ask, self._later = policy, outside, ask, later
        self._always = set[str]() if always is None else always
        self._read: tuple[str, ...] = ()

    def __call__(self, wanted: Sequence[Wanted]) -> Sequence[Decision]:
        """Decide on the calls of a step; none of them has run, so they do not taint each other."""
        self._read = tuple(self._outside())
        judged = [(one, self._verdict(one)) for one in wanted]
        if self._later and (decided := self._later.decided(judged)) is not None:
            return decided
        if self._later and self._ask is None and any(verdict.rule == "ask" for _, verdict in judged):
            self._later.wait(judged)
        # Judged once more: a yes for the session may have come with the call before.
        return [self._decision(one, self._verdict(one)) for one in wanted]

    def helper(self, outside: Outside) -> "Approval":
        """The same for a helper in another thread, begun in the step that was decided last.

        What its parent had read counts for it, and beside that what `outside` names. It cannot wait for an owner who
        is not there.
        """
        read = self._read
        return Approval(self._policy, lambda: [*read, *outside()], self._ask, None, self._always)

    def _verdict(self, one: Wanted) -> Verdict:
        return self._policy.verdict(one.prepared.tool, self._read, self._always)

    def _decision(self, one: Wanted, verdict: Verdict) -> Decision:
        if verdict.rule != "ask":
            return by_rule(verdict)
        if self._ask is None:
            return Decision(
                False, f"refused: {verdict.why}", "Not run: it needs the user's yes, who cannot be asked now."
            )
        tool = one.prepared.tool
        effects = tuple(sorted(tool.effects))
        answer = self._ask(Question(tool.name, effects, one.prepared.shown, verdict.why, verdict.lasting))
        if answer.allowed and answer.always and verdict.lasting:
            self._always.add(tool.name)
        return by_owner(answer.allowed, answer.reason)


def by_rule(verdict: Verdict) -> Decision:
    """The decision where the rules leave nothing to ask."""
    if verdict.rule == "allow":
        return Decision(True, f"allowed: {verdict.why}")
    return Decision(False, f"denied: {verdict.why}", "Not run: the user's settings do not allow it.")


def by_owner(allowed: bool, reason: str = "") -> Decision:
    """The decision that the owner made."""
    if allowed:
        return Decision(True, "approved")
    because = f": {reason}" if reason else ""
    return Decision(False, f"{DENIED}{because}", f"Not run: the user said no to this call{because or '.'}")


class Desk:
    """Brings questions from the threads of helpers to the thread that made it, where the owner is asked.

    One question at a time. Its own thread must serve() while it waits for them, and close() when its turn ends.
    """

    def __init__(self, ask: AskOwner) -> None:
        self._ask, self._thread = ask, threading.get_ident()
        self._waiting: SimpleQueue[tuple[Question, Future[Answer]]] = SimpleQueue()
        self._lock, self._open = threading.Lock(), True

    def __call__(self, question: Question) -> Answer:
        """Ask the owner; from another thread, wait until that is done. Raises Interrupted there after close()."""
        if threading.get_ident() == self._thread:
            return self._ask(question)
        answer: Future[Answer] = Future()
        with self._lock:
            if not self._open:
                raise _ended()
            self._waiting.put((question, answer))
        return answer.result()

    def serve(self) -> None:
        """Ask what other threads wait for."""
        for question, answer in self._taken():
            try:
                answer.set_result(self._ask(question))
            except BaseException:  # the owner stopped the turn, or the terminal is gone
                answer.set_exception(_ended())
                raise

    def close(self) -> None:
        """Ask nothing any more, and stop those who wait."""
        with self._lock:
            self._open = False
        for _, answer in self._taken():
            answer.set_exception(_ended())

    def _taken(self) -> Iterator[tuple[Question, Future[Answer]]]:
        while True:
            try:
                yield self._waiting.get_nowait()
            except Empty:
                return


def _ended() -> Interrupted:
    return Interrupted("The turn has ended, so nobody is asked any more.")
