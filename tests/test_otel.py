"""Turns as OpenTelemetry spans, sent to a receiver on loopback that reads them with OpenTelemetry's own classes."""

import json
import logging
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from typing import Any

import pytest

from assistant.app import App
from assistant.approval import Answer as OwnersAnswer
from assistant.chat import Chat
from assistant.errors import KeyRefused
from assistant.telemetry import Telemetry
from memory.pending import Pending
from memory.receipts import Receipt
from memory.records import Outcome
from tests.collector import Collector, attributes
from tests.conftest import MODEL, Apps
from tests.memories import NOTES, PORTO
from tests.scripted import Answer, Call, ScriptedServer, bad_key, rate_limited

SECRET = "marmalade"
SUM = Answer("Let me see.", calls=(Call("calculator", '{"expression": "6*7"}'), Call("calculator", "{broken")))


@pytest.fixture(autouse=True)
def _no_settings_of_others(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OTEL_EXPORTER_OTLP_HEADERS", "OTEL_SERVICE_NAME", "OTEL_RESOURCE_ATTRIBUTES", "OTEL_SDK_DISABLED"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as collector:
        yield collector


def hear(chat: Chat, text: str) -> int:
    """Ask; gives the turn."""
    with closing(chat.turn(text)) as events:
        list(events)
    return newest(chat)


def newest(chat: Chat) -> int:
    return next(one.seq for one in reversed(chat.session.transcript) if one.role == "user")


def sent(app: App, collector: Collector, turn: int, content: bool = False) -> list[dict[str, Any]]:
    """The spans of a turn, as they came."""
    with closing(Telemetry(collector.url, content)) as telemetry:
        telemetry.turn(app.memory, turn)
    return collector.spans


def test_a_turn_is_an_agent_with_its_model_calls_and_tools(
    app: App, server: ScriptedServer, collector: Collector
) -> None:
    server.enqueue(SUM, rate_limited(retry_after="0"), "It is 42.")
    chat = app.chat()
    root, *below = sent(app, collector, hear(chat, "How much is 6*7?"))
    assert (root["name"], root["kind"], root["parent"]) == ("invoke_agent assistant", "internal", "")
    names = ["chat " + MODEL, "execute_tool calculator", "execute_tool calculator", "chat " + MODEL]
    assert [one["name"] for one in below] == names
    assert [one["kind"] for one in below] == ["client", "internal", "internal", "client"]
    assert {one["parent"] for one in below} == {root["id"]} and {one["trace"] for one in below} == {root["trace"]}
    assert all(root["from"] <= one["from"] <= one["to"] <= root["to"] for one in below)
    assert below[0]["to"] <= below[1]["from"] and below[1]["to"] <= below[3]["from"]
    asked, answered = below[0]["attributes"], below[3]["attributes"]
    usual = {"gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai", "gen_ai.request.model": MODEL}
    assert usual.items() <= asked.items() and asked["gen_ai.conversation.id"] == chat.session.id
    assert asked["gen_ai.response.finish_reasons"] == ["tool_calls"]
    assert answered["gen_ai.response.finish_reasons"] == ["stop"] and answered["assistant.retries"] == 1
    assert asked["gen_ai.usage.input_tokens"] > 0 and asked["assistant.cost_usd"] > 0
    assert root["attributes"]["gen_ai.usage.input_tokens"] == sum(
        one["gen_ai.usage.input_tokens"] for one in (asked, answered)
    )
    ran, broken = below[1], below[2]
    assert ran["attributes"]["gen_ai.tool.name"] == "calculator" and not ran["failed"]
    assert broken["failed"] and broken["attributes"]["error.type"] == "tool_error"


def test_no_word_leaves_but_where_the_setting_says_so(app: App, server: ScriptedServer, collector: Collector) -> None:
    calls = (Call("calculator", json.dumps({"expression": f"'{SECRET}'"})),)
    server.enqueue(Answer(SECRET, calls=calls), f"It is {SECRET}.", bad_key())
    chat = app.chat()
    turn = hear(chat, f"What about {SECRET}?")
    sent(app, collector, turn)
    assert all(SECRET.encode() not in body for body in collector.bodies) and len(collector.bodies) == 1
    root, first, call, second = sent(app, collector, turn, content=True)[4:]
    asked = json.loads(second["attributes"]["gen_ai.input.messages"])
    wire = server.bodies[1]["messages"]
    assert [one["role"] for one in asked] == [one["role"] for one in wire] == ["system", "user", "assistant", "tool"]
    assert asked[1]["parts"] == [{"type": "text", "content": f"What about {SECRET}?"}]
    assert asked[2]["parts"][1]["arguments"] == {"expression": f"'{SECRET}'"}
    assert asked[3]["parts"][0] == {
        "type": "tool_call_response", "id": wire[3]["tool_call_id"], "response": wire[3]["content"],
    }  # fmt: skip
    (answer,) = json.loads(root["attributes"]["gen_ai.output.messages"])
    assert answer == {
        "role": "assistant", "parts": [{"type": "text", "content": f"It is {SECRET}."}], "finish_reason": "stop",
    }  # fmt: skip
    (said,) = json.loads(first["attributes"]["gen_ai.output.messages"])
    assert [part["type"] for part in said["parts"]] == ["text", "tool_call"]
    assert SECRET in call["attributes"]["gen_ai.tool.call.arguments"]


def test_what_an_owner_says_to_a_no_stays(apps: Apps, server: ScriptedServer, collector: Collector) -> None:
    app = apps(approve=("calculator=ask",))
    server.enqueue(Answer(calls=(Call("calculator", '{"expression": "1"}'),)), "No then.")
    turn = hear(app.chat(lambda _question: OwnersAnswer(False, reason=SECRET)), "How much?")
    decisions = [one["attributes"].get("assistant.decision") for one in sent(app, collector, turn)]
    assert decisions[2] == "denied by its owner" and all(SECRET.encode() not in body for body in collector.bodies)


def test_a_failed_turn_has_its_kind_of_error_and_no_words_of_it(
    app: App, server: ScriptedServer, collector: Collector
) -> None:
    server.enqueue(bad_key())
    chat = app.chat()
    with pytest.raises(KeyRefused):
        hear(chat, "Hello?")
    root, call = sent(app, collector, newest(chat))
    assert root["failed"] and call["failed"] and call["told"] == ""
    assert call["attributes"]["error.type"] == root["attributes"]["error.type"] == "KeyRefused"
    assert "Incorrect API" in sent(app, collector, newest(chat), content=True)[-1]["told"]


def test_helpers_are_agents_and_planning_has_a_span_of_its_own(
    app: App, server: ScriptedServer, collector: Collector
) -> None:
    server.enqueue(SUM, "Done.")
    chat = app.chat()
    turn = hear(chat, "Do both.")
    receipts = app.memory.receipts
    parent, at = receipts.of_turn(turn)[0].seq, datetime(2026, 11, 23, tzinfo=UTC)
    for purpose, above, number in (("helper", parent, 1), ("plan", None, None)):
        receipt = Receipt(
            0, chat.session.id, purpose, turn, 1, at, "small", 9, "0", {"messages": []}, parent=above, helper=number,
        )  # type: ignore[arg-type]  # fmt: skip
        receipts.end(receipts.begin(receipt), Outcome(5, "stop"))
    spans = {one["name"]: one for one in sent(app, collector, turn)}
    ids = {one["id"]: name for name, one in spans.items()}
    helper, plan = spans["invoke_agent helper"], spans["plan assistant"]
    assert ids[helper["parent"]] == ids[plan["parent"]] == "invoke_agent assistant"
    small = [ids[one["parent"]] for one in collector.spans if one["name"] == "chat small"]
    assert sorted(small) == ["invoke_agent helper", "plan assistant"]


def test_the_writing_of_notes_is_a_trace_of_its_own(app: App, server: ScriptedServer, collector: Collector) -> None:
    server.enqueue("I see.", NOTES)
    chat = app.chat()
    hear(chat, PORTO)
    chat.end()
    app.write_notes(app.memory, chat.session.id)
    with closing(Telemetry(collector.url, content=True)) as telemetry:
        telemetry.notes(app.memory, chat.session.id)
    assert [one["name"] for one in collector.spans] == ["invoke_agent notes", "chat " + MODEL]


def test_turns_and_notes_are_sent_by_themselves_once_the_setting_says_where(
    apps: Apps, server: ScriptedServer, collector: Collector
) -> None:
    app = apps(otlp_endpoint=collector.url)
    server.enqueue("I see.", bad_key(), NOTES)
    chat = app.chat()
    hear(chat, PORTO)
    with pytest.raises(KeyRefused):
        hear(chat, "And?")
    chat.end()
    app.write_notes(app.memory, chat.session.id)
    app.close()
    roots = [one["name"] for one in collector.spans if not one["parent"]]
    assert roots == ["invoke_agent assistant", "invoke_agent assistant", "invoke_agent notes"]


def test_a_turn_that_waits_is_not_sent(app: App, server: ScriptedServer, collector: Collector) -> None:
    server.enqueue("Hello.")
    chat = app.chat()
    turn = hear(chat, "Hello?")
    waits = Pending("p", chat.session.id, turn, "call", shown="x", why="writes", at=datetime.now(UTC))
    app.memory.pending.wait(chat.session.id, [waits])
    assert sent(app, collector, turn) == sent(app, collector, turn + 99) == []


def test_headers_and_names_are_those_of_the_environment(
    app: App, server: ScriptedServer, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-team=blue")
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "host.name=desk")
    server.enqueue("Hello.")
    sent(app, collector, hear(app.chat(), "Hello?"))
    assert collector.paths == ["/v1/traces"] and collector.headers[0]["x-team"] == "blue"
    resource = attributes(collector.requests[0].resource_spans[0].resource.attributes)
    assert resource == {"service.name": "assistant", "host.name": "desk"}


@pytest.mark.parametrize("status", [400, 503])
def test_a_collector_that_takes_nothing_is_one_line_in_the_log(
    app: App, server: ScriptedServer, collector: Collector, caplog: pytest.LogCaptureFixture, status: int
) -> None:
    collector.status = status
    server.default = "Hello."
    chat = app.chat()
    with caplog.at_level(logging.WARNING, "assistant"), closing(Telemetry(collector.url, False)) as telemetry:
        for _ in range(3):
            telemetry.turn(app.memory, hear(chat, "Hello?"))
    told = [one.getMessage() for one in caplog.records if one.name.startswith("assistant")]
    assert len(told) == 1 and collector.url in told[0]


def test_a_collector_that_hangs_does_not_keep_the_program(
    app: App, server: ScriptedServer, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    collector.gate = threading.Event()
    monkeypatch.setattr("assistant.telemetry.LINGER_S", 0.01)
    server.enqueue("Hello.")
    turn = hear(app.chat(), "Hello?")
    sent(app, collector, turn)  # comes back though nothing was answered
    assert not collector.gate.is_set()


def test_whether_the_extra_is_here_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Telemetry.available()
    for missing in ("opentelemetry.exporter.otlp.proto.none", "no_such_package.at.all"):
        monkeypatch.setattr("assistant.telemetry.NEEDED", missing)
        assert not Telemetry.available()


def test_telemetry_itself_loads_no_library_before_something_is_sent() -> None:
    code = "import sys, assistant.telemetry; print(sorted({'opentelemetry', 'requests'} & set(sys.modules)))"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"
