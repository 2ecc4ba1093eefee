"""The model table: which row a name finds, and what a number of tokens costs."""

import json
from pathlib import Path

import pytest

from assistant import models

TABLE = json.loads((Path(__file__).parent.parent / "data" / "models.json").read_text(encoding="utf-8"))["models"]


@pytest.mark.parametrize(
    ("name", "context", "reply"),
    [("gpt-4o", 128_000, 16_384), ("gpt-4.1-nano", 1_047_576, 32_768), ("gpt-5-mini", 400_000, 128_000)],
)
def test_a_name_of_the_table_is_known(name: str, context: int, reply: int) -> None:
    info = models.lookup(name)
    assert (info.known, info.name, info.context_tokens, info.reply_tokens) == (True, name, context, reply)


def test_a_dated_snapshot_has_the_window_and_price_of_its_model() -> None:
    dated, plain = models.lookup("gpt-4o-2024-08-06"), models.lookup("gpt-4o")
    assert dated.prices == plain.prices is not None
    assert dated.context_tokens == plain.context_tokens


def test_the_longest_prefix_wins() -> None:
    mini = models.lookup("gpt-4o-mini-2024-07-18")
    assert mini.prices is not None
    assert mini.prices.prompt == 0.15


def test_a_sibling_shares_the_window_but_not_the_price() -> None:
    info = models.lookup("gpt-5-pro")
    assert info.known
    assert info.context_tokens == models.lookup("gpt-5").context_tokens
    assert info.prices is None


def test_a_snapshot_with_its_own_row_keeps_its_own_price() -> None:
    assert models.lookup("gpt-4o-2024-05-13").prices is None


def test_a_name_that_only_begins_alike_is_unknown() -> None:
    assert not models.lookup("gpt-5.9-new").known
    assert not models.lookup("o31").known


def test_an_unknown_name_gets_the_stated_defaults() -> None:
    info = models.lookup("somebody's-model")
    assert (info.known, info.prices, info.context_tokens, info.encoding) == (False, None, 8192, "o200k_base")
    assert info.local is None
    assert not info.late_system


def test_another_seller_has_the_window_but_an_unknown_price() -> None:
    info = models.lookup("openai/gpt-4o")
    assert (info.known, info.context_tokens, info.prices) == (True, 128_000, None)


def test_cost_counts_cached_tokens_at_their_own_price() -> None:
    found = models.cost(models.lookup("gpt-4o").prices, prompt=1_000_000, cached=400_000, completion=100_000)
    assert found == pytest.approx(0.6 * 2.5 + 0.4 * 1.25 + 0.1 * 10)


def test_without_a_cached_price_cached_tokens_cost_as_others() -> None:
    turbo = models.lookup("gpt-4-turbo").prices
    assert models.cost(turbo, 1000, 1000, 0) == models.cost(turbo, 1000, 0, 0) == pytest.approx(0.01)


def test_an_unknown_price_makes_an_unknown_cost() -> None:
    assert models.cost(models.lookup("mystery").prices, 10, 0, 10) is None


def test_a_prompt_beyond_the_tariff_has_an_unknown_cost() -> None:
    sol = models.lookup("gpt-6-sol").prices
    assert models.cost(sol, 272_000, 0, 0) == pytest.approx(0.544)
    assert models.cost(sol, 272_001, 0, 0) is None


def test_a_local_model_costs_nothing_and_names_its_file() -> None:
    info = models.lookup("smollm2-135m")
    assert info.local is not None
    assert (info.local.file, info.local.bytes) == ("SmolLM2-135M-Instruct.Q4_1.gguf", 98_362_432)
    assert models.cost(info.prices, 1000, 0, 1000) == 0.0


def test_what_a_tried_model_does_with_tools_is_known() -> None:
    assert not models.lookup("smollm2-135m").tools
    coder = models.lookup("qwen2.5-coder-1.5b")
    assert coder.tools and coder.by_schema
    assert not models.lookup("gpt-4o").by_schema


def test_local_files_are_pinned_and_sorted_by_size() -> None:
    files = models.local_files()
    assert [file.name for file in files] == ["smollm2-135m", "qwen2.5-coder-1.5b", "qwen3-4b"]
    assert all(len(file.sha256) == 64 and file.url.startswith("https://") for file in files)


@pytest.mark.parametrize("name", sorted(TABLE))
def test_every_row_can_be_read_and_leaves_room_for_a_prompt(name: str) -> None:
    info = models.lookup(name)
    assert 0 < info.reply_tokens < info.context_tokens
    assert info.encoding in {"o200k_base", "cl100k_base"}
    assert info.prices is None or (info.prices.seen and info.prices.source)
