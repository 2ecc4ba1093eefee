"""The one place where the real parts are put together. Each part is made when it is first needed."""

import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import ExitStack, closing
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from assistant import settings as settings_file
from assistant.errors import ModelError, ModelUnreachable
from assistant.settings import EMBEDDINGS, ENDPOINT, Settings
from memory.errors import BadInput
from memory.files import private_file
from memory.manager import MemoryManager
from memory.tokens import Counter, encoding_for

if TYPE_CHECKING:
    import logging

    from assistant.approval import AskOwner
    from assistant.chat import Chat
    from assistant.limits import Meter
    from assistant.llm import Endpoint
    from assistant.local import LocalEndpoint
    from assistant.models import ModelInfo, Prices
    from assistant.planning import Agree
    from assistant.policy import Policy
    from assistant.telemetry import Telemetry
    from memory.embedding import Embedder
    from memory.index import Index
    from memory.masks import Masking
    from memory.plans import PlanRow
    from memory.session import LiveSession
    from memory.summary import Notes
    from tools.tool import Tool
    from tools.toolbox import Toolbox

DEFAULT_LOCAL = "smollm2-135m"
DEFAULT_REMOTE = "gpt-5-mini"
LOG_BYTES = 1_000_000
LOGGED = ("assistant", "memory", "tools")  # the rooms whose lines the log holds
# What is recalled takes at most this share of a model's window: a small model reads slowly and is easily led astray.
RECALL_SHARE = 6
PINNED_SHARE = 8  # of a window, at most, may be pinned facts

Say = Callable[[str], None]


class Choice(NamedTuple):
    """Which model answers: a GGUF file served inside the process, or a model of an endpoint."""

    name: str
    info: "ModelInfo"
    embedded: bool


class App:
    """The parts of one run of the program. `say` tells a person what takes time or was chosen, on stderr."""

    keeps, recalls = True, True  # whether conversations are kept, and whether the memory is read

    def __init__(self, settings: Settings, say: Say) -> None:
        self.settings = settings
        self.say = say
        self._making = threading.RLock()  # the background asks for the same parts
        self._open = ExitStack()  # what close() lets go of
        self._indexes: dict[str, Index] = {}
        self._told = set[str]()  # what is told once
        self._log: logging.Handler | None = None
        self._heeded: int | None = None  # the window that the endpoint named when it refused a prompt

    @classmethod
    def from_flags(cls, say: Say, **flags: Any) -> "App":
        """The parts as settings.load() and the flags of a command want them."""
        return cls(settings_file.load(flags)[0], say)

    # ------------------------------------------------------------------ the memory

    @cached_property
    def counter(self) -> Counter:
        """Counts tokens as the chosen model does, which is looked up at the first count: most commands count none."""
        return Counter(self._encoding, self.settings.tables)

    def _encoding(self) -> str:
        name = self.settings.model or DEFAULT_REMOTE
        info = lookup(name)
        return info.encoding if info.known else encoding_for(name)[0]

    @cached_property
    def memory(self) -> MemoryManager:
        """The memory of this thread."""
        return self._open.enter_context(closing(self.another_memory()))

    def another_memory(self) -> MemoryManager:
        """A manager for another thread, on the same files and the same indexes."""
        memory = MemoryManager(
            self.settings.home, self.counter, lambda: self.index, older=self.index_of, masking=self.masking
        )
        memory.plain_vectors = self.settings.plain_vectors
        memory.review_facts = self.settings.review_facts
        return memory

    @property
    def masking(self) -> "Masking":
        """What is done to texts before they are stored; it counts for one memory."""
        from memory.masks import Masking

        return Masking(self.settings.mask_secrets, self.settings.keep_secrets, self.say)

    @property
    def index(self) -> "Index":
        """The vector index of the chosen embedding model."""
        return self.index_of(self._embedding)

    def index_of(self, model: str) -> "Index":
        """The vector index of an embedding model, by the model's name; one for the process."""
        from memory.index import Index

        with self._making:
            if model not in self._indexes:
                home = self.settings.home
                index = Index(home / "index", self._embedder(model), home / "locks" / "index.lock")
                self._indexes[model] = self._open.enter_context(closing(index))
            return self._indexes[model]

    @cached_property
    def _embedding(self) -> str:
        """The name of the embedding model that the settings choose."""
        chosen = self.settings.embedding
        return chosen if chosen.startswith(ENDPOINT) else self._built_in[chosen].name

    @cached_property
    def _built_in(self) -> "Mapping[str, Embedder]":
        """The embedding models inside the program, as the settings call them. None is loaded before its first text."""
        from memory.embedding import MiniLM
        from memory.multilingual import Multilingual

        quiet_logging()
        return dict(zip(EMBEDDINGS, (MiniLM(), Multilingual()), strict=True))

    def _embedder(self, model: str) -> "Embedder":
        """An embedding model by its own name. One of an endpoint is asked where the settings' endpoint is now."""
        from memory.embedding import Unavailable

        for embedder in self._built_in.values():
            if embedder.name == model:
                return embedder
        chosen = self.settings
        base_url = chosen.embedding_base_url or chosen.base_url
        if not model.startswith(ENDPOINT) or not (base_url or chosen.api_key):
            remedy = "Set OPENAI_BASE_URL or embedding_base_url." if model.startswith(ENDPOINT) else ""
            return Unavailable(model, remedy)
        from assistant.embeddings import EmbeddingsEndpoint

        endpoint = EmbeddingsEndpoint(model.removeprefix(ENDPOINT), base_url or None, chosen.api_key or None)
        return self._open.enter_context(closing(endpoint))

    # ------------------------------------------------------------------ the model

    @cached_property
    def choice(self) -> Choice:
        """The model that answers, by what was asked for and what is there."""
        quiet_logging()
        chosen = self.settings
        if chosen.base_url and not chosen.model:
            offered = self._offered()
            return Choice(offered, self._info(offered), embedded=False)
        name = chosen.model or (DEFAULT_REMOTE if chosen.api_key else DEFAULT_LOCAL)
        here = self._weights(name) is not None
        # A key alone leads to OpenAI, which serves none of the files that the table pins.
        remote = chosen.base_url or (chosen.api_key and not lookup(name).local)
        embedded = here or not remote
        if embedded and not here and name != DEFAULT_LOCAL:
            raise self._unknown(name)
        return Choice(name, self._info(name), embedded)

    def _info(self, name: str) -> "ModelInfo":
        from dataclasses import replace

        info = lookup(name)
        return replace(info, context_tokens=self.settings.context_tokens or info.context_tokens)

    def _weights(self, name: str) -> Path | None:
        from assistant.weights import find

        return find(name, self.settings.weights)

    def _unknown(self, name: str) -> ModelUnreachable:
        if lookup(name).local:
            return ModelUnreachable(f"{name} is not on this machine.", f"Run `assistant models pull {name}`.")
        return ModelUnreachable(
            f"No model {name!r} can be reached.",
            "Set OPENAI_API_KEY or OPENAI_BASE_URL, or add its GGUF file with `assistant models add`.",
        )

    def _offered(self) -> str:
        """The one model that an endpoint offers. Raises ModelError where there are several."""
        from assistant.llm import Endpoint

        with closing(Endpoint("", self.settings.base_url, self.settings.api_key or None)) as endpoint:
            names = endpoint.models()
        if len(names) == 1:
            return names[0]
        raise ModelError(
            f"{self.settings.base_url} offers {', '.join(names[:5]) or 'no model'}.", "Choose with --model."
        )

    @property
    def endpoint(self) -> "Endpoint":
        """The model's endpoint; the embedded model is fetched and started for it."""
        with self._making:
            return self._endpoint

    @cached_property
    def _endpoint(self) -> "Endpoint":
        from assistant.llm import Endpoint

        choice, chosen = self.choice, self.settings
        if choice.embedded:
            served = self._served
            made = Endpoint(choice.name, served.base_url, served.api_key, temperature=0.0, quirks=self._quirks())
        else:
            made = Endpoint(choice.name, chosen.base_url or None, chosen.api_key or None, quirks=self._quirks())
        return self._open.enter_context(closing(made))

    def _quirks(self) -> tuple[str, ...]:
        late = () if self.choice.info.late_system else ("no_late_system",)
        in_words = ("no_tools",) if self.by_schema else ()
        return (*late, *in_words)

    @property
    def by_schema(self) -> bool:
        """Whether tools are offered through a schema: because the setting says so, or the model table."""
        return self.settings.tool_calls == "schema" or self.choice.info.by_schema

    @property
    def _served(self) -> "LocalEndpoint":
        with self._making:
            return self._server

    @cached_property
    def _server(self) -> "LocalEndpoint":
        from assistant.local import serve
        from assistant.weights import ensure_default

        path = self._weights(self.choice.name) or ensure_default(self.settings.weights, self.say)
        server = serve(path, self.choice.info.context_tokens, self.settings.threads)
        self._open.callback(server.stop)
        return server

    def context_tokens(self, memory: MemoryManager) -> int:
        """The model's window as it is counted here: what the endpoint counts, less the calibration."""
        return int(self._window / memory.store.calibration(self.choice.name))

    def prompt_tokens(self, memory: MemoryManager) -> int:
        """What of the window a prompt may take, as it is counted here: the rest is kept free for the reply."""
        return int((self._window - self._reply_tokens) / memory.store.calibration(self.choice.name))

    def recall_budget(self, context_tokens: int | None = None) -> int:
        """The most counted tokens of what is recalled for one prompt: the setting's, or a share of the model's window.

        Without `context_tokens`, the window as it is counted here, it is what the table says of the model that would
        answer: none is started, and no endpoint is asked.
        """
        chosen = self.settings
        if context_tokens is None:
            name = chosen.model or (DEFAULT_REMOTE if chosen.api_key else DEFAULT_LOCAL)
            window = chosen.context_tokens or lookup(name).context_tokens
            context_tokens = int(window / self.memory.store.calibration(name))
        return min(chosen.recall_tokens, context_tokens // RECALL_SHARE)

    def pinned_budget(self, context_tokens: int) -> int:
        """The most counted tokens of what is pinned: the setting's, or a share of a model's small window."""
        return min(self.settings.pinned_tokens, context_tokens // PINNED_SHARE)

    def heed_window(self, tokens: int | None) -> bool:
        """Keep to the window that the endpoint names in a refusal, from now on; says whether it is a smaller one."""
        if tokens is None or tokens >= self._window:
            return False
        import logging

        self._heeded = tokens
        log = logging.getLogger(__name__)
        log.info("the window of %s is %d tokens, as its endpoint says: it is kept to", self.choice.name, tokens)
        return True

    def reply_most(self, prompt: int) -> int:
        """The most tokens that a reply to a prompt of so many can have, both as the endpoint counts.

        More must not be asked for: some refuse that.
        """
        info, left = self.choice.info, self._window - prompt
        return min(left, info.reply_tokens) if info.known else left

    @property
    def reply_limit(self) -> int | None:
        """The most tokens of a reply: a model inside this program may never end, so as many as one waits for."""
        return self._reply_tokens if self.choice.embedded else None

    @property
    def _window(self) -> int:
        believed = self._served.context_tokens if self.choice.embedded else self.choice.info.context_tokens
        return min(believed, self._heeded or believed)

    @property
    def _reply_tokens(self) -> int:
        """At most half of the window: ASSISTANT_CONTEXT_TOKENS may be less than what the table keeps free."""
        return min(self.choice.info.reply_tokens, self._window // 2)

    # ------------------------------------------------------------------ limits

    @property
    def prices(self) -> "Prices | None":
        """What the chosen model's tokens cost: nothing inside this program, else the setting's or the table's word."""
        from assistant.models import Prices

        if self.choice.embedded:
            return Prices(0.0, None, 0.0, None, "", "inside this program")
        if self.settings.price:
            prompt, cached, completion = map(float, self.settings.price.split(","))
            return Prices(prompt, cached, completion, None, "", "the setting price")
        return self.choice.info.prices

    def check_price(self) -> None:
        """Raise BadInput where a limit of money cannot be kept, since nobody knows the price."""
        chosen = self.settings
        if (chosen.max_usd or chosen.session_usd) and self.prices is None:
            raise BadInput(
                f"The price of {self.choice.name} is unknown, so a limit of money cannot be kept.",
                "Set `price`, or set max_usd and session_usd to 0.",
            )

    def session_meter(self, memory: MemoryManager, session_id: str = "") -> "Meter":
        """Counts what a session spends, from what it has spent so far on."""
        from assistant.limits import Limits, Meter

        chosen = self.settings
        limits = Limits(chosen.session_steps, chosen.session_tokens, chosen.session_seconds, chosen.session_usd)
        return Meter(
            "session", limits, self.prices, spent=memory.receipts.spent("session_id", session_id), all_steps=True
        )

    def turn_meter(self, above: "Meter", turn: int = 0, planned: bool = False) -> "Meter":
        """Counts what a turn spends, as its session does; of a paused one (its `seq`) from its steps so far on."""
        from assistant.limits import Limits, Meter

        chosen = self.settings
        steps = 0 if planned else chosen.max_steps  # each step of a plan has as many
        limits = Limits(steps, chosen.max_tokens, chosen.max_seconds, chosen.max_usd)
        return Meter("turn", limits, self.prices, above, self.memory.receipts.spent("turn", turn))

    # ------------------------------------------------------------------ what is made of them

    def toolbox(
        self,
        memory: MemoryManager,
        session: "Callable[[], LiveSession] | None" = None,
        more: "Sequence[Tool]" = (),
    ) -> "Toolbox":
        """The tools that the model is offered; none where the model table says that it cannot use them.

        With the `session` of a conversation also those that look into the memory; `more` are that conversation's own.
        """
        from assistant.toolset import offered
        from tools.toolbox import Toolbox

        usable = self.choice.info.tools or self.by_schema
        tools = offered(self, session, more, self.prompt_tokens(memory)) if usable else []
        return Toolbox(tools, self.counter.text, self.settings.tool_tokens, self.settings.tool_seconds)

    def memory_tools(self, session: "Callable[[], LiveSession]") -> "list[Tool]":
        """The tools that look into the memory and write into it, for the conversation that `session` gives."""
        from assistant.memory_tools import memory_tools

        return memory_tools(self.another_memory, session)

    def policy(self, tools: Collection[str]) -> "Policy":
        """Which calls of these tools need their owner's yes. What the setting names and nobody offers is told, once."""
        from assistant.policy import Policy

        policy = Policy(self.settings.approve)
        lines = [line for line in policy.unknown(tools) if line not in self._told] if tools else []
        for line in lines:
            self.say(line)
        self._told.update(lines)
        return policy

    def chat(self, ask_owner: "AskOwner | None" = None, agree: "Agree | None" = None) -> "Chat":
        """A new conversation. Where its owner cannot be asked, a turn that needs their yes is paused."""
        from assistant.chat import Chat

        return Chat(self, ask_owner=ask_owner, agree=agree)

    def incognito(self, recalls: bool = False, outside: "Sequence[str]" = ()) -> "App":
        """The same parts for conversations of which nothing is kept; the memory is read if `recalls`.

        `outside` names whose words from outside a conversation begins with.
        """
        from assistant.incognito import IncognitoApp

        return self._open.enter_context(closing(IncognitoApp(self, recalls, outside)))

    def resumed(self, session_id: str, ask_owner: "AskOwner | None" = None, agree: "Agree | None" = None) -> "Chat":
        """The conversation of a session that was paused. Raises BadInput where another process is at it."""
        from assistant.chat import Chat

        return Chat(self, self.memory.resume(session_id, self.choice.name), ask_owner, agree)

    def resumed_plan(self, plan: "PlanRow", ask_owner: "AskOwner | None" = None) -> "Chat":
        """The conversation of an unfinished plan, which its owner agrees to. Raises BadInput as `resumed` does."""
        from assistant.chat import Chat

        return Chat(self, self.memory.resume_plan(plan, self.choice.name), ask_owner)

    def write_notes(self, memory: MemoryManager, session_id: str, away: Callable[[], bool] = lambda: False) -> "Notes":
        """The notes on an ended session, written and kept; `away` breaks the model's replies off.

        Raises what the model raises; the notes then stay owed.
        """
        from assistant import notes

        return notes.write(self, memory, session_id, away)

    @property
    def telemetry(self) -> "Telemetry | None":
        """Where traces are sent; None where the settings name no place, or the extra is missing, which is told."""
        with self._making:
            return self._telemetry

    @cached_property
    def _telemetry(self) -> "Telemetry | None":
        if not self.settings.otlp_endpoint:
            return None
        from assistant.telemetry import MISSING, Telemetry

        if not Telemetry.available():
            self.say(MISSING)
            return None
        sending = Telemetry(self.settings.otlp_endpoint, self.settings.otlp_content)
        return self._open.enter_context(closing(sending))

    def log_to_file(self) -> None:
        """Keep a log of what the program adapts to or leaves undone. It holds no words of a conversation."""
        import logging
        from logging.handlers import RotatingFileHandler

        from memory.visible import visible_line

        path = private_file(self.settings.home / "assistant.log")
        handler = RotatingFileHandler(path, maxBytes=LOG_BYTES, backupCount=1, encoding="utf-8")
        masked = self.masking.text

        class Masked(logging.Formatter):
            def format(self, record: logging.LogRecord) -> str:
                return masked(visible_line(super().format(record)))  # ids from outside may hold a line's end

        handler.setFormatter(Masked("%(asctime)s %(levelname)s %(name)s: %(message)s"))
        for room in LOGGED:
            logging.getLogger(room).addHandler(handler)
            logging.getLogger(room).setLevel(logging.INFO)
        self._log = handler

    def stop_log(self) -> None:
        """Write nothing into the log any more, until `log_to_file` is called again."""
        import logging

        if self._log:
            for room in LOGGED:
                logging.getLogger(room).removeHandler(self._log)
            self._log.close()
            self._log = None

    def close(self) -> None:
        """Let go of what was opened."""
        self._open.close()


def lookup(name: str) -> "ModelInfo":
    """The row of the model table for a model. Most commands need none, and start the faster without the table."""
    from assistant import models

    return models.lookup(name)


def quiet_logging() -> None:
    """Let log lines go to the log file alone: without any handler Python would write warnings to stderr.

    Called by what brings in libraries that log. Most commands bring in none, and start the faster without logging.
    """
    import logging

    logging.getLogger().addHandler(logging.NullHandler())
