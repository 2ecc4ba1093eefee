from pathlib import Path

from memory.embedding import MiniLM
from memory.tokens import Counter
from tests.storytelling import stories, wrong

RIGHT = 0.9  # of the stories without a model; measured were 93 of 98
EACH = 4  # every fourth is played; tests/bench/stories.py plays all


def test_there_are_enough_stories_of_every_sort() -> None:
    told = stories()
    assert len(told) >= 70 and len({story["id"] for story in told}) == len(told)
    kept = [story for story in told if not story["gone"] and "past" not in story]
    assert len(kept) >= len(told) / 4


def test_most_stories_come_out_right_without_a_model(tmp_path: Path, counter: Counter) -> None:
    embedder = MiniLM()
    failed = {
        story["id"]: problem
        for story in stories()[::EACH]
        if (problem := wrong(story, tmp_path / story["id"], counter, embedder))
    }
    assert len(failed) <= (1 - RIGHT) * len(stories()) / EACH, failed
