"""Texts to vectors by a model behind an address that speaks OpenAI's embeddings."""

import math
from collections.abc import Sequence

from assistant.door import TIMEOUT_S, Door
from assistant.errors import ModelError
from assistant.wire import well_formed

EMBEDDED_TEXTS = 128  # in one request
EMBEDDED_CHARACTERS = 8_000  # of one text; about 2,000 tokens, and many embedding models read no more than 8,192


class EmbeddingsEndpoint:
    """A model that turns texts into vectors. Nothing is sent before the first call.

    `name` tells vectors of one model from another's, and from those of the models inside this program.
    """

    def __init__(
        self,
        model: str,
        base_url: str | None = None,
        api_key: str | None = None,
        timeout_s: float = TIMEOUT_S,
        max_retries: int = 2,
    ) -> None:
        """Name the model and its address (None: OpenAI's own). `max_retries` are the openai client's."""
        self.model = model
        self.name = f"endpoint:{model}"
        self._door = Door(base_url, api_key, timeout_s, max_retries)

    def __call__(self, texts: Sequence[str]) -> list[list[float]]:
        """The texts' vectors, in order, of unit length. Of each text the first 8,000 characters count.

        Raises RateLimited, KeyRefused, ModelUnreachable or ModelError.
        """
        starts = range(0, len(texts), EMBEDDED_TEXTS)
        return [vector for start in starts for vector in self._batch(texts[start : start + EMBEDDED_TEXTS])]

    def close(self) -> None:
        """Close the connections. The endpoint cannot be used again."""
        self._door.close()

    def _batch(self, texts: Sequence[str]) -> list[list[float]]:
        wire = [well_formed(text[:EMBEDDED_CHARACTERS]) or " " for text in texts]  # empty text is refused
        with self._door.translating(self.model):
            data = self._door.client.embeddings.create(model=self.model, input=wire).data
        if len(data) != len(texts):
            raise ModelError(f"{self._door.host} sent {len(data)} vectors for {len(texts)} texts.")
        return [_unit(each.embedding) for each in sorted(data, key=lambda each: each.index)]


def _unit(vector: Sequence[float]) -> list[float]:
    length = math.hypot(*vector) or 1.0
    return [number / length for number in vector]
