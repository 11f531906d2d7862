"""Statistics on a Ray cluster of two nodes on this machine, one of which is killed."""

import threading
import time

import pytest
from PIL import Image

import ganscope
import ganscope.ray
from conftest import pictures

ray = pytest.importorskip("ray", reason="ray is not installed")


@pytest.fixture(scope="module")
def cluster():
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, connect=True, head_node_args={"num_cpus": 2})
    second = cluster.add_node(num_cpus=2)
    cluster.wait_for_nodes()
    yield cluster, second
    ray.shutdown()
    cluster.shutdown()


@pytest.fixture
def paths(tmp_path):
    for i, image in enumerate(pictures(120, 4)):
        Image.fromarray(image).save(tmp_path / f"{i:03}.png")
    return sorted(tmp_path.glob("*.png"))


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


def test_a_node_that_dies_loses_and_doubles_nothing(cluster, paths):
    nodes, second = cluster

    def kill():
        time.sleep(3)
        nodes.remove_node(second)

    thread = threading.Thread(target=kill)
    thread.start()
    same(ganscope.ray.statistics(paths, "fashion-cnn", num_actors=2, num_cpus=1, block=2), paths)
    thread.join()


def test_no_images_are_told():
    with pytest.raises(ValueError, match="no images"):
        ganscope.ray.statistics([], "fashion-cnn")
