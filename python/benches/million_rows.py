"""FID of rows of features on disk: processor time and peak memory, `python million_rows.py FOLDER [ROWS]`.

Writes ROWS x 2048 float32 (8.2 GB for a million) and a reference of 50,000 rows into FOLDER, scores them, deletes them.
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import numpy as np

import ganscope

DIM = 2048
BLOCK = 10_000


def write(path: Path, rows: int, seed: int) -> None:
    """Normal rows, a block at a time: with their own scale for each feature."""
    random = np.random.default_rng(seed)
    scale = np.linspace(0.2, 2.0, DIM, dtype=np.float32)
    array = np.lib.format.open_memmap(path, "w+", np.float32, (rows, DIM))
    for start in range(0, rows, BLOCK):
        count = min(BLOCK, rows - start)
        array[start : start + count] = random.standard_normal((count, DIM), np.float32) * scale
        array.flush()


def peak() -> float:
    """Largest memory of this process so far in MB, the pages of the interpreter and its libraries included."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def main() -> None:
    folder, rows = Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1_000_000
    generated, reference = folder / "generated.npy", folder / "reference.npy"
    if sys.argv[-1] != "--score":
        try:
            write(generated, rows, 1)
            write(reference, 50_000, 2)
            # Another process, whose peak is that of scoring alone.
            subprocess.run([sys.executable, __file__, str(folder), str(rows), "--score"], check=True)
        finally:
            generated.unlink(missing_ok=True)
            reference.unlink(missing_ok=True)
        return
    before, start = peak(), time.process_time()
    report = ganscope.score(generated, reference, "fid")
    seconds = time.process_time() - start
    print(f"{rows} rows of {DIM}: FD {report['fid']:.6f}, {seconds:.0f} s of processor time")
    print(f"peak {peak():.0f} MB, {before:.0f} MB before")


if __name__ == "__main__":
    main()
