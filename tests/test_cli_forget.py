"""`assistant forget` and `assistant backup`, as a person or a script uses them."""

import json
import sqlite3
from pathlib import Path

import pytest

from memory import encryption, keys
from memory.store import Store
from tests.commands import SAMPLE, Cli, command_line, imported_once, rows, sample_home  # noqa: F401


def test_what_would_go_is_shown_and_nothing_goes(cli: Cli, sample: Path) -> None:
    before = rows(sample, "SELECT count(*) FROM messages")
    ran = cli("forget", "--session", "sample-1", "--dry-run")
    assert ran.code == 0 and "messages" in ran.err and "1 session goes whole" in ran.err
    ran = cli("forget", "--session", "sample-1", "--dry-run", "--json")
    assert ran.json["would"]["sessions"] == 1 and ran.json["sessions"] == ["sample-1"]
    assert rows(sample, "SELECT count(*) FROM messages") == before
    assert rows(sample, "SELECT * FROM forgets") == []


def test_it_goes_for_good_and_only_with_a_yes(cli: Cli, sample: Path) -> None:
    ran = cli("forget", "--session", "sample-1")  # nobody can be asked
    assert ran.code == 1 and "--yes" in ran.err
    assert cli("recall", "risotto", "--mode", "words").code == 0
    ran = cli("forget", "--session", "sample-1", "--yes")
    assert ran.code == 0 and "Nothing of it was found." in ran.out and ran.out.endswith("Done.\n")
    assert cli("recall", "risotto", "--mode", "words").code == 3
    assert cli("sessions", "show", "sample-1").code == 3
    assert "done\t1 session, 8 messages" in cli("forget", "--list").out


def test_words_take_all_that_holds_them(cli: Cli, sample: Path) -> None:
    ran = cli("forget", "--query", "risotto", "--yes", "--json")
    assert ran.code == 0 and ran.json["went"]["messages"] >= 1 and ran.json["found"] == []
    assert "risotto" not in ran.out
    assert rows(sample, "SELECT count(*) FROM messages WHERE content LIKE '%risotto%'") == [(0,)]
    assert cli("doctor").code == 0


def test_what_matches_nothing_leaves_with_3_and_what_is_unclear_with_2(cli: Cli, sample: Path) -> None:
    assert cli("forget", "--query", "nobody said this word xyzzy", "--yes").code == 3
    assert cli("forget", "nothing", "--yes").code == 3
    assert cli("forget").code == 2
    assert cli("forget", "--all", "--query", "risotto").code == 2
    assert cli("forget", "--after", "2020-01-01").code == 2


@pytest.mark.parametrize("outside", [False, True])
def test_a_backup_brings_everything_back_but_what_was_forgotten(
    cli: Cli, sample: Path, tmp_path: Path, outside: bool
) -> None:
    made = cli("backup", *([str(tmp_path / "copy.db")] if outside else [])).out.strip()
    kept = tmp_path / "kept.db"
    kept.write_bytes(Path(made).read_bytes())
    assert Path(made).stat().st_mode & 0o077 == 0
    before = rows(sample, "SELECT count(*) FROM sessions")[0][0]
    ran = cli("forget", "--session", "sample-1", "--yes", "--json")
    assert any(made in one for one in ran.json["out_of_reach"]) is outside
    assert cli("forget", "--session", "last", "--yes").code == 0
    assert cli("backup", "--restore", str(kept), "--dry-run").code == 0
    assert cli("backup", "--restore", str(kept), "--yes").code == 0
    assert rows(sample, "SELECT count(*) FROM sessions") == [(before - 2,)]
    assert cli("recall", "risotto", "--mode", "words").code == 3
    assert cli("doctor").code == 0
    assert cli("backup", "--list").out.count("memory-") >= 1


def test_a_damaged_backup_is_refused(cli: Cli, sample: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad.db"
    bad.write_bytes((sample / "memory.db").read_bytes()[:5000])
    before = rows(sample, "SELECT count(*) FROM messages")
    assert cli("backup", "--restore", str(bad), "--yes").code == 1
    assert rows(sample, "SELECT count(*) FROM messages") == before
    assert cli("backup", "--restore", "none", "--yes").code == 3
    assert not list((sample / "backups").glob("restoring*"))


def test_the_newest_seven_backups_are_kept(cli: Cli, sample: Path) -> None:
    made = [cli("backup").out.strip() for _ in range(8)]
    assert not Path(made[0]).exists() and all(Path(one).exists() for one in made[1:])


WRITING = [
    ("remember", "Something else"), ("backup",), ("memory", "undo"), ("doctor", "--fix"), ("forget",),
    ("import", str(SAMPLE), "--no-embed"), ("sessions", "summarize", "--pending"), ("decrypt", "--yes"),
]  # fmt: skip


@pytest.mark.parametrize("words", WRITING, ids=lambda words: words[0])
def test_whatever_writes_finishes_first_what_is_owed(cli: Cli, sample: Path, words: tuple[str, ...]) -> None:
    with sqlite3.connect(sample / "memory.db") as db:
        db.execute("INSERT INTO forgets (at, state, plan, receipt) VALUES ('2026-11-23', 'deleted', '{}', '{}')")
    db.close()
    assert cli("recall", "risotto", "--mode", "words").code == 0
    assert rows(sample, "SELECT state FROM forgets") == [("deleted",)], "what only reads leaves it"
    ran = cli(*words)
    assert rows(sample, "SELECT state FROM forgets") == [("done",)]
    assert "An earlier forgetting (number 1) is done now" in ran.err


def test_an_encrypted_memory_forgets_backs_up_and_restores(
    cli: Cli, sample: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("sqlcipher3")
    assert cli("backup", str(tmp_path / "plain.db")).code == 0
    monkeypatch.setattr(keys, "_known", {})
    monkeypatch.setenv(keys.VARIABLE, "a pass phrase")
    monkeypatch.setenv("ASSISTANT_NEW_PASSPHRASE", "a pass phrase")
    assert cli("encrypt", "--passphrase").code == 0
    assert cli("backup").code == 0
    ran = cli("forget", "--query", "risotto", "--yes", "--json")
    assert (ran.code, ran.json["found"], ran.json["owed"], ran.json["went"]["backups"]) == (0, [], "", 1)
    assert ran.json["went"]["messages"] >= 1
    heads = []
    copied = encryption.fitting_copy

    def noted(path: Path, copy: Path, store: Store) -> None:
        copied(path, copy, store)
        heads.append(copy.read_bytes()[:6])

    monkeypatch.setattr("memory.backup.fitting_copy", noted)
    monkeypatch.setattr(encryption, "rewrite", None)  # it would have been plain before
    assert cli("backup", "--restore", str(tmp_path / "plain.db"), "--yes").code == 0
    assert cli("recall", "risotto", "--mode", "words").code == 3
    assert cli("recall", "bicycle chain", "--mode", "words").code == 0
    heads += [path.read_bytes()[:6] for path in (sample / "memory.db", *(sample / "backups").iterdir())]
    assert len(heads) >= 3 and b"SQLite" not in heads


def test_a_receipt_is_one_object_without_words(cli: Cli, sample: Path) -> None:
    ran = cli("forget", "--all", "--yes", "--json")
    assert json.loads(ran.out)["schema"] == "assistant.forgotten/1"
    assert "risotto" not in ran.out and rows(sample, "SELECT count(*) FROM sessions") == [(0,)]
