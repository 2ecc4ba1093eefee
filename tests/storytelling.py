"""Plays the stories of stories.jsonl: what is said, changed and asked, and whether a prompt then shows what is so.

`held_out` is 1 or 2 for stories that were written before a round of work on the rules, and first played after the round
before it; 0 for those that the rules were made with. `retired` are words of just what the store is to retire.
"""

import json
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from memory.embedding import Embedder
from memory.manager import MemoryManager
from memory.records import Scope
from memory.supersede import Decide
from memory.tokens import Counter
from tests.memories import a_memory, leave, talk

STORIES = Path(__file__).parent / "stories.jsonl"
BUDGET = 800  # tokens of a prompt's notes
UNTIL = re.compile(r"\(fact[^()]*, \d{4}-\d\d-\d\d until \d{4}-\d\d-\d\d\)$")
SINCE = re.compile(r", \d{4}-\d\d-\d\d; since \d{4}-\d\d-\d\d: .+\)$")
Story = dict[str, Any]


def stories() -> list[Story]:
    """All stories."""
    return [json.loads(line) for line in STORIES.read_text(encoding="utf-8").splitlines()]


def wrong(story: Story, home: Path, counter: Counter, embedder: Embedder, decide: Decide | None = None) -> str:
    """What is wrong at the end of a story; empty where all is right."""
    day = datetime.fromisoformat(story["sessions"][0]["day"]).replace(tzinfo=UTC)
    memory = a_memory(home, counter, embedder, clock=lambda: day)
    try:
        for session in story["sessions"]:
            day = datetime.fromisoformat(session["day"]).replace(hour=12, tzinfo=UTC)
            facts = memory.extract(talk(memory, *session["said"])).facts
            if decide:
                memory.settle(facts, decide)
            memory.sync()
        day += timedelta(days=30)
        return _judged(memory, story)
    finally:
        leave(memory)


def _judged(memory: MemoryManager, story: Story) -> str:
    hits = memory.recall_for_prompt(story["question"], BUDGET).hits
    return (
        _shown(story, [hit.text for hit in hits])
        or _retired(memory, story)
        or ("past" in story and _past(memory, story))
        or ("then" in story and _as_of(memory, story))
        or ""
    )


def _shown(story: Story, lines: Sequence[str]) -> str:
    """A line of what is over is only right where it says so itself."""
    present = [line for line in lines if not UNTIL.search(line)]
    for word in story["present"]:
        if not any(word in line for line in present):
            return f"{word!r} is not in {lines}"
    for word in story["gone"]:
        if any(word in line and not SINCE.search(line) for line in present):
            return f"{word!r} is shown as present in {lines}"
    return ""


def _retired(memory: MemoryManager, story: Story) -> str:
    """Where a story tells what is to be retired, just that is, by the store."""
    found = [row[0] for row in memory.store.rows("SELECT text FROM facts WHERE retired_by IS NOT NULL")]
    wanted = story.get("retired")
    if wanted is None or (len(found) == len(wanted) and all(any(word in one for one in found) for word in wanted)):
        return ""
    return f"{found} are retired, not {wanted}"


def _past(memory: MemoryManager, story: Story) -> str:
    """What was so is found, and says until when."""
    lines = [hit.text for hit in memory.recall_for_prompt(story["past_question"], BUDGET).hits]
    for word in story["past"]:
        if not any(word in line and UNTIL.search(line) for line in lines):
            return f"{word!r} with its end is not in {lines}, of the past"
    return ""


def _as_of(memory: MemoryManager, story: Story) -> str:
    """At an earlier day it is found, as what was so then."""
    scope = Scope(as_of=datetime.fromisoformat(story["as_of"]).replace(tzinfo=UTC))
    hits = memory.recall(story["question"], scope).hits
    for word in story["then"]:
        if not any(word in hit.text and "changed" not in hit.why for hit in hits):
            return f"{word!r} is not found as of {story['as_of']}"
    return ""
