"""What differs between the way to an answer that was expected and the one that was taken. Pure."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from assistant.trajectories import Call, Expected, Outcome
from tools.arguments import quoted


def differences(expected: Expected, outcome: Outcome) -> list[str]:
    """What differs from what was expected, a line each; none where all is right."""
    found = [outcome.failure] if outcome.failure else []
    found += _of_calls(expected, outcome.calls)
    found += [f"the answer lacks {one!r}" for one in _missing(expected.words, outcome.answer)]
    found += [f"the answer has {one!r}" for one in expected.not_words if one not in _missing([one], outcome.answer)]
    found += [f"what was recalled lacks {one!r}" for one in _missing(expected.recalled, outcome.recalled)]
    found += _of_files(expected.files, outcome.files)
    if expected.at_limit != outcome.at_limit and not outcome.failure:
        found.append("no limit was reached" if expected.at_limit else "a limit was reached")
    if outcome.unasked and not outcome.failure:
        found.append(f"answers of the script that nobody asked for: {outcome.unasked}")
    return found


def _missing(words: Sequence[str], text: str) -> list[str]:
    """The words that a text lacks; upper and lower case, and how it is broken into lines, do not count."""
    plain = _plain(text)
    return [one for one in words if _plain(one) not in plain]


def _plain(text: str) -> str:
    return " ".join(text.casefold().split())


def _of_calls(expected: Expected, made: Sequence[Call]) -> Iterator[str]:
    fits, how = _ORDERS[expected.order]
    if expected.calls is not None and not fits(expected.calls, made):
        wanted = f"{_listed(expected.calls)} {how}" if expected.calls else "no call"
        yield f"expected {wanted}; got {_listed(made) or 'none'}"


def _exactly(wanted: Sequence[Call], made: Sequence[Call]) -> bool:
    return len(wanted) == len(made) and all(map(_is, wanted, made))


def _in_order(wanted: Sequence[Call], made: Sequence[Call]) -> bool:
    left = iter(made)
    return all(any(_is(one, call) for call in left) for one in wanted)


def _in_any_order(wanted: Sequence[Call], made: Sequence[Call]) -> bool:
    """Whether each expected call can have a call of its own: a matching, grown by augmenting paths."""
    holder: dict[int, int] = {}  # place in `made` -> place in `wanted`

    def placed(one: int, tried: set[int]) -> bool:
        for place, call in enumerate(made):
            if place not in tried and _is(wanted[one], call):
                tried.add(place)
                if place not in holder or placed(holder[place], tried):
                    holder[place] = one
                    return True
        return False

    return all(placed(one, set()) for one in range(len(wanted)))


# By name: whether calls came in that order, and how it reads.
_ORDERS = {
    "exact": (_exactly, "and no other"),
    "in_order": (_in_order, "in this order"),
    "any": (_in_any_order, "in any order"),
}


def _is(wanted: Call, made: Call) -> bool:
    return wanted.name == made.name and _within(wanted.arguments, made.arguments)


def _within(wanted: Any, made: Any) -> bool:
    """Whether a value is the wanted one; of an object only the fields that are wanted count."""
    if isinstance(wanted, Mapping):
        if isinstance(made, Mapping):
            return all(name in made and _within(value, made[name]) for name, value in wanted.items())
        return not wanted and isinstance(made, str)  # of broken arguments nothing is said
    return bool(wanted == made) and isinstance(wanted, bool) == isinstance(made, bool)


def _listed(calls: Sequence[Call]) -> str:
    return ", ".join(shown(one) for one in calls)


def shown(call: Call) -> str:
    """A call in one line, as a program would write it."""
    if isinstance(call.arguments, str):
        return f"{call.name}({quoted(call.arguments)})"
    given = (f"{name}={quoted(json.dumps(value, ensure_ascii=False))}" for name, value in call.arguments.items())
    return f"{call.name}({', '.join(given)})"


def _of_files(expected: Mapping[str, str | None], found: Mapping[str, str]) -> Iterator[str]:
    for name, text in expected.items():
        if found.get(name) != text:
            there = f"holds {quoted(found[name])!r}" if name in found else "is not there"
            yield f"the file {quoted(name)} {there}; expected {'none' if text is None else repr(quoted(text))}"
