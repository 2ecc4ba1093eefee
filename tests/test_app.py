"""The parts put together: which model answers by what is set and what is there, and who writes its notes."""

import logging
import stat
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from assistant.app import DEFAULT_LOCAL, DEFAULT_REMOTE, App
from assistant.errors import ModelError, ModelUnreachable
from assistant.settings import EMBEDDINGS, Settings
from memory.errors import IndexUnavailable
from tests.conftest import Apps
from tests.memories import NOTES, PORTO, talk
from tests.scripted import ScriptedServer, no_schema, unused_url


@pytest.fixture
def apps(bare_apps: Apps) -> Apps:
    return bare_apps


@pytest.fixture
def offering() -> Iterator[Callable[..., str]]:
    """Servers that offer models by these names; gives their addresses."""
    servers: list[HTTPServer] = []

    def serve(*names: str) -> str:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                data = b'{"object": "list", "data": [%s]}' % b", ".join(b'{"id": "%s"}' % one.encode() for one in names)
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        servers.append(HTTPServer(("127.0.0.1", 0), Handler))
        threading.Thread(target=servers[-1].serve_forever, args=(0.02,), daemon=True).start()
        return f"http://127.0.0.1:{servers[-1].server_port}/v1"

    yield serve
    for each in servers:
        each.shutdown()
        each.server_close()


def weights(home: Path, name: str) -> None:
    """A GGUF file of one's own: a head without a model."""
    (home / "models").mkdir(parents=True, exist_ok=True)
    (home / "models" / f"{name}.gguf").write_bytes(b"GGUF" + struct.pack("<IQQ", 3, 0, 0) + bytes(100))


# ---------------------------------------------------------------------- which model answers


def test_with_nothing_set_the_embedded_model_answers(apps: Apps) -> None:
    choice = apps().choice
    assert (choice.name, choice.embedded) == (DEFAULT_LOCAL, True)
    assert choice.info.known and not choice.info.notes


def test_a_key_alone_leads_to_openais_default(apps: Apps) -> None:
    app = apps(api_key="a-key")
    assert (app.choice.name, app.choice.embedded) == (DEFAULT_REMOTE, False)
    assert app.endpoint.host == "api.openai.com"


def test_an_endpoint_that_offers_one_model_needs_no_name(apps: Apps, offering: Callable[..., str]) -> None:
    app = apps(base_url=offering("my-model"))
    assert (app.choice.name, app.choice.embedded) == ("my-model", False)


def test_an_endpoint_that_offers_several_asks_for_a_choice(apps: Apps, offering: Callable[..., str]) -> None:
    app = apps(base_url=offering("b-model", "a-model"))
    with pytest.raises(ModelError, match=r"offers a-model, b-model\. Choose with --model\."):
        _ = app.choice
    with pytest.raises(ModelError, match="offers no model"):
        _ = apps(base_url=offering()).choice


def test_an_endpoint_that_is_down_cannot_be_chosen_from(apps: Apps) -> None:
    with pytest.raises(ModelUnreachable):
        _ = apps(base_url=unused_url()).choice


def test_a_named_model_is_taken_from_the_endpoint_without_asking_what_it_offers(apps: Apps) -> None:
    app = apps(base_url=unused_url(), model="any-model")
    assert (app.choice.name, app.choice.embedded) == ("any-model", False)


def test_the_endpoints_own_model_is_asked_there_even_if_a_file_here_has_its_name(
    apps: Apps, home: Path, offering: Callable[..., str]
) -> None:
    weights(home, "my-model")
    assert not apps(base_url=offering("my-model")).choice.embedded


@pytest.mark.parametrize("remote", [{}, {"api_key": "a-key"}, {"base_url": "http://127.0.0.1:9/v1"}])
def test_a_file_of_ones_own_is_taken_by_its_name(apps: Apps, home: Path, remote: dict[str, str]) -> None:
    weights(home, "my-model")
    choice = apps(model="my-model", **remote).choice
    assert (choice.name, choice.embedded, choice.info.known) == ("my-model", True, False)


@pytest.mark.parametrize("remote", [{}, {"api_key": "a-key"}])
def test_a_pinned_model_that_is_not_here_tells_how_to_get_it(apps: Apps, remote: dict[str, str]) -> None:
    with pytest.raises(ModelUnreachable, match=r"not on this machine\. Run `assistant models pull qwen3-4b`"):
        _ = apps(model="qwen3-4b", **remote).choice
    assert apps(model=DEFAULT_LOCAL, **remote).choice.embedded, "the default one is fetched at its first use"
    assert not apps(model="qwen3-4b", base_url=unused_url()).choice.embedded, "another server may have it"


def test_an_unknown_name_without_an_endpoint_tells_what_to_do(apps: Apps) -> None:
    with pytest.raises(ModelUnreachable, match=r"No model 'gpt-9'.*OPENAI_API_KEY or OPENAI_BASE_URL.*models add"):
        _ = apps(model="gpt-9").choice


def test_a_file_that_is_no_model_is_told_when_it_is_served(apps: Apps, home: Path) -> None:
    pytest.importorskip("xllamacpp")
    weights(home, "my-model")
    with pytest.raises(ModelUnreachable, match="my-model"):
        _ = apps(model="my-model").endpoint


def test_the_setting_overrides_the_window_of_any_model(apps: Apps) -> None:
    for model in ("gpt-4o-mini", "any-model"):
        app = apps(model=model, api_key="a-key", context_tokens=3000)
        assert app.context_tokens(app.memory) == 3000
        assert app.prompt_tokens(app.memory) >= 1500


# ---------------------------------------------------------------------- notes


def test_notes_are_asked_for_in_a_schema_and_else_in_plain_lines(apps: Apps, server: ScriptedServer) -> None:
    app = apps(model="any-model", base_url=server.url)
    session_id = talk(app.memory, PORTO)
    lines = f"TITLE: {NOTES['title']}\nGIST: {NOTES['gist']}\nFACT [1]: {NOTES['facts'][0]['text']} | I live in Porto"  # type: ignore[index]
    server.enqueue(no_schema(), lines)
    notes = app.write_notes(app.memory, session_id)
    assert [("response_format" in body) for body in server.bodies] == [True, False]
    assert (notes.summary.written_by, notes.summary.title) == ("any-model", NOTES["title"])
    assert len(notes.facts) == 1


def test_a_model_that_writes_worthless_notes_is_not_asked_and_owes_none(apps: Apps) -> None:
    app = apps()
    session_id = talk(app.memory, PORTO)
    notes = app.write_notes(app.memory, session_id)
    assert (notes.summary.written_by, notes.summary.tried_by) == ("extracted", DEFAULT_LOCAL)
    assert app.memory.owed(DEFAULT_LOCAL) == []
    assert [one.id for one in app.memory.owed("a better model")] == [session_id]


# ---------------------------------------------------------------------- the rest


def test_the_index_is_one_for_the_process_and_waits_for_its_use(apps: Apps, home: Path) -> None:
    app = apps()
    with closing(app.another_memory()) as other:
        assert other.index is app.memory.index is app.index
    assert not (home / "index").exists()


@pytest.mark.parametrize("chosen", [*EMBEDDINGS, "endpoint:words"])
def test_each_embedding_model_has_an_index_of_its_own_and_loads_nothing_before_its_use(
    apps: Apps, home: Path, chosen: str
) -> None:
    app = apps(embedding=chosen, base_url=unused_url())
    assert app.index is app.index_of(app.index.model)
    others = [apps(embedding=one, base_url=unused_url()).index.folder for one in EMBEDDINGS if one != chosen]
    assert app.index.folder not in others
    assert not (home / "index").exists()


@pytest.mark.parametrize("model", ["endpoint:words", "a-model-of-another-time"])
def test_an_older_model_that_cannot_be_had_is_told_and_sends_nothing_anywhere(apps: Apps, model: str) -> None:
    """Without an address of the owner's, questions must not go to OpenAI's."""
    with pytest.raises(IndexUnavailable, match=f"{model} cannot be had here"):
        apps().index_of(model).search(["What is my dog called?"], 1, 0)


def test_the_log_is_private_and_its_lines_carry_no_talk(apps: Apps, home: Path, server: ScriptedServer) -> None:
    app = apps(model="any-model", base_url=server.url)
    handlers = {room: list(logging.getLogger(room).handlers) for room in ("assistant", "memory", "tools")}
    app.log_to_file()
    try:
        server.enqueue("The secret is Xylophonquark.")
        chat = app.chat()
        list(chat.turn("My secret is Xylophonquark, keep it: " + "word " * 200))
        logging.getLogger("assistant").info("a line")
        text = (home / "assistant.log").read_text()
    finally:
        for room, before in handlers.items():
            for handler in set(logging.getLogger(room).handlers) - set(before):
                logging.getLogger(room).removeHandler(handler)
                handler.close()
            logging.getLogger(room).setLevel(logging.NOTSET)
    assert "a line" in text and "counts" in text
    assert "Xylophonquark" not in text
    assert stat.S_IMODE((home / "assistant.log").stat().st_mode) == 0o600


def test_to_close_what_was_never_opened_makes_nothing(home: Path) -> None:
    App(Settings(home), lambda _line: None).close()
    assert not home.exists()
