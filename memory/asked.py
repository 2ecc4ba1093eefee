"""Is a message a request to keep something? "Remember that my sister is called Ana", in five languages. Pure."""

import re

from memory.extract import kind_of
from memory.grounding import sentences
from memory.records import FactKind

LONGEST = 300  # characters; what is longer is a document, and no statement

_POLITE = r"(?:(?:please|ok(?:ay)?|hey|also|and|so|bitte|por favor|s'il te plaît|stp)[,.!]?\s+){0,3}"
# What comes before a statement. A form with a colon is the clearest; "that time we met" is no statement.
_THAT = (
    r"(?:remember|note|keep in mind|bear in mind|don't forget|do not forget|make a note|take note)(?:,? please,?)?"
    r"(?:\s+that(?!\s+(?:time|day|night|one|song|movie|film|place|thing|guy|book)\b)\s+|\s*:\s*)",
    r"remember,?\s+(?=(?:my|our|i|i'm|i've|we|we're)\b(?:\s+\S+){3})",
    r"(?:merke? dir|denke? (?:da)?ran|vergiss nicht|notiere?)(?: bitte)?(?:,?\s*dass\s+|\s*:\s*)",
    r"(?:recuerda|apunta|anota|no olvides)(?:\s+que\s+|\s*:\s*)",
    r"(?:souviens-toi|rappelle-toi|retiens|note|n'oublie pas)(?: bien)?(?:\s+que\s+|\s+qu'|\s*:\s*)",
    r"(?:lembra-te|lembre-se|lembra|anota|não te esqueças)(?:(?:\s+de)?\s+que\s+|\s*:\s*)",
)
_TO = (
    r"(?:remember|don't forget|do not forget)\s+to\s+",
    r"(?:vergiss nicht|denke? (?:da)?ran),?\s+(?=.+\bzu\b)",
    r"(?:recuerda|no olvides)\s+(?=\w+[aei]r(?:me|te|se|l[aeo]s?)?\b)",
    r"(?:n'oublie pas|souviens-toi)\s+(?:de\s+|d')",
    r"(?:lembra-te|lembre-se|não te esqueças)\s+de\s+",
)
_STATEMENT = re.compile(_POLITE + "(?:" + "|".join(_THAT) + ")", re.IGNORECASE)
_TASK = re.compile(_POLITE + "(?:" + "|".join(_TO) + ")", re.IGNORECASE)


def to_remember(text: str) -> tuple[str, FactKind] | None:
    """The statement that a message asks to keep, literally as it stands there, and its kind; None: it asks for none.

    Only what opens the message counts, and its first sentence alone; a question is none, as "do you remember ...?".
    """
    plain = text.strip().replace("’", "'")  # one character for another: places stay
    for pattern, kind in ((_STATEMENT, None), (_TASK, "task")):
        if found := pattern.match(plain):
            statement = _first(text.strip()[found.end() :])
            return (statement, kind or kind_of(statement)) if statement else None  # type: ignore[return-value]
    return None


def _first(rest: str) -> str:
    """The first sentence without its end; empty for a question, one word, code, a quote, and what is too long."""
    if rest.lstrip().startswith(("`", ">")):
        return ""
    said = next(iter(sentences(rest)), "")
    question = re.search(r"[?？؟]\W*$", said)
    statement = said.rstrip(" .!。！")
    return statement if not question and len(statement.split()) > 1 and len(statement) <= LONGEST else ""
