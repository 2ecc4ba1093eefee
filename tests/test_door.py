"""The door to openai: addresses, keys, proxies, and what is cut off."""

import subprocess
import sys

import pytest

from assistant.door import is_loopback
from assistant.errors import KeyRefused, ModelUnreachable
from assistant.llm import Endpoint
from tests.endpoints import failure_of, reply_of
from tests.scripted import Answer, ScriptedServer, refusal, unused_url


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
