"""Plays the stories of changed facts and prints the share that comes out right, by kind.

python -m tests.bench.stories [--model NAME]: with a model it decides beside the rules; its weights are those of
ASSISTANT_MODELS_DIR, or its endpoint that of OPENAI_BASE_URL.
"""

import argparse
import tempfile
import time
from collections import defaultdict
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from assistant import settings
from assistant.app import App
from assistant.errors import SchemaRefused
from memory.deciding import ModelDecide
from memory.embedding import MiniLM
from memory.summary import SchemaUnsupported
from memory.tokens import Counter
from tests.storytelling import stories, wrong

SETS = ("seen", "held out 1", "held out 2")  # the rules were made with the first before one's eyes


def main() -> None:
    """Play all, and print what came of it."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", default="")
    name = parser.parse_args().model
    tally: defaultdict[str, list[bool]] = defaultdict(list)
    with tempfile.TemporaryDirectory() as folder, closing(_app(name)) as app:
        counter, embedder = Counter("o200k_base", Path(folder) / "vocabularies"), MiniLM()
        asker = Asker(app) if name else None
        for story in stories():
            decide = ModelDecide(asker) if asker else None
            problem = wrong(story, Path(folder) / story["id"], counter, embedder, decide)
            for group in ("all", SETS[story["held_out"]], story["kind"]):
                tally[group].append(not problem)
            if problem:
                print(f"{story['id']}: {problem}", flush=True)
    for group, right in tally.items():
        print(f"{group}: {sum(right)} of {len(right)}")
    if asker:
        print(f"the model was asked {asker.asked} times, {asker.seconds:.0f} s in all")


class Asker:
    """A memory.summary.Writer without limits and receipts: here nothing but the answers counts."""

    context_tokens = 4096

    def __init__(self, app: App) -> None:
        self.name, self._app = app.choice.name, app
        self.asked, self.seconds = 0, 0.0

    def __call__(self, system: str, text: str, schema: Mapping[str, Any] | None, max_tokens: int) -> str:
        """Ask the model once."""
        began = time.monotonic()
        try:
            return self._app.endpoint.complete(system, text, schema, max_tokens)
        except SchemaRefused as error:
            raise SchemaUnsupported(error.message) from error
        finally:
            self.asked, self.seconds = self.asked + 1, self.seconds + time.monotonic() - began


def _app(name: str) -> App:
    return App(settings.load({"model": name} if name else {})[0], print)


if __name__ == "__main__":
    main()
