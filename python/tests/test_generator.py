"""Generators: the pictures of the command line; closed ones and unfit inputs are told."""

import numpy as np
import pytest
from PIL import Image

import ganscope


@pytest.fixture(scope="module")
def generator():
    return ganscope.Generator("fashion-stylegan2")


def test_pictures_are_those_of_the_command_line(tmp_path, program, generator):
    program(
        "generate", "fashion-stylegan2", "--seeds", "4,12", "--trunc", "0.7", "--outdir", tmp_path / "out", parse=False
    )
    files = sorted((tmp_path / "out").glob("*.png"))
    expected = np.stack([np.asarray(Image.open(file).convert("RGB")) for file in files])
    assert np.array_equal(generator.images([4, 12], truncation_psi=0.7), expected)
    ws = generator.map([4, 12], truncation_psi=0.7)
    assert np.array_equal(generator.synthesize(ws), expected)


def test_style_inputs_have_the_shape_that_info_tells(generator):
    info = generator.info
    ws = generator.map(range(3))
    assert ws.shape == (3, info["num_ws"], info["w_dim"]) and ws.dtype == np.float32
    images = generator.synthesize(ws)
    assert images.shape == (3, info["resolution"], info["resolution"], 3) and images.dtype == np.uint8
    assert np.array_equal(generator.map(7), generator.map(np.array([7])))


def test_truncation_is_towards_the_mean(generator):
    mean = generator.map(0, truncation_psi=0)
    assert np.array_equal(mean, generator.map(1, truncation_psi=0))
    half = generator.map(0, truncation_psi=0.5)
    # Float32 arithmetic on values of about one.
    assert np.allclose(half, (mean + generator.map(0)) / 2, atol=1e-5)


def test_conditional_generators_need_a_class():
    with pytest.raises(ValueError, match="conditional"):
        ganscope.Generator("fashion-biggan")
    with ganscope.Generator("fashion-biggan", label=3) as generator:
        assert generator.images([0, 1], truncation_psi=0.5).shape == (2, 32, 32, 3)
        with pytest.raises(ValueError, match="truncation"):
            generator.map(0, truncation_psi=2)


def test_a_closed_generator_is_told():
    with ganscope.Generator("fashion-stylegan2") as generator:
        generator.map(0)
    for use in (lambda: generator.map(0), lambda: generator.images(0), lambda: generator.info):
        with pytest.raises(ganscope.StateError, match="closed"):
            use()
    generator.close()


@pytest.mark.parametrize(
    ("seeds", "kind"), [(-1, ValueError), (2**32, ValueError), ("0-3", TypeError), ([1.5], TypeError), ([True], TypeError)]
)
def test_seeds_are_numbers_of_32_bits(generator, seeds, kind):
    with pytest.raises(kind, match="seed"):
        generator.map(seeds)


def test_unfit_style_inputs_are_told(generator):
    for wrong, text in (
        (np.zeros((1, 2, 3), np.float32), "expected (N, "),
        (np.zeros(4, np.float32), "shape [4]"),
        (np.full_like(generator.map(0), np.nan), "NaN"),
    ):
        with pytest.raises(ValueError) as raised:
            generator.synthesize(wrong)
        assert text in str(raised.value)
    with pytest.raises(TypeError, match="floats"):
        generator.synthesize([[1]])


def test_unknown_models_and_options_are_told():
    with pytest.raises(FileNotFoundError, match="fashion-stylegan2"):
        ganscope.Generator("fashion-stylegan")
    with pytest.raises(TypeError, match="no option"):
        ganscope.Generator("fashion-stylegan2", noise="none")


def test_two_threads_at_once_are_told_apart():
    import threading

    started, resume = threading.Event(), threading.Event()

    def progress(*step):
        started.set()
        resume.wait(20)

    with ganscope.Generator("fashion-stylegan2") as generator:
        generator._progress = progress
        ws = generator.map([1, 2])
        thread = threading.Thread(target=generator.synthesize, args=(ws,))
        thread.start()
        assert started.wait(20)
        for call in (lambda: generator.map(1), generator.close):
            with pytest.raises(ganscope.StateError, match="another thread"):
                call()
        resume.set()
        thread.join()
        assert generator.map([1, 2]).shape == ws.shape
