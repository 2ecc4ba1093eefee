"""Plays the stories of stories.jsonl: what is said, changed and asked, and whether a prompt then shows what is so."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from memory.embedding import Embedder
from memory.manager import MemoryManager
from memory.records import Hit, Scope
from memory.supersede import Decide
from memory.tokens import Counter
from tests.memories import a_memory, leave, talk

STORIES = Path(__file__).parent / "stories.jsonl"
BUDGET = 800  # tokens of a prompt's notes
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
    shown = [hit.text for hit in hits]
    present = [line for line in shown if " until " not in line]
    for word in story["present"]:
        if not any(word in line for line in present):
            return f"{word!r} is not in {shown}"
    for word in story["gone"]:
        if any(word in line and "since " not in line for line in present):
            return f"{word!r} is shown as present in {shown}"
    if "past_question" in story and (
        lost := _lacking(memory.recall_for_prompt(story["past_question"], BUDGET).hits, story["past"])
    ):
        return f"{lost!r} is not found in the past"
    if "as_of" in story:
        scope = Scope(as_of=datetime.fromisoformat(story["as_of"]).replace(tzinfo=UTC))
        if lost := _lacking(memory.recall(story["question"], scope).hits, story["then"]):
            return f"{lost!r} is not found as of {story['as_of']}"
    return ""


def _lacking(hits: Sequence[Hit], wanted: Sequence[str]) -> str:
    return next((word for word in wanted if not any(word in hit.text for hit in hits)), "")
