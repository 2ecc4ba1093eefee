"""The numbers in an endpoint's words about a prompt that is too long: its window, and the prompt's size. Pure."""

import re
from collections.abc import Sequence

from assistant.quirks import sign_of

LEAST_WINDOW = 256  # tokens; no model has less, so a smaller number means something else

_N = r"\b(?P<number>\d[\d,]{2,11})\b"
# In this order: where several fit, the first tells the window best. tests/test_faults.py has the wordings.
_WINDOW = [
    sign_of(pattern.replace("N", _N))
    for pattern in (
        r"\b(n_ctx|max_model_len)\W{1,4}N",  # llama.cpp, vLLM
        r"\d( tokens)? > N",  # Anthropic: "199000 + 20000 > 200000"
        r"(<=|cannot exceed|less than) N",  # TGI, Cohere
        r"N max(imum)?\b",  # Mistral
        r"(context|max(imum)? \w{1,20}|token|configured) (length|size|window|limit)\W{1,3}((is|of|only)\W{1,3}){0,3}N",
        r"number of (input )?tokens( allowed)?\W{1,3}N",  # Google
        r"limit N, requested",  # OpenAI and Groq: a request that is more than a minute's tokens
    )
]
_PROMPT = [
    sign_of(pattern.replace("N", _N))
    for pattern in (
        r"n_prompt_tokens\W{1,4}N",
        r"(request|input) \(N tokens\)",
        r"messages resulted in N",
        r"(?<!least )N (in the messages|tokens from the input|input tokens)",  # "at least 4097" is no count
        r"prompt (contains|is too long:) N tokens",
        r"input token count \(N\)",
        r"request contains N tokens",
        r"given: N",
    )
]


def window_in(told: str) -> int | None:
    """The window that the words name, in tokens as the endpoint counts; None: they name none."""
    window = _number(_WINDOW, told)
    return window if window and window >= LEAST_WINDOW else None


def prompt_in(told: str) -> int | None:
    """The size of the refused prompt that the words name, in tokens as the endpoint counts; None: they name none."""
    return _number(_PROMPT, told)


def _number(signs: Sequence[re.Pattern[str]], told: str) -> int | None:
    for sign in signs:
        if found := sign.search(told):
            return int(found["number"].replace(",", ""))
    return None
