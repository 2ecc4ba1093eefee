"""A model behind an address that speaks OpenAI's chat completions: records in, records out.

What endpoints refuse differs; a request is adapted to what this one refused before (see quirks.py). What passes is sent
again after a pause (see faults.py), and no call goes on beyond its deadline (see timeouts.py).
"""

import logging
import random
import time
from collections.abc import Callable, Collection, Generator, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from typing import Any

from assistant.door import ALONE, TIMEOUT_S, Door
from assistant.errors import ModelUnreachable
from assistant.faults import BACKOFF_S, Fault, FaultError, is_overflow, is_transient, pause_s
from assistant.quirks import adapted, learned
from assistant.reply import Delta, Draft, Reply
from assistant.timeouts import DeadlineReached, Watch
from assistant.wire import Request, Wire, to_bytes, to_wire
from memory.records import Message, Outcome

log = logging.getLogger(__name__)

Cancelled = Callable[[], bool]
Ended = Callable[[Outcome], None]
# Told of each request just before it is sent, as it is sent: its body and the bytes of it. What this gives back is told
# how the call ended, with how often the same bytes were sent again.
Sending = Callable[[Request, bytes], Ended]

# The longest time with signs of life and nothing else. A small machine that reads a long prompt gives them for minutes.
IDLE_S = 1800.0
LINGER_S = 5.0  # for the usage, and whatever else comes after the endpoint's word for the end


class Endpoint:
    """A model behind an address. Nothing is sent before the first call."""

    def __init__(
        self,
        model: str,
        base_url: str | None = None,
        api_key: str | None = None,
        temperature: float | None = None,
        timeout_s: float = TIMEOUT_S,
        max_retries: int = 2,
        quirks: Collection[str] = (),
        backoff_s: float = BACKOFF_S,
        idle_s: float = IDLE_S,
    ) -> None:
        """Name the model and its address (None: OpenAI's own). A temperature of None is the endpoint's own.

        `timeout_s` is the longest silence in seconds, `idle_s` the longest with signs of life alone. After what passes
        the request is sent again up to `max_retries` times, after `backoff_s` and then longer, or what Retry-After asks
        for up to two minutes. `quirks` are names from quirks.QUIRKS known beforehand.
        """
        self.model = model
        self.quirks = frozenset(quirks)
        self._door = Door(base_url, api_key, timeout_s, max_retries)
        self._limit_name = "max_completion_tokens" if self._door.is_openais_own else "max_tokens"
        self._temperature = temperature
        self._max_retries, self._backoff_s, self._idle_s = max_retries, backoff_s, idle_s

    @property
    def host(self) -> str:
        """The host, with its port where one is given."""
        return self._door.host

    def stream(
        self,
        messages: Sequence[Message],
        tools: Sequence[Mapping[str, Any]] = (),
        max_tokens: int | None = None,
        schema: Mapping[str, Any] | None = None,
        cancelled: Cancelled | None = None,
        sending: Sending | None = None,
        deadline_s: float | None = None,
    ) -> Iterator[Delta | Reply]:
        """Ask the model: its reply in pieces as they come, and the whole Reply last.

        `tools` are described as OpenAI's chat API wants them; `schema` is a JSON schema that the reply must fit.
        `cancelled` is asked all the while, also in a silence. After `deadline_s` seconds from now the reply is what has
        come, with the finish "deadline". However the reading ends, the connection is closed. `sending` is told of each
        request, also of one that is sent again because the endpoint refused something; what it raises ends all.

        Raises RateLimited, KeyRefused, ModelUnreachable, ContextOverflow, SchemaRefused, ModelError, Interrupted.
        """
        watch = Watch(self._idle_s, deadline_s, cancelled)
        wire = [to_wire(message) for message in messages]
        yield from self._ask(self._request(wire, tools, max_tokens, schema), watch, sending)

    def complete(
        self,
        system: str,
        text: str,
        schema: Mapping[str, Any] | None,
        max_tokens: int,
        cancelled: Cancelled | None = None,
        sending: Sending | None = None,
    ) -> str:
        """Ask once, without a conversation, and return the whole reply, also one cut off at `max_tokens`.

        Raises what `stream` raises, and ModelUnreachable when the connection broke half way.
        """
        watch = Watch(self._idle_s, cancelled=cancelled)
        wire = [{"role": "system", "content": system}, {"role": "user", "content": text}]
        *_, reply = self._ask(self._request(wire, (), max_tokens, schema), watch, sending)
        assert isinstance(reply, Reply)
        if reply.finish == "broken":
            raise ModelUnreachable(f"The connection to {self.host} broke off.", "Try again.")
        return reply.text

    def models(self) -> tuple[str, ...]:
        """The names of the models the endpoint offers, sorted. Raises what `stream` raises."""
        with self._door.translating(self.model):
            return tuple(sorted(each.id for each in self._door.client.models.list(extra_headers=ALONE)))

    def close(self) -> None:
        """Close the connections. The endpoint cannot be used again."""
        self._door.close()

    def _request(
        self,
        messages: Sequence[Wire],
        tools: Sequence[Mapping[str, Any]],
        max_tokens: int | None,
        schema: Mapping[str, Any] | None,
    ) -> Request:
        """The request as OpenAI would take it, before any quirk. What is not set is left out."""
        wanted = {
            "model": self.model,
            "messages": messages,
            "tools": tools or None,  # an empty list is refused
            "temperature": self._temperature,
            self._limit_name: max_tokens,
            "response_format": None if schema is None else _in_schema(schema),
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        return {name: value for name, value in wanted.items() if value is not None}

    def _ask(self, given: Request, watch: Watch, sending: Sending | None) -> Generator[Delta | Reply, None, None]:
        """Send the request, adapted anew for each quirk the endpoint shows."""
        reply: Reply | None = None
        while reply is None:
            reply = yield from self._attempt(given, watch, sending or _unheard)
        yield reply

    def _attempt(self, given: Request, watch: Watch, sending: Sending) -> Generator[Delta, None, Reply | None]:
        """Send the request, again after what passes, and return the reply, or None where a quirk was learned."""
        quirks, draft = self.quirks, Draft(self.model)
        request = adapted(given, quirks)
        body = to_bytes(request)
        with _reported(sending(request, body), draft):
            try:
                while (fault := (yield from self._read(body, draft, watch))) is not None:
                    if self._learned(fault, request, quirks):
                        draft.stopped = self._door.failure(fault, request)
                        return None
                    self._pause(fault, draft, request, watch)
            except DeadlineReached:
                draft.cut = "deadline"
            yield from draft.flush()
        return draft.reply()

    def _read(self, body: bytes, draft: Draft, watch: Watch) -> Generator[Delta, None, Fault | None]:
        """Fill the draft from the stream. Gives the fault that left nothing of use; what was said before one is kept.

        Leaving early, by whatever way, closes the connection.
        """
        watch.progressed()
        watch.check()
        try:
            with closing(self._door.objects("/chat/completions", body, watch)) as chunks:
                for chunk in chunks:
                    before = draft.advanced
                    yield from draft.take(chunk)
                    if draft.advanced > before:
                        watch.progressed(LINGER_S if draft.finish else None)
            fault = Fault("broken" if draft.has_choice else "empty")
        except FaultError as error:
            fault = error.fault
            if draft.is_worth_keeping:
                log.warning("%s: the answer broke off: %s %s", self.host, fault.kind, fault.told)
        return None if draft.is_worth_keeping else fault

    def _pause(self, fault: Fault, draft: Draft, request: Request, watch: Watch) -> None:
        """Wait before the request is sent again. Raises the fault's Failure where it is not."""
        pause = pause_s(fault, draft.retries, self._backoff_s)
        if pause is None or draft.retries >= self._max_retries or not is_transient(fault):
            raise self._door.failure(fault, request)
        log.info("%s: %s %s; sent again in %.1f s", self.host, fault.kind, fault.status or "", pause)
        # Less by up to a quarter, unless the endpoint asked for it: not all who were refused shall come back at once.
        watch.sleep(pause if fault.retry_after else pause * random.uniform(0.75, 1))  # noqa: S311  no secret
        draft.begin_again()

    def _learned(self, fault: Fault, request: Request, known: frozenset[str]) -> bool:
        """Note the quirk that explains the fault, if one does.

        `known` are those the request was adapted to: another thread may have learned the same meanwhile.
        """
        # A template's refusal is a 500 at some servers; an error in mid-stream may have no status.
        may_be_one = fault.kind == "refused" and fault.status in (0, 400, 422, 500) and not is_overflow(fault)
        quirk = learned(fault.told, request, known) if may_be_one else ""
        self.quirks |= {quirk} if quirk else frozenset()
        return bool(quirk)


def _in_schema(schema: Mapping[str, Any]) -> Request:
    return {"type": "json_schema", "json_schema": {"name": "answer", "strict": True, "schema": dict(schema)}}


# A call that is watched


def _unheard(_request: Request, _body: bytes) -> Ended:
    return lambda _outcome: None


@contextmanager
def _reported(ended: Ended, draft: Draft) -> Iterator[None]:
    """Tell how a call ended, however it did."""
    began = time.monotonic()
    try:
        yield
    except BaseException as stopped:
        draft.stopped = stopped
        raise
    finally:
        ended(draft.outcome(round((time.monotonic() - began) * 1000)))
