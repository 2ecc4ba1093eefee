"""One page from the web, safely: every address is checked after it is resolved, and the connection goes to that very
address, on each redirect anew.

It goes there directly. A proxy would resolve the name a second time, out of our sight, so none is used.
"""

import io
import re
import socket
import ssl
import time
import zlib
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from http.client import HTTPException, HTTPMessage, HTTPResponse
from typing import Any, cast
from urllib.parse import quote, urljoin, urlsplit

MAX_BYTES = 5 * 1024 * 1024  # of a page, as it comes over the line and as it is unpacked
MAX_REDIRECTS = 5
TIMEOUT_S = 20.0  # for all of it but the name's resolution, which Python cannot end
MAX_URL = 2_000  # characters; longer ones are data in disguise
_ATTEMPT_S = 5.0  # for one address, where there are more
_BLOCK = 64 * 1024
_REDIRECTS = {301, 302, 303, 307, 308}
_HEADERS = {
    # Some sites answer only what begins so; the rest says what this is.
    "User-Agent": "Mozilla/5.0 (compatible; assistant; fetches a page when its user asks)",
    "Accept": "text/html,application/xhtml+xml,text/markdown,text/plain,application/json;q=0.9,*/*;q=0.5",
    "Accept-Encoding": "gzip",
    "Connection": "close",
}
# Python's and other libraries' readers of addresses differ over these, so none of them comes through.
_STRANGE = re.compile(r"[\x00-\x20\x7f-\xa0\\\s]")
_HOST = re.compile(r"[a-z0-9_]([a-z0-9_.-]*[a-z0-9_])?|[0-9a-f:.]*:[0-9a-f:.]*")
_CHARSET = re.compile(r"""charset\s*=\s*["']?\s*([\w.:-]+)""", re.IGNORECASE)

Resolve = Callable[[str, int], Sequence[str]]


@dataclass(frozen=True, slots=True)
class Answer:
    """What the web sent. `url` is where it lay after all redirects, `media_type` is "" where none was said.

    `body` is unpacked, and empty where it was not wanted; `size` is what the server says of it in bytes, None if it
    says nothing. `cut` tells why the body is not whole: "" if it is.
    """

    url: str
    status: int
    media_type: str
    charset: str
    size: int | None
    body: bytes
    cut: str


@dataclass(frozen=True, slots=True)
class _Place:
    """An address in parts: all ASCII, as they go over the line. `port` is always said."""

    url: str
    scheme: str
    host: str
    port: int
    target: str


def resolve(host: str, port: int) -> list[str]:
    """The addresses of a host as the system knows them. Raises ValueError where there are none."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (socket.gaierror, UnicodeError) as error:
        raise ValueError(f"there is no host {host}, or its name cannot be looked up now") from error
    return list(dict.fromkeys(str(each[4][0]) for each in found))


def get(
    url: str,
    permitted: Callable[[str], bool],
    wanted: Callable[[str], bool],
    resolve: Resolve = resolve,
    timeout_s: float = TIMEOUT_S,
) -> Answer:
    """Fetch a page. `permitted` says which IP addresses may be reached, `wanted` which media types are to be read.

    Raises ValueError, with words for whoever gave the address, for what is refused and for what fails.
    """
    deadline = time.monotonic() + timeout_s
    for _ in range(MAX_REDIRECTS + 1):
        place = _place(url)
        try:
            answer, url = _asked(place, _permitted(place, permitted, resolve), wanted, deadline)
        except TimeoutError as error:
            raise ValueError(f"{place.host} did not answer in time; {timeout_s:g} s are the limit") from error
        except ssl.SSLError as error:
            raise ValueError(f"the connection to {place.host} is not secure: {_tls_words(error)}") from error
        except (OSError, HTTPException, zlib.error) as error:
            raise ValueError(f"{place.host} cannot be reached or broke off: {_words(error)}") from error
        if answer:
            return answer
    raise ValueError(f"more than {MAX_REDIRECTS} redirects, the last one to {url[:200]}")


# --- where it lies --------------------------------------------------------------------------------------------------


def _place(url: str) -> _Place:
    """An address in parts. Raises ValueError for one that is not plainly a page's on the web."""
    url = url.strip()
    if len(url) > MAX_URL:
        raise ValueError(f"the address has {len(url):,} characters; {MAX_URL:,} is the limit")
    if _STRANGE.search(url):
        raise ValueError("the address has blanks, control characters or backslashes in it")
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("the address must begin with http:// or https:// and a host, as https://example.org/page")
    if "@" in parts.netloc:
        raise ValueError("the address holds a user name or password, which is not sent")
    host = _host(parts.hostname)
    port = parts.port or {"http": 80, "https": 443}[parts.scheme]
    if port < 1024 and port not in (80, 443):
        raise ValueError(f"port {port} belongs to another service than the web")
    target = quote(parts.path or "/", safe="/%:@!$&'()*+,;=~")
    if parts.query:
        target += "?" + quote(parts.query, safe="/?%:@!$&'()*+,;=~[]")
    shown = f"{parts.scheme}://{_authority(host, parts.scheme, port)}{target}"
    return _Place(shown, parts.scheme, host, port, target)


def _host(name: str) -> str:
    """A host's name as it is looked up: lower case, in ASCII, without the dot at its end."""
    if not name.isascii():
        import idna

        try:
            name = idna.encode(name, uts46=True).decode()
        except idna.IDNAError as error:
            raise ValueError("the host's name is not one that can exist") from error
    name = name.lower().removesuffix(".")
    if not _HOST.fullmatch(name):
        raise ValueError("the host's name is not one that can exist")
    return name


def _authority(host: str, scheme: str, port: int) -> str:
    name = f"[{host}]" if ":" in host else host
    return name if port == {"http": 80, "https": 443}[scheme] else f"{name}:{port}"


def _permitted(place: _Place, permitted: Callable[[str], bool], resolve: Resolve) -> list[str]:
    """The addresses of a place that may be reached; raises ValueError if none may be."""
    found = resolve(place.host, place.port)
    if allowed := [each for each in found if permitted(each)]:
        return allowed
    raise ValueError(
        f"{place.host} lies at {', '.join(found[:3])}, which is no public address; "
        "of others, the user can open those of their own network with the setting private_addresses"
    )


# --- over the line --------------------------------------------------------------------------------------------------


class _Timed(io.RawIOBase):
    """What a socket receives, with one deadline for all of it; a socket's own limit begins anew with every byte."""

    def __init__(self, connection: socket.socket, deadline: float) -> None:
        self._connection, self._deadline = connection, deadline

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._connection.settimeout(_left(self._deadline))
        return self._connection.recv_into(buffer)

    def makefile(self, _mode: str) -> io.BufferedReader:
        """What HTTPResponse asks a socket for."""
        return io.BufferedReader(self)


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


def _asked(
    place: _Place, addresses: Sequence[str], wanted: Callable[[str], bool], deadline: float
) -> tuple[Answer | None, str]:
    """The answer at a place, or None and the address it points to."""
    with _connected(place, addresses, deadline) as connection:
        connection.settimeout(_left(deadline))
        connection.sendall(_request(place))
        with HTTPResponse(cast(socket.socket, _Timed(connection, deadline)), method="GET") as response:
            response.begin()
            location = response.headers.get("Location")
            if response.status in _REDIRECTS and location:
                # Python reads headers as latin-1; in truth they are ASCII or, against the rules, UTF-8.
                return None, urljoin(place.url, location.encode("latin-1", "ignore").decode("utf-8", "replace").strip())
            return _answer(place, response, wanted), place.url


def _connected(place: _Place, addresses: Sequence[str], deadline: float) -> socket.socket:
    """A connection to the first of these addresses that takes one; the certificate must be the host's."""
    for address in addresses[:-1]:
        with suppress(OSError):
            return _secured(place, address, min(_ATTEMPT_S, _left(deadline)), deadline)
    return _secured(place, addresses[-1], _left(deadline), deadline)


def _secured(place: _Place, address: str, limit_s: float, deadline: float) -> socket.socket:
    connection = socket.create_connection((address, place.port), limit_s)
    if place.scheme == "http":
        return connection
    try:
        connection.settimeout(_left(deadline))
        return ssl.create_default_context().wrap_socket(connection, server_hostname=place.host)
    except BaseException:
        connection.close()
        raise


def _request(place: _Place) -> bytes:
    lines = [f"GET {place.target} HTTP/1.1", f"Host: {_authority(place.host, place.scheme, place.port)}"]
    lines += [f"{name}: {value}" for name, value in _HEADERS.items()]
    return "\r\n".join([*lines, "", ""]).encode("ascii")


# --- what came ------------------------------------------------------------------------------------------------------


def _answer(place: _Place, response: HTTPResponse, wanted: Callable[[str], bool]) -> Answer:
    kind = response.headers.get("Content-Type", "")
    media_type = kind.partition(";")[0].strip().lower()
    charset = _CHARSET.search(kind)
    body, cut = _body(response) if wanted(media_type) else (b"", "")
    return Answer(
        place.url, response.status, media_type, charset[1] if charset else "", _size(response.headers), body, cut
    )


def _size(headers: HTTPMessage) -> int | None:
    said = headers.get("Content-Length", "")
    return int(said) if said.isascii() and said.isdigit() and len(said) < 19 else None


def _body(response: HTTPResponse) -> tuple[bytes, str]:
    """The body, unpacked, and why it is not whole. What came before a connection broke off is kept."""
    unpack, whole = _unpacker(response.headers.get("Content-Encoding", ""))
    parts: list[bytes] = []
    came = size = 0
    cut = ""
    try:
        # Both are held: what comes may unpack to a thousand times as much, or to nothing.
        while came < MAX_BYTES and size < MAX_BYTES and (block := response.read1(_BLOCK)):
            came += len(block)
            parts.append(unpack(block, MAX_BYTES - size))
            size += len(parts[-1])
        if came >= MAX_BYTES or size >= MAX_BYTES:
            cut = f"it is longer than {MAX_BYTES / 1024 / 1024:g} MiB"
        elif response.length:
            cut = "the connection broke off"
        elif came and not whole():
            cut = "what was packed is not whole"
    except TimeoutError:
        cut = "it did not come to its end in time"
    except (OSError, HTTPException, zlib.error):
        cut = "the connection broke off"
    if cut and not size:
        raise ValueError(f"nothing of the page could be read: {cut}")
    return b"".join(parts), cut


def _unpacker(encoding: str) -> tuple[Callable[[bytes, int], bytes], Callable[[], bool]]:
    """How blocks are unpacked, a block and the most bytes it may give -> what it gives; and whether that was all."""
    match encoding.strip().lower():
        case "" | "identity":
            return lambda block, most: block[:most], lambda: True
        case "gzip" | "x-gzip":
            packed = zlib.decompressobj(wbits=31)
            return packed.decompress, lambda: packed.eof and not packed.unused_data.strip(b"\0")
    raise ValueError(f"the page came packed as {encoding[:40]!r}, which was not asked for")


# --- words for reasons ----------------------------------------------------------------------------------------------


def status_words(status: int) -> str:
    """A status as people know it: "404 Not Found". The server's own words for it are not taken."""
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)


def _tls_words(error: ssl.SSLError) -> str:
    return getattr(error, "verify_message", "") or (error.reason or "the handshake failed").replace("_", " ").lower()


def _words(error: Exception) -> str:
    return getattr(error, "strerror", None) or type(error).__name__
