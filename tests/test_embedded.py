"""The whole of it with the embedded model: two sessions in two processes, and what was told in the first is known."""

import os
import re
from pathlib import Path

import pytest

from assistant.models import lookup
from assistant.weights import find
from tests.conftest import Run

MODEL = "smollm2-135m"
FOLDER = os.environ.get("ASSISTANT_MODELS_DIR", "")


@pytest.fixture
def models_folder() -> str:
    """Where the weights lie. Without them the test is skipped, but in CI, which fetches them first, it fails."""
    if FOLDER and find(MODEL, Path(FOLDER)):
        return FOLDER
    if os.environ.get("CI"):
        pytest.fail("CI fetches the weights before the tests, and they are not there")
    pytest.skip("no weights: set ASSISTANT_MODELS_DIR and run `assistant models pull smollm2-135m`")


def test_a_fact_told_in_one_session_is_in_the_prompt_and_the_answer_of_the_next(
    assistant: Run, models_folder: str
) -> None:
    # A fact that this model reads whatever the date in its prompt: of eight, it read four so. A colour is none of them.
    env = {"ASSISTANT_MODELS_DIR": models_folder}
    first = assistant("chat", stdin="My sister is called Anna.\n", env=env, timeout=300)
    assert (first.returncode, first.stdout.strip() != "") == (0, True), first.stderr
    assert MODEL in first.stderr and "Noted:" in first.stderr

    question = "What is my sister called?"
    shown = assistant("recall", question, "--inject", env=env)
    assert "My sister is called Anna." in shown.stdout

    second = assistant("chat", stdin=f"{question}\n", env=env, timeout=300)
    assert second.returncode == 0, second.stderr
    assert "anna" in second.stdout.lower()
    assert re.search(r"from memory: \d{4}-\d{2}-\d{2}", second.stderr)


def test_the_table_pins_the_default_model() -> None:
    local = lookup(MODEL).local
    assert local and len(local.sha256) == 64 and local.package
