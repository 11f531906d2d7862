"""Streams: the digits of whole sets, memory that does not grow, parts that merge."""

import pickle
import sys
import threading

import numpy as np
import pytest

import ganscope
from conftest import ROOT, pictures


def distance(**options):
    return ganscope.FrechetDistance(extractor="fashion-cnn", **options)


def filled(generated, reference):
    fid = distance()
    fid.update(generated, real=False)
    fid.update(reference, real=True)
    return fid


def test_updates_have_the_digits_of_whole_sets(generated, reference):
    expected = ganscope.score(generated, reference, "fid", extractor="fashion-cnn")["fid"]
    fid = distance()
    for start in range(0, 50, 7):
        fid.update(reference[start : start + 7], real=True)
        if start < 40:
            fid.update(generated[start : start + 7].transpose(0, 3, 1, 2), real=False)
    assert fid.compute() == expected
    assert (fid.count(real=True), fid.count(real=False)) == (50, 40)


def test_moments_are_those_of_numpy(generated, reference):
    mean, cov = filled(generated, reference).moments(real=False)
    rows = ganscope.features(generated, extractor="fashion-cnn").astype(np.float64)
    # Sums of float64 in another order.
    assert np.allclose(mean, rows.mean(0), rtol=1e-12, atol=1e-12)
    assert np.allclose(cov, np.cov(rows, rowvar=False), rtol=1e-9, atol=1e-12)


def test_parts_merge_into_the_whole(generated, reference):
    whole = filled(generated, reference).compute()
    first, second = filled(generated[:25], reference[:30]), filled(generated[25:], reference[30:])
    third = pickle.loads(pickle.dumps(first))
    first.merge(second)
    third.merge(second.state())
    assert first.compute() == third.compute() == pytest.approx(whole, rel=1e-9)
    empty = distance()
    empty.merge(distance())
    assert empty.count(real=True) == 0


def test_state_is_a_file_of_statistics(tmp_path, generated, reference):
    fid = filled(generated, reference)
    (tmp_path / "real.safetensors").write_bytes(fid.state()["reference"])
    report = ganscope.score(generated, tmp_path / "real.safetensors", "fid", extractor="fashion-cnn")
    assert report["fid"] == fid.compute()


def test_a_part_of_another_convention_is_refused_and_changes_nothing(generated, reference):
    fid = filled(generated, reference)
    before = fid.compute()
    other = ganscope.FrechetDistance(extractor="fashion-cnn", preset="clean-fid")
    other.update(generated, real=False)
    with pytest.raises(ganscope.RequestError, match="resize"):
        fid.merge(other)
    with pytest.raises(TypeError, match="generated and reference"):
        fid.merge({})
    with pytest.raises(ganscope.Error):
        fid.merge({"generated": fid.state()["generated"], "reference": b"nothing"})
    assert fid.compute() == before and fid.count(real=False) == 40


def test_reset_forgets_one_set_or_both(generated, reference):
    fid = filled(generated, reference)
    before = fid.compute()
    fid.reset(real=False)
    assert (fid.count(real=False), fid.count(real=True)) == (0, 50)
    with pytest.raises(ValueError, match="has 0"):
        fid.compute()
    fid.update(generated, real=False)
    assert fid.compute() == before
    fid.reset()
    assert fid.count(real=True) == 0


def test_other_metrics_stream_too(generated, reference):
    options = {"extractor": "fashion-cnn", "kid_subset_size": 20, "is_splits": 2}
    stream = ganscope.ScoreStream(["is", "kid", "prdc"], **options)
    stream.update(generated, real=False)
    stream.update(reference, real=True)
    report = ganscope.score(generated, reference, ["is", "kid", "prdc"], **options)
    assert stream.compute() == {score.name: (score.value, score.std) for score in report.scores}


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory_does_not_grow_with_updates():
    def resident():
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * 4096

    fid = distance()
    images = pictures(64, 5)
    for _ in range(30):
        fid.update(images, real=True)
    before = resident()
    for _ in range(200):
        fid.update(images, real=True)
    # 200 updates have 39 MB of pixels and 13 MB of features of 256 float32.
    assert resident() - before < 8e6
    assert fid.count(real=True) == 230 * 64


def test_two_threads_at_once_are_told_apart(generated):
    fid, started, resume = distance(), threading.Event(), threading.Event()

    def progress(what, done, total, unit):
        started.set()
        resume.wait(10)

    fid._progress = progress
    thread = threading.Thread(target=fid.update, args=(generated, True))
    thread.start()
    assert started.wait(10)
    with pytest.raises(ganscope.StateError, match="another thread"):
        fid.count(real=True)
    resume.set()
    thread.join()
    assert fid.count(real=True) == 40


def test_threads_with_objects_of_their_own_work_at_once(generated, reference):
    expected, found = filled(generated, reference).compute(), []
    threads = [threading.Thread(target=lambda: found.append(filled(generated, reference).compute())) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [expected] * 4


def test_updates_cost_little_beside_the_network():
    """A small version of benches/training_loop.py, whose numbers are in docs/python.md."""
    sys.path.insert(0, str(ROOT / "python" / "benches"))
    try:
        import training_loop
    finally:
        sys.path.pop(0)
    # The network of 28 pixels is small, and resizing 64 pixels to them counts as well; a copy for each image, or moments
    # taken anew at each update, cost more than it.
    update, network = training_loop.cost(64, 5, extractor="fashion-cnn")
    assert update < 3 * network
    assert len(training_loop.growth(20)) == 10
