"""A diff says all that changes, and nothing in it is hidden from its reader."""

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tools import diffs
from tools.diffs import NO_END, unified
from tools.visible import visible

LINES = st.lists(st.sampled_from(["", "a", "b", "c\r", "\x0b", "+", "-", "@@", "\\"])).map("\n".join)


def patched(before: str, diff: str) -> str:
    """What a diff makes of a text; every line that it shows of the old text must stand there."""
    old = re.findall(r"[^\n]*\n|[^\n]+", before)
    new: list[str] = []
    at = 0
    for head, body in re.findall(r"^@@ -(\S+) \+\S+ @@\n((?:[ +\-\\].*\n)*)", diff, re.MULTILINE):
        start, _, length = head.partition(",")
        first = int(start) - (length != "0")
        new += old[at:first]
        at = first
        for sign, line in re.findall(r"([ +-])(.*\n(?:\\ No.*\n)?)", body):
            text = line.removesuffix("\n" + NO_END) if line.endswith("\n" + NO_END) else line
            if sign != "+":
                assert old[at] == text
                at += 1
            if sign != "-":
                new.append(text)
    return "".join(new + old[at:])


@given(before=LINES, after=LINES, most_pairs=st.sampled_from([0, diffs.MOST_PAIRS]))
@example(before="", after="a", most_pairs=0)
def test_a_diff_turns_the_one_text_into_the_other(before: str, after: str, most_pairs: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(diffs, "MOST_PAIRS", most_pairs)
        diff = unified(before, after, "before", "after")
    assert (diff == "") == (before == after)
    assert patched(before, diff) == after


def test_a_diff_is_as_the_field_writes_it() -> None:
    before = "".join(f"{number}\n" for number in range(1, 21))
    after = before.replace("5\n", "five\n", 1).replace("20\n", "20")
    assert unified(before, after, "old", "new") == (
        "--- old\n+++ new\n@@ -2,7 +2,7 @@\n 2\n 3\n 4\n-5\n+five\n 6\n 7\n 8\n"
        "@@ -17,4 +17,4 @@\n 17\n 18\n 19\n-20\n+20\n\\ No newline at end of file\n"
    )
    assert unified("", "x\n", "/dev/null", "new") == "--- /dev/null\n+++ new\n@@ -0,0 +1 @@\n+x\n"


def test_texts_that_share_nothing_and_are_long_become_one_change() -> None:
    before = "".join(f"a{number}\n" for number in range(3_000))
    after = "".join(f"b{number % 7}\n" for number in range(3_000))
    diff = unified("same\n" + before, "same\n" + after, "old", "new")
    assert diff.count("@@ -") == 1 and diff.count("\n-") == 3_000 and "\n same\n" in diff


# ---------------------------------------------------------------------- what is hidden


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain, grün, 漢字 🙂\n\ttab", "plain, grün, 漢字 🙂\n\ttab"),
        ("rm \x1b[8m-rf\x1b[0m", "rm ␛[8m-rf␛[0m"),
        ("ls\rrm", "ls␍rm"),
        ("a\x7f\x85\0", "a␡<U+0085>␀"),
        ("user\u202etxt.exe", "user<U+202E>txt.exe"),
        ("zero\u200bwidth\u2028", "zero<U+200B>width<U+2028>"),
        ("\U000e0041", "<U+E0041>"),
    ],
)
def test_what_a_terminal_hides_is_spelled_out(text: str, shown: str) -> None:
    assert visible(text) == shown


@given(st.text())
def test_nothing_unseen_is_left(text: str) -> None:
    assert all(each.isprintable() for line in visible(text).split("\n") for each in line.replace("\t", ""))
