"""Forms: one word is one word however it is written, and a text in any script has words."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memory.forms import comparable, forms, normal, stem, unspaced, words


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Where's the Café?", ["where", "s", "the", "café"]),
        ("私はPythonが好き", ["私は", "python", "が好", "好き"]),
        ("東京 タワー", ["東京", "タワ", "ワー"]),
        ("猫", ["猫"]),
        ("我喜欢吃苹果。", ["我喜", "喜欢", "欢吃", "吃苹", "苹果"]),
        ("학교에서 봤다", ["학교", "교에", "에서", "봤다"]),
        ("ＰＹＴＨＯＮ３ ｶﾞｷﾞ", ["python3", "ガギ"]),
        ("हिन्दी में", ["हिन्दी", "में"]),
        ("Ёлка и соба́ка", ["елка", "и", "собака"]),
        ("ΕΛΛΆΔΑ Ελλάδα", ["ελλαδα", "ελλαδα"]),
        ("كِتَاب كتاب", ["كتاب", "كتاب"]),
        ("ﬁne 🎉 ❤️ m²", ["fine", "m2"]),
        ("", []),
    ],
)
def test_the_words_of_any_script(text: str, found: list[str]) -> None:
    assert list(words(text)) == found


def test_english_needs_no_forms() -> None:
    assert forms("My “sister” didn’t come — 🎉.", None, "naïve café") is None


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Die Größe", "grösse groesse"),
        ("Köln", "koeln"),
        ("собаку", "собак"),
        ("日本語", "日本 本語 語"),
        ("猫", "猫"),
        ("私はPythonが好き", "私は python が好 好き は き"),
        ("ＡＢＣ", "abc"),
    ],
)
def test_what_a_text_is_found_by_beside_its_own_spelling(text: str, found: str) -> None:
    assert forms(text) == found


def test_the_forms_of_several_texts_are_all_there() -> None:
    assert forms("田中", "plain", None, "Köln") == "田中 中 koeln"


@pytest.mark.parametrize(
    "cases",
    [
        ("собака", "собаки", "собаке", "собаку", "собакой", "собаками"),
        ("новый", "новая", "новое", "новые", "нового", "новыми"),
        ("книга", "книги", "книгу", "книгой", "книг"),
    ],
)
def test_russian_words_lose_their_endings(cases: tuple[str, ...]) -> None:
    assert len({stem(case) for case in cases}) == 1


@pytest.mark.parametrize("word", ["дом", "sisters", "größe", "日本", ""])
def test_short_and_other_words_keep_their_endings(word: str) -> None:
    assert stem(word) == word


def test_accents_do_not_count_where_texts_are_compared() -> None:
    assert comparable("Él comió un jalapeño en Köln") == "el comio un jalapeno en koln"
    assert comparable("йод") == "йод"
    assert comparable("私はPythonが") == " 私は python が "


@given(st.text(max_size=60))
def test_a_text_has_the_same_words_however_its_accents_are_written(text: str) -> None:
    assert comparable(unicodedata.normalize("NFD", normal(text))) == comparable(normal(text))


@given(st.text(max_size=100))
def test_no_word_is_empty_or_has_a_quote_or_a_space(text: str) -> None:
    for word in words(text):
        assert word
        assert not set(word) & set("\"'* \n\0")
        assert not unspaced(word) or len(word) <= 2


@given(st.text(max_size=100))
def test_forms_are_words_with_spaces_between_or_nothing(text: str) -> None:
    found = forms(text)
    assert found is None or found.split()
