"""The only door to openai: records in, records out, errors translated.

openai costs 0.9 s of CPU to import and its client wants a key as soon as it is made, so both wait for the first use.
What endpoints refuse differs; a request is adapted to what this one refused before (see quirks.py).
"""

import json
import math
import re
import time
from collections.abc import Callable, Collection, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from assistant.errors import (
    ContextOverflow,
    Interrupted,
    KeyRefused,
    ModelError,
    ModelUnreachable,
    RateLimited,
    SchemaRefused,
)
from assistant.quirks import Request, adapted, learned, sign_of
from assistant.reply import Delta, Draft, Reply
from assistant.wire import to_bytes, to_wire, well_formed
from memory.errors import Failure
from memory.records import Message, Outcome

if TYPE_CHECKING:
    import openai

Wire = Mapping[str, Any]
Cancelled = Callable[[], bool]
Ended = Callable[[Outcome], None]
# Told of each request just before it is sent, as it is sent: its body and the bytes of it. What this gives back is told
# how the call ended.
Sending = Callable[[Request, bytes], Ended]

# The client's own default. It is given all the same, so that only the settings read OPENAI_BASE_URL.
OPENAI_URL = "https://api.openai.com/v1"
# Seconds between two bytes. A small machine may read a long prompt for minutes before its first word.
TIMEOUT_S = 300.0
CONNECT_S = 10.0
SAID_CHARACTERS = 300  # of an endpoint's own words
EMBEDDED_TEXTS = 128  # in one request
EMBEDDED_CHARACTERS = 8_000  # of one text; about 2,000 tokens, and many embedding models read no more than 8,192


class Endpoint:
    """A model behind an address that speaks OpenAI's chat completions. Nothing is sent before the first call."""

    def __init__(
        self,
        model: str,
        base_url: str | None = None,
        api_key: str | None = None,
        temperature: float | None = None,
        timeout_s: float = TIMEOUT_S,
        max_retries: int = 2,
        quirks: Collection[str] = (),
    ) -> None:
        """Name the model and its address (None: OpenAI's own). A temperature of None is the endpoint's own.

        `timeout_s` is the longest silence in seconds. `max_retries` are the openai client's: it waits 0.5 s and then
        longer, or what Retry-After asks for up to two minutes. `quirks` are names from quirks.QUIRKS known beforehand.
        """
        self.model = model
        self.quirks = frozenset(quirks)
        self._door = _Door(base_url or OPENAI_URL, api_key, timeout_s, max_retries)
        self._limit_name = "max_completion_tokens" if self._door.is_openais_own else "max_tokens"
        self._temperature = temperature

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
    ) -> Iterator[Delta | Reply]:
        """Ask the model: its reply in pieces as they come, and the whole Reply last.

        `tools` are described as OpenAI's chat API wants them; `schema` is a JSON schema that the reply must fit.
        `cancelled` is asked between the pieces. However the reading ends, the connection is closed. `sending` is told
        of each request, also of one that is sent again because the endpoint refused something; what it raises ends all.

        Raises RateLimited, KeyRefused, ModelUnreachable, ContextOverflow, SchemaRefused, ModelError, Interrupted.
        """
        wire = [to_wire(message) for message in messages]
        yield from self._ask(self._request(wire, tools, max_tokens, schema), cancelled, sending)

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
        wire = [{"role": "system", "content": system}, {"role": "user", "content": text}]
        *_, reply = self._ask(self._request(wire, (), max_tokens, schema), cancelled, sending)
        assert isinstance(reply, Reply)
        if reply.finish == "broken":
            raise self._door.broke_off()
        return reply.text

    def models(self) -> tuple[str, ...]:
        """The names of the models the endpoint offers, sorted. Raises what `stream` raises."""
        import openai

        try:
            return tuple(sorted(each.id for each in self._door.client.models.list()))
        except openai.APIError as error:
            raise self._door.failure(error, {"model": self.model}) from error

    def close(self) -> None:
        """Close the connections. The endpoint cannot be used again."""
        self._door.close()

    def _ask(
        self, given: Request, cancelled: Cancelled | None, sending: Sending | None
    ) -> Generator[Delta | Reply, None, None]:
        """Send the request, adapted anew for each quirk the endpoint shows."""
        reply: Reply | None = None
        while reply is None:
            reply = yield from self._attempt(given, cancelled, sending or _unheard)
        yield reply

    def _attempt(
        self, given: Request, cancelled: Cancelled | None, sending: Sending
    ) -> Generator[Delta, None, Reply | None]:
        """Send the request once, and return the reply, or None where a quirk was learned from a refusal.

        What was said before a break is kept.
        """
        import openai

        quirks, draft = self.quirks, Draft(self.model)
        request = adapted(given, quirks)
        body = to_bytes(request)
        with _reported(sending(request, body), draft):
            try:
                yield from self._read(body, draft, cancelled)
            # The last two are Python's own: openai passes them on for a chunk that it cannot read.
            except (openai.APIError, json.JSONDecodeError, UnicodeDecodeError) as error:
                draft.retries = max(draft.retries, _retries(error))
                if not draft.is_worth_keeping:
                    draft.stopped = failure = self._door.failure(error, request)
                    if not self._learned(error, request, quirks):
                        raise failure from error
                    return None
            if not draft.is_worth_keeping:
                raise self._nothing_said(draft)
        return draft.reply()

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

    def _read(self, body: bytes, draft: "Draft", cancelled: Cancelled | None) -> Iterator[Delta]:
        """Fill the draft from the stream. Leaving early, by whatever way, closes the connection."""
        from openai import Stream
        from openai.types.chat import ChatCompletion, ChatCompletionChunk

        # As client.chat.completions.create() does, but for the body: that would put it in an order of its own, and what
        # a receipt says of the bytes must be true with every version.
        with self._door.client.post(
            "/chat/completions",
            content=body,
            cast_to=ChatCompletion,
            stream=True,
            stream_cls=Stream[ChatCompletionChunk],
        ) as stream:
            draft.retries = _retries(stream)
            for chunk in stream:
                yield from draft.take(chunk.model_dump(exclude_unset=True, warnings=False))
                if cancelled is not None and cancelled():
                    raise Interrupted("The reply was stopped.", "")

    def _learned(self, error: Exception, request: Request, known: frozenset[str]) -> bool:
        """Note the quirk that explains the error, if one does.

        `known` are those the request was adapted to: another thread may have learned the same meanwhile.
        """
        told = _told(error)
        # A template's refusal is a 500 at some servers; an error in mid-stream may have no status.
        may_be_one = _status(error) in (0, 400, 422, 500) and not _OVERFLOW.search(told)
        quirk = learned(told, request, known) if may_be_one else ""
        self.quirks |= {quirk} if quirk else frozenset()
        return bool(quirk)

    def _nothing_said(self, draft: "Draft") -> Failure:
        if draft.has_choice:
            return self._door.broke_off()
        return ModelError(
            f"{self.host} answered without a reply.", f"Does {self._door.base_url} lead to chat completions?"
        )


class EmbeddingsEndpoint:
    """A model that turns texts into vectors, behind an address that speaks OpenAI's embeddings.

    `name` tells vectors of one model from another's, and from those of the models inside this program.
    """

    def __init__(
        self,
        model: str,
        base_url: str | None = None,
        api_key: str | None = None,
        timeout_s: float = TIMEOUT_S,
        max_retries: int = 2,
    ) -> None:
        """Name the model and its address; the rest is as in Endpoint."""
        self.model = model
        self.name = f"endpoint:{model}"
        self._door = _Door(base_url or OPENAI_URL, api_key, timeout_s, max_retries)

    def __call__(self, texts: Sequence[str]) -> list[list[float]]:
        """The texts' vectors, in order, of unit length. Of each text the first 8,000 characters count.

        Raises RateLimited, KeyRefused, ModelUnreachable or ModelError.
        """
        starts = range(0, len(texts), EMBEDDED_TEXTS)
        return [vector for start in starts for vector in self._batch(texts[start : start + EMBEDDED_TEXTS])]

    def close(self) -> None:
        """Close the connections. The endpoint cannot be used again."""
        self._door.close()

    def _batch(self, texts: Sequence[str]) -> list[list[float]]:
        import openai

        wire = [well_formed(text[:EMBEDDED_CHARACTERS]) or " " for text in texts]  # empty text is refused
        try:
            data = self._door.client.embeddings.create(model=self.model, input=wire).data
        except (openai.APIError, ValueError) as error:
            raise self._door.failure(error, {"model": self.model}) from error
        if len(data) != len(texts):
            raise ModelError(f"{self._door.host} sent {len(data)} vectors for {len(texts)} texts.")
        return [_unit(each.embedding) for each in sorted(data, key=lambda each: each.index)]


def _in_schema(schema: Mapping[str, Any]) -> Request:
    return {"type": "json_schema", "json_schema": {"name": "answer", "strict": True, "schema": dict(schema)}}


def _unit(vector: Sequence[float]) -> list[float]:
    length = math.hypot(*vector) or 1.0
    return [number / length for number in vector]


# A call that is watched


def _unheard(_request: Request, _body: bytes) -> Ended:
    return lambda _outcome: None


@contextmanager
def _reported(ended: Ended, draft: "Draft") -> Iterator[None]:
    """Tell how a call ended, however it did."""
    began = time.monotonic()
    try:
        yield
    except BaseException as stopped:
        draft.stopped = stopped
        raise
    finally:
        ended(draft.outcome(round((time.monotonic() - began) * 1000)))


def _retries(seen: object) -> int:
    """How often the client sent a request again, by a stream's response or an error's request."""
    request = getattr(getattr(seen, "response", None), "request", None) or getattr(seen, "request", None)
    return int(request.headers.get("x-stainless-retry-count", 0)) if request is not None else 0


# The openai client, and what its errors mean to a person


_OVERFLOW = sign_of(
    r"context_length_exceeded|exceed_context_size|context.{0,20}\b(length|size|window)"
    r"|(prompt|input|request) is too long|too many (input |prompt )?tokens|reduce the length of the (messages|prompt)"
)
_SCHEMA = sign_of(r"response_format|json_?.?schema|\bschema\b|grammar|guided|structured output")


class _Door:
    """One address with its key: the openai client, made at first use, and the translation of its errors."""

    def __init__(self, base_url: str, api_key: str | None, timeout_s: float, max_retries: int) -> None:
        self.base_url = base_url.rstrip("/")
        self._key = api_key
        self._timeout_s = timeout_s
        self._max_retries = max_retries

    @property
    def host(self) -> str:
        """The host as it is shown, also of an address that is none; never what stands before an @, a password."""
        return self.base_url.partition("://")[2].partition("/")[0].rpartition("@")[2] or self.base_url

    @property
    def is_openais_own(self) -> bool:
        """Whether the address is OpenAI's own, in whatever region."""
        return self.host.endswith("api.openai.com")

    @cached_property
    def client(self) -> "openai.OpenAI":
        """The client. Raises ModelUnreachable for what is no web address, KeyRefused where a key must be missing."""
        hostname = self._hostname()
        key = self._usable_key()
        import openai

        return openai.OpenAI(
            api_key=key,
            base_url=self.base_url,
            timeout=openai.Timeout(self._timeout_s, connect=min(CONNECT_S, self._timeout_s)),
            max_retries=self._max_retries,
            # A proxy named in the environment cannot reach this machine's own loopback.
            http_client=openai.DefaultHttpxClient(trust_env=not is_loopback(hostname)),
        )

    def close(self) -> None:
        """Close the client, if one was made."""
        if "client" in self.__dict__:
            self.client.close()

    def _hostname(self) -> str:
        remedy = "Give one like http://127.0.0.1:8080/v1."
        try:
            parts = urlsplit(self.base_url)
            named = parts.hostname if parts.scheme in ("http", "https") and parts.port != 0 else None
        except ValueError as error:
            raise ModelUnreachable(f"{self.base_url} is no web address: {error}.", remedy) from error
        if named is None:
            raise ModelUnreachable(f"{self.base_url} is no web address.", remedy)
        return named

    def _usable_key(self) -> str:
        if not self._key and self.is_openais_own:
            raise KeyRefused(
                f"There is no key for {self.host}.",
                "Set OPENAI_API_KEY, or set OPENAI_BASE_URL to a server that needs none.",
            )
        if self._key and not (self._key.isascii() and self._key.isprintable()):
            raise KeyRefused("The key has characters that no key has.", "Copy it again into OPENAI_API_KEY.")
        return self._key or "none"  # the client insists on one, a server without keys ignores it

    def broke_off(self) -> Failure:
        """The failure of a reply that ended before it said anything of use."""
        return ModelUnreachable(f"The connection to {self.host} broke off.", "Try again.")

    def failure(self, error: Exception, request: Request) -> Failure:
        """What an error of the client, or a ValueError for an answer it could not read, means to a person."""
        import openai

        if not isinstance(error, openai.APIError):
            return ModelError(f"{self.host} sent an answer that cannot be read: {one_line(str(error))}.", "")
        if isinstance(error, openai.APIConnectionError):
            return self._unreachable(error)
        said = self._said(error)
        meaning = {401: self._refused_key, 403: self._refused_key, 404: self._missing, 429: self._limited}
        if (status := _status(error)) in meaning:
            return meaning[status](error, said, request)
        if _OVERFLOW.search(_told(error)):
            return ContextOverflow(f"The prompt is too long for {request['model']}: {said}", "Set a smaller window.")
        if "response_format" in request and _SCHEMA.search(_told(error)):
            return SchemaRefused(f"{self.host} cannot answer in a schema: {said}", "")
        return ModelError(f"{self.host} answered {status or 'with an error'}: {said}", "")

    def _unreachable(self, error: "openai.APIConnectionError") -> Failure:
        import openai

        remedy = "Is the server running, and the network up? See assistant doctor."
        if isinstance(error, openai.APITimeoutError):
            return ModelUnreachable(f"{self.host} did not answer within {self._timeout_s:g} s.", remedy)
        reason = one_line(str(error.__cause__ or error.message))
        return ModelUnreachable(f"{self.host} cannot be reached: {reason}.", remedy)

    def _refused_key(self, _error: "openai.APIError", said: str, _request: Request) -> Failure:
        return KeyRefused(f"{self.host} does not take the key: {said}", "Check OPENAI_API_KEY and OPENAI_BASE_URL.")

    def _missing(self, error: "openai.APIError", said: str, request: Request) -> Failure:
        """Unknown may be the model or the path; only the first answer speaks of a model."""
        if "model" in f"{error.code} {said}".lower():
            return ModelError(f"The model {request['model']} is not known at {self.host}.", "See assistant models.")
        return ModelError(f"Nothing answers at {self.base_url}: {said}", "Does the address end in /v1?")

    def _limited(self, error: "openai.APIError", said: str, _request: Request) -> Failure:
        if error.code == "insufficient_quota":
            return RateLimited(f"The quota at {self.host} is used up: {said}", "Check the plan and its billing there.")
        response = getattr(error, "response", None)  # an error in mid-stream has none
        wait = response.headers.get("retry-after", "") if response is not None else ""
        if wait:
            return RateLimited(f"{self.host} asks for a pause: {said}", f"Try again {_when(wait)}.")
        return RateLimited(f"{self.host} asks for a pause: {said}", "Try again later.")

    def _said(self, error: "openai.APIError") -> str:
        """The endpoint's own words in one line, without the key should it repeat it."""
        body: object = error.body
        if isinstance(body, Mapping):
            body = body.get("message") or body.get("detail") or json.dumps(body, ensure_ascii=False)
        said = str(body or error.message)
        return one_line(said.replace(self._key, "***") if self._key else said)


def _told(error: Exception) -> str:
    """All that an error says, to look for signs in: not for people."""
    return f"{error} {getattr(error, 'body', '')}"


def _status(error: Exception) -> int:
    """The HTTP status, or the one that an error in mid-stream names in its code; 0 if there is none."""
    status = getattr(error, "status_code", None) or getattr(error, "code", None) or ""
    return int(status) if str(status).isdecimal() else 0


def _when(retry_after: str) -> str:
    """Retry-After in words: seconds or a date."""
    return f"in {retry_after} s" if re.fullmatch(r"[\d.]+", retry_after) else f"after {one_line(retry_after)}"


def is_loopback(hostname: str) -> bool:
    """Whether the name means this machine itself."""
    if hostname == "localhost" or hostname.endswith(".localhost"):
        return True
    try:
        return ip_address(hostname).is_loopback
    except ValueError:  # a name, not a number
        return False


def one_line(text: str) -> str:
    """Foreign words, fit for a terminal: one line of at most 300 characters; of an HTML page its title."""
    if re.match(r"\s*<(!doctype|html|head)", text, re.IGNORECASE):
        title = re.search(r"<title[^>]*>([^<]*)</title>", text, re.IGNORECASE)
        text = title[1] if title else "an HTML page"
    # A colour or a jump of the cursor must not reach the terminal.
    words = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return words if len(words) <= SAID_CHARACTERS else f"{words[:SAID_CHARACTERS]}…"
