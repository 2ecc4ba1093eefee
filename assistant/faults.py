"""What goes wrong with a request to a model: whether it is sent again and when, and what a person is told. Pure.

docs/faults.md has the whole table.
"""

import email.utils
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Literal

from assistant.errors import ContextOverflow, KeyRefused, ModelError, ModelUnreachable, RateLimited, SchemaRefused
from assistant.overflow import prompt_in, window_in
from assistant.quirks import sign_of
from memory.errors import Failure

# refused: the endpoint says so, by a status or in mid-stream. unreachable: no connection, or a lost one. silent:
# not a byte within the time. idle: signs of life, and nothing else. broken: it ended before anything of use. empty: it
# ended, without any choice. unreadable: no JSON, or none of the form. page: HTML instead of an answer.
Kind = Literal["refused", "unreachable", "silent", "idle", "broken", "empty", "unreadable", "page"]

SAID_CHARACTERS = 300  # of an endpoint's own words
BACKOFF_S = 0.5  # the first pause; each further one is twice as long. As the openai client does
BACKOFF_MOST_S = 8.0
PAUSE_MOST_S = 120.0  # a Retry-After beyond this is told to the person instead


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that went wrong. `said` is what a person may read of it, `told` all that there is, for signs.

    `status` is HTTP's, or the one that an error in mid-stream names, else 0. `retry_after` and `should_retry` are
    headers.
    """

    kind: Kind
    said: str = ""
    told: str = ""
    status: int = 0
    retry_after: str = ""
    should_retry: str = ""


class FaultError(Exception):
    """A fault on its way to where it is decided upon."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.said)
        self.fault = fault


# The wordings of OpenAI and Azure, llama.cpp, vLLM, SGLang, TGI, Ollama, LM Studio, LiteLLM, OpenRouter, Mistral,
# Anthropic, Google, Bedrock, Cohere, xAI, Groq and MiniMax; tests/test_faults.py has each.
_OVERFLOW = sign_of(
    r"context_length_exceeded|exceed_context_size|string_above_max_tokens|greater than max_model_len"
    r"|context.{0,20}\b(length|size|window|limit)"
    r"|(prompt|input|request|messages?) (is|are) (too long|longer than)|(prompt|input|request) (length )?exceeds"
    r"|too (many|large).{0,20}\btokens\b|(?<!max_)tokens? (count )?(.{0,12} )?exceeds?\b|exceeded model token limit"
    r"|(maximum|max) (prompt|input|model|sequence) length|maximum number of (input )?tokens"
    r"|`inputs` (tokens|must have)|too large for (the )?model|(request|prompt|payload) too large"
    r"|reduce the length of (the |your )?(messages|prompt|input|either)"
)
_TOO_LARGE = sign_of(r"request too large|context_length_exceeded|maximum context length")
_MAY_OVERFLOW = (0, 400, 413, 422, 500)
_SCHEMA = sign_of(r"response_format|json_?.?schema|\bschema\b|grammar|guided|structured output")
_QUOTA = sign_of(r"insufficient_quota|insufficient.{0,10}(balance|credits?|funds)")
# An error in mid-stream often has no status, but a type.
_PASSING = sign_of(
    r"overloaded|rate.?limit|too many requests|server_?error|internal.{0,8}error|unavailable|time(d )?.?out|try again"
    r"|capacity|upstream|bad gateway"
)


def is_overflow(fault: Fault) -> bool:
    """Whether the prompt was too long. On a 429 only a single request's size counts: the rest is a rate."""
    if fault.kind != "refused":
        return False
    if fault.status == 429:
        return bool(_TOO_LARGE.search(fault.told))
    return fault.status == 413 or (fault.status in _MAY_OVERFLOW and bool(_OVERFLOW.search(fault.told)))


def is_quota(fault: Fault) -> bool:
    """Whether money ran out, which no pause brings back."""
    return fault.status == 402 or (fault.status in (0, 403, 429) and bool(_QUOTA.search(fault.told)))


def is_transient(fault: Fault) -> bool:
    """Whether the same request may be answered a little later."""
    if fault.kind != "refused":
        return fault.kind in ("unreachable", "silent", "broken")
    if fault.should_retry in ("true", "false"):  # not a standard header, but the endpoint's own word
        return fault.should_retry == "true"
    if is_overflow(fault) or is_quota(fault):
        return False
    if fault.status:
        return fault.status in (408, 409, 425, 429) or fault.status >= 500
    return bool(_PASSING.search(fault.told))


def pause_s(fault: Fault, retries: int, backoff_s: float = BACKOFF_S, now: datetime | None = None) -> float | None:
    """Seconds to wait before the request is sent again, after so many retries; None where that would be too long."""
    asked = asked_pause_s(fault.retry_after, now or datetime.now(UTC))
    if asked is not None and asked > 0:
        return asked if asked <= PAUSE_MOST_S else None
    return min(backoff_s * 2.0 ** min(retries, 10), BACKOFF_MOST_S)


def asked_pause_s(retry_after: str, now: datetime) -> float | None:
    """Retry-After in seconds: a number, one with "ms", or a date. None where it is neither; a past date is negative."""
    text = retry_after.strip().lower()
    scale = 1000 if text.endswith("ms") else 1
    try:
        seconds = float(text.removesuffix("ms")) / scale
    except ValueError:
        try:
            at = email.utils.parsedate_to_datetime(text)
        except (ValueError, TypeError, IndexError, OverflowError):
            return None
        return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() - now.timestamp()
    return None if math.isnan(seconds) else seconds


# What a person is told

_LEADS = "Does {base_url} lead to chat completions?"
_REACHABLE = "Is the server running, and the network up? See assistant doctor."
_MEANINGS: Mapping[Kind, tuple[type[Failure], str, str]] = {
    "unreachable": (ModelUnreachable, "{host} cannot be reached: {said}", _REACHABLE),
    "silent": (ModelUnreachable, "{host} did not answer within {said}", _REACHABLE),
    "idle": (ModelUnreachable, "{host} gave signs of life, and no reply within {said}", ""),
    "broken": (ModelUnreachable, "The connection to {host} broke off.", "Try again."),
    "empty": (ModelError, "{host} answered without a reply.", _LEADS),
    "page": (ModelError, "{host} answered with a web page: {said}", _LEADS),
    "unreadable": (ModelError, "{host} sent an answer that cannot be read: {said}", ""),
}


def failure(fault: Fault, base_url: str, host: str, request: Mapping[str, Any]) -> Failure:
    """The failure of a request that is not sent again; `request` is what was asked for."""
    said = fault.said if fault.said.endswith((".", "!", "?", "…")) else f"{fault.said}."
    fault = replace(fault, said=said)
    if fault.kind != "refused":
        kind, message, remedy = _MEANINGS[fault.kind]
        return kind(message.format(host=host, said=said), remedy.format(base_url=base_url))
    if is_overflow(fault):
        message = f"The prompt is too long for {request['model']}: {said}"
        return ContextOverflow(message, "Set a smaller window.", window_in(fault.told), prompt_in(fault.told))
    if is_quota(fault):
        return RateLimited(f"The quota at {host} is used up: {said}", "Check the plan and its billing there.")
    if "response_format" in request and fault.status not in _MEANT and _SCHEMA.search(fault.told):
        return SchemaRefused(f"{host} cannot answer in a schema: {said}", "")
    return _by_status(fault, base_url, host, request)


_MEANT = (401, 403, 404, 429)  # statuses with a meaning of their own


def _by_status(fault: Fault, base_url: str, host: str, request: Mapping[str, Any]) -> Failure:
    said, status = fault.said, fault.status
    if status in (401, 403):
        return KeyRefused(f"{host} does not take the key: {said}", "Check OPENAI_API_KEY and OPENAI_BASE_URL.")
    if status == 404:
        return _missing(fault, base_url, host, request)
    later = f"Try again {_when(fault.retry_after)}." if is_transient(fault) or status == 429 else ""
    if status == 429:
        return RateLimited(f"{host} asks for a pause: {said}", later)
    return ModelError(f"{host} answered {status or 'with an error'}: {said}", later)


def _missing(fault: Fault, base_url: str, host: str, request: Mapping[str, Any]) -> Failure:
    """Unknown may be the model or the path; only the first answer speaks of a model."""
    if "model" in fault.told.lower():
        return ModelError(f"The model {request['model']} is not known at {host}.", "See assistant models.")
    return ModelError(f"Nothing answers at {base_url}: {fault.said}", "Does the address end in /v1?")


def _when(retry_after: str) -> str:
    """Retry-After in words."""
    seconds = asked_pause_s(retry_after, datetime.now(UTC))
    if seconds is None or math.isinf(seconds):
        return "later"
    if "," in retry_after:  # a date
        return f"after {one_line(retry_after)}"
    seconds = max(seconds, 1)
    return f"in {math.ceil(seconds)} s" if seconds <= PAUSE_MOST_S else f"in {math.ceil(seconds / 60):,} min"


def one_line(text: str) -> str:
    """Foreign words, fit for a terminal: one line of at most 300 characters; of an HTML page its title."""
    if is_page(text):
        title = re.search(r"<title[^>]*>([^<]*)</title>", text, re.IGNORECASE)
        text = title[1] if title else "an HTML page"
    # A colour or a jump of the cursor must not reach the terminal.
    words = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return words if len(words) <= SAID_CHARACTERS else f"{words[:SAID_CHARACTERS]}…"


def is_page(text: str) -> bool:
    """Whether the text is HTML."""
    return bool(re.match(r"\s*<(!doctype|html|head)", text, re.IGNORECASE))
