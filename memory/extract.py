"""Notes without a model: the owner's own sentences, picked by plain rules. A summary is never made up here."""

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from memory.drafts import one_line
from memory.grounding import names, same, sentences, telling, terms
from memory.quoted import is_document, own_words
from memory.records import ASSISTANT, IMPORTED, RECALLED, USER, Fact, FactKind, Message, Summary
from memory.since import begins

EXTRACTED = "extracted"
TITLE_CHARS = 60
GIST_CHARS = 500  # about 120 tokens: more would crowd out other sessions at recall
MAX_FACTS = 20  # a session's own statements; beyond that the messages themselves are searched
FACT_CHARS = 300  # a longer "sentence" is a paste


@dataclass(frozen=True, slots=True)
class Notes:
    """What a session leaves behind. `problem` says why a model's notes were refused (empty: they were not).

    `dropped` has a line for each fact or sentence of the model's that failed its check, with the reason.
    """

    summary: Summary
    facts: tuple[Fact, ...]
    problem: str = ""
    dropped: tuple[str, ...] = ()


def extract(session_id: str, messages: Sequence[Message], now: datetime, tried_by: str = "") -> Notes:
    """Notes on a session from its owner's own words; total, for any messages.

    `now` is the time of writing; `tried_by` names the model whose own notes were refused.
    """
    said = tuple(_said(messages))
    facts = _facts(session_id, said)
    summary = Summary(
        session_id,
        title_of(messages) or f"Session of {_day(messages, now)}",
        _gist(said) or shortened(_first(messages), GIST_CHARS),
        now,
        written_by=EXTRACTED,
        origin=summary_origin(one.message.origin for one in said),
        tried_by=tried_by,
    )
    return Notes(summary, facts)


def fact_id(session_id: str, text: str, message_ids: Sequence[str]) -> str:
    """The id of a fact: 12 hex digits of the SHA-256 of what it says, where. The same fact has the same id for ever."""
    told = json.dumps([session_id, text, list(message_ids)])
    return hashlib.sha256(told.encode()).hexdigest()[:12]


def title_of(messages: Sequence[Message]) -> str:
    """The first sentence of the owner's that has a subject, in at most 60 characters; empty without a user message."""
    said = [sentence.text for sentence in _said(messages)]
    for least in (2, 1, 0):
        for text in said:
            if len(terms(text)) >= least:
                return shortened(text, TITLE_CHARS)
    return shortened(_first(messages), TITLE_CHARS)


def shortened(text: str, limit: int) -> str:
    """The text in one line of at most `limit` characters, cut after a word and marked where it was cut."""
    line = one_line(text).strip(" #*>")
    if len(line) <= limit:
        return line
    cut = line[: limit - 1]
    word = cut.rsplit(" ", 1)[0] if " " in cut[limit // 2 :] else cut
    return word.rstrip(" ,;:-") + "…"


def badness(origin: str) -> int:
    """How far an origin is from the owner's own word: 0 user, 1 assistant, 2 imported, 3 a tool or anything else."""
    return {USER: 0, ASSISTANT: 1, IMPORTED: 2}.get(origin, 3)


def worst(origins: Iterable[str]) -> str:
    """The origin farthest from the owner's own word; "user" for none."""
    return max(origins, key=badness, default=USER)


def summary_origin(origins: Iterable[str]) -> str:
    """The origin of a summary: the worst that fed it. A talk with the assistant is still the user's."""
    found = worst(origins)
    return USER if found == ASSISTANT else found


@dataclass(frozen=True, slots=True)
class _Sentence:
    """One sentence in its message, literally."""

    text: str
    message: Message

    @property
    def named(self) -> str:
        """The sentence in one line, after its speaker's name where an import has one."""
        name = one_line(self.message.name or "")
        return f"{name}: {one_line(self.text)}" if name else one_line(self.text)


def _any(alternatives: str) -> str:
    """A pattern's alternatives over several lines as one group; ' stands for the typographic apostrophe too."""
    return "(?:" + re.sub(r"\s*\n\s*", "", alternatives).replace("'", "['’]") + ")"


# English, German, French, Spanish, Portuguese and Russian; then scripts that may stand without spaces.
_FIRST_PERSON = re.compile(
    r"\b"
    + _any(
        r"""I|me|my|mine|we|us|our|ours|ich|mir|mich|mein(?:e[rnms]?)?|wir|uns(?:er\w{0,2})?
        |je|j'\w+|moi|mon|ma|mes|nous|notre|nos|yo|vivo|trabajo|mi|mis|nosotr[oa]s|nuestr[oa]s?
        |eu|meus?|minhas?|nós|noss[oa]s?|я|мне|меня|мой|моя|моё|мои|мы|нас|наш\w?"""
    )
    + r"\b|[我俺]|私|僕|わたし|ぼく|나는|내가|저는|제가|우리",
    re.IGNORECASE,
)
_NAME_AND_VERB = re.compile(
    r"(?!(?:It|This|That|There|What|Who|How|Where|When|Why|Which|Here|These|Those|They|You|He|She|If|So)\b)"
    r"[A-Z][\w'’-]+(?: [A-Z][\w'’-]+)? "
    + _any(
        r"""is|was|has|had|lives|lived|works|worked|likes|loves|hates|wants|will|moved|became|got|goes|started
        |stopped|studies|plays|speaks|drives|eats|prefers|attends|turned|retired|married"""
    )
    + r"\b"
)
_QUESTION = re.compile(
    r".*[?？؟]\W*$|"
    + _any(
        r"""what|who|whom|whose|when|where|why|which|how|can|could|would|will|do|does|did|is|are|am|was|were|should
        |shall|may|have you|has|any idea|wer|wie|wo|wann|warum|kannst|könntest|qui|quel\w*|comment|pourquoi|peux-tu
        |qué|quién|cómo|dónde|puedes|podrías|quem|onde|pode|poderia"""
    )
    + r"\b",
    re.IGNORECASE | re.DOTALL,
)
_REQUEST = re.compile(
    _any(
        r"""please|let's|tell|show|give|write|make|create|list|explain|help|fix|find|translate|summari[sz]e|check|add
        |remove|change|compare|describe|draft|generate|look|read|run|search|suggest|use|try
        |bitte|zeig\w*|schreib\w*|gib|hilf|erklär\w*|écris|montre|donne|explique|escribe|muestra|dame|explica|escreva
        |mostre|(?:i|we)(?:'d| would) like (?:you|to (?:know|see|ask|have))
        |(?:i|we) (?:want|need) (?:you|to (?:know|ask)|some help|help)|(?:i|we)(?:'m| was| were| am| are) wondering"""
    )
    + r"\b",
    re.IGNORECASE,
)
# A plan, a price, a change: "The dentist is on Tuesday now", "Dinner moved to Friday", "The rent went up to 900".
_SUBJECT = (
    r"(?:(?:actually|sorry|no|well|so|update|correction)[,:] )*"
    r"(?!(?:it|that|there|what|who|how|where|when|why|which|these|those|they|you|he|she|if)\b)"
    r"(?:(?:the|this|next) )?[\w'’-]+(?: (?!is\b|was\b|and\b|or\b)[\w'’-]+){0,4} "
)
_DAY_OR_HOUR = (
    r"(?:(?:next |this )?(?:mon|tues|wednes|thurs|fri|satur|sun)day|tomorrow|noon|midnight|\d{1,2}(?::\d\d)? ?(?:am|pm)"
    r"|\d{1,2}:\d\d|(?:the )?\d{1,2}(?:st|nd|rd|th)?(?: of)? (?:jan|feb|mar|apr|may|june?|july?|aug|sep|oct|nov|dec)\w*"
    r"|(?:january|february|march|april|may|june|july|august|september|october|november|december) \d)"
)
_PLAN = re.compile(
    _SUBJECT
    + r"(?:(?:(?:is|was|are|were|has been|have been|got|has|have|just) )*"
    + r"(?:(?:moved|postponed|rescheduled|pushed back|brought forward|delayed|shifted|put off)"
    + r" (?:back )?(?:to|until|till|by)"
    + r"|cancell?ed\b|called off\b)"
    + r"|(?:(?:has|have|just) )*(?:went|gone|rose|risen|fell|fallen|dropped|increased) (?:(?:up|down) )?(?:to|by) \D?\d"
    + rf"|(?:is|are|starts?|begins?|leaves|departs|arrives)(?: now| actually)?(?: due)? (?:on|at|from) {_DAY_OR_HOUR}"
    + r"|costs?(?: now| me)* \D?\d"
    + r"|is(?: now)? \D?\d[\d.,]*(?: \w+)? (?:a|per|each) (?:day|week|month|year)\b)",
    re.IGNORECASE,
)
PLAN_CHARS = 120  # a longer one is no remark on one's own plans
# Sentences in the first person that tell nothing of the speaker.
_FILLER = re.compile(
    r"(?:(?:ok|okay|well|oh|ah|and|but|so),? )?"
    + _any(
        r"""i (?:see|mean|guess so|think so|don't know|understand|hope so|agree|got it)
        |(?:thanks|thank you)\b.{0,20}"""
    )
    + r"\W*$",
    re.IGNORECASE,
)
# "I live in Lisbon and my boat is called Rosa": where a new subject begins, and what a clause needs to stand alone.
_AND = re.compile(r",?\s+and\s+(?=(?:I|we|my|our)\b)", re.IGNORECASE)
_OWN_VERB = re.compile(
    r"\b(?:I|we)(?:['’]\w+)?\s+\w+|\b(?:my|our)\s+(?:[\w'’-]+\s+){1,4}?"
    + _any(
        r"""is|are|was|were|has|have|had|lives?|works?|likes?|loves?|hates?|prefers?|plays?|studies|speaks?|wants?
        |needs?|goes|moved|became|got|started|stopped|died|will|can|does|did"""
    )
    + r"\b",
    re.IGNORECASE,
)
# What ties clauses together: neither says the same without the other.
_BOUND = re.compile(
    r"\b(?:if|when|whenever|while|because|since|unless|until|before|after|although|though|that|who|which|where|so|both"
    r"|between|either|neither|than)\b",
    re.IGNORECASE,
)
_KIND_RULES: tuple[tuple[FactKind, str], ...] = (
    ("decision", r"""decided|(?:we|i)'ll go with|going with|settled on|chose|entschieden|décidé|decidi\w*"""),
    (
        "task",
        r"""needs? to|must|ha(?:ve|s) to|remind (?:me|us)|to-?do|deadline|muss|müssen|je dois|tengo que|preciso""",
    ),
    (
        "person",
        r"""(?:my|our) (?:\w+ )?(?:sister|brother|wife|husband|partner|boyfriend|girlfriend|fianc[eé]e?|mother|father
        |mom|mum|dad|parents?|son|daughter|kids?|children|child|baby|aunt|uncle|cousin|nephew|niece|grand\w+|friend
        |boss|manager|colleague|co-?worker|neighbou?r|roommate|flatmate|doctor|teacher|dog|cat)
        |meine? (?:Frau|Mann|Schwester|Bruder|Mutter|Vater|Tochter|Sohn|Freund\w*|Chef\w*)""",
    ),
    (
        "preference",
        r"""prefer|(?<!would )(?<!'d )(?:like|love|enjoy)|hate|dislike|can't stand|favou?rite|mag|liebe|hasse
        |bevorzuge|j'aime|préfère|déteste|prefiero|me gusta|odio|prefiro|gosto""",
    ),
)
_KINDS = [(kind, re.compile(rf"\b{_any(words)}\b", re.IGNORECASE)) for kind, words in _KIND_RULES]
_BULLET = re.compile(r"^(?:[-*•+#>]+|\d{1,2}[.)])\s+")


def _by_owner(message: Message) -> bool:
    """Is it the owner's, or a named person's in an imported talk? Recalled text and a page's are not learned."""
    if message.origin == RECALLED or message.drawn_from or not message.content.strip():
        return False
    person = message.origin == IMPORTED and message.name and message.role == "assistant"
    return message.role == "user" or bool(person)


def _first(messages: Sequence[Message]) -> str:
    """The owner's first message, which may be all signs and code; empty without one."""
    return next((message.content for message in messages if _by_owner(message)), "")


def _said(messages: Sequence[Message]) -> Iterator[_Sentence]:
    """The owner's sentences in order, without what they only pass on."""
    for message in messages:
        if _by_owner(message):
            for prose in own_words(message.content):
                for sentence in sentences(prose):
                    yield _Sentence(_BULLET.sub("", sentence), message)


def _facts(session_id: str, said: Sequence[_Sentence]) -> tuple[Fact, ...]:
    """The statements, each once, the most telling where there are too many, in the order in which they were said.

    A document that was pasted states nothing of its owner.
    """
    said = [clause for one in said if not is_document(one.message.content) for clause in _clauses(one)]
    statements = {same(sentence.named): sentence for sentence in reversed(said) if _is_statement(sentence.text)}
    found = sorted(statements.values(), key=lambda sentence: -_weight(sentence))[:MAX_FACTS]
    return tuple(_fact(session_id, sentence) for sentence in said if any(sentence is one for one in found))


def _clauses(sentence: _Sentence) -> list[_Sentence]:
    """The statements that "and" joins, each by itself where it can stand so: a correction of one leaves the others."""
    parts = [sentence.text] if _BOUND.search(sentence.text) else _AND.split(sentence.text)
    alone = all(_OWN_VERB.search(part) and _is_statement(part) and telling(part, part) for part in parts)
    return [replace(sentence, text=part) for part in parts] if alone else [sentence]


def _fact(session_id: str, sentence: _Sentence) -> Fact:
    message = sentence.message
    return Fact(
        fact_id(session_id, sentence.named, [message.id]),
        session_id,
        sentence.named,
        kind_of(sentence.text),
        message.at,
        (message.id,),
        sentence.text,
        message.origin,
        "kept" if telling(sentence.text, sentence.text) else "review",
        begins(sentence.text, message.at) or message.at,
    )


def _is_statement(text: str) -> bool:
    """Does the sentence state something about the speaker, about someone by name, or of a plan or a price?"""
    if len(text) > FACT_CHARS or not terms(text) or _QUESTION.match(text) or _FILLER.match(text):
        return False
    if re.match(r"(?:please )?(?:remember|remind|note)\b", text, re.IGNORECASE):
        return True
    if _REQUEST.match(text):
        return False
    plan = len(text) <= PLAN_CHARS and _PLAN.match(text)
    return bool(plan or _FIRST_PERSON.search(text) or _NAME_AND_VERB.match(text))


def kind_of(text: str) -> FactKind:
    """What kind of fact a statement is, by plain rules."""
    return next((kind for kind, rule in _KINDS if rule.search(text)), "fact")


def _weight(sentence: _Sentence) -> float:
    """How telling a sentence is: its different words up to a dozen, names, numbers, a known kind."""
    text = sentence.text
    rare = min(12, len(set(terms(text))))
    return rare + 2 * len(names(text)) + 2 * any(c.isdigit() for c in text) + 3 * (kind_of(text) != "fact")


def _gist(said: Sequence[_Sentence]) -> str:
    """The sentence that opens the subject, then the most telling statements that fit, in the order they were said.

    At most GIST_CHARS and half of what was said (yet 120 characters at least): a gist longer than its source is none.
    """
    limit = max(120, min(GIST_CHARS, sum(len(sentence.text) for sentence in said) // 2))
    opening = next((sentence for sentence in said if len(terms(sentence.text)) >= 2), said[0] if said else None)
    ranked = sorted(said, key=lambda sentence: (not _is_statement(sentence.text), -_weight(sentence)))
    chosen: list[_Sentence] = []
    room = limit
    for sentence in [opening, *ranked] if opening else []:
        if room < 20:
            break
        text = shortened(sentence.named, limit)
        if len(text) <= room and not any(same(one.named) == same(sentence.named) for one in chosen):
            chosen.append(sentence)
            room -= len(text) + 1
    return " ".join(shortened(sentence.named, limit) for sentence in said if any(sentence is one for one in chosen))


def _day(messages: Sequence[Message], now: datetime) -> str:
    return (messages[0].at.astimezone(now.tzinfo) if messages else now).date().isoformat()
