"""The scripted server itself, through the plainest client there is."""

import json
import urllib.request
from typing import Any
from urllib.error import HTTPError

import pytest

from tests.scripted import (
    Answer,
    Call,
    ScriptedServer,
    too_long,
)

NO_PROXY = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def post(server: ScriptedServer, path: str, body: dict[str, Any]) -> str:
    request = urllib.request.Request(
        f"{server.url}{path}", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    with NO_PROXY.open(request, timeout=5) as response:
        return str(response.read(), "utf-8")


def ask(server: ScriptedServer, **more: Any) -> str:
    return post(server, "/chat/completions", {"model": "m", "messages": [{"role": "user", "content": "Hi you"}]} | more)


def test_an_answer_comes_whole_or_in_pieces(server: ScriptedServer) -> None:
    server.enqueue("Good morning.", "Good morning.")
    whole = json.loads(ask(server))
    assert whole["choices"][0]["message"]["content"] == "Good morning."
    assert whole["usage"]["prompt_tokens"] == 2
    lines = ask(server, stream=True).split("\n\n")
    chunks = [json.loads(line.removeprefix("data: ")) for line in lines[:-2]]
    assert lines[-2] == "data: [DONE]"
    assert "".join(chunk["choices"][0]["delta"].get("content", "") for chunk in chunks) == "Good morning."


def test_the_requests_are_kept(server: ScriptedServer) -> None:
    server.enqueue("Yes.")
    ask(server, temperature=0)
    assert server.requests[0].path == "/v1/chat/completions"
    assert server.requests[0].headers["content-type"] == "application/json"
    assert server.bodies[0]["temperature"] == 0


def test_a_callable_answers_from_the_request(server: ScriptedServer) -> None:
    server.default = lambda body: body["messages"][-1]["content"].upper()
    assert '"HI YOU"' in ask(server)
    assert '"HI YOU"' in ask(server)


def test_a_script_that_ran_out_says_so(server: ScriptedServer) -> None:
    with pytest.raises(HTTPError) as error:
        ask(server)
    assert error.value.code == 500
    with error.value:
        assert "The script ran out" in error.value.read().decode()


def test_a_refusal_has_its_status(server: ScriptedServer) -> None:
    server.enqueue(too_long())
    with pytest.raises(HTTPError) as error:
        ask(server)
    error.value.close()
    assert error.value.code == 400


def test_tool_calls_of_one_answer_stand_beside_each_other(server: ScriptedServer) -> None:
    server.enqueue(Answer(calls=(Call("clock", "{}"), Call("sum", '{"a": 1}', id=None))))
    message = json.loads(ask(server))["choices"][0]["message"]
    assert [call["function"]["name"] for call in message["tool_calls"]] == ["clock", "sum"]
    assert [call["id"] for call in message["tool_calls"]] == ["call_0", None]


def test_a_fault_in_the_script_is_raised_at_the_end() -> None:
    def faulty(_body: Any) -> str:
        raise KeyError("a slip in the test")

    with pytest.raises(KeyError, match="a slip"), ScriptedServer() as server:
        server.enqueue(faulty)
        with pytest.raises(ConnectionError):
            ask(server)


def test_like_texts_have_like_vectors(server: ScriptedServer) -> None:
    texts = ["the cat sleeps", "the cat sleeps now", "eleven green bottles"]
    answer = json.loads(post(server, "/embeddings", {"model": "m", "input": texts, "encoding_format": "float"}))
    cat, cat_now, bottles = (each["embedding"] for each in answer["data"])
    assert sum(a * b for a, b in zip(cat, cat_now, strict=True)) > sum(a * b for a, b in zip(cat, bottles, strict=True))
