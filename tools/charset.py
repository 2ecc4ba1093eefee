"""The bytes of a web page as text: by what they are, by what is declared, and else by the likeliest guess. Pure."""

import codecs
import re

from tools.encodings import decoded

_META_BYTES = 4096  # a page declares its encoding near its beginning; the standard asks for the first 1,024
_META = re.compile(rb"""<(?:meta|\?xml)\b[^>]*?(?:charset|encoding)\s*=\s*["']?\s*([\w.:-]+)""", re.IGNORECASE)
# Python knows codecs that are no encodings of pages (utf-7 hides markup); these are the ones browsers know.
_KNOWN = re.compile(
    r"utf-8|utf-16(-[lb]e)?|iso8859-\d+|cp(125\d|8\d\d|932|949)|koi8-[rut]|gb18030|big5\w*|euc_\w+|iso2022_jp|mac-\w+"
)
# Browsers read the names on the left as the larger encodings on the right (WHATWG's Encoding Standard).
_LARGER = {
    "ascii": "cp1252",
    "iso8859-1": "cp1252",
    "iso8859-9": "cp1254",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "shift_jis": "cp932",
    "euc_kr": "cp949",
}


def page_text(data: bytes, declared: str, whole: bool = True) -> str | None:
    """The text of a page; None if it is binary. `declared` is the encoding of its header, "" for none.

    What is UTF-8, or has a byte order mark, is read so whatever is declared: other encodings hardly ever look like it.
    Where `data` is not the `whole`, a character that is cut through is dropped.
    """
    found = decoded(data, whole)
    if found and not found[1].guessed and (found[1].mark or not data.isascii()):
        return found[0]
    for label in (declared, _meta(data)):
        text = _strict(data, label, whole)
        if text is not None and "\0" not in text:
            return text
    return None if b"\0" in data else _guessed(data)


def _meta(data: bytes) -> str:
    found = _META.search(data, 0, _META_BYTES)
    return found[1].decode("ascii", "replace") if found else ""


def _strict(data: bytes, label: str, whole: bool) -> str | None:
    """The text if it is whole in the encoding of that name; None if not, or if pages have no such encoding."""
    try:
        name = codecs.lookup(label).name
        name = _LARGER.get(name, name)
        if not _KNOWN.fullmatch(name):
            return None
        return codecs.getincrementaldecoder(name)().decode(data, final=whole)
    except (LookupError, ValueError):  # a UnicodeDecodeError is a ValueError, and so is a NUL in a label
        return None


def _guessed(data: bytes) -> str:
    """UTF-8 with a few damaged places, else Windows' western encoding."""
    text = data.decode("utf-8", "replace")
    foreign = len(text) - len(text.encode("ascii", "ignore"))
    return text if text.count("\N{REPLACEMENT CHARACTER}") * 10 <= foreign else data.decode("cp1252", "replace")
