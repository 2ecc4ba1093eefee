"""The words of a text in any script, in the one form under which they are both stored for the search and asked for.

SQLite's tokenizer splits at spaces, folds case and accents, and knows the endings of English. The rest is done here:
scripts without spaces become pairs of characters, "Größe", "Groesse" and "GRÖSSE" one word, full-width letters plain
ones, and Russian words lose their endings.
"""

import re
import unicodedata
from collections.abc import Iterator
from functools import cache, lru_cache

# Patterns are compiled where foreign text needs them.
FOREIGN = r"[^\W\x00-\x7f]|[\u0300-\u036f]"  # a letter or digit beyond ASCII, or an accent written alone
# What writers leave out as often as not: the stress on Russian and Greek letters and the dots of "ё"; the points of
# Hebrew and Arabic, and the stroke that stretches Arabic words.
OPTIONAL = "(?<=[\u0370-\u04ff])[\u0301\u0308]|[\u0591-\u05bd\u05bf-\u05c7\u0610-\u061a\u0640\u064b-\u065f\u0670]"
ACCENTS = "(?<=[a-z\u0300-\u036f])[\u0300-\u036f]+"
UMLAUTS = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue"})

# Endings of Russian nouns, adjectives and verbs. What is left of a word has three letters at least.
ENDINGS = tuple(
    sorted(
        """
        а я о е ы и у ю ь й ая яя ое ее ые ие ый ий ой ей ую юю ом ем ам ям ов ев ах ях их ых ью ия ье ьи ою ею им ым
        ут ют ат ят ет ит ся ал ял ил ел ыл ами ями ией иям иях ием ого его ому ему ыми ими уют ают яют еют ует ает
        яет еет ала яла ила ела ыла али яли или ели ыли ать ять ить еть уть ыть ешь ишь ете ите тся ться иями ется
        ится ются ятся ешься ишься емся имся лась лось лись
        """.split(),
        key=len,
        reverse=True,
    )
)
SHORTEST_STEM = 3


# Two patterns that take longest to compile, and only foreign text needs.
@cache
def _word() -> re.Pattern[str]:
    """Finds letters, digits and the marks on them: Hindi's vowel signs are marks, which `\\w` leaves out."""
    marks = "".join(chr(code) for code in range(0x300, 0x20D0) if unicodedata.category(chr(code)).startswith("M"))
    return re.compile(rf"\w[\w{marks}]*")


@cache
def _unspaced() -> re.Pattern[str]:
    """Finds runs of the scripts that write no spaces, and of Korean, which glues its particles to the words.

    These are Thai and Lao, Myanmar, Khmer, signs of repetition and zero, Kana, Han, Hangul.
    """
    return re.compile(
        "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005-\u3007\u3041-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7a3"
        "\uf900-\ufaff\U00020000-\U000323af]+"
    )


def normal(text: str) -> str:
    """A text without case, without full-width letters and ligatures (NFKC), and without optional marks."""
    if text.isascii() or not re.search(FOREIGN, text):
        return text.lower()
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    return unicodedata.normalize("NFC", re.sub(OPTIONAL, "", decomposed)).casefold()


def words(text: str) -> Iterator[str]:
    """The words of a text in normal form, in order; of scripts without spaces each pair of characters.

    A character of these that stands alone is a word.
    """
    if text.isascii():
        yield from re.findall(r"\w+", text.lower())
    else:
        for word in _word().findall(normal(text)):
            yield from [word] if word.isascii() else _pieces(word)


def _pieces(word: str) -> Iterator[str]:
    """A word by its scripts: "私はpythonが好き" is 私は, python, が好, 好き."""
    start = 0
    for run in _unspaced().finditer(word):
        if run.start() > start:
            yield word[start : run.start()]
        yield from [run[0][place : place + 2] for place in range(len(run[0]) - 1)] or run[0]
        start = run.end()
    if start < len(word):
        yield word[start:]


def unspaced(word: str) -> bool:
    """Whether a word is of a script without spaces, and so a part of what its writer means."""
    return not word.isascii() and _unspaced().match(word) is not None


def comparable(text: str) -> str:
    """A text in normal form without accents, with spaces around what is of a script without spaces."""
    plain = normal(text)
    if plain.isascii() or not re.search(FOREIGN, plain):
        return plain
    plain = unicodedata.normalize("NFC", re.sub(ACCENTS, "", unicodedata.normalize("NFD", plain)))
    return _unspaced().sub(r" \g<0> ", plain)


@lru_cache(1 << 16)
def stem(word: str) -> str:
    """A Russian word without its ending, any other as it is."""
    if "\u0400" <= word[:1] <= "\u04ff":
        for ending in ENDINGS:
            if word.endswith(ending) and len(word) - len(ending) >= SHORTEST_STEM:
                return word[: -len(ending)]
    return word


def forms(*texts: str | None) -> str | None:
    """What texts are found by beside their own spelling, as words for the full-text search; None: by nothing else.

    Of scripts without spaces these are the pairs of characters and the last one of each run, so that one character is
    found as the beginning of a word.
    """
    foreign = [text for text in texts if text and not text.isascii() and re.search(FOREIGN, text)]
    found = [form for text in foreign for form in _forms(text)]
    return " ".join(found) or None


def _forms(text: str) -> Iterator[str]:
    for word in _word().findall(text):
        if not word.isascii():
            plain = normal(word)
            yield from _unspaced_forms(plain) if _unspaced().search(plain) else _spellings(word, plain)


def _unspaced_forms(plain: str) -> Iterator[str]:
    yield from _pieces(plain)
    yield from (run[-1] for run in _unspaced().findall(plain) if len(run) > 1)


def _spellings(word: str, plain: str) -> Iterator[str]:
    if stem(plain) != word.lower():
        yield stem(plain)
    if (other := written_out(plain)) != plain:
        yield other


def written_out(word: str) -> str:
    """A word as it is typed where a keyboard has no umlauts."""
    return word.translate(UMLAUTS)
