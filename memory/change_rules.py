"""What a later statement does to an earlier one, by plain rules: it says the same, takes its place, or neither. Pure.

The rules rather leave an outdated statement than retire a true one. They know statements that hold one value at a time
(where one lives, a phone number, the day of a plan), words that end something ("no longer", "not X but Y", "sold") and
denials of what was said before. Of likes, hobbies and friends there may be many; a new one ends none.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from memory import words
from memory.change_words import (
    AMOUNT,
    ASIDE,
    CHANGE,
    CLAIMS,
    COPULA,
    CORRECTS,
    CUES,
    EMPTY,
    FORMAL,
    GONE,
    LEAD,
    MONEY,
    MOVED,
    NAME,
    NEGATION,
    NEWER,
    OF_PERSONS,
    ONE_MORE,
    PAST,
    PRICES,
    PRONOUNS,
    REVERSED,
    SEVERAL,
    SINGLE,
    TIMES,
    UNSURE,
    WHO,
    WRITTEN_OUT,
)

Verdict = Literal["same", "replaces", ""]

ME = "me"
LEAST_TOLD, MOST_CHANGED = (
    2,
    3,
)  # words that two sentences share, and that each has for itself, if one rewords the other
MOST_LOST = 5  # words; an earlier statement that says so much more is about something else, too

Terms = frozenset[str]


@dataclass(frozen=True, slots=True)
class Claim:
    """One value that holds alone: of `subject` (its words) the `attribute`. `value` is its words, `form` what it is.

    `moved`: the sentence itself says that this is a change, so a part of the subject's words is enough.
    """

    subject: Terms
    attribute: str
    value: Terms
    form: str
    moved: bool = False


@dataclass(frozen=True, slots=True)
class Statement:
    """A sentence as the rules see it. `gone` are phrases that it says to be over or wrong, `denied` its polarity."""

    who: Terms
    terms: Terms
    claims: tuple[Claim, ...]
    gone: tuple[tuple[Terms, bool], ...]  # with whether the phrase has a verb: then it ends a whole statement
    denied: bool
    corrects: bool
    verb: str  # the first word of what it says of them
    changes: bool  # it says that this is how it is now
    ends_nothing: bool  # it tells of what may be, was once, or comes besides


def compare(later: str, earlier: str) -> Verdict:
    """What `later` does to `earlier`, which was said before it. Both are one sentence or a few."""
    new, old = read(later), read(earlier)
    if not new.terms or not old.terms:
        return ""
    if _ended(new, old) or _denied(new, old) or _changed(new, old) or _reworded(new, old):
        return "replaces"
    return "same" if _same(new, old) else ""


def cues(text: str) -> str:
    """Words by which earlier statements are found that a statement may end: those of its subjects and attributes."""
    one = read(text)
    found = [word for claim in one.claims for word in (*sorted(claim.subject - {ME}), *CUES.get(claim.attribute, ()))]
    return " ".join(dict.fromkeys([*found, *(word for phrase, _ in one.gone for word in sorted(phrase))]))


def comparable(later: str, earlier: str) -> bool:
    """Whether two statements are of the same whom and what, so that one may be asked to judge what `later` does.

    What may be, was once or comes besides ends nothing; nor do a flight to Oslo and one to Rome end each other.
    """
    new, old = read(later), read(earlier)
    if new.ends_nothing or not _alike(new.who, old.who) or not new.terms & old.terms:
        return False
    pairs = [(one, other) for one in new.claims for other in old.claims if one.attribute == other.attribute]
    return not pairs or any(_subjects(one, other, True) and not _several(one, new.corrects) for one, other in pairs)


# ---------------------------------------------------------------------- verdicts


def _ended(new: Statement, old: Statement) -> bool:
    """Does the new one say that something of the old one is over or wrong?"""
    for phrase, verb in new.gone:
        if (
            not phrase
            or not _within(phrase, old.terms)
            or old.denied
            or any(_within(phrase, one) for one, _ in old.gone)
        ):
            continue
        if verb and _alike(new.who, old.who) and len(old.terms - phrase) <= MOST_LOST:
            return True
        if (
            not verb
            and len(old.terms - phrase - new.terms) <= 1
            and (old.terms - phrase) & (new.terms | new.who | {ME})
        ):
            return _alike(new.who, old.who) or bool((old.terms - phrase) & new.terms)
    return False


def _denied(new: Statement, old: Statement) -> bool:
    """Do both say the same, and one of them that it is not so?"""
    if new.denied == old.denied or not _alike(new.who, old.who) or new.gone:
        return False
    less, more = sorted((new.terms, old.terms), key=len)
    return bool(less) and less <= more and len(more - less) <= 1


def _changed(new: Statement, old: Statement) -> bool:
    """Do both give a value to what has one at a time, and not the same?"""
    if new.denied or old.denied:
        return False
    return any(_conflict(one, other, new.corrects) for one in new.claims for other in old.claims)


def _reworded(new: Statement, old: Statement) -> bool:
    """Does the new one say "now", and the same of the same as the old one but for a few words in one place?

    "Our team uses Jenkins for builds": another tool for builds takes its place, one for tests does not.
    """
    if (
        not new.changes
        or new.ends_nothing
        or new.denied
        or old.denied
        or not _alike(new.who, old.who)
        or new.verb != old.verb
    ):
        return False
    told = (new.terms & old.terms) - new.who
    return (
        len(told) >= LEAST_TOLD
        and 0 < len(new.terms - old.terms - new.who) <= MOST_CHANGED
        and 0 < len(old.terms - new.terms - old.who) <= MOST_CHANGED
    )


def _conflict(new: Claim, old: Claim, corrects: bool) -> bool:
    if new.attribute != old.attribute or not _subjects(new, old, corrects):
        return False
    if new.form != old.form and not (new.attribute == "home" and (new.moved or corrects)):
        return False
    if _several(new, corrects):
        return False
    if new.attribute == "is" and new.form == "other" and not (corrects or new.moved or new.subject & SINGLE):
        return False
    return not (new.value <= old.value or old.value <= new.value)


def _several(new: Claim, corrects: bool) -> bool:
    """One may have two sisters."""
    return new.attribute == "is" and new.form == "name" and not corrects and bool(new.subject & SEVERAL)


def _subjects(new: Claim, old: Claim, corrects: bool) -> bool:
    """Whether two claims are of the same subject: in the same words, or in fewer where a change is said."""
    if new.subject == old.subject:
        return True
    if ME in new.subject or ME in old.subject or not new.subject or not old.subject:
        return False
    if new.attribute in OF_PERSONS or corrects or new.moved:
        return new.subject <= old.subject or old.subject <= new.subject
    return False


def _same(new: Statement, old: Statement) -> bool:
    """Does the new one say nothing that the old one does not say?"""
    if new.denied != old.denied or bool(new.gone) != bool(old.gone) or not _alike(new.who, old.who):
        return False
    if new.terms == old.terms:
        return True
    told = {(claim.subject, claim.attribute, claim.value) for claim in new.claims}
    known = {(claim.subject, claim.attribute, claim.value) for claim in old.claims}
    if not told or not told <= known:
        return False
    said = frozenset[str]().union(*(subject | value for subject, _, value in told))
    return new.terms <= said | old.terms | FORMAL


def _alike(one: Terms, other: Terms) -> bool:
    return bool(one & other)


def _within(phrase: Terms, terms: Terms) -> bool:
    return phrase <= terms


# ---------------------------------------------------------------------- reading a statement


@lru_cache(512)
def read(text: str) -> Statement:
    """A statement as the rules see it."""
    plain = _plain(text)
    body, led = _without_lead(plain)
    unsure = bool(UNSURE.search(body) or body.rstrip().endswith("?"))
    gone = () if unsure else tuple(_gone(body))
    corrects = led or bool(CORRECTS.search(body)) or any(not verb for _, verb in gone)
    rest = ASIDE.sub(" ", body)
    claims = () if unsure else tuple(dict.fromkeys(_claims(rest)))
    return Statement(
        _who(body),
        _terms(NEGATION.sub(" ", body)),
        claims,
        gone,
        bool(NEGATION.search(rest)),
        corrects,
        _verb(body),
        bool(CHANGE.search(body)),
        unsure or bool(PAST.search(body) or ONE_MORE.search(body)),
    )


def _plain(text: str) -> str:
    """The text with one spelling of apostrophes, short forms and the speaker: notes call their owner "the user"."""
    plain = " ".join(text.replace("’", "'").split())
    for pattern, written in WRITTEN_OUT:
        plain = pattern.sub(written, plain)
    return plain


def _without_lead(text: str) -> tuple[str, bool]:
    """The text without the words that lead in to it, and whether they say that it corrects something."""
    corrects = False
    while found := LEAD.match(text):
        corrects = corrects or bool(found["corrects"])
        text = text[found.end() :]
    return text, corrects


@lru_cache(2048)
def _terms(text: str) -> Terms:
    return frozenset(words.stem(word) for word in words.terms(text) if word not in EMPTY)


def _who(text: str) -> Terms:
    """Whom or what a statement is about: its owner, a relation of theirs, a name, a thing."""
    found = WHO.match(text)
    if not found:
        return frozenset()
    if found["i"]:
        return frozenset({ME})
    return _terms(found["mine"] or found["thing"] or found["name"] or "") or frozenset({ME})


def _verb(text: str) -> str:
    """The first word after whom it is about; empty where that is not told apart."""
    found = WHO.match(text)
    after = re.match(r"\W*(?:(?:now|currently|always|usually|also) )*([\w']+)", text[found.end() :]) if found else None
    return words.stem(after[1].lower()) if after else ""


def _gone(text: str) -> Iterator[tuple[Terms, bool]]:
    for pattern, verb in GONE:
        for found in pattern.finditer(text):
            phrase = _terms(found["gone"])
            if phrase:
                yield phrase - FORMAL or phrase, verb


def _claims(text: str) -> Iterator[Claim]:
    for attribute, pattern in CLAIMS:
        for found in pattern.finditer(text):
            subject = _subject(found.groupdict().get("s") or "i")
            value = _terms(NEGATION.sub(" ", found["v"]))
            if subject and value and not (attribute == "home" and _is_time(found["v"])):
                yield Claim(subject, attribute, value, _sort(found), bool(MOVED.search(found[0])))
    yield from _copulas(text)


def _copulas(text: str) -> Iterator[Claim]:
    """ "My phone number is ..." and its like, by what the value is: a name, a time, an amount."""
    for found in COPULA.finditer(text):
        subject = _subject(found["s"])
        moved = bool(
            MOVED.search(found["verb"]) or NEWER.search(found["s"]) or re.search(r"\b(?:now|since)\b", found[0])
        )
        for form, value in _values(found["v"]):
            if subject and value and ME not in subject:
                yield Claim(subject, "is", value, form, moved)
    for found in REVERSED.finditer(text):
        if found["now"] or found["later"]:
            yield Claim(_subject(found["s"]), "is", _terms(found["v"]), "name", True)
    for pattern in PRICES:
        for found in pattern.finditer(text):
            if subject := _subject(found["s"]):
                yield Claim(subject, "is", frozenset(re.findall(r"\d+", found["v"])), "money")


def _sort(found: re.Match[str]) -> str:
    """Of where one lives: whether the place has a name, and in it or near. "In a flat" is no other place than Graz."""
    how = found.groupdict().get("how")
    return f"{how} {'named' if re.search('[A-Z]', found['v']) else 'any'}" if how else ""


def _is_time(text: str) -> bool:
    return any(pattern.search(text) for _, pattern in TIMES)


def _subject(text: str) -> Terms:
    text = NEWER.sub(" ", text.strip())
    if re.fullmatch(r"(?:i|me)", text, re.IGNORECASE):
        return frozenset({ME})
    if text.lower() in PRONOUNS:
        return frozenset()
    return _terms(re.sub(r"^(?:my|the|our|a|an)\b", " ", text, flags=re.IGNORECASE)) - {"nam"}


def _values(text: str) -> list[tuple[str, Terms]]:
    """The values in what follows "is", each with its form; of a time the day and the hour by themselves."""
    if re.search(r"@|(?:\d[ /.-]?){6}", text) and not re.search(r"\d{4}-\d\d-\d\d", text):
        return [("contact", frozenset(re.findall(r"[\w@.+-]+@[\w.-]+", text) or [re.sub(r"\D", "", text)]))]
    if money := MONEY.search(text):
        return [("money", frozenset(re.findall(r"\d+", money[0])))]
    if number := AMOUNT.match(text):
        return [("number", frozenset({number["v"].lower()}))]
    times = [(form, frozenset(one.lower() for one in pattern.findall(text))) for form, pattern in TIMES]
    if any(value for _, value in times):
        return [(form, value) for form, value in times if value]
    return [_worded(text)]


def _worded(text: str) -> tuple[str, Terms]:
    """A value that is no number, as a place, a name or anything else."""
    if place := re.match(r"(?:now )?(?:in|at) (?P<v>[^,.;]+)", text):
        return "place", _terms(place["v"])
    if name := NAME.match(text):
        return "name", _terms(name["v"])
    return "other", _terms(re.split(r"[,;.]| (?:and|but|because|since|with|who|which|so)\b", text)[0])
