"""Files are read in the folders the owner allowed, and nowhere else."""

import codecs
import json
import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tools.files import MAX_BYTES, files_tool
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
    [found] = files_tool([root])
    return lambda path: found.run(path=path)


def test_without_a_folder_there_is_no_tool() -> None:
    assert files_tool([]) == []


def test_the_tool_says_that_it_reads(root: Path) -> None:
    [found] = files_tool([root])
    assert (found.name, found.effects) == ("read_file", {"reads"})


def test_a_file_is_read_by_its_relative_or_absolute_path(root: Path, read: Callable[[str], str]) -> None:
    assert read("a.txt") == "tea at four"
    assert read(str(root / "a.txt")) == "tea at four"
    assert read("deep/../deep/b.txt") == "or at five"


def test_a_relative_path_is_taken_from_the_first_folder_that_has_it(root: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "a.txt").write_text("mine")
    (other / "c.txt").write_text("also mine")
    [found] = files_tool([root, other])
    assert [found.run(path=name) for name in ("a.txt", "c.txt")] == ["tea at four", "also mine"]


def test_a_folder_may_itself_be_reached_by_a_link(root: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(root)
    [found] = files_tool([tmp_path / "link"])
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
    [found] = files_tool([link])
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
    [found] = files_tool([Path("/dev")])
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


@given(data=st.binary())
def test_any_bytes_become_text_that_can_be_sent(data: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.getbasetemp()
    (folder / "any").write_bytes(data)
    [found] = files_tool([folder])
    found.run(path="any").encode()


@given(path=st.text(st.characters()) | st.lists(st.sampled_from(["..", ".", "a", "/", "~", ""])).map("/".join))
def test_any_path_gets_an_answer_and_never_the_secret(path: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.getbasetemp() / "allowed"
    folder.mkdir(exist_ok=True)
    (folder.parent / "a").write_text("secret")
    tools = Toolbox(files_tool([folder]), lambda text: len(text.encode()), 2_000)
    result = tools.run("read_file", json.dumps({"path": path}))
    assert "secret" not in result.text
