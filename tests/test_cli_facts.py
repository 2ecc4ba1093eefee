"""`memory` and `remember`: the owner's hand on facts, at the command line and in a conversation."""

import io
import json
import stat
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from assistant.app import App
from assistant.chat import Chat
from assistant.cli.ask import Shown
from assistant.cli.review import go_through
from assistant.cli.terminal import Output
from assistant.recorder import sent
from memory.errors import Failure
from memory.listing import Listing
from memory.records import Fact
from tests.commands import Cli, command_line  # noqa: F401  a fixture
from tests.conftest import Apps, Run
from tests.scripted import ScriptedServer

SISTER = "My sister is called Anna."


@pytest.fixture(autouse=True)
def _no_model_of_meaning(monkeypatch: pytest.MonkeyPatch, server: ScriptedServer) -> None:
    """Vectors come from the scripted server."""
    monkeypatch.setenv("OPENAI_BASE_URL", server.url)
    monkeypatch.setenv("OPENAI_API_KEY", "test")
    monkeypatch.setenv("ASSISTANT_EMBEDDING", "endpoint:words")


def listed(cli: Cli, *options: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in cli("memory", "list", "--json", *options).out.splitlines()]


def noted(cli: Cli, text: str) -> str:
    """The id of what is remembered."""
    assert cli("remember", text).code == 0
    return str(listed(cli)[0]["id"])


def test_nothing_to_list_is_3(cli: Cli) -> None:
    for words in (["list"], ["show", "abcd"], ["undo"], ["undo", "7"], ["history"], ["history", "abcd"]):
        assert cli("memory", *words).code == 3, words


def test_what_is_remembered_twice_is_one_fact_heard_twice(cli: Cli) -> None:
    fact = noted(cli, SISTER)
    ran = cli("remember", "my sister is called Anna")
    assert "heard 2 times" in ran.err
    assert [(one["id"], one["heard"]) for one in listed(cli)] == [(fact, 2)]
    assert "×2" in cli("memory").out
    cli("memory", "undo")
    assert [(one["id"], one["heard"]) for one in listed(cli)] == [(fact, 1)]


def test_the_command_takes_the_words_of_a_conversation(cli: Cli) -> None:
    cli("remember", "that", "my", "tea", "is", "green")
    cli("remember", "to", "buy", "milk")
    assert {(one["text"], one["kind"]) for one in listed(cli)} == {("my tea is green", "fact"), ("buy milk", "task")}


def test_a_fact_is_edited_and_the_edit_undone(cli: Cli) -> None:
    fact = noted(cli, SISTER)
    assert cli("memory", "edit", fact[:6], "--text", "My sister is called Ana.", "--since", "2026-05-01").code == 0
    (one,) = listed(cli)
    assert (one["text"], one["valid_from"][:10], one["quote"]) == ("My sister is called Ana.", "2026-05-01", SISTER)
    assert [old["id"] for old in listed(cli, "--retired")] == [fact]
    assert "Anna" in cli("memory", "show", one["id"]).out
    hits = cli("recall", "sister called", "--kind", "fact", "--mode", "words", "--json").json["hits"]
    assert [hit["text"] for hit in hits] == ["My sister is called Ana."]
    cli("memory", "undo")
    assert [one["text"] for one in listed(cli)] == [SISTER]


@pytest.fixture
def editor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """An editor that changes the file by a Python expression of its `text`, and keeps its mode."""

    def use(expression: str) -> None:
        script = tmp_path / "editor.py"
        script.write_text(
            "import os, sys, pathlib\n"
            "path = pathlib.Path(sys.argv[1])\n"
            f"pathlib.Path({str(tmp_path / 'mode')!r}).write_text(oct(os.stat(path).st_mode & 0o777))\n"
            "text = path.read_text(encoding='utf-8')\n"
            f"{expression}\n",
            encoding="utf-8",
        )
        monkeypatch.setenv("VISUAL", f"{sys.executable} {script}")

    return use


def test_an_editor_changes_a_fact_in_a_private_file_that_goes(
    cli: Cli, editor: Any, home: Path, tmp_path: Path
) -> None:
    fact = noted(cli, SISTER)
    editor("path.write_text(text.replace('Anna', 'Zoë 😀'), encoding='utf-8')")
    ran = cli("memory", "edit", fact)
    assert ran.code == 0, ran.err
    assert [one["text"] for one in listed(cli)] == ["My sister is called Zoë 😀."]
    assert (tmp_path / "mode").read_text() == oct(stat.S_IRUSR | stat.S_IWUSR)
    assert list(home.glob("edit-*")) == []


@pytest.mark.parametrize(
    "expression", ["pass", "path.write_text('')", "sys.exit(3)", "path.unlink()", "os.kill(os.getpid(), 9)"]
)
def test_an_editor_that_writes_nothing_or_fails_changes_nothing(
    cli: Cli, editor: Any, home: Path, expression: str
) -> None:
    fact = noted(cli, SISTER)
    editor(expression)
    ran = cli("memory", "edit", fact)
    assert "Nothing was changed" in ran.err or "nothing was changed" in ran.err
    assert [one["id"] for one in listed(cli)] == [fact]
    assert list(home.glob("edit-*")) == []


def test_what_cannot_be_understood_is_refused_by_its_line_and_not_lost(cli: Cli, editor: Any, home: Path) -> None:
    fact = noted(cli, SISTER)
    editor("path.write_text(text.replace('kind: person', 'kind: fly').replace('Anna', 'Ana'))")
    ran = cli("memory", "edit", fact)
    (left,) = home.glob("unread-*")
    assert (ran.code, "Line 3 " in ran.err, str(left) in ran.err) == (1, True, True)
    assert "Ana." in left.read_text(encoding="utf-8")
    assert [one["id"] for one in listed(cli)] == [fact]


def test_what_was_changed_in_another_terminal_meanwhile_is_kept_in_a_file(cli: Cli, editor: Any, home: Path) -> None:
    fact = noted(cli, SISTER)
    (home / f"edit-{fact}.txt").write_text("of a process that was killed")
    put(home, fact, text=SISTER)
    editor(
        "import sqlite3\n"
        f"db = sqlite3.connect({str(home / 'memory.db')!r})\n"
        f"db.execute(\"UPDATE facts SET status = 'rejected' WHERE id = '{fact}'\")\n"
        "db.commit()\n"
        "path.write_text(text.replace('Anna', 'Ana'))"
    )
    ran = cli("memory", "edit", fact)
    (left,) = home.glob("unread-*")
    assert (ran.code, "was rejected" in ran.err, str(left) in ran.err) == (1, True, True)
    assert "called Ana." in left.read_text(encoding="utf-8")
    assert list(home.glob("edit-*")) == []


@pytest.mark.parametrize("command", ["no-such-editor --wait", "'", "false --wait"])
def test_an_editor_that_cannot_be_started_is_told_in_one_line(
    cli: Cli, home: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    fact = noted(cli, SISTER)
    monkeypatch.setenv("VISUAL", command)
    ran = cli("memory", "edit", fact)
    assert (ran.code, "nothing was changed" in ran.err, "Set EDITOR" in ran.err) == (1, True, True)
    assert list(home.glob("*.txt")) == []


@pytest.fixture(params=["America/New_York", "Pacific/Auckland"])
def _elsewhere(request: pytest.FixtureRequest) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TZ", request.param)
        time.tzset()
        yield
    time.tzset()


@pytest.mark.skipif(not hasattr(time, "tzset"), reason="the zone cannot be set here")
@pytest.mark.usefixtures("_elsewhere")
def test_a_day_is_the_same_day_in_every_time_zone(cli: Cli) -> None:
    fact = noted(cli, SISTER)
    assert cli("memory", "edit", fact, "--since", "2026-05-01").code == 0
    (one,) = listed(cli)
    assert one["valid_from"] == "2026-05-01T00:00:00+00:00"
    assert "since   2026-05-01" in cli("memory", "show", one["id"]).out


def test_all_of_a_session_is_rejected_at_once(cli: Cli, home: Path) -> None:
    kept, waiting = noted(cli, SISTER), noted(cli, "My cat is called Miso.")
    (session,) = {one["session_id"] for one in listed(cli) if one["id"] == kept}
    put(home, waiting, session_id=session, status="review", handled=0)
    assert cli("memory", "reject", "--session", session, "--all").code == 1  # nobody can be asked
    assert cli("memory", "reject", "--session", session, "--all", "--yes").code == 0
    assert cli("memory").code == 3
    cli("memory", "undo")
    assert {one["id"] for one in listed(cli)} == {kept, waiting}
    assert cli("memory", "reject", "--all", kept).code == 2


def test_pins_keep_to_their_budget(cli: Cli) -> None:
    first, second = noted(cli, SISTER), noted(cli, "My cat is called Miso.")
    cli("config", "set", "pinned_tokens", "25")
    assert cli("memory", "pin", first).code == 0
    ran = cli("memory", "pin", second)
    assert (ran.code, "of 25 tokens are taken" in ran.err) == (1, True)
    assert [one["id"] for one in listed(cli, "--pinned")] == [first]
    assert cli("memory", "unpin", second).code == 1
    assert cli("memory", "unpin", first).code == 0
    assert cli("memory", "pin", second).code == 0


def test_what_took_a_facts_place_is_a_text_or_another_fact(cli: Cli) -> None:
    old = noted(cli, "The office is in Braga.")
    assert cli("memory", "supersede", old, "The", "office", "is", "in", "Faro.", "--since", "2026-05-01").code == 0
    (new,) = listed(cli)
    (gone,) = listed(cli, "--retired")
    assert (gone["id"], gone["retired_by"], gone["until"][:7]) == (old, new["id"], "2026-05")
    assert cli("memory", "supersede", new["id"], old[:8]).code == 1  # in a circle
    cli("memory", "restore", old)
    assert {one["id"] for one in listed(cli)} == {old, new["id"]}
    assert cli("memory", "supersede", old, new["id"][:8]).code == 0
    assert [one["id"] for one in listed(cli)] == [new["id"]]


def put(home: Path, fact: str, **columns: Any) -> None:
    for name, value in columns.items():
        rows_written(home, f"UPDATE facts SET {name} = ? WHERE id = ?", value, fact)


def rows_written(home: Path, sql: str, *values: object) -> None:
    import sqlite3

    connection = sqlite3.connect(home / "memory.db")
    with connection:
        connection.execute(sql, values)
    connection.close()


def test_what_waits_is_decided_without_a_terminal(cli: Cli, home: Path) -> None:
    first, second, third = noted(cli, SISTER), noted(cli, "My cat is called Miso."), noted(cli, "Tea is best at five.")
    for fact, columns in (
        (first, {"status": "review"}),
        (second, {"origin": "tool:web"}),
        (third, {"status": "review"}),
    ):
        put(home, fact, handled=0, **columns)
    ran = cli("memory", "review")
    assert [line.split("\t")[0] for line in ran.out.splitlines()[1:]] == [first, second, third]
    assert {one["id"] for one in listed(cli, "--outside")} == {second}
    assert cli("memory", "accept", first[:8], second).code == 0
    assert {one["id"] for one in listed(cli, "--review")} == {third}
    session = next(one["session_id"] for one in listed(cli) if one["id"] == third)
    assert cli("memory", "reject", "--session", session).code == 0
    assert "Nothing waits" in cli("memory", "review").err
    assert {one["id"] for one in listed(cli)} == {first, second}
    assert cli("memory", "reject", "--session", session).code == 3
    assert (cli("memory", "accept").code, cli("memory", "reject").code) == (2, 2)


def test_the_review_carries_out_each_answer_at_once(app: App, monkeypatch: pytest.MonkeyPatch, editor: Any) -> None:
    rows = app.memory.facts
    texts = ["Tea is best at five.", "The garden has six trees.", "Our roof is old.", "A bus stops here.", "It rains."]
    facts = [app.memory.note(text) for text in texts]
    with app.memory.store.writing() as db:
        db.execute("UPDATE facts SET status = 'review', handled = 0")
        db.execute("UPDATE facts SET session_id = ? WHERE id = ?", [facts[3].session_id, facts[4].id])
    editor("path.write_text(text.replace('six', 'seven'))")
    monkeypatch.setattr(sys, "stdin", io.StringIO("what?\n\na\ne\nn\ns\n"))
    go_through(app, Output(), rows.waiting())
    assert [fact.text for fact in rows.waiting()] == ["Our roof is old."]
    assert {fact.text for fact in rows.listed(Listing())} == {texts[0], "The garden has seven trees.", texts[2]}
    monkeypatch.setattr(sys, "stdin", io.StringIO(""))  # the end of input decides nothing
    go_through(app, Output(), rows.waiting())
    assert rows.count_waiting() == 1
    with pytest.raises(Failure, match="Nobody can be asked"):
        monkeypatch.setattr(sys, "stdin", io.StringIO("S\n"))
        go_through(app, Output(), rows.waiting())
    assert rows.count_waiting() == 1


def test_words_and_kinds_narrow_the_list(cli: Cli) -> None:
    noted(cli, SISTER)
    noted(cli, "Tea is best at five.")
    assert [one["text"] for one in listed(cli, "--query", "sisters")] == [SISTER]
    assert [one["text"] for one in listed(cli, "--kind", "person")] == [SISTER]
    assert [one["text"] for one in listed(cli, "--session", "last")] == ["Tea is best at five."]
    for odd in ('"', "AND", "( OR", "*", "🙂", "the"):
        assert cli("memory", "list", "--query", odd).code in (0, 3), odd


# ------------------------------------------------------------------ in a conversation


def turns(chat: Chat, *texts: str) -> list[Any]:
    return [event for text in texts for event in chat.turn(text)]


def test_pinned_facts_stand_in_every_first_prompt_once(apps: Apps, server: ScriptedServer) -> None:
    app = apps()
    pinned, other = app.memory.note("My sister is called Anna."), app.memory.note("My sister Anna likes green tea.")
    app.memory.facts.pin(pinned.id)
    app.memory.sync()
    server.default = "Noted."
    chat = app.chat()
    turns(chat, "Does my sister like green tea?")
    system = server.bodies[-1]["messages"][0]["content"]
    assert system.count("My sister is called Anna.") == 1
    assert system.index("keep in mind") < system.index(pinned.text) < system.index(other.text)
    turns(chat, "What is my sister called?")
    shown = json.dumps(server.bodies[-1]["messages"])
    assert shown.count("My sister is called Anna.") == 1
    receipts = app.memory.receipts
    turn = receipts.newest_turn(2)
    assert turn
    found = {one.unit for one in receipts.looked_for(turn).found if not one.reason}
    assert f"f{app.memory.facts.seq(pinned.id)}" in found
    assert [sent(app.memory, one).problem for one in receipts.of_turn(turn)] == [""]
    app.memory.facts.edit(pinned, "My sister is called Ana.")  # what was shown is told as it was
    assert [sent(app.memory, one).problem for one in receipts.of_turn(turn)] == [""]


def test_a_small_window_holds_few_pinned_facts(apps: Apps) -> None:
    app = apps(context_tokens=400)
    assert app.pinned_budget(400) == 50
    assert apps(pinned_tokens=30).pinned_budget(100_000) == 30


def test_remember_that_is_kept_at_once_and_noted_once(app: App, server: ScriptedServer) -> None:
    server.default = "Noted."
    chat = app.chat()
    events = turns(chat, "Please remember that my sister is called Ana.")
    (fact,) = [event for event in events if isinstance(event, Fact)]
    assert (fact.text, fact.handled, fact.origin) == ("my sister is called Ana", True, "user")
    assert "my sister is called Ana (" not in server.bodies[-1]["messages"][0]["content"]
    assert not [event for event in turns(chat, "Do you remember that she likes tea?") if isinstance(event, Fact)]
    chat.end()
    app.memory.extract(chat.session.id)
    told = [one.text for one in app.memory.store.facts_of(chat.session.id)]
    assert told == ["my sister is called Ana"]


def test_what_a_message_corrects_is_said_with_the_way_back(
    app: App, server: ScriptedServer, capsys: pytest.CaptureFixture[str]
) -> None:
    server.default = "Noted."
    old = app.memory.note("My sister is called Anna.")
    shown = Shown(Output(), lambda _text: None, app.memory)
    for event in turns(app.chat(), "Remember that my sister is called Ana, not Anna."):
        shown(event)
    told = capsys.readouterr().err.splitlines()
    assert told == [
        "Remembered: my sister is called Ana, not Anna. Take it back: assistant memory undo",
        f"It replaces: {old.text} ({old.id}). Take it back: assistant memory undo",
    ]


def test_the_end_of_a_conversation_says_what_is_new(assistant: Run, server: ScriptedServer, home: Path) -> None:
    server.default = lambda body: (
        {"title": "Anna", "gist": "My sister is called Anna.", "facts": []} if "response_format" in body else "Noted."
    )
    ran = assistant("chat", stdin=f"{SISTER}\nRemember that I live in Porto.\n", server=server)
    assert ran.returncode == 0, ran.stderr
    assert "Remembered: I live in Porto. Take it back: assistant memory undo" in ran.stderr
    assert 'Noted: "' in ran.stderr
    assert "2 facts. See: assistant memory list --session last" in ran.stderr
    rows_written(home, "UPDATE facts SET status = 'review', handled = 0")
    assert "Waiting for your review: 2 facts" in assistant("chat", stdin="", server=server).stderr
