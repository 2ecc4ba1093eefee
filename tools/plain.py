"""Foreign text made plain: without control characters and without what is there but cannot be seen. Pure."""

import re

# Taken out: controls but tab and line ends, soft hyphens, zero-width characters and marks of direction, which can
# reorder what is seen, and the tags and selectors in which text can be written that no screen shows. The joiners U+200C
# and U+200D stay: Persian, the scripts of India and emoji need them.
_UNSEEN = re.compile(
    r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\xad\u034f\u061c\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f"
    r"\ufeff\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e0fff]"
)
_LINE_END = re.compile(r"\r\n?|[\x85\u2028\u2029]")
_BLANK_LINES = re.compile(r"\n[^\S\n]*(?:\n[^\S\n]*){2,}")
_TAG = re.compile(r"</?[a-zA-Z][^<>]*>|<!--.*?(?:-->|\Z)", re.DOTALL)


def plain(text: str) -> str:
    """The text with plain line ends, at most one blank line at a time, and nothing unseen."""
    return _BLANK_LINES.sub("\n\n", _UNSEEN.sub("", _LINE_END.sub("\n", text))).strip()


def one_line(text: str, characters: int) -> str:
    """The text on one line of at most so many characters."""
    line = " ".join(plain(text).split())
    return line if len(line) <= characters else f"{line[: characters - 1].rstrip()}…"


def without_tags(markup: str) -> str:
    """The words of a little HTML, such as a snippet with its finds in bold."""
    from html import unescape

    return unescape(_TAG.sub("", markup))
