"""Profiles: each life has a home of its own, of which the others know nothing, and a slip of the pen begins none."""

import os
from pathlib import Path

import pytest

from assistant import settings as settings_file
from assistant.cli import profiles
from memory.errors import BadInput
from tests.commands import Cli, command_line, rows  # noqa: F401  the fixture `cli`
from tests.scripted import Answer, ScriptedServer


@pytest.fixture
def _answers(server: ScriptedServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands are answered by the scripted server."""
    server.default = Answer("Noted.")
    for name, value in (
        ("OPENAI_BASE_URL", server.url), ("OPENAI_API_KEY", "test"), ("ASSISTANT_MODEL", "scripted"),
        ("ASSISTANT_EMBEDDING", "endpoint:words"),
    ):  # fmt: skip
        monkeypatch.setenv(name, value)


def said(home: Path) -> list[str]:
    return [row[0] for row in rows(home, "SELECT content FROM messages WHERE role = 'user' ORDER BY seq")]


@pytest.mark.usefixtures("_answers")
def test_a_profile_has_its_own_memory_settings_and_log(cli: Cli, home: Path) -> None:
    assert cli("profiles", "add", "work").code == 0
    work = home / "profiles" / "work"
    assert cli("-p", "work", "config", "set", "max_steps", "3").code == 0
    assert cli("-p", "work", "ask", "The budget is 40 units.").code == 0
    assert cli("ask", "My cat is called Mia.").code == 0
    assert (said(work), said(home)) == (["The budget is 40 units."], ["My cat is called Mia."])
    assert "max_steps\t10" in cli("config").out
    assert "max_steps\t3" in cli("-p", "work", "config").out
    assert cli("recall", "budget", "--mode", "words").code == 3
    assert "budget" in cli("-p", "work", "recall", "budget", "--mode", "words").out
    assert (work / "assistant.log").exists()
    assert os.environ.get(settings_file.PROFILE) is None  # it holds for one command


@pytest.mark.usefixtures("_answers")
def test_chat_takes_it_behind_its_name_and_says_so(cli: Cli, home: Path) -> None:
    cli("profiles", "add", "work")
    ran = cli("chat", "-p", "work", stdin="Hello there.\n")
    assert "Profile: work." in ran.err
    assert said(home / "profiles" / "work") == ["Hello there."]
    assert not (home / "memory.db").exists()


def test_the_environment_chooses_too_and_the_flag_wins(cli: Cli, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("work", "home"):
        cli("profiles", "add", name)
    monkeypatch.setenv("ASSISTANT_PROFILE", "home")
    assert cli("config", "path").out.strip() == str(home / "profiles" / "home" / "config.toml")
    assert cli("-p", "work", "config", "path").out.strip() == str(home / "profiles" / "work" / "config.toml")
    assert "home\t" in cli("profiles").out


def test_a_slip_of_the_pen_begins_no_life(cli: Cli, home: Path) -> None:
    cli("profiles", "add", "work")
    ran = cli("-p", "wrok", "sessions", "list")
    assert ran.code == 3
    assert ran.err.count("\n") == 1
    assert "Did you mean work?" in ran.err
    assert sorted(each.name for each in (home / "profiles").iterdir()) == ["work"]


def test_at_a_terminal_it_can_be_made_on_the_spot(cli: Cli, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(profiles, "at_terminal", lambda: True)
    answers = iter([False, True])
    monkeypatch.setattr(profiles, "confirm", lambda _question: next(answers))
    assert cli("-p", "wrok", "config", "path").code == 4
    assert not (home / "profiles").exists()
    assert cli("-p", "wrok", "config", "path").code == 0
    assert (home / "profiles" / "wrok").stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("name", ["../work", "Work", "", ".", "a/b", "a" * 33, "-x", "wörk", "a\n"])
def test_a_name_that_could_lead_elsewhere_is_refused(name: str, cli: Cli, home: Path) -> None:
    assert cli("profiles", "add", "--", name).code == 1
    assert not (home / "profiles").exists()
    with pytest.raises(BadInput):
        settings_file.profile_name(name)


def test_a_link_or_a_file_is_no_profile_and_none_is_made_there(cli: Cli, home: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (home / "profiles").mkdir(parents=True)
    (home / "profiles" / "work").symlink_to(tmp_path / "elsewhere")
    (home / "profiles" / "play").touch()
    assert settings_file.profiles({"ASSISTANT_HOME": str(home)}) == []
    for name in ("work", "play"):
        assert cli("-p", name, "config", "path").code == 3
        ran = cli("profiles", "add", name)
        assert (ran.code, ran.err.count("\n")) == (1, 1)
        assert "is a link or a file" in ran.err
    assert not list((tmp_path / "elsewhere").iterdir())


def test_a_folder_of_profiles_that_is_a_link_has_none(cli: Cli, home: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere" / "work").mkdir(parents=True)
    home.mkdir()
    (home / "profiles").symlink_to(tmp_path / "elsewhere")
    assert cli("-p", "work", "config", "path").code == 3
    assert cli("profiles", "add", "play").code == 1
    assert [each.name for each in (tmp_path / "elsewhere").iterdir()] == ["work"]


@pytest.mark.parametrize("words", [("-p", "", "config", "path"), ("chat", "-p", "")])
def test_an_empty_name_is_not_taken_for_the_life_without_a_name(words: tuple[str, ...], cli: Cli, home: Path) -> None:
    assert cli(*words).code == 1  # as of a variable of the shell that was never set
    assert not home.exists()


def test_an_empty_variable_is_as_none(cli: Cli, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(settings_file.PROFILE, "")
    assert cli("config", "path").out.strip() == str(home / "config.toml")


def test_weights_and_tables_are_shared_until_a_profile_has_its_own(home: Path) -> None:
    environment = {"ASSISTANT_HOME": str(home), "ASSISTANT_PROFILE": "work"}
    chosen, _ = settings_file.load({}, environment)
    assert (chosen.profile, chosen.home) == ("work", home / "profiles" / "work")
    assert (chosen.weights, chosen.tables) == (home / "models", home / "cache")
    (chosen.home / "models").mkdir(parents=True)
    assert chosen.weights == chosen.home / "models"
    base, _ = settings_file.load({}, {"ASSISTANT_HOME": str(home)})
    assert (base.profile, base.weights) == ("", home / "models")


def test_doctor_of_the_base_home_leaves_other_lives_alone(cli: Cli, home: Path) -> None:
    cli("profiles", "add", "work")
    open_file = home / "profiles" / "work" / "note"
    open_file.write_text("private")
    open_file.chmod(0o644)
    assert str(open_file) not in cli("doctor").err
    ran = cli("-p", "work", "doctor")
    assert ran.out.startswith("profile work, ")
    assert str(open_file) in ran.err
