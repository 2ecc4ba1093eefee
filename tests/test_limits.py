"""Limits: what is summed, what is kept back for the last answer, and that a limit is kept whatever is asked."""

import math
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assistant.limits import LEAST_REPLY, RESERVE, Limits, Meter
from assistant.models import Prices
from assistant.reply import Usage
from memory.records import Spent

PRICES = Prices(1.0, 0.5, 4.0, None, "", "")


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_without_limits_nothing_is_reached_and_all_is_counted() -> None:
    meter = Meter("turn", Limits(), PRICES)
    meter.charge(Usage(1_000, 500, 400))
    meter.charge(Usage(1_000, 500, 0))
    assert meter.reached(10**9) == ""
    assert meter.room(10**9) == meter.room(0, last=True)
    assert meter.room(0).reply == meter.room(0).prompt == meter.room(0).seconds == math.inf
    assert (meter.spent.steps, meter.spent.tokens) == (2, 3_000)
    assert meter.spent.usd == pytest.approx((600 + 200 + 2_000 + 1_000 + 2_000) / 1e6)


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        (Limits(steps=2), "the limit of 2 steps"),
        (Limits(tokens=1_000), "the limit of 1,000 tokens"),
        (Limits(usd=0.001), "the limit of 0.001 USD"),
    ],
)
def test_what_has_run_out_is_named(limits: Limits, words: str) -> None:
    meter = Meter("turn", limits, PRICES)
    assert meter.reached(100) == ""
    for _ in range(2):
        meter.charge(Usage(300, 100, 0))
    assert meter.reached(100) == words
    assert Meter("session", limits, PRICES, spent=meter.spent).reached(100) == f"{words} for the session"


def test_seconds_run_while_the_meter_does_and_some_are_kept() -> None:
    clock = Clock()
    meter = Meter("turn", Limits(seconds=100), clock=clock)
    clock.now += 1_000
    assert meter.room(0).seconds == 80
    meter.begin()
    clock.now += 79
    assert meter.reached(0) == ""
    assert (meter.room(0).seconds, meter.room(0, last=True).seconds) == (1, 21)
    meter.stop()
    clock.now += 1_000
    assert meter.reached(0) == ""
    meter.begin()
    clock.now += 2
    assert meter.reached(0) == "the limit of 100 seconds"


def test_what_a_turn_spends_its_session_spends_and_the_narrower_limit_holds() -> None:
    session = Meter("session", Limits(tokens=2_000), PRICES, spent=Spent(1, 1_000, 0, 0.0))
    turn = Meter("turn", Limits(tokens=10_000), PRICES, session)
    assert turn.room(100).reply == 2_000 * (1 - RESERVE) - 1_000 - 100
    turn.charge(Usage(400, 100, 0))
    assert session.spent.tokens == 1_500
    assert turn.reached(100) == "the limit of 2,000 tokens for the session"


def test_a_price_that_nobody_knows_leaves_no_room_under_a_limit_of_money() -> None:
    assert Meter("turn", Limits(usd=1.0)).reached(1) == "the limit of 1 USD"
    meter = Meter("turn", Limits(usd=1.0), Prices(1.0, None, 1.0, 1_000, "", ""))
    meter.charge(Usage(2_000, 1, 0))  # above the tariff
    assert meter.spent.usd is None
    assert meter.reached(1) == "the limit of 1 USD"


def test_what_is_free_never_reaches_a_limit_of_money() -> None:
    meter = Meter("turn", Limits(usd=0.01), Prices(0.0, None, 0.0, None, "", ""))
    meter.charge(Usage(10**9, 10**9, 0))
    assert meter.reached(10**9) == ""
    assert meter.room(10**9).reply == math.inf


def test_several_threads_lose_no_charge() -> None:
    meter = Meter("turn", Limits(), PRICES, Meter("session", Limits(), PRICES))
    threads = [threading.Thread(target=lambda: [meter.charge(Usage(1, 1, 0)) for _ in range(2_000)]) for _ in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert meter.spent.steps == 8_000


@given(
    st.integers(1, 100_000),
    st.lists(st.tuples(st.integers(1, 5_000), st.floats(0, 1)), max_size=30),
    st.floats(0, 1),
    st.floats(0, 1),
)
def test_a_limit_of_tokens_is_kept_by_all_calls_with_the_last(
    limit: int, steps: list[tuple[int, float]], last_prompt: float, last_reply: float
) -> None:
    meter = Meter("turn", Limits(tokens=limit))
    for prompt, share in steps:
        if meter.reached(prompt):
            break
        room = meter.room(prompt)
        assert room.reply >= LEAST_REPLY
        meter.charge(Usage(prompt, int(room.reply * share), 0))
    kept = meter.room(0, last=True)
    assert kept.prompt * 2 >= limit * RESERVE - 1
    prompt = int(kept.prompt * last_prompt)
    meter.charge(Usage(prompt, int(meter.room(prompt, last=True).reply * last_reply), 0))
    assert meter.spent.tokens <= limit


@given(st.floats(0.0001, 10), st.lists(st.tuples(st.integers(1, 50_000), st.floats(0, 1)), max_size=30))
def test_a_limit_of_money_is_kept_by_all_calls_with_the_last(limit: float, steps: list[tuple[int, float]]) -> None:
    meter = Meter("turn", Limits(usd=limit), PRICES)
    for prompt, share in steps:
        if meter.reached(prompt):
            break
        meter.charge(Usage(prompt, int(meter.room(prompt).reply * share), 0))
    prompt = int(meter.room(0, last=True).prompt)
    meter.charge(Usage(prompt, int(meter.room(prompt, last=True).reply), 0))
    assert meter.spent.usd is not None
    assert meter.spent.usd <= limit * (1 + 1e-9)
