"""What endpoints refuse, and the request without it. Pure: an error's words in, a quirk's name or a request out.

Endpoints that speak the same interface differ in what they take. A quirk is learned from the first refusal, or known
beforehand from the model table, and every later request is adapted to it.
"""

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from assistant.toolwords import in_words
from assistant.wire import Request


@dataclass(frozen=True, slots=True)
class Quirk:
    """Something that an endpoint refuses: the sign in its error's text, and the request that does without."""

    name: str
    sign: re.Pattern[str]
    adapt: Callable[[Request], Request]


def _without(name: str) -> Callable[[Request], Request]:
    return lambda request: {key: value for key, value in request.items() if key != name}


def _other_limit(request: Request) -> Request:
    """OpenAI's newer models know only max_completion_tokens, many other servers only max_tokens."""
    other = {"max_tokens": "max_completion_tokens", "max_completion_tokens": "max_tokens"}
    return {other.get(name, name): value for name, value in request.items()}


def _system_first(request: Request) -> Request:
    """All system messages joined in one at the beginning."""
    notes = [each["content"] for each in request["messages"] if each["role"] == "system"]
    first = [{"role": "system", "content": "\n\n".join(notes)}] if notes else []
    return {**request, "messages": first + [each for each in request["messages"] if each["role"] != "system"]}


def _no_system(request: Request) -> Request:
    """The system messages' text at the head of the first user message; without one they become one."""
    joined = _system_first(request)["messages"]
    if not joined or joined[0]["role"] != "system":
        return request
    system, first, rest = joined[0], joined[1:2], joined[2:]
    if not first or first[0]["role"] != "user":
        return {**request, "messages": [{**system, "role": "user"}, *first, *rest]}
    return {**request, "messages": [{**first[0], "content": f"{system['content']}\n\n{first[0]['content']}"}, *rest]}


def _alternating(request: Request) -> Request:
    """Two user messages in a row, as after a turn that failed, joined in one; so the assistant's words in a plan."""
    joined: list[dict[str, Any]] = []
    for each in request["messages"]:
        if joined and _go_together(joined[-1], each):
            joined[-1] = {**joined[-1], **each, "content": f"{joined[-1]['content']}\n\n{each['content']}".strip()}
        else:
            joined.append(dict(each))
    return {**request, "messages": joined}


def _go_together(first: Mapping[str, Any], second: Mapping[str, Any]) -> bool:
    return first["role"] == second["role"] in ("user", "assistant") and "tool_calls" not in first


def _refusal_of(*names: str) -> re.Pattern[str]:
    """The sign of an unknown parameter. Its name alone is not enough: a value may be wrong, or the prompt too long."""
    refused = r"unsupported|not supported|does ?n.t support|does not support|unrecogni[sz]ed|unknown|unexpected"
    return sign_of(rf"(?=.*\b({'|'.join(names)})\b)(?=.*({refused}|extra (inputs|fields)|not permitted|not allowed))")


def sign_of(pattern: str) -> re.Pattern[str]:
    """A sign in an error's words, in any case and over line ends."""
    return re.compile(pattern, re.IGNORECASE | re.DOTALL)


_TEMPLATE = r"system (message|role|prompt)|roles? must alternate|only user and assistant roles|user/assistant/user"

# In this order: of two with the same sign, the milder comes first, and one that changes nothing is passed over.
QUIRKS = (
    Quirk("other_limit", _refusal_of("max_tokens", "max_completion_tokens"), _other_limit),
    Quirk("no_temperature", _refusal_of("temperature"), _without("temperature")),
    Quirk("no_stream_options", _refusal_of("stream_options", "include_usage"), _without("stream_options")),
    Quirk(
        "no_tools",
        sign_of(r"not support tools|tools? .{0,30}not supported|tools? param requires|tool choice requires"),
        in_words,
    ),
    Quirk("no_late_system", sign_of(_TEMPLATE), _system_first),
    Quirk("roles_alternate", sign_of(r"roles? must alternate|user/assistant/user"), _alternating),
    Quirk("no_system", sign_of(_TEMPLATE), _no_system),
)


def adapted(request: Request, quirks: Collection[str]) -> Request:
    """The request without what the quirks named refuse."""
    for quirk in QUIRKS:
        if quirk.name in quirks:
            request = quirk.adapt(request)
    return request


def learned(told: str, request: Request, known: Collection[str]) -> str:
    """The name of the quirk that explains what an endpoint `told`, and that is not known yet; "" if none does."""
    for quirk in QUIRKS:
        if quirk.name not in known and quirk.sign.search(told) and quirk.adapt(request) != request:
            return quirk.name
    return ""
