"""What one loop may show its model and have it say: within the model's window, and within the limits."""

import logging
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from assistant.asking import Model
from assistant.errors import ContextOverflow
from assistant.limits import Meter
from assistant.reply import Delta, Reply, Usage
from assistant.schemacalls import by_schema
from assistant.textcalls import with_text_calls
from memory.manager import MemoryManager
from memory.records import Message
from memory.tokens import HIGHEST, REPLY_PRIMING, Calibration, calibrated
from memory.window import Window

if TYPE_CHECKING:
    from assistant.app import App
    from assistant.llm import Cancelled, Sending

log = logging.getLogger(__name__)

# Of what was sent, for the one retry, where nothing that the endpoint says explains why it was too long.
TIGHTER = 0.75


class Budget:
    """The windows and the model of one loop. Tokens are counted as tiktoken does; a calibration tells the model's own.

    `fit` gives the window of so many counted tokens; `schema_tokens` is what the tools' descriptions cost.
    """

    def __init__(
        self, app: "App", memory: MemoryManager, meter: Meter, schema_tokens: int, fit: Callable[[int], Window]
    ) -> None:
        self.meter = meter
        self._app, self._memory, self._schema_tokens, self._fit = app, memory, schema_tokens, fit
        self._asked_tokens = 0  # counted for the last request, to be compared with what the endpoint reports
        self._window_tokens = 0  # of these, the messages'
        self._reply_tokens = 0  # the most that its reply could have, as the endpoint counts; 0: no bound was sent
        self._last = False  # whether the last request was a turn's last one, at a limit

    def under(self, meter: Meter) -> "Budget":
        """The same for a part of the loop's work that has limits of its own."""
        return Budget(self._app, self._memory, meter, self._schema_tokens, self._fit)

    def room(self) -> int:
        """The most counted tokens of a window: the context less the reply, the tools and the priming."""
        return self._app.prompt_tokens(self._memory) - self._schema_tokens - REPLY_PRIMING

    def window(self, *, refused: ContextOverflow | None = None, last: bool = False) -> Sequence[Message]:
        """What the model is shown; see asking.Window. At a limit it is no more than what is left for it."""
        budget = self._room_after(refused) if refused else self.room()
        tools, self._last = 0 if last else self._schema_tokens, last
        left = self.meter.room(0, last=True).prompt if last else math.inf
        if left < math.inf:
            budget = min(budget, int(left / self._factor) - REPLY_PRIMING)
        window = self._fit(budget)
        self._window_tokens = window.tokens
        self._asked_tokens = window.tokens + tools + REPLY_PRIMING
        return window.messages

    def _room_after(self, refused: ContextOverflow) -> int:
        """The room of the one retry: where what the endpoint says explains the refusal it is kept to, else guessed."""
        self._app.heed_window(refused.window)
        if refused.prompt and refused.prompt <= HIGHEST * self._asked_tokens:  # else it counts something else
            self._calibrate(refused.prompt)
        asked = self._asked_tokens + self._reply_tokens / self._factor
        if asked > self._app.context_tokens(self._memory):
            return self.room()
        return int(min(self.room(), self._window_tokens) * TIGHTER)

    def reached(self) -> str:
        """What has run out for the next step; empty: nothing has. Raises ContextTooSmall."""
        tokens = self._fit(self.room()).tokens + self._schema_tokens + REPLY_PRIMING
        return self.meter.reached(int(tokens * self._factor))

    def seconds_left(self) -> float:
        """How long a call of a tool may take."""
        return self.meter.room(0).seconds

    def model(self, sending: "Callable[[Sequence[Message]], Sending]", cancelled: "Cancelled | None" = None) -> Model:
        """The model within the limits. `sending` gives for the messages of a request what is told of it."""

        def ask(
            messages: Sequence[Message],
            tools: Sequence[Mapping[str, Any]],
            *,
            schema: Mapping[str, Any] | None = None,
        ) -> Iterable[Delta | Reply]:
            prompt = int(self._asked_tokens * self._factor)
            room = self.meter.room(prompt, self._last)
            most = min(self._app.reply_limit or math.inf, room.reply)
            self._reply_tokens = 0 if most == math.inf else max(int(min(most, self._app.reply_most(prompt))), 1)
            return self._app.endpoint.stream(
                messages,
                tools,
                self._reply_tokens or None,
                schema,
                cancelled,
                sending(messages),
                deadline_s=room.seconds,
            )

        return by_schema(ask) if self._app.by_schema else with_text_calls(ask)

    def heard(self, reply: Reply) -> None:
        """Count what a reply took, and learn how the endpoint counts."""
        self.meter.charge(reply.usage or self._estimated(reply))
        self._calibrate(reply.usage.prompt if reply.usage else None)

    def _calibrate(self, reported: int | None) -> None:
        """Learn from what the endpoint says of the last prompt's size, in its tokens."""
        name, store = self._app.choice.name, self._memory.store
        old = Calibration(store.calibration(name))
        new = calibrated(old, self._asked_tokens, reported)
        if new is not old:
            store.calibrate(name, new.factor)
            log.info("%s counts %.2f tokens for one counted here; its window is used accordingly", name, new.factor)

    def _estimated(self, reply: Reply) -> Usage:
        """The usage of a reply whose endpoint tells none."""
        said = "".join([reply.text, reply.reasoning, *(call.arguments for call in reply.tool_calls)])
        return Usage(int(self._asked_tokens * self._factor), self._memory.counter.text(said), 0)

    @property
    def _factor(self) -> float:
        return self._memory.store.calibration(self._app.choice.name)
