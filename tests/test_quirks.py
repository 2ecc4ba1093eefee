"""What endpoints refuse, learned from their refusals."""

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from assistant.errors import ModelError
from assistant.llm import Endpoint
from assistant.quirks import adapted
from assistant.wire import to_wire
from tests.endpoints import HELLO, LATE, TOOL, failure_of, reply_of, say
from tests.scripted import Refusal, ScriptedServer, bad_template, refusal


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


def test_what_the_assistant_said_in_a_row_is_joined_but_for_calls() -> None:
    calls = [{"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]
    said = [
        {"role": "user", "content": "Go."},
        {"role": "assistant", "content": "One."},
        {"role": "assistant", "content": "", "tool_calls": calls},
        {"role": "assistant", "content": "Two."},
    ]
    joined = adapted({"messages": said}, {"roles_alternate"})["messages"]
    assert joined == [said[0], {"role": "assistant", "content": "One.", "tool_calls": calls}, said[3]]


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
