"""A real model behind a real port: it streams, keeps to a schema, stops, and writes nothing to the terminal."""

import http.client
import importlib.util
import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from assistant import local, weights
from assistant.errors import ModelUnreachable

STORY = [{"role": "user", "content": "Tell me a very long story about a fox."}]


@pytest.fixture(scope="module")
def model() -> Path:
    """The weights of SmolLM2, if the folder in ASSISTANT_MODELS_DIR has them."""
    folder = os.environ.get("ASSISTANT_MODELS_DIR")
    path = weights.find(weights.DEFAULT_MODEL, Path(folder)) if folder else None
    if path is None or importlib.util.find_spec("xllamacpp") is None:
        missing = "needs xllamacpp, and the weights of SmolLM2 in the folder named by ASSISTANT_MODELS_DIR"
        (pytest.fail if "CI" in os.environ else pytest.skip)(missing)
    return path


@pytest.fixture(scope="module")
def endpoint(model: Path) -> Iterator[local.LocalEndpoint]:
    endpoint = local.serve(model, 2048)
    yield endpoint
    endpoint.stop()


def ask(endpoint: local.LocalEndpoint, **body: Any) -> http.client.HTTPResponse:
    request = urllib.request.Request(
        f"{endpoint.base_url}/chat/completions",
        data=json.dumps({"model": endpoint.model, "temperature": 0, **body}).encode(),
        headers={"Authorization": f"Bearer {endpoint.api_key}", "Content-Type": "application/json"},
    )
    answer: http.client.HTTPResponse = urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request)
    return answer


def test_it_streams_an_answer_and_ends_with_its_usage(endpoint: local.LocalEndpoint) -> None:
    with ask(endpoint, messages=STORY, max_tokens=8, stream=True, stream_options={"include_usage": True}) as answer:
        lines = [line.decode().strip() for line in answer if line.startswith(b"data: ")]
    assert lines[-1] == "data: [DONE]"
    chunks = [json.loads(line.removeprefix("data: ")) for line in lines[:-1]]
    text = "".join(chunk["choices"][0]["delta"].get("content") or "" for chunk in chunks if chunk["choices"])
    assert text.strip()
    assert chunks[-1]["usage"]["completion_tokens"] == 8


def test_it_keeps_to_a_json_schema(endpoint: local.LocalEndpoint) -> None:
    schema = {"type": "object", "properties": {"likes_tea": {"type": "boolean"}}, "required": ["likes_tea"]}
    form = {"type": "json_schema", "json_schema": {"name": "a", "schema": {**schema, "additionalProperties": False}}}
    messages = [{"role": "user", "content": "Do I like tea? I do."}]
    with ask(endpoint, messages=messages, max_tokens=60, response_format=form) as answer:
        content = json.load(answer)["choices"][0]["message"]["content"]
    assert isinstance(json.loads(content)["likes_tea"], bool)


def test_a_closed_stream_stops_the_answer(endpoint: local.LocalEndpoint) -> None:
    """With one slot the next request would otherwise wait for some 1,000 tokens, or half a minute."""
    answer = ask(endpoint, messages=STORY, max_tokens=1000, stream=True)
    answer.readline()
    answer.close()
    started = time.monotonic()
    ask(endpoint, messages=STORY, max_tokens=1).close()
    assert time.monotonic() - started < 10


def test_too_long_a_prompt_says_so(endpoint: local.LocalEndpoint) -> None:
    with pytest.raises(urllib.error.HTTPError) as caught:
        ask(endpoint, messages=[{"role": "user", "content": "word " * 3000}])
    with caught.value as error:
        assert error.code == 400
        assert json.load(error)["error"]["type"] == "exceed_context_size_error"


def test_it_listens_on_loopback_and_wants_its_key(endpoint: local.LocalEndpoint) -> None:
    assert endpoint.base_url.startswith("http://127.0.0.1:")
    assert endpoint.model == weights.DEFAULT_MODEL
    assert endpoint.api_key not in repr(endpoint)
    stranger = local.LocalEndpoint(endpoint.base_url, endpoint.model, endpoint.context_tokens, "guess", None)
    with pytest.raises(urllib.error.HTTPError) as caught:
        ask(stranger, messages=STORY)
    with caught.value as error:
        assert error.code == 401


def test_the_window_is_the_one_wanted_and_never_more_than_was_trained(model: Path) -> None:
    assert weights.trained_context(model) == 8192
    endpoint = local.serve(model, 1_000_000)
    assert endpoint.context_tokens == 8192
    endpoint.stop()


def test_stop_frees_the_port(model: Path) -> None:
    endpoint = local.serve(model, 512)
    assert endpoint.context_tokens == 512
    endpoint.stop()
    with pytest.raises(urllib.error.URLError, match="Connection refused"):
        ask(endpoint, messages=STORY)


SCRIPT = """
import json, sys, urllib.request
from pathlib import Path
from assistant import local
endpoint = local.serve(Path(sys.argv[1]), 1024)
body = {"messages": [{"role": "user", "content": "word " * 900}], "stream": True, "max_tokens": 500}
head = {"Authorization": "Bearer " + endpoint.api_key, "Content-Type": "application/json"}
request = urllib.request.Request(endpoint.base_url + "/chat/completions", json.dumps(body).encode(), head)
answer = urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request)
if sys.argv[2] == "stop":
    answer.close()
    endpoint.stop()
"""


@pytest.mark.parametrize("end", ["stop", "just leave"])
def test_a_process_writes_nothing_and_leaves_at_once_in_the_midst_of_an_answer(model: Path, end: str) -> None:
    command = [sys.executable, "-c", SCRIPT, str(model), end]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("length", [0, 100, 5_000, 50_000_000])
def test_a_file_cut_short_is_an_error_not_a_crash(model: Path, tmp_path: Path, length: int) -> None:
    cut = tmp_path / "cut.gguf"
    with model.open("rb") as whole:
        cut.write_bytes(whole.read(length))
    with pytest.raises(ModelUnreachable, match=r"cut\.gguf") as caught:
        local.serve(cut, 512)
    assert caught.value.exit_code == 77


def test_without_the_package_the_remedy_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "xllamacpp", None)
    with pytest.raises(ModelUnreachable, match=r"pip install 'assistant\[local\]'"):
        local.serve(tmp_path / "any.gguf", 512)
