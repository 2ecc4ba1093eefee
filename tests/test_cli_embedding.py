"""Another embedding model by setting, at the command line: what answers meanwhile, what is told, what completes it."""

import json
from pathlib import Path

import pytest

from tests.commands import Cli, command_line, imported_once, rows, sample_home  # noqa: F401
from tests.scripted import ScriptedServer, unused_url

QUESTION = "What is my sister called?"


@pytest.fixture
def indexed(sample: Path, cli: Cli) -> Path:
    """The sample history with vectors of the built-in model."""
    assert cli("doctor", "--fix").code == 0
    return sample


def models(home: Path) -> set[str]:
    return {model for (model,) in rows(home, "SELECT model FROM collections JOIN vectors ON name = collection")}


def found(cli: Cli) -> bool:
    """Whether vectors find anything, and nothing is told."""
    ran = cli("recall", QUESTION, "--mode", "vectors", "--json")
    return bool(ran.code == 0 and ran.json["hits"] and not ran.err)


@pytest.fixture
def words(server: ScriptedServer, monkeypatch: pytest.MonkeyPatch) -> ScriptedServer:
    """The setting: an endpoint's model."""
    monkeypatch.setenv("ASSISTANT_EMBEDDING", "endpoint:words")
    monkeypatch.setenv("OPENAI_BASE_URL", server.url)
    monkeypatch.setenv("OPENAI_API_KEY", "test")
    return server


def test_the_old_model_answers_and_doctor_tells_so_until_the_new_one_is_complete(
    indexed: Path, words: ScriptedServer, cli: Cli
) -> None:
    assert found(cli)
    assert words.requests == [], "the question went to the model whose vectors answer"
    told = cli("doctor")
    assert told.code == 0, "what is owed is no damage"
    assert "by endpoint:words; all-MiniLM-L6-v2-int8 answers until then" in told.out

    assert cli("doctor", "--fix").code == 0
    assert models(indexed) == {"endpoint:words"}
    assert len(list((indexed / "index").iterdir())) == 1
    assert "Owed: vectors" not in cli("doctor").out
    asked = len(words.requests)
    assert found(cli)
    assert len(words.requests) == asked + 1


def test_owed_work_completes_it(
    indexed: Path, words: ScriptedServer, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What `chat` does in the background."""
    monkeypatch.setenv("ASSISTANT_MODEL", "scripted")
    assert cli("sessions", "summarize", "--pending").code == 0
    assert models(indexed) == {"endpoint:words"}
    assert found(cli)


def test_a_model_that_cannot_be_reached_leaves_the_old_one_answering(
    indexed: Path, words: ScriptedServer, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", unused_url())
    failed = cli("doctor", "--fix")
    assert failed.code != 0
    assert "cannot be reached" in failed.err
    assert models(indexed) == {"all-MiniLM-L6-v2-int8"}
    assert found(cli)


def test_doctor_throws_no_index_away_whose_model_cannot_be_had(
    indexed: Path, words: ScriptedServer, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert cli("doctor", "--fix").code == 0
    monkeypatch.setenv("OPENAI_BASE_URL", unused_url())
    assert cli("doctor", "--fix").code != 0
    monkeypatch.setenv("OPENAI_BASE_URL", words.url)
    assert found(cli)


def test_an_import_completes_it(indexed: Path, words: ScriptedServer, cli: Cli, tmp_path: Path) -> None:
    more = tmp_path / "more.jsonl"
    said = {"id": "m1", "role": "user", "content": "The violin lesson is on Friday."}
    more.write_text(
        json.dumps({"schema": "assistant.session/1", "id": "s", "started_at": "2026-01-01", "messages": [said]})
    )
    assert cli("import", str(more)).code == 0
    assert models(indexed) == {"endpoint:words"}


@pytest.mark.parametrize("name", ["minilm2", "", "text-embedding-3-small"])
def test_an_unknown_model_is_refused_in_one_line(home: Path, cli: Cli, name: str) -> None:
    ran = cli("config", "set", "embedding", name)
    assert ran.code == 1
    assert ran.err.strip().count("\n") == 0
    assert "It is minilm, multilingual, or endpoint:" in ran.err


def test_to_choose_one_tells_what_comes_of_it(home: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "the next chat makes them" in cli("config", "set", "embedding", "endpoint:words").err
    monkeypatch.setattr("memory.multilingual.installed", lambda: False)
    assert "pip install 'assistant[multilingual]'" in cli("config", "set", "embedding", "multilingual").err
    assert "multilingual" in cli("config").out
