"""Processor time and peak memory of `ganscope score` on rows of features, by their number.

    python benches/growth.py target/release/ganscope FOLDER [METRIC...]

Writes sets of 1,000 to 64,000 rows of 2048 float32 into FOLDER (2 GB) and deletes them, as `.npy`, and for the Inception Score
as a file of `ganscope stats --rows`, which has logits, too. Prints a table; the exponent of a column is the slope of its
logarithm from the second largest number to the largest.
"""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np

ROWS = [1_000, 4_000, 16_000, 64_000]
DIM = 2048
LOGITS = 1008
METRICS = ["fid", "is", "kid", "prdc", "vendi"]
CONVENTION = {"extractor": "inception", "weights_sha256": "0" * 64, "layer": "2048", "resize": "tf-bilinear",
              "scaling": "(x - 128) / 128"}


def write(path: Path, rows: int, seed: int) -> None:
    """Positive rows with a scale for each feature, as behind a ReLU."""
    random = np.random.default_rng(seed)
    scale = np.linspace(0.05, 1.0, DIM, dtype=np.float32)
    np.save(path, np.abs(random.standard_normal((rows, DIM), np.float32)) * scale)


def write_statistics(path: Path, features: np.ndarray) -> None:
    """Rows with moments and logits, as `ganscope stats --rows` writes them."""
    mean = features.mean(0, dtype=np.float64)
    centered = features - mean.astype(np.float32)
    scatter = (centered.T @ centered).astype(np.float64)
    logits = np.random.default_rng(2).standard_normal((len(features), LOGITS), np.float32)
    arrays = {"mean": mean, "scatter": scatter, "features": features, "logits": logits}
    config = {"kind": "ganscope-stats", "version": 1, "count": len(features), "spatial_count": None, "convention": CONVENTION}
    header, end = {"__metadata__": {"config": json.dumps(config)}}, 0
    for name, array in arrays.items():
        start, end = end, end + array.nbytes
        dtype = "F32" if array.dtype == np.float32 else "F64"
        header[name] = {"dtype": dtype, "shape": array.shape, "data_offsets": [start, end]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for array in arrays.values():
            array.tofile(file)


def measure(command: list[str]) -> tuple[float, float]:
    """Processor seconds and peak memory in MB of a command."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{' '.join(command)}: failed")
    return used.ru_utime + used.ru_stime, used.ru_maxrss / 1024


def main() -> None:
    program, folder, *named = sys.argv[1:]
    metrics = named or METRICS
    paths = [Path(folder) / "generated.npy", Path(folder) / "reference.npy"]
    statistics = Path(folder) / "generated.safetensors"
    generated, reference = map(str, paths)
    found: dict[str, list[tuple[float, float]]] = {}
    try:
        for rows in ROWS:
            for seed, path in enumerate(paths):
                write(path, rows, seed)
            if "is" in metrics:
                write_statistics(statistics, np.load(generated))
            for metric in metrics:
                sets = [str(statistics)] if metric == "is" else [generated, "-r", reference]
                command = [program, "score", *sets, "-m", metric]
                found.setdefault(metric, []).append(measure(command))
                print(rows, metric, *found[metric][-1], file=sys.stderr, flush=True)
    finally:
        for path in [*paths, statistics]:
            path.unlink(missing_ok=True)
    print(f"| metric | {' | '.join(f'{rows:,}' for rows in ROWS)} | exponents |")
    print("|---" * (len(ROWS) + 2) + "|")
    for metric, numbers in found.items():
        cells = [f"{seconds:.1f} s, {memory:.0f} MB" for seconds, memory in numbers]
        last, step = numbers[-2:], math.log(ROWS[-1] / ROWS[-2])
        slopes = [math.log(last[1][k] / last[0][k]) / step for k in range(2)]
        print(f"| `{metric}` | {' | '.join(cells)} | time {slopes[0]:.2f}, memory {slopes[1]:.2f} |")


if __name__ == "__main__":
    main()
