"""`sessions`, `remember`, `export`, `import`, `doctor`, `config` and `models`."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.commands import SAMPLE, Cli, command_line, imported_once, rows, sample_home  # noqa: F401  fixtures
from tests.conftest import Run
from tests.scripted import ScriptedServer

NOTES = {
    "title": "Marta eats no meat",
    "gist": "My sister Marta is a vegetarian since she moved to Porto.",
    "facts": [],
}


def notes_or(text: str) -> Any:
    """An answer for the server: notes where notes are asked for, else `text`."""
    return lambda body: NOTES if "response_format" in body else text


# ------------------------------------------------------------------ sessions


def test_sessions_are_listed_the_newest_first(cli: Cli, sample: Path) -> None:
    lines = cli("sessions", "list").out.splitlines()
    assert lines[0] == "id\tday\tstate\ttitle"
    assert lines[1].startswith("sample-8\t2026-09-27\t")
    assert len(lines) == 9
    assert cli("sessions").out.splitlines() == lines
    found = [json.loads(line) for line in cli("sessions", "list", "--json", "-n", "2").out.splitlines()]
    assert [one["id"] for one in found] == ["sample-8", "sample-7"]


def test_no_sessions_is_3(cli: Cli) -> None:
    assert cli("sessions").code == 3


def test_a_session_is_shown_by_the_beginning_of_its_id(cli: Cli, sample: Path) -> None:
    assert "plum cake" in cli("sessions", "show").out
    assert "risotto" in cli("sessions", "show", "sample-1").out
    assert cli("sessions", "show", "sample-1", "--json").json["schema"] == "assistant.session/1"
    ran = cli("sessions", "show", "sample")
    assert (ran.code, ran.out) == (1, "")
    assert "begins several" in ran.err
    assert cli("sessions", "show", "nothing").code == 3


def test_owed_notes_are_written_when_asked_for(assistant: Run, server: ScriptedServer, home: Path) -> None:
    server.default = notes_or("Noted.")
    assert assistant("ask", "My sister Marta is a vegetarian.", server=server).returncode == 0
    assert rows(home, "SELECT count(*) FROM summaries") == [(0,)]
    ran = assistant("sessions", "summarize", "--pending", server=server)
    assert ran.returncode == 0, ran.stderr
    assert "1 noted" in ran.stdout
    assert rows(home, "SELECT count(*) FROM summaries") == [(1,)]
    assert "Owed" not in assistant("doctor", server=server).stdout


def test_good_notes_stay_where_a_model_cannot_write_them_again(
    assistant: Run, server: ScriptedServer, sample: Path
) -> None:
    server.default = "Whales sing in Norwegian fjords."
    before = rows(sample, "SELECT * FROM summaries"), rows(sample, "SELECT * FROM facts")
    ran = assistant("sessions", "summarize", "sample-1", server=server)
    assert (ran.returncode, ran.stdout) == (0, "Marta comes to dinner\n")
    assert "those that are there stay" in ran.stderr
    assert (rows(sample, "SELECT * FROM summaries"), rows(sample, "SELECT * FROM facts")) == before


def test_notes_that_no_model_can_write_stay_owed_and_that_is_1(cli: Cli, tmp_path: Path, home: Path) -> None:
    cli("import", str(without_notes(tmp_path)), "--no-embed", "--summarize", "lazy")
    ran = cli("sessions", "summarize", "--pending", "--model", "qwen3-4b")
    assert (ran.code, ran.out) == (77, "")
    assert rows(home, "SELECT count(*) FROM summaries") == [(0,)]


def without_notes(folder: Path) -> Path:
    session = {
        "schema": "assistant.session/1",
        "id": "bare",
        "started_at": "2026-01-01T10:00:00+00:00",
        "ended_at": "2026-01-01T11:00:00+00:00",
        "messages": [{"id": "1", "role": "user", "content": "My sister Marta is a vegetarian."}],
    }
    path = folder / "bare.jsonl"
    path.write_text(json.dumps(session) + "\n")
    return path


# ------------------------------------------------------------------ remember, export, import


def test_what_is_remembered_by_hand_is_found_and_exported(cli: Cli) -> None:
    assert cli("remember", "The", "bike", "lock", "is", "4711").code == 0
    assert cli("remember", stdin="Piped in: 0815\n").code == 0
    assert "4711" in cli("recall", "bike lock", "--mode", "words").out
    assert "0815" in cli("recall", "piped", "--mode", "words").out
    exported = cli("export").out
    assert "4711" in exported
    assert "0815" in exported


def test_importing_twice_changes_nothing(cli: Cli, home: Path) -> None:
    ran = cli("import", str(SAMPLE), "--no-embed")
    assert (ran.code, ran.out) == (0, "8 sessions, 52 messages, 21 facts are new.\n")
    before = cli("export", "--format", "jsonl").out
    ran = cli("import", str(SAMPLE), "--no-embed")
    assert (ran.code, ran.out) == (0, "0 sessions, 0 messages, 0 facts are new.\n")
    assert cli("export", "--format", "jsonl").out == before


def test_what_comes_from_a_file_is_not_the_owners_unless_they_say_so(cli: Cli, home: Path) -> None:
    cli("import", str(SAMPLE), "--no-embed")
    assert rows(home, "SELECT DISTINCT origin FROM messages") == [("imported",)]


def test_mine_keeps_the_origins_of_an_export(cli: Cli, sample: Path) -> None:
    assert set(rows(sample, "SELECT DISTINCT origin FROM messages")) == {("user",), ("assistant",)}


@pytest.mark.parametrize("form", ["jsonl", "json"])
def test_an_export_comes_back_whole(
    cli: Cli, sample: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    cli("remember", "Line one\nline two, naïve 🦊")
    path = tmp_path / f"all.{form}"
    assert cli("export", str(path)).code == 0
    assert path.stat().st_mode & 0o077 == 0
    monkeypatch.setenv("ASSISTANT_HOME", str(tmp_path / "another"))
    assert cli("import", str(path), "--mine", "--no-embed").code == 0
    assert cli("export", "--format", form).out == path.read_text(encoding="utf-8")


def test_one_session_can_be_exported_alone(cli: Cli, sample: Path) -> None:
    assert cli("export", "--session", "sample-5", "--format", "jsonl").json["id"] == "sample-5"
    assert cli("export", "--session", "none").code == 3


def test_an_export_to_where_nothing_can_be_written_is_one_line(cli: Cli, sample: Path, tmp_path: Path) -> None:
    ran = cli("export", str(tmp_path / "no" / "such" / "folder.md"))
    assert (ran.code, ran.err.count("\n")) == (1, 1)


def test_broken_lines_are_told_with_their_numbers_and_the_good_ones_kept(cli: Cli, tmp_path: Path, home: Path) -> None:
    good = SAMPLE.read_text().splitlines()[:2]
    (tmp_path / "mixed.jsonl").write_text("\n".join([good[0], "{broken", good[1], '{"schema": "other/1"}']))
    ran = cli("import", str(tmp_path / "mixed.jsonl"), "--no-embed")
    assert ran.code == 1
    assert ran.out.startswith("2 sessions, ")
    assert "line 2:" in ran.err
    assert "line 4:" in ran.err
    assert rows(home, "SELECT count(*) FROM sessions") == [(2,)]


@pytest.mark.parametrize(("when", "owed"), [("none", 0), ("lazy", 1)])
def test_an_import_owes_notes_only_if_asked_for(cli: Cli, tmp_path: Path, when: str, owed: int) -> None:
    cli("import", str(without_notes(tmp_path)), "--no-embed", "--summarize", when)
    assert cli("doctor").out.count("Owed: notes on 1 session") == owed


def test_an_import_can_have_its_notes_written_now(
    assistant: Run, server: ScriptedServer, tmp_path: Path, home: Path
) -> None:
    server.default = notes_or("")
    ran = assistant("import", str(without_notes(tmp_path)), "--summarize", "now", server=server)
    assert ran.returncode == 0, ran.stderr
    assert rows(home, "SELECT count(*) FROM summaries") == [(1,)]
    assert rows(home, "SELECT count(*) FROM vectors")[0][0] >= 2


# ------------------------------------------------------------------ doctor


def test_a_sound_memory_is_0_and_is_told_in_figures(cli: Cli, sample: Path) -> None:
    ran = cli("doctor")
    assert ran.code == 0
    assert ran.out.startswith(f"{sample}: ")
    assert "8 sessions, 52 messages, 21 facts, 0 vectors" in ran.out
    assert "Owed: 81 vectors" in ran.out
    assert ran.out.endswith("All is sound.\n")


def test_a_file_that_others_can_read_is_damage_and_is_closed(cli: Cli, sample: Path) -> None:
    open_file = sample / "history"
    open_file.write_text("")
    open_file.chmod(0o644)
    ran = cli("doctor")
    assert ran.code == 1
    assert "can be read by others" in ran.err
    assert open_file.stat().st_mode & 0o077
    assert cli("doctor", "--fix").code == 0
    assert not open_file.stat().st_mode & 0o077


def test_a_damaged_full_text_index_is_found_and_built_anew(assistant: Run, sample: Path) -> None:
    rows_changed(sample, "DELETE FROM messages_fts_data WHERE id > 10")
    ran = assistant("doctor")
    assert ran.returncode == 1
    assert "full-text" in ran.stderr
    assert assistant("doctor", "--fix").returncode == 0
    assert assistant("recall", "risotto", "--mode", "words").returncode == 0


def test_what_is_no_damage_keeps_its_own_remedy(cli: Cli, sample: Path) -> None:
    rows_changed(sample, "PRAGMA user_version = 999")
    ran = cli("doctor")
    assert ran.code == 1
    assert ran.err.endswith("was written by a newer assistant. Update this one.\n")


def rows_changed(home: Path, sql: str) -> None:
    import sqlite3
    from contextlib import closing

    with closing(sqlite3.connect(home / "memory.db")) as connection, connection:
        connection.execute(sql)


def test_a_broken_vector_index_is_found_and_built_anew_and_words_answer_meanwhile(assistant: Run, home: Path) -> None:
    assistant("remember", "My sister Marta lives in Porto.")
    for path in (home / "index").rglob("*"):
        if path.is_file():
            path.write_bytes(b"garbage" * 100)
    ran = assistant("recall", "Marta")
    assert ran.returncode == 0
    assert "Porto" in ran.stdout
    assert "doctor --fix" in ran.stderr
    assert assistant("doctor").returncode == 1
    assert assistant("doctor", "--fix").returncode == 0
    ran = assistant("recall", "Marta", "--mode", "vectors")
    assert (ran.returncode, ran.stderr) == (0, "")


def test_a_store_that_is_no_database_is_one_line(cli: Cli, home: Path) -> None:
    home.mkdir()
    (home / "memory.db").write_bytes(b"no database at all, but long enough to be looked at" * 100)
    ran = cli("doctor")
    assert (ran.code, ran.err.count("\n")) == (1, 1)


# ------------------------------------------------------------------ config and models


def test_the_environment_wins_over_the_file_and_the_flag_over_both(
    assistant: Run, server: ScriptedServer, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    def told() -> str:
        return next(line for line in cli("config").out.splitlines() if line.startswith("model\t"))

    assert told().split("\t")[1:3] == ["", "default"]
    assert cli("config", "set", "model", "from-file").code == 0
    assert told().split("\t")[1:3] == ["from-file", "file"]
    monkeypatch.setenv("ASSISTANT_MODEL", "from-environment")
    assert told().split("\t")[1:3] == ["from-environment", "ASSISTANT_MODEL"]
    assert "from-environment" in cli("config", "set", "model", "other").err  # it says what holds
    server.enqueue("Hi.")
    assistant("ask", "--model", "from-flag", "hi", server=server)
    assert server.bodies[0]["model"] == "from-flag"
    monkeypatch.delenv("ASSISTANT_MODEL")
    assert cli("config", "unset", "model").code == 0
    assert told().split("\t")[1:3] == ["", "default"]


def test_a_key_is_never_shown_and_never_written(cli: Cli, monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    ran = cli("config")
    assert "api_key\tset\tOPENAI_API_KEY" in ran.out
    assert "sk-secret" not in ran.out
    assert cli("config", "set", "api_key", "sk-secret").code == 1
    assert not (home / "config.toml").exists() or "sk-secret" not in (home / "config.toml").read_text()


def test_a_wrong_setting_is_refused_with_the_nearest_name(cli: Cli) -> None:
    ran = cli("config", "set", "modle", "x")
    assert ran.code == 1
    assert "model" in ran.err
    assert cli("config", "set", "threads", "many").code == 1


def test_models_says_what_answers_and_how_to_get_better(cli: Cli) -> None:
    ran = cli("models")
    assert ran.code == 0
    assert "smollm2-135m" in ran.out
    assert "answers now" in ran.err
    assert "assistant models pull" in ran.err
    assert "OPENAI_API_KEY" in ran.err


def test_a_file_that_is_no_model_is_not_added(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "notes.gguf").write_text("no model")
    ran = cli("models", "add", str(tmp_path / "notes.gguf"))
    assert (ran.code, ran.err.count("\n")) == (1, 1)
    assert cli("models", "pull", "no-such-model").code == 1
