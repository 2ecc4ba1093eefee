"""A small true web server on loopback that answers each path as it was told to, well or badly."""

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any

import pytest

# Made for these tests alone: the key and the certificate of the host page.test, which signs itself.
PAGE_TEST_PEM = """\
-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgW1czj7UqALy8d6KT
FiYmduhiu2f/xj4IX0lX7rfgNQShRANCAAT9Fx4RBzMxshD1MtSE7/62xEZ40d5h
RkE1GIDTo58lPFLYSWYeOU0VtCi4bzBp5lVPHWhv4aYzJaPaq/iHtjqY
-----END PRIVATE KEY-----
-----BEGIN CERTIFICATE-----
MIIBlTCCATugAwIBAgIUD54at7bVoWZAo4zgi7Z3l5zGqZUwCgYIKoZIzj0EAwIw
FDESMBAGA1UEAwwJcGFnZS50ZXN0MCAXDTI2MTEyMzIwMDkxMVoYDzIxMjYxMDMw
MjAwOTExWjAUMRIwEAYDVQQDDAlwYWdlLnRlc3QwWTATBgcqhkjOPQIBBggqhkjO
PQMBBwNCAAT9Fx4RBzMxshD1MtSE7/62xEZ40d5hRkE1GIDTo58lPFLYSWYeOU0V
tCi4bzBp5lVPHWhv4aYzJaPaq/iHtjqYo2kwZzAdBgNVHQ4EFgQUWg6N7tKF4dlh
0goNTWFC9zIYIXEwHwYDVR0jBBgwFoAUWg6N7tKF4dlh0goNTWFC9zIYIXEwDwYD
VR0TAQH/BAUwAwEB/zAUBgNVHREEDTALgglwYWdlLnRlc3QwCgYIKoZIzj0EAwID
SAAwRQIgH1BQTOuAz9MgMlCRtvAa9nvjFnry16eS87aEv/b+yKUCIQCOVBOKuYir
y7N1uXS6LcPCSem4T5cqBsP0xQ6wZyubgg==
-----END CERTIFICATE-----
"""


@dataclass(frozen=True)
class Page:
    """What a path answers. `raw` goes over the line in the place of a body, piece by piece, as long as it is taken."""

    body: bytes | str = b""
    kind: str = "text/html; charset=utf-8"
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    raw: Callable[[], Iterator[bytes]] | None = None


@dataclass(frozen=True)
class Request:
    """A request as it came; the names of its headers are in lower case."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


class _QuietServer(ThreadingHTTPServer):
    def handle_error(self, *_: Any) -> None:
        """A client that breaks off, or will not have our certificate, is what some tests are about."""


class WebServer:
    """Serves `pages` by path, without what follows a "?"; a list is used up one by one. Keeps the requests."""

    def __init__(self) -> None:
        self.pages: dict[str, Page | list[Page]] = {}
        self.requests: list[Request] = []
        self._server = _QuietServer(("127.0.0.1", 0), self._handler())
        self.port = self._server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def secure(self, certificate: Path) -> None:
        """From now on speak TLS as page.test. The certificate and its key are written to the file."""
        certificate.write_text(PAGE_TEST_PEM)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True, do_handshake_on_connect=False)

    def _handler(web: "WebServer") -> type[BaseHTTPRequestHandler]:
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                length = int(self.headers.get("Content-Length", 0))
                body = self.rfile.read(length)
                headers = {name.lower(): value for name, value in self.headers.items()}
                web.requests.append(Request(self.command, self.path, headers, body))
                self.close_connection = True
                with suppress(OSError):  # the client has had enough
                    self._send(web._page(self.path.partition("?")[0]))

            do_POST = do_GET

            def _send(self, page: Page) -> None:
                body = page.body.encode() if isinstance(page.body, str) else page.body
                self.send_response(page.status)
                if page.kind:
                    self.send_header("Content-Type", page.kind)
                for name, value in page.headers.items():
                    self.send_header(name, value)
                if page.raw is None and "Content-Length" not in page.headers:
                    self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)
                for piece in page.raw() if page.raw else ():
                    self.wfile.write(piece)

            def log_message(self, *_: Any) -> None:
                pass

        return Handler

    def _page(self, path: str) -> Page:
        page = self.pages.get(path, Page("no such page", status=404))
        return page.pop(0) if isinstance(page, list) else page

    def __enter__(self) -> "WebServer":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()


class BareServer:
    """Sends one client these bytes, piece by piece, whatever it asks; for what no honest HTTP server says."""

    def __init__(self, pieces: Callable[[], Iterator[bytes]]) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._serve, args=(pieces,), daemon=True).start()

    def _serve(self, pieces: Callable[[], Iterator[bytes]]) -> None:
        # An OSError: the client has had enough.
        with suppress(OSError), self._listener, self._listener.accept()[0] as client:
            client.recv(65536)
            for piece in pieces():
                client.sendall(piece)


@pytest.fixture
def web() -> Iterator[WebServer]:
    """A web server for one test."""
    with WebServer() as server:
        yield server
