"""A unified diff of two texts: whole, exact, and in bounded time. Pure."""

from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher

AROUND = 3  # lines shown on each side of a change, as diff -u does
# difflib takes quadratic time at worst. Where more pairs of lines than this differ, one change of all of them is shown.
MOST_PAIRS = 4_000_000
NO_END = "\\ No newline at end of file\n"

Opcode = tuple[str, int, int, int, int]  # as difflib's: what, from and to in the old lines, from and to in the new


def unified(before: str, after: str, before_name: str, after_name: str) -> str:
    """What turns one text into the other, as `diff -u` writes it; empty where they are the same.

    Lines end with LF alone; a last line without an end is marked as diff marks it.
    """
    old, new = _lines(before), _lines(after)
    hunks = [_hunk(group, old, new) for group in _groups(old, new)]
    return f"--- {before_name}\n+++ {after_name}\n{''.join(hunks)}" if hunks else ""


def _lines(text: str) -> list[str]:
    """Lines with their ends. Not splitlines, which also splits at a dozen characters that end no line in a file."""
    parts = text.split("\n")
    return [f"{part}\n" for part in parts[:-1]] + ([parts[-1]] if parts[-1] else [])


def _groups(old: Sequence[str], new: Sequence[str]) -> Iterator[list[Opcode]]:
    """The changes with the lines around them, near ones together."""
    if old == new:
        return
    start, end = _common(old, new)
    first, last_old, last_new = max(0, start - AROUND), len(old) - end, len(new) - end
    after = min(AROUND, end)
    if (last_old - start) * (last_new - start) > MOST_PAIRS:
        yield [
            ("equal", first, start, first, start),
            ("replace", start, last_old, start, last_new),
            ("equal", last_old, last_old + after, last_new, last_new + after),
        ]
        return
    matcher = SequenceMatcher(None, old[first : last_old + after], new[first : last_new + after], autojunk=False)
    for group in matcher.get_grouped_opcodes(AROUND):
        yield [(tag, i1 + first, i2 + first, j1 + first, j2 + first) for tag, i1, i2, j1, j2 in group]


def _common(old: Sequence[str], new: Sequence[str]) -> tuple[int, int]:
    """How many lines are the same from the start, and from the end of what is left."""
    shorter = min(len(old), len(new))
    start = next((place for place in range(shorter) if old[place] != new[place]), shorter)
    left = shorter - start
    return start, next((place for place in range(left) if old[-1 - place] != new[-1 - place]), left)


def _hunk(group: Sequence[Opcode], old: Sequence[str], new: Sequence[str]) -> str:
    head = f"@@ -{_range(group[0][1], group[-1][2])} +{_range(group[0][3], group[-1][4])} @@\n"
    shown = []
    for tag, i1, i2, j1, j2 in group:
        if tag == "equal":
            shown += [f" {line}" for line in old[i1:i2]]
        else:
            shown += [f"-{line}" for line in old[i1:i2]] + [f"+{line}" for line in new[j1:j2]]
    return head + "".join(line if line.endswith("\n") else f"{line}\n{NO_END}" for line in shown)


def _range(start: int, stop: int) -> str:
    """Lines as a hunk's head counts them: from 1, and an empty stretch by the line before it."""
    length = stop - start
    if length == 1:
        return str(start + 1)
    return f"{start + 1 if length else start},{length}"
