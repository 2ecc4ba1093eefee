"""How well recall answers questions whose answers are known: the sums. Shares are from 0 to 1, times milliseconds."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean, median
from typing import Any

from memory import words
from memory.cases import MessageKey, Question, Wanted
from memory.records import Hit

FIRST_MESSAGES, FIRST_SESSIONS = 10, 5  # about what is read of an answer

# A text shows a message where it holds half of its longer words, or so many: of a long one a passage is shown.
LONGER, HALF, ENOUGH = 4, 0.5, 4

Figures = dict[str, float | int | None]


@dataclass(frozen=True, slots=True)
class Result:
    """One question, what it wants, and what it got."""

    question: Question
    wanted: Wanted
    hits: tuple[Hit, ...]
    took_ms: float

    @property
    def wants_nothing(self) -> bool:
        """Whether the memory holds no answer, so that a prompt is to get nothing."""
        return not self.wanted.sessions


def named_messages(hits: Iterable[Hit]) -> list[MessageKey]:
    """The messages that hits are or rest on, each once, in order."""
    return list(dict.fromkeys((hit.session_id, one) for hit in hits for one in hit.message_ids))


def named_sessions(hits: Iterable[Hit]) -> list[str]:
    """The sessions that hits are of, each once, in order."""
    return list(dict.fromkeys(hit.session_id for hit in hits))


# ---------------------------------------------------------------------- figures of one question


def first_session_right(one: Result) -> bool:
    """Whether a right session comes first."""
    return bool(one.wanted.sessions.intersection(named_sessions(one.hits)[:1]))


def all_sessions_found(one: Result) -> bool:
    """Whether all right sessions are among the first five."""
    return one.wanted.sessions <= set(named_sessions(one.hits)[:FIRST_SESSIONS])


def messages_found(one: Result) -> float:
    """The share of the right messages among the first ten that are named."""
    first = named_messages(one.hits)[:FIRST_MESSAGES]
    return sum(key in first for key in one.wanted.messages) / len(one.wanted.messages)


def right_shown(one: Result) -> bool:
    """Whether a right message stands in what is shown; where only sessions are wanted, whether one of theirs does."""
    if not one.wanted.messages:
        return any(hit.session_id in one.wanted.sessions for hit in one.hits)
    return any(
        shows(hit.text, one.wanted.messages[hit.session_id, message])
        for hit in one.hits
        for message in hit.message_ids
        if (hit.session_id, message) in one.wanted.messages
    )


def shows(text: str, message: str) -> bool:
    """Whether `text` carries a message, or the passage of it that matters; a fact may name one and not say it."""
    said = {word for word in words.all_words(message) if len(word) >= LONGER} or words.all_words(message)
    held = said & words.all_words(text)
    return len(held) >= min(ENOUGH, max(1, HALF * len(said)))


# ---------------------------------------------------------------------- figures of many


def of_recall(results: Sequence[Result]) -> Figures:
    """How well `recall` finds; `tokens` is what the first ten hits hold, at the median."""
    asked = [one for one in results if not one.wants_nothing]
    return {
        "asked": len(asked),
        "any@1": _mean(first_session_right(one) for one in asked),
        "all@5": _mean(all_sessions_found(one) for one in asked),
        "recall@10": _mean(messages_found(one) for one in asked if one.wanted.messages),
        "tokens": _median(sum(hit.tokens for hit in one.hits[:FIRST_MESSAGES]) for one in asked),
        **_times(asked),
    }


def of_prompts(results: Sequence[Result]) -> Figures:
    """How well what goes into a prompt is chosen; `tokens` and `most` are of the questions that want something.

    `nothing` counts the others, of which `noise` got something.
    """
    asked = [one for one in results if not one.wants_nothing]
    others = [one for one in results if one.wants_nothing]
    tokens = [sum(hit.tokens for hit in one.hits) for one in asked]
    return {
        "asked": len(asked),
        "right": _mean(right_shown(one) for one in asked),
        "tokens": _median(tokens),
        "most": max(tokens, default=None),
        "nothing": len(others),
        "noise": _mean(bool(one.hits) for one in others),
        **_times(results),
    }


def by_category(results: Iterable[Result]) -> dict[str, list[Result]]:
    """The results of each category by name; nothing where there are fewer than two."""
    found: dict[str, list[Result]] = {}
    for one in results:
        found.setdefault(one.question.category or "other", []).append(one)
    return dict(sorted(found.items())) if len(found) > 1 else {}


def _mean(values: Iterable[float]) -> float | None:
    found = list(values)
    return fmean(found) if found else None


def _median(values: Iterable[float]) -> float | None:
    found = list(values)
    return median(found) if found else None


def _times(results: Sequence[Result]) -> Figures:
    times = sorted(one.took_ms for one in results)
    return {"p50_ms": _median(times), "p95_ms": times[int(len(times) * 0.95)] if times else None}


# ---------------------------------------------------------------------- misses


def misses_of_recall(results: Iterable[Result]) -> list[Result]:
    """What was not found well, the worst first: the share of right messages, then where the first right one stands."""
    wrong = [one for one in results if not one.wants_nothing and not _well_found(one)]
    return sorted(wrong, key=lambda one: (_share(one), -_first_rank(one)))


def misses_of_prompts(results: Iterable[Result]) -> list[Result]:
    """What a prompt should show and does not, then what it should not have got, the most tokens first."""
    wrong = [one for one in results if (one.hits if one.wants_nothing else not right_shown(one))]
    return sorted(wrong, key=lambda one: (one.wants_nothing, -sum(hit.tokens for hit in one.hits)))


def ranks(one: Result) -> dict[str, Any]:
    """Where the right messages and sessions stand among those that the hits name, from 1; None where they do not."""
    messages, sessions = named_messages(one.hits), named_sessions(one.hits)
    return {
        "messages": {key[1]: messages.index(key) + 1 if key in messages else None for key in one.wanted.messages},
        "sessions": {key: sessions.index(key) + 1 if key in sessions else None for key in sorted(one.wanted.sessions)},
    }


def _well_found(one: Result) -> bool:
    return first_session_right(one) and _share(one) == 1


def _share(one: Result) -> float:
    return messages_found(one) if one.wanted.messages else float(all_sessions_found(one))


def _first_rank(one: Result) -> float:
    found = [rank for kind in ranks(one).values() for rank in kind.values() if rank]
    return min(found, default=float("inf"))
