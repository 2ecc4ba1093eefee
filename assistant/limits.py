"""When a turn or a session must end: steps, tokens, seconds and money, summed over all calls.

A meter may stand above another: what a turn spends is spent by its session, what a helper spends by the turn. A part
of each limit is kept back for one last call, which gives the best answer so far; so the limit itself is kept.
"""

import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from assistant.models import Prices, cost
from assistant.reply import Usage
from memory.records import Spent

RESERVE = 0.2  # of tokens, seconds and money, kept for the last call
RESERVE_S = 30.0  # at most; longer than most last answers take
LEAST_REPLY = 64  # tokens; a step that may not say as much is not begun
PER = 1_000_000  # prices are for so many tokens


@dataclass(frozen=True, slots=True)
class Limits:
    """The most that may be spent; 0 is no limit. `usd` is money in US dollars."""

    steps: int = 0
    tokens: int = 0
    seconds: float = 0.0
    usd: float = 0.0


@dataclass(frozen=True, slots=True)
class Room:
    """What the next call may take: tokens of its prompt and of its reply, and seconds; infinite without a limit."""

    prompt: float = math.inf
    reply: float = math.inf
    seconds: float = math.inf


class Meter:
    """Counts what is spent, and says what is left. Threads may share it.

    `name` says whose limits these are: "turn", "session"; with `own_steps` (a helper) its steps are none of those
    above, but where these count `all_steps`. `spent` is what was spent before, in another process. The clock runs from
    `begin()` to `stop()`.
    """

    def __init__(
        self,
        name: str,
        limits: Limits,
        prices: Prices | None = None,
        above: "Meter | None" = None,
        spent: Spent = Spent(),
        clock: Callable[[], float] = time.monotonic,
        own_steps: bool = False,
        all_steps: bool = False,
    ) -> None:
        self._own_steps, self._all_steps = own_steps, all_steps
        self.name, self.limits, self._prices, self._above, self._clock = name, limits, prices, above, clock
        self._spent, self._lock = spent, threading.Lock()
        self._began: float | None = None

    # ------------------------------------------------------------------ spending

    def begin(self) -> None:
        """Let the clock run. Those above have clocks of their own."""
        self._began = self._clock()

    def stop(self) -> None:
        """Stop the clock."""
        with self._lock:
            self._spent, self._began = self.spent, None

    def charge(self, usage: Usage, by_helper: bool = False) -> None:
        """Count one call of the model. A helper's is a step of its own and of the session, and none of the turn's."""
        steps = int(self._all_steps or not by_helper)
        with self._lock:
            before, price = self._spent, cost(self._prices, usage.prompt, usage.cached, usage.completion)
            self._spent = before._replace(
                steps=before.steps + steps,
                tokens=before.tokens + usage.prompt + usage.completion,
                usd=None if before.usd is None or price is None else before.usd + price,
            )
        if self._above:
            self._above.charge(usage, by_helper or self._own_steps)

    @property
    def spent(self) -> Spent:
        """What was spent so far."""
        running = 0.0 if self._began is None else self._clock() - self._began
        return self._spent._replace(seconds=self._spent.seconds + running)

    # ------------------------------------------------------------------ what is left

    def reached(self, prompt: int) -> str:
        """What has run out for a step with a prompt of so many tokens ("the limit of 10 steps"); "" if nothing has."""
        own = self._reached(prompt)
        return own or (self._above.reached(prompt) if self._above else "")

    def _reached(self, prompt: int) -> str:
        limits, spent = self.limits, self.spent
        of = "" if self.name == "turn" else f" for the {self.name}"
        if limits.steps and spent.steps >= limits.steps:
            return f"the limit of {limits.steps:,} steps{of}"
        if limits.seconds and spent.seconds >= limits.seconds - self._kept_s():
            return f"the limit of {limits.seconds:g} seconds{of}"
        if limits.tokens and self._by_tokens(last=False).reply(prompt) < LEAST_REPLY:
            return f"the limit of {limits.tokens:,} tokens{of}"
        if limits.usd and self._by_money(last=False).reply(prompt) < LEAST_REPLY:
            return f"the limit of {limits.usd:g} USD{of}"
        return ""

    def room(self, prompt: int, last: bool = False) -> Room:
        """What a call with a prompt of so many tokens may take; the `last` one takes what was kept for it, too."""
        own = self._room(prompt, last)
        if not self._above:
            return own
        above = self._above.room(prompt, last)
        return Room(min(own.prompt, above.prompt), min(own.reply, above.reply), min(own.seconds, above.seconds))

    def share(self, parts: int) -> Limits:
        """An equal part of what is left of tokens, seconds and money; of steps none."""
        left, spent = self.limits, self.spent
        return Limits(
            tokens=max((left.tokens - spent.tokens) // parts, 1) if left.tokens else 0,
            seconds=max((left.seconds - spent.seconds) / parts, 1e-3) if left.seconds else 0.0,
            usd=max((left.usd - (spent.usd or 0.0)) / parts, 1e-9) if left.usd else 0.0,
        )

    def _room(self, prompt: int, last: bool) -> Room:
        shares = (self._by_tokens(last), self._by_money(last))
        kept_s = 0.0 if last else self._kept_s()
        seconds = self.limits.seconds - self.spent.seconds - kept_s if self.limits.seconds else math.inf
        return Room(min(one.prompt for one in shares), min(one.reply(prompt) for one in shares), max(seconds, 0.0))

    def _by_tokens(self, last: bool) -> "_Share":
        most = self.limits.tokens * (1.0 if last else 1 - RESERVE)
        return _Share(most - self._spent.tokens if most else math.inf)

    def _by_money(self, last: bool) -> "_Share":
        most, spent, prices = self.limits.usd * (1.0 if last else 1 - RESERVE), self._spent.usd, self._prices
        if not most:
            return _Share(math.inf)
        if spent is None or prices is None:  # what cannot be counted may be anything
            return _Share(0.0)
        return _Share(most - spent, prices.prompt / PER, prices.completion / PER)

    def _kept_s(self) -> float:
        return min(self.limits.seconds * RESERVE, RESERVE_S)


@dataclass(frozen=True, slots=True)
class _Share:
    """An amount that a prompt and a reply share, with what a token of each takes of it."""

    left: float
    a_prompt_token: float = 1.0
    a_reply_token: float = 1.0

    @property
    def prompt(self) -> float:
        """The most tokens of a prompt, if half of the amount is for it."""
        return max(self.left / 2 / self.a_prompt_token, 0.0) if self.a_prompt_token else math.inf

    def reply(self, prompt: int) -> float:
        """The most tokens of the reply to a prompt of so many tokens."""
        if self.left == math.inf:
            return math.inf
        left = self.left - prompt * self.a_prompt_token
        return max(left / self.a_reply_token, 0.0) if self.a_reply_token else math.inf
