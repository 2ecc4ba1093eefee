"""The only door to openai: its client, a request whose answer comes as JSON objects, and its errors as faults.

openai costs 0.9 s of CPU to import and its client wants a key as soon as it is made, so both wait for the first use.
"""

import json
import socket
import threading
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cached_property, partial
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from assistant import faults, timeouts
from assistant.errors import KeyRefused, ModelUnreachable
from assistant.faults import Fault, FaultError, one_line
from assistant.timeouts import IdleTimeout, Watch
from memory.errors import Failure

if TYPE_CHECKING:
    import openai

# The client's own default. It is given all the same, so that only the settings read OPENAI_BASE_URL.
OPENAI_URL = "https://api.openai.com/v1"
# Seconds between two bytes. A small machine may read a long prompt for minutes before its first word.
TIMEOUT_S = 300.0
CONNECT_S = 10.0
SECRET_CHARACTERS = 8  # a shorter key, made up for a server that needs none, is part of other words
# One connection a request: only of a new one is told, so that it can be cut. The client keeps none of a stream anyway.
ALONE = {"Connection": "close"}


class Door:
    """One address with its key: the openai client, made at first use, and the translation of its errors."""

    def __init__(self, base_url: str | None, api_key: str | None, timeout_s: float, max_retries: int) -> None:
        """Name the address (None: OpenAI's own). `max_retries` are the client's, for all but `objects`."""
        self.base_url = (base_url or OPENAI_URL).rstrip("/")
        self._key = api_key or ""
        self._timeout_s = timeout_s
        self._max_retries = max_retries
        self._here = threading.local()  # the connection that this thread's request is sent on

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
            http_client=openai.DefaultHttpxClient(
                # A proxy named in the environment cannot reach this machine's own loopback.
                trust_env=not is_loopback(hostname),
                event_hooks={"request": [self._trace], "response": [_read_whole]},
            ),
        )

    def close(self) -> None:
        """Close the client, if one was made."""
        if "client" in self.__dict__:
            self.client.close()

    def objects(self, path: str, body: bytes, watch: Watch) -> Generator[Mapping[str, Any], None, None]:
        """Post the bytes, once, and give the JSON objects of the stream that answers, or the one that is the answer.

        However the reading ends, the connection is closed. Raises FaultError, what the watch raises, and the Failures
        of an address or key that cannot be one.
        """
        connection = _Connection()
        source = partial(self._received, self.client, path, body, connection)
        try:
            yield from timeouts.read(source, connection.cut, watch)
        except IdleTimeout as error:
            raise FaultError(Fault("idle", str(error))) from error

    def failure(self, fault: Fault, request: Mapping[str, Any]) -> Failure:
        """What a fault means to a person."""
        return faults.failure(fault, self.base_url, self.host, request)

    @contextmanager
    def translating(self, model: str) -> Iterator[None]:
        """Raise what the client raises as the Failure that it means."""
        import openai

        try:
            yield
        except (openai.APIError, ValueError) as error:
            raise self.failure(self._fault(error), {"model": model}) from error

    def _received(self, client: "openai.OpenAI", path: str, body: bytes, connection: "_Connection") -> Iterator[Any]:
        """The objects as they come; waits for them. A thread's own."""
        import openai

        self._here.connection, has_begun = connection, False
        try:
            # As client.chat.completions.create() does, but for the body: that would put it in an order of its own, and
            # what a receipt says of the bytes must be true with every version.
            with client.post(
                path,
                content=body,
                cast_to=object,
                stream=True,
                stream_cls=openai.Stream[object],
                options={"max_retries": 0, "headers": ALONE},
            ) as stream:
                has_begun = True
                for item in _objects(stream):
                    yield _checked(item, stream)
        # The last are Python's own: openai passes them on for a chunk that it cannot read.
        except (openai.APIError, ValueError, RecursionError) as error:
            raise FaultError(self._fault(error, has_begun=has_begun)) from error

    def _fault(self, error: Exception, *, has_begun: bool = False) -> Fault:
        import openai

        if isinstance(error, _PageError):
            return Fault("page", one_line(str(error)))
        if isinstance(error, openai.APITimeoutError):
            return Fault("silent", f"{self._timeout_s:g} s")
        if isinstance(error, openai.APIConnectionError):
            return Fault("broken" if has_begun else "unreachable", one_line(str(error.__cause__ or error.message)))
        if not isinstance(error, openai.APIError):
            return Fault("unreadable", one_line(str(error)))
        response = getattr(error, "response", None)  # an error in mid-stream has none
        header = {} if response is None else response.headers
        pause = f"{header['retry-after-ms']}ms" if "retry-after-ms" in header else header.get("retry-after", "")
        told = str(error) if faults.is_page(str(error.body)) else f"{error} {error.code} {error.type} {error.body}"
        return Fault("refused", self._said(error), told, _status(error), pause, header.get("x-should-retry", ""))

    def _said(self, error: "openai.APIError") -> str:
        """The endpoint's own words in one line, without the key should it repeat it."""
        body: object = error.body
        if isinstance(body, Mapping):
            body = body.get("message") or body.get("detail") or json.dumps(body, ensure_ascii=False)
        said = str(body or error.message)
        return one_line(said.replace(self._key, "***") if len(self._key) >= SECRET_CHARACTERS else said)

    def _trace(self, request: Any) -> None:
        """Have the connection of a request told of (a hook of the client, called in the thread that sends it)."""
        if (connection := getattr(self._here, "connection", None)) is not None:
            request.extensions["trace"] = connection.seen

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


class _Connection:
    """The connection of one request, once there is one, to be cut by another thread than the one that waits on it."""

    def __init__(self) -> None:
        self._stream: Any = None
        self._is_cut = False

    def seen(self, event: str, info: Mapping[str, Any]) -> None:
        """Hear of a step of the request: httpx's extension "trace"."""
        if event.endswith((".connect_tcp.complete", ".start_tls.complete")):
            self._stream = info["return_value"]
            if self._is_cut:
                self.cut()

    def cut(self) -> None:
        """End the connection at once: closing alone would not wake who reads from it."""
        self._is_cut = True
        if self._stream is not None:
            with suppress(OSError):  # it has ended by itself
                # The plain socket's own way: that of a TLS socket is not for two threads.
                socket.socket.shutdown(self._stream.get_extra_info("socket"), socket.SHUT_RDWR)


class _PageError(ValueError):
    """HTML where an answer was expected."""


def _read_whole(response: Any) -> None:
    """Read an answer that is no stream here, where the client translates errors of reading (a hook of the client)."""
    if response.is_success and any(kind in response.headers.get("content-type", "") for kind in ("json", "html")):
        response.read()


def _objects(stream: "openai.Stream[object]") -> Iterator[object]:
    """The JSON values of a stream, or of an answer that came whole, whatever it says of itself."""
    response = stream.response
    if not response.is_stream_consumed:
        yield from stream
    elif faults.is_page(response.text):
        raise _PageError(response.text)
    elif response.text.lstrip().startswith(("data:", "event:", ":")):
        yield from stream
    elif response.text.strip():
        yield json.loads(response.text)


def _checked(item: object, stream: "openai.Stream[object]") -> Mapping[str, Any]:
    """The object, if it is one and no error: some send errors with status 200."""
    import openai

    if not isinstance(item, Mapping):
        raise ValueError(f"{one_line(json.dumps(item))} is no JSON object")  # noqa: TRY004  data from outside
    error = item.get("error")
    if not error and not item.get("choices") and item.keys() & {"message", "detail"}:
        error = item
    if error:
        said = error.get("message") if isinstance(error, Mapping) else error
        raise openai.APIError(str(said or "an error"), stream.response.request, body=error)
    return item


def _status(error: "openai.APIError") -> int:
    """The HTTP status, or the one that an error in mid-stream names in its code; 0 if there is none."""
    status = getattr(error, "status_code", None) or error.code or ""
    return int(status) if str(status).isdecimal() else 0


def is_loopback(hostname: str) -> bool:
    """Whether the name means this machine itself."""
    if hostname == "localhost" or hostname.endswith(".localhost"):
        return True
    try:
        return ip_address(hostname).is_loopback
    except ValueError:  # a name, not a number
        return False
