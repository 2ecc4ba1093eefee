"""What `--explain` shows: tables that fit 80 columns whatever stands in them."""

from datetime import UTC, datetime
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from assistant.cli.explain import WIDTH, explained, reason, verdict
from assistant.cli.markdown import cells_of
from memory.manager import Recalled
from memory.records import Cut, Hit

AT = datetime(2026, 3, 2, tzinfo=UTC)
PARTS = {"words": 1.0, "meaning": 0.512, "length": -0.1, "owner": 0.5, "neighbours": 0.25, "session": 0.75}
GATE = {"open": True, "relevance": 0.712, "threshold": 0.45}


def a_hit(place: int = 1, **why: Any) -> Hit:
    told = {
        "arms": {"words": 5.123, "vectors": 0.0},
        "parts": PARTS,
        "gate": {"relevance": 0.712, "threshold": 0.45},
        "budget": {"place": place, "tokens": 30, "used": 30 * place, "of": 1000},
    }
    return Hit(f"m{place}", "message", "s", ("a",), "Rex is a dog.", AT, "user", 2.9, 30, why=told | why)


def test_a_hit_has_its_arms_its_gate_its_budget_and_the_sum_of_its_score() -> None:
    header, row, *parts = explained(Recalled((a_hit(2),), gate=GATE), {})[1:4]
    assert dict(zip(header.split(), row.split(), strict=True)) == {
        "hit": "1", "unit": "m2", "score": "2.90", "words": "5.12", "vectors": "-", "gate": "0.71/0.45",
        "tokens": "30", "used": "60/1000",
    }  # fmt: skip
    assert parts[0].strip().startswith("= words 1.00 + meaning 0.51 - length 0.10 + owner 0.50")


def test_without_a_prompt_there_is_neither_gate_nor_budget() -> None:
    hit = Hit("m1", "message", "s", ("a",), "Rex.", AT, "user", 1.0, 3, why={"arms": {}, "parts": {"words": 1.0}})
    told = explained(Recalled((hit,)), {})
    assert told[1].split() == ["hit", "unit", "score", "words", "vectors", "tokens"]
    assert not any("gate" in line for line in told)


def test_an_occasion_says_its_name_instead_of_a_sum() -> None:
    told = explained(Recalled((a_hit(occasion="open tasks"),), gate={"open": True, "occasion": "open tasks"}), {})
    assert "     by time or kind: open tasks" in told
    assert told[-1] == "No gate: it is a question of time or kind (open tasks)."


def test_the_verdict_is_one_line() -> None:
    assert verdict(GATE) == "The gate is open: the best has 0.71, asked for is 0.45."
    shut = {"open": False, "relevance": 0.1, "threshold": 0.45}
    assert verdict(shut) == "The gate is shut: the best has 0.10, asked for is 0.45."
    greeting = {"open": False, "relevance": 0.9, "threshold": 0.45}
    assert verdict(greeting) == "The gate is shut: greeting, thanks or assent asks for nothing."
    assert len(verdict(greeting)) <= WIDTH


def test_nothing_found_is_no_table() -> None:
    assert explained(Recalled(()), {}) == []


@given(st.text(max_size=300), st.lists(st.floats(-99, 9999), min_size=1, max_size=12))
def test_no_line_is_wider_than_the_page(text: str, values: list[float]) -> None:
    why = {"parts": {f"part{number}": value for number, value in enumerate(values)}}
    cut = Cut("m7", "s", values[0], "the gate: nothing relevant enough", {"gate": {"relevance": 9.9, "threshold": 1.2}})
    told = explained(Recalled((a_hit(1, **why), a_hit(2)), cut=(cut, cut), gate=GATE), {"m7": text})
    assert all(cells_of(line) <= WIDTH for line in told)
    assert "\n" not in "".join(told) and reason(why)
