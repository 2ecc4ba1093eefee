"""The parts for conversations of which nothing is kept: those of an App, but for its memory, log and traces."""

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from assistant.app import App, Choice
from memory.connection import InMemory
from memory.incognito import IncognitoMemory
from memory.manager import MemoryManager
from memory.tokens import Counter

if TYPE_CHECKING:
    from assistant.llm import Endpoint
    from assistant.local import LocalEndpoint
    from assistant.telemetry import Telemetry
    from memory.index import Index
    from memory.masks import Masking
    from memory.session import LiveSession
    from tools.tool import Tool


class IncognitoApp(App):
    """An App whose memory is a store in memory. Its model is that of the App it is made from."""

    keeps = False

    def __init__(self, parts: App, recalls: bool = False, outside: Sequence[str] = ()) -> None:
        """`recalls`: the memory is read. `outside` names whose words from outside the conversation begins with."""
        super().__init__(parts.settings, parts.say)
        self.recalls = recalls
        self._parts, self._outside = parts, tuple(outside)
        self._place = InMemory()

    def another_memory(self) -> MemoryManager:
        """A manager for another thread, on the same store in memory."""
        return IncognitoMemory(
            self.settings.home, self._place, self.counter, lambda: self.index, self._past, self._outside, self.masking,
            self.say,
        )  # fmt: skip

    def _past(self) -> MemoryManager | None:
        """The memory that is read. One that does not exist is not made for it."""
        there = self.recalls and (self.settings.home / "memory.db").exists()
        return self._parts.another_memory() if there else None

    def memory_tools(self, session: "Callable[[], LiveSession]") -> "list[Tool]":
        """The tool recall where the memory is read, and never one that writes."""
        return [each for each in super().memory_tools(session) if self.recalls and not each.effects]

    @property
    def masking(self) -> "Masking":
        """Nothing is masked, since nothing is stored: the model sees what was said for as long as it is talked."""
        from memory.masks import Masking

        return Masking(False, False, self.say)

    def log_to_file(self) -> None:
        """Keep no log."""

    @property
    def telemetry(self) -> "Telemetry | None":
        """Nothing is sent."""
        return None

    # ------------------------------------------------------------------ what is shared

    @cached_property
    def counter(self) -> Counter:
        """Counts tokens as the chosen model does."""
        return self._parts.counter

    @cached_property
    def choice(self) -> Choice:
        """The model that answers."""
        return self._parts.choice

    @property
    def endpoint(self) -> "Endpoint":
        """The model's endpoint."""
        return self._parts.endpoint

    @property
    def _served(self) -> "LocalEndpoint":
        return self._parts._served

    def index_of(self, model: str) -> "Index":
        """The vector index of an embedding model, which is read alone."""
        return self._parts.index_of(model)

    def heed_window(self, tokens: int | None) -> bool:
        """Keep to the window that the endpoint names, also in the conversations after this one."""
        return self._parts.heed_window(tokens)

    @property
    def _window(self) -> int:
        return self._parts._window
