"""Statistics on a Ray cluster of three nodes on this machine against one process with as many threads.

`python ray_cluster.py INCEPTION_WEIGHTS [IMAGES] [LAYER]`; seconds without the start of Ray and of the actors' processes, which
come once.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

NODES = 3


def images(folder: Path, count: int) -> list[str]:
    """Smooth pictures of 64 pixels."""
    random = np.random.default_rng(0)
    for i in range(count):
        pixels = random.uniform(0, 255, (4, 4, 3)).repeat(16, 0).repeat(16, 1)
        Image.fromarray(pixels.astype(np.uint8)).save(folder / f"{i:06}.png")
    return sorted(str(path) for path in folder.iterdir())


def main() -> None:
    weights = sys.argv[1]
    count = int(sys.argv[2]) if len(sys.argv) > 2 else 5000
    layer = sys.argv[3] if len(sys.argv) > 3 else "2048"
    os.environ["RAYON_NUM_THREADS"] = str(NODES)
    import ray
    from ray.cluster_utils import Cluster

    import ganscope
    import ganscope.ray

    options = {"extractor": "inception", "weights": weights, "layer": layer, "batch": 16}
    with tempfile.TemporaryDirectory() as folder:
        paths = images(Path(folder), count)
        one = ganscope.FrechetDistance(**options)
        one.update(paths[:32], real=False)
        start = time.perf_counter()
        one.update(paths, real=True)
        alone = time.perf_counter() - start
        print(f"one process, {NODES} threads: {alone:.1f} s, {count / alone:.1f} images/s", flush=True)

        # The actors take one thread for each processor that is reserved for them.
        del os.environ["RAYON_NUM_THREADS"]
        cluster = Cluster(initialize_head=True, connect=True, head_node_args={"num_cpus": 1})
        for _ in range(NODES - 1):
            cluster.add_node(num_cpus=1)
        cluster.wait_for_nodes()
        def on_nodes(some: list[str]) -> tuple[ganscope.FrechetDistance, float]:
            start = time.perf_counter()
            found = ganscope.ray.statistics(some, num_actors=NODES, block=max(16, count // 30), **options)
            return found, time.perf_counter() - start

        # Few images take the time in which the processes of the actors start.
        _, begun = on_nodes(paths[: NODES * 16])
        found, seconds = on_nodes(paths)
        together = (seconds - begun) * count / (count - NODES * 16)
        print(f"three nodes: {begun:.1f} s for {NODES * 16} images, {seconds:.1f} s for {count}")
        print(f"{count / together:.1f} images/s, {alone / together:.2f} of one process")
        for mine, other in zip(found.moments(real=True), one.moments(real=True)):
            print(f"largest relative difference {np.abs(mine - other).max() / np.abs(other).max():.1e}")
        ray.shutdown()
        cluster.shutdown()


if __name__ == "__main__":
    main()
