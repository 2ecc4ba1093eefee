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

Verdict = Literal["same", "replaces", ""]

ME = "me"
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


def compare(later: str, earlier: str) -> Verdict:
    """What `later` does to `earlier`, which was said before it. Both are one sentence or a few."""
    new, old = read(later), read(earlier)
    if not new.terms or not old.terms:
        return ""
    if _ended(new, old) or _denied(new, old) or _changed(new, old):
        return "replaces"
    return "same" if _same(new, old) else ""


def cues(text: str) -> str:
    """Words by which earlier statements are found that a statement may end: those of its subjects and attributes."""
    one = read(text)
    found = [word for claim in one.claims for word in (*sorted(claim.subject - {ME}), *_CUES.get(claim.attribute, ()))]
    return " ".join(dict.fromkeys([*found, *(word for phrase, _ in one.gone for word in sorted(phrase))]))


def shared(first: str, second: str) -> bool:
    """Whether two statements have a subject in common: their owner, or a word that means something."""
    one, other = read(first), read(second)
    return bool((one.who & other.who) | (one.terms & other.terms))


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


def _conflict(new: Claim, old: Claim, corrects: bool) -> bool:
    if new.attribute != old.attribute or new.form != old.form or not _subjects(new, old, corrects):
        return False
    if new.attribute == "is" and new.form == "name" and not corrects and new.subject & _SEVERAL:
        return False  # one may have two sisters
    if new.attribute == "is" and new.form == "other" and not (corrects or new.moved or new.subject & _SINGLE):
        return False
    return not (new.value <= old.value or old.value <= new.value)


def _subjects(new: Claim, old: Claim, corrects: bool) -> bool:
    """Whether two claims are of the same subject: in the same words, or in fewer where a change is said."""
    if new.subject == old.subject:
        return True
    if ME in new.subject or ME in old.subject or not new.subject or not old.subject:
        return False
    if new.attribute in _OF_PERSONS or corrects or new.moved:
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
    return new.terms <= said | old.terms | _FORMAL


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
    unsure = bool(_UNSURE.search(body) or body.rstrip().endswith("?"))
    gone = () if unsure else tuple(_gone(body))
    corrects = led or bool(_CORRECTS.search(body)) or any(not verb for _, verb in gone)
    rest = _ASIDE.sub(" ", body)
    claims = () if unsure else tuple(dict.fromkeys(_claims(rest)))
    return Statement(_who(body), _terms(_NEGATION.sub(" ", body)), claims, gone, bool(_NEGATION.search(rest)), corrects)


def _plain(text: str) -> str:
    """The text with one spelling of apostrophes, short forms and the speaker: notes call their owner "the user"."""
    plain = " ".join(text.replace("’", "'").split())
    for pattern, written in _WRITTEN_OUT:
        plain = pattern.sub(written, plain)
    return plain


def _without_lead(text: str) -> tuple[str, bool]:
    """The text without the words that lead in to it, and whether they say that it corrects something."""
    corrects = False
    while found := _LEAD.match(text):
        corrects = corrects or bool(found["corrects"])
        text = text[found.end() :]
    return text, corrects


@lru_cache(2048)
def _terms(text: str) -> Terms:
    return frozenset(words.stem(word) for word in words.terms(text) if word not in _EMPTY)


def _who(text: str) -> Terms:
    """Whom or what a statement is about: its owner, a relation of theirs, a name, a thing."""
    found = _WHO.match(text)
    if not found:
        return frozenset()
    if found["i"]:
        return frozenset({ME})
    return _terms(found["mine"] or found["name"] or "") or frozenset({ME})


def _gone(text: str) -> Iterator[tuple[Terms, bool]]:
    for pattern, verb in _GONE:
        for found in pattern.finditer(text):
            phrase = _terms(found["gone"])
            if phrase:
                yield phrase, verb


def _claims(text: str) -> Iterator[Claim]:
    for attribute, pattern in _CLAIMS:
        for found in pattern.finditer(text):
            subject = _subject(found.groupdict().get("s") or "i")
            value = _terms(_NEGATION.sub(" ", found["v"]))
            if subject and value:
                yield Claim(subject, attribute, value, "", bool(_MOVED.search(found[0])))
    yield from _copulas(text)


def _copulas(text: str) -> Iterator[Claim]:
    """ "My phone number is ..." and its like, by what the value is: a name, a time, an amount."""
    for found in _COPULA.finditer(text):
        subject = _subject(found["s"])
        moved = bool(_MOVED.search(found["verb"]) or _NEWER.search(found["s"]) or re.search(r"\bnow\b", found[0]))
        for form, value in _values(found["v"]):
            if subject and value and ME not in subject:
                yield Claim(subject, "is", value, form, moved)
    for pattern in _PRICES:
        for found in pattern.finditer(text):
            if subject := _subject(found["s"]):
                yield Claim(subject, "is", frozenset(re.findall(r"\d+", found["v"])), "money")


def _subject(text: str) -> Terms:
    text = _NEWER.sub(" ", text.strip())
    if re.fullmatch(r"(?:i|me)", text, re.IGNORECASE):
        return frozenset({ME})
    if text.lower() in _PRONOUNS:
        return frozenset()
    return _terms(re.sub(r"^(?:my|the|our|a|an)\b", " ", text, flags=re.IGNORECASE)) - {"nam"}


def _values(text: str) -> list[tuple[str, Terms]]:
    """The values in what follows "is", each with its form; of a time the day and the hour by themselves."""
    if re.search(r"@|(?:\d[ /.-]?){6}", text) and not re.search(r"\d{4}-\d\d-\d\d", text):
        return [("contact", frozenset(re.findall(r"[\w@.+-]+@[\w.-]+", text) or [re.sub(r"\D", "", text)]))]
    if money := _MONEY.search(text):
        return [("money", frozenset(re.findall(r"\d+", money[0])))]
    times = [(form, frozenset(one.lower() for one in pattern.findall(text))) for form, pattern in _TIMES]
    if any(value for _, value in times):
        return [(form, value) for form, value in times if value]
    if number := re.match(rf"(?:only |already |about )?({_NUMBER})\b", text, re.IGNORECASE):
        return [("number", frozenset({number[1].lower()}))]
    return [_worded(text)]


def _worded(text: str) -> tuple[str, Terms]:
    """A value that is no number, as a place, a name or anything else."""
    if place := re.match(r"(?:now )?(?:in|at) (?P<v>[^,.;]+)", text):
        return "place", _terms(place["v"])
    if name := _NAME.match(text):
        return "name", _terms(name["v"])
    return "other", _terms(re.split(r"[,;.]| (?:and|but|because|since|with|who|which|so)\b", text)[0])


# ---------------------------------------------------------------------- the words of the rules


def _any(alternatives: str) -> str:
    return "(?:" + re.sub(r"\s*\n\s*", "", alternatives) + ")"


_WRITTEN_OUT = tuple(
    (re.compile(pattern, re.IGNORECASE), written)
    for pattern, written in (
        (r"\bthe user's\b", "my"),
        (r"\b(?:my|our|mein(?:e[rnms]?)?|unser(?:e[rnms]?)?|mis?|nuestr[oa]s?)\b", "my"),
        (r"\b(?:the user|i|we|us|ich|wir|yo|nosotros)\b", "i"),
        (r"\bi'm\b|\bi are\b|\bi're\b|\bi is\b", "i am"),
        (r"\b(i)'ve\b|\bi has\b", "i have"),
        (r"\bcan't\b|\bcannot\b", "can not"),
        (r"\bwon't\b", "will not"),
        (r"n't\b", " not"),
        (r"\b(he|she|it|that)'s\b", r"\1 is"),
        (r"\b(birthday|number|name|address|appointment|meeting)'s\b", r"\1 is"),
        (r"\banymore\b", "any more"),
        (r"\b(?:is|was) (?:called|named)\b|\bheißt\b|\bse llama\b", "is"),
        (r"\bname is\b", "is"),
        (r"\bfavorite\b", "favourite"),
        (r"\b(?:wohne|lebe)n?\b", "live"),
        (r"(?:\byo )?\b(?:vivo|vivimos)\b", "i live"),
        (r"\b(?:wohnt|lebt)\b|\bvive\b", "lives"),
        (r"\b(live|lives) (?:jetzt|nun|ahora) ", r"\1 "),
        (r"\b(live|lives) en\b", r"\1 in"),
        (r"\barbeite(?:n)? (?:jetzt )?(?:bei|für)\b", "work at"),
        (r"\btrabajo (?:ahora )?(?:en|para)\b", "i work at"),
        (r"\b(?:bin|sind) (?:jetzt )?nach (\w+) (?:um)?gezogen\b", r"moved to \1"),
        (r"\b(?:me|i) (?:mudé|mudamos) a\b|\bnos mudamos a\b|\bme mudé a\b", "i moved to"),
        (r"\bist jetzt\b|\bes ahora\b", "is now"),
        (r"\bist\b|\bes\b", "is"),
        (r"\bnicht mehr\b", "no longer"),
        (r"\bya no\b", "i no longer"),
    )
)
_LEAD = re.compile(
    r"\s*(?P<corrects>"
    + _any(
        r"""no|nope|sorry|actually|correction|i meant|i mean|wait|oops|my mistake|i was wrong|i misspoke|not quite
        |nein|korrektur|eigentlich|perdón|en realidad"""
    )
    + r")(?:,? that)?[,:;.! -]+(?=\w)|\s*"
    + _any(
        r"""by the way|well|oh|so|and|but|update|news|big news|good news|bad news|from now on|as of (?:today|now)|also
        |ahora|jetzt
        |please (?:remember|note)|remember|note|remember that|just so you know|fyi|yes|ok|okay|hi|hello|as i said
        |since (?:last )?\w+"""
    )
    + r"(?: that)?[,:;.! -]+(?=\w)",
    re.IGNORECASE,
)
_CORRECTS = re.compile(
    r"\b(?:actually|correction|i meant|instead|rather than|after all|by mistake|wrongly|eigentlich)\b", re.I
)
_UNSURE = re.compile(
    r"\b(?:"
    + _any(
        r"""might|(?-i:may)|maybe|perhaps|would|could|should|if|want(?:s|ed)? to|hop(?:e|es|ing)|consider\w*
        |think(?:ing)? (?:of|about)|thought (?:of|about)|wish\w*|dream\w*|plan(?:s|ning)? to|going to|next year|used as
        |almost|nearly|someday|one day|wonder\w*|vielleicht|würde|quizás"""
    )
    + r")\b",
    re.IGNORECASE,
)
_NEGATION = re.compile(
    r"\b(?:not|never|no longer|any more|any longer|neither|nor|stopped|quit|hates?|dislikes?|nicht|kein\w*|nunca)\b",
    re.I,
)
_ASIDE = re.compile(
    r",? (?:and )?not (?:in |at |on |with |for )?(?!any\b)[\w' -]+?(?=[,.;!]|$)|\binstead(?: of [\w' -]+)?"
    r"|\bactually\b",
    re.I,
)
_NEWER = re.compile(r"\b(?:new|current|latest|updated|correct|right|real|neue[rsn]?|nuev[oa])\b", re.IGNORECASE)
_MOVED = re.compile(
    r"\b(?:moved|postponed|rescheduled|pushed|brought forward|shifted|delayed|changed|switched|went up"
    r"|went down|rose|now"
    r"|promoted|became|turned)\b",
    re.IGNORECASE,
)
_PRONOUNS = frozenset("it this that he she they there what which who here these those everything".split())
_EMPTY = frozenset(
    """again already also actually really still now currently just recently anymore any longer instead correction sorry
    finally meant mean since today yesterday week month year used last new like love enjoy hate dislike
    called named name
    jetzt nun ahora in de""".split()
)  # "like" is what a polarity is about, not what tells two statements apart
_FORMAL = frozenset(words.stem(one) for one in "live lives living moved move name work works job based home".split())
_SEVERAL = frozenset(
    words.stem(one)
    for one in """sister brother friend colleague coworker cousin son daughter child kid aunt uncle nephew niece
    neighbour neighbor dog cat pet grandson granddaughter roommate flatmate teacher client student
    schwester bruder freund tochter hermana hermano amigo""".split()
)
_SINGLE = frozenset(
    words.stem(one)
    for one in """favourite job profession address hometown nickname password diet size car bike laptop major role
    position title blood status medication goal budget team bank insurance commute lieblingsessen lieblingsfarbe
    default preferred""".split()
)
_OF_PERSONS = frozenset({"home", "employer", "role", "school", "diet", "marital", "age", "car"})
_CUES = {
    "home": ("live", "lives", "living", "moved", "home"),
    "employer": ("work", "works", "job", "working"),
    "role": ("work", "works", "job", "working"),
    "school": ("study", "studying", "university"),
    "diet": ("vegan", "vegetarian", "pescatarian", "meat", "eat"),
    "marital": ("single", "married", "engaged", "divorced", "girlfriend", "boyfriend", "dating"),
    "age": ("old", "years", "age"),
    "car": ("drive", "car", "drives"),
}

_S = r"(?P<s>\bi\b|\bmy [\w'-]+(?: (?!is|was|has|lives|works)[\w'-]+){0,3}|\b[A-Z][\w'-]+(?: [A-Z][\w'-]+)?)"
_TAIL = (
    r"(?P<v>[^,.;!?]+?)(?= (?:with|and|since|because|but|for|now|as|last|this|after|again|in \d|on [A-Z])\b|[,.;!?]|$)"
)
_NOW = r"(?: (?:now|currently|just|recently|have|has|am|is|both|all|already))*"
_DIETS = r"(?P<v>vegan|vegetarian|pescatarian|omnivore|carnivore|veggie|vegano|vegana)"
_JOBS = (
    r"(?P<v>(?:[\w-]+ )?(?:nurse|teacher|engineer|developer|designer|lawyer|doctor|chef|cook|accountant"
    r"|architect|manager|journalist|writer|pilot|programmer|analyst|consultant|electrician|carpenter|barista"
    r"|waiter|dentist|vet|librarian|baker|photographer|translator|plumber|scientist|researcher|director))"
)
_CLAIMS = tuple(
    (attribute, re.compile(pattern, re.IGNORECASE if not pattern.startswith(_S) else 0))
    for attribute, pattern in (
        ("home", rf"{_S}{_NOW} (?:lives?|living|resides?|based)(?: now| currently)? (?:in|at|near|on) {_TAIL}"),
        (
            "home",
            rf"{_S}{_NOW} (?:re)?(?:moved|located)(?: back| house| away)?(?: from [\w' ]+?)? (?:to"
            rf"|into) (?!the (?:front|back)\b){_TAIL}",
        ),
        ("employer", rf"{_S}{_NOW} (?:works?|working)(?: now)? (?:at|for) {_TAIL}"),
        (
            "employer",
            rf"{_S}{_NOW} (?:started|joined|begun|began)(?: (?:a new job|a job|working|work))?(?: at| with"
            rf"| for)? (?=[A-Z]|the |a ){_TAIL}",
        ),
        ("employer", rf"{_S}{_NOW} (?:got|have|has|found|took) a (?:new )?job (?:at|with) {_TAIL}"),
        ("role", rf"{_S}{_NOW} (?:works?|working)(?: now)? as an? {_TAIL}"),
        ("role", rf"{_S}{_NOW} an? {_JOBS}"),
        ("role", rf"{_S}(?:{_NOW}| was| got| were)+ promoted to {_TAIL}"),
        ("role", rf"{_S}{_NOW} became an? {_JOBS}"),
        ("school", rf"{_S}{_NOW} (?:stud(?:y|ies|ying)|goes to school|go to school)(?: [\w ]+?)? at {_TAIL}"),
        ("diet", rf"{_S}{_NOW} (?:a |went |turned |became |become |gone )*(?:strict )?{_DIETS}\b"),
        ("marital", rf"{_S}(?:{_NOW}| got)+ (?P<v>single|married|engaged|divorced|widowed|separated)\b"),
        ("age", rf"{_S}(?:{_NOW}| turned)+ (?P<v>\d{{1,3}})(?= years? old| now|[.!,]|$)"),
        ("car", rf"{_S}{_NOW} drives? (?:an? |the )?{_TAIL}"),
        ("dose", r"(?P<s>\bi\b)(?: now)? takes? (?P<v>\d[\d.,]* ?(?:mg|ml|µg|mcg|drops|tablets?)) (?:of )?\w+"),
    )
)
_COPULA = re.compile(
    r"(?P<s>\b(?:my|the|The|My)(?: [\w'&-]+){1,5}?|\b[A-Z][\w-]+'s(?: [\w'-]+){1,4}?|\b[A-Z][\w'-]+(?: [A-Z][\w'-]+)?"
    r"(?: (?:meeting|appointment|party|wedding|flight|exam|concert|trip|visit|deadline|interview|class|lesson))?) "
    r"(?P<verb>(?:(?:is|are|was|were|has|have|will|be|been|got|gets|just|now|actually|still) )*"
    r"(?:moved|postponed|rescheduled|pushed back|pushed|brought forward|shifted|delayed|changed|switched"
    r"|went up|went down"
    r"|rose|starts?|begins?|leaves|departs|arrives|opens|closes|takes place|falls|due"
    r"|costs?)(?: place)?(?: (?:from [\w :]+? )?(?:to|until|till|by|on|at|in|for))?"
    r"|(?:is|are|will be)(?: now| actually| still| due)*(?: (?:on|for|from))?) "
    r"(?P<v>[^;!?]+?)(?=[;!?]|\.(?:\s|$)|$)"
)
_PRICES = (
    re.compile(r"(?P<s>\b(?:my|[Tt]he)(?: [\w'-]+){1,4}?) costs?(?: now| me)* (?P<v>\S*\d[\d.,]*)"),
    re.compile(r"\bi pay(?: now)? (?P<v>\S*\d[\d.,]*)[\w€$£ ]*? for (?P<s>[^,.;]+)"),
)
_MONEY = re.compile(r"[$€£]\s?\d[\d.,]*|\d[\d.,]*\s?(?:[$€£]|euros?|dollars?|pounds?|francs?|eur|usd|gbp|chf)\b", re.I)
_DAYS = (
    r"(?:mon|tues|wednes|thurs|fri|satur|sun)day|montag|dienstag|mittwoch|donnerstag|freitag|samstag|sonntag"
    r"|lunes|martes|miércoles|jueves|viernes"
)
_MONTHS = r"january|february|march|april|may|june|july|august|september|october|november|december"
_NUMBER = r"\d+(?:[.,]\d+)?|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve"
_NAME = re.compile(r"(?:now )?(?:called |named )?(?P<v>(?:Dr\.? |Mrs?\.? |Ms\.? )?[A-Z][\w'-]+(?: [A-Z][\w'-]+)*)")
_TIMES = (
    ("weekday", re.compile(rf"\b(?:{_DAYS})\b", re.I)),
    (
        "date",
        re.compile(
            rf"\b(?:\d{{1,2}}(?:st|nd|rd|th)?(?: of)? )?(?:{_MONTHS})(?: \d{{1,2}}(?:st|nd|rd|th)?\b)?"
            rf"|\b\d{{4}}-\d\d-\d\d\b|\bthe \d{{1,2}}(?:st|nd|rd|th)\b",
            re.I,
        ),
    ),
    (
        "hour",
        re.compile(
            r"\b(?:\d{1,2}(?::\d\d)? ?(?:am|pm|o'clock|uhr)|\d{1,2}:\d\d|noon|midnight|(?<=at )\d{1,2})\b", re.I
        ),
    ),
)
_WHO = re.compile(
    r"(?:(?P<i>i\b)|my (?P<mine>[\w'-]+(?: [A-Z][\w'-]+)?)|(?P<name>[A-Z][\w-]+(?: [A-Z][\w-]+)?)|the (?P<thing>\w+))",
    re.I,
)
_PHRASE = r"(?P<gone>[^,.;!?]+?)"
_STOP = r"(?=[,.;!?]| (?:and|but|because|since|so|as|for|now|after|anymore|any more|any longer|in \d)\b|$)"
_GONE = tuple(
    (re.compile(pattern, re.IGNORECASE), verb)
    for pattern, verb in (
        (rf"\bno longer (?:a |an |the )?{_PHRASE}{_STOP}", True),
        (rf"\bnot {_PHRASE} (?:any more|any longer)\b", True),
        (rf"\b(?:stopped|quit|gave up|given up|dropped|finished) (?:my |the |with )?{_PHRASE}{_STOP}", True),
        (rf"\bused to (?:be |have )?(?:a |an |the )?{_PHRASE}{_STOP}", True),
        (
            rf"\b(?:sold|cancell?ed|got rid of|gave away|broke up with|split up with|separated from) (?:my "
            rf"|the |a )?{_PHRASE}{_STOP}",
            True,
        ),
        (rf"\b(?:left|resigned from|was fired from|got fired from) (?:my job at |the )?{_PHRASE}{_STOP}", True),
        (
            rf"(?:^|[.;,] )(?:my |the )?{_PHRASE} (?:is|was|has been|got|have been) (?:cancell?ed|called off"
            rf"|over|stolen)\b",
            True,
        ),
        (rf"\b(?:switched|changed|moved|went)(?: \w+)? from {_PHRASE} to\b", False),
        (rf"\bnot (?:in |at |on |a |an |the |with |for )*{_PHRASE},? but\b", False),
        (
            rf",? (?:and )?\bnot (?:in |at |on |a |an |the |with |for )*(?!any\b){_PHRASE}(?=[,.;!]|$)(?<!any more)",
            False,
        ),
        (rf"\b(?:instead of|rather than) (?:in |at |on |a |an |the )*{_PHRASE}{_STOP}", False),
    )
)
