"""The tools that a model is offered: those inside the program, what the settings add, and the owner's own."""

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING

from assistant.settings import Settings
from memory.errors import BadInput
from memory.session import LiveSession
from tools.calculator import calculator_tool
from tools.clock import clock_tool
from tools.files import reading_tools
from tools.own import load
from tools.search import search_tool
from tools.tool import Tool
from tools.web import fetch_tool
from tools.writing import writing_tools

if TYPE_CHECKING:
    from assistant.app import App

# Descriptions of tools stand in each request: they take at most this share of what a prompt may hold.
SHARE = 3
PAGE_SHARE = 3  # characters of a page for each token of a result: English text is seldom cut then
# What an own tool may not be called, even while the one of that name is not offered: rules for it would then hold.
RESERVED = (
    "read_file", "list_files", "search_files", "write_file", "edit_file", "recall", "remember", "delegate",
    "shell", "web_search", "web_fetch", "answer",
)  # fmt: skip

Session = Callable[[], LiveSession]


def offered(app: "App", session: Session | None, more: Sequence[Tool], prompt_tokens: int) -> list[Tool]:
    """The tools that have room in prompts of so many tokens, the most useful first.

    With the `session` of a conversation also those that look into the memory; `more` are that conversation's own.
    `app.say` is told of what cannot be offered. Raises BadInput for settings that cannot be followed.
    """
    tools = [*_inside(app, session), *more]
    tools += _own(app, [*(each.name for each in tools), *RESERVED])
    costs = accumulate(app.counter.tools([each.schema()]) for each in tools)
    return [each for each, cost in zip(tools, costs, strict=True) if cost <= prompt_tokens // SHARE]


def _inside(app: "App", session: Session | None) -> Iterator[Tool]:
    """The tools of this program."""
    chosen = app.settings
    folders = [Path(folder).expanduser() for folder in chosen.folders]
    # What rules over the tools is out of their reach.
    # Not the base home of a profile either, nor the others in it.
    closed = [chosen.base or chosen.home, chosen.home, *(Path(each).expanduser() for each in chosen.own_tools)]
    yield from (calculator_tool(), clock_tool())
    yield from reading_tools(folders, closed=closed)
    if session:
        yield from app.memory_tools(session)
    yield from _web(chosen)
    yield from writing_tools(folders, closed=closed)
    if chosen.shell:
        yield _shell(folders, chosen.tool_seconds)


def _web(chosen: Settings) -> Iterator[Tool]:
    try:
        yield from search_tool(chosen.search, chosen.search_key)
    except ValueError as error:  # it cannot be set up so
        raise BadInput(f"{error}.", "Or set `search` to nothing.") from error
    yield fetch_tool(allow_own=chosen.private_addresses, characters=PAGE_SHARE * chosen.tool_tokens)


def _shell(folders: Sequence[Path], timeout_s: float) -> Tool:
    if os.name != "posix":
        raise BadInput("There is no shell tool on this system.", "Set `shell` to false.")
    from tools.shell import shell_tool

    return shell_tool(folders[0] if folders else Path.home(), timeout_s)


def _own(app: "App", taken: Sequence[str]) -> list[Tool]:
    loaded = load([Path(each) for each in app.settings.own_tools], taken=taken)
    for problem in loaded.problems:
        app.say(problem)
    return list(loaded.tools)


def stop_commands() -> None:
    """End the commands of the shell that still run. Nothing, where none ever ran."""
    if shell := sys.modules.get("tools.shell"):
        shell.stop_running()
