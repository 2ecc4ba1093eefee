"""A small true server that speaks OpenAI's chat API on loopback and answers by a script.

    with ScriptedServer() as server:
        server.enqueue("Hello.")                                   # text, streamed in pieces
        server.enqueue(Answer(calls=(Call("clock", "{}"),)))       # a tool call
        server.enqueue(lambda body: body["messages"][-1]["content"])  # an answer made from the request
        server.enqueue(rate_limited(retry_after="20"))             # a refusal
        ... talk to server.url ...
        assert server.requests[0].body["model"] == "scripted"

By hand: python tests/scripted.py --port 8000 --answer "Hello."
"""

import argparse
import base64
import hashlib
import json
import re
import socket
import struct
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import chain
from types import TracebackType
from typing import Any

import pytest

JSON = Mapping[str, Any]
MODEL = "scripted"
PIECE_CHARACTERS = 7  # cuts words and JSON in the middle, as real servers do
DIMENSIONS = 32


@dataclass(frozen=True)
class Call:
    """A tool call to stream. Set `id` to None, or `index` to any number or None, to do as some servers do."""

    name: str
    arguments: str
    id: str | None = "by place"
    index: int | str | None = "by place"


@dataclass(frozen=True)
class Answer:
    """What to stream, and what is to go wrong on the way. The finish is found from the rest when left out.

    `usage` replaces the counted one (None: the server sends none). `delay_s` is waited before the first byte,
    `pause_s` before each piece. After `drop_after` pieces the connection is cut. Before the last piece go `deltas`, in
    whatever form a server may give them, and `raw`, sent as it stands; then the line `endless` again and again until
    the client leaves; and a `gate` is waited for. Without `choices` no chunk has any.
    """

    text: str = ""
    calls: tuple[Call, ...] = ()
    reasoning: str = ""
    finish: str | None = "by content"
    usage: JSON | str | None = "counted"
    delay_s: float = 0.0
    pause_s: float = 0.0
    drop_after: int | None = None
    deltas: tuple[JSON, ...] = ()
    raw: str = ""
    endless: str = ""
    gate: threading.Event | None = None
    choices: bool = True


@dataclass(frozen=True)
class Refusal:
    """An answer in one piece, of any status. A body that is text is sent as HTML, another as JSON.

    The status 0 is no answer at all: the connection is cut.
    """

    status: int
    body: Any
    headers: Mapping[str, str] | None = None


@dataclass(frozen=True)
class Seen:
    """A request as it came. `body` is None where there was none; `raw` is its bytes."""

    path: str
    headers: Mapping[str, str]
    body: Any
    raw: bytes


Step = Answer | Refusal | str | Mapping[str, Any] | Callable[[Any], Any]


# Refusals, worded as real endpoints word them


def refusal(status: int, message: str, code: str | None = None, **headers: str) -> Refusal:
    """An error in OpenAI's form. Underscores in a header's name become dashes."""
    error = {"message": message, "type": "invalid_request_error", "param": None, "code": code}
    return Refusal(status, {"error": error}, {name.replace("_", "-"): value for name, value in headers.items()})


def too_long() -> Refusal:
    return refusal(
        400,
        "This model's maximum context length is 8192 tokens. However, your messages resulted in 9000 tokens.",
        "context_length_exceeded",
    )


def no_schema() -> Refusal:
    return refusal(400, "Invalid parameter: 'response_format' of type 'json_schema' is not supported with this model.")


def bad_template() -> Refusal:
    return refusal(400, "System message must be at the beginning.")


def bad_key() -> Refusal:
    return refusal(401, "Incorrect API key provided.", "invalid_api_key")


def no_such_model(model: str) -> Refusal:
    return refusal(404, f"The model `{model}` does not exist or you do not have access to it.", "model_not_found")


def rate_limited(retry_after: str | None = None) -> Refusal:
    headers = {} if retry_after is None else {"Retry_After": retry_after}
    return refusal(429, "Rate limit reached for requests.", "rate_limit_exceeded", **headers)


def quota_used_up() -> Refusal:
    return refusal(429, "You exceeded your current quota.", "insufficient_quota")


class ScriptedServer:
    """The server: `enqueue` answers, talk to `url`, read `requests`. Used as a context manager.

    The answers to chat completions are taken from the queue in order, then `default` is used; without one the
    server answers 500 and says that the script ran out. An exception in a scripted callable is raised again at
    the end of the `with` block.
    """

    def __init__(self, port: int = 0, default: Step | None = None) -> None:
        self.default = default
        self.requests: list[Seen] = []
        self.hung_up = threading.Event()  # set once a client left before its answer had ended
        self.faults: list[BaseException] = []
        self._steps: deque[Step] = deque()
        self._http = _Http(("127.0.0.1", port), _Handler)
        self._http.script = self
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True)

    @property
    def url(self) -> str:
        """The base URL for a client."""
        return f"http://127.0.0.1:{self._http.server_port}/v1"

    @property
    def bodies(self) -> list[Any]:
        """The bodies of the chat requests so far."""
        return [seen.body for seen in list(self.requests) if seen.path.endswith("/chat/completions")]

    def enqueue(self, *steps: Step) -> None:
        """Add answers: text, an Answer, a Refusal, a mapping (sent as JSON text), or a callable of the body."""
        self._steps.extend(steps)

    def next_step(self, body: Any) -> Answer | Refusal:
        """The answer to this request; a callable may return whatever can be enqueued."""
        step: Any = self._steps.popleft() if self._steps else self.default
        while callable(step):
            step = step(body)
        match step:
            case None:
                return refusal(500, "The script ran out: this request was not expected.", x_should_retry="false")
            case str():
                return Answer(step)
            case Mapping():
                return Answer(json.dumps(step, ensure_ascii=False))
        assert isinstance(step, Answer | Refusal), f"{step!r} is no answer"
        return step

    def __enter__(self) -> "ScriptedServer":
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()
        if error is None and self.faults:
            raise self.faults[0]


_HELD: list[socket.socket] = []


def unused_url() -> str:
    """A base URL on loopback at which nobody listens. The port stays taken: another test run must not get it."""
    held = socket.socket()
    held.bind(("127.0.0.1", 0))
    _HELD.append(held)
    return f"http://127.0.0.1:{held.getsockname()[1]}/v1"


@pytest.fixture(name="server")
def scripted_server() -> Iterator[ScriptedServer]:
    """A running ScriptedServer with an empty script."""
    with ScriptedServer() as running:
        yield running


# What a chat answer looks like on the wire


def pieces(text: str) -> list[str]:
    """Cut a text as a stream does."""
    return [text[start : start + PIECE_CHARACTERS] for start in range(0, len(text), PIECE_CHARACTERS)]


def chunks(answer: Answer, body: JSON) -> Iterator[str]:
    """The chunks of a streamed answer, without the end mark."""
    deltas: list[JSON] = [{"role": "assistant", "content": ""}]
    deltas += [{"reasoning_content": piece} for piece in pieces(answer.reasoning)]
    deltas += [{"content": piece} for piece in pieces(answer.text)]
    for place, call in enumerate(answer.calls):
        deltas += call_deltas(place, call)
    for delta in [*deltas, *answer.deltas]:
        yield chunk(body, [{"index": 0, "delta": delta, "finish_reason": None}] if answer.choices else [])
    if answer.raw:
        yield answer.raw
    while answer.endless:
        yield answer.endless
        time.sleep(0.005)
    if answer.gate:
        assert answer.gate.wait(10), "the gate was never opened"
    if answer.choices:
        yield chunk(body, [{"index": 0, "delta": {}, "finish_reason": finish_of(answer)}])
    used = usage_of(answer, body)
    if used is not None and body.get("stream_options", {}).get("include_usage"):
        yield chunk(body, [], usage=used)


def chunk(body: JSON, choices: list[JSON], **more: Any) -> str:
    return json.dumps(
        {"id": "chat-1", "object": "chat.completion.chunk", "created": 1, "model": body["model"], "choices": choices}
        | more
    )


def call_deltas(place: int, call: Call) -> Iterator[JSON]:
    """One tool call in several deltas: its name first, then its arguments in pieces."""
    known = settled(place, call)
    index = {} if known.index is None else {"index": known.index}
    head: dict[str, Any] = {"type": "function", "function": {"name": known.name, "arguments": ""}}
    yield {"tool_calls": [index | ({} if known.id is None else {"id": known.id}) | head]}
    for piece in pieces(known.arguments):
        yield {"tool_calls": [index | {"function": {"arguments": piece}}]}


def settled(place: int, call: Call) -> Call:
    """The call with its id and index filled in."""
    return replace(
        call,
        id=f"call_{place}" if call.id == "by place" else call.id,
        index=place if call.index == "by place" else call.index,
    )


def completion(answer: Answer, body: JSON) -> JSON:
    """The answer in one object, for a request that does not stream."""
    calls = [
        {"id": known.id, "type": "function", "function": {"name": known.name, "arguments": known.arguments}}
        for known in (settled(place, call) for place, call in enumerate(answer.calls))
    ]
    message = {"role": "assistant", "content": answer.text} | ({"tool_calls": calls} if calls else {})
    choices = [{"index": 0, "message": message, "finish_reason": finish_of(answer)}] if answer.choices else []
    whole = {"id": "chat-1", "object": "chat.completion", "created": 1, "model": body["model"], "choices": choices}
    used = usage_of(answer, body)
    return whole if used is None else whole | {"usage": used}


def finish_of(answer: Answer) -> str | None:
    if answer.finish != "by content":
        return answer.finish
    return "tool_calls" if answer.calls or any("tool_calls" in delta for delta in answer.deltas) else "stop"


def usage_of(answer: Answer, body: JSON) -> JSON | None:
    """The usage to report: what the script says, or a token for each word."""
    if not isinstance(answer.usage, str):
        return answer.usage
    prompt = sum(len(str(message.get("content") or "").split()) for message in body["messages"])
    said = len(answer.text.split())
    return {
        "prompt_tokens": prompt,
        "completion_tokens": said,
        "total_tokens": prompt + said,
        "prompt_tokens_details": {"cached_tokens": 0},
    }


# Embeddings: texts that share words have near vectors


def vector(text: str) -> list[float]:
    """A deterministic vector: each word adds to one dimension, found by its hash. Not of unit length."""
    found = [0.0] * DIMENSIONS
    for word in re.findall(r"\w+", text.lower()):
        found[hashlib.sha256(word.encode()).digest()[0] % DIMENSIONS] += 1.0
    return found if any(found) else [1.0] * DIMENSIONS


def embeddings(body: JSON) -> JSON:
    """The answer to POST /v1/embeddings, in base64 (little-endian float32) or as numbers."""
    texts = [body["input"]] if isinstance(body["input"], str) else body["input"]
    base64_wanted = body.get("encoding_format") == "base64"
    data = [
        {"object": "embedding", "index": place, "embedding": packed(found) if base64_wanted else found}
        for place, found in enumerate(map(vector, texts))
    ]
    tokens = sum(len(text.split()) for text in texts)
    return {"object": "list", "model": body["model"], "data": data, "usage": {"prompt_tokens": tokens}}


def packed(numbers: list[float]) -> str:
    return base64.b64encode(struct.pack(f"<{len(numbers)}f", *numbers)).decode()


# HTTP


class _Http(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    script: ScriptedServer

    def handle_error(self, request: Any, client_address: Any) -> None:
        error = sys.exc_info()[1]
        if isinstance(error, BrokenPipeError | ConnectionResetError):
            self.script.hung_up.set()
        elif error is not None:
            self.script.faults.append(error)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Http

    def do_GET(self) -> None:
        self._note(None, b"")
        if self.path.endswith("/models"):
            self._send(200, {"object": "list", "data": [{"id": MODEL, "object": "model", "created": 1}]})
        else:
            self._send(404, {"detail": "Not Found"})

    def do_POST(self) -> None:
        raw = self.rfile.read(int(self.headers["Content-Length"]))
        body = json.loads(raw)
        self._note(body, raw)
        if self.path == "/v1/chat/completions":
            self._chat(body)
        elif self.path == "/v1/embeddings":
            self._send(200, embeddings(body))
        else:
            self._send(404, {"detail": "Not Found"})

    def _note(self, body: Any, raw: bytes) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.script.requests.append(Seen(self.path, headers, body, raw))

    def _chat(self, body: JSON) -> None:
        answer = self.server.script.next_step(body)
        if isinstance(answer, Refusal):
            if answer.status:
                self._send(answer.status, answer.body, answer.headers or {})
            else:
                self._cut()
            return
        time.sleep(answer.delay_s)
        if body.get("stream"):
            self._stream(answer, body)
        else:
            self._send(200, completion(answer, body))

    def _stream(self, answer: Answer, body: JSON) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for place, text in enumerate(chain(chunks(answer, body), ["[DONE]"])):
            if place == answer.drop_after:
                self._cut()
                return
            time.sleep(answer.pause_s)
            # A comment is a sign of life; all else is data.
            self._write_chunk(f"{text}\n\n".encode() if text.startswith(":") else f"data: {text}\n\n".encode())
        self._write_chunk(b"")

    def _write_chunk(self, data: bytes) -> None:
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        self.wfile.flush()

    def _cut(self) -> None:
        self.connection.shutdown(socket.SHUT_RDWR)
        self.close_connection = True

    def _send(self, status: int, body: Any, headers: Mapping[str, str] | None = None) -> None:
        is_text = isinstance(body, str)
        data = body.encode() if is_text else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/html" if is_text else "application/json")
        self.send_header("Content-Length", str(len(data)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: a test's output is its own."""


def main() -> None:
    """Serve until Ctrl-C: each --answer once, in order, and the last one for ever."""
    parser = argparse.ArgumentParser(description="A scripted server that speaks OpenAI's chat API on loopback.")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--answer", action="append", help="a reply; the last one is given again and again")
    parser.add_argument("--pause", type=float, default=0.0, help="seconds before each piece of a stream")
    given = parser.parse_args()
    answers = [Answer(text, pause_s=given.pause) for text in given.answer or ["Hello."]]
    with ScriptedServer(given.port, default=answers[-1]) as running:
        running.enqueue(*answers[:-1])
        print(running.url, flush=True)
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            print(f"{len(running.requests)} requests", file=sys.stderr)


if __name__ == "__main__":
    main()
