"""The calls of one step: checked, looked at for repeats, approved, and run; those that change nothing run together."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from assistant.approval import Approve, Decision, Wanted
from assistant.asking import Make
from assistant.errors import Interrupted
from assistant.prompt import unmarked
from assistant.repeats import Repeats
from memory.masks import MARK
from memory.records import Message, ToolCall
from tools.running import Running
from tools.toolbox import Prepared, Toolbox, ToolResult

TOGETHER = 8  # calls that run at the same time
POLL_S = 0.05  # how often a question of a helper, who works in another thread, is looked for

NOT_KEPT = "Not run: a secret stood in its arguments, which was masked and not kept. Ask the user for it again."
NOT_ANSWERED = "[interrupted: this call may or may not have run]"


@dataclass(frozen=True, slots=True)
class Acted:
    """What came of a call, for the log. `decision` says in a few words who let it run, or why it did not."""

    call: ToolCall
    result: ToolResult
    decision: str
    ms: int = 0


Begun = tuple[Wanted, Decision, Running[ToolResult]]


def _unheard(_acted: Acted) -> None:
    pass


class Acting:
    """Acts on the calls of a model's answers."""

    def __init__(
        self,
        toolbox: Toolbox,
        make: Make,
        approve: Approve,
        watch: Repeats | None = None,
        seconds_left: Callable[[], float] = lambda: float("inf"),
        noted: Callable[[Acted], None] = _unheard,
        meanwhile: Callable[[], None] = lambda: None,
    ) -> None:
        """`approve` decides on the calls of a step; `noted` is told of each just before its answer is given.

        `meanwhile` is called again and again while calls run: to serve those who work in other threads.
        """
        self._toolbox, self._make, self._approve = toolbox, make, approve
        self._watch = watch or Repeats()
        self._seconds_left, self._noted, self._meanwhile = seconds_left, noted, meanwhile

    def __call__(self, said: Message) -> Iterator[Message]:
        """The message, and an answer to each of its calls. Raises Paused before any of them is run.

        An interrupt leaves each call with an answer.
        """
        waiting = list(said.tool_calls)
        try:
            yield said
            yield from self._answers(waiting, bool(said.masked))
        except (KeyboardInterrupt, Interrupted):
            for call in waiting:
                yield self._answered(Acted(call, ToolResult(NOT_ANSWERED, ok=False), "interrupted"))
            raise

    def go_on(self, said: Message) -> Iterator[Message]:
        """The answers to the calls of a message that was given before."""
        answers = self(said)
        next(answers)
        yield from answers

    def _answers(self, waiting: list[ToolCall], masked: bool) -> Iterator[Message]:
        for acted in self._acted(tuple(waiting), masked):
            answer = self._answered(acted)
            del waiting[0]  # only now: until its answer exists, an interrupt must find the call
            yield answer

    def _answered(self, acted: Acted) -> Message:
        call, text = acted.call, unmarked(acted.result.text)
        self._noted(replace(acted, result=replace(acted.result, text=text)))
        message = self._make("tool", text, origin=f"tool:{call.name}", name=call.name, tool_call_id=call.id)
        return message._replace(drawn_from=tuple(filter(None, [acted.result.whose])))

    def _acted(self, calls: Sequence[ToolCall], masked: bool) -> Iterator[Acted]:
        """What comes of the calls, in their order; `masked`: something in their message was."""
        checked = [self._checked(call, masked) for call in calls]
        wanted = [one for one in checked if isinstance(one, Wanted)]
        decided = {one.call.id: decision for one, decision in zip(wanted, self._approve(wanted), strict=True)}
        for batch in _batches(checked):
            running = [self._begun(one, decided) for one in batch]
            for each in running:
                yield each if isinstance(each, Acted) else self._waited(*each)

    def _checked(self, call: ToolCall, masked: bool) -> Wanted | Acted:
        """The call as its owner would be asked for it, or what the model is told of it instead."""
        if told := self._watch(call):
            return Acted(call, ToolResult(told, ok=False), "repeated")
        if masked and MARK in call.arguments:
            return Acted(call, ToolResult(NOT_KEPT, ok=False), "refused: its secret was not kept")
        prepared = self._toolbox.prepare(call.name, call.arguments)
        if isinstance(prepared, ToolResult):
            return Acted(call, prepared, "not a call")
        return Wanted(call, prepared)

    def _begun(self, one: Wanted | Acted, decided: Mapping[str, Decision]) -> "Acted | Begun":
        if isinstance(one, Acted):
            return one
        decision = decided[one.call.id]
        if not decision.allowed:
            return Acted(one.call, ToolResult(decision.told, ok=False), decision.how)
        return one, decision, self._toolbox.begin(one.prepared, self._seconds_left())

    def _waited(self, one: Wanted, decision: Decision, running: Running[ToolResult]) -> Acted:
        while (result := running.result(POLL_S)) is None:
            self._meanwhile()
        return Acted(one.call, result, decision.how, running.ms)


def _batches(checked: Sequence[Wanted | Acted]) -> Iterator[Sequence[Wanted | Acted]]:
    """The calls in parts that may run together: one that changes something waits for those before it."""
    batch: list[Wanted | Acted] = []
    for one in checked:
        alone = isinstance(one, Wanted) and _changes(one.prepared)
        if batch and (alone or len(batch) == TOGETHER):
            yield batch
            batch = []
        batch.append(one)
        if alone:
            yield batch
            batch = []
    if batch:
        yield batch


def _changes(prepared: Prepared) -> bool:
    return bool(prepared.tool.effects & {"writes", "executes"})
