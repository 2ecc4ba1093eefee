"""The endpoint against a scripted server: what is sent, what comes back, and a stream that does not reach its end."""

import json
import os
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

import pytest

from assistant.errors import Interrupted, ModelUnreachable
from assistant.llm import Endpoint
from assistant.reply import Delta, Reply, Usage
from assistant.wire import Request, well_formed
from memory.errors import StoreError
from memory.records import Outcome, ToolCall
from tests.endpoints import HELLO, LATE, SCHEMA, TOOL, failure_of, reply_of, say
from tests.scripted import Answer, Call, ScriptedServer, bad_template, refusal

# What comes back


def test_text_comes_in_pieces_and_the_reply_last(server: ScriptedServer, endpoint: Endpoint) -> None:
    server.enqueue("A reply that is longer than one piece.")
    *deltas, reply = endpoint.stream(HELLO)
    assert len(deltas) > 3
    assert "".join(delta.text for delta in deltas if isinstance(delta, Delta)) == reply.text
    assert reply == Reply("A reply that is longer than one piece.", (), "stop", Usage(3, 8, 0), "m", "")


def test_who_asks_to_be_told_is_told_of_the_very_bytes_before_they_are_sent_and_of_the_end(
    server: ScriptedServer, endpoint: Endpoint
) -> None:
    told: list[Any] = []

    def sending(request: Request, body: bytes) -> Callable[[Outcome], None]:
        told.append((request["stream"], body, len(server.requests)))
        return told.append

    server.enqueue(bad_template(), "Hello to you, too.")
    reply_of(endpoint, LATE, tools=[TOOL], max_tokens=50, schema=SCHEMA, sending=sending)
    (_, first, none), refused, (_, second, one), ended = told
    assert [first, second] == [seen.raw for seen in server.requests] and (none, one) == (0, 1)
    assert refused.finish == "" and refused.error.startswith("ModelError: ")
    assert (ended.finish, ended.error, ended.retries) == ("stop", "", 0)
    assert ended.completion_tokens and ended.ms >= 0


def test_what_the_one_who_is_told_raises_ends_it_before_anything_is_sent(
    server: ScriptedServer, endpoint: Endpoint
) -> None:
    def sending(_request: Request, _body: bytes) -> NoReturn:
        raise StoreError("The disk is full.")

    assert isinstance(failure_of(endpoint, sending=sending), StoreError)
    assert server.requests == []


def test_a_piece_is_given_before_the_end_is_sent(server: ScriptedServer, endpoint: Endpoint) -> None:
    gate = threading.Event()
    server.enqueue(Answer("one two three", gate=gate))
    stream = endpoint.stream(HELLO)
    assert [next(stream), next(stream)] == [Delta("one two"), Delta(" three")]
    gate.set()
    assert [type(event) for event in stream] == [Reply]


def test_thoughts_are_marked_and_are_not_the_text(server: ScriptedServer, endpoint: Endpoint) -> None:
    server.enqueue(Answer("Four.", reasoning="Two and two..."))
    *deltas, reply = endpoint.stream(HELLO)
    assert [delta for delta in deltas if isinstance(delta, Delta) and not delta.reasoning] == [Delta("Four.")]
    assert isinstance(reply, Reply)
    assert (reply.text, reply.reasoning) == ("Four.", "Two and two...")


def test_usage_is_the_endpoints_own(server: ScriptedServer, endpoint: Endpoint) -> None:
    told = {"prompt_tokens": 70, "completion_tokens": 5, "prompt_tokens_details": {"cached_tokens": 64}}
    server.enqueue(Answer("Hi.", usage=told), Answer("Hi.", usage=None), Answer("Hi.", usage={"prompt_tokens": 9}))
    assert reply_of(endpoint).usage == Usage(70, 5, 64)
    assert reply_of(endpoint).usage is None
    assert reply_of(endpoint).usage == Usage(9, 0, 0)


@pytest.mark.parametrize("finish", ["length", "content_filter"])
def test_the_endpoints_word_for_the_end_is_passed_on(server: ScriptedServer, endpoint: Endpoint, finish: str) -> None:
    server.enqueue(Answer("Half a", finish=finish))
    assert reply_of(endpoint).finish == finish


def test_several_tool_calls_are_put_together_from_their_pieces(server: ScriptedServer, endpoint: Endpoint) -> None:
    server.enqueue(Answer("Let me see.", calls=(Call("clock", "{}"), Call("sum", '{"numbers": [1, 2, 3]}'))))
    reply = reply_of(endpoint, tools=[TOOL])
    assert reply.tool_calls == (
        ToolCall("call_0", "clock", "{}"),
        ToolCall("call_1", "sum", '{"numbers": [1, 2, 3]}'),
    )
    assert (reply.text, reply.finish) == ("Let me see.", "tool_calls")
    assert server.bodies[0]["tools"] == [TOOL]


@pytest.mark.parametrize(
    "calls",
    [
        pytest.param((Call("a", '{"n": 1}', id=None), Call("b", '{"n": 2}', id=None)), id="no ids"),
        pytest.param((Call("a", '{"n": 1}', id="x"), Call("b", '{"n": 2}', id="x")), id="one id for both"),
        pytest.param((Call("a", '{"n": 1}', id="x", index=0), Call("b", '{"n": 2}', id="y", index=0)), id="index 0"),
        pytest.param((Call("a", '{"n": 1}', index=None), Call("b", '{"n": 2}', index=None)), id="no index"),
        pytest.param(
            (Call("a", '{"n": 1}', id=None, index=None), Call("b", '{"n": 2}', id=None, index=None)), id="neither"
        ),
    ],
)
def test_calls_are_told_apart_without_good_ids(
    server: ScriptedServer, endpoint: Endpoint, calls: tuple[Call, ...]
) -> None:
    server.enqueue(Answer(calls=calls))
    found = reply_of(endpoint).tool_calls
    assert [(call.name, call.arguments) for call in found] == [("a", '{"n": 1}'), ("b", '{"n": 2}')]
    assert len({call.id for call in found if call.id}) == 2


@pytest.mark.parametrize(
    "raw",
    ["{}", '{"choices": null}', '{"choices": [{}]}', '{"choices": [{"delta": null}], "usage": {}}', '{"usage": null}',
     '{"choices": [{"delta": {"tool_calls": null, "content": null}, "index": "0"}], "model": null}'],
)  # fmt: skip
def test_a_chunk_may_leave_out_anything(server: ScriptedServer, endpoint: Endpoint, raw: str) -> None:
    server.enqueue(Answer("Hi.", raw=raw))
    assert reply_of(endpoint) == Reply("Hi.", (), "stop", Usage(3, 1, 0), "m", "")


# What is sent


def test_the_halves_of_a_character_are_joined(server: ScriptedServer, endpoint: Endpoint) -> None:
    assert well_formed("\ud83d\ude00") == "😀"
    server.enqueue("Fine \udc80.")
    assert reply_of(endpoint, [say("user", "A lone half: \ud83d")]).text == "Fine \ufffd."
    assert server.bodies[0]["messages"][0]["content"] == "A lone half: \ufffd"


def test_the_same_messages_give_the_same_bytes(server: ScriptedServer, endpoint: Endpoint) -> None:
    server.enqueue("One.", "Two.")
    for _ in range(2):
        reply_of(endpoint, LATE, tools=[TOOL], max_tokens=5)
    assert server.requests[0].raw == server.requests[1].raw


def test_only_what_is_set_is_sent(server: ScriptedServer, endpoint: Endpoint) -> None:
    server.enqueue("Hi.")
    reply_of(endpoint)
    assert set(server.bodies[0]) == {"model", "messages", "stream", "stream_options"}
    assert server.requests[0].headers["authorization"] == "Bearer key"


def test_the_limit_has_the_name_the_endpoint_knows(server: ScriptedServer, endpoint: Endpoint) -> None:
    server.enqueue("Hi.")
    reply_of(endpoint, max_tokens=7)
    assert server.bodies[0]["max_tokens"] == 7
    for url in (None, "https://api.openai.com/v1/", "https://eu.api.openai.com/v1"):
        assert "max_completion_tokens" in Endpoint("m", url, "key")._request([], (), 7, None)


def test_complete_asks_once_in_a_schema(server: ScriptedServer, endpoint: Endpoint) -> None:
    server.enqueue({"title": "Tea"}, Answer('{"ti', finish="length"))
    assert endpoint.complete("Sum up.", "Talk of tea.", SCHEMA, 50) == '{"title": "Tea"}'
    form = server.bodies[0]["response_format"]
    assert form == {"type": "json_schema", "json_schema": {"name": "answer", "strict": True, "schema": SCHEMA}}
    assert [message["role"] for message in server.bodies[0]["messages"]] == ["system", "user"]
    assert endpoint.complete("Sum up.", "Talk of tea.", SCHEMA, 2) == '{"ti'


def test_requests_are_json_a_server_can_read(server: ScriptedServer, endpoint: Endpoint) -> None:
    server.enqueue("Ja.")
    reply_of(endpoint, [say("user", "Grüße, 世界 😀")])
    assert json.loads(server.requests[0].raw)["messages"][0]["content"] == "Grüße, 世界 😀"


def test_a_busy_server_is_asked_again_after_its_pause(server: ScriptedServer) -> None:
    endpoint = Endpoint("m", server.url, max_retries=1)
    server.enqueue(refusal(429, "Busy.", None, Retry_After_Ms="10"), "Hi.")
    assert reply_of(endpoint).text == "Hi."
    endpoint.close()


# A stream that does not reach its end


@pytest.mark.parametrize("answer", [Answer("Half a reply.", drop_after=2), Answer("Half a", raw="{broken")])
def test_a_break_in_mid_stream_keeps_what_was_said(server: ScriptedServer, endpoint: Endpoint, answer: Answer) -> None:
    server.enqueue(answer)
    reply = reply_of(endpoint)
    assert (reply.text, reply.finish) == ("Half a " if answer.drop_after else "Half a", "broken")


def test_a_broken_reply_calls_no_tools(server: ScriptedServer, endpoint: Endpoint) -> None:
    server.enqueue(Answer("Let me.", calls=(Call("delete", '{"path": "/tmp/a"}'),), drop_after=4))
    reply = reply_of(endpoint)
    assert (reply.text, reply.tool_calls, reply.finish) == ("Let me.", (), "broken")


def test_a_stream_that_ends_without_its_last_word_is_broken(server: ScriptedServer, endpoint: Endpoint) -> None:
    server.enqueue(Answer("Half a", finish=None))
    assert reply_of(endpoint).finish == "broken"


def test_a_break_after_the_end_does_no_harm(server: ScriptedServer, endpoint: Endpoint) -> None:
    server.enqueue(Answer("Hi.", drop_after=3))
    assert reply_of(endpoint).finish == "stop"


def test_half_a_summary_is_none(server: ScriptedServer, endpoint: Endpoint) -> None:
    server.enqueue(Answer("Half a", drop_after=2))
    with pytest.raises(ModelUnreachable, match="broke off"):
        endpoint.complete("Sum up.", "Talk.", None, 9)


def test_cancelling_closes_the_connection(server: ScriptedServer, endpoint: Endpoint) -> None:
    server.enqueue(Answer("word " * 100, pause_s=0.01))
    seen: list[Any] = []
    with pytest.raises(Interrupted) as caught:
        seen.extend(endpoint.stream(HELLO, cancelled=lambda: len(server.requests) == 1))
    assert caught.value.exit_code == 130
    assert server.hung_up.wait(5)


def test_a_reader_that_leaves_closes_the_connection(server: ScriptedServer, endpoint: Endpoint) -> None:
    server.enqueue(Answer("word " * 100, pause_s=0.01))
    stream = endpoint.stream(HELLO)
    next(stream)
    assert isinstance(stream, Iterator)
    stream.close()  # type: ignore[attr-defined]
    assert server.hung_up.wait(5)


def test_ctrl_c_in_mid_stream_closes_the_connection(server: ScriptedServer, endpoint: Endpoint) -> None:
    def interrupted(_body: Any) -> Answer:
        threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()
        return Answer("word " * 100, pause_s=0.05)

    server.enqueue(interrupted)
    with pytest.raises(KeyboardInterrupt):
        reply_of(endpoint)
    assert server.hung_up.wait(5)
    server.enqueue("Here again.")
    assert reply_of(endpoint).text == "Here again."
