"""What travels between the rooms: frozen values without behaviour.

They are named tuples: at each start sixteen dataclasses took as long as a bare interpreter.
"""

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

Role = Literal["system", "user", "assistant", "tool"]
State = Literal["open", "ended", "summarised", "indexed"]
FactKind = Literal["fact", "preference", "decision", "task", "person"]
FactStatus = Literal["kept", "review", "rejected"]
HitKind = Literal["summary", "fact", "message"]

# Origins are set by code, never by text. A tool's is "tool:" and its name.
USER, ASSISTANT, IMPORTED, RECALLED, SYSTEM = "user", "assistant", "imported", "recalled", "system"

NOTHING: Mapping[str, Any] = MappingProxyType({})


class ToolCall(NamedTuple):
    """A model's request to run a tool. `arguments` is the JSON text as the model wrote it, perhaps broken."""

    id: str
    name: str
    arguments: str


class Message(NamedTuple):
    """One line of a transcript. `at` is aware, in UTC; `tokens` is its cost in a request, framing included.

    `seq` is the store's row number (0: not stored); ids are unique within their session only. `drawn_from` names the
    tools whose words from outside it may repeat, `masked` is how many secrets were taken out of it.
    """

    id: str
    session_id: str
    role: Role
    content: str
    at: datetime
    origin: str
    name: str | None = None
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None
    tokens: int = 0
    seq: int = 0
    drawn_from: tuple[str, ...] = ()
    masked: int = 0


class Session(NamedTuple):
    """One conversation."""

    id: str
    started_at: datetime
    title: str = ""
    ended_at: datetime | None = None
    state: State = "open"
    origin: str = USER
    model: str = ""


class Summary(NamedTuple):
    """The notes on one session: a title and a gist. `written_by` is a model's name, "extracted" or "imported".

    `tried_by` names the model whose own notes failed the checks where `written_by` is "extracted".
    """

    session_id: str
    title: str
    gist: str
    at: datetime
    written_by: str
    origin: str
    tried_by: str = ""
    tokens: int = 0


class Fact(NamedTuple):
    """One dated statement with the messages it rests on. `quote` stands literally in one of them, or is empty.

    `at` is when it was said, `valid_from` since when it holds, `until` up to when it held. Only status "kept" is
    shown to a model. `retired_by` names the fact that took its place, `same_as` the one that says the same and
    stands for both. `handled`: its owner decided on it, so notes that are written again leave it as it is.
    """

    id: str
    session_id: str
    text: str
    kind: FactKind
    at: datetime
    message_ids: tuple[str, ...]
    quote: str
    origin: str
    status: FactStatus = "kept"
    valid_from: datetime | None = None
    retired_by: str | None = None
    pinned: bool = False
    tokens: int = 0
    until: datetime | None = None
    same_as: str | None = None
    handled: bool = False


class Hit(NamedTuple):
    """Something recalled. `text` is what would be shown, `tokens` its cost, `score` higher is better.

    `unit` names its row in the store: "m12" for a message, "s3" for a summary, "f7" for a fact.
    """

    unit: str
    kind: HitKind
    session_id: str
    message_ids: tuple[str, ...]
    text: str
    at: datetime
    origin: str
    score: float
    tokens: int
    title: str = ""
    why: Mapping[str, Any] = NOTHING


class Cut(NamedTuple):
    """A candidate that was found for a prompt and not shown there, and the reason in a few words."""

    unit: str
    session_id: str
    score: float
    reason: str
    why: Mapping[str, Any] = NOTHING


class Outcome(NamedTuple):
    """How a call ended. `finish` is the endpoint's word, "broken", "deadline" or "interrupted"; empty: see `error`.

    `ms` are milliseconds from before the request to the reply's end, `retries` how often it was sent again. The tokens
    are the endpoint's own count, None where it gave none.
    """

    ms: int
    finish: str = ""
    error: str = ""
    retries: int = 0
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    cached_tokens: int | None = None


class Spent(NamedTuple):
    """What calls of a model took: their number, tokens, seconds, and US dollars, None where a price is unknown."""

    steps: int = 0
    tokens: int = 0
    seconds: float = 0.0
    usd: float | None = 0.0


class Scope(NamedTuple):
    """What a recall may look at. `after` is inclusive, `before` exclusive; both aware. None or empty: no bound.

    `as_of` is the first moment of which the memory is to know nothing yet. `past`: facts that hold no more are found.
    """

    after: datetime | None = None
    before: datetime | None = None
    as_of: datetime | None = None
    session_id: str | None = None
    kinds: tuple[HitKind, ...] = ()
    past: bool = False
