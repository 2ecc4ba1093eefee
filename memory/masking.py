"""Masking: secrets in a text become marks like "[masked: GitHub token]" before it is stored. Pure.

What is looked for has a form of its own (keys, tokens, card numbers with their checksum), or stands where a secret is
named ("password: ...", "my PIN is ..."): memory/secretforms.py. An IBAN is none: it is given to whoever is to pay, and
opens nothing. Every quantifier is bounded, so the time grows with the text and no faster.
"""

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from itertools import accumulate

from memory.masks import MARK
from memory.secretforms import (
    CARD,
    FOREIGN_HINTS,
    HINTS,
    HINTS_WITH_DIGITS,
    INSIDE,
    KEY_ENDINGS,
    LONG_RUN,
    NAMES,
    SPOKEN,
    TAILS,
    TOKENS,
    Check,
    Form,
    either,
)

MARKS = re.compile(r"\[masked: [A-Za-z ]{3,30}\]")
LONGEST_MARK = 40  # characters
ROUNDS = 4  # what one round masks may bring out more (a word begins where another one ended); seldom twice
REACH = 25_000  # characters; no secret is longer, with what names it
# Joiners and the like, which nobody sees: they would split a key's form, and are passed over.
UNSEEN = "\u00ad\u200b\u200c\u200d\u200e\u200f\u2060\ufeff"
_UNSEEN = re.compile(f"[{UNSEEN}]")
_BREAKS = re.compile(r"\r?\n[ \t]{0,20}")
_DIGITS = re.compile(r"\d{4}[ -]?\d{4,6}[ -]?\d{4}")  # a card number has at least that
_REST = re.compile(r"\w*")


class _Beginnings:
    """Forms that begin with a word, found in one pass over a text."""

    def __init__(self, forms: Iterable[Form]) -> None:
        self._forms: dict[str, list[Form]] = {}
        for form in forms:
            for hint in form.hints:
                self._forms.setdefault(hint, []).append(form)
        longest_first = sorted(self._forms, key=len, reverse=True)  # "mysqldump" before "mysql"
        self._begin = re.compile(r"\b(?:" + either(map(re.escape, longest_first)) + ")")

    def may_be_in(self, text: str) -> bool:
        """Whether one of them begins in the text."""
        return bool(self._begin.search(text))

    def found(self, text: str) -> "Iterator[Span]":
        """The secrets of these forms in a text."""
        done = 0  # what lies in a match was judged with it
        for begin in self._begin.finditer(text):
            for form in self._forms[begin[0]] if begin.start() >= done else ():
                if match := form.compiled.match(text, begin.start(), begin.start() + REACH):
                    done = match.end()
                    yield from _judged(form, text, match)


_TOKENS, _SPOKEN = _Beginnings(TOKENS), _Beginnings(SPOKEN)
_WHOLE = _Beginnings(form for form in TOKENS if form.whole)

Span = tuple[int, int, str]


def masked(text: str) -> tuple[str, tuple[str, ...]]:
    """The text with a mark in place of each secret, and the names of those that were found.

    What is masked already stays as it is, so that a second time changes nothing.
    """
    names: list[str] = []
    for _ in range(ROUNDS):
        spans = _spans(text)
        if not spans:
            break
        pieces, end = [], 0
        for start, stop, name in spans:
            pieces += [text[end:start], f"{MARK}{name}]"]
            end = stop
        text = "".join(pieces) + text[end:]
        names += [name for _, _, name in spans]
    return text, tuple(names)


def _spans(text: str) -> list[Span]:
    """Where secrets stand, in order and apart from each other; nothing of what is masked already."""
    if not _suspicious(text):
        return []
    # A mark names what it masks, which is no name for what follows.
    plain = MARKS.sub(lambda mark: "\0" * len(mark[0]), text) if MARK in text else text
    apart: list[Span] = []
    for start, end, name in sorted(_found(plain), key=lambda span: (span[0], -span[1])):
        if "\0" in plain[start:end]:
            continue
        rest = _REST.match(plain, end)
        stop = rest.end() if rest else end
        if apart and start < apart[-1][1]:
            begun, before, first = apart.pop()
            apart.append((begun, max(stop, before), first))
        else:
            apart.append((start, stop, name))
    return apart


def _suspicious(text: str) -> bool:
    """Whether it is worth looking: usual texts are not, and cost a few microseconds."""
    low = text.lower()
    if _any(HINTS, low) or ("/" in text and "://" in text):
        return True
    if not text.isascii() and (_UNSEEN.search(text) or _any(FOREIGN_HINTS, low)):
        return True
    if not _any("0123456789", text):
        return False
    return _any(HINTS_WITH_DIGITS, low) or _long_run(text) or bool(_DIGITS.search(text))


def _long_run(text: str) -> bool:
    return max(map(len, text.split()), default=0) >= LONG_RUN


def _any(hints: Iterable[str], text: str) -> bool:
    for hint in hints:  # noqa: SIM110  any() with a generator takes twice the time
        if hint in text:
            return True
    return False


def _found(text: str) -> Iterator[Span]:
    yield from _looked_for(text)
    if not text.isascii() and _UNSEEN.search(text):
        seen = _Without(text, _UNSEEN)
        yield from seen.placed(_looked_for(seen.text))
    if "\n" in text and _WHOLE.may_be_in(text):
        joined = _Without(text, _BREAKS)
        yield from joined.placed(_WHOLE.found(joined.text))


def _looked_for(text: str) -> Iterator[Span]:
    if _long_run(text):
        yield from _TOKENS.found(text)
    yield from _SPOKEN.found(text)
    for form in INSIDE:
        for hint in form.hints:
            yield from _inside(text, form, hint)
    yield from _named(text)
    if _DIGITS.search(text):
        yield from ((*one.span(), "card number") for one in CARD.finditer(text) if _luhn(one[0]))


def _inside(text: str, form: Form, hint: str) -> Iterator[Span]:
    place = text.find(hint)
    while place >= 0:
        if match := form.compiled.match(text, place, place + REACH):
            yield from _judged(form, text, match)
        place = text.find(hint, place + len(hint))


def _judged(form: Form, text: str, match: re.Match[str]) -> Iterator[Span]:
    start, stop = match.span(match.lastgroup or 0)
    start -= form.before
    stop = start + len(text[start:stop].rstrip(".,;:)?")) if match.lastgroup else stop
    if stop > start and form.check(text[start:stop]):
        yield start, stop, form.name


def _named(text: str) -> Iterator[Span]:
    """The values that stand after a name of a secret."""
    low = text.replace("\u0130", "i").lower()  # the one letter whose small form is longer: places must not move
    for name in NAMES.finditer(low):
        key = name[0].endswith(KEY_ENDINGS)
        end = name.end()
        for pattern, checks in _tails(key):
            match = pattern.match(text, end, end + REACH)
            group = match and match.lastgroup
            if not match or not group:
                continue
            value = match[group].rstrip(".,;:)?")
            if value and checks[group](value):
                start = match.start(group)
                yield start, start + len(value), "secret" if key else "password"
                break


@cache
def _tails(key: bool) -> list[tuple[re.Pattern[str], Mapping[str, Check]]]:
    """What may follow a name, compiled when the first one is met."""
    return [(re.compile(tail.pattern), tail.checks) for tail in TAILS[key]]


def _luhn(value: str) -> bool:
    """Whether the digits have the checksum that card numbers have (ISO/IEC 7812)."""
    digits = [int(one) for one in value if one.isdigit()][::-1]
    doubled = (sum(divmod(2 * one, 10)) for one in digits[1::2])
    return (sum(digits[::2]) + sum(doubled)) % 10 == 0 and len(set(digits)) > 1


class _Without:
    """A text without what matches, and where its characters stand in the whole text."""

    def __init__(self, text: str, left_out: re.Pattern[str]) -> None:
        gaps = [match.span() for match in left_out.finditer(text)]
        self.text = left_out.sub("", text)
        self._shifts = [0, *accumulate(stop - start for start, stop in gaps)]
        self._gaps = [start - shift for (start, _), shift in zip(gaps, self._shifts, strict=False)]

    def _place(self, place: int) -> int:
        return place + self._shifts[bisect_right(self._gaps, place)]

    def placed(self, spans: Iterator[Span]) -> Iterator[Span]:
        """The spans as they stand in the whole text."""
        for start, stop, name in spans:
            yield self._place(start), self._place(stop - 1) + 1, name
