"""The only door to xllamacpp: a GGUF file becomes an OpenAI-compatible endpoint on loopback, inside this process."""

import http.client
import json
import secrets
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from assistant import weights
from assistant.errors import ModelUnreachable
from memory.errors import BadInput

# One thread is the safe default. SmolLM2-135M on two cores: 147 prompt and 42 reply tokens/s with one thread, 270
# and 72 with two; with both cores busy elsewhere 96 and 21 with one, 37 and 21 with two (0.8 if they spin).
DEFAULT_THREADS = 1
POLL = 0  # llama.cpp's threads wait instead of spinning; spinning is what collapses on busy cores
# Tokens read at once. Between two batches the server sees that the client has gone: at 64 a cancelled prompt is
# dropped in 0.3 s (at 2048: 15 s), and reading is as fast as at 512; 32 halves it.
BATCH_TOKENS = 64
PING_S = 1  # the server looks that often whether a silent client is still there; 30 makes stop() wait as long
HTTP_THREADS = 4  # a chat, notes in the background, and one who asks how things are
PROMPT_CACHE_MIB = 512  # so that notes made in between do not cost the chat its place; llama.cpp's own is 8192
SILENT = -1  # llama.cpp's log level below which it writes nothing
ANSWER_TIMEOUT_S = 30.0

INSTALL = "Run: pip install 'assistant[local]'"
FETCH_AGAIN = "Fetch it again with `assistant models pull NAME`, or your own file with `assistant models add FILE`."


@dataclass
class LocalEndpoint:
    """Where the model answers. `context_tokens` is the window it really has. Stops at `stop`, or when dropped."""

    base_url: str
    model: str
    context_tokens: int
    api_key: str = field(repr=False)
    _server: Any = field(repr=False)

    def stop(self) -> None:
        """Stop the server and free its memory: 0.03 s at rest, about 2 s while a prompt is being read."""
        self._server = None  # its destructor joins its threads


def serve(path: Path, context_tokens: int, threads: int = DEFAULT_THREADS) -> LocalEndpoint:
    """Load the model in `path` and serve it on a free port of 127.0.0.1, with a key made for this call.

    `context_tokens` is the window wanted; it is cut to what the model was trained for. Raises ModelUnreachable if
    xllamacpp is not installed or the file is no model. Prompts are answered one after the other.
    """
    xllamacpp = _library()
    try:
        trained = weights.trained_context(path)
    except BadInput as error:
        raise ModelUnreachable(error.message, FETCH_AGAIN) from error
    window = min(context_tokens, trained) if trained else context_tokens
    key = secrets.token_urlsafe(32)
    try:
        server = xllamacpp.Server(_params(xllamacpp, path, window, threads, key))
    except RuntimeError as error:  # all that llama.cpp tells; its reasons are in the log
        raise ModelUnreachable(
            f"{path.name} cannot be loaded: damaged, or too large for the memory.", FETCH_AGAIN
        ) from error
    address = server.listening_address
    return LocalEndpoint(f"{address}/v1", weights.name_of(path), _window(address, key), key, server)


def _library() -> Any:
    try:
        import xllamacpp
    except ImportError as error:
        raise ModelUnreachable("Models on this machine need the package xllamacpp.", INSTALL) from error
    return xllamacpp


def _params(xllamacpp: Any, path: Path, window: int, threads: int, key: str) -> Any:
    """llama.cpp's settings. Sampling is not among them: the client says what it wants."""
    params = xllamacpp.CommonParams()
    params.model.path = str(path)
    params.model_alias = {weights.name_of(path)}  # or its answers name the path
    params.hostnames, params.port = ["127.0.0.1"], 0
    params.api_keys = [key]
    params.n_ctx, params.n_parallel = window, 1
    params.n_batch = params.n_ubatch = BATCH_TOKENS
    for cpu in (params.cpuparams, params.cpuparams_batch):
        cpu.n_threads, cpu.poll = threads, POLL
    params.use_jinja = True  # tools need the model's own template
    params.cache_prompt, params.cache_ram_mib = True, PROMPT_CACHE_MIB
    params.sse_ping_interval, params.n_threads_http = PING_S, HTTP_THREADS
    params.warmup = params.fit_params = False  # a trial run and a trial load: half of the start
    params.ui = params.endpoint_slots = params.endpoint_metrics = False
    params.offline = True
    params.verbosity = SILENT
    return params


def _window(address: str, key: str) -> int:
    """Ask the server for the window it made, in tokens. Past any proxy: it is this process that answers."""
    connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=ANSWER_TIMEOUT_S)
    try:
        connection.request("GET", "/props", headers={"Authorization": f"Bearer {key}"})
        props = json.load(connection.getresponse())
    finally:
        connection.close()
    return int(props["default_generation_settings"]["n_ctx"])
