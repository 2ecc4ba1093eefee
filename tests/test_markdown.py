"""Markdown that streams in: blocks do not depend on the cutting, and nothing in a text can steer the terminal."""

import itertools
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assistant.cli.markdown import Blocks, fitted, laid_out, laid_out_table, printable, rows_of, well_formed

MARKUP = st.text(st.sampled_from("ab \n\t\r#*-`~>|[]()1.<&;日\u0301\x1b\x9b\u202e\ud83d\ude00"), max_size=120)
LINES = st.lists(st.sampled_from(["", "a", "- b", "  c", "1. d", "```", "````", "~~~", "    ```", "|x|", "- ```"]))
TEXTS = MARKUP | LINES.map("\n".join) | st.text(max_size=80)
STYLE = re.compile("\x1b\\[[0-9;]*m")


def blocks_of(deltas: list[str]) -> list[str]:
    blocks = Blocks()
    return [*(block for delta in deltas for block in blocks.feed(delta)), blocks.rest]


def plain(lines: list[str]) -> str:
    return "\n".join(STYLE.sub("", line) for line in lines)


@given(TEXTS, st.lists(st.integers(0, 120)))
def test_blocks_join_to_the_text_and_do_not_depend_on_the_cutting(text: str, cuts: list[int]) -> None:
    places = sorted({0, len(text), *(cut for cut in cuts if cut < len(text))})
    deltas = [text[start:end] for start, end in itertools.pairwise(places)]
    assert blocks_of(deltas) == blocks_of([text])
    assert "".join(blocks_of(deltas)) == text


PARTS = [
    "One line\nand the next\n",
    "# Heading\n",
    "```python\nx = 1\n\n\ny = 2\n```\n",
    "~~~\n```\n\nnot the end\n~~~\n",
    "````md\n```\n\ninner\n```\n\n````\n",
    "Text first:\n```\n\n    ```\n\n```\n",
    "| a | b |\n| --- | --- |\n| 1 | 2 |\n",
    "> quote\n>\n> more\n",
]
LISTS = ["- a\n\n- b\n\n  still b\n", "1. one\n\n   ```\n   x\n\n   y\n   ```\n\n2. two\n", "* a\n    * b\n\n      c\n"]


@given(st.lists(st.sampled_from(PARTS), min_size=1), st.sampled_from(LISTS), st.integers(1, 3))
def test_a_block_ends_at_a_blank_line_outside_fences_and_a_list_stays_together(
    parts: list[str], items: str, gap: int
) -> None:
    document = [*parts, items, "Afterwards.\n"]
    blocks = blocks_of(list(("\n" * gap).join(document)))
    assert [block.strip("\n") for block in blocks] == [part.strip("\n") for part in document]


def test_the_tail_of_an_open_fence_is_still_a_fence() -> None:
    blocks = Blocks()
    blocks.feed("```python\n" + "".join(f"line_{number} = 1\n" for number in range(1000)))
    tail = blocks.tail(200)
    assert len(tail) < 250
    assert tail.startswith("```python\nline_")
    assert tail.endswith("line_999 = 1\n")


def test_a_line_of_100_kB_costs_no_more_for_coming_in_single_characters() -> None:
    blocks = Blocks()
    for _ in range(100_000):
        blocks.feed("x")
    assert len(blocks.rest) == 100_000
    assert len(blocks.tail(500)) == 500


@given(st.text() | MARKUP)
def test_printable_text_steers_nothing_and_is_stable(text: str) -> None:
    shown = printable(text)
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]", shown)
    assert printable(shown) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\x1b[31mred\x1b[0m", "ared"),
        ("\x1b]0;title\x07b", "b"),
        ("\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x1b]52;never ended\nnext", "52;never ended\nnext"),
        ("\x9b2Jc", "c"),
        ("one\r\n\ttwo", "one\n\ttwo"),
        ("user\u202egnp.exe", "user‹U+202E›gnp.exe"),
        ("zero\u200bwidth", "zero‹U+200B›width"),
        ("\ud83d\ude00 \ud83d", "😀 \ufffd"),
        ("👩‍👩‍👧 é 日本 עברית", "👩‍👩‍👧 é 日本 עברית"),
    ],
)
def test_what_printable_takes_out(text: str, shown: str) -> None:
    assert printable(text) == shown


@given(st.text(st.characters(codec="utf-8")))
def test_a_text_of_whole_characters_is_well_formed_already(text: str) -> None:
    assert well_formed(text) == text
    halves = text.encode("utf-16-be", "surrogatepass")
    cut = "".join(chr(halves[at] << 8 | halves[at + 1]) for at in range(0, len(halves), 2))
    assert well_formed(cut) == text


@given(TEXTS, st.integers(20, 60))
def test_lines_fit_the_width_and_hold_no_control_but_styles(text: str, width: int) -> None:
    for line in laid_out(text, width):
        bare = STYLE.sub("", line)
        assert printable(bare) == bare
        assert "<U+" in bare or rows_of(bare, width) == 1


@pytest.mark.parametrize(
    ("markdown", "shown"),
    [
        ("List<String> and <b>bold</b>", "List<String> and <b>bold</b>"),
        ("<div>\nhtml\n</div>", "<div>\nhtml\n</div>"),
        ("[words](https://example.org)", "words (https://example.org)"),
        ("<https://example.org>", "https://example.org"),
        ("![alt](https://example.org/p.png)", "alt (https://example.org/p.png)"),
        ("[1]: https://example.org", "[1]: https://example.org"),
        ("````md\n```\nx\n```\n````", "````md\n```\nx\n```\n````"),
        ("&#x202e;abc", "‹U+202E›abc"),
        ("3. three\n4. four", " 3 three\n 4 four"),
    ],
)
def test_nothing_that_was_written_is_left_out(markdown: str, shown: str) -> None:
    assert plain(laid_out(markdown, 60)) == shown


def test_code_is_cut_at_the_edge_to_the_character() -> None:
    code = "x = '" + "word-" * 30 + "'\n\tindented"
    lines = plain(laid_out(f"```python\n{code}\n```", 40)).split("\n")
    assert (lines[0], lines[-1]) == ("```python", "```")
    assert "".join(lines[1:-2]) == "x = '" + "word-" * 30 + "'"
    assert lines[-2] == "    indented"


@pytest.mark.parametrize("width", [20, 40, 80])
def test_a_table_loses_no_word_however_narrow(width: int) -> None:
    words = [f"word{number}" for number in range(20)]
    rows = "".join(f"| {' | '.join(words[at : at + 10])} |\n" for at in (0, 10))
    shown = plain(laid_out(f"{rows[: len(rows) // 2]}{'| --- ' * 10}|\n{rows}", width))
    assert all(word in shown for word in words)


def test_styles_use_no_background_and_no_colour_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    text = (
        "# h\n\n`code` [a](b) ~~s~~\n\n> q\n\n1. x\n\n```python\ndef f(): return 'x' # c\n```\n\n|a|\n|-|\n|b|\n\n---"
    )
    monkeypatch.delenv("NO_COLOR", raising=False)
    codes = {code for style in STYLE.findall("".join(laid_out(text, 60))) for code in style[2:-1].split(";")}
    assert codes <= {"0", "1", "2", "3", "4", "9", "31", "32", "35", "36"}
    assert "36" in codes
    monkeypatch.setenv("NO_COLOR", "1")
    codes = {code for style in STYLE.findall("".join(laid_out(text, 60))) for code in style[2:-1].split(";")}
    assert codes <= {"0", "1", "2", "3", "4", "9"}


def test_a_list_gives_way_where_it_is_widest() -> None:
    lines = laid_out_table(["id", "title"], [["a1b2c3", "long words " * 20], ["d4", "two\nlines\x1b[2J"]], 40)
    shown = plain(lines).split("\n")
    assert len(shown) == 3
    assert shown[1].startswith("a1b2c3  long words")
    assert shown[1].endswith("…")
    assert shown[2] == "d4      two lines"


@given(st.text(st.sampled_from("ab 日😀")), st.integers(1, 30))
def test_fitted_text_takes_one_row(text: str, width: int) -> None:
    assert rows_of(fitted(text, width), width) == 1
