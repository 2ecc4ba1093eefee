"""The question whether a plan is carried out, at a terminal: a yes, a no, and changes in an editor that may fail."""

import contextlib
from pathlib import Path

import pytest

from tests.test_terminal import Chat

QUESTION = "[e]dit, [n]o:"
ASK = """
import fcntl, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
from assistant.cli.agreement import agreement
from assistant.cli.terminal import Output
from assistant.plans import Step
print("<ready>", flush=True)
for _ in range(2):
    try:
        agreed = agreement(Output(), (Step("Work out 6*7"), Step("Double it")))
    except KeyboardInterrupt:
        agreed = "stopped"
    print(agreed if isinstance(agreed, str) else agreed and [step.text for step in agreed], "is agreed on")
print("<end>")
"""


@pytest.fixture
def person(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> contextlib.closing[Chat]:
    """Somebody who is asked twice. Their editor writes what they say, and fails where they say nothing."""
    editor = tmp_path / "editor"
    editor.write_text(f'#!/bin/sh\n[ -e {tmp_path}/plan ] && cat {tmp_path}/plan > "$1" && touch -d tomorrow "$1"\n')
    editor.chmod(0o700)
    monkeypatch.delenv("VISUAL", raising=False)
    monkeypatch.setenv("EDITOR", str(editor))
    return contextlib.closing(Chat(tmp_path / "history", ASK, "<ready>"))


def test_a_yes_and_a_no(person: contextlib.closing[Chat]) -> None:
    with person as chat:
        assert "1. Work out 6*7" in chat.wait_for(QUESTION)
        chat.type("perhaps\n")
        chat.wait_for(QUESTION)
        chat.type("Y\n")
        chat.wait_for("['Work out 6*7', 'Double it'] is agreed on")
        chat.wait_for(QUESTION)
        chat.type("n\n")
        chat.wait_for("None is agreed on")


def test_the_end_of_input_is_a_no_and_ctrl_c_stops(person: contextlib.closing[Chat]) -> None:
    with person as chat:
        chat.wait_for(QUESTION)
        chat.type("\x03")
        assert "^C\r\n" in chat.wait_for("stopped is agreed on")
        chat.wait_for(QUESTION)
        chat.type("\x04")
        chat.wait_for("None is agreed on")


def test_an_editor_that_fails_leaves_the_plan_as_it_was(person: contextlib.closing[Chat], tmp_path: Path) -> None:
    with person as chat:
        chat.wait_for(QUESTION)
        chat.type("e\n")
        seen = " ".join(chat.wait_for(QUESTION).split())
        assert "Editing failed. Set EDITOR" in seen and "2. Double it" in seen
        (tmp_path / "plan").write_text("1. Guess\n")
        chat.type("e\n")
        assert "1. Guess" in chat.wait_for(QUESTION)
        chat.type("y\n")
        chat.wait_for("['Guess'] is agreed on")
        (tmp_path / "plan").write_text("# nothing\n")
        chat.wait_for(QUESTION)
        chat.type("e\n")
        chat.wait_for("None is agreed on")
