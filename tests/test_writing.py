"""Files are changed as their owner was shown, in the folders they allowed, and never by half."""

import codecs
import json
import os
import stat
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tools.files import MAX_BYTES
from tools.toolbox import Prepared, Toolbox
from tools.writing import writing_tools

Call = Callable[..., str]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "secret.txt").write_text("secret")
    (tmp_path / "allowed").mkdir()
    (tmp_path / "allowed" / "list.md").write_text("# Shopping\n\nmilk\nbread\n")
    return tmp_path / "allowed"


@pytest.fixture
def write(root: Path) -> Call:
    return lambda path, content: writing_tools([root])[0].run(path=path, content=content)


@pytest.fixture
def edit(root: Path) -> Call:
    return lambda path, old, new: writing_tools([root])[1].run(path=path, old=old, new=new)


def previewed(root: Path, name: str, **arguments: str) -> str:
    (found,) = [each for each in writing_tools([root]) if each.name == name]
    assert found.preview
    return found.preview(**arguments)


def test_the_tools_say_that_they_write(root: Path) -> None:
    assert writing_tools([]) == []
    assert {each.name: each.effects for each in writing_tools([root])} == {
        "write_file": {"writes"},
        "edit_file": {"reads", "writes"},
    }


# ---------------------------------------------------------------------- what is written


def test_a_new_file_is_written_with_its_folders(root: Path, write: Call) -> None:
    assert write("notes/2026/tea.md", "at four\n") == "wrote the new file tea.md; lines now: 1"
    assert (root / "notes" / "2026" / "tea.md").read_text() == "at four\n"
    assert sorted(each.name for each in (root / "notes" / "2026").iterdir()) == ["tea.md"], "nothing beside it stays"


def test_an_old_file_is_written_anew(root: Path, write: Call) -> None:
    assert write("list.md", "tea") == "changed list.md; lines now: 1"
    assert (root / "list.md").read_text() == "tea"


def test_a_passage_is_replaced(root: Path, edit: Call) -> None:
    edit("list.md", "milk\nbread", "oat milk")
    assert (root / "list.md").read_text() == "# Shopping\n\noat milk\n"
    edit("list.md", "oat milk\n", "")
    assert (root / "list.md").read_text() == "# Shopping\n\n"


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("eggs", "tea", "does not stand in list.md"),
        ("Milk", "tea", "does not stand in list.md"),
        ("\n", "", "more than once"),
        ("", "tea", "old is empty"),
        ("milk", "milk", "the same"),
        ("milk", "a\0b", "NUL"),
        ("milk", "\ud800", "cannot be written"),
        ("milk", "x" * MAX_BYTES, "would be larger"),
    ],
)
def test_a_passage_that_cannot_be_replaced_is_told_and_nothing_is_done(
    old: str, new: str, complaint: str, root: Path, edit: Call
) -> None:
    before = (root / "list.md").read_bytes()
    with pytest.raises(ValueError, match=complaint):
        edit("list.md", old, new)
    with pytest.raises(ValueError, match=complaint):
        previewed(root, "edit_file", path="list.md", old=old, new=new)
    assert (root / "list.md").read_bytes() == before


def test_places_that_overlap_count_as_more_than_one(root: Path, edit: Call) -> None:
    (root / "a").write_text("aaa")
    with pytest.raises(ValueError, match="more than once"):
        edit("a", "aa", "b")


def test_a_file_that_holds_just_that_is_not_written(write: Call) -> None:
    with pytest.raises(ValueError, match="holds just that already"):
        write("list.md", "# Shopping\n\nmilk\nbread\n")


# ---------------------------------------------------------------------- encodings, line ends, rights


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"one\r\ntwo\r\n", b"one\r\n2\r\nzwei\r\n"),
        (b"one\ntwo\r\n", b"one\n2\nzwei\r\n"),
        (codecs.BOM_UTF8 + "ü two".encode(), codecs.BOM_UTF8 + "ü 2\nzwei".encode()),
        ("ü two".encode("utf-16"), "ü 2\nzwei".encode("utf-16")),
        ("ü two".encode("latin-1"), "ü 2\nzwei".encode("latin-1")),
    ],
)
def test_encoding_mark_and_line_ends_stay(before: bytes, after: bytes, root: Path, edit: Call) -> None:
    (root / "a.txt").write_bytes(before)
    edit("a.txt", "two", "2\nzwei")
    assert (root / "a.txt").read_bytes() == after


def test_a_file_written_anew_keeps_its_encoding_too(root: Path, write: Call) -> None:
    (root / "a.txt").write_bytes(codecs.BOM_UTF8 + b"one\r\ntwo\r\n")
    write("a.txt", "ein\nzwei")
    assert (root / "a.txt").read_bytes() == codecs.BOM_UTF8 + b"ein\r\nzwei"


def test_a_passage_is_found_whichever_line_ends_it_is_given_with(root: Path, edit: Call) -> None:
    (root / "a.txt").write_bytes(b"one\r\ntwo\r\n")
    edit("a.txt", "one\ntwo", "1\r\n2")
    assert (root / "a.txt").read_bytes() == b"1\r\n2\r\n"


def test_into_an_unknown_encoding_only_ascii_is_put(root: Path, edit: Call, write: Call) -> None:
    (root / "a.txt").write_bytes(b"\xef\xf0\xe8\xe2\xe5\xf2 two")
    for call in (lambda: edit("a.txt", "two", "ü"), lambda: write("a.txt", "ü")):
        with pytest.raises(ValueError, match="not UTF-8"):
            call()


def test_the_mode_stays_and_a_new_file_has_the_usual_one(root: Path, write: Call) -> None:
    (root / "run.sh").write_text("#!/bin/sh\n")
    (root / "run.sh").chmod(0o750)
    (root / "usual").touch()
    write("run.sh", "#!/bin/sh\necho\n")
    write("new", "x")
    assert stat.S_IMODE((root / "run.sh").stat().st_mode) == 0o750
    assert (root / "new").stat().st_mode == (root / "usual").stat().st_mode


def test_a_link_stays_a_link_and_its_file_is_changed(root: Path, write: Call) -> None:
    (root / "link.md").symlink_to(root / "list.md")
    write("link.md", "tea\n")
    assert (root / "link.md").is_symlink() and (root / "list.md").read_text() == "tea\n"


@pytest.mark.parametrize("data", [b"\x89PNG\0", b"x" * (MAX_BYTES + 1)])
def test_binary_and_large_files_are_refused(data: bytes, root: Path, write: Call, edit: Call) -> None:
    (root / "it").write_bytes(data)
    for call in (lambda: write("it", "x"), lambda: edit("it", "x", "y")):
        with pytest.raises(ValueError, match=r"binary|larger than"):
            call()
    assert (root / "it").read_bytes() == data


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everything")
def test_what_is_read_only_is_refused_though_its_folder_is_not(root: Path, write: Call, edit: Call) -> None:
    (root / "list.md").chmod(0o444)
    (root / "sub").mkdir(0o555)
    for call in (lambda: write("list.md", "x"), lambda: edit("list.md", "milk", "x"), lambda: write("sub/x", "x")):
        with pytest.raises(ValueError, match="is read-only"):
            call()


def test_a_write_that_fails_leaves_nothing_behind(root: Path, write: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_descriptor: int) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write("list.md", "tea")
    assert {each.name: each.read_text() for each in root.iterdir()} == {"list.md": "# Shopping\n\nmilk\nbread\n"}


# ---------------------------------------------------------------------- where


@pytest.mark.parametrize(
    ("path", "complaint"),
    [
        ("../x", "outside"),
        ("/tmp/x", "outside"),
        ("out/x", "outside"),
        ("out.txt", "outside"),
        ("", "empty"),
        (".", "is a folder"),
        ("new/", "names a folder"),
        ("list.md/x", "no folder"),
        ("memory/config.toml", "closed to its tools"),
        ("memory/new/deep", "closed to its tools"),
        ("own.py", "closed to its tools"),
        ("a\0b", "null"),
    ],
)
def test_nothing_is_written_anywhere_else(path: str, complaint: str, root: Path) -> None:
    (root / "out").symlink_to(root.parent)
    (root / "out.txt").symlink_to(root.parent / "secret.txt")
    (root / "memory").mkdir()
    (root / "own.py").write_text("")
    before = sorted(root.parent.rglob("*"))
    write, _ = writing_tools([root], closed=[root / "memory", root / "own.py"])
    for call in (write.run, write.preview):
        with pytest.raises(ValueError, match=complaint):
            call(path=path, content="x")  # type: ignore[misc]
    assert sorted(root.parent.rglob("*")) == before
    assert (root.parent / "secret.txt").read_text() == "secret"


def test_an_allowed_folder_that_is_missing_is_not_made(tmp_path: Path) -> None:
    write, _ = writing_tools([tmp_path / "gone"])
    with pytest.raises(ValueError, match="is missing"):
        write.run(path="x", content="x")
    assert not (tmp_path / "gone").exists()


def test_a_new_file_goes_into_the_first_folder_and_an_old_one_stays_where_it_is(root: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "there.txt").write_text("old")
    write, _ = writing_tools([root, other])
    write.run(path="there.txt", content="new")
    write.run(path="fresh.txt", content="new")
    assert (other / "there.txt").read_text() == (root / "fresh.txt").read_text() == "new"
    assert not (root / "there.txt").exists()


# ---------------------------------------------------------------------- what is shown


def test_the_whole_change_is_shown(root: Path) -> None:
    assert previewed(root, "edit_file", path="list.md", old="milk", new="oat milk") == (
        f"--- {root}/list.md\n+++ {root}/list.md\n@@ -1,4 +1,4 @@\n # Shopping\n \n-milk\n+oat milk\n bread\n"
    )
    assert previewed(root, "write_file", path="n.txt", content="a\x1b[8mb\u202ec") == (
        f"--- /dev/null\n+++ {root}/n.txt\n@@ -0,0 +1 @@\n+a␛[8mb<U+202E>c\n\\ No newline at end of file\n"
    )
    assert previewed(root, "write_file", path="n\n+x", content="") == f"(a new, empty file: {root}/n␊+x)"
    assert not (root / "n.txt").exists()


def test_what_is_no_longer_what_was_shown_is_not_done(root: Path) -> None:
    tools = Toolbox(writing_tools([root]), len, 2_000)
    call = json.dumps({"path": "list.md", "old": "bread", "new": "rolls"})
    prepared = tools.prepare("edit_file", call)
    assert isinstance(prepared, Prepared) and "+rolls" in prepared.shown
    (root / "list.md").write_text("# Shopping\n\nmilk\nbread and wine\n")
    result = tools.perform(prepared)
    assert not result.ok and "not what was shown" in result.text
    assert tools.run("edit_file", call).ok


def test_edits_that_run_together_are_all_kept(root: Path) -> None:
    words = [f"word{number}" for number in range(20)]
    (root / "many.txt").write_text("\n".join(f"<{word}>" for word in words))
    _, edit = writing_tools([root])
    threads = [
        threading.Thread(target=edit.run, kwargs={"path": "many.txt", "old": f"<{word}>", "new": word.upper()})
        for word in words
    ]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert (root / "many.txt").read_text().splitlines() == [word.upper() for word in words]


TEXTS = st.text(st.sampled_from("ab\r\nü\x1b"), max_size=12)


@settings(deadline=None)  # each write waits for the disk
@given(before=TEXTS, after=TEXTS)
def test_what_is_written_is_what_is_read(before: str, after: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.getbasetemp()
    (folder / "any.txt").write_bytes(before.encode())
    write, _ = writing_tools([folder])
    arguments: dict[str, Any] = {"path": "any.txt", "content": after}
    try:
        write.run(**arguments)
    except ValueError as error:
        assert "just that already" in str(error)
    found = (folder / "any.txt").read_bytes().decode()
    assert found.replace("\r\n", "\n") == after.replace("\r\n", "\n")
