"""The words by which `change_rules` read a statement: patterns and lists, and no decisions.

They match plain text: `change_rules` first writes out short forms, and "I" and "my" for their owner (WRITTEN_OUT).
"""

import re

from memory import words


def _any(alternatives: str) -> str:
    return "(?:" + re.sub(r"\s*\n\s*", "", alternatives) + ")"


WRITTEN_OUT = tuple(
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
        (r"\b(?:bin|sind|ist) (?:jetzt )?nach (\w+) (?:um)?gezogen\b", r"moved to \1"),
        (r"\b(?:me|i) (?:mudé|mudamos) a\b|\bnos mudamos a\b|\bme mudé a\b", "i moved to"),
        (r"\bist jetzt\b|\bes ahora\b", "is now"),
        (r"\bist\b|\bes\b", "is"),
        (r"\bnicht mehr\b", "no longer"),
        (r"\bya no\b", "i no longer"),
    )
)
LEAD = re.compile(
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
        |since (?:last )?\w+|(?:the|my) [\w'-]+(?: [\w'-]+)? (?:says?|said|shows?|showed|confirmed)"""
    )
    + r"(?: that)?[,:;.! -]+(?=\w)",
    re.IGNORECASE,
)
CORRECTS = re.compile(
    r"\b(?:actually|correction|i meant|instead|rather than|after all|by mistake|wrongly|eigentlich)\b", re.I
)
UNSURE = re.compile(
    r"\b(?:"
    + _any(
        r"""might|(?-i:may)|maybe|perhaps|would|could|should|if|want(?:s|ed)? to|hop(?:e|es|ing)|consider\w*
        |think(?:ing)? (?:of|about)|thought (?:of|about)|wish\w*|dream\w*|plan(?:s|ning)? to|going to|next year|used as
        |almost|nearly|someday|one day|wonder\w*|vielleicht|würde|quizás"""
    )
    + r")\b",
    re.IGNORECASE,
)
NEGATION = re.compile(
    r"\b(?:not|never|no longer|any more|any longer|neither|nor|stopped|quit|hates?|dislikes?|nicht|kein\w*|nunca)\b",
    re.I,
)
# "Ana, not Anna" names what is wrong; a "not" after an auxiliary denies the whole.
_AUXILIARIES = "do does did am is are was were be been have has had can could will would should may might must".split()
_ASIDE_NOT = "".join(rf"(?<!\b{one})" for one in _AUXILIARIES) + r",? (?:and )?\bnot "
ASIDE = re.compile(
    rf"{_ASIDE_NOT}(?:in |at |on |with |for )?(?!any\b)[\w' -]+?(?=[,.;!]|$)|\binstead(?: of [\w' -]+)?|\bactually\b",
    re.IGNORECASE,
)
NEWER = re.compile(r"\b(?:new|current|latest|updated|correct|right|real|neue[rsn]?|nuev[oa])\b", re.IGNORECASE)
MOVED = re.compile(
    r"\b(?:moved|relocated|postponed|rescheduled|pushed|brought forward|shifted|delayed|changed|switched|went up"
    r"|went down|rose|now"
    r"|promoted|became|turned)\b",
    re.IGNORECASE,
)
PRONOUNS = frozenset("it this that he she they there what which who here these those everything".split())
EMPTY = frozenset(
    """again already also actually really still now currently just recently anymore any longer instead correction sorry
    finally meant mean since today yesterday week month year used last new like love enjoy hate dislike
    called named name
    jetzt nun ahora in de""".split()
)  # "like" is what a polarity is about, not what tells two statements apart
FORMAL = frozenset(words.stem(one) for one in "live lives living moved move name work works job based home".split())
SEVERAL = frozenset(
    words.stem(one)
    for one in """sister brother friend colleague coworker cousin son daughter child kid aunt uncle nephew niece
    neighbour neighbor dog cat pet grandson granddaughter roommate flatmate teacher client student
    schwester bruder freund tochter hermana hermano amigo""".split()
)
SINGLE = frozenset(
    words.stem(one)
    for one in """favourite job profession address hometown nickname password diet size car bike laptop major role
    position title blood status medication goal budget team bank insurance commute lieblingsessen lieblingsfarbe
    default preferred""".split()
)
OF_PERSONS = frozenset({"home", "employer", "role", "school", "diet", "marital", "age", "car"})
CUES = {
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
    r"(?P<v>[^,.;!?]+?)"
    r"(?= (?:with|and|since|because|but|for|now|as|last|this|after|again|in \d+|on [A-Z]|on \d+"
    r"|in (?:(?:early|late|mid)[ -]?)?(?i:january|february|march|april|may|june|july|august|september|october|november"
    r"|december))\b|[,.;!?]|$)"
)
_NOW = r"(?: (?:now|currently|just|recently|have|has|am|is|both|all|already))*"
_NO_EMPLOYER = r"(?!(?:nights?|home|(?:the )?weekends?|the moment|a desk|times|once|least|all|\d)\b)"
_DIETS = r"(?P<v>vegan|vegetarian|pescatarian|omnivore|carnivore|veggie|vegano|vegana)"
_JOB = (
    r"(?:[\w-]+ )?(?:nurse|teacher|engineer|developer|designer|lawyer|doctor|chef|cook|accountant"
    r"|architect|manager|journalist|writer|pilot|programmer|analyst|consultant|electrician|carpenter|barista"
    r"|waiter|dentist|vet|librarian|baker|photographer|translator|plumber|scientist|researcher|director)"
)
_JOBS = rf"(?P<v>{_JOB})"
CLAIMS = tuple(
    (attribute, re.compile(pattern, re.IGNORECASE if not pattern.startswith(_S) else 0))
    for attribute, pattern in (
        ("home", rf"{_S}{_NOW} (?:lives?|living|resides?|based)(?: now| currently)? (?P<how>in|at|near|on) {_TAIL}"),
        (
            "home",
            rf"{_S}{_NOW} (?:re)?(?:moved|located)(?: back| house| away)?(?: from [\w' ]+?)? (?:to"
            rf"|into) (?!the (?:front|back)\b){_TAIL}",
        ),
        ("employer", rf"{_S}{_NOW} (?:works?|working)(?: now)? (?:at|for) {_NO_EMPLOYER}{_TAIL}"),
        (
            "employer",
            rf"{_S}{_NOW} (?:started|joined|begun|began)(?: (?:a new job|a job|working|work))?(?: at| with"
            rf"| for)? (?=[A-Z]|the |a ){_TAIL}",
        ),
        ("employer", rf"{_S}{_NOW} (?:got|have|has|found|took) a (?:new )?job (?:at|with) {_TAIL}"),
        ("employer", rf"{_S}{_NOW} an? {_JOB} at {_TAIL}"),
        ("role", r"\bmy (?:job title|position|profession) is (?:an? )?" + _TAIL),
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
COPULA = re.compile(
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
PRICES = (
    re.compile(r"(?P<s>\b(?:my|[Tt]he)(?: [\w'-]+){1,4}?) costs?(?: now| me)* (?P<v>\S*\d[\d.,]*)"),
    re.compile(r"\bi pay(?: now)? (?P<v>\S*\d[\d.,]*)[\w€$£ ]*? for (?P<s>[^,.;]+)"),
)
MONEY = re.compile(r"[$€£]\s?\d[\d.,]*|\d[\d.,]*\s?(?:[$€£]|euros?|dollars?|pounds?|francs?|eur|usd|gbp|chf)\b", re.I)
_DAYS = (
    r"(?:mon|tues|wednes|thurs|fri|satur|sun)day|montag|dienstag|mittwoch|donnerstag|freitag|samstag|sonntag"
    r"|lunes|martes|miércoles|jueves|viernes"
)
_MONTHS = r"january|february|march|april|may|june|july|august|september|october|november|december"
NUMBER = r"\d+(?:[.,]\d+)?|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve"
AMOUNT = re.compile(
    rf"(?:(?:only|already|about|down to|up to) )*(?P<v>{NUMBER})(?= (?:in|a|an|per|each|every|since|now|over)\b|\W*$)",
    re.IGNORECASE,
)
REVERSED = re.compile(
    r"(?P<v>\b[A-Z][\w'-]+(?: [A-Z][\w'-]+)*) is(?P<now> now)? (?P<s>my [\w'-]+(?: (?!now\b)[\w'-]+){0,3})"
    r"(?P<later> now)?(?=[,.;!]|$)"
)
CHANGE = re.compile(r"\b(?:now|nowadays|these days|from now on|instead|jetzt|ahora)\b", re.IGNORECASE)
PAST = re.compile(
    r"\b(?:used to|lived|worked (?:at|for|as)|studied|back then|in those days|as a (?:child|student|kid|boy|girl)"
    r"|in my (?:youth|childhood)|ago|früher|antes)\b",
    re.IGNORECASE,
)
ONE_MORE = re.compile(r"\b(?:also|too|as well|another|besides|auch|también)\b", re.IGNORECASE)
NAME = re.compile(r"(?:now )?(?:called |named )?(?P<v>(?:Dr\.? |Mrs?\.? |Ms\.? )?[A-Z][\w'-]+(?: [A-Z][\w'-]+)*)")
TIMES = (
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
WHO = re.compile(
    r"(?:(?P<i>i\b)|my (?P<mine>[\w'-]+(?: (?-i:[A-Z])[\w'-]+)?)|the (?P<thing>\w+)"
    r"|(?P<name>(?-i:[A-Z])[\w-]+(?: (?-i:[A-Z])[\w-]+)?))",
    re.I,
)
_PHRASE = r"(?P<gone>[^,.;!?]+?)"
_STOP = r"(?=[,.;!?]| (?:and|but|because|since|so|as|for|now|after|anymore|any more|any longer|in \d)\b|$)"
GONE = tuple(
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
            rf"{_ASIDE_NOT}(?:in |at |on |a |an |the |with |for )*(?!any\b){_PHRASE}(?=[,.;!]|$)(?<!any more)",
            False,
        ),
        (rf"\b(?:instead of|rather than) (?:in |at |on |a |an |the )*{_PHRASE}{_STOP}", False),
    )
)
