"""Writes docs/faults.md from what happens at each fault: python -m tests.faults_table

Each fault of an endpoint is played by the scripted server, to every request, and what came of it is a row. Those of
tools are in tool_faults.py.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from assistant.asking import MARKS
from assistant.llm import Endpoint
from assistant.reply import Reply
from memory.errors import Failure
from tests import tool_faults
from tests.endpoints import HELLO
from tests.scripted import (
    Answer,
    Call,
    Refusal,
    ScriptedServer,
    Step,
    bad_key,
    bad_template,
    no_such_model,
    quota_used_up,
    rate_limited,
    refusal,
    too_long,
    unused_url,
)

PAGE = Path(__file__).parent.parent / "docs" / "faults.md"
HEAD = """\
# Faults of an endpoint, and what happens

Made by `python -m tests.faults_table`, which plays each fault to a real client over and over, with two retries; do not
edit. HOST is the endpoint's. A request is sent again after 0.5 s, then 1 s and so on up to 8 s, less up to a quarter,
or after what Retry-After asks for; a pause of more than two minutes is told instead. Where the fault does not come
again, what was sent again is answered as if nothing had been. A call that is cut by a deadline ends the turn at its
limit.

| fault | sent again | what a person sees | exit code |
| --- | --- | --- | --- |
"""
CALL = Call("clock", '{"timezone": "UTC"}')
PAGE_502 = "<html><head><title>502 Bad Gateway</title></head><body></body></html>"
HALF = "The answer is"


@dataclass(frozen=True)
class Fault:
    """A fault as the server plays it, to an endpoint made and asked with more arguments than usual."""

    name: str
    step: Step
    made: dict[str, Any] = field(default_factory=dict)
    asked: dict[str, Any] = field(default_factory=dict)
    url: str = ""


def stream_error(**error: Any) -> str:
    """An error object in mid-stream."""
    return str({"error": error}).replace("'", '"')


FAULTS = (
    Fault("400: the request is refused", refusal(400, "Unknown tool type.")),
    Fault("400: the prompt is too long (the turn goes on once, with a smaller window)", too_long()),
    Fault("400: a template that takes the messages in no form tried", bad_template()),
    Fault("401: the key", bad_key()),
    Fault("402: no money", refusal(402, "Insufficient Balance")),
    Fault("403", refusal(403, "Not for you.")),
    Fault("404: the model", no_such_model("m")),
    Fault("404: the path", Refusal(404, {"detail": "Not Found"})),
    Fault("413: too large (as a prompt that is too long)", Refusal(413, {"error": {"message": "Request too large."}})),
    Fault("422", refusal(422, "messages: field required")),
    Fault("429: the quota", quota_used_up()),
    Fault("429", rate_limited()),
    Fault("429, Retry-After of a moment", refusal(429, "Busy.", None, Retry_After_Ms="5")),
    Fault("429, Retry-After: 3600", rate_limited("3600")),
    Fault("429, Retry-After with a far date", rate_limited("Wed, 18 Nov 2099 07:28:00 GMT")),
    Fault("408", refusal(408, "Too slow.")),
    Fault("409", refusal(409, "Locked.")),
    Fault("500", refusal(500, "A bug.")),
    Fault("500, x-should-retry: false", refusal(500, "A bug.", x_should_retry="false")),
    Fault("502 with a web page", Refusal(502, PAGE_502)),
    Fault("503: loading", Refusal(503, {"error": {"message": "Loading model", "code": 503}})),
    Fault("529: overloaded", refusal(529, "Overloaded")),
    Fault("nobody listens at the address", "", url=unused_url()),
    Fault("the connection is cut before the answer", Refusal(0, "")),
    Fault("no answer in time", Answer("Late.", delay_s=0.8), {"timeout_s": 0.5}),
    Fault("signs of life without end, nothing else", Answer(endless=": ping"), {"idle_s": 0.1}),
    Fault("empty pieces without end", Answer(endless='{"choices": [{"delta": {"content": ""}}]}'), {"idle_s": 0.1}),
    Fault("blanks without end", Answer(endless='{"choices": [{"delta": {"content": " "}}]}'), {"idle_s": 0.1}),
    Fault("the stream drops before a word", Answer(HALF, drop_after=1)),
    Fault("the stream drops after some words", Answer(HALF, drop_after=3)),
    Fault("the stream drops within a tool call", Answer(calls=(CALL,), drop_after=3)),
    Fault("the stream drops after words, within a tool call", Answer(HALF, calls=(CALL,), drop_after=5)),
    Fault("the stream drops in the model's thoughts", Answer(HALF, reasoning="So it is then", drop_after=3)),
    Fault("the stream ends without a word for its end", Answer("", finish=None)),
    Fault("the same, after some words", Answer(HALF, finish=None)),
    Fault("no choice in any piece", Answer(choices=False)),
    Fault("JSON that is none", Answer(raw="{broken")),
    Fault("the same, after some words", Answer(HALF, raw="{broken")),
    Fault("JSON that is no object", Answer(raw="[1, 2]")),
    Fault("an error in the stream, code 429", Answer(raw=stream_error(code=429, message="Slow down."))),
    Fault("an error in the stream, code 400", Answer(raw=stream_error(code=400, message="No such tool."))),
    Fault("an error in the stream, a type that passes", Answer(raw=stream_error(type="server_error", message="Oh."))),
    Fault("an error in the stream, no code", Answer(raw=stream_error(message="It is not for me to say."))),
    Fault("the same, after some words", Answer(HALF, raw=stream_error(message="It is not for me to say."))),
    Fault("an error in the stream: the prompt", Answer(raw=stream_error(code=400, message="prompt is too long"))),
    Fault("a web page with status 200", Refusal(200, "<!doctype html><title>Welcome</title>")),
    Fault("an error with status 200", Refusal(200, {"error": {"code": 500, "message": "A bug."}})),
    Fault("an empty body with status 200", Refusal(200, "")),
    Fault(
        "a whole answer where a stream was asked for (read as it is)",
        Refusal(200, {"choices": [{"message": {"content": "Whole."}, "finish_reason": "stop"}]}),
    ),
    Fault("the end: length", Answer(HALF, finish="length")),
    Fault("the end: content_filter", Answer(HALF, finish="content_filter")),
    Fault("the end: a word nobody knows", Answer("The answer is 4.", finish="eos")),
    Fault("the end: error, before a word", Answer("", finish="error")),
    Fault("the end: error, after some words", Answer(HALF, finish="error")),
    Fault("the deadline, before the answer", Answer("Late.", delay_s=0.3), asked={"deadline_s": 0.1}),
    # Long enough for a busy machine to read the words: importing openai counts, too.
    Fault("the deadline, after some words", Answer(HALF, endless=": ping"), asked={"deadline_s": 3.0}),
    Fault("the deadline, in a pause that was asked for", rate_limited("60"), asked={"deadline_s": 0.1}),
)


def rows() -> Iterator[str]:
    """The table's rows, played now."""
    with ThreadPoolExecutor(8) as pool:
        yield from ("| " + " | ".join(found) + " |" for found in pool.map(cells, FAULTS))


def cells(fault: Fault) -> tuple[str, str, str, str]:
    """What came of a fault."""
    with ScriptedServer(default=fault.step) as server:
        endpoint = Endpoint("m", fault.url or server.url, backoff_s=0.001, **fault.made)
        with closing(endpoint):
            seen, code, retries = outcome(endpoint, fault)
        assert fault.url or retries <= len(server.bodies)
        seen = seen.replace(endpoint.host, "HOST").replace("|", r"\|")
    again = {0: "no", 1: "once", 2: "twice"}[retries]
    return fault.name, again, seen, str(code)


def outcome(endpoint: Endpoint, fault: Fault) -> tuple[str, int, int]:
    """What is seen, the exit code, and how often the last request was sent again."""
    retries = 0

    def sending(_request: object, _body: bytes) -> Any:
        def ended(outcome: Any) -> None:
            nonlocal retries
            retries = outcome.retries

        return ended

    try:
        *_, reply = endpoint.stream(HELLO, sending=sending, **fault.asked)
    except Failure as failure:
        return str(failure), failure.exit_code, retries
    assert isinstance(reply, Reply)
    return f"{reply.text} {MARKS.get(reply.finish, '')}".strip(), 0, retries


def page() -> str:
    """The whole document."""
    return HEAD + "\n".join(rows()) + "\n" + tool_faults.section()


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
