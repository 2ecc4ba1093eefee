"""`assistant forget` and `assistant backup`, as a person or a script uses them."""

import json
from pathlib import Path

import pytest

from tests.commands import Cli, command_line, imported_once, rows, sample_home  # noqa: F401


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
    assert cli("forget", "--list").out.startswith("1  ")


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


def test_a_receipt_is_one_object_without_words(cli: Cli, sample: Path) -> None:
    ran = cli("forget", "--all", "--yes", "--json")
    assert json.loads(ran.out)["schema"] == "assistant.forgotten/1"
    assert "risotto" not in ran.out and rows(sample, "SELECT count(*) FROM sessions") == [(0,)]
