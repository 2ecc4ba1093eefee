"""Vectors from an endpoint's embeddings."""

import pytest

from assistant.embeddings import EmbeddingsEndpoint
from assistant.errors import ModelError, ModelUnreachable
from tests.scripted import ScriptedServer, unused_url


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
