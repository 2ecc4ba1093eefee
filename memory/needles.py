"""Needles: stretches of forgotten texts to look for on the disk, each as a salted digest that gives no text away.

A needle is a window of one of a few lengths, so that a search is one pass for each length, however many there are. Its
fingerprint is that of a polynomial in a secret odd base, modulo 2**64, which can be computed for all places of a file
at once; what has the fingerprint is then compared by a keyed BLAKE2b.
"""

import base64
import hashlib
import json
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

LENGTHS = (24, 16, 12, 8)  # bytes of a window; the longest that fits
SHORTEST = LENGTHS[-1]  # shorter texts stand anywhere, and cannot be told apart
STRIDE = 8  # bytes between two windows of a text: a quotation of 31 bytes holds one
PLACES = 64  # windows of one text as it is, at most
PLACES_ENCODED = 4  # of each other encoding
MOST = 50_000  # needles of one deed; of more texts an even choice is looked for
_WORDS = re.compile(r"\S+")
_EDGES = ".,;:!?()[]{}<>\"'`*"
_DATE = re.compile(r"\d{4}-\d\d-\d\d")


@dataclass(frozen=True, slots=True)
class Key:
    """The secrets of one deed of forgetting: the odd base of fingerprints, and the salt of digests."""

    base: int
    salt: bytes

    @staticmethod
    def new() -> "Key":
        """A key by chance."""
        return Key(int.from_bytes(os.urandom(8), "little") | 1, os.urandom(16))


@dataclass(frozen=True, slots=True)
class Needle:
    """A window of `length` bytes: half of its fingerprint, and its digest in hex."""

    length: int
    print: int
    digest: str


def fingerprint(window: bytes, base: int) -> int:
    """The upper 32 bits of the window as a polynomial in `base`, modulo 2**64."""
    value = 0
    for byte in reversed(window):
        value = (value * base + byte + 1) % 2**64
    return value >> 32


def digest(window: bytes, salt: bytes) -> str:
    """The keyed digest of a window."""
    return hashlib.blake2b(window, digest_size=16, key=salt).hexdigest()


def encodings(text: str) -> Iterator[bytes]:
    """The text as programs write it: plain, folded, as JSON, for addresses, UTF-16, hex, and base64 at each offset."""
    plain = text.encode("utf-8", "replace")
    yield plain
    yield text.casefold().encode("utf-8", "replace")
    yield json.dumps(text, ensure_ascii=False)[1:-1].encode("utf-8", "replace")
    yield json.dumps(json.dumps(text, ensure_ascii=False)[1:-1], ensure_ascii=False)[1:-1].encode("utf-8", "replace")
    yield json.dumps(text)[1:-1].encode()
    yield quote(plain, safe="").encode()
    yield text.encode("utf-16-le", "replace")
    yield text.encode("utf-16-be", "replace")
    yield plain.hex().encode()
    yield plain.hex().upper().encode()
    for offset in range(3):
        coded = base64.b64encode(bytes(offset) + plain)
        # The first and the last group of four depend on what stands around the text.
        inner = coded[4 if offset else 0 : -4 if (len(plain) + offset) % 3 else None]
        yield inner
        yield inner.translate(bytes.maketrans(b"+/", b"-_"))


def windows(data: bytes, places: int) -> Iterator[bytes]:
    """Windows of the longest length that fits, at up to `places` places from the first to the last."""
    length = next((one for one in LENGTHS if one <= len(data)), 0)
    if not length:
        return
    last = len(data) - length
    step = max(STRIDE, -(-last // max(1, places - 1)))
    for start in [*range(0, last, step), last]:
        yield data[start : start + length]


def marked_words(text: str) -> Iterator[str]:
    """Words that tell a text by themselves, as keys and numbers do: of some length, with a digit, and no date."""
    for found in _WORDS.findall(text):
        word = found.strip(_EDGES)
        if len(word) >= SHORTEST and any(char.isdigit() for char in word) and not _DATE.match(word):
            yield word


def of_text(text: str) -> set[bytes]:
    """All windows that a text is looked for by; none where it is too short to be told."""
    found = set[bytes]()
    if len(text.encode("utf-8", "replace")) < SHORTEST:
        return found
    for place, data in enumerate(encodings(text)):
        found.update(windows(data, PLACES if place < 2 else PLACES_ENCODED))
    for word in marked_words(text):
        found.update(windows(word.encode("utf-8", "replace"), 2))
        found.update(windows(word.casefold().encode("utf-8", "replace"), 2))
    return found


@dataclass(frozen=True, slots=True)
class Looked:
    """The needles of many texts: of how many they are, how many were too short, how many left out of a great many."""

    needles: tuple[Needle, ...]
    texts: int
    short: int
    left_out: int


def of_texts(texts: Iterable[str], key: Key, most: int = MOST) -> Looked:
    """The needles of these texts, each text once; of so many that they are too many, of an even choice."""
    distinct = sorted(set(filter(str.strip, texts)), key=lambda text: digest(text.encode("utf-8", "replace"), key.salt))
    found, taken, short = set[bytes](), 0, 0
    for text in distinct:
        if len(found) >= most:
            break
        own = of_text(text)
        short += not own
        taken += bool(own)
        found |= own
    made = (Needle(len(one), fingerprint(one, key.base), digest(one, key.salt)) for one in found)
    return Looked(tuple(sorted(made, key=lambda one: one.digest)), taken, short, len(distinct) - taken - short)


def to_json(key: Key, needles: Sequence[Needle]) -> str:
    """A key and its needles as they are kept until the deed is done."""
    rows = [[one.length, one.print, one.digest] for one in needles]
    return json.dumps({"base": key.base, "salt": key.salt.hex(), "needles": rows}, separators=(",", ":"))


def from_json(text: str) -> tuple[Key, list[Needle]]:
    """The inverse of `to_json`; of an empty list no needles."""
    held: Any = json.loads(text)
    if not held:
        return Key.new(), []
    return Key(held["base"], bytes.fromhex(held["salt"])), [Needle(*row) for row in held["needles"]]
