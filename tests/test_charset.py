"""Bytes of pages as text."""

import codecs

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tools.charset import page_text

GERMAN = "Grüße aus Köln, für 5 €"


@pytest.mark.parametrize(
    ("data", "declared"),
    [
        (GERMAN.encode(), ""),
        (GERMAN.encode(), "iso-8859-1"),  # declared by the server for all it has, and wrong
        (GERMAN.encode(), "no-such-encoding"),
        (GERMAN.encode("cp1252"), ""),
        (GERMAN.encode("cp1252"), "utf-8"),
        (GERMAN.encode("cp1252"), "iso-8859-1"),  # browsers take it for Windows' encoding, which has the euro sign
        (GERMAN.encode("iso8859-15"), "ISO-8859-15"),
        (codecs.BOM_UTF8 + GERMAN.encode(), "iso-8859-1"),
        (codecs.BOM_UTF16_LE + GERMAN.encode("utf-16-le"), ""),
        (GERMAN.encode("utf-16-le"), "utf-16le"),
    ],
)
def test_a_page_is_read_whatever_is_declared(data: bytes, declared: str) -> None:
    assert page_text(data, declared) == GERMAN


@pytest.mark.parametrize(
    ("text", "encoding", "declared"),
    [
        ("Привет, мир", "koi8-r", "koi8-r"),
        ("こんにちは", "shift_jis", "Shift_JIS"),
        ("こんにちは", "iso2022_jp", "iso-2022-jp"),
        ("你好，世界", "gb18030", "gb2312"),
        ("안녕하세요", "cp949", "euc-kr"),
    ],
)
def test_other_scripts_are_read_by_the_declared_encoding(text: str, encoding: str, declared: str) -> None:
    assert page_text(text.encode(encoding), declared) == text


def test_the_page_itself_may_declare_its_encoding() -> None:
    page = '<html><head><meta http-equiv="Content-Type" content="text/html; charset=koi8-r"></head>Привет'
    assert page_text(page.encode("koi8-r"), "") == page
    assert page_text(page.encode("koi8-r"), "utf-8") == page  # what is declared outside does not fit


def test_an_encoding_that_could_hide_markup_is_not_used() -> None:
    assert page_text(b"+ADw-script+AD4-", "utf-7") == "+ADw-script+AD4-"


@pytest.mark.parametrize("declared", ["unicode_escape", "idna", "hex", "\0", "x" * 1000])
def test_no_declared_name_breaks_it(declared: str) -> None:
    assert page_text(b"a\\x41", declared) == "a\\x41"


def test_a_damaged_place_does_not_change_the_encoding() -> None:
    data = ("Grüße und Öl und Ärger, äußerst süß. " * 3).encode() + b"\xff"
    assert page_text(data, "utf-8") == data.decode("utf-8", "replace")


def test_a_character_cut_through_is_dropped() -> None:
    assert page_text("schön".encode()[:-2], "", whole=False) == "sch"


def test_binary_data_is_none() -> None:
    assert page_text(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\xff\xfe", "") is None


@given(st.binary(max_size=200), st.text(max_size=10))
def test_whatever_comes_is_text_or_binary(data: bytes, declared: str) -> None:
    text = page_text(data, declared)
    assert text is None or isinstance(text, str)


@given(st.text())
def test_utf_8_comes_back_as_it_was(text: str) -> None:
    if "\0" not in text and not text.startswith("\ufeff"):
        assert page_text(text.encode(), "utf-8") == text
