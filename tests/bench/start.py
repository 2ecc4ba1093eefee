"""How much CPU the commands cost, as ratios to a bare interpreter, taken in one run: `python tests/bench/start.py`.

Outside the test run: machines are noisy, and a wall-clock time is no behaviour. Each command runs RUNS times in turn
with the yardstick; the median of the ratios counts.
"""

import os
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
RUNS = 7
BARE = ["-c", "pass"]
CHROMA = ["-c", "import chromadb"]
COMMANDS = {
    "--help": (["--help"], BARE),
    "sessions list": (["sessions", "list"], BARE),
    "export --format jsonl": (["export", "--format", "jsonl"], BARE),
    "recall --mode words": (["recall", "Porto", "--mode", "words"], BARE),
    "recall (words and vectors), to `import chromadb`": (["recall", "does my sister eat meat"], CHROMA),
}


def cpu_s(words: list[str], home: str) -> float:
    """CPU seconds, user and system, of a Python process."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    env = {**os.environ, "ASSISTANT_HOME": home}
    subprocess.run([sys.executable, *words], cwd=ROOT, env=env, capture_output=True, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    """Import the sample history into a fresh home, and print a ratio a command."""
    with tempfile.TemporaryDirectory() as home:
        cpu_s(["-m", "assistant", "import", str(ROOT / "data" / "sample.jsonl")], home)
        for name, (words, yardstick) in COMMANDS.items():
            ratios = [cpu_s(["-m", "assistant", *words], home) / cpu_s(yardstick, home) for _ in range(RUNS)]
            print(f"{name:50} {statistics.median(ratios):6.1f}  (from {min(ratios):.1f} to {max(ratios):.1f})")


if __name__ == "__main__":
    main()
