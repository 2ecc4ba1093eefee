"""The door to openai against a scripted server: what is sent, what comes back, what errors mean."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any, NoReturn

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assistant.errors import (
    ContextOverflow,
    Interrupted,
    KeyRefused,
    ModelError,
    ModelUnreachable,
    RateLimited,
    SchemaRefused,
)
from assistant.llm import EmbeddingsEndpoint, Endpoint, is_loopback, one_line
from assistant.quirks import Request, adapted
from assistant.reply import Delta, Reply, Usage
from assistant.wire import to_wire, well_formed
from memory.errors import Failure, StoreError
from memory.records import Message, Outcome, Role, ToolCall
from tests.scripted import (
    Answer,
    Call,
    Refusal,
    ScriptedServer,
    bad_key,
    bad_template,
    no_schema,
    no_such_model,
    quota_used_up,
    rate_limited,
    refusal,
    too_long,
    unused_url,
)

SCHEMA = {"type": "object", "properties": {"title": {"type": "string"}}, "required": ["title"]}
TOOL = {"type": "function", "function": {"name": "clock", "description": "The time.", "parameters": {}}}


def say(role: Role, content: str, **more: Any) -> Message:
    return Message("m", "s", role, content, datetime(2026, 11, 1, tzinfo=UTC), role, **more)


HELLO = [say("system", "Be brief."), say("user", "Hello.")]
LATE = [*HELLO, say("assistant", "Hi."), say("system", "A late note."), say("user", "And now?")]


@pytest.fixture
def endpoint(server: ScriptedServer) -> Iterator[Endpoint]:
    made = Endpoint("m", server.url, "key", max_retries=0)
    yield made
    made.close()


def reply_of(endpoint: Endpoint, messages: list[Message] = HELLO, **more: Any) -> Reply:
    *deltas, reply = endpoint.stream(messages, **more)
    assert all(isinstance(delta, Delta) for delta in deltas)
    assert isinstance(reply, Reply)
    return reply


def failure_of(endpoint: Endpoint, **more: Any) -> Failure:
    with pytest.raises(Failure) as caught:
        reply_of(endpoint, **more)
    assert "\n" not in str(caught.value)
    return caught.value


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


def test_a_message_on_the_wire() -> None:
    call = ToolCall("c1", "clock", '{"zone": "UTC"}')
    assert to_wire(say("user", "Hello.")) == {"role": "user", "content": "Hello."}
    assert to_wire(say("assistant", "", tool_calls=(call,))) == {
        "role": "assistant",
        "content": "",
        "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "clock", "arguments": '{"zone": "UTC"}'}}],
    }
    assert to_wire(say("tool", "noon", name="clock", tool_call_id="c1")) == {
        "role": "tool",
        "content": "noon",
        "name": "clock",
        "tool_call_id": "c1",
    }


def test_a_name_that_endpoints_refuse_is_made_one_they_take() -> None:
    assert to_wire(say("user", "Hello.", name="Jane Doe"))["name"] == "Jane_Doe"
    wire = to_wire(say("assistant", "", tool_calls=(ToolCall("c", "functions.clock", ""), ToolCall("d", "", ""))))
    assert [call["function"]["name"] for call in wire["tool_calls"]] == ["functions_clock", "_"]


@pytest.mark.parametrize(
    ("written", "sent"),
    [("", "{}"), ('{"a": 1}', '{"a": 1}'), ('{"a": ', '{"not_json": "{\\"a\\": "}'), ("[1]", '{"not_json": "[1]"}')],
)
def test_arguments_are_sent_back_as_an_object(written: str, sent: str) -> None:
    wire = to_wire(say("assistant", "", tool_calls=(ToolCall("c", "t", written),)))
    assert wire["tool_calls"][0]["function"]["arguments"] == sent


@given(st.text(st.characters(exclude_categories=())))
def test_every_text_can_be_sent(text: str) -> None:
    sent = well_formed(text)
    assert sent.encode().decode() == sent
    assert well_formed(sent) == sent
    assert sent == text or re.search("[\ud800-\udfff]", text)


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


def test_a_proxy_is_not_asked_for_this_machine(server: ScriptedServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, unused_url().removesuffix("/v1"))
    server.enqueue("Hi.")
    endpoint = Endpoint("m", server.url, max_retries=0)
    assert reply_of(endpoint).text == "Hi."
    endpoint.close()


def test_a_proxy_is_asked_for_other_machines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", unused_url().removesuffix("/v1"))
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    endpoint = Endpoint("m", "http://models.example/v1", max_retries=0)
    assert "Connection refused" in failure_of(endpoint).message  # not: the name is not known
    endpoint.close()


@pytest.mark.parametrize(
    ("hostname", "expected"),
    [("localhost", True), ("127.0.0.1", True), ("::1", True), ("a.localhost", True), ("10.0.0.1", False), ("h", False)],
)
def test_loopback(hostname: str, expected: bool) -> None:
    assert is_loopback(hostname) is expected


# Quirks


def picky(body: dict[str, Any]) -> Any:
    """A reasoning model: no max_tokens, no temperature."""
    if "max_tokens" in body:
        return refusal(400, "Unsupported parameter: 'max_tokens' is not supported. Use 'max_completion_tokens'.")
    if "temperature" in body:
        return refusal(400, "Unsupported value: 'temperature' does not support 0.2 with this model.")
    return "Hi."


def test_quirks_are_learned_once(server: ScriptedServer) -> None:
    server.default = picky
    endpoint = Endpoint("m", server.url, temperature=0.2, max_retries=0)
    assert reply_of(endpoint, max_tokens=9).text == "Hi."
    assert endpoint.quirks == {"other_limit", "no_temperature"}
    assert len(server.bodies) == 3
    assert reply_of(endpoint, max_tokens=9).text == "Hi."
    assert len(server.bodies) == 4
    assert server.bodies[-1]["max_completion_tokens"] == 9
    endpoint.close()


def test_two_threads_may_learn_the_same(server: ScriptedServer) -> None:
    endpoint = Endpoint("m", server.url, max_retries=0)
    both = threading.Barrier(2, timeout=5)

    def refuse(body: dict[str, Any]) -> Any:
        if "max_tokens" not in body:
            return "Hi."
        both.wait()  # neither is answered before both have asked
        return refusal(400, "Unsupported parameter: 'max_tokens'.")

    server.default = refuse
    with ThreadPoolExecutor() as pool:
        replies = [pool.submit(reply_of, endpoint, max_tokens=9) for _ in range(2)]
        assert [reply.result().text for reply in replies] == ["Hi.", "Hi."]
    endpoint.close()


def test_a_server_without_stream_options_is_asked_without(server: ScriptedServer, endpoint: Endpoint) -> None:
    unknown = {"detail": [{"loc": ["body", "stream_options"], "msg": "Extra inputs are not permitted"}]}
    server.default = lambda body: Refusal(422, unknown) if "stream_options" in body else "Hi."
    assert reply_of(endpoint).usage is None
    assert endpoint.quirks == {"no_stream_options"}


def test_a_model_that_knows_no_tools_is_asked_without(server: ScriptedServer, endpoint: Endpoint) -> None:
    server.default = lambda body: refusal(400, "model m does not support tools") if "tools" in body else "Hi."
    assert reply_of(endpoint, tools=[TOOL]).text == "Hi."


def roles_of(body: dict[str, Any]) -> list[str]:
    return [message["role"] for message in body["messages"]]


@pytest.mark.parametrize("status", [400, 500])
def test_late_system_messages_join_the_first_where_the_template_wants_it(
    server: ScriptedServer, endpoint: Endpoint, status: int
) -> None:
    said = refusal(status, "System message must be at the beginning.")
    server.default = lambda body: said if "system" in roles_of(body)[1:] else "Hi."
    assert reply_of(endpoint, LATE).text == "Hi."
    assert endpoint.quirks == {"no_late_system"}
    assert roles_of(server.bodies[-1]) == ["system", "user", "assistant", "user"]
    assert server.bodies[-1]["messages"][0]["content"] == "Be brief.\n\nA late note."


def test_a_template_without_a_system_role_gets_its_text_from_the_user(
    server: ScriptedServer, endpoint: Endpoint
) -> None:
    said = refusal(400, "Only user and assistant roles are supported!")
    server.default = lambda body: said if "system" in roles_of(body) else "Hi."
    assert reply_of(endpoint, LATE).text == "Hi."
    assert roles_of(server.bodies[-1]) == ["user", "assistant", "user"]
    assert server.bodies[-1]["messages"][0]["content"] == "Be brief.\n\nA late note.\n\nHello."


def test_two_user_messages_in_a_row_are_joined_where_roles_must_alternate(
    server: ScriptedServer, endpoint: Endpoint
) -> None:
    said = refusal(400, "Conversation roles must alternate user/assistant/user/assistant/...")
    server.default = lambda body: said if roles_of(body) != ["system", "user"] else "Hi."
    assert reply_of(endpoint, [*HELLO, say("user", "Are you there?")]).text == "Hi."
    assert endpoint.quirks == {"roles_alternate"}
    assert server.bodies[-1]["messages"][1]["content"] == f"{HELLO[-1].content}\n\nAre you there?"


def test_a_quirk_may_be_known_beforehand(server: ScriptedServer) -> None:
    endpoint = Endpoint("m", server.url, max_retries=0, quirks=["no_late_system"])
    server.enqueue("Hi.")
    reply_of(endpoint, LATE)
    assert roles_of(server.bodies[0])[1:] == ["user", "assistant", "user"]
    endpoint.close()


def test_a_template_that_is_never_content_is_an_error(server: ScriptedServer, endpoint: Endpoint) -> None:
    server.default = bad_template()
    assert type(failure_of(endpoint)) is ModelError
    assert len(server.bodies) < 4


@pytest.mark.parametrize(
    "message",
    [
        "max_tokens is too large: 100000. This model supports at most 16384 completion tokens.",
        "temperature must be between 0 and 2",
        "'max_tokens' is too large: 9000. This model's maximum context length is 8192 tokens.",
    ],
)
def test_a_wrong_value_is_no_quirk(server: ScriptedServer, message: str) -> None:
    endpoint = Endpoint("m", server.url, temperature=3.0, max_retries=0)
    server.enqueue(refusal(400, message))
    with pytest.raises(ModelError):
        reply_of(endpoint, max_tokens=100_000)
    assert not endpoint.quirks
    endpoint.close()


def test_adapting_twice_changes_no_more() -> None:
    request = {"messages": [to_wire(message) for message in LATE], "temperature": 1}
    quirks = {"no_temperature", "no_late_system", "roles_alternate", "no_system"}
    assert adapted(adapted(request, quirks), quirks) == adapted(request, quirks)


# What errors mean


@pytest.mark.parametrize(
    ("answer", "kind", "exit_code", "words"),
    [
        (bad_key(), KeyRefused, 76, "does not take the key"),
        (refusal(403, "Not for you."), KeyRefused, 76, "Not for you."),
        (rate_limited("20"), RateLimited, 75, "Try again in 20 s."),
        (rate_limited("Wed, 18 Nov 2026 07:28:00 GMT"), RateLimited, 75, "after Wed, 18 Nov 2026"),
        (rate_limited(), RateLimited, 75, "Try again later."),
        (quota_used_up(), RateLimited, 75, "quota"),
        (too_long(), ContextOverflow, 1, "maximum context length"),
        (no_such_model("m"), ModelError, 1, "The model m is not known at 127.0.0.1"),
        (Refusal(404, {"detail": "Not Found"}), ModelError, 1, "/v1?"),
        (refusal(408, "Too slow."), ModelError, 1, "408: Too slow."),
        (refusal(409, "Busy."), ModelError, 1, "409: Busy."),
        (refusal(500, "A bug."), ModelError, 1, "500: A bug."),
        (Refusal(503, {"error": "loading model"}), ModelError, 1, "503: loading model"),
        (Refusal(502, "<html><head><title>502 Bad Gateway</title></head><body>x</body></html>"), ModelError, 1, "Bad"),
        (Refusal(400, "x" * 5000), ModelError, 1, "xxx…"),
        (Answer(choices=False), ModelError, 1, "without a reply"),
        (Answer("", raw="{broken"), ModelError, 1, "cannot be read"),
        (Refusal(200, "<html>Welcome to the router</html>"), ModelError, 1, "without a reply"),
        (Answer("Never seen", drop_after=1), ModelUnreachable, 77, "cannot be reached"),
        (Answer("Never ended", drop_after=0, finish=None), ModelUnreachable, 77, "cannot be reached"),
        (Answer("", finish=None), ModelUnreachable, 77, "broke off"),
        (Answer("", calls=(Call("a", "{}"),), finish=None), ModelUnreachable, 77, "broke off"),
    ],
)
def test_each_error_has_its_meaning(
    server: ScriptedServer, endpoint: Endpoint, answer: Any, kind: type[Failure], exit_code: int, words: str
) -> None:
    server.enqueue(answer)
    failure = failure_of(endpoint)
    assert type(failure) is kind
    assert failure.exit_code == exit_code
    assert words in str(failure)
    assert len(str(failure)) < 500


def test_a_refused_schema_is_told_from_other_refusals(server: ScriptedServer, endpoint: Endpoint) -> None:
    server.enqueue(no_schema(), no_schema(), refusal(400, "Something else."))
    assert type(failure_of(endpoint, schema=SCHEMA)) is SchemaRefused
    assert type(failure_of(endpoint)) is ModelError
    assert type(failure_of(endpoint, schema=SCHEMA)) is ModelError
    server.enqueue(no_schema())
    with pytest.raises(SchemaRefused):
        endpoint.complete("Sum up.", "Talk.", SCHEMA, 9)


def test_an_error_in_mid_stream_is_translated_too(server: ScriptedServer, endpoint: Endpoint) -> None:
    server.enqueue(Answer(raw='{"error": {"code": 429, "message": "Slow down."}}'))
    assert type(failure_of(endpoint)) is RateLimited


def test_no_server_is_named_with_a_remedy() -> None:
    endpoint = Endpoint("m", unused_url(), max_retries=0)
    failure = failure_of(endpoint)
    assert type(failure) is ModelUnreachable
    assert failure.exit_code == 77
    assert endpoint.host in failure.message
    assert failure.remedy
    endpoint.close()


def test_a_silent_server_is_given_up(server: ScriptedServer) -> None:
    endpoint = Endpoint("m", server.url, timeout_s=0.1, max_retries=0)
    server.enqueue(Answer("Late.", delay_s=0.4))
    assert "did not answer within 0.1 s" in failure_of(endpoint).message
    endpoint.close()


@pytest.mark.parametrize("url", ["127.0.0.1:8080", "models", "http://", "http://[half/v1", "http://h:99999/v1"])
def test_what_is_no_address_is_said_so(url: str) -> None:
    failure = failure_of(Endpoint("m", url, "key"))
    assert type(failure) is ModelUnreachable
    assert "is no web address" in failure.message


@pytest.mark.parametrize(("key", "words"), [(None, "There is no key"), ("", "There is no key"), ("k\u00e9y", "Copy")])
def test_a_key_that_cannot_be_one_is_refused_before_anything_is_sent(key: str | None, words: str) -> None:
    failure = failure_of(Endpoint("m", None, key))
    assert type(failure) is KeyRefused
    assert words in str(failure)


def test_neither_key_nor_password_is_repeated(server: ScriptedServer) -> None:
    endpoint = Endpoint("m", server.url.replace("//", "//me:hidden@"), "secret-key", max_retries=0)
    server.enqueue(refusal(401, "Wrong key: secret-key."))
    failure = failure_of(endpoint)
    assert "secret-key" not in str(failure)
    assert "hidden" not in str(failure)
    endpoint.close()


def test_a_busy_server_is_asked_again_after_its_pause(server: ScriptedServer) -> None:
    endpoint = Endpoint("m", server.url, max_retries=1)
    server.enqueue(refusal(429, "Busy.", None, Retry_After_Ms="10"), "Hi.")
    assert reply_of(endpoint).text == "Hi."
    endpoint.close()


def test_foreign_words_stay_on_one_line_without_control_characters() -> None:
    assert one_line("a\n\n b\x1b[31m\tc") == "a b [31m c"
    assert one_line("<!DOCTYPE html><p>x") == "an HTML page"


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


# The rest of the door


def test_the_models_on_offer(server: ScriptedServer, endpoint: Endpoint) -> None:
    assert endpoint.models() == ("scripted",)
    gone = Endpoint("m", unused_url(), max_retries=0)
    with pytest.raises(ModelUnreachable):
        gone.models()
    gone.close()


def test_openai_is_not_imported_before_the_first_use() -> None:
    program = (
        "import sys; from assistant.llm import Endpoint; Endpoint('m').host; "
        "sys.exit(any(name in sys.modules for name in ('openai', 'httpx2', 'numpy')))"
    )
    assert subprocess.run([sys.executable, "-c", program], timeout=30).returncode == 0


def test_vectors_are_of_unit_length_and_in_order(server: ScriptedServer) -> None:
    embed = EmbeddingsEndpoint("org/embed-1:small", server.url, max_retries=0)
    texts = [f"text number {number}" for number in range(130)] + ["", "long " * 4000]
    vectors = embed(texts)
    assert len(vectors) == 132
    assert all(abs(sum(number * number for number in vector) - 1) < 1e-6 for vector in vectors)
    assert [len(seen.body["input"]) for seen in server.requests] == [128, 4]
    assert len(server.requests[1].body["input"][-1]) == 8_000
    assert vectors[5] == embed([texts[5]])[0]
    assert embed([]) == []
    assert embed.name == "endpoint:org/embed-1:small"
    embed.close()


def test_vectors_that_do_not_come_are_an_error(server: ScriptedServer) -> None:
    embed = EmbeddingsEndpoint("m", unused_url(), max_retries=0)
    with pytest.raises(ModelUnreachable):
        embed(["a"])
    embed.close()
    astray = EmbeddingsEndpoint("m", server.url + "/astray", max_retries=0)
    with pytest.raises(ModelError, match="/v1"):
        astray(["a"])
    astray.close()


def test_requests_are_json_a_server_can_read(server: ScriptedServer, endpoint: Endpoint) -> None:
    server.enqueue("Ja.")
    reply_of(endpoint, [say("user", "Grüße, 世界 😀")])
    assert json.loads(server.requests[0].raw)["messages"][0]["content"] == "Grüße, 世界 😀"
