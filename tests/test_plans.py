"""Plans: numbered lines read from whatever a model writes, marks, and how they stand in the store."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assistant import plans
from assistant.plans import MOST_STEPS, RESULT_CHARACTERS, Step, from_json, lines, marked, next_open, read, to_json

OPEN = (Step("Look it up"), Step("Add it"), Step("Write it down"))


@pytest.mark.parametrize(
    "text",
    [
        "1. Look it up\n2. Add it\n3. Write it down",
        "Here is my plan:\n\n1) Look it up\n2) Add it\n\n3) Write it down\n\nShall I begin?",
        "- Step 1: Look it up\n- Step 2: **Add it**\n- STEP 3: Write it  down",
        "  1. Look it up\r\n  2. Add it\r\n  3. Write it down\r\n",
    ],
)
def test_numbered_lines_are_steps_however_they_are_written(text: str) -> None:
    assert read(text) == OPEN


@pytest.mark.parametrize("text", ["", "NONE", "In 2026. things changed", "3.5 is a number", "1.Look"])
def test_what_is_no_numbered_line_is_no_step(text: str) -> None:
    assert read(text) == ()


def test_a_plan_has_an_end() -> None:
    assert len(read("\n".join(f"{place}. Go on" for place in range(1, 99)))) == MOST_STEPS


def test_an_answer_marks_its_step_as_done_or_failed() -> None:
    done = marked(OPEN, 0, "It is\n 42.")
    assert done[0] == Step("Look it up", "done", "It is 42.")
    failed = marked(done, 1, "**FAILED**: there is no sum.")
    assert failed[1] == Step("Add it", "failed", "there is no sum.")
    assert lines(failed).splitlines() == [
        "[x] 1. Look it up -> It is 42.",
        "[!] 2. Add it -> there is no sum.",
        "[ ] 3. Write it down",
    ]
    assert next_open(failed) == 2
    assert plans.replanned(failed, [Step("Guess")]) == (*failed[:2], Step("Guess"))
    assert marked(OPEN, 0, "The search has FAILED before, but now it is 3.")[0].state == "done"


def test_of_a_long_answer_the_plan_keeps_the_beginning() -> None:
    assert len(marked(OPEN, 0, "word " * 1_000)[0].result) <= RESULT_CHARACTERS + 2


texts = st.text(st.characters(exclude_categories=("Cs",)))
steps = st.lists(st.builds(Step, texts, st.sampled_from(["open", "done", "failed"]), texts), max_size=5).map(tuple)


@given(steps)
def test_what_is_stored_is_read_back(found: plans.Steps) -> None:
    assert from_json(to_json(found)) == found


@given(st.lists(st.from_regex(r"[A-Za-z][a-z ]{0,20}[a-z]", fullmatch=True), min_size=1, max_size=MOST_STEPS))
def test_what_is_shown_for_editing_is_read_back(found: list[str]) -> None:
    wanted = tuple(Step(" ".join(one.split())) for one in found)
    assert read(plans.editable(wanted)) == wanted
