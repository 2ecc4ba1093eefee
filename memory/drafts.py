"""Notes as a model wrote them, read leniently: JSON, JSON with common damage, or labelled lines."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, get_args

from memory.records import FactKind

KINDS: tuple[FactKind, ...] = get_args(FactKind)
MAX_CUTS = 40  # places tried when the end of a reply is missing; a record of a fact has five fields


class Unreadable(ValueError):
    """A reply holds no notes. The message says why, without the reply's own words."""


@dataclass(frozen=True, slots=True)
class DraftFact:
    """A fact as the model put it: `messages` are the transcript's numbers, `date` is ISO, else empty."""

    kind: FactKind
    text: str
    date: str
    messages: tuple[int, ...]
    quote: str


@dataclass(frozen=True, slots=True)
class Draft:
    """A model's notes before any check. Texts are one line each and may be empty."""

    title: str
    gist: str
    facts: tuple[DraftFact, ...] = ()


def read_json(reply: str) -> Draft:
    """The notes in a reply that should be a JSON object.

    Text around the object, trailing commas and a missing end are mended. Raises Unreadable for all else.
    """
    problem = "there is no JSON object"
    for candidate in _candidates(_THOUGHTS.sub("", reply)):
        try:
            value = json.loads(candidate, strict=False)
        except (ValueError, RecursionError) as error:
            problem = error.msg if isinstance(error, json.JSONDecodeError) else type(error).__name__
            continue
        if isinstance(value, dict) and value.keys() & {"title", "gist"}:
            return _draft(value)
        problem = "the object has neither title nor gist"
    raise Unreadable(problem)


def read_lines(reply: str) -> Draft:
    """The notes in a reply of lines TITLE: ..., GIST: ..., FACT [3]: text | quote.

    Labels may be decorated; lines without one continue the gist. Raises Unreadable for a reply without words.
    """
    texts = {"title": "", "gist": ""}
    facts: list[DraftFact] = []
    for line in _THOUGHTS.sub("", reply).splitlines():
        label = _LABEL.match(line)
        word = label[1].lower() if label else "gist"
        word = {"summary": "gist", "facts": "fact"}.get(word, word)
        if not label and (facts or not re.search(r"\w", line) or _ECHO.match(line)):
            continue  # a remark after the facts, or the transcript said again
        text = label[3] if label else line
        if word in texts:
            texts[word] = one_line(f"{texts[word]} {text.strip(' *_')}")
        elif text.strip():
            facts.append(_line_fact(word, label[2] if label else "", text))
    if not (texts["title"] or texts["gist"] or facts):
        raise Unreadable("the reply is empty")
    return Draft(texts["title"], texts["gist"], tuple(facts))


def one_line(text: str) -> str:
    """The text in one line, without characters that cannot be seen or stored. Controls come out as \\x1b."""
    seen = _HIDDEN.sub("", " ".join(text.split()))
    return " ".join(_CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", seen).split())


_THOUGHTS = re.compile(r"<think>.*?(?:</think>|\Z)", re.DOTALL | re.IGNORECASE)  # some models think aloud first
_LABEL = re.compile(
    r"^[\s>*_#•\d.)-]*(TITLE|GIST|SUMMARY|FACTS?|PREFERENCE|DECISION|TASK|PERSON)\b"
    r"([\s\[\]()#*_,\d-]{0,40}?)[*_\s]*[:：][*_]*\s*(.*)$",
    re.IGNORECASE,
)
_ECHO = re.compile(r"\s*(?:\||\[\d+\]|<<<|TRANSCRIPT>>>)")  # how the transcript's own lines begin
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]")
_HIDDEN = re.compile(
    "[\u00ad\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e0fff]"
)
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")


def _draft(value: Mapping[str, Any]) -> Draft:
    facts = value.get("facts")
    return Draft(
        _text(value.get("title")),
        _text(value.get("gist")),
        tuple(_fact(item) for item in facts if isinstance(item, dict)) if isinstance(facts, list) else (),
    )


def _fact(item: Mapping[str, Any]) -> DraftFact:
    return DraftFact(
        _kind(_text(item.get("kind"))),
        _text(item.get("text")),
        _text(item.get("date")),
        _numbers(str(item.get("messages"))),
        _text(item.get("quote")),
    )


def _line_fact(label: str, between: str, text: str) -> DraftFact:
    """`between` stands between label and colon: the messages' numbers, perhaps a day."""
    date = _DATE.search(between)
    cited = _numbers(_DATE.sub(" ", between)) or tuple(
        n for part in re.findall(r"\[([\d,\s]+)\]", text) for n in _numbers(part)
    )
    said, _, quote = re.sub(r"^\s*\[[\d,\s]+\]", "", text).partition("|")
    return DraftFact(_kind(label), one_line(said), date[0] if date else "", cited, one_line(quote))


def _text(value: object) -> str:
    return one_line(value) if isinstance(value, str) else ""


def _kind(word: str) -> FactKind:
    for kind in KINDS:
        if word.lower() == kind:
            return kind
    return "fact"


def _numbers(text: str) -> tuple[int, ...]:
    """The numbers in `text`, each once; longer than nine digits is no number of a message."""
    return tuple(dict.fromkeys(int(found) for found in re.findall(r"(?<!\d)\d{1,9}(?!\d)", text)))


def _candidates(reply: str) -> Iterator[str]:
    """What may be the object: the reply, its outermost object mended, and that cut back to where a value ended."""
    yield reply
    start = re.search(r'\{\s*["}]', reply)
    if start:
        yield from _mended(reply[start.start() :])


def _mended(text: str) -> Iterator[str]:
    """`text` starts with a brace. Closes what is open at its end; each later candidate ends one value earlier."""
    out: list[str] = []
    closers: list[str] = []
    cuts: list[tuple[int, str]] = []
    quoted = escaped = False
    for letter in text:
        out.append(letter)
        if quoted:
            escaped, quoted = letter == "\\" and not escaped, letter != '"' or escaped
        elif letter == '"':
            quoted = True
        elif letter in "{[":
            closers.append("}" if letter == "{" else "]")
        elif letter == ",":
            cuts.append((len(out) - 1, "".join(reversed(closers))))
        elif letter in "}]":
            _drop_comma(out)
            if not closers or closers.pop() != letter:
                break
            if not closers:
                yield "".join(out)
                return
    if escaped:
        out.pop()
    yield "".join(out) + ('"' if quoted else "") + "".join(reversed(closers))
    for place, ends in cuts[: -MAX_CUTS - 1 : -1]:
        yield "".join(out[:place]) + ends


def _drop_comma(out: list[str]) -> None:
    """Blank a comma that stands before the closer at the end of `out`."""
    place = len(out) - 2
    while place > 0 and out[place].isspace():
        place -= 1
    if out[place] == ",":
        out[place] = " "
