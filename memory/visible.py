"""Text as a model is shown it: what is there and cannot be seen is spelled out, but where scripts and emoji need it.

Hidden text is how a page or an import talks past its reader: overrides of direction, zero width, tags, selectors.
`tools/visible.py` does it for an owner who is asked, strictly; tools import nothing of the memory.
"""

import json
import re

# Controls but tab and line ends; soft hyphen, joiners, marks of direction and of annotation; characters without width
# or ink; variation selectors; tags. The signs of Arabic and Kaithi numbers are formats too, and have ink.
_UNSEEN = (
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e"
    "\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\ud800-\udfff\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"
    "\U000e0000-\U000e0fff]+"
)
ZWNJ, ZWJ, TEXT, EMOJI = "\u200c", "\u200d", "\ufe0e", "\ufe0f"
# Arabic, Syriac, N'Ko, the scripts of India, Tibetan, Myanmar, Khmer, Mongolian and their extensions: joiners inside
# their words choose the form of a letter.
_JOINED = "[\u0620-\u08ff\u0900-\u0dff\u0f00-\u109f\u1780-\u18af\ua840-\uaaff\uabc0-\uabff\ufb50-\ufdff]"
# The flags of England, Scotland and Wales are the only emoji that are written with tags.
_FLAGS = {"".join(chr(0xE0000 + ord(each)) for each in name) + "\U000e007f" for name in ("gbeng", "gbsct", "gbwls")}
_BLACK_FLAG = "\U0001f3f4"
MOST = 3  # of a run so many are spelled out: hidden text is not worth a prompt's tokens


def visible(text: str) -> str:
    """The text with unseen characters as signs, such as ‹U+202E›; of a long run the first ones, and how many follow.

    Tabs and line ends ("\\n", "\\r\\n") stay, as do joiners inside words of scripts that need them, and emoji. To apply
    it twice is to apply it once.
    """
    if text.isascii() and text.isprintable():  # to compile the pattern would slow the start
        return text
    return re.sub(_UNSEEN, _spelled, text)


def visible_line(text: str) -> str:
    """The same in one line."""
    return visible(" ".join(text.split()))


def as_json(value: object) -> str:
    """A value as JSON on one line: unseen characters are escaped, so that no terminal obeys them and none is lost."""
    text = json.dumps(value, ensure_ascii=False)
    if text.isascii() and text.isprintable():
        return text
    return re.sub(_UNSEEN, lambda run: json.dumps(run[0])[1:-1], text)


def _spelled(run: re.Match[str]) -> str:
    unseen = run[0]
    base, after = run.string[max(run.start() - 1, 0) : run.start()], run.string[run.end() : run.end() + 1]
    if (unseen == "\r" and after == "\n") or (base and _is_needed(unseen, base, after)):
        return unseen
    signs = "".join(f"‹U+{ord(each):04X}›" for each in unseen[:MOST])
    return signs if len(unseen) <= MOST else f"{signs}‹{len(unseen) - MOST} more unseen›"


def _is_needed(unseen: str, base: str, after: str) -> bool:
    """Whether a run of unseen characters makes the script or the emoji what it is."""
    if unseen in _FLAGS:
        return base == _BLACK_FLAG
    if unseen in (ZWNJ, ZWJ):
        return _joins_letters(base, after) or (unseen == ZWJ and _is_emoji(base) and _is_emoji(after))
    if unseen in (TEXT, EMOJI):
        return _is_emoji(base) or base in "0123456789#*"
    if unseen == EMOJI + ZWJ:
        return _is_emoji(base) and _is_emoji(after)
    return "\U000e0100" <= unseen <= "\U000e01ef" and len(unseen) == 1 and _is_ideograph(base)


def _joins_letters(base: str, after: str) -> bool:
    """A joiner stands between two letters; after the sign that mutes a vowel it may end a word, as in Malayalam."""
    import unicodedata

    if not re.match(_JOINED, base):
        return False
    return bool(re.match(_JOINED, after)) or unicodedata.combining(base) == 9


def _is_emoji(character: str) -> bool:
    """Symbols, the marks of skin among them, and the few that are punctuation."""
    if not character:
        return False
    import unicodedata  # here: most texts need none of it, and commands start the faster

    skin = "\U0001f3fb" <= character <= "\U0001f3ff"
    return skin or character in "‼⁉〰〽" or unicodedata.category(character) in ("So", "Sm")


def _is_ideograph(character: str) -> bool:
    import unicodedata

    return unicodedata.name(character, "").startswith("CJK ")
