"""Secrets are masked before anything is stored: what is found, what is left alone, and every door into the home."""

import json
import logging
import random
import string
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assistant import recorder
from assistant.telemetry import Telemetry
from memory import backup, encryption
from memory.importers.run import import_file
from memory.masking import LONGEST_MARK, MARKS, masked
from memory.masks import Masking
from memory.pending import Pending
from memory.plans import PlanRow
from memory.receipts import CallRow, Outcome, Receipt
from memory.records import Fact, Message, Summary, ToolCall
from memory.store import Store
from memory.tokens import Counter
from tests import lookalikes
from tests.collector import Collector
from tests.commands import Cli, command_line, rows  # noqa: F401  the fixture `cli`
from tests.conftest import MODEL, Apps
from tests.memories import a_memory, talk
from tests.scripted import Answer, Call, ScriptedServer

DICE = random.Random(7)


def made(number: int, letters: str = string.ascii_letters + string.digits) -> str:
    """Letters by chance; with a digit and a capital at the end, as nearly every key has them."""
    return "".join(DICE.choices(letters, k=number - 2)) + ("7f" if letters.islower() or "A" not in letters else "7Q")


HEX = "0123456789abcdef"
UPPER = string.ascii_uppercase + string.digits
# Each with what must not be left of it. Put together here, so that no scanner takes this file for a leak.
SECRETS: list[tuple[str, str]] = [
    (sentence.replace("@@", secret), secret)
    for sentence, secret in [
        ("Here is my key: @@, keep it safe.", "AKIA" + made(16, UPPER)),
        ("aws_secret_access_key = @@", made(40)),
        ('AWS_SECRET_ACCESS_KEY="@@"', made(40)),
        ("the secret access key is @@", made(40)),
        ("git clone with @@ please", "gh" + "p_" + made(36)),
        ("export GH=@@", "github" + "_pat_" + made(22) + "_" + made(59)),
        ("token @@ for the runner", "gl" + "pat-" + made(20)),
        ("Slack bot: @@", "xox" + "b-123456789012-1234567890123-" + made(24)),
        ("https://hooks.slack.com/services/@@", "T" + made(9, UPPER) + "/B" + made(9, UPPER) + "/" + made(24)),
        ("stripe.api_key = '@@'", "sk" + "_live_" + made(24)),
        ("restricted one: @@", "rk" + "_test_" + made(30)),
        ("OPENAI_API_KEY=@@", "sk-" + "proj-" + made(48)),
        ("use @@ with the client", "sk-" + made(48)),
        ("and @@ there", "sk-" + "ant-api03-" + made(90)),
        ("maps?key=@@&zoom=3", "AI" + "za" + made(35)),
        ("refresh: @@", "GOC" + "SPX-" + made(28)),
        ("hub login @@", "hf" + "_" + made(34)),
        ("//registry/:_authToken=@@", "npm" + "_" + made(36)),
        ("twine -p @@", "pypi-" + "AgEIcHlwaS5vcmc" + made(70)),
        ("mail: @@", "SG" + "." + made(22) + "." + made(43)),
        ("bot 123456789:@@", "AA" + made(33)),
        ("doctl auth @@", "dop" + "_v1_" + made(64, HEX)),
        ("shop @@", "shp" + "at_" + made(32, HEX)),
        ("vault login @@", "hvs" + "." + made(24)),
        ("dbx @@", "dap" + "i" + made(30, HEX) + "a1"),
        ("chimp @@-us12", made(30, HEX) + "a1"),
        ("Cookie is @@ now", "eyJ" + made(30) + ".eyJ" + made(60) + "." + made(43)),
        ("Authorization: Bearer @@", made(40)),
        ('curl -H "Authorization: Bearer @@" url', made(32)),
        ("Authorization: Basic @@", "dXNlcjpodW50ZXIyIQ=="),
        ("postgresql://app:@@@db.internal:5432/main", "s3cr3t-Pw"),
        ("redis://:@@@cache:6379/0", "p4ssw0rd"),
        ("https://bob:@@@example.org/x", "tops3cret"),
        ("AccountName=a;AccountKey=@@;EndpointSuffix=x", made(86) + "=="),
        ("-----BEGIN RSA PRIVATE" + " KEY-----\n@@\n-----END RSA PRIVATE" + " KEY-----", made(64) + "\n" + made(64)),
        ("-----BEGIN OPENSSH PRIVATE" + " KEY-----\n@@\n-----END OPENSSH PRIVATE" + " KEY-----", made(70)),
        ("AKIA is public, the secret @@ is not", "wJalrXUtn/" + "K7MDENGbPx+" + made(19)),
        ("my password is @@", "hunter2!"),
        ("My password is @@.", "Tr0ub4dor"),
        ("the wifi password for the guests is @@", "blue-Whale77"),
        ("The password to my laptop is @@, by the way", "Xk92ppq"),
        ('my password is "@@"', "sunflower"),
        ("password: @@", "correct9horse"),
        ("Password: @@", "Sunflower"),
        ("db_password='@@'", "qwerty"),
        ('{"password": "@@"}', "letmein"),
        ('{\\"password\\": \\"@@\\"}', "letmein2"),
        ("user=bob password=@@", "h8nter2"),
        ("PGPASSWORD=@@ psql", "geheim42"),
        ("mysql --password=@@", "geheim42"),
        ("DB_PASS" + "WORD: @@", "a1b2c3d4"),
        ("the passphrase is @@", "horse-Battery-9"),
        ("Mein Passwort ist @@", "Sommer2024"),
        ("Mein Passwort für das WLAN lautet @@.", "Kuchen!2024"),
        ("Passwort: @@", "Sommerregen"),
        ("Kennwort: @@", "Winter99"),
        ("Mi contraseña es @@", "gato1234"),
        ("Contraseña: @@", "perro77x"),
        ("Mon mot de passe est @@", "soleil88"),
        ("mot de passe : @@", "Azerty12"),
        ("Minha senha é @@", "praia2020"),
        ("Мой пароль: @@", "zima2024"),
        ("My PIN is @@", "4711"),
        ("PIN @@", "4711"),
        ("PIN: @@", "938271"),
        ("the pin for my card is @@", "4829"),
        ("CVV: @@", "737"),
        ("card @@ exp 12/27", "4111 1111 1111 1111"),
        ("card @@", "5500-0055-5555-5559"),
        ("pay with @@", "4111111111111111"),
        ("amex @@", "3782 822463 10005"),
        ("API_KEY=@@", "abcd1234efgh5678"),
        ('api_key: "@@"', made(24)),
        ("client_secret=@@", made(30)),
        ("the api key for the weather service is @@", made(32, HEX)),
        ("?access_token=@@&x=1", made(24)),
        ("my seed phrase is @@", "legal winner thank year wave sausage worth useful legal winner thank yellow"),
    ]
]
ORDINARY = [
    "I forgot my password again.", "The password is wrong.", "What is a password manager?", "password: required",
    "Please reset your password: click here.", "password: string;", "my password is secure",
    "const password = getPassword()",
    "password = os.environ['DB']", 'token = request.headers["X"]', "max_tokens: 4096", "the token is expired",
    "commit 29c58cc0f3a1d7b6e5c4a3f2e1d0c9b8a7f6e5d4", "id 550e8400-e29b-41d4-a716-446655440000",
    "call +1 (415) 555-2671 or 0049 30 1234567", "ISBN 978-3-16-148410-0", "tracking 1Z999AA10123456784",
    "born 1984-05-23 at 10:15",
    "https://example.com/a?page=2&id=4111111111111112",
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAUA",
    "sk-learn is a library", "task-oriented-dialogue-systems", "IBAN DE89 3704 0044 0532 0130 00",
    "the key is under the mat", "secret: my sister is pregnant", "0.4111111111111111", "pin the note to board 12",
    "PIN codes have four digits", "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "the secret is to be patient",
    "postgres://user@host/db", "http://localhost:8080/a@b",
    "API key: <your key>", "api_key=YOUR_API_KEY",
    "she said: bearer of bad news", "the credentials: see the wiki", "order number 4242 4242 4242 4241",
]  # fmt: skip


def test_at_least_nineteen_in_twenty_secrets_are_masked_whole() -> None:
    missed = [sentence for sentence, secret in SECRETS if secret in masked(sentence)[0]]
    assert len(SECRETS) >= 60
    assert len(missed) <= len(SECRETS) // 20, missed


@pytest.mark.parametrize("sentence", ORDINARY)
def test_ordinary_talk_is_left_alone(sentence: str) -> None:
    assert masked(sentence) == (sentence, ())


@pytest.mark.parametrize("seed", [1, 2])
def test_of_what_was_written_without_looking_at_the_patterns_nearly_all_is_found(seed: int) -> None:
    missed = [sentence for sentence, secret in lookalikes.secrets(seed) if secret in masked(sentence)[0]]
    assert len(missed) <= 2, missed
    assert [text for text in lookalikes.harmless(seed) if masked(text)[1]] == []


def test_what_is_glued_to_a_secret_goes_with_it_and_a_mark_names_nothing() -> None:
    token = "sk" + "_live_" + "a1" * 125
    assert masked(token * 3) == ("[masked: Stripe key]", ("Stripe key",))
    assert masked(f"{KEY}: a1b2c3d4: e5f6g7h8")[0] == "[masked: GitHub token]: a1b2c3d4: e5f6g7h8"


def test_a_mark_names_the_secret_and_the_sentence_stays_one() -> None:
    token = "gh" + "p_" + "a1" * 18
    assert masked(f"My key is {token}.") == ("My key is [masked: GitHub token].", ("GitHub token",))


PIECES = st.one_of(st.sampled_from([sentence for sentence, _ in SECRETS] + ORDINARY), st.text(max_size=20))


@settings(deadline=None, max_examples=150)
@given(st.lists(PIECES, max_size=5), st.sampled_from([" ", "\n", "", "\u200b"]))
def test_a_second_time_changes_nothing_and_what_is_no_secret_stays(pieces: list[str], joint: str) -> None:
    whole = joint.join(pieces)
    once, names = masked(whole)
    assert masked(once) == (once, ())
    assert len(once) <= len(whole) + LONGEST_MARK * len(names)
    place = 0
    for kept in MARKS.split(once):
        place = whole.index(kept, place) + len(kept)


def test_a_key_is_found_through_what_nobody_sees_and_through_a_line_break() -> None:
    token = "gh" + "p_" + "a1" * 18
    assert masked(f"x {token[:9]}\u200b{token[9:]} y")[0] == "x [masked: GitHub token] y"
    assert masked(f"x {token[:20]}\n  {token[20:]}\nThanks")[0] == "x [masked: GitHub token]\nThanks"


# ---------------------------------------------------------------------- doors

KEY = "gh" + "p_" + "Zq7" * 12
AT = datetime(2026, 11, 1, tzinfo=UTC)


def bytes_of(home: Path) -> bytes:
    return b"".join(path.read_bytes() for path in home.rglob("*") if path.is_file())


def test_no_door_into_the_home_lets_a_secret_through(home: Path, tmp_path: Path, counter: Counter) -> None:
    told: list[str] = []
    memory = a_memory(home, counter)
    memory.store.masking.__init__(say=told.append)  # type: ignore[misc]
    session = memory.begin("m")
    asked = session.remember(session.make("user", f"my key is {KEY}", origin="user"))
    call = ToolCall("c1", "web_fetch", json.dumps({"key": KEY}))
    session.remember(session.make("assistant", f"I use {KEY}", origin="assistant", tool_calls=(call,)))
    session.remember(session.make("tool", f"got {KEY}", origin="tool:web_fetch", name="web_fetch", tool_call_id="c1"))
    waits = Pending("p", session.id, asked.seq, "call", f"send {KEY}", f"why {KEY}", AT, note=KEY)
    memory.pending.wait(session.id, [waits])
    memory.pending.decide(["p"], "denied", AT, f"no, {KEY}")
    memory.plans.put(PlanRow(asked.seq, session.id, AT, "proposed", json.dumps([{"text": f"use {KEY}"}])))
    session.end()
    fact = Fact("f1", session.id, f"The key is {KEY}", "fact", AT, (asked.id,), KEY, "user")
    memory.store.put_notes(Summary(session.id, f"Key {KEY}", f"gist {KEY}", AT, "m", "user"), [fact])
    memory.note(f"the deploy key is {KEY}")
    line = {"id": "s", "title": KEY, "started_at": AT.isoformat(), "summary": KEY,
            "messages": [{"id": "1", "role": "user", "content": f"key {KEY}"}]}  # fmt: skip
    (tmp_path / "in.jsonl").write_text(json.dumps(line | {"schema": "assistant.session/1"}))
    assert import_file(tmp_path / "in.jsonl", memory.store, counter, mine=True, owes=False).messages == 1
    seq = memory.receipts.begin(Receipt(0, session.id, "turn", asked.seq, 1, AT, "m", 2, "", [f"x {KEY}"]))
    memory.receipts.answered_with(seq, f"said {KEY}")
    memory.receipts.end(seq, Outcome(1, error=f"refused {KEY}"), None)
    memory.receipts.acted(CallRow(seq, "c9", "t", True, False, "rules", 1, json.dumps({"k": KEY}), None, f"got {KEY}"))
    memory.sync()
    backup.make(memory.store, home, AT)
    assert KEY.encode() not in bytes_of(home)
    assert memory.store.transcript(session.id)[0].masked == 1
    assert told[0].startswith("Masked before it was stored: 1 GitHub token.")
    memory.close()


def test_the_model_sees_a_secret_in_its_turn_and_the_store_never(
    apps: Apps, server: ScriptedServer, home: Path
) -> None:
    app = apps()
    server.enqueue(Answer(calls=(Call("calculator", '{"expression": "1+1"}'),)), Answer("Done."), Answer("Next."))
    chat = app.chat()
    list(chat.turn(f"my key is {KEY}"))
    list(chat.turn("thanks"))
    chat.end()
    sent = [json.dumps(body["messages"]) for body in server.bodies if "messages" in body]
    assert [KEY in each for each in sent] == [True, True, False]
    assert "[masked: GitHub token]" in sent[-1]
    turns = app.memory.receipts.turns_of(chat.session.id)
    calls = [call for turn in turns for call in app.memory.receipts.of_turn(turn)]
    rebuilt = [recorder.sent(app.memory, call) for call in calls]
    assert [one.problem for one in rebuilt] == ["", "", ""]
    assert all(b"[masked: GitHub token]" in one.body for one in rebuilt)
    assert KEY.encode() not in bytes_of(home)


def test_a_waiting_call_whose_secret_was_not_kept_is_refused_in_one_line(
    cli: Cli, server: ScriptedServer, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = json.dumps({"path": str(tmp_path / "new.txt"), "content": f"key {KEY}"})
    server.enqueue(Answer(calls=(Call("write_file", told),)), "Please tell me again.")
    usual = {"OPENAI_BASE_URL": server.url, "OPENAI_API_KEY": "test", "ASSISTANT_MODEL": MODEL}
    for name, value in (usual | {"ASSISTANT_EMBEDDING": "endpoint:words"}).items():
        monkeypatch.setenv(name, value)
    home.mkdir()
    (home / "config.toml").write_text(f"folders = [{json.dumps(str(tmp_path))}]\n")
    assert cli("ask", "Write my key down.").code == 6
    assert KEY.encode() not in bytes_of(home)
    ran = cli("approve", "--all")
    assert "its secret was not kept; ask again" in ran.err
    assert (ran.code, ran.out) == (0, "Please tell me again.\n")
    assert not (tmp_path / "new.txt").exists()
    assert KEY.encode() not in bytes_of(home)


def test_what_only_reads_like_a_mark_refuses_no_call(apps: Apps, server: ScriptedServer) -> None:
    server.enqueue(Answer(calls=(Call("calculator", '{"expression": "[masked: password] + 1"}'),)), Answer("Sorry."))
    chat = apps().chat()
    list(chat.turn("add it"))
    (answer,) = [message.content for message in chat.session.transcript if message.role == "tool"]
    assert not answer.startswith("Not run: a secret")


def test_kept_secrets_stand_in_a_table_apart_and_are_shown_when_the_session_goes_on(
    home: Path, counter: Counter
) -> None:
    memory = a_memory(home, counter)
    memory.store.masking.__init__(keep=True)  # type: ignore[misc]
    session = memory.begin("m")
    session.remember(session.make("user", f"my key is {KEY}", origin="user"))
    session.let_go()
    assert rows(home, "SELECT content FROM secrets") == [(f"my key is {KEY}",)]
    (stored,) = memory.store.transcript(session.id)
    assert KEY not in stored.content
    again = memory.begin("m")
    again.resume(session.id, {}, {})
    assert KEY in again.transcript[0].content
    memory.close()


def test_import_and_remember_keep_secrets_too_and_only_show_gives_them_back(
    home: Path, tmp_path: Path, cli: Cli
) -> None:
    assert cli("config", "set", "keep_secrets", "true").code == 0
    line = {"schema": "assistant.session/1", "id": "s-1", "title": "t", "started_at": AT.isoformat(),
            "messages": [{"id": "1", "role": "user", "content": f"key {KEY}"}]}  # fmt: skip
    (tmp_path / "in.jsonl").write_text(json.dumps(line))
    assert "1 GitHub token" in cli("import", "--no-embed", str(tmp_path / "in.jsonl")).err
    assert cli("remember", f"the deploy key is {KEY}").code == 0
    assert sorted(rows(home, "SELECT content FROM secrets")) == [(f"key {KEY}",), (f"the deploy key is {KEY}",)]
    assert rows(home, "SELECT masked FROM messages") == [(1,), (1,)]
    assert KEY not in cli("sessions", "show", "s-1").out
    assert KEY in cli("sessions", "show", "s-1", "--secrets").out
    assert KEY in cli("sessions", "show", "s-1", "--secrets", "--json").out
    exported = tmp_path / "out.jsonl"
    assert cli("export", "-o", str(exported)).code == 0 or cli("export", str(exported)).code == 0
    assert KEY not in exported.read_text()


def test_a_secret_that_was_not_kept_is_told_by_show(home: Path, cli: Cli) -> None:
    assert cli("remember", f"the deploy key is {KEY}").code == 0
    assert "1 secret in it was masked and not kept" in cli("sessions", "show", "--secrets").err


def test_the_tool_remember_spans_and_an_encrypted_store_hold_no_secret(
    apps: Apps, server: ScriptedServer, home: Path
) -> None:
    kept = json.dumps({"text": f"The deploy key is {KEY}."})
    server.enqueue(Answer(calls=(Call("remember", kept),)), Answer(f"Kept {KEY}."))
    app = apps(approve=("remember=allow",))
    chat = app.chat()
    list(chat.turn(f"Remember that the deploy key is {KEY}."))
    turn = next(one.seq for one in chat.session.transcript if one.role == "user")
    chat.end()
    with Collector() as collector:
        with closing(Telemetry(collector.url, True)) as telemetry:
            telemetry.turn(app.memory, turn)
        assert collector.bodies and all(KEY.encode() not in body for body in collector.bodies)
    assert KEY.encode() not in bytes_of(home)
    app.close()
    encryption.rewrite_home(home, encryption.new_key("geheim"), keep_vectors=False)
    with closing(Store(home / "memory.db")) as store:
        assert store.encrypted
        session = store.sessions()[0]
        store.add(Message("m-new", session.id, "user", f"and {KEY}", AT, "user"))
        assert [one.content for one in store.transcript(session.id)][-1] == "and [masked: GitHub token]"


def test_masking_can_be_switched_off() -> None:
    assert Masking(on=False).text(f"key {KEY}") == f"key {KEY}"


def test_the_log_holds_no_secret(apps: Apps, home: Path) -> None:
    apps().log_to_file()
    logging.getLogger("assistant").warning("refused: %s", KEY)
    assert KEY not in (home / "assistant.log").read_text()
    for room in ("assistant", "memory", "tools"):
        for handler in logging.getLogger(room).handlers[:]:
            logging.getLogger(room).removeHandler(handler)
            handler.close()


def test_the_line_history_holds_no_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from prompt_toolkit import application
    from prompt_toolkit.input import create_pipe_input
    from prompt_toolkit.output import DummyOutput

    from assistant.cli.terminal import Terminal

    with create_pipe_input() as keys, application.create_app_session(input=keys, output=DummyOutput()):
        line = Terminal(history=tmp_path / "history", masked=Masking().text)._session
        line.history.append_string(f"my key is {KEY}")
    kept = (tmp_path / "history").read_text()
    assert "[masked: GitHub token]" in kept
    assert KEY not in kept


def test_doctor_finds_what_was_stored_in_plain_and_masks_it(home: Path, counter: Counter, cli: Cli) -> None:
    memory = a_memory(home, counter)
    memory.store.masking.__init__(on=False)  # type: ignore[misc]
    session_id = talk(memory, f"my key is {KEY}")
    memory.close()
    ran = cli("doctor")
    assert (ran.code, KEY.encode() in bytes_of(home)) == (1, True)
    assert "1 secret" in ran.err
    assert session_id in ran.err
    assert cli("doctor", "--fix").code == 0
    assert KEY.encode() not in bytes_of(home)
    assert rows(home, "SELECT content, masked FROM messages LIMIT 1") == [("my key is [masked: GitHub token]", 1)]
