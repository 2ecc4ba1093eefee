"""Another embedding model is chosen: the old index answers until the new one is complete, whatever happens."""

import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from memory.embedding import Embedder
from memory.errors import IndexUnavailable
from memory.manager import MemoryManager
from memory.store import Store
from memory.tokens import Counter
from memory.units import unit_id
from tests.conftest import ROOT
from tests.memories import Words, a_memory, forget_session, leave, talk

Open = Callable[..., MemoryManager]


class Wide(Words):
    """Another model: other vectors, of another length. `asked` is what it was given to embed."""

    def __init__(self, name: str = "wide") -> None:
        super().__init__(name)
        self.asked: list[str] = []

    def __call__(self, texts: Sequence[str]) -> list[list[float]]:
        self.asked += texts
        return [[0.0, *reversed(one)] for one in super().__call__(texts)]


class Deaf(Words):
    """A model that cannot be had."""

    def __call__(self, texts: Sequence[str]) -> list[list[float]]:
        raise IndexUnavailable("The package is missing.", "Install it.")


@pytest.fixture
def opened(home: Path, counter: Counter) -> Iterator[Open]:
    """Opens the memory as a process with these settings would: the chosen model, and those that it still has."""
    made: list[MemoryManager] = []

    def open_it(chosen: Embedder, *known: Embedder) -> MemoryManager:
        made.append(a_memory(home, counter, chosen, known=known))
        return made[-1]

    yield open_it
    for memory in made:
        leave(memory)


@pytest.fixture
def old(opened: Open) -> MemoryManager:
    """Ten texts and their answers, all with vectors of the old model."""
    memory = opened(Words())
    talk(memory, "My dog is called Rex.", "I live in Porto.", *(f"text {number}" for number in range(8)))
    memory.sync()
    return memory


@pytest.fixture(autouse=True)
def _small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("memory.sync.BATCH", 4)


def stop_after(batches: int) -> Callable[[], bool]:
    left = iter(range(batches))
    return lambda: next(left, None) is None


def best(memory: MemoryManager, question: str) -> tuple[str, str]:
    """What the vectors alone say, and the trouble."""
    recalled = memory.recall(question, mode="vectors")
    return recalled.hits[0].text if recalled.hits else "", recalled.trouble


def models(store: Store) -> list[str]:
    """The models that the store lists vectors of."""
    return [model for _, model in store.collections()]


def folders(home: Path) -> list[str]:
    return [path.name for path in (home / "index").iterdir()]


def assert_switched(memory: MemoryManager) -> None:
    """The chosen model has every vector, and nothing is left of another."""
    assert models(memory.store) == [memory.index.model]
    assert folders(memory.home) == [memory.index.collection]
    assert memory.store.count_unindexed(memory.index.collection) == 0
    assert memory.index.ids() == {unit_id(*one) for one in memory.store.indexed(memory.index.collection)}
    assert memory.index.check() == len(memory.index.ids()) > 0


def test_the_old_model_answers_until_the_new_one_has_all_vectors(old: MemoryManager, opened: Open) -> None:
    new = opened(Wide(), Words())
    for _ in range(4):
        assert best(new, "What is my dog called?") == ("My dog is called Rex.", "")
        assert not new.sync(stop=stop_after(1)).finished
    assert models(new.store) == ["wide", "words"]
    assert new.sync().added == 4, "it went on where it was"
    assert_switched(new)
    assert best(new, "What is my dog called?") == ("My dog is called Rex.", "")


def test_meanwhile_questions_are_embedded_by_the_model_whose_vectors_answer(old: MemoryManager, opened: Open) -> None:
    wide = Wide()
    new = opened(wide, Words())
    new.sync(stop=stop_after(2))
    wide.asked.clear()
    assert best(new, "What is my dog called?") == ("My dog is called Rex.", "")
    assert wide.asked == []
    new.sync()
    assert best(new, "Where do I live?") == ("I live in Porto.", "")
    assert wide.asked[-1] == "Where do I live?"


def test_what_is_said_meanwhile_gets_a_new_vector_and_words_find_it(old: MemoryManager, opened: Open) -> None:
    new = opened(Wide(), Words())
    new.sync(stop=stop_after(1))
    said = talk(new, "The violin lesson is on Friday.")
    new.sync(said)
    assert new.recall("violin lesson").hits[0].text == "The violin lesson is on Friday."
    assert len(models(new.store)) == 2, "one session's vectors do not make the index complete"
    new.sync()
    assert_switched(new)


def test_one_session_that_completes_the_index_ends_the_switch(old: MemoryManager, opened: Open) -> None:
    new = opened(Wide(), Words())
    (session,) = new.store.sessions()
    new.sync(session.id)
    assert_switched(new)


class Native(Words):
    """A model that works in a thread of its own. It waits until words are searched, and `waited` says whether."""

    native = True

    def __init__(self) -> None:
        super().__init__("native")
        self.searched = threading.Event()
        self.waited = False

    def __call__(self, texts: Sequence[str]) -> list[list[float]]:
        if threading.current_thread() is not threading.main_thread():
            self.waited = self.searched.wait(20)
        return super().__call__(texts)


def test_a_native_model_works_while_words_are_searched(opened: Open) -> None:
    model = Native()
    memory = opened(model)
    talk(memory, "My dog is called Rex.", "I live in Porto.")
    memory.sync()

    def note(sql: str) -> None:
        if "messages_fts MATCH" in sql:
            model.searched.set()

    memory.store.connection.set_trace_callback(note)
    recalled = memory.recall("Where do I live?")
    assert model.waited
    assert recalled.hits[0].text == "I live in Porto."
    assert recalled.hits[0].why["arms"]["words"] > 0 < recalled.hits[0].why["arms"]["vectors"]


def test_what_a_native_model_fails_with_is_told_and_words_answer(opened: Open, old: MemoryManager) -> None:
    class Broken(Deaf):
        native = True

    recalled = opened(Broken()).recall("Where do I live?")
    assert "I live in Porto." in [hit.text for hit in recalled.hits]
    assert recalled.trouble == "The package is missing. Words alone answered. Install it."


@pytest.mark.parametrize("known", [[], [Deaf()]])
def test_without_the_old_model_words_answer_and_the_new_index_as_far_as_it_is(
    old: MemoryManager, opened: Open, known: list[Embedder]
) -> None:
    new = opened(Wide(), *known)
    recalled = new.recall("my dog")
    assert recalled.hits[0].text == "My dog is called Rex."
    assert "Words alone answered." in recalled.trouble
    new.sync(stop=stop_after(1))  # the newest messages
    recalled = new.recall("text 7", mode="vectors")
    assert recalled.hits[0].text == "text 7"
    assert "the new index as far as it is" in recalled.trouble
    new.sync()
    assert_switched(new)
    assert new.recall("my dog").trouble == ""


def test_a_new_model_that_cannot_be_had_leaves_the_old_one_answering(old: MemoryManager, opened: Open) -> None:
    new = opened(Deaf("missing"), Words())
    with pytest.raises(IndexUnavailable, match="package is missing"):
        new.sync()
    assert best(new, "What is my dog called?") == ("My dog is called Rex.", "")
    assert models(new.store) == ["words"]


def test_a_broken_old_index_does_not_keep_the_new_one_from_being_made(old: MemoryManager, opened: Open) -> None:
    old.index.close()
    for path in old.index.folder.rglob("*"):
        if path.is_file():
            path.write_bytes(b"garbage" * 1000)
    new = opened(Wide(), Words())
    new.sync(stop=stop_after(1))
    assert "as far as it is" in best(new, "text 7")[1]
    new.sync()
    assert_switched(new)


def test_a_broken_new_index_is_made_again_and_the_old_one_answers(old: MemoryManager, opened: Open) -> None:
    new = opened(Wide(), Words())
    new.sync(stop=stop_after(2))
    new.index.close()
    next(new.index.folder.rglob("chroma.sqlite3")).write_bytes(b"garbage" * 1000)
    assert new.sync(stop=stop_after(1)).rebuilt
    assert best(new, "What is my dog called?") == ("My dog is called Rex.", "")
    new.sync()
    assert_switched(new)


def test_to_switch_back_half_way_loses_nothing_and_makes_nothing_again(old: MemoryManager, opened: Open) -> None:
    new = opened(Wide(), Words())
    new.sync(stop=stop_after(2))
    talk(new, "The violin lesson is on Friday.")
    again = opened(Words(), Wide())
    assert best(again, "What is my dog called?") == ("My dog is called Rex.", "")
    assert again.sync().added == 2, "what was said meanwhile"
    assert_switched(again)


def test_another_process_turns_to_the_new_index_with_the_next_question(old: MemoryManager, opened: Open) -> None:
    new, reader = opened(Wide(), Words()), opened(Wide(), Words())
    assert best(reader, "What is my dog called?") == ("My dog is called Rex.", "")
    new.sync()
    assert best(reader, "What is my dog called?") == ("My dog is called Rex.", "")
    assert reader.store.collections() == [(new.index.collection, "wide")]


def test_a_process_with_the_old_setting_does_no_damage(old: MemoryManager, opened: Open) -> None:
    new = opened(Wide(), Words())
    new.sync()
    assert "Words alone answered" in old.recall("my dog").trouble, "it does not have the new model"
    assert old.recall("my dog").hits
    assert old.sync().added == 20
    assert_switched(old)
    assert new.sync().added == 20
    assert_switched(new)


def test_a_removed_session_loses_its_vectors_of_every_model(old: MemoryManager, opened: Open) -> None:
    gone = talk(old, "My passport number is 4711.")
    old.sync()
    seqs = {unit_id("m", one.seq) for one in old.store.transcript(gone)}
    new = opened(Wide())  # it need not have the old model
    new.sync(stop=stop_after(1))
    assert seqs <= new.index.ids()
    forget_session(new, gone)
    assert not seqs & (new.index.ids() | old.index.ids())
    assert len(old.index.ids()) == 20


def test_files_left_by_a_kill_during_the_switch_go_with_the_next_sync(old: MemoryManager, opened: Open) -> None:
    shutil.copytree(old.index.folder, old.home / "copy")
    new = opened(Wide(), Words())
    new.sync()
    (old.home / "copy").rename(old.index.folder)  # as if killed between the list and the disk
    assert best(new, "What is my dog called?") == ("My dog is called Rex.", "")
    assert new.sync().added == 0
    assert_switched(new)


# ---------------------------------------------------------------------- several processes

SYNC = """
import os, sys
from pathlib import Path
import memory.sync
from memory.tokens import Counter
from tests.memories import Words, a_memory
from tests.test_answering import Wide
memory.sync.BATCH = 2
mine = a_memory(Path(sys.argv[1]), Counter("o200k_base", Path(sys.argv[2])), Wide(), known=[Words()])

def shown(done, total):
    print(done, flush=True)
    sys.stdin.readline()

mine.sync(progress=shown)
print("done", flush=True)
"""


@pytest.mark.parametrize("batches", [1, 4, 10])
def test_a_kill_at_any_batch_loses_nothing(old: MemoryManager, opened: Open, token_cache: Path, batches: int) -> None:
    old.index.close()
    pipe = subprocess.PIPE
    command = [sys.executable, "-c", SYNC, str(old.home), str(token_cache)]
    with subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe, text=True) as process:
        assert process.stdin and process.stdout
        for _ in range(batches):
            assert process.stdout.readline()
            process.stdin.write("\n")
            process.stdin.flush()
        process.kill()
    new = opened(Wide(), Words())
    assert best(new, "What is my dog called?") == ("My dog is called Rex.", "")
    assert new.sync().added <= 20 - 2 * (batches - 1)
    assert_switched(new)
    assert best(new, "What is my dog called?") == ("My dog is called Rex.", "")


def test_two_processes_fill_the_new_index_together(old: MemoryManager, opened: Open, token_cache: Path) -> None:
    old.index.close()
    command = [sys.executable, "-c", SYNC, str(old.home), str(token_cache)]
    both = [
        subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(2)
    ]
    said = [each.communicate("\n" * 50, timeout=60)[0] for each in both]
    assert [each.returncode for each in both] == [0, 0]
    assert all(one.endswith("done\n") for one in said)
    new = opened(Wide())
    assert new.sync().added == 0
    assert_switched(new)


# ---------------------------------------------------------------------- any order

MODELS: tuple[Embedder, ...] = (Words(), Wide(), Wide("third"))
steps = st.lists(
    st.tuples(st.sampled_from(["choose", "talk", "sync", "part", "remove", "lose"]), st.integers(0, 2)), max_size=14
)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(steps)
def test_after_any_choices_a_sync_leaves_the_chosen_index_complete_and_alone(
    tmp_path_factory: pytest.TempPathFactory, counter: Counter, happened: list[tuple[str, int]]
) -> None:
    home = tmp_path_factory.mktemp("any") / "home"
    memory = a_memory(home, counter, MODELS[0], known=MODELS)
    talk(memory, "My dog is called Rex.")
    for step, number in happened:
        if step == "choose":
            leave(memory)
            memory = a_memory(home, counter, MODELS[number], known=MODELS)
        elif step == "talk":
            talk(memory, f"Said {number}.", "And more.")
        elif step == "sync":
            memory.sync()
        elif step == "part":
            memory.sync(stop=stop_after(number))
        elif step == "remove" and len(memory.store.sessions()) > 1:
            forget_session(memory, memory.store.sessions()[0].id)
        elif step == "lose":
            memory.index.rebuild()
        assert memory.recall("my dog").hits
    memory.sync()
    assert_switched(memory)
    leave(memory)
