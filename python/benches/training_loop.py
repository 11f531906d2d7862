"""What `update` costs beside the network, and memory over many updates.

`python training_loop.py INCEPTION_WEIGHTS [UPDATES]`; processor seconds of all threads, which other work on the machine
disturbs less than those of a clock.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable

import numpy as np

import ganscope
from ganscope import _ganscope
from ganscope._options import encoded
from ganscope._sets import given

BATCH = 32


def seconds(work: Callable[[], object]) -> float:
    """Processor seconds of a piece of work."""
    start = time.process_time()
    work()
    return time.process_time() - start


def cost(size: int, rounds: int, **options: object) -> tuple[float, float]:
    """Medians of processor seconds: `update` of 32 images of `size` pixels, the network alone on them."""
    images = np.random.default_rng(0).integers(0, 256, (BATCH, 3, size, size), np.uint8)
    fid = ganscope.FrechetDistance(**options)
    request = encoded({"preset": "torch-fidelity", **options})
    network = _ganscope._Network(request, given(images, "images"), None)
    found: tuple[list[float], list[float]] = [], []
    for turn in range(rounds + 1):
        # In turns, so that both see the same machine.
        both = seconds(lambda: fid.update(images, real=False)), seconds(network.forward)
        if turn > 0:
            for times, taken in zip(found, both):
                times.append(taken)
    return statistics.median(found[0]), statistics.median(found[1])


def resident() -> int:
    """Bytes of memory of this process."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096


def growth(updates: int) -> list[float]:
    """Resident megabytes after tenths of many updates, by an extractor of little work."""
    fid = ganscope.FrechetDistance("fashion-cnn")
    images = np.random.default_rng(0).integers(0, 256, (8, 3, 32, 32), np.uint8)
    found = []
    for i in range(updates):
        fid.update(images, real=False)
        if i % (updates // 10) == updates // 10 - 1:
            found.append(resident() / 2**20)
    assert fid.count(real=False) == updates * len(images)
    return found


def main() -> None:
    update, network = cost(299, 10, extractor="inception", weights=sys.argv[1])
    print(f"update {update:.2f} s, network {network:.2f} s of processor time: {update / network:.3f}")
    updates = int(sys.argv[2]) if len(sys.argv) > 2 else 10_000
    print(f"{updates} updates, MB after each tenth:", *(f"{megabytes:.1f}" for megabytes in growth(updates)))


if __name__ == "__main__":
    main()
