"""The documents tell the truth: commands they show exist, links lead somewhere, the reference is what `--help` says."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from assistant.cli import group
from tests import commands_reference
from tests.commands import ROOT
from tests.commands_reference import root
from tests.conftest import Run

DOCUMENTS = sorted(path for path in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
CONSOLE = re.compile(r"^```(?:console|sh)\n(.*?)^```", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"`(assistant [a-z][^`]*)`")
PROFILE = "work"  # as the documents call one
LINK = re.compile(r"\[[^\]]*\]\(([^)#\s]+)[^)]*\)")


def shown() -> Iterator[tuple[str, str]]:
    """Each line of a document that runs `assistant`, with the document's name."""
    for path in DOCUMENTS:
        text = path.read_text(encoding="utf-8")
        if path == commands_reference.PAGE:
            continue
        lines = [line.removeprefix("$ ") for block in CONSOLE.findall(text) for line in block.splitlines()]
        lines += [found for line in text.splitlines() for found in INLINE.findall(line)]
        for line in lines:
            for part in re.split(r"&&|\|", line):
                words = part.strip()
                if words.startswith("assistant "):
                    yield path.name, words


@pytest.mark.parametrize(("document", "line"), sorted(set(shown())))
def test_a_command_line_that_a_document_shows_is_understood(document: str, line: str, home: Path) -> None:
    words = shlex.split(line.partition(">")[0], comments=True)[1:]
    (home / "profiles" / PROFILE).mkdir(parents=True)
    with root() as context:
        parsed(group, context, words)


def parsed(command: click.Command, parent: click.Context, words: list[str]) -> None:
    """Read the words as the program would, without running anything. Raises a UsageError for what it would refuse."""
    if not isinstance(command, click.Group):
        try:
            command.make_context(command.name, list(words), parent=parent)
        except click.exceptions.Exit:  # --help
            return
        except click.MissingParameter:
            if words:  # a bare name in running text names the command
                raise
        except click.BadParameter as error:
            if "does not exist" not in error.format_message():  # a file that only the example has
                raise
        return
    if not words or words[0].startswith("-"):
        context = command.make_context(command.name, list(words), parent=parent)
        words = command.make_parser(context).parse_args(list(words))[1]  # without the group's own options
    if not words:
        return
    name, inner, rest = command.resolve_command(parent, list(words))
    assert inner is not None, f"there is no {name}"
    assert name != "ask" or words[0] == "ask" or " " in words[0], f"{words[0]!r} is no command, but a question"
    parsed(inner, parent, list(rest) if words[0] == name else words)


def test_the_check_of_command_lines_can_fail(home: Path) -> None:
    (home / "profiles" / PROFILE).mkdir(parents=True)
    for line in ("recall x --no-such", "sesions", "config wipe", "import x --from paper", "-p work recall x --no-such"):
        with pytest.raises(click.UsageError), root() as context:
            parsed(group, context, line.split())
    with pytest.raises(AssertionError), root() as context:
        parsed(group, context, ["whatever", "me"])
    with root() as context:
        for line in ("-p work", "-p work chat --incognito", "chat -p work"):
            parsed(group, context, line.split())


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_relative_link_leads_to_a_file(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    targets = [target for target in LINK.findall(text) if "://" not in target and not target.startswith("mailto:")]
    assert [target for target in targets if not (document.parent / target).exists()] == []


def test_the_reference_is_what_the_commands_say_of_themselves() -> None:
    written = commands_reference.PAGE.read_text(encoding="utf-8")
    assert written == commands_reference.page(), "Run: python -m tests.commands_reference"


def test_the_sample_history_gives_what_the_readme_shows(assistant: Run) -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    (block,) = [one for one in CONSOLE.findall(text) if "import data/sample.jsonl" in one]
    for told in re.split(r"^\$ assistant ", block, flags=re.MULTILINE)[1:]:
        line, _, shown_output = told.partition("\n")
        ran = assistant(*shlex.split(line, comments=True))
        assert ran.returncode == 0, ran.stderr
        assert ran.stdout.split() == shown_output.split(), line  # a document may break its lines elsewhere
