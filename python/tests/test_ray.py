"""Statistics on a Ray cluster of three nodes on this machine, one of which is killed."""

import sys
import threading
import time
import uuid
from pathlib import Path

import pytest
from PIL import Image

import ganscope
import ganscope.ray
from conftest import pictures

ray = pytest.importorskip("ray", reason="ray is not installed")


@pytest.fixture(scope="module")
def cluster():
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, connect=True, head_node_args={"num_cpus": 1})
    nodes = [cluster.add_node(num_cpus=1) for _ in range(2)]
    cluster.wait_for_nodes()
    yield cluster, nodes[-1]
    ray.shutdown()
    cluster.shutdown()


@pytest.fixture
def paths(tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    for i, image in enumerate(pictures(120, 4)):
        Image.fromarray(image).save(folder / f"{i:03}.png")
    return sorted(folder.iterdir())


def direct(paths):
    fid = ganscope.FrechetDistance("fashion-cnn")
    fid.update(paths, real=True)
    return fid


def same(found, paths):
    assert found.count(real=True) == len(paths)
    for value, expected in zip(found.moments(real=True), direct(paths).moments(real=True)):
        # Sums of float64 in another order.
        assert value == pytest.approx(expected, rel=1e-9, abs=1e-12)


def test_actors_have_the_moments_of_one_process(cluster, paths):
    same(ganscope.ray.statistics(paths, "fashion-cnn", num_actors=2, num_cpus=1, block=16), paths)


def test_blocks_are_merged_on_the_nodes_first(cluster, paths):
    # 60 blocks, merged by four and by four again.
    same(ganscope.ray.statistics(paths, "fashion-cnn", num_actors=2, block=2), paths)


def test_datasets_of_arrays_and_of_bytes_are_sets(cluster, paths):
    import ray.data

    names = [str(path) for path in paths]
    for dataset in (
        ray.data.read_images(names),
        ray.data.read_binary_files(names),
        ray.data.from_items([{"path": name} for name in names]),
    ):
        same(ganscope.ray.statistics(dataset, "fashion-cnn", num_actors=2, block=50), paths)
    with pytest.raises(Exception, match="no column of images"):
        ganscope.ray.statistics(ray.data.range(3), "fashion-cnn")


class Slow(ganscope.ray._Moments):
    """Tells on which node it begins a block, and takes its time."""

    def __call__(self, block):
        import ray

        node = ray.get_runtime_context().get_node_id()
        (Path(block["path"][0]).parent.parent / "begun" / f"{node} {uuid.uuid4()}").touch()
        time.sleep(0.3)
        return super().__call__(block)


def test_a_node_that_dies_loses_and_doubles_nothing(cluster, paths, tmp_path, monkeypatch):
    import ray.cloudpickle

    ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])
    monkeypatch.setattr(ganscope.ray, "_Moments", Slow)
    nodes, last = cluster
    (tmp_path / "begun").mkdir()
    killed = threading.Event()

    def begun():
        return [path.name for path in (tmp_path / "begun").iterdir() if path.name.startswith(last.node_id)]

    def kill():
        while len(begun()) < 2:
            time.sleep(0.05)
        nodes.remove_node(last)
        killed.set()

    threading.Thread(target=kill, daemon=True).start()
    # Three actors need all three nodes.
    found = ganscope.ray.statistics(paths, "fashion-cnn", num_actors=3, num_cpus=1, block=4)
    assert killed.is_set()
    same(found, paths)


def test_no_images_are_told():
    with pytest.raises(ValueError, match="no images"):
        ganscope.ray.statistics([], "fashion-cnn")
