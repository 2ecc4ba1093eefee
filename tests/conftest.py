"""What tests share: a home of their own, the scripted server, the command line in a process of its own."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from assistant.app import App
from assistant.settings import Settings
from memory.tokens import Counter
from tests.endpoints import scripted_endpoint  # noqa: F401  the fixture `endpoint`
from tests.scripted import ScriptedServer, scripted_server  # noqa: F401  the fixture `server`
from tests.web_server import web  # noqa: F401

ROOT = Path(__file__).parent.parent
MODEL = "gpt-4o-mini"  # the table knows that it takes system messages between the others
Apps = Callable[..., App]
Run = Callable[..., "subprocess.CompletedProcess[str]"]

# A loaded machine makes any example slow, and how long one took says nothing of what is right.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No test sees the developer's memory, key or endpoint."""
    for name in (
        "OPENAI_API_KEY", "OPENAI_BASE_URL", "ASSISTANT_SEARCH_KEY", "ASSISTANT_MODEL", "ASSISTANT_CONTEXT_TOKENS",
        "ASSISTANT_EMBEDDING",
    ):  # fmt: skip
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("ASSISTANT_HOME", str(tmp_path / "home"))


@pytest.fixture(autouse=True, scope="session")
def _signals() -> None:
    """Ctrl-C and a hang-up are heard also where the run began with both ignored, as by `&` in a script or by nohup.

    A program that a test starts would inherit that; what is handled here it begins with the system's own.
    """
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) == signal.SIG_IGN:
        signal.signal(signal.SIGHUP, lambda _number, _frame: None)


@pytest.fixture(scope="session")
def token_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder of unpacked vocabularies for all tests."""
    return tmp_path_factory.mktemp("vocabularies")


@pytest.fixture(scope="session")
def counter(token_cache: Path) -> Counter:
    """A real counter."""
    return Counter("o200k_base", token_cache)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Where the owner's data of this test lies."""
    return tmp_path / "home"


@pytest.fixture
def bare_apps(home: Path, token_cache: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Apps]:
    """Makes the program's parts on one home, with the settings given."""
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(token_cache))
    made: list[App] = []

    def make(**chosen: Any) -> App:
        made.append(App(Settings(home, **chosen), lambda _line: None))
        return made[-1]

    yield make
    for app in made:
        app.close()


@pytest.fixture
def apps(bare_apps: Apps, server: ScriptedServer) -> Apps:
    """The same, with the scripted server for chat and for vectors."""
    usual = {"model": MODEL, "base_url": server.url, "api_key": "test", "embedding": "endpoint:words"}
    return lambda **chosen: bare_apps(**usual | chosen)


@pytest.fixture
def app(apps: Apps) -> App:
    """The program's parts, with the scripted server."""
    return apps()


@pytest.fixture
def assistant(home: Path) -> Run:
    """Runs the command line in a process of its own: assistant("recall", "Porto", stdin="", server=server)."""

    def run(
        *words: str,
        stdin: str = "",
        server: ScriptedServer | None = None,
        env: Mapping[str, str] | None = None,
        timeout: float = 120,
    ) -> "subprocess.CompletedProcess[str]":
        endpoint = (
            {"OPENAI_BASE_URL": server.url, "OPENAI_API_KEY": "test", "ASSISTANT_MODEL": "scripted"} if server else {}
        )
        return subprocess.run(
            [sys.executable, "-W", "error", "-m", "assistant", *words],
            input=stdin,
            capture_output=True,
            text=True,
            encoding="utf-8",
            cwd=ROOT,
            timeout=timeout,
            env={**os.environ, "ASSISTANT_HOME": str(home), "PYTHONUTF8": "1", **endpoint, **(env or {})},
        )

    return run
