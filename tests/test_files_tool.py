"""Files are read, listed and searched in the folders the owner allowed, and nowhere else."""

import codecs
import json
import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tools import files
from tools.files import MAX_BYTES, reading_tools
from tools.toolbox import Toolbox


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder that may be read, beside files that may not."""
    (tmp_path / "secret.txt").write_text("secret")
    (tmp_path / "allowed-not").mkdir()
    (tmp_path / "allowed-not" / "a.txt").write_text("secret")
    (tmp_path / "allowed" / "deep").mkdir(parents=True)
    (tmp_path / "allowed" / "a.txt").write_text("tea at four")
    (tmp_path / "allowed" / "deep" / "b.txt").write_text("or at five")
    return tmp_path / "allowed"


@pytest.fixture
def read(root: Path) -> Callable[[str], str]:
    found, *_ = reading_tools([root])
    return lambda path: found.run(path=path)


def test_without_a_folder_there_is_no_tool() -> None:
    assert reading_tools([]) == []


def test_the_tools_say_that_they_read(root: Path) -> None:
    found = reading_tools([root])
    assert [each.name for each in found] == ["read_file", "list_files", "search_files"]
    assert {each.effects for each in found} == {frozenset({"reads"})}


def test_a_file_is_read_by_its_relative_or_absolute_path(root: Path, read: Callable[[str], str]) -> None:
    assert read("a.txt") == "tea at four"
    assert read(str(root / "a.txt")) == "tea at four"
    assert read("deep/../deep/b.txt") == "or at five"


def test_a_relative_path_is_taken_from_the_first_folder_that_has_it(root: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "a.txt").write_text("mine")
    (other / "c.txt").write_text("also mine")
    found, *_ = reading_tools([root, other])
    assert [found.run(path=name) for name in ("a.txt", "c.txt")] == ["tea at four", "also mine"]


def test_a_folder_may_itself_be_reached_by_a_link(root: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(root)
    found, *_ = reading_tools([tmp_path / "link"])
    assert found.run(path=str(tmp_path / "link" / "a.txt")) == "tea at four"
    assert found.run(path=str(root / "a.txt")) == "tea at four"


def test_a_link_inside_to_a_file_inside_is_followed(root: Path, read: Callable[[str], str]) -> None:
    (root / "link.txt").symlink_to(root / "deep" / "b.txt")
    assert read("link.txt") == "or at five"


@pytest.mark.parametrize("path", ["../secret.txt", "deep/../../secret.txt", "../allowed-not/a.txt", "/", "..", "../no"])
def test_no_path_leads_outside(path: str, read: Callable[[str], str]) -> None:
    with pytest.raises(ValueError, match="outside the allowed folders"):
        read(path)


def test_what_exists_outside_is_not_told(root: Path, read: Callable[[str], str]) -> None:
    words = set()
    for name in ("secret.txt", "nothing.txt"):
        with pytest.raises(ValueError, match="outside") as caught:
            read(str(root.parent / name))
        words.add(str(caught.value).replace(name, ""))
    assert len(words) == 1


def test_a_link_inside_to_the_outside_is_refused(root: Path, read: Callable[[str], str]) -> None:
    (root / "file").symlink_to(root.parent / "secret.txt")
    (root / "folder").symlink_to(root.parent)
    for path in ("file", "folder/secret.txt", "folder/allowed-not/a.txt"):
        with pytest.raises(ValueError, match="outside the allowed folders"):
            read(path)


def test_a_link_bent_after_the_tool_was_made_opens_nothing_new(root: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(root)
    found, *_ = reading_tools([link])
    link.unlink()
    link.symlink_to(tmp_path)
    with pytest.raises(ValueError, match="outside"):
        found.run(path=str(link / "secret.txt"))


def test_a_loop_of_links_is_refused(root: Path, read: Callable[[str], str]) -> None:
    (root / "x").symlink_to(root / "y")
    (root / "y").symlink_to(root / "x")
    with pytest.raises((ValueError, OSError)):
        read("x")


@pytest.mark.parametrize(
    ("path", "complaint"),
    [
        ("", "empty"),
        (" ", "empty"),
        ("no.txt", "no file"),
        ("a.txt/b", "no file"),
        ("deep", "folder"),
        (".", "folder"),
        ("a\0b", "null"),
        ("~nobody-of-that-name/x", "unknown user"),
    ],
)
def test_what_is_no_file_is_refused_with_a_reason(path: str, complaint: str, read: Callable[[str], str]) -> None:
    with pytest.raises(ValueError, match=complaint):
        read(path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes with names")
def test_a_pipe_is_refused_and_not_waited_for(root: Path, read: Callable[[str], str]) -> None:
    os.mkfifo(root / "pipe")
    with pytest.raises(ValueError, match="no ordinary file"):
        read("pipe")


@pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="this system has no sockets with names")
def test_a_socket_is_refused(root: Path, read: Callable[[str], str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(root)  # the names of sockets must be short
    with socket.socket(socket.AF_UNIX) as made:
        made.bind("socket")
        with pytest.raises(ValueError, match="no ordinary file"):
            read("socket")


@pytest.mark.skipif(not Path("/dev/zero").is_char_device(), reason="this system has no such device")
def test_a_device_is_refused() -> None:
    found, *_ = reading_tools([Path("/dev")])
    with pytest.raises(ValueError, match="no ordinary file"):
        found.run(path="zero")


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ("grün".encode(), "grün"),
        (codecs.BOM_UTF8 + "grün".encode(), "grün"),
        ("grün".encode("utf-16"), "grün"),
        (codecs.BOM_UTF16_BE + "grün".encode("utf-16-be"), "grün"),
        ("grün".encode("utf-32"), "grün"),
        ("grün".encode("latin-1"), "[not UTF-8, so read as latin-1]\ngrün"),
        (b"", "(note.txt is empty)"),
        (b"a\r\nb\x1b[0m", "a\r\nb\x1b[0m"),
    ],
)
def test_text_is_read_in_its_encoding(data: bytes, text: str, root: Path, read: Callable[[str], str]) -> None:
    (root / "note.txt").write_bytes(data)
    assert read("note.txt") == text


@pytest.mark.parametrize(
    "data", [b"\x89PNG\r\n\x1a\n\0\0", b"text\0text", b"\xff\xfe\x00\xd8", b"\xff\xfea\0\0\0", b"\x1f\x8b\x08\xe9\xf0"]
)
def test_a_binary_file_is_described(data: bytes, root: Path, read: Callable[[str], str]) -> None:
    (root / "it.png").write_bytes(data)
    assert read("it.png") == f"(it.png is a binary file of {len(data)} bytes, image/png; its content is not shown)"


def test_of_a_large_file_the_beginning_is_read(root: Path, read: Callable[[str], str]) -> None:
    (root / "large").write_bytes(b"x" * (MAX_BYTES + 1_234))
    text = read("large")
    assert text.startswith("x" * MAX_BYTES + "\n[... 1,234 bytes left out")


def test_a_cut_through_a_character_drops_that_character(root: Path, read: Callable[[str], str]) -> None:
    (root / "large").write_bytes(b"x" + "ü".encode() * MAX_BYTES)
    text = read("large")
    assert text.startswith("x" + "ü" * (MAX_BYTES // 2 - 1) + "\n[... ")


def test_a_file_of_just_the_limit_is_whole(root: Path, read: Callable[[str], str]) -> None:
    (root / "full").write_bytes(b"x" * MAX_BYTES)
    assert read("full") == "x" * MAX_BYTES


# ---------------------------------------------------------------------- parts of a file


@pytest.mark.parametrize(
    ("part", "text"),
    [
        ({"first_line": 2, "lines": 1}, "[lines 2 to 2 of 4]\ntwo"),
        ({"first_line": 3}, "[lines 3 to 4 of 4]\nthree\n"),
        ({"lines": 2}, "[lines 1 to 2 of 4]\none\ntwo"),
        ({"first_line": 3, "lines": 99}, "[lines 3 to 4 of 4]\nthree\n"),
    ],
)
def test_lines_of_a_file_are_read(root: Path, part: dict[str, int], text: str) -> None:
    (root / "lines.txt").write_bytes(b"one\r\ntwo\nthree\r\r\n")
    found, *_ = reading_tools([root])
    assert found.run(path="lines.txt", **part) == text


def test_a_part_that_no_file_has_is_refused(root: Path) -> None:
    found, *_ = reading_tools([root])
    for part in ({"first_line": 2}, {"first_line": 0}, {"lines": -1}):
        with pytest.raises(ValueError, match=r"a\.txt has 1 lines|first_line begins at 1"):
            found.run(path="a.txt", **part)


def test_late_lines_of_a_large_file_are_read(root: Path) -> None:
    (root / "large").write_text("".join(f"{number} {'x' * 100}\n" for number in range(1, 30_001)))
    found, *_ = reading_tools([root])
    assert found.run(path="large", first_line=29_999, lines=1).startswith("[lines 29,999 to 29,999 of 30,000]\n29999 x")


def test_a_binary_file_has_no_lines(root: Path) -> None:
    (root / "it.png").write_bytes(b"\x89PNG\0")
    found, *_ = reading_tools([root])
    assert "binary file of 5 bytes, image/png" in found.run(path="it.png", first_line=2)


# ---------------------------------------------------------------------- listing


def test_a_folder_is_listed_with_its_folders_first(root: Path) -> None:
    (root / ".hidden").write_text("x")
    _, listed, _ = reading_tools([root])
    assert listed.run() == "deep/\n.hidden (1 bytes)\na.txt (11 bytes)"
    assert listed.run(folder="deep") == "deep/b.txt (10 bytes)"
    assert listed.run(folder=str(root / "deep")) == "deep/b.txt (10 bytes)"


def test_a_pattern_finds_files_below_but_not_in_hidden_folders(root: Path) -> None:
    (root / ".git").mkdir()
    (root / ".git" / "c.txt").write_text("x")
    _, listed, _ = reading_tools([root])
    assert listed.run(pattern="*.TXT") == "a.txt (11 bytes)\ndeep/b.txt (10 bytes)"
    assert listed.run(folder=".git", pattern="*.txt") == ".git/c.txt (1 bytes)", "named, it is meant"
    assert listed.run(pattern="*.md") == "(nothing there)"


def test_what_is_listed_can_be_read_whichever_folder_it_is_in(root: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "a.txt").write_text("another tea")
    reader, listed, _ = reading_tools([root, other])
    names = [line.rpartition(" (")[0] for line in listed.run(pattern="a.txt").splitlines()]
    assert [reader.run(path=name) for name in names] == ["tea at four", "another tea"]


def test_links_that_lead_out_are_neither_listed_nor_searched(root: Path) -> None:
    (root / "out.txt").symlink_to(root.parent / "secret.txt")
    (root / "outside").symlink_to(root.parent)
    (root / "in.txt").symlink_to(root / "deep" / "b.txt")
    _, listed, search = reading_tools([root])
    assert "out" not in listed.run() and "in.txt" in listed.run()
    assert search.run(text="secret") == "(not found in 3 text files)"


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ({"folder": "a.txt"}, "is a file"),
        ({"folder": "no"}, "no file or folder"),
        ({"folder": ".."}, "outside"),
        ({"folder": "/"}, "outside"),
        ({"pattern": "deep/*.txt"}, "names of files"),
        ({"pattern": "**"}, "names of files"),
    ],
)
def test_what_cannot_be_listed_is_refused(root: Path, given: dict[str, str], complaint: str) -> None:
    _, listed, _ = reading_tools([root])
    with pytest.raises(ValueError, match=complaint):
        listed.run(**given)


def test_a_long_list_is_cut(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "MOST_ENTRIES", 2)
    _, listed, _ = reading_tools([root])
    (root / "c.txt").write_text("")
    assert listed.run().splitlines()[2:] == ["[stopped after 2 entries: name a folder below or a pattern]"]


def test_a_name_with_a_line_end_stays_on_its_line(root: Path) -> None:
    (root / "x\n[lines 1").write_text("")
    _, listed, _ = reading_tools([root])
    assert "x�[lines 1 (0 bytes)" in listed.run().splitlines()


# ---------------------------------------------------------------------- searching


def test_a_text_is_found_with_its_file_and_line(root: Path) -> None:
    (root / "deep" / "list.md").write_bytes(b"milk\r\n  Green TEA  \r\nbread")
    (root / "bad.txt").write_bytes("gr\xfcner tea".encode("latin-1"))
    (root / "wide.txt").write_text("white tea", encoding="utf-16")
    _, _, search = reading_tools([root])
    assert search.run(text="tea") == (
        "a.txt:1: tea at four\nbad.txt:1: grüner tea\nwide.txt:1: white tea\ndeep/list.md:2: Green TEA"
    )
    assert search.run(text="tea", folder="deep") == "deep/list.md:2: Green TEA"
    assert search.run(text="tea", pattern="*.md") == "deep/list.md:2: Green TEA"
    assert search.run(text="t.a", pattern="*.md") == "(not found in 1 text files)", "the text is meant literally"


def test_binary_files_are_passed_over(root: Path) -> None:
    (root / "it.bin").write_bytes(b"\0tea")
    _, _, search = reading_tools([root])
    assert search.run(text="tea") == "a.txt:1: tea at four"


def test_of_a_long_line_the_stretch_around_the_text_is_shown(root: Path) -> None:
    (root / "long").write_text("x" * 5_000 + " tea " + "y" * 5_000)
    _, _, search = reading_tools([root])
    _, line = search.run(text="tea").splitlines()
    assert line.startswith("long:1: …xx") and " tea yy" in line and len(line) < 250


def test_of_a_very_large_file_the_beginning_is_searched_and_the_rest_is_told(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "MAX_SEARCHED_BYTES", 8)
    (root / "a.txt").write_text("milk üü tea")  # the limit cuts through a character
    _, _, search = reading_tools([root])
    cut = "[1 files or folders could not be read, or not to their end]"
    assert search.run(text="milk", pattern="a.txt") == f"a.txt:1: milk ü\n{cut}"
    assert search.run(text="tea", pattern="a.txt") == f"(not found in 1 text files)\n{cut}"


def test_a_search_ends_after_so_many_lines_or_so_long(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (root / "many").write_text("tea\n" * 1_000)
    _, listed, search = reading_tools([root])
    lines = search.run(text="tea").splitlines()
    assert len(lines) == files.MOST_MATCHES + 1 and lines[-1].startswith("[stopped after 100 lines")
    monkeypatch.setattr(files, "SEARCH_S", -1.0)
    assert "[stopped after -1 s" in search.run(text="tea")
    assert "[stopped after -1 s" in listed.run(pattern="*")


def test_a_search_for_nothing_or_for_several_lines_is_refused(root: Path) -> None:
    _, _, search = reading_tools([root])
    for text in ("", "  ", "a\nb"):
        with pytest.raises(ValueError, match="of one line"):
            search.run(text=text)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_what_cannot_be_read_is_counted(root: Path) -> None:
    (root / "a.txt").chmod(0)
    (root / "deep").chmod(0)
    _, listed, search = reading_tools([root])
    told = search.run(text="tea")
    assert told == "(not found in 0 text files)\n[2 files or folders could not be read, or not to their end]"
    assert listed.run(pattern="b*") == "[1 folders could not be read]"
    (root / "deep").chmod(0o700)


# ---------------------------------------------------------------------- what stays closed


def test_a_closed_folder_inside_is_neither_read_nor_listed_nor_searched(root: Path) -> None:
    closed = root / "memory"
    closed.mkdir()
    (closed / "config.toml").write_text("shell = false")
    (root / "link").symlink_to(closed)
    reader, listed, search = reading_tools([root], closed=[closed])
    for path in ("memory/config.toml", "link/config.toml", str(closed / "config.toml"), "memory", "deep/../memory"):
        with pytest.raises(ValueError, match="closed to its tools"):
            reader.run(path=path)
    assert "memory" not in listed.run() and "link" not in listed.run()
    assert search.run(text="shell").startswith("(not found")
    with pytest.raises(ValueError, match="closed"):
        listed.run(folder="memory")


@given(data=st.binary())
def test_any_bytes_become_text_that_can_be_sent(data: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.getbasetemp()
    (folder / "any").write_bytes(data)
    found, *_ = reading_tools([folder])
    found.run(path="any").encode()


@given(path=st.text(st.characters()) | st.lists(st.sampled_from(["..", ".", "a", "/", "~", ""])).map("/".join))
def test_any_path_gets_an_answer_and_never_the_secret(path: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.getbasetemp() / "allowed"
    folder.mkdir(exist_ok=True)
    (folder.parent / "a").write_text("secret")
    tools = Toolbox(reading_tools([folder]), lambda text: len(text.encode()), 2_000)
    result = tools.run("read_file", json.dumps({"path": path}))
    assert "secret" not in result.text
