"""An encrypted home: nothing in plain on the disk, one key, and one whole store whatever happens."""

import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import keyring
import pytest
from hypothesis import given
from hypothesis import strategies as st
from keyring.backend import KeyringBackend

from memory import cipher, encryption, keys
from memory.connection import connect, is_encrypted
from memory.errors import Failure, StoreError
from memory.store import Store
from memory.tokens import Counter
from tests.commands import Cli, command_line  # noqa: F401  the fixture `cli`
from tests.conftest import ROOT
from tests.memories import a_memory, leave, talk

WORDS = "Quillfeather"


class Keyring(KeyringBackend):
    """A keyring in memory."""

    priority = 1.0  # type: ignore[assignment]

    def __init__(self) -> None:
        super().__init__()
        self.held: dict[tuple[str, str], str] = {}

    def get_password(self, service: str, username: str) -> str | None:
        return self.held.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self.held[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        del self.held[service, username]


@pytest.fixture(autouse=True)
def ring(monkeypatch: pytest.MonkeyPatch) -> Iterator[Keyring]:
    """A keyring of this test's own; and no key is known from another test."""
    monkeypatch.setattr(keys, "_known", {})
    monkeypatch.delenv(keys.VARIABLE, raising=False)
    before, mine = keyring.get_keyring(), Keyring()
    keyring.set_keyring(mine)
    yield mine
    keyring.set_keyring(before)


@pytest.fixture
def filled(home: Path, counter: Counter) -> Path:
    """A home with a talk, its vectors, line history and a backup."""
    memory = a_memory(home, counter)
    talk(memory, f"My bank is called {WORDS}.")
    memory.sync()
    (home / "backups").mkdir()
    with closing(sqlite3.connect(home / "backups" / "one.db")) as copy:
        memory.store.connection.backup(copy)
    leave(memory)
    (home / "history").write_text(f"+My bank is called {WORDS}.\n")
    return home


def holding(home: Path) -> list[str]:
    """The files of a home in which the words stand."""
    return [path.name for path in home.rglob("*") if path.is_file() and WORDS.encode() in path.read_bytes()]


def bank(home: Path) -> int:
    with closing(Store(home / "memory.db")) as store:
        return store.number("SELECT count(*) FROM messages WHERE content LIKE ?", [f"%{WORDS}%"])


def test_an_encrypted_home_holds_no_words_and_no_vectors_and_opens_with_its_key(filled: Path, counter: Counter) -> None:
    assert holding(filled)
    encryption.rewrite_home(filled, encryption.new_key("geheim"), keep_vectors=False)
    assert holding(filled) == []
    assert not (filled / "index").exists()
    assert encryption.left_plain(filled) == []
    memory = a_memory(filled, counter)
    try:
        assert memory.store.encrypted
        assert WORDS in memory.recall("bank").hits[0].text
        talk(memory, f"I left {WORDS}.")
        assert memory.sync().added == 0
        assert memory.store.damage() == []
    finally:
        leave(memory)
    assert holding(filled) == []
    assert {path.name for path in filled.rglob("*") if path.is_file() and path.stat().st_mode & 0o077} == set()


def test_decrypting_brings_back_the_very_rows(filled: Path) -> None:
    def dump() -> list[str]:
        with closing(connect(filled / "memory.db")) as connection:
            tables = [
                row[0] for row in connection.execute("SELECT sql FROM sqlite_master WHERE sql NOT NULL ORDER BY 1")
            ]
            sql = "SELECT seq, id, content FROM messages ORDER BY seq"
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            return [*tables, str(version), *(str(tuple(row)) for row in connection.execute(sql))]

    before = dump()
    encryption.rewrite_home(filled, encryption.new_key("geheim"), keep_vectors=True)
    assert dump() == before
    encryption.rewrite_home(filled, None, keep_vectors=True)
    assert dump() == before
    assert sqlite3.connect(filled / "memory.db").execute("PRAGMA integrity_check").fetchone()[0] == "ok"


def test_a_wrong_passphrase_is_told_in_one_line_and_is_no_damage(
    filled: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    encryption.rewrite_home(filled, encryption.new_key("geheim"), keep_vectors=False)
    for wrong in ("", "falsch"):
        monkeypatch.setattr(keys, "_known", {})
        monkeypatch.setenv(keys.VARIABLE, wrong)
        ran = cli("recall", "bank", "--mode", "words")
        assert ran.code == 1
        assert ran.err.count("\n") == 1
        assert "the key does not open it" in ran.err
        assert "doctor" not in ran.err
    monkeypatch.setenv(keys.VARIABLE, "geheim")
    assert WORDS in cli("recall", "bank", "--mode", "words").out


def test_the_keyring_holds_the_key_of_the_store_there_is_and_no_other(filled: Path, cli: Cli, ring: Keyring) -> None:
    assert cli("encrypt").code == 0
    first = dict(ring.held)
    assert [account for _, account in first] == [cipher.salt_of(filled / "memory.db").hex()]
    assert cli("encrypt").code == 0
    assert len(ring.held) == 1
    assert ring.held.keys() != first.keys()
    keys._known.clear()
    assert WORDS in cli("recall", "bank", "--mode", "words").out
    assert cipher.salt_of(filled / "backups" / "one.db") == cipher.salt_of(filled / "memory.db")
    assert cli("decrypt", "--yes").code == 0
    assert ring.held == {}
    assert bank(filled) == 1


def test_decrypting_asks_first(filled: Path, cli: Cli) -> None:
    encryption.rewrite_home(filled, encryption.new_key("geheim"), keep_vectors=False)
    ran = cli("decrypt")
    assert ran.code == 1
    assert "--yes" in ran.err
    assert holding(filled) == []


def test_without_a_keyring_nothing_is_changed(filled: Path, cli: Cli) -> None:
    from keyring.backends.fail import Keyring as Missing

    keyring.set_keyring(Missing())
    ran = cli("encrypt")
    assert ran.code == 1
    assert "--passphrase" in ran.err
    assert bank(filled) == 1
    assert "memory.db" in holding(filled)


def test_a_store_that_another_process_has_open_is_left_alone(filled: Path, cli: Cli, ring: Keyring) -> None:
    hold = "import sys; from pathlib import Path; from memory.store import Store; s = Store(Path(sys.argv[1])); "
    code = f"{hold}print(flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", code, filled / "memory.db"], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout and other.stdin and other.stdout.readline()
        ran = cli("encrypt")
        other.stdin.close()
    assert ran.code == 1
    assert "Another process" in ran.err
    assert ring.held == {}
    assert bank(filled) == 1
    assert not (filled / "memory.db.new").exists()


@pytest.mark.parametrize("stage", ["_export", "_check", "_synced_folder", "_overwrite"])
def test_killed_at_any_stage_it_leaves_one_whole_store_and_the_next_try_finishes(filled: Path, stage: str) -> None:
    code = (
        "import os, sys; from pathlib import Path; from memory import encryption, keys; "
        f"encryption.{stage} = lambda *_: os.kill(os.getpid(), 9); "
        "encryption.rewrite_home(Path(sys.argv[1]), encryption.new_key('geheim'), False)"
    )
    killed = subprocess.run([sys.executable, "-c", code, filled], cwd=ROOT, capture_output=True)
    assert killed.returncode == -9
    keys._known.clear()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(keys.VARIABLE, "geheim")
        assert bank(filled) == 1
        encryption.rewrite_home(filled, encryption.new_key("geheim"), keep_vectors=False)
        assert bank(filled) == 1
    assert holding(filled) == []


def test_doctor_tells_what_of_an_encrypted_home_is_in_plain(filled: Path, cli: Cli) -> None:
    encryption.rewrite_home(filled, encryption.new_key("geheim"), keep_vectors=False)
    assert "keeps no vectors" in cli("doctor").out
    (filled / "index").mkdir(mode=0o700)  # as a kill between the store and the vectors leaves it
    assert "index is in plain" in cli("doctor").err
    (filled / "index").rmdir()
    (filled / "history").write_text("what I typed\n")
    (filled / "history").chmod(0o600)
    ran = cli("doctor")
    assert ran.code == 1
    assert "history is in plain" in ran.err


def test_a_new_home_can_begin_encrypted(home: Path) -> None:
    encryption.rewrite_home(home, encryption.new_key("geheim"), keep_vectors=False)
    with closing(connect(home / "memory.db")) as connection:
        assert is_encrypted(connection)


def test_errors_of_an_encrypted_store_are_the_usual_ones(home: Path) -> None:
    encryption.rewrite_home(home, encryption.new_key("geheim"), keep_vectors=False)
    with closing(Store(home / "memory.db")) as store:
        with pytest.raises(StoreError, match="no such table"):
            store.rows("SELECT * FROM nowhere")
        with pytest.raises(sqlite3.IntegrityError), store.connection:
            store.connection.execute("INSERT INTO messages (seq, session_id) VALUES (1, 'nobody')")


@given(st.text(min_size=1, max_size=40).filter(lambda text: text.isprintable()))
def test_any_passphrase_gives_the_same_key_again_and_another_for_another_file(passphrase: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(keys, "ROUNDS", 1)
        one = keys.derived(passphrase, b"a" * 16)
        assert one == keys.derived(passphrase, b"a" * 16)
        assert one.secret != keys.derived(passphrase, b"b" * 16).secret
        assert one.secret.hex() not in repr(one)


def test_sqlciphers_own_passphrase_opens_the_file_too(home: Path) -> None:
    encryption.rewrite_home(home, encryption.new_key("it's geheim"), keep_vectors=False)
    with closing(cipher.raw(home / "memory.db", 1)) as connection:
        connection.execute("PRAGMA key = 'it''s geheim'")
        assert connection.execute("SELECT count(*) FROM messages").fetchone()[0] == 0


def test_a_full_disk_leaves_the_store_as_it_was(
    filled: Path, cli: Cli, ring: Keyring, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(encryption, "_check", full)
    ran = cli("encrypt")
    assert ran.code == 1
    assert "Free some disk space" in ran.err
    assert ring.held == {}
    assert bank(filled) == 1
    assert not (filled / "memory.db.new").exists()


def test_what_is_not_plain_needs_the_extra(filled: Path, monkeypatch: pytest.MonkeyPatch, cli: Cli) -> None:
    encryption.rewrite_home(filled, encryption.new_key("geheim"), keep_vectors=False)
    cipher._connection_class.cache_clear()
    monkeypatch.setitem(sys.modules, "sqlcipher3", None)
    ran = cli("recall", "bank", "--mode", "words")
    cipher._connection_class.cache_clear()
    assert ran.code == 1
    assert "pip install" in ran.err
    with pytest.raises(Failure):
        Store(filled / "memory.db")


def test_a_store_with_a_second_name_is_left_alone(filled: Path, tmp_path: Path, cli: Cli, ring: Keyring) -> None:
    """A backup by hard links would become noise, and whoever reads it later finds none."""
    (tmp_path / "linked.db").hardlink_to(filled / "memory.db")
    ran = cli("encrypt")
    assert (ran.code, ring.held) == (1, {})
    assert "hard link" in ran.err
    assert bank(filled) == 1


def test_what_is_no_database_is_no_backup(filled: Path, tmp_path: Path, cli: Cli) -> None:
    (tmp_path / "letter").write_text("Dear reader")
    ran = cli("backup", "--restore", str(tmp_path / "letter"), "--yes")
    assert (ran.code, ran.err.count("\n")) == (1, 1)
    assert "is no backup" in ran.err
    assert bank(filled) == 1
    assert sorted(path.name for path in (filled / "backups").iterdir()) == ["one.db"]


@pytest.mark.parametrize("first", [True, False], ids=["a plain backup", "an encrypted backup"])
def test_a_backup_is_restored_into_a_home_that_is_encrypted_otherwise(
    filled: Path, tmp_path: Path, cli: Cli, first: bool
) -> None:
    cli("encrypt") if not first else None
    assert cli("backup", str(tmp_path / "carried.db")).code == 0
    assert cli(*(["encrypt"] if first else ["decrypt", "--yes"])).code == 0
    with pytest.MonkeyPatch.context() as patch:
        if not first:  # the keyring has let go of the old key, as it should
            patch.setattr(keys, "from_keyring", lambda _salt: None)
        ran = cli("backup", "--restore", str(tmp_path / "carried.db"), "--yes")
    assert ran.code == 0, ran.err
    assert bank(filled) == 1
    with closing(connect(filled / "memory.db")) as connection:
        assert is_encrypted(connection) == first
    assert bool(holding(filled)) != first
