"""How the program does in a memory of many years, as ratios taken in one run: `python tests/bench/scale.py`.

Outside the test run: machines are noisy, and a wall-clock time is no behaviour. 10,000 sessions with 200,000 messages
take a quarter of an hour and 1.5 GB of memory; --home keeps them for the next run, --sessions and --messages make it
smaller. The history is that of history.py: words as frequent as in natural text, synthetic vectors.
"""

import argparse
import compileall
import contextlib
import json
import os
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent.parent))

from memory.embedding import MiniLM, batches, cleaned
from memory.importers.run import import_file
from memory.index import Index
from memory.manager import MemoryManager
from memory.store import Store
from memory.sync import sync, units_of
from memory.tokens import Counter
from tests.bench.history import Language, Talk, Vectors, questions, talks
from tests.bench.start import BARE, CHROMA, ROOT

AT_ONCE = 5_000  # vectors to a write
ANCHORS = 500  # real vectors around which the synthetic ones lie
QUESTIONS = 200
IMPORTED = (1_000, 20_000)  # sessions, messages
NOBODY = {"OPENAI_BASE_URL": "http://127.0.0.1:9/v1", "OPENAI_API_KEY": "none", "ASSISTANT_MODEL": "nobody"}


def main() -> None:
    """Build or take the memory, measure, print."""
    asked = options()
    for room in ("assistant", "memory", "tools"):  # an installed program is compiled
        compileall.compile_dir(ROOT / room, quiet=1)
    with contextlib.ExitStack() as stack:
        home = asked.home or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        built(home, asked.sessions, asked.messages)
        title(f"a memory of {asked.sessions:,} sessions, {asked.messages:,} messages")
        sizes(home)
        whole_processes(home, asked.runs)
        in_process(home)
        imports(asked.embed)


def options() -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sessions", type=int, default=10_000)
    parser.add_argument("--messages", type=int, default=200_000)
    parser.add_argument("--home", type=Path, help="keep the memory here, and use it if it is there already")
    parser.add_argument("--runs", type=int, default=7, help="of each command, in turn with its yardstick")
    parser.add_argument("--embed", type=int, default=2_000, help="messages that get real vectors; 0: all 20,000")
    return parser.parse_args()


def title(text: str) -> None:
    """Print the head of a part."""
    print(f"\n{text}\n{'-' * len(text)}", flush=True)


def line(name: str, value: str) -> None:
    """Print one figure."""
    print(f"{name:64} {value}", flush=True)


def progress(text: str) -> None:
    """Say on standard error how far it is."""
    print(f"\r{text:60}", end="" if sys.stderr.isatty() else "\n", file=sys.stderr, flush=True)


# ---------------------------------------------------------------------- the memory


def built(home: Path, sessions: int, messages: int) -> None:
    """Make the memory in `home`, unless it is there already."""
    if (home / "memory.db").exists():
        with contextlib.closing(Store(home / "memory.db")) as store:
            there = tuple(store.number(f"SELECT count(*) FROM {table}") for table in ("sessions", "messages"))
        if there != (sessions, messages):
            raise SystemExit(f"{home} holds {there[0]:,} sessions with {there[1]:,} messages, not what is asked for.")
        return
    language = Language()
    with contextlib.closing(Store(home / "memory.db")) as store, opened(home) as index:
        fill(store, talks(language, sessions, messages), sessions)
        give_vectors(store, index, Vectors(real_vectors(language, ANCHORS)))


@contextlib.contextmanager
def opened(home: Path) -> Iterator[Index]:
    """The index of `home` with the embedding model that ships."""
    with contextlib.closing(Index(home / "index", MiniLM(), home / "locks" / "index.lock")) as index:
        yield index


def fill(store: Store, found: Iterator[Talk], total: int) -> None:
    """Put the sessions into the store."""
    for first in range(0, total, 100):
        with store.writing():
            for _, one in zip(range(100), found, strict=False):
                store.merge(one.session, one.messages, one.summary, one.facts, owes=False)
        progress(f"session {first:,} of {total:,}")


def real_vectors(language: Language, count: int) -> list[list[float]]:
    """The model's own vectors of so many texts."""
    chance = random.Random(4)
    return MiniLM()([language.text(chance, language.topic(chance), 20) for _ in range(count)])


def give_vectors(store: Store, index: Index, vectors: Vectors) -> None:
    """A synthetic vector for each unit of the store, and the list of them."""
    store.know_collection(index.collection, index.model)
    sql = """SELECT kind, seq FROM (SELECT 'm' AS kind, seq, session_id FROM messages UNION ALL
               SELECT 's', seq, session_id FROM summaries UNION ALL SELECT 'f', seq, session_id FROM facts)
             ORDER BY session_id"""
    units = [(row["kind"], row["seq"]) for row in store.rows(sql)]
    for first in range(0, len(units), AT_ONCE):
        part = units[first : first + AT_ONCE]
        made = [one for start in range(0, len(part), 20) for one in vectors.session(len(part[start : start + 20]))]
        with index.writing():
            index.upsert([(f"{kind}{seq}", vector) for (kind, seq), vector in zip(part, made, strict=True)])
            store.note_vectors(index.collection, added=part)
        progress(f"vector {first:,} of {len(units):,}")


# ---------------------------------------------------------------------- whole processes


# A small process starts the command: the memory of one that is forked by a large one counts from the large one's.
LAUNCH = """
import resource, subprocess, sys, time
began = time.perf_counter()
ran = subprocess.run(sys.argv[1:], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
took, used = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
if ran.returncode:
    sys.exit(ran.stderr[-500:])
print(used.ru_utime + used.ru_stime, took, used.ru_maxrss / 1024)
"""


def cost(words: list[str], home: Path) -> tuple[float, float, float]:
    """Seconds of CPU, seconds on the clock, and megabytes at most, of a Python process without input."""
    env = {**os.environ, **NOBODY, "ASSISTANT_HOME": str(home)}
    launcher = [sys.executable, "-c", LAUNCH, sys.executable, *words]
    ran = subprocess.run(launcher, cwd=ROOT, env=env, stdout=subprocess.PIPE, text=True, check=True)
    cpu, took, megabytes = map(float, ran.stdout.split())
    return cpu, took, megabytes


def whole_processes(home: Path, runs: int) -> None:
    """Commands as ratios of CPU time to a bare interpreter, or to the import of chromadb."""
    title("whole processes: CPU as a ratio to a yardstick, median (from, to); then the clock's")
    asked = questions(Language(), runs)
    for name, words, yardstick in (
        ("--help", ["--help"], BARE),
        ("sessions list", ["sessions", "list"], BARE),
        ("export --session last", ["export", "--session", "last"], BARE),
        ("recall --mode words (wanted: 8)", ["recall", "--mode", "words", "QUESTION"], BARE),
        ("recall, to `import chromadb` (wanted: 1.7)", ["recall", "QUESTION"], CHROMA),
        ("chat, without a word, to `import chromadb`", ["chat"], CHROMA),
    ):
        pairs = []
        for question in asked:
            command = ["-m", "assistant", *(question if word == "QUESTION" else word for word in words)]
            pairs.append((cost(command, home), cost(yardstick, home)))
        line(name, ratios([one[0] / other[0] for one, other in pairs], [one[1] / other[1] for one, other in pairs]))
    for name, words in (
        ("recall", ["recall", asked[0]]),
        ("sessions list --all", ["sessions", "list", "--all"]),
        ("export, all", ["export", "--format", "jsonl"]),
        ("doctor", ["doctor"]),
    ):
        cpu, clock, memory = cost(["-m", "assistant", *words], home)
        line(name, f"{cpu:.1f} s of CPU, {clock:.1f} s, {memory:,.0f} MB")


def ratios(cpu: list[float], clock: list[float]) -> str:
    """Median and range of the CPU's, median of the clock's."""
    return f"{statistics.median(cpu):5.2f}  ({min(cpu):.2f} to {max(cpu):.2f})  clock {statistics.median(clock):.2f}"


def sizes(home: Path) -> None:
    """What lies on the disk, and how long it takes to open."""
    index = sum(path.stat().st_size for path in (home / "index").rglob("*") if path.is_file())
    line("on the disk", f"store {(home / 'memory.db').stat().st_size / 1e6:,.0f} MB, index {index / 1e6:,.0f} MB")
    began = time.perf_counter()
    with contextlib.closing(Store(home / "memory.db")):
        line("to open the store", f"{(time.perf_counter() - began) * 1000:.1f} ms")
    with opened(home) as index:
        began = time.perf_counter()
        count = index.count()
        line("to open the index", f"{(time.perf_counter() - began) * 1000:.0f} ms with {count:,} vectors")


# ---------------------------------------------------------------------- in one process


def in_process(home: Path) -> None:
    """The 95th percentile of recall as a ratio to the median of embedding the question, alone and in turn with it.

    In turn it takes longer, as inside a recall: what stands between has taken its place in the processor's cache.
    """
    title("in one process: recall as a ratio to embedding the question (wanted: p95 under 5)")
    embedder = MiniLM()
    index = Index(home / "index", embedder, home / "locks" / "index.lock")
    memory = MemoryManager(home, Counter("o200k_base", home / "cache"), lambda: index)
    asked = questions(Language(), QUESTIONS + 5)
    for question in asked[:5]:  # what is loaded at the first use
        memory.recall(question)
    alone = [timed(embedder, [one]) for one in asked[5:]]
    line("embedding a question, alone", spread(alone))
    for name, recall in (
        ("words", lambda one: memory.recall(one, mode="words")),
        ("vectors", lambda one: memory.recall(one, mode="vectors")),
        ("both", memory.recall),
        ("for a prompt", lambda one: memory.recall_for_prompt(one, 1000)),
    ):
        pairs = [(timed(embedder, [one]), timed(recall, one)) for one in asked[5:]]
        turn, took = [first for first, _ in pairs], [second for _, second in pairs]
        line("embedding, in turn with the next line", spread(turn))
        line(f"recall, {name}", spread(took))
        line("  ratio to it alone; in turn", f"{times(took, alone)}; {times(took, turn)}")
    line("memory of this process", f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:,.0f} MB")
    index.close()
    memory.close()


Time = tuple[float, float]  # milliseconds: of CPU of all threads, and on the clock, which tells of other work, too


def timed(call: Callable[[Any], Any], argument: object) -> Time:
    """What a call takes."""
    cpu, clock = time.process_time(), time.perf_counter()
    call(argument)
    return (time.process_time() - cpu) * 1000, (time.perf_counter() - clock) * 1000


def p95(values: Iterable[float]) -> float:
    """The value that 95 of 100 stay under."""
    ordered = sorted(values)
    return ordered[int(0.95 * len(ordered))]


def spread(took: list[Time]) -> str:
    """Median and 95th percentile."""
    cpu, clock = zip(*took, strict=True)
    median = statistics.median
    return f"CPU {median(cpu):5.1f}, p95 {p95(cpu):5.1f} ms; clock {median(clock):5.1f}, p95 {p95(clock):5.1f} ms"


def times(took: list[Time], yardstick: list[Time]) -> str:
    """The 95th percentile as a ratio to the yardstick's median."""
    pairs = zip(zip(*took, strict=True), zip(*yardstick, strict=True), strict=True)
    cpu, clock = (p95(mine) / statistics.median(other) for mine, other in pairs)
    return f"CPU {cpu:.2f}, clock {clock:.2f}"


# ---------------------------------------------------------------------- import


def imports(embed: int) -> None:
    """An import of 1,000 sessions: words first, then vectors."""
    title(f"import of {IMPORTED[0]:,} sessions, {IMPORTED[1]:,} messages")
    with tempfile.TemporaryDirectory() as folder:
        home, path = Path(folder), Path(folder) / "history.jsonl"
        language = Language()
        with path.open("w") as out:
            for one in talks(language, *IMPORTED, seed=5):
                out.write(json.dumps(as_line(one)) + "\n")
        with contextlib.closing(Store(home / "memory.db")) as store, opened(home) as index:
            began, cpu = time.perf_counter(), time.process_time()
            done = import_file(path, store, Counter("o200k_base", home / "cache"), mine=False, owes=False)
            took, cpu = time.perf_counter() - began, time.process_time() - cpu
            line(
                "searchable by words (wanted: 5,000 messages a second)",
                f"{done.messages / took:,.0f} a second, {done.messages / cpu:,.0f} a second of CPU",
            )
            vectors(store, index, embed or IMPORTED[1], language)


def as_line(one: Talk) -> dict[str, Any]:
    """A session in the form that an import reads."""
    messages = [{"id": m.id, "role": m.role, "content": m.content, "at": m.at.isoformat()} for m in one.messages]
    return {"schema": "assistant.session/1", "id": one.session.id, "title": one.session.title, "messages": messages}


def vectors(store: Store, index: Index, count: int, language: Language) -> None:
    """How near the sync comes to onnxruntime alone, on the last `count` messages; the others have vectors already.

    Alone means: the same texts tokenised and padded before, in batches as good as ours, on one thread, and nothing but
    the runs of the model are counted.
    """
    wanted = store.unindexed(index.collection, count)
    others = store.unindexed(index.collection, IMPORTED[1])[count:]
    synthetic = Vectors(real_vectors(language, 50))
    for first in range(0, len(others), AT_ONCE):
        part = others[first : first + AT_ONCE]
        with index.writing():
            index.upsert([(f"{k}{s}", v) for (k, s), v in zip(part, synthetic.session(len(part)), strict=True)])
            store.note_vectors(index.collection, added=part)
    texts = [unit.text for unit in units_of(store, wanted)]
    alone = onnxruntime_alone(texts)
    began, cpu = time.perf_counter(), time.process_time()
    done = sync(store, index, progress=lambda now, total: progress(f"vector {now:,} of {total:,}"))
    took, cpu = time.perf_counter() - began, time.process_time() - cpu
    assert done.added == len(texts)
    again = onnxruntime_alone(texts)
    line("onnxruntime alone", f"{len(texts) / alone:,.0f} and {len(texts) / again:,.0f} texts a second of CPU")
    line("vectors", f"{len(texts) / cpu:,.0f} texts a second of CPU, {len(texts) / took:,.0f} a second")
    line("share of onnxruntime alone (wanted: 0.80)", f"{(alone + again) / 2 / cpu:.2f}")


def onnxruntime_alone(texts: list[str]) -> float:
    """Seconds of CPU that the model's runs take."""
    import numpy as np

    tokenizer, session = MiniLM()._parts()
    tokens = [tokenizer.encode(cleaned(text)).ids for text in texts]
    padded = []
    for first in range(0, len(tokens), 256):
        part = tokens[first : first + 256]
        for places in batches([len(ids) for ids in part]):
            ids = np.zeros((len(places), max(len(part[place]) for place in places)), dtype=np.int64)
            for row, place in enumerate(places):
                ids[row, : len(part[place])] = part[place]
            padded.append({"input_ids": ids, "attention_mask": (ids > 0) * 1, "token_type_ids": ids * 0})
    began = time.process_time()
    for inputs in padded:
        session.run(None, inputs)
    return time.process_time() - began


if __name__ == "__main__":
    main()
