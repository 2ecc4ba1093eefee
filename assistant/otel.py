"""Traces as OpenTelemetry spans, by its conventions for generative AI, sent as OTLP over HTTP. The only door to it.

A turn is a span `invoke_agent assistant`; below it stand `chat MODEL` for each call of the model, `execute_tool NAME`
for each call of a tool, `invoke_agent helper` for each helper, and `plan assistant` around the calls that planned. The
writing of a session's notes is `invoke_agent notes`. Names and attributes:
https://github.com/open-telemetry/semantic-conventions-genai (0.1). What those do not know begins with "assistant.".

No words of anybody are in a span, but where `content` says so.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SpanExportResult
from opentelemetry.trace import SpanKind, Status, StatusCode, set_span_in_context

from assistant.approval import DENIED
from assistant.tracing import Call, Helper, Step, Trace
from assistant.wire import well_formed
from memory.usage import Usage, of_receipts

SERVICE = "assistant"
PATH = "/v1/traces"  # of OTLP over HTTP; an endpoint is given without it, as in OTEL_EXPORTER_OTLP_ENDPOINT
PROVIDER = "openai"  # the form that requests have, whoever answers them
EPOCH = datetime.fromtimestamp(0, UTC)

Attributes = dict[str, Any]
# By a receipt's `seq` the messages of its request, as they went over the wire.
Requests = Mapping[int, Sequence[Mapping[str, Any]]]


class Exporter:
    """Sends spans to one endpoint. Headers, certificates and compression are those of OTEL_EXPORTER_OTLP_..."""

    def __init__(self, endpoint: str, timeout_s: float) -> None:
        """`endpoint` is a collector's address, with or without /v1/traces; to send may take `timeout_s`."""
        url = endpoint.rstrip("/")
        self._exporter = OTLPSpanExporter(url if url.endswith(PATH) else url + PATH, timeout=timeout_s)

    def send(self, spans: Sequence[ReadableSpan]) -> bool:
        """Send spans; says whether they arrived."""
        return not spans or self._exporter.export(spans) is SpanExportResult.SUCCESS


def spans_of(trace: Trace, requests: Requests | None = None) -> list[ReadableSpan]:
    """The spans of a trace, with words only where the `requests` of its steps are given."""
    kept = _Kept()
    # OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES win, as everywhere.
    resource = Resource({"service.name": SERVICE}).merge(OTELResourceDetector().detect())
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(kept)
    _Spans(provider, trace, requests).trace()
    return kept.spans


class _Kept(SpanProcessor):
    """Holds the spans that have ended."""

    def __init__(self) -> None:
        self.spans: list[ReadableSpan] = []

    def on_end(self, span: ReadableSpan) -> None:
        self.spans.append(span)


class _Spans:
    """Makes the spans of one trace."""

    def __init__(self, provider: TracerProvider, trace: Trace, requests: Requests | None) -> None:
        self._tracer, self._trace, self._requests = provider.get_tracer(SERVICE), trace, requests

    def trace(self) -> None:
        """The turn, or the writing of notes, with all below it."""
        trace, last = self._trace, self._trace.steps[-1]
        name = SERVICE if trace.number else "notes"
        told = self._words({"gen_ai.input.messages": _said("user", trace.asked.content)}) if trace.asked else {}
        told |= self._words({"gen_ai.output.messages": _answered(trace.answer, last)}) if trace.answer else {}
        number = {"assistant.turn": trace.number} if trace.number else {}
        attributes = self._agent(name, trace.steps, trace.usage) | number | told
        error = _error(last) if trace.state in ("failed", "unfinished") else ""
        root = self._span(f"invoke_agent {name}", Context(), trace.began_at, trace.ended_at, attributes, error)
        for step in trace.steps:
            self._step(step, root)

    def _agent(self, name: str, steps: Sequence[Step], usage: Usage) -> Attributes:
        found = {
            **self._common("invoke_agent"),
            "gen_ai.agent.name": name,
            "gen_ai.request.model": steps[-1].receipt.model,
            "gen_ai.usage.input_tokens": usage.prompt_tokens,
            "gen_ai.usage.cache_read.input_tokens": usage.cached_tokens,
            "gen_ai.usage.output_tokens": usage.completion_tokens,
        }
        return found | ({} if usage.usd is None or usage.unpriced else {"assistant.cost_usd": usage.usd})

    def _step(self, step: Step, parent: Context) -> None:
        receipt = step.receipt
        above = parent
        if receipt.purpose == "plan":
            above = self._span(f"plan {SERVICE}", parent, receipt.at, step.ended_at, self._common("plan"), _error(step))
        name, attributes = f"chat {receipt.model}", self._chat(step)
        self._span(name, above, receipt.at, step.ended_at, attributes, _error(step), _told(step), SpanKind.CLIENT)
        for call in step.calls:
            self._call(step, call, parent)
        for helper in step.helpers:
            self._helper(helper, parent)

    def _chat(self, step: Step) -> Attributes:
        receipt, ended = step.receipt, step.receipt.outcome
        found: Attributes = {
            **self._common("chat"),
            "gen_ai.request.model": receipt.model,
            "gen_ai.request.stream": True,
            "assistant.request_bytes": receipt.bytes,
            "assistant.cost_usd": receipt.usd,
        }
        if ended:
            found |= {
                "gen_ai.response.finish_reasons": [ended.finish] if ended.finish else None,
                "gen_ai.usage.input_tokens": ended.prompt_tokens,
                "gen_ai.usage.cache_read.input_tokens": ended.cached_tokens,
                "gen_ai.usage.output_tokens": ended.completion_tokens,
                "assistant.retries": ended.retries,
            }
        asked = (self._requests or {}).get(receipt.seq, ())
        if asked:
            found |= self._words({"gen_ai.input.messages": [_as_message(one) for one in asked]})
        if step.said is not None or step.calls:
            found |= self._words({"gen_ai.output.messages": _answered(step.said or "", step)})
        return found

    def _call(self, step: Step, call: Call, parent: Context) -> None:
        took = timedelta(milliseconds=call.ms)
        # A result is noted when those before it are; a call cannot have begun before it was asked for.
        began = max(step.ended_at, call.ended_at - took) if call.ended_at else step.ended_at
        attributes = {
            **self._common("execute_tool"),
            "gen_ai.tool.name": call.name,
            "gen_ai.tool.type": "function",
            "gen_ai.tool.call.id": call.id,
            "assistant.decision": self._decision(call),
            **self._words({"gen_ai.tool.call.arguments": call.arguments, "gen_ai.tool.call.result": call.result}),
        }
        error = "" if call.ok else "tool_error" if call.ok is False else "unfinished"
        self._span(f"execute_tool {call.name}", parent, began, began + took, attributes, error)

    def _decision(self, call: Call) -> str | None:
        """Who let it run; its owner's words for a no are words, too."""
        reason = _reason(call.decision) if self._requests is None else ""
        return call.decision.removesuffix(reason) or None

    def _helper(self, helper: Helper, parent: Context) -> None:
        usage = of_receipts(step.receipt for step in helper.steps)
        attributes = self._agent("helper", helper.steps, usage) | {"assistant.helper": helper.number}
        first, last = helper.steps[0], helper.steps[-1]
        above = self._span("invoke_agent helper", parent, first.receipt.at, last.ended_at, attributes, _error(last))
        for step in helper.steps:
            self._step(step, above)

    def _common(self, operation: str) -> Attributes:
        return {
            "gen_ai.operation.name": operation,
            "gen_ai.provider.name": PROVIDER,
            "gen_ai.conversation.id": self._trace.session.id,
        }

    def _words(self, attributes: Mapping[str, Any]) -> Attributes:
        """What somebody said, if it may leave; anything but text as JSON."""
        if self._requests is None:
            return {}
        texts = {name: value if isinstance(value, str) else _json(value) for name, value in attributes.items() if value}
        return {name: well_formed(text) for name, text in texts.items()}

    def _span(
        self,
        name: str,
        parent: Context,
        began: datetime,
        ended: datetime,
        attributes: Mapping[str, Any],
        error: str = "",
        told: str = "",
        kind: SpanKind = SpanKind.INTERNAL,
    ) -> Context:
        """Make a span; gives what its children have as parent. `told` are the words of an error."""
        known = {key: value for key, value in attributes.items() if value is not None}
        span = self._tracer.start_span(name, parent, kind, known, start_time=_nanoseconds(began))
        if error:
            span.set_attribute("error.type", error)
            span.set_status(Status(StatusCode.ERROR, told if told and self._requests is not None else None))
        span.end(_nanoseconds(ended))
        return set_span_in_context(span, parent)


def _reason(decision: str) -> str:
    """What its owner said to a no, with the colon before it."""
    head, colon, reason = decision.partition(":")
    return colon + reason if head == DENIED else ""


def _error(step: Step) -> str:
    """The kind of a step's error, the word before its colon; "" where it has none."""
    ended = step.receipt.outcome
    return "unfinished" if ended is None else ended.error.partition(":")[0]


def _told(step: Step) -> str:
    return step.receipt.outcome.error if step.receipt.outcome else ""


def _nanoseconds(at: datetime) -> int:
    """Since 1970, exactly: a float would not hold them."""
    return (at - EPOCH) // timedelta(microseconds=1) * 1000


# ---------------------------------------------------------------------- messages, by the conventions' JSON schemas


def _said(role: str, text: str) -> list[dict[str, Any]]:
    return [{"role": role, "parts": [_text(text)]}]


def _answered(text: str, step: Step) -> list[dict[str, Any]]:
    """The answer of a step."""
    calls = [_tool_call(call.id, call.name, call.arguments) for call in step.calls]
    finish = step.receipt.outcome.finish if step.receipt.outcome else "error"
    return [{"role": "assistant", "parts": [*([_text(text)] if text else []), *calls], "finish_reason": finish}]


def _as_message(wire: Mapping[str, Any]) -> dict[str, Any]:
    """A message of a request."""
    content = wire.get("content")
    text = content if isinstance(content, str) else _json(content) if content else ""
    if wire["role"] == "tool":
        part = {"type": "tool_call_response", "id": wire.get("tool_call_id"), "response": text}
        return {"role": "tool", "parts": [part]}
    made = [(call["id"], call["function"]) for call in wire.get("tool_calls", ())]
    calls = [_tool_call(call_id, function["name"], function["arguments"]) for call_id, function in made]
    return {"role": wire["role"], "parts": [*([_text(text)] if text else []), *calls]}


def _text(text: str) -> dict[str, Any]:
    return {"type": "text", "content": text}


def _tool_call(call_id: str, name: str, arguments: str) -> dict[str, Any]:
    return {"type": "tool_call", "id": call_id, "name": name, "arguments": _parsed(arguments)}


def _parsed(arguments: str) -> Any:
    """Arguments as JSON, or the text where it is none."""
    try:
        return json.loads(arguments)
    except ValueError:
        return arguments


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
