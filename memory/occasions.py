"""Questions that ask for a time or a kind and name no topic: "what did we talk about last time?", "what is still open?"

Full text and vectors have nothing to look for there. Plain rules read such questions: once a time is taken out, every
word must be one of talk and of asking; any other word is a topic, and the question is one for `recall.find`.
`lookup` has the answers.
"""

import re
from collections.abc import Sequence
from datetime import date, datetime, time
from typing import NamedTuple

from memory import when
from memory.dates import DAYS, MONTH, NUMBERS, SEASONS, WEEKDAY, WEEKDAYS, number, one_of, span
from memory.errors import BadInput
from memory.records import FactKind

Time = tuple[datetime, datetime]  # the first moment meant, and the first no longer meant

RECENT = 5  # sessions for "lately", and for several without a number
LONGEST = 25  # words; who writes more has a topic


class Occasion(NamedTuple):
    """What is asked for: facts of `kinds` (with `pinned` those of any kind too), or, without kinds, sessions.

    `name` tells it to a person. `times` are tried in turn, the most exact first; without any, so many `sessions` are
    meant, the last ones or with `earliest` the first.
    """

    name: str
    kinds: tuple[FactKind, ...] = ()
    pinned: bool = False
    times: tuple[Time, ...] = ()
    sessions: int = 1
    earliest: bool = False


# ---------------------------------------------------------------------- the words


def _set(text: str) -> frozenset[str]:
    return frozenset(text.split())


COMMON = _set(
    """
    a again all already also am an and any are at be been being can could did do does ever exactly far for from give
    had has have hello hey hi how i in is just let list me my now of ok okay on or our over please remind say show so
    some still tell than the then there to together us was we well were what when where which who with would you your
    """
)
TALK = _set(
    """
    talk talked talking speak spoke spoken speaking discuss discussed discussing chat chatted chatting say said tell
    told mention mentioned ask asked cover covered
    """
)
NOUNS = _set("conversation conversations session sessions chat chats talk talks discussion discussions")
SESSIONS = (
    COMMON | TALK | NOUNS | frozenset(NUMBERS) | _set(
        """
        about ago anything before brief briefly bullet bullets carry continue couple doing done earlier early
        everything few first go happened last late lately latest leave left lines long main most off once pick points
        previous previously quick quickly recall recap recent recently remember review sentence sentences short since
        stop stopped subject subjects summaries summarise summary thing things time times topic topics up
        """
    )
)  # fmt: skip
TASKS = COMMON | _set(
    """
    action anything complete completed current currently done else end ends finish finished get item items left loose
    need not open outstanding pending point points questions remain remaining remains right something task tasks thing
    things todo todos today undone unfinished yet
    """
)
DECISIONS = COMMON | _set(
    """
    agree agreed decide decided decision decisions last lately latest made make new recap recent recently settle
    settled summarise take taken time
    """
)
OWNER = COMMON | _set(
    """
    about anything dislike dislikes everything fact facts favorite favorites favourite favourites hate know learn
    learned learnt like likes love memories memory myself note noted prefer preference preferences recall remember
    remembered save saved something stored summarise things
    """
)
TIMES = frozenset({*DAYS, *MONTH, *NUMBERS, *SEASONS, *WEEKDAY, "ago", "before", "christmas", "couple", "few"}) | _set(
    "days weeks months years last past previous this today weekend yesterday"
)
VOCABULARY = SESSIONS | TASKS | DECISIONS | OWNER | TIMES

AROUND = _set("again already also and exactly far hello hey hi just now ok okay please so then there together well")
ASKING = _set(
    """
    any anything are can carry continue could did do give go had has have how is let list pick recall recap remember
    remind review show something summaries summarise summary tell was were what when where which who would
    """
)

# A German question is put into these words, one by one, if all of its words are among them.
GERMAN = dict(
    pair.split("=")
    for pair in """
    alle=all alles=all am=on an=on aufgaben=tasks aufgehört=left_off bei=in beim=at besprochen=discussed bin=am
    bitte=please das=the dem=the den=the der=the die=the dich=_ dir=you drei=three du=you entscheidungen=decisions
    entschieden=decided erinnerst=remember erledigen=do erzählt=told fass=summarise fasse=summarise geblieben=left_off
    geredet=talked gesagt=said gespräch=conversation gespräche=conversations gesprochen=talked gestern=yesterday
    getroffen=made habe=have haben=have hast=have heute=today ich=i im=in in=in ist=is jahr=year kürzlich=recently
    letzte=last letzten=last letzter=last letztes=last mal=time mein=my meine=my meinen=my mich=me mir=me monat=month
    muss=have neulich=recently noch=still offen=open offene=open offenen=open sind=are stehen=_ stehengeblieben=left_off
    todos=todos tun=do unser=our unsere=our unseren=our unterhalten=talked unterhaltung=conversation und=and von=of
    vorgestern=day_before_yesterday wann=when waren=were was=what weißt=know weisst=know welche=which wer=who wir=we
    wo=where woche=week wochenende=weekend worüber=what wovon=what zu=to zuletzt=last zusammen=_ zwei=two über=about
    montag=monday dienstag=tuesday mittwoch=wednesday donnerstag=thursday freitag=friday samstag=saturday
    sonntag=sunday januar=january februar=february märz=march april=april mai=may juni=june juli=july august=august
    september=september oktober=october november=november dezember=december
    """.split()
)

# What to put for a pattern, in a text that holds the hint: most hold none, and so many patterns take long to compile.
SPELLINGS = (
    ("let's", r"\b(let)'s\b", r"\1 us"),
    ("'s", r"'s\b", " is"),
    ("'re", r"'re\b", " are"),
    ("'ve", r"'ve\b", " have"),
    ("'d", r"'d\b", " did"),
    ("n't", r"n't\b", " not"),
    ("do", r"\bto[- ]?do([- ]list|s)\b", r"todo\1"),
    ("to-do", r"\bto-do\b", "todo"),
    ("summar", r"\bsummari[sz]e\b", "summarise"),
    ("recapitul", r"\brecapituli[sz]e\b", "summarise"),
    ("this", r"\bthis (?:morning|afternoon|evening)\b", "today"),
    ("last night", r"\blast night\b", "yesterday"),
    ("work", r"\b(did|have) (i|we) work(?:ed)? on\b", r"\1 \2 do"),
    ("prior", r"\bprior\b", "previous"),
    ("", r"[^\w\s.'-]", " "),
)
APOSTROPHES = str.maketrans("’`´", "'''")
_ROUGH = r"\b(?:week|month|year)s?\b"
FIGURE = r"\d[\d.-]*(?:st|nd|rd|th)?"


def spoken_words(question: str) -> list[str]:
    """The words of a question in one spelling, lower case, a German one's in English."""
    text = question if question.isupper() or "US" not in question else re.sub(r"\bUS\b", "America", question)
    text = text.casefold().translate(APOSTROPHES)
    for hint, pattern, put in SPELLINGS:
        if hint in text:
            text = re.sub(pattern, put, text)
    found = [word.strip(".-'") for word in text.split() if word.strip(".-'")]
    if found and all(word in GERMAN or re.fullmatch(FIGURE, word) for word in found):
        found = [part for word in found for part in GERMAN.get(word, word).split("_") if part]
    return found


# ---------------------------------------------------------------------- the time


def _named_time(said: Sequence[str], at: datetime) -> tuple[str, tuple[Time, ...], list[str]]:
    """The time that a question names, in its words and as moments, and the words beside it."""
    for length in range(min(6, len(said)), 0, -1):
        for start in range(len(said) - length + 1):
            words = said[start : start + length]
            if _may_be_time(words, said[:start]) and (times := _read_times(" ".join(words), at)):
                return " ".join(words), times, [*said[:start], *said[start + length :]]
    return "", (), list(said)


def _may_be_time(phrase: Sequence[str], before: Sequence[str]) -> bool:
    """Whether words are meant as a time: in "about spring" and "about the sun" they are the topic."""
    if not any(word in TIMES or re.fullmatch(FIGURE, word) for word in phrase):
        return False
    if phrase[0] in _set("in on at during since last past previous this today yesterday") or phrase[-1] == "ago":
        return True
    if phrase[0] == "the":
        return phrase[1:2] in (["last"], ["past"], ["previous"], ["day"]) or before[-1:] != ["about"]
    return before[-1:] not in (["about"], ["the"]) and (len(phrase) > 1 or phrase[0] in WEEKDAYS)


def _read_times(phrase: str, at: datetime) -> tuple[Time, ...]:
    """A time as it is said and, for weeks and longer, give or take some days; empty where it is none."""
    try:
        exact = span(phrase, at)
    except BadInput:
        return ()
    loose = when.spans(phrase, at) if re.search(_ROUGH, phrase) else []
    return exact, *((_midnight(first), _midnight(after)) for first, after in loose)


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time()).astimezone()


# ---------------------------------------------------------------------- reading a question

_NOUN = "|".join(sorted(NOUNS))
_LAST = (
    rf"\b(?:last|latest|previous|recent|first) (?:{one_of(NUMBERS)}|\d+)? ?(?:of (?:our|my) )?"
    rf"(?:time|times|things?|topics?|subjects?|{_NOUN})\b"
    r"|\b(?:last|first) (?:talk|talked|speak|spoke|spoken|discuss|discussed|chat|chatted|tell|told)\b"
    r"|\b(?:lately|recently|previously)\b|\bwe\b.*\bbefore$|\bour (?:conversations|chats|talks|sessions)\b"
)
_PAST = r"\b(?:did|have|had|was|were|been|summar\w+|recap|happened|review|list|show|\w+ed|said|told|spoke|spoken)\b"
_LEFT_OFF = (
    r"^where were we$|\b(?:i|we) (?:\w+ )?(?:left|leave) off\b"
    r"|\bwhere (?:did |had |have |were )?we (?:did )?(?:stop|stopped|left|leave)\b"
)
_UNTIMED = (
    r"^(?:remind me (?:of )?what we (?:talked|discussed|spoke|chatted)"
    r"|what (?:did|have) we (?:talk|discuss|chat|speak|talked|discussed|been (?:talking|discussing)))\b"
)
_DID = (
    r"\bwhat (?:did|have) (?:i|we) (?:do|done|been (?:doing|up to))\b|^(?:summarise|recap|review)(?: my| our| the)?$"
    r"|^what happened(?: the)? last time$"
)
_SAID = rf"\b(?:{_NOUN}|discussed)\b|(?=.*\b(?:{'|'.join(sorted(TALK))})\b).*\b(?:i|we|us|our|my|me|you)\b"
_TO_OTHERS = r"\b(?:talk|talked|speak|spoke|spoken) to\b(?! (?:you|me|each))"
_COUNTED = rf"\b(?:last|latest|previous|first|recent) ({one_of(NUMBERS)}|\d{{1,3}}) "
_SEVERAL = r"\b(?:lately|recently|conversations|chats|talks|sessions|discussions|summaries)\b"

_TASK = r"\b(?:tasks|todos|todo list|action items|loose ends|open (?:items|points|ends|questions|things|task|todo))\b"
_MINE = r"\b(?:list|show|my|our|i|we|me|open|pending|outstanding|unfinished|still|left|remaining|any)\b"
_STILL = (
    r"\b(?:what|which|any|anything|something|things?)\b.*\bstill "
    r"(?:open|pending|outstanding|unfinished|undone|left|remaining|to do|to be done|not done)\b"
    r"|\bwhat (?:do|have) (?:i|we) still (?:(?:have|need) )?(?:to )?(?:do|finish|complete|get done)\b"
    r"|\bwhat is left (?:for (?:me|us) )?to (?:do|be done)\b|\bwhat do i have left to do\b"
    r"|\bwhat remains (?:open|to do|to be done)\b|\bwhat have (?:i|we) not (?:done|finished|completed)(?: yet)?\b"
)
_DUE = r"\bwhat do (?:i|we) (?:have|need) to (?:do|finish|get done)\b"

_DECIDED = (
    r"\b(?:what|list|show|summarise|recap|remind|give|tell|which)\b.*"
    r"(?:\b(?:i|we) (?:\w+ )?(?:decide|decided|agree|agreed|settle|settled)\b"
    r"|\b(?:my|our|last|latest|recent|new) (?:\w+ )?decisions?\b"
    r"|\bdecisions? (?:\w+ )*(?:make|made|take|taken)\b)"
)

_KNOWN = (
    r"\b(?:know|remember|recall|learn\w*|stored|saved|noted|remembered|have|tell|list|show|summarise|memor\w+|facts?)\b"
    r".*\babout (?:me|myself)$|^who am i$|\bdo you (?:still )?(?:know|remember) (?:me|who i am)$"
)
_TASTE = (
    r"\bmy (?:preferences?|likes|dislikes|favou?rites?)\b|\bwhat do i (?:like|love|hate|dislike|prefer)"
    r"(?: (?:and|or) (?:like|love|hate|dislike|prefer))?$"
)


def read(question: str, at: datetime) -> Occasion | None:
    """What a question of the time `at` asks for, if that is a time or a kind and no topic; else None."""
    said = spoken_words(question)
    if not said or len(said) > LONGEST or not all(word in VOCABULARY or re.fullmatch(FIGURE, word) for word in said):
        return None
    phrase, times, rest = _named_time(said, at)
    rest = _bare(rest)
    text, asking = " ".join(rest), bool(rest) and rest[0] in ASKING
    found = (
        _owner(text, asking) if OWNER.issuperset(rest) else None,
        _tasks(text, asking, bool(times)) if TASKS.issuperset(rest) else None,
        _decisions(text, asking) if DECISIONS.issuperset(rest) else None,
        _sessions(text, asking, bool(times)) if all(w in SESSIONS or w.isdecimal() for w in rest) else None,
    )
    occasion = next((one for one in found if one), None)
    return _at_times(occasion, phrase, times) if occasion else None


def _bare(said: Sequence[str]) -> list[str]:
    """The words without what is said before and after a question."""
    inner = [place for place, word in enumerate(said) if word not in AROUND]
    return list(said[inner[0] : inner[-1] + 1]) if inner else []


def _owner(text: str, asking: bool) -> Occasion | None:
    if asking and re.search(_TASTE, text):
        return Occasion("your preferences", ("preference",))
    if asking and re.search(_KNOWN, text):
        return Occasion("what is known about you", ("preference", "person", "fact"), pinned=True)
    return None


def _tasks(text: str, asking: bool, timed: bool) -> Occasion | None:
    noun = re.search(_TASK, text) and re.search(_MINE, text)
    if noun or (asking and re.search(_STILL, text)) or (timed and re.search(_DUE, text)):
        return Occasion("open tasks", ("task",))
    return None


def _decisions(text: str, asking: bool) -> Occasion | None:
    return Occasion("decisions", ("decision",)) if asking and re.search(_DECIDED, text) else None


def _sessions(text: str, asking: bool, timed: bool) -> Occasion | None:
    if re.search(_LEFT_OFF, text):
        return Occasion("the last session")
    if not asking or not re.search(_PAST, text):
        return None
    when_said = timed or re.search(_LAST, text)
    talk = re.search(_SAID, text) and not re.search(_TO_OTHERS, text)
    meant = re.search(_DID, text) or talk if when_said else talk and re.search(_UNTIMED, text)
    return _counted(text) if meant else None


def _counted(text: str) -> Occasion:
    """How many sessions, from which end."""
    counted = re.search(_COUNTED, text)
    count = number(counted[1]) if counted else RECENT if re.search(_SEVERAL, text) else 1
    earliest = bool(re.search(r"\bfirst\b", text))
    end = "first" if earliest else "last"
    return Occasion(
        f"the {end} {count} sessions" if count != 1 else f"the {end} session", sessions=count, earliest=earliest
    )


def _at_times(occasion: Occasion, phrase: str, times: tuple[Time, ...]) -> Occasion:
    """An occasion at the times named: talks and decisions have a time, what is open or so now was said at any."""
    if not times or occasion.kinds not in ((), ("decision",)):
        return occasion
    return occasion._replace(name=f"{'decisions' if occasion.kinds else 'sessions'} of: {phrase}", times=times)
