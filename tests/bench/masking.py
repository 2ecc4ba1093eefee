"""How the time of masking grows with a hostile text: its seconds by size, and the ratio of each size to half of it.

    python -m tests.bench.masking --megabytes 1 2 4 8

All are CPU seconds of one run; a ratio near 2 is linear growth.
"""

import argparse
import itertools
import time

from memory.masking import masked

DIGITS = "7 a1b2c3d4e5f6g7h8 "  # so that no text is dismissed for having none
SHAPES = {
    "names": "password is ",
    "open quotes": 'password: "',
    "keys": "sk-aaaa-",
    "purposes": "password for a b c d e ",
    "key blocks": "-----BEGIN PRIVATE KEY-----",
    "spaces": "password" + " " * 40,
    "marks": "[masked: password] password=a1b2c3d4 ",
    "hits": "my key is ghp_" + "Zq7" * 12 + " ",
    "glued": "sk_live_" + "a1" * 125,
    "unseen": "ghp_\u200b",
    "broken lines": "ghp_abc\n ",
    "cards": "4111 1111 1111 1111, ",
}


def seconds(shape: str, megabytes: int) -> float:
    """CPU seconds for a text of this shape and size."""
    size = megabytes * 1_000_000
    text = (DIGITS + SHAPES[shape] * (size // len(SHAPES[shape]) + 1))[:size]
    begun = time.process_time()
    masked(text)
    return time.process_time() - begun


def main() -> None:
    """Print a line for each shape."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=int, nargs="+", default=[1, 2, 4, 8])
    sizes = parser.parse_args().megabytes
    for shape in SHAPES:
        took = [seconds(shape, size) for size in sizes]
        ratios = " ".join(f"x{late / early:.2f}" for early, late in itertools.pairwise(took))
        print(f"{shape:13}", " ".join(f"{one:7.2f}" for one in took), ratios, flush=True)


if __name__ == "__main__":
    main()
