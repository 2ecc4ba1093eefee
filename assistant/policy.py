"""Which calls need their owner's yes: by the setting `approve`, by the tool's effects, and by what was read. Pure."""

import difflib
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from tools.tool import EFFECTS, Tool

Rule = Literal["allow", "ask", "deny"]
STRICTNESS: tuple[Rule, ...] = get_args(Rule)  # the last is the strictest

DEFAULTS = ("reads=allow", "network=allow", "writes=ask", "executes=ask")
NEVER_ALLOWED = ("shell",)  # a command can do anything, so one yes says nothing of the next


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is to be done with a call, and `why`. `lasting`: a yes to it may hold for the rest of the session."""

    rule: Rule
    why: str
    lasting: bool = False


class Policy:
    """The rules by name: of tools, and of effects for the tools that have no rule of their own."""

    def __init__(self, entries: Iterable[str] = ()) -> None:
        """`entries` are the setting's, NAME=ask, allow or deny; the last of a name counts."""
        self._chosen = _rules(entries)
        self._rules = _rules(DEFAULTS) | self._chosen

    def verdict(self, tool: Tool, outside: Sequence[str] = (), always: Collection[str] = ()) -> Verdict:
        """What is to be done with a call of `tool`.

        `outside` names what the model can see of foreign words: then whatever has an effect asks, since they may have
        asked for it. `always` are the tools that have their owner's yes for this session.
        """
        rule, why = self._rule(tool)
        if rule == "deny":
            return Verdict(rule, why)
        if tool.effects and outside:
            return Verdict("ask", f"this turn read text from outside: {', '.join(dict.fromkeys(outside))}")
        if tool.name in NEVER_ALLOWED:
            return Verdict("ask", f"{tool.name} always asks")
        if rule == "ask" and tool.name in always:
            return Verdict("allow", "always in this session")
        return Verdict(rule, why, lasting=rule == "ask")

    def _rule(self, tool: Tool) -> tuple[Rule, str]:
        """The tool's own rule, else the strictest of its effects; and how it reads."""
        if not tool.effects and tool.name not in self._rules:
            return "allow", "no effects"
        names = [tool.name] if tool.name in self._rules else sorted(tool.effects)
        name = max(names, key=lambda one: STRICTNESS.index(self._rules[one]))
        return self._rules[name], f"{name}={self._rules[name]}"

    def unknown(self, tools: Collection[str]) -> list[str]:
        """What a person is told of each name in the setting that is neither an effect nor one of these tools."""
        names = [*EFFECTS, *tools]
        return [_told(name, names) for name in self._chosen if name not in names]


def _rules(entries: Iterable[str]) -> dict[str, Rule]:
    found: dict[str, Rule] = {}
    for name, _, rule in (entry.partition("=") for entry in entries):
        found[name] = next(each for each in STRICTNESS if each == rule)
    return found


def _told(name: str, names: Collection[str]) -> str:
    near = difflib.get_close_matches(name, names, 1)
    return f"The setting approve names {name}, and no such tool is offered." + (
        f" Did you mean {near[0]}?" if near else ""
    )
