"""What tests of an endpoint share: messages, an Endpoint at the scripted server, and what it answers."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from assistant.llm import Endpoint
from assistant.reply import Delta, Reply
from memory.errors import Failure
from memory.records import Message, Role
from tests.scripted import ScriptedServer

SCHEMA = {"type": "object", "properties": {"title": {"type": "string"}}, "required": ["title"]}
TOOL = {"type": "function", "function": {"name": "clock", "description": "The time.", "parameters": {}}}


def say(role: Role, content: str, **more: Any) -> Message:
    return Message("m", "s", role, content, datetime(2026, 11, 1, tzinfo=UTC), role, **more)


HELLO = [say("system", "Be brief."), say("user", "Hello.")]
LATE = [*HELLO, say("assistant", "Hi."), say("system", "A late note."), say("user", "And now?")]


@pytest.fixture(name="endpoint")
def scripted_endpoint(server: ScriptedServer) -> Iterator[Endpoint]:
    """An Endpoint at the scripted server, which sends nothing again."""
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
