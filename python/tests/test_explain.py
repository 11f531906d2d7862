"""Explanations: the maps of the command line."""

import numpy as np
import pytest
from PIL import Image

import ganscope
from conftest import SAMPLES

IMAGE = SAMPLES / "3-dress-0.png"


def test_maps_are_those_of_the_command_line(tmp_path, program):
    program("explain", "lrp", IMAGE, "--model", "fashion-cnn", "-o", tmp_path / "out", parse=False)
    stored = next((tmp_path / "out").rglob("lrp.npy"))
    expected = np.load(stored)
    found = ganscope.explain(IMAGE, model="fashion-cnn", method="lrp")
    assert np.array_equal(found.channels.ravel(), np.moveaxis(expected.reshape(expected.shape[-3:]), 0, -1).ravel())


def test_an_image_has_one_map_whatever_its_form():
    picture = Image.open(IMAGE)
    array = np.asarray(picture.convert("RGB"))
    expected = ganscope.explain(IMAGE).map
    for form in (str(IMAGE), picture, array, array.transpose(2, 0, 1)):
        assert np.array_equal(ganscope.explain(form).map, expected)
    assert expected.ndim == 2 and expected.dtype == np.float32


def test_an_explanation_has_picture_overlay_title_and_report():
    found = ganscope.explain(IMAGE, label="dress")
    assert found.title == "dress (3)" and found.report["target"]["class"] == 3
    assert found.picture.dtype == found.overlay.dtype == np.uint8 and found.overlay.shape[-1] == 3
    assert "dress" in repr(found) and "data:image/png" in found._repr_html_()


def test_several_methods_and_images_come_by_name_and_in_order():
    both = ganscope.explain(IMAGE, method=["gradient", "occlusion"])
    assert list(both) == ["gradient", "occlusion"]
    several = ganscope.explain([IMAGE, SAMPLES / "8-bag-0.png"], method="gradient")
    assert len(several) == 2 and np.array_equal(several[0].map, both["gradient"].map)


def test_show_draws_with_matplotlib():
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("agg")
    assert len(ganscope.explain(IMAGE).show().axes) == 2


def test_bad_requests_are_told():
    with pytest.raises(FileNotFoundError, match="no classifier"):
        ganscope.explain(IMAGE, model="nothing")
    with pytest.raises(FileNotFoundError, match="no method"):
        ganscope.explain(IMAGE, method="shap")
    with pytest.raises(FileNotFoundError, match="no-image"):
        ganscope.explain("no-image.png")
    with pytest.raises(TypeError, match="uint8"):
        ganscope.explain(np.zeros((32, 32, 3)))
    with pytest.raises(FileNotFoundError, match="no class"):
        ganscope.explain(IMAGE, label="zebra")
