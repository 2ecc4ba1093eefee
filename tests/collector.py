"""A small true receiver of OTLP over HTTP on loopback: it reads what comes with OpenTelemetry's own classes."""

import gzip
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span

KINDS = {Span.SPAN_KIND_INTERNAL: "internal", Span.SPAN_KIND_CLIENT: "client"}


class Collector:
    """Takes traces; `status` is what it answers. Used as a context manager."""

    def __init__(self, status: int = 200) -> None:
        self.status = status
        self.paths: list[str] = []
        self.headers: list[dict[str, str]] = []
        self.bodies: list[bytes] = []
        self.gate: threading.Event | None = None  # waited for before each answer
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._http.daemon_threads = True
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True)

    @property
    def url(self) -> str:
        """The address for the setting otlp_endpoint."""
        return f"http://127.0.0.1:{self._http.server_port}"

    @property
    def requests(self) -> list[ExportTraceServiceRequest]:
        """What came, parsed."""
        return [ExportTraceServiceRequest.FromString(body) for body in self.bodies]

    @property
    def spans(self) -> list[dict[str, Any]]:
        """All spans, with plain values, in the order in which they came."""
        scopes = [scope for one in self.requests for part in one.resource_spans for scope in part.scope_spans]
        return [_plain(span) for scope in scopes for span in scope.spans]

    def __enter__(self) -> "Collector":
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        if self.gate:
            self.gate.set()
        self._http.shutdown()
        self._http.server_close()


def _plain(span: Span) -> dict[str, Any]:
    return {
        "name": span.name,
        "kind": KINDS.get(span.kind, str(span.kind)),
        "trace": span.trace_id.hex(),
        "id": span.span_id.hex(),
        "parent": span.parent_span_id.hex(),
        "from": span.start_time_unix_nano,
        "to": span.end_time_unix_nano,
        "failed": span.status.code == 2,
        "told": span.status.message,
        "attributes": attributes(span.attributes),
    }


def attributes(given: Any) -> dict[str, Any]:
    """Attributes with plain values."""
    return {one.key: _value(one.value) for one in given}


def _value(value: AnyValue) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [_value(one) for one in value.array_value.values]
    return getattr(value, kind) if kind else None


def _handler(collector: Collector) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:  # the base class's name
            body = self.rfile.read(int(self.headers["Content-Length"]))
            collector.paths.append(self.path)
            collector.headers.append({name.lower(): value for name, value in self.headers.items()})
            collector.bodies.append(gzip.decompress(body) if self.headers["Content-Encoding"] == "gzip" else body)
            if collector.gate:
                collector.gate.wait(30)
            self.send_response(collector.status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_args: object) -> None:
            pass

    return Handler
