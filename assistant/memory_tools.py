"""The memory as tools: a model may look up what was said before, and keep something for later with its owner's yes."""

from collections.abc import Callable, Sequence
from contextlib import closing
from datetime import datetime

from memory.errors import BadInput, Failure
from memory.foreign import TOOL
from memory.manager import MemoryManager
from memory.records import ASSISTANT, IMPORTED, Hit, Message, Scope
from memory.session import LiveSession, now
from memory.units import parsed, unit_id
from tools.tool import Outside, Tool, tool
from tools.visible import visible

HITS = 10
# Recall for a prompt has a gate and was asked before; here the model asks for whatever may fit.
FOUND = "The nearest of what was said, the best first. It need not fit:"
NOTHING = "Nothing was found."
PASSAGE_CHARACTERS = 500  # of one hit's text: ten of them stay within the usual limit of a tool's result
LONGEST_NOTE = 1_000  # characters: a statement, and no document


def memory_tools(memory: Callable[[], MemoryManager], session: Callable[[], LiveSession]) -> list[Tool]:
    """Return the tools recall and remember.

    `memory` gives a manager of the calling thread's own, which is closed after the call; `session` the conversation
    that the call is a part of.
    """

    def recall(query: str, after: str = "", before: str = "") -> str:
        """Look up what was said in earlier conversations with the user: messages, facts and summaries, with dates.

        Args:
            query: What to look for, as a question or in a few words.
            after: Only what was said since then: a date such as 2026-03-01, or "last spring".
            before: Only what was said before then.

        Raises:
            ValueError: The query is empty or a date is none.
        """
        if not query.strip():
            raise ValueError("the query is empty")
        scope = Scope(after=_day(after), before=_day(before))
        with closing(memory()) as opened:
            hits = _hits(opened, query, scope, session())
            text = "\n".join([FOUND, *(_line(hit, query) for hit in hits)]) if hits else NOTHING
        if any("drawn_from" in hit.why for hit in hits):
            return Outside(text)
        # What was imported goes into prompts by itself, too: it asks before what has effects, and quarantines nothing.
        return Outside(text, IMPORTED) if any(hit.origin == IMPORTED for hit in hits) else text

    def remember(text: str) -> str:
        """Keep something for later conversations, in one statement that can be understood by itself.

        Args:
            text: The statement, for example "The user's sister Ana lives in Lisbon."

        Raises:
            ValueError: The text is empty or too long.
        """
        said = _statement(text)
        with closing(memory()) as opened:
            fact = opened.note(said, _origin(session().transcript))
            try:
                opened.sync(fact.session_id)
            except Failure as error:  # the index, or the endpoint that makes vectors
                return f"Remembered. It is found by its words only, for now: {error.message}"
        return "Remembered."

    def preview(text: str) -> str:
        return f"remember: {visible(_statement(text))}"

    return [tool(recall), tool(remember, effects=frozenset({"writes"}), preview=preview)]


# Recall


def _day(text: str) -> datetime | None:
    """The first moment of a date. Raises ValueError for what is none."""
    from memory.dates import span

    if not text.strip():
        return None
    try:
        return span(text, now())[0]
    except BadInput as error:
        raise ValueError(str(error)) from error


def _hits(memory: MemoryManager, query: str, scope: Scope, session: LiveSession) -> list[Hit]:
    """The best hits that the model does not see already, and may see: a fact in review waits for its owner.

    Of a message and a fact that say the same the better one stands for both.
    """
    shown = session.shown()
    found = memory.recall(query, scope, limit=3 * HITS + len(shown), live=session.id).hits
    facts = memory.store.facts(parsed(hit.unit)[1] for hit in found if hit.kind == "fact")
    hidden = {unit_id("f", seq) for seq, fact in facts.items() if fact.status != "kept"}
    best: dict[tuple[str, str], Hit] = {}
    for hit in found:
        if hit.unit not in shown | hidden:
            best.setdefault((hit.session_id, hit.text), hit)
    return list(best.values())[:HITS]


def _line(hit: Hit, query: str) -> str:
    """A hit on one line: when, whose words, and of a long text the passage that matters."""
    from memory import passages, words

    text = hit.text
    if len(text) > PASSAGE_CHARACTERS:
        text = passages.passage(text, words.terms(query), PASSAGE_CHARACTERS)
    whose = hit.origin if hit.kind == "message" else f"{hit.kind}, {hit.origin}"
    if hit.kind == "message" and (names := hit.why.get("drawn_from")):
        whose = f"{hit.origin}, drawn from {', '.join(names)}"
    if changed := hit.why.get("changed"):
        whose += f"; {changed}"
    return f"- {hit.at.astimezone():%Y-%m-%d} ({whose}): {' '.join(text.split())}"


# Remember


def _statement(text: str) -> str:
    said = text.strip()
    if not said or len(said) > LONGEST_NOTE:
        raise ValueError(f"give a statement of 1 to {LONGEST_NOTE:,} characters, not {len(said):,}")
    return said


def _origin(transcript: Sequence[Message]) -> str:
    """Whose words a note may hold: the assistant's, or those that its last message is drawn from."""
    said = next((message for message in reversed(transcript) if message.role == "assistant"), None)
    return f"{TOOL}{said.drawn_from[0]}" if said and said.drawn_from else ASSISTANT
