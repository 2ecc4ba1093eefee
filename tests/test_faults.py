"""What goes wrong with a request, and what is made of it."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assistant.errors import (
    ContextOverflow,
    ModelError,
    ModelUnreachable,
    RateLimited,
    SchemaRefused,
)
from assistant.faults import (
    BACKOFF_MOST_S,
    PAUSE_MOST_S,
    Fault,
    asked_pause_s,
    failure,
    is_overflow,
    is_transient,
    one_line,
    pause_s,
)
from assistant.llm import Endpoint
from memory.errors import Failure
from tests import faults_table
from tests.endpoints import SCHEMA, failure_of, reply_of
from tests.scripted import (
    Answer,
    Call,
    Refusal,
    ScriptedServer,
    no_schema,
    rate_limited,
    refusal,
    too_long,
)


@pytest.mark.parametrize(
    ("answer", "kind", "exit_code", "words"),
    [
        (rate_limited("20"), RateLimited, 75, "Try again in 20 s."),
        (rate_limited("Wed, 18 Nov 2026 07:28:00 GMT"), RateLimited, 75, "after Wed, 18 Nov 2026"),
        (too_long(), ContextOverflow, 1, "maximum context length"),
        (Refusal(503, {"error": "loading model"}), ModelError, 1, "503: loading model"),
        (Refusal(400, "x" * 5000), ModelError, 1, "xxx…"),
        (Refusal(200, "<html>Welcome to the router</html>"), ModelError, 1, "web page"),
        (Answer("", calls=(Call("a", "{}"),), finish=None), ModelUnreachable, 77, "broke off"),
    ],
)
def test_each_error_has_its_meaning(
    server: ScriptedServer, endpoint: Endpoint, answer: Any, kind: type[Failure], exit_code: int, words: str
) -> None:
    """Beside those of the table below."""
    server.enqueue(answer)
    failure = failure_of(endpoint)
    assert type(failure) is kind
    assert failure.exit_code == exit_code
    assert words in str(failure)
    assert len(str(failure)) < 500


def test_a_refused_schema_is_told_from_other_refusals(server: ScriptedServer, endpoint: Endpoint) -> None:
    server.enqueue(no_schema(), no_schema(), refusal(400, "Something else."))
    assert type(failure_of(endpoint, schema=SCHEMA)) is SchemaRefused
    assert type(failure_of(endpoint)) is ModelError
    assert type(failure_of(endpoint, schema=SCHEMA)) is ModelError
    server.enqueue(no_schema())
    with pytest.raises(SchemaRefused):
        endpoint.complete("Sum up.", "Talk.", SCHEMA, 9)


def test_an_error_in_mid_stream_is_translated_too(server: ScriptedServer, endpoint: Endpoint) -> None:
    server.enqueue(Answer(raw='{"error": {"code": 429, "message": "Slow down."}}'))
    assert type(failure_of(endpoint)) is RateLimited


def test_foreign_words_stay_on_one_line_without_control_characters() -> None:
    assert one_line("a\n\n b\x1b[31m\tc") == "a b [31m c"
    assert one_line("<!DOCTYPE html><p>x") == "an HTML page"


# The table


TABLE = faults_table.PAGE.read_text(encoding="utf-8")
PASSING = [fault for fault in faults_table.FAULTS if f"| {fault.name} | twice |" in TABLE]


def test_the_table_of_faults_says_what_happens() -> None:
    assert faults_table.page() == TABLE, "python -m tests.faults_table"


@pytest.mark.parametrize("fault", [each for each in PASSING if not each.url], ids=lambda fault: fault.name)
def test_what_passes_is_answered_when_it_is_sent_again(server: ScriptedServer, fault: faults_table.Fault) -> None:
    server.enqueue(fault.step, "Hi.")
    endpoint = Endpoint("m", server.url, backoff_s=0.001, **fault.made)
    reply = reply_of(endpoint)
    assert (reply.text, reply.finish, reply.reasoning, reply.tool_calls) == ("Hi.", "stop", "", ())
    assert server.requests[0].raw == server.requests[1].raw
    endpoint.close()


# What is decided


@pytest.mark.parametrize(
    ("status", "told"),
    [
        # OpenAI, and Azure
        (400, "This model's maximum context length is 8192 tokens. However, your messages resulted in 9000 tokens."),
        (400, "Your input exceeds the context window of this model. Please adjust your input and try again."),
        (400, "Input tokens exceed the configured limit of 272000 tokens. Your messages resulted in 509178 tokens."),
        (429, "Request too large for m on tokens per min (TPM): Limit 30000, Requested 40000."),
        # llama.cpp, as of today and before
        (400, "the request exceeds the available context size, try increasing it exceed_context_size_error"),
        (400, "request (9000 tokens) exceeds the available context size (8192 tokens)"),
        (500, "Context size has been exceeded."),
        # vLLM, SGLang, TGI
        (
            400,
            "'max_tokens' is too large: 2000. This model's maximum context length is 4096 tokens, and your...",
        ),
        (400, "max_tokens=15000 cannot be greater than max_model_len=4096. Please request fewer output tokens."),
        (400, "The decoder prompt (length 9000) is longer than the maximum model length of 8192."),
        (400, "The input (9000 tokens) is longer than the model's context length (8192 tokens)."),
        (422, "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4096. Given: 5000"),
        # Ollama, LM Studio
        (500, "the input length exceeds the context length"),
        (400, "prompt is too long"),
        (400, "The number of tokens to keep from the initial prompt is greater than the context length."),
        # LiteLLM, OpenRouter
        (400, "litellm.BadRequestError: Context Window exceeded for given call."),
        (400, "This endpoint's maximum context length is 1048576 tokens. However, you requested about 1293741 tokens"),
        (400, "Please reduce the length of either one, or use the middle-out transform."),
        # Mistral, Anthropic, Google, Bedrock, Cohere, xAI, Groq, MiniMax, Moonshot, Perplexity
        (400, "Prompt contains 40000 tokens, too large for model with 32768 maximum context length"),
        (400, "prompt is too long: 205000 tokens > 200000 maximum"),
        (400, "input length and `max_tokens` exceed context limit: 199000 + 20000 > 200000"),
        (400, "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576)."),
        (400, "Input is too long for requested model."),
        (400, "too many tokens: size limit exceeded by 19296 tokens. Try using shorter or fewer inputs."),
        (400, "This model's maximum prompt length is 131072 but the request contains 140000 tokens."),
        (413, "Please reduce the length of the messages or completion."),
        (400, "invalid params, context window exceeds limit"),
        (400, "Invalid request: Your request exceeded model token limit: 8192"),
        (400, "The total length of all messages is too long."),
    ],
)
def test_each_wording_of_a_prompt_that_is_too_long_is_known(status: int, told: str) -> None:
    fault = Fault("refused", told, told, status)
    assert is_overflow(fault)
    assert not is_transient(fault)


@pytest.mark.parametrize(
    ("told", "window", "prompt"),
    [
        (
            "This model's maximum context length is 8192 tokens. However, your messages resulted in 9000 tokens.",
            8192,
            9000,
        ),
        (
            "maximum context length is 4096 tokens. However, you requested 4500 tokens (3500 in the messages, "
            "1000 in the completion).",
            4096,
            3500,
        ),
        (
            "Input tokens exceed the configured limit of 272,000 tokens. Your messages resulted in 509,178 tokens.",
            272_000,
            509_178,
        ),
        ("Request too large for m on tokens per min (TPM): Limit 30000, Requested 40000.", 30_000, None),
        ("request (9000 tokens) exceeds the available context size (8192 tokens)", 8192, 9000),
        ("{'type': 'exceed_context_size_error', 'n_prompt_tokens': 9000, 'n_ctx': 8192}", 8192, 9000),
        (
            "This model's maximum context length is 4096 tokens. However, your prompt contains at least 4097 input "
            "tokens, which exceeds this limit. (parameter=input_tokens, value=4097)",
            4096,
            None,
        ),
        ("max_tokens=15000 cannot be greater than max_model_len=4096. Please request fewer output tokens.", 4096, None),
        (
            "'max_tokens' is too large: 2000. This model's maximum context length is 4096 tokens and your request has "
            "3000 input tokens",
            4096,
            3000,
        ),
        ("The decoder prompt (length 9000) is longer than the maximum model length of 8192.", 8192, None),
        ("The input (9000 tokens) is longer than the model's context length (8192 tokens).", 8192, 9000),
        (
            "maximum context length of 8192 tokens. You requested a total of 9000 tokens: 8000 tokens from the input "
            "messages and 1000 tokens for the completion.",
            8192,
            8000,
        ),
        ("`inputs` tokens + `max_new_tokens` must be <= 4096. Given: 5000 `inputs` tokens", 4096, 5000),
        ("the model is loaded with context length of only 4096 tokens", 4096, None),
        ("Prompt contains 40000 tokens, too large for model with 32768 maximum context length", 32_768, 40_000),
        ("prompt is too long: 205000 tokens > 200000 maximum", 200_000, 205_000),
        ("input length and `max_tokens` exceed context limit: 199000 + 20000 > 200000", 200_000, None),
        (
            "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).",
            1_048_576,
            1_200_000,
        ),
        ("too many tokens: total number of tokens in the prompt cannot exceed 4081 - received 4292", 4081, None),
        ("This model's maximum prompt length is 131072 but the request contains 140000 tokens.", 131_072, 140_000),
        ("Your request exceeded model token limit: 8192", 8192, None),
        ("the input length exceeds the context length", None, None),
        ("too many tokens: size limit exceeded by 19296 tokens.", None, None),
        ("The context length is 3.", None, None),
        ("The context length is 100.", None, None),
    ],
)
def test_the_numbers_in_an_overflow_are_read(told: str, window: int | None, prompt: int | None) -> None:
    error = failure(Fault("refused", told, f"Error code: 400 - context length {told}", 400), "u", "h", {"model": "m"})
    assert isinstance(error, ContextOverflow)
    assert (error.window, error.prompt) == (window, prompt)


@pytest.mark.parametrize(
    ("status", "told"),
    [
        (429, "Too many tokens, please wait before trying again."),
        (429, "Rate limit reached for m on tokens per min (TPM): Limit 30000, Used 29000, Requested 2000."),
        (400, "max_tokens is too large: 100000. This model supports at most 16384 completion tokens."),
        (400, "max_tokens exceeds the most that is allowed."),
        (400, "Invalid 'user': string too long. Expected a string with maximum length 64."),
        (400, "Unknown parameter: 'context'."),
        (503, "The context of the server is being loaded; its size is unknown."),
    ],
)
def test_what_only_sounds_like_it_is_not(status: int, told: str) -> None:
    assert not is_overflow(Fault("refused", told, told, status))


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 405, 410, 413, 422])
def test_what_is_permanent_is_not_sent_again(status: int) -> None:
    assert not is_transient(Fault("refused", "No.", "No.", status))


@settings(deadline=None)
@given(st.integers(0, 50), st.floats(0.001, 10))
def test_pauses_grow_and_are_bounded(retries: int, backoff_s: float) -> None:
    pauses = [pause_s(Fault("unreachable"), taken, backoff_s) for taken in range(retries + 1)]
    assert pauses == sorted(pauses, key=lambda pause: pause or 0)
    assert all(pause is not None and 0 < pause <= max(backoff_s, BACKOFF_MOST_S) for pause in pauses)


NOW = datetime(2026, 11, 1, tzinfo=UTC)


@settings(deadline=None)
@given(st.integers(1, 10**9))
def test_a_pause_that_is_asked_for_is_kept_or_told(seconds: int) -> None:
    date = format_datetime(min(NOW + timedelta(seconds=seconds), datetime(9000, 1, 1, tzinfo=UTC)), usegmt=True)
    for written in (str(seconds), f"{seconds * 1000}ms", date):
        pause = pause_s(Fault("refused", status=429, retry_after=written), 0, now=NOW)
        assert pause == (seconds if seconds <= PAUSE_MOST_S else None)


@pytest.mark.parametrize("written", ["", "soon", "nan", "-5", "0", "Wed, 18 Nov 1998 07:28:00 GMT", "Wed, 99 Foo"])
def test_a_pause_that_is_none_is_our_own(written: str) -> None:
    assert pause_s(Fault("refused", status=429, retry_after=written), 0, 0.25, NOW) == 0.25


def test_an_endless_pause_is_told() -> None:
    assert asked_pause_s("1e999", NOW) == float("inf")
    fault = Fault("refused", "Busy.", status=429, retry_after="1e999")
    assert pause_s(fault, 0) is None
    assert str(failure(fault, "http://h/v1", "h", {})) == "h asks for a pause: Busy. Try again later."
