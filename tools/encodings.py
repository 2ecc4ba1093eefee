"""The bytes of a text file as text, and back in the same encoding. Pure."""

import codecs
import re
from dataclasses import dataclass

# UTF-32 first: its mark begins with that of UTF-16. The mark itself is no part of the text.
_MARKS = {
    codecs.BOM_UTF32_LE: "utf-32-le",
    codecs.BOM_UTF32_BE: "utf-32-be",
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF16_LE: "utf-16-le",
    codecs.BOM_UTF16_BE: "utf-16-be",
}
_CONTROL = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f]")


@dataclass(frozen=True, slots=True)
class Encoding:
    """How a file holds its text. `guessed`: it is not UTF-8 and has no mark, so that any 8-bit encoding may be meant.

    `crlf`: every line ends as on Windows; the text then has plain ends.
    """

    name: str = "utf-8"
    mark: bytes = b""
    guessed: bool = False
    crlf: bool = False


def encoding_of(data: bytes, whole: bool = True) -> Encoding | None:
    """The encoding of a file that begins with `data`; None for a binary one. Line ends are not looked at."""
    mark = next((each for each in _MARKS if data.startswith(each)), b"")
    name = _MARKS.get(mark, "utf-8")
    text = _strict(data[len(mark) :], name, whole)
    if text is not None:
        return None if "\0" in text else Encoding(name, mark)
    if mark or _CONTROL.search(data):
        return None
    return Encoding("latin-1", guessed=True)


def decoded(data: bytes, whole: bool = True) -> tuple[str, Encoding] | None:
    """The text of a file with its line ends as they are, or None if it is binary.

    Where `data` is not the whole, a character that is cut through is dropped.
    """
    found = encoding_of(data, whole)
    if found is None:
        return None
    text = _strict(data[len(found.mark) :], found.name, whole)
    assert text is not None  # encoding_of has tried it
    return text, found


def editable(data: bytes) -> tuple[str, Encoding] | None:
    """The whole text of a file with plain line ends where all are CRLF, or None if it is binary."""
    found = decoded(data)
    if found is None:
        return None
    text, encoding = found
    if "\r\n" not in text or text.count("\n") > text.count("\r\n"):
        return text, encoding
    return text.replace("\r\n", "\n"), Encoding(encoding.name, encoding.mark, encoding.guessed, crlf=True)


def encoded(text: str, encoding: Encoding) -> bytes:
    """The inverse of `editable`. Raises ValueError for what no file of text can hold."""
    if "\0" in text:
        raise ValueError("text with a NUL character cannot be written")
    try:
        return encoding.mark + (text.replace("\n", "\r\n") if encoding.crlf else text).encode(encoding.name)
    except UnicodeEncodeError as error:
        bad = text[error.start]
        raise ValueError(f"the character {bad!r} cannot be written in the file's encoding, {encoding.name}") from error


def _strict(data: bytes, encoding: str, whole: bool) -> str | None:
    try:
        # Not `whole`: the cut may go through a character, whose first bytes are then dropped.
        return codecs.getincrementaldecoder(encoding)().decode(data, final=whole)
    except UnicodeDecodeError:
        return None  # an answer, not a fault: it is some other encoding


def lines_of(text: str) -> list[str]:
    """The lines of a text without their ends, as editors number them: LF, CRLF and CR end one."""
    found = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return found[:-1] if found[-1] == "" else found
