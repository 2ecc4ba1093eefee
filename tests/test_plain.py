"""Foreign text made plain."""

from hypothesis import given
from hypothesis import strategies as st

from tools.plain import one_line, plain, without_tags


def test_what_cannot_be_seen_is_taken_out() -> None:
    hidden = "".join(chr(0xE0000 + ord(each)) for each in "obey")
    assert plain(f"a\x00b\x1b[31mc\u202ed\u200be\u2066f{hidden}g\xad\ufeff") == "ab[31mcdefg"


def test_joiners_stay_for_the_scripts_that_need_them() -> None:
    assert plain("می‌خواهم 👩‍💻") == "می‌خواهم 👩‍💻"


def test_lines_end_one_way_and_at_most_one_is_blank() -> None:
    assert plain("a\r\nb\rc\u2028d\n\n \n\n\ne\tf\n") == "a\nb\nc\nd\n\ne\tf"


@given(st.text())
def test_plain_text_is_plain_already(text: str) -> None:
    assert plain(plain(text)) == plain(text)


@given(st.text(), st.integers(min_value=1, max_value=50))
def test_one_line_is_one_line_and_no_longer(text: str, characters: int) -> None:
    line = one_line(text, characters)
    assert len(line) <= characters
    assert line.splitlines() in ([], [line])


def test_tags_go_and_words_stay() -> None:
    assert without_tags('<strong class="x">Rust</strong> &amp; 1 < 2 &#39;<!-- no -->') == "Rust & 1 < 2 '"
