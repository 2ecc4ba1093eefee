"""Does a text stand on its source? Words, names, numbers, quotes and loops compared by plain rules, in any script.

The rules know no grammar. They rather drop a true statement than keep an invented one: the transcript is still there.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date

# Words that claim nothing by themselves, without their accents. The second block is what a report says of any talk.
STOP_WORDS = frozenset(
    """
    a about after again all also although always am an and another any anything are as at back be because been before
    being below between both but by came can cannot come could did didn does doesn doing don done down during each
    either else ever every everyone everything few for from further get gets getting give given go goes going gone got
    had has hasn have haven having he hello her here hers hey hi him his how however i if in into is isn it its itself
    just least less let ll made make makes many may maybe me might more most much must my myself neither never no nor
    not nothing now of off often oh ok okay on once one only or other our ours out over own perhaps please quite rather
    re really same shall she should since so some someone something soon still such take taken than thank thanks that
    the their theirs them then there these they thing things this those though through thus to today together tomorrow
    tonight too toward towards under until up upon us use used uses using ve very via was wasn way we well were weren
    what when where whether which while who whom whose why will with within without won would wouldn yes yesterday yet
    you your yours
    aber als auch auf aus bei bin bis bist da dann das dass dein dem den der des die dir du ein eine einem einen einer
    er es fur habe haben hallo hat hier ich ihm ihn ihr im in ist ja kann kein keine mein meine mich mir mit nach nein
    nicht noch nur oder schon sehr sein seine sich sie sind so um und uns unser von war was wenn wie wir wird zu zum zur
    au aussi aux avec bonjour ce ces cette dans de des deux du elle elles en est et etait ete ils je la le les leur lui
    ma mais mes moi mon ne nos notre nous on ou par pas plus pour que qui sa ses son sont sur tres tu un une vous
    al como con cuando del el ella ellos era es esta estan este esto fue ha hay hola la las lo los mas me mi mis muy
    nuestra nuestro para pero por porque que se si sin sobre son su sus te tiene tu un una uno y ya yo
    ao com da das do dos ela ele em essa esse eu foi mas meu minha na nao nas no nos nossa nosso os ou para por quando
    sao se sem seu sua tem um uma voce
    accordingly additionally advice answer answered answering answers ask asked asking asks assistant assistants chat
    clarified confirmed confirms conversation decide decided decides deciding decision described describes detail
    details discuss discussed discusses discussing discussion enjoy enjoys exchange exchanged explain explained explains
    expressed expresses finally greet greeted greeting greets help helped helping helps include included includes
    including inform information informed informs known like liked likes live lives living love loved loves mention
    mentioned mentioning mentions message messages name named names need needed needs note noted notes offer offered
    offers own owned owns plan planned planning plans prefer preference preferences preferred prefers project provide
    provided provides question questions received recommend recommended recommendation recommendations replied replies
    request requested requesting requests respond responded responds response said say saying says seek seeking seeks
    session share shared shares sharing sought speaker state stated states suggest suggested suggestion suggestions
    suggests talk talked talking talks tell telling tells told topic topics user users various want wanted wanting wants
    wishes work worked working works
    antwortet benutzer benutzerin bevorzugt bittet erwahnt erzahlt fragt gesprach heisst lebt mag mochte nutzer
    nutzerin plant sagt sitzung spricht will wohnt assistent
    aime assistante conversation demande dit habite prefere souhaite utilisateur utilisatrice veut
    asistente conversacion dice gusta prefiere pregunta quiere usuaria usuario vive
    assistente conversa diz gosta mora pergunta prefere quer usuaria usuario utilizador vive
    """.split()
)
_REPORTED = re.compile("用户|使用者|助手|助理|ユーザー|アシスタント|사용자|어시스턴트")
_WEEKDAYS = frozenset("monday tuesday wednesday thursday friday saturday sunday".split())
_MONTH_NAMES = (
    "january januar janvier enero janeiro jan",
    "february februar fevrier febrero fevereiro feb",
    "march marz mars marzo marco mar",
    "april avril abril apr",
    "may mai mayo maio",
    "june juni juin junio junho jun",
    "july juli juillet julio julho jul",
    "august aout agosto aug",
    "september septembre septiembre setembro sep sept",
    "october oktober octobre octubre outubro oct",
    "november novembre noviembre novembro nov",
    "december dezember decembre diciembre dezembro dec",
)
_MONTHS = {name: number for number, names in enumerate(_MONTH_NAMES, start=1) for name in names.split()}
_NUMBER_WORDS = {
    word: str(number)
    for number, word in enumerate("one two three four five six seven eight nine ten eleven twelve".split(), start=1)
}
# In German every noun has a capital, so that a capital tells nothing of names there.
_GERMAN = re.compile(r"\b(?:[Dd]as|[Dd]er|[Ii]st|[Uu]nd|[Ee]inen?|[Mm]it|[Nn]icht|[Ff]ür|Nutzer(?:in)?)\b")
_ENDINGS = sorted(
    "ings ing ies ied es ed ly s e y en er em te t a o i as os ar ir".split(), key=lambda ending: -len(ending)
)
_VERB_AFTER_NAME = frozenset("and are did had has is lived loved met moved said was went will wore works".split())
_KEY = 6  # letters of a stem that are compared: "prefer" in "preference", "allerg" in "allergy" and "allergic"
_SAME = 4  # letters that two stems must share where one is the other's beginning

FACT_SHARE = 0.6  # of a fact's words; one of two is chance, two of three leave room for one paraphrase
GIST_SHARE = 0.5  # of a gist's words; a gist says in its own words what many sentences said
ISO_DAYS = 400  # a day written YYYY-MM-DD may be this far from the talk: "last year", "next year", resolved
WORDED_DAYS = 8  # a day in words may be this far: "last Monday", "tomorrow", resolved although not as asked
QUOTE_WIDTH = 8  # columns; a shorter quote ("I think", "yes, ok") stands in any text


@dataclass(frozen=True, slots=True)
class Source:
    """What a text is compared with: the source's words, their keys, and its numbers as bare digits."""

    words: frozenset[str]
    keys: frozenset[str]
    beginnings: frozenset[str]
    numbers: frozenset[str]


def source_of(texts: Iterable[str]) -> Source:
    """Prepare the texts that statements are compared with. Reads each once."""
    words: set[str] = set()
    numbers: set[str] = set()
    for text in texts:
        words.update(_pieces(text))
        for found in _NUMBER.findall(_plain(text)):
            numbers.update(_number_forms(found))
    numbers.update(_NUMBER_WORDS[word] for word in words & _NUMBER_WORDS.keys())
    numbers.update(str(_MONTHS[word]) for word in words & _MONTHS.keys())
    keys = {_key(word) for word in words}
    beginnings = {key[:length] for key in keys for length in range(_SAME, len(key))}
    return Source(frozenset(words), frozenset(keys), frozenset(beginnings), frozenset(numbers))


def terms(text: str) -> list[str]:
    """The words of `text` that claim something, folded, in order: no stop words, no numbers, no letters alone.

    Words of up to two letters count where they have a capital ("Al"). Scripts outside Latin, Greek, Cyrillic and
    Armenian may stand without spaces and come as pairs of neighbouring characters.
    """
    found: list[str] = []
    for word in _WORD.findall(_plain(_REPORTED.sub(" ", text))):
        for run in _RUN.findall(word):
            folded = run.casefold()
            if not _alphabetic(run):
                found += _pairs(folded)
            elif not (run.isdigit() or folded in STOP_WORDS or folded in _WEEKDAYS) and (
                len(run) > 2 or (len(run) == 2 and run[0].isupper())
            ):
                found.append(folded)
    return found


def share(text: str, source: Source) -> float:
    """The share of the terms of `text` that the source has too, 0 to 1; 1 for a text without terms."""
    claimed = terms(text)
    return sum(_in(word, source) for word in claimed) / len(claimed) if claimed else 1.0


def invented(text: str, source: Source, days: Sequence[date]) -> list[str]:
    """The names and numbers of `text` that its source lacks. `days` are those on which the source was said.

    A date near those days may be a "yesterday" resolved and passes (see ISO_DAYS and WORDED_DAYS).
    """
    rest = _without_near_dates(_plain(text), days)
    numbers = [found for found in _NUMBER.findall(rest) if not _known_number(found, source, days)]
    return numbers + [name for name in names(rest) if not _known_name(name.casefold(), source)]


def names(text: str) -> list[str]:
    """The words of `text` that a capital marks as names; none where the text looks German.

    The word that opens a sentence counts only where a verb follows it ("Marco is a baker", not "Prefers tea").
    """
    if _GERMAN.search(text):
        return []
    found = []
    for sentence in sentences(_plain(text)):
        words = [word for word in _WORD.findall(sentence) if _alphabetic(word)]
        for position, word in enumerate(words):
            following = words[position + 1] if position + 1 < len(words) else ""
            if _capital(word) and (position or _opens_as_name(word, following)):
                found.append(word)
    return found


def loops(text: str) -> bool:
    """Does the text repeat itself as a model does that got stuck?

    True where one word comes four times in a row, one sentence of three or more words three times, or where of 20 or
    more words over 40 % of the groups of three are repeats. Honest notes of 60 words measured under 10 %.
    """
    said = [" ".join(_WORD.findall(sentence)).casefold() for sentence in sentences(text)]
    if any(times >= 3 for sentence, times in Counter(said).items() if len(list(_units(sentence))) >= 3):
        return True
    units = list(_units(text))
    if any(len(set(units[start : start + 4])) == 1 for start in range(len(units) - 3)):
        return True
    threes = list(zip(units, units[1:], units[2:], strict=False))
    return len(units) >= 20 and len(set(threes)) < 0.6 * len(threes)


def literal(quote: str, content: str) -> str:
    """The part of `content` that the quote means, in the content's own characters; empty where it is not there.

    Case, runs of white space and the typography of quotes and dashes make no difference.
    """
    wanted = "".join(piece for _, piece in _typed(quote)).strip(" \"'.…")
    typed = list(_typed(content))
    start = "".join(piece for _, piece in typed).find(wanted) if wanted else -1
    if start < 0:
        return ""
    places = [place for place, piece in typed for _ in piece]
    return content[places[start] : places[start + len(wanted) - 1] + 1]


def telling(quote: str, text: str) -> bool:
    """Is the quote long enough to prove anything, and has it a word or number in common with the text it proves?"""
    width = sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in quote)
    if width < QUOTE_WIDTH or not (_claims(quote)):
        return False
    return bool({_key(word) for word in _claims(quote)} & {_key(word) for word in _claims(text)})


def sentences(text: str) -> list[str]:
    """The sentences of `text`, each a literal part of it, stripped. A line's end always ends one.

    A full stop ends none after an abbreviation, an initial or a list's number, nor before a small letter or a month.
    """
    found, start = [], 0
    for end in _SENTENCE_END.finditer(text):
        before = text[max(start, end.start() - 60) : end.start()]
        if not (end[0].startswith(".") and _goes_on(before, text[end.end() : end.end() + 40])):
            found.append(text[start : end.end()].strip())
            start = end.end()
    found.append(text[start:].strip())
    return [sentence for sentence in found if _WORD.search(sentence)]


def same(text: str) -> str:
    """A form in which two statements of the same words are equal: folded, without punctuation."""
    return " ".join(_WORD.findall(_plain(text))).casefold()


_WORD = re.compile(r"[^\W_]+")
_RUN = re.compile("[\u0000-\u058f]+|[^\u0000-\u058f]+")
_NUMBER = re.compile(r"\d+(?:[.,:/'’-]\d+)*")
_ISO_DATE = re.compile(r"\b(\d{4})-(\d{1,2})(?:-(\d{1,2}))?\b")
_DAY_FIRST = re.compile(
    r"\b(\d{1,2})(?:st|nd|rd|th|\.)?\s+(?:de\s+|of\s+)?([^\W\d_]{3,10})(?:,?\s+(?:de\s+)?(\d{4}))?\b"
)
_MONTH_FIRST = re.compile(r"\b([^\W\d_]{3,10})\s+(\d{1,2})(?:st|nd|rd|th)?(?:,?\s+(\d{4}))?\b")
_SENTENCE_END = re.compile(r"(?<![.!?…])[.!?…]++[\"'”’)\]]*+(?=\s)|[。！？｡।॥؟۔]+[」』”’）\"')]*|[\n\r\u2028\u2029]+")
_ABBREVIATION = re.compile(
    r"(?:^|[\s(])(?:[^\W\d_]|[^\W\d_](?:\.[^\W\d_])+"
    r"|[Dd]r|[Mm]rs?|[Mm]s|[Mm]me|[Pp]rof|[Ss]ra?|[Ss]t|[Nn]r|[Nn]o|[Vv]s|[Jj]r|etc|approx|ca|bzw|usw|[Ff]ig|[Tt]el|[Aa]ve)$"
)
_TYPOGRAPHY = str.maketrans(
    dict.fromkeys("‘’‚‛`´ʼ′", "'") | dict.fromkeys("“”„‟«»″＂", '"') | dict.fromkeys("‐‑‒–—―−", "-") | {"…": "..."}
)
_UNSEEN = frozenset("\u00ad\u200b\u200c\u200d\u2060\ufeff")


def _plain(text: str) -> str:
    """The text without accents and other marks, composed again so that Korean syllables stay whole."""
    parts = unicodedata.normalize("NFKD", text)
    return unicodedata.normalize("NFC", "".join(c for c in parts if not unicodedata.category(c).startswith("M")))


def _alphabetic(run: str) -> bool:
    return all(letter < "\u0590" for letter in run)


def _capital(word: str) -> bool:
    folded = word.casefold()
    return (
        len(word) > 1
        and any(letter.isupper() for letter in word)
        and folded not in STOP_WORDS
        and folded not in _WEEKDAYS
    )


def _opens_as_name(word: str, following: str) -> bool:
    if not word[1:].islower():
        return True
    return not word.endswith(("s", "ed", "ing")) and following.casefold() in _VERB_AFTER_NAME


def _pairs(run: str) -> list[str]:
    return [run[place : place + 2] for place in range(max(1, len(run) - 1))]


def _pieces(text: str) -> Iterator[str]:
    """Every word of `text`, folded, stop words too; other scripts as pairs and single characters."""
    for word in _WORD.findall(_plain(_REPORTED.sub(" ", text))):
        for run in _RUN.findall(word.casefold()):
            yield from [run] if _alphabetic(run) else [*_pairs(run), *run]


def _units(text: str) -> Iterator[str]:
    """Words, or single characters of a script that may stand without spaces: the beat in which a text loops."""
    for word in _WORD.findall(text.casefold()):
        for run in _RUN.findall(word):
            yield from [run] if _alphabetic(run) else run


def _claims(text: str) -> list[str]:
    return terms(text) + [digits for found in _NUMBER.findall(_plain(text)) for digits in _number_forms(found)]


def _key(word: str) -> str:
    """The first letters of a crude stem; a pair of characters is its own."""
    for ending in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            return word[: -len(ending)][:_KEY]
    return word[:_KEY]


def _in(word: str, source: Source) -> bool:
    key = _key(word)
    return (
        key in source.keys
        or key in source.beginnings
        or any(key[:length] in source.keys for length in range(_SAME, len(key)))
    )


def _known_name(name: str, source: Source) -> bool:
    """A name is there as it is, or up to two letters longer or shorter: "Berlin" and "Berliner", not "Marco", "Marcus".

    A name that is made of several words without a space ("iPhone15") is there if its letters are.
    """
    if name in source.words:
        return True
    near = {name[:-1], name[:-2]} & source.words if len(name) > 4 else set()
    longer = any(word.startswith(name) and len(word) - len(name) <= 2 for word in source.words if len(name) > 2)
    return longer or any(len(word) > 2 for word in near)


def _number_forms(found: str) -> set[str]:
    """A number as bare digits, whole and in parts, so that 1,500 is 1500 and 2026-05-04 has a 5."""
    parts = re.findall(r"\d+", found)
    return {_bare(part) for part in [*parts, "".join(parts)]}


def _bare(digits: str) -> str:
    return "".join(str(unicodedata.digit(digit)) for digit in digits).lstrip("0") or "0"


def _known_number(found: str, source: Source, days: Sequence[date]) -> bool:
    parts = re.findall(r"\d+", found)
    if _bare("".join(parts)) in source.numbers or all(_bare(part) in source.numbers for part in parts):
        return True
    # "Last year" and "next year" may have become a year.
    return len(parts) == 1 and any(parts[0] in (str(day.year - 1), str(day.year), str(day.year + 1)) for day in days)


def _without_near_dates(text: str, days: Sequence[date]) -> str:
    def iso(found: re.Match[str]) -> str:
        near = _near(found[1], found[2], found[3] or "15", days, ISO_DAYS)
        return " " if near else found[0]

    def day_first(found: re.Match[str]) -> str:
        month = str(_MONTHS.get(found[2].casefold(), 0))
        return " " if _near(found[3], month, found[1], days, WORDED_DAYS) else found[0]

    def month_first(found: re.Match[str]) -> str:
        month = str(_MONTHS.get(found[1].casefold(), 0))
        return " " if _near(found[3], month, found[2], days, WORDED_DAYS) else found[0]

    return _MONTH_FIRST.sub(month_first, _DAY_FIRST.sub(day_first, _ISO_DATE.sub(iso, text)))


def _near(year: str | None, month: str, day: str, days: Sequence[date], reach: int) -> bool:
    for said in days:
        years = [int(year)] if year else [said.year - 1, said.year, said.year + 1]
        for candidate in years:
            try:
                found = date(candidate, int(month), int(day))
            except ValueError:  # no such day, or the word was no month: then it is no date that could be near
                continue
            if abs((found - said).days) <= reach:
                return True
    return False


def _goes_on(before: str, after: str) -> bool:
    """Does the sentence go on after a full stop between `before` and `after`?"""
    following = after.lstrip(" ")
    word = _WORD.match(following)
    month = word is not None and _plain(word[0]).casefold() in _MONTHS
    number = re.search(r"(?:^|\s)\d{1,2}$", before)
    if number:  # "on 3. Mai" and the list's "1. Milk", but not "I am 30. She is 31."
        return month or not _WORD.search(before[: number.start()])
    ends = None if before.endswith((" I", "(I")) else _ABBREVIATION.search(before)
    return bool(ends) or following[:1].islower()


def _typed(text: str) -> Iterator[tuple[int, str]]:
    """(place in `text`, the characters compared there): small letters, plain quotes and dashes, single spaces."""
    blank = True
    for place, letter in enumerate(text):
        if letter.isspace():
            if not blank:
                yield place, " "
            blank = True
        elif letter not in _UNSEEN:
            blank = False
            yield place, letter.translate(_TYPOGRAPHY).casefold()
