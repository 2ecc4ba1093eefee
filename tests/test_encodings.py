"""A file's text comes back as the same bytes."""

import codecs

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tools.encodings import Encoding, editable, encoded, lines_of

MARKED = [("utf-8", codecs.BOM_UTF8), ("utf-16-le", codecs.BOM_UTF16_LE), ("utf-16-be", codecs.BOM_UTF16_BE),
          ("utf-32-le", codecs.BOM_UTF32_LE), ("utf-32-be", codecs.BOM_UTF32_BE)]  # fmt: skip


@given(data=st.binary() | st.text().map(str.encode) | st.text(st.sampled_from("a\r\nü")).map(str.encode))
def test_what_can_be_edited_goes_back_unchanged(data: bytes) -> None:
    found = editable(data)
    if found is not None:
        assert encoded(*found) == data


@given(text=st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])))
@pytest.mark.parametrize(("name", "mark"), MARKED)
def test_a_mark_is_no_part_of_the_text_and_is_kept(name: str, mark: bytes, text: str) -> None:
    found = editable(mark + text.encode(name))
    assert found is not None and found[1].mark == mark
    assert encoded(*found) == mark + text.encode(name)
    assert not found[0].startswith("\ufeff") or text.startswith("\ufeff")


@pytest.mark.parametrize(
    ("data", "text", "encoding"),
    [
        (b"a\r\nb\r\n", "a\nb\n", Encoding(crlf=True)),
        (b"a\r\nb\n", "a\r\nb\n", Encoding()),
        (b"a\rb", "a\rb", Encoding()),
        (b"gr\xfcn", "grün", Encoding("latin-1", guessed=True)),
        (b"", "", Encoding()),
    ],
)
def test_line_ends_are_plain_where_all_are_the_same(data: bytes, text: str, encoding: Encoding) -> None:
    assert editable(data) == (text, encoding)


def test_binary_data_is_no_text() -> None:
    assert [editable(data) for data in (b"a\0b", b"\x89PNG\r\n\x1a\n", b"\xff\xfe\x00\xd8")] == [None] * 3


@pytest.mark.parametrize(
    ("text", "encoding"), [("a\0b", Encoding()), ("\ud800", Encoding()), ("Я", Encoding("latin-1"))]
)
def test_what_no_file_can_hold_is_refused(text: str, encoding: Encoding) -> None:
    with pytest.raises(ValueError, match="cannot be written"):
        encoded(text, encoding)


def test_lines_are_counted_as_editors_do() -> None:
    assert lines_of("a\r\nb\rc\n\x0bd\n") == ["a", "b", "c", "\x0bd"]
    assert [lines_of(text) for text in ("", "\n", "a")] == [[], [""], ["a"]]
