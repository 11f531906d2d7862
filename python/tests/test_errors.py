"""Bad input, interrupts, forks and defects arrive as exceptions that say what to do."""

import multiprocessing
import os
import signal
import subprocess
import sys
import textwrap

import numpy as np
import pytest
from PIL import Image

import ganscope
from conftest import SAMPLES, pictures

CNN = {"extractor": "fashion-cnn"}


def fails(kind, text, generated, reference="fashion-test", metrics="fid", **options):
    with pytest.raises(kind) as raised:
        ganscope.score(generated, reference, metrics, **{**CNN, **options})
    assert isinstance(raised.value, ganscope.Error)
    assert text in str(raised.value), str(raised.value)
    return raised.value


GOOD = pictures(4, 0)


@pytest.mark.parametrize(
    ("wrong", "kind", "text"),
    [
        (GOOD.astype(np.float32), TypeError, "uint8"),
        (GOOD / 255.0, TypeError, "(x * 255).round()"),
        (GOOD.astype(np.int64) - 300, TypeError, "int64"),
        (GOOD > 3, TypeError, "bool"),
        (GOOD.astype(object), TypeError, "object"),
        (np.zeros((0, 32, 32, 3), np.uint8), ValueError, "empty"),
        (np.zeros((4, 0, 32, 3), np.uint8), ValueError, "empty"),
        (np.zeros((4, 32, 32, 4), np.uint8), ValueError, "4 channels"),
        (np.zeros((4, 3, 32, 3), np.uint8), ValueError, "axes="),
        (np.zeros((32, 32, 3), np.uint8), ValueError, "one colored image"),
        (np.zeros((32, 32), np.uint8), ValueError, "(N, H, W, C)"),
        (np.zeros((2, 2, 2, 2, 3), np.uint8), ValueError, "(N, H, W, C)"),
        (np.full((4, 10), np.nan), ValueError, "NaN"),
        (np.full((4, 10), np.inf), ValueError, "infinite"),
        (np.full((4, 10), -np.inf), ValueError, "infinite"),
        (np.zeros((4, 10), np.complex64), TypeError, "complex64"),
        # Flattened images: their covariance would have 575 GB.
        (np.zeros((2, 3 * 299 * 299), np.float32), ValueError, "at most 32768"),
        (np.array(5, np.uint8), ValueError, "(N, H, W, C)"),
        (np.zeros((0, 10)), ValueError, "0"),
        (np.array(["a"]), TypeError, "dtype"),
        ([], ValueError, "empty"),
        ([1, 2], TypeError, "int, not an image"),
        ([GOOD[0], "a.png"], TypeError, "mixed"),
        ([GOOD[0], GOOD[0] / 255], TypeError, "generated[1]"),
        ([GOOD], ValueError, "one image"),
        (7, TypeError, "int, not a set"),
        (None, TypeError, "NoneType"),
        (Image.new("RGB", (8, 8)), TypeError, "one image"),
        ({}, ValueError, "no generated set"),
        ("nowhere/at-all", FileNotFoundError, "nowhere/at-all"),
        (["nowhere.png"], FileNotFoundError, "nowhere.png"),
        ([str(SAMPLES)], ValueError, "folder"),
        (str(SAMPLES / "0-t-shirt-0.png"), ValueError, "one image, not a set"),
    ],
)
def test_what_is_no_set_is_refused(wrong, kind, text):
    fails(kind, text, wrong)


def test_what_is_no_set_of_images_leaves_a_stream_as_it_was():
    fid = ganscope.FrechetDistance(extractor="fashion-cnn")
    fid.update(GOOD, real=True)
    before = fid.state()
    for wrong in (GOOD / 255, GOOD.astype(np.int16) - 300, np.zeros((0, 8, 8, 3), np.uint8), np.full((4, 10), np.nan), [], 7):
        with pytest.raises(ganscope.Error):
            fid.update(wrong, real=True)
    assert fid.count(real=True) == 4 and fid.state() == before


def test_a_file_of_rows_with_nan_is_told_with_the_row(tmp_path):
    rows = np.zeros((50, 3), np.float32)
    rows[41, 2] = np.nan
    np.save(tmp_path / "rows.npy", rows)
    error = fails(ValueError, "row 41", tmp_path / "rows.npy", reference=tmp_path / "rows.npy")
    assert "rows.npy" in str(error)


def test_axes_tell_shapes_apart():
    square = np.zeros((4, 3, 32, 3), np.uint8)
    square[:, 0] = 200
    scores = {
        axes: ganscope.score(square, "fashion-test", "fid", axes=axes, **CNN)["fid"] for axes in ("NHWC", "NCHW")
    }
    assert scores["NHWC"] != scores["NCHW"]
    fails(ValueError, "channels as NCHW", GOOD, axes="NCHW")
    fails(ValueError, "NHWC, NCHW or NHW", GOOD, axes="HWC")


def test_options_are_checked_by_name_and_value():
    fails(TypeError, "did you mean `extractor`", GOOD, extracter="inception")
    fails(ValueError, "`batch` is 0", GOOD, batch=0)
    fails(ValueError, "`is_splits` is -1", GOOD, is_splits=-1)
    fails(ValueError, "`num`", GOOD, num="many")
    fails(FileNotFoundError, "no metric `fud`", GOOD, metrics="fud")
    fails(FileNotFoundError, "no preset", GOOD, preset="x")
    fails(ValueError, "`reference=`", GOOD, reference=None)
    fails(TypeError, "not an option", GOOD, num=object())
    fails(TypeError, "progress", GOOD, progress=3)


def test_hints_speak_of_keyword_arguments():
    error = fails(ValueError, "nearest neighbors", GOOD, reference=GOOD, metrics="prdc")
    assert "`nearest_k=`" in error.hint and "--" not in error.hint


def test_weights_that_are_not_there_can_only_be_downloaded(tmp_path):
    (tmp_path / "no.pth").write_bytes(b"nothing")
    fails(ganscope.UnreadableError, "no.pth", GOOD, weights=tmp_path / "no.pth")
    with pytest.raises(OSError) as raised:
        ganscope.score(GOOD, GOOD, "fid", extractor="inception")
    assert isinstance(raised.value, ganscope.NetworkError), raised.value


def test_a_damaged_image_is_named(tmp_path):
    for i in range(3):
        Image.fromarray(GOOD[i]).save(tmp_path / f"{i}.png")
    (tmp_path / "1.png").write_bytes((tmp_path / "1.png").read_bytes()[:60])
    fails(OSError, "1.png", tmp_path, reference=GOOD)
    report = ganscope.score(tmp_path, GOOD, "fid", skip_unreadable=True, **CNN)
    assert report.conditions["generated"][0]["images"] == 2


def test_a_callback_sees_progress_and_may_stop():
    images, seen = pictures(100, 1), []
    ganscope.score(images, images[:10], "fid", progress=lambda *step: seen.append(step), **CNN)
    assert ("generated", 100, 100, "items") in seen
    with pytest.raises(ganscope.Cancelled):
        ganscope.score(images, images, "fid", progress=lambda *step: False, cache=False, **CNN)

    def raises(*step):
        raise KeyError("from the callback")

    with pytest.raises(KeyError, match="from the callback"):
        ganscope.score(images, images, "fid", progress=raises, cache=False, **CNN)


def test_a_callback_that_uses_the_same_object_is_told():
    fid = ganscope.FrechetDistance(extractor="fashion-cnn")
    fid._progress = lambda *step: fid.count(real=True)
    with pytest.raises(ganscope.StateError, match="at work"):
        fid.update(GOOD, real=True)


def test_a_bar_of_tqdm_is_drawn_where_there_is_one(capsys):
    pytest.importorskip("tqdm")
    ganscope.score(GOOD, GOOD, "fid", progress=True, **CNN)
    assert "generated" in capsys.readouterr().err


def test_a_panic_is_an_exception(capfd):
    with pytest.raises(RuntimeError, match="a defect of ganscope: on purpose") as raised:
        ganscope._ganscope._panic("on purpose")
    assert isinstance(raised.value, ganscope.InternalError) and isinstance(raised.value, Exception)


def test_an_interrupt_ends_the_work(tmp_path):
    script = textwrap.dedent(
        """
        import sys, numpy as np, ganscope
        fid = ganscope.FrechetDistance(extractor="fashion-cnn", batch=1)
        images = np.zeros((100, 64, 64, 3), np.uint8)
        print("ready", flush=True)
        try:
            while True:
                fid.update(images, real=True)
        except KeyboardInterrupt:
            print("interrupted", fid.count(real=True) > 0, flush=True)
        """
    )
    process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "ready\n"
    import time

    time.sleep(1)
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=20)[0] == "interrupted True\n"


def in_fork(queue, fid, generator):
    for work in (
        lambda: ganscope.score(GOOD, GOOD, "fid", **CNN),
        lambda: fid.update(GOOD, real=True),
        lambda: generator.images(1),
    ):
        try:
            work()
            queue.put("no exception")
        except ganscope.StateError as error:
            queue.put(str(error))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_fork_after_work_is_told():
    fid, generator = ganscope.FrechetDistance(extractor="fashion-cnn"), ganscope.Generator("fashion-stylegan2")
    fid.update(GOOD, real=True)
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    child = context.Process(target=in_fork, args=(queue, fid, generator))
    child.start()
    for _ in range(3):
        assert "forked" in queue.get(timeout=60)
    child.join()
    assert child.exitcode == 0
    fid.update(GOOD, real=True)
    assert fid.count(real=True) == 8


def test_the_work_lets_other_threads_run():
    import threading

    counted, images = [0], pictures(300, 1, (64, 64))
    done = threading.Event()

    def count():
        while not done.is_set():
            counted[0] += 1

    thread = threading.Thread(target=count)
    thread.start()
    ganscope.score(images, images, "fid", cache=False, batch=300, **CNN)
    done.set()
    thread.join()
    assert counted[0] > 1000
