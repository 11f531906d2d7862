"""Statistics on a Ray cluster of three nodes on this machine against one process with as many threads.

`python ray_cluster.py INCEPTION_WEIGHTS [IMAGES] [LAYER]`; seconds without the start of Ray and of the actors' processes, which
come once. Then the same once more, with a node removed half-way.
"""

from __future__ import annotations

import os
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
from PIL import Image

NODES = 3
# Bytes of objects that a node keeps.
STORE = 1 << 30


def images(folder: Path, count: int) -> list[str]:
    """Smooth pictures of 64 pixels."""
    random = np.random.default_rng(0)
    for i in range(count):
        pixels = random.uniform(0, 255, (4, 4, 3)).repeat(16, 0).repeat(16, 1)
        Image.fromarray(pixels.astype(np.uint8)).save(folder / f"{i:06}.png")
    return sorted(str(path) for path in folder.iterdir())


def difference(mine: object, other: object) -> str:
    """Largest difference of means and of covariances, relative to the largest of each."""
    pairs = zip(mine.moments(real=True), other.moments(real=True))
    return ", ".join(f"{np.abs(a - b).max() / np.abs(b).max():.1e}" for a, b in pairs)


def main() -> None:
    weights = sys.argv[1]
    count = int(sys.argv[2]) if len(sys.argv) > 2 else 5000
    layer = sys.argv[3] if len(sys.argv) > 3 else "2048"
    os.environ["RAYON_NUM_THREADS"] = str(NODES)
    # Other work on the machine treats both alike.
    os.environ["RAY_worker_niceness"] = "0"
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
        # Nodes in earnest keep more objects than the 150 MB that this kind of cluster has by default.
        node = {"num_cpus": 1, "object_store_memory": STORE}
        cluster = Cluster(initialize_head=True, connect=True, head_node_args=node)
        last = [cluster.add_node(**node) for _ in range(NODES - 1)][-1]
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
        print("largest difference of a moment:", difference(found, one), flush=True)
        threading.Timer(begun + together / 2, cluster.remove_node, [last]).start()
        found, seconds = on_nodes(paths)
        print(f"with a node removed half-way: {seconds:.1f} s, {found.count(real=True)} images")
        print("largest difference of a moment:", difference(found, one), flush=True)
        ray.shutdown()
        cluster.shutdown()


if __name__ == "__main__":
    main()
