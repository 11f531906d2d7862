"""Stand-ins: the numbers of torch-fidelity, torchmetrics and clean-fid, under their keys.

Golden numbers come from the originals on recipe weights; `test_originals.py` runs the originals themselves.
"""

import json

import numpy as np
import pytest
from PIL import Image

import ganscope
from ganscope.compat import cleanfid, torch_fidelity, torchmetrics
from golden_inputs import expected, inception, recipe, write_folders

# A score end to end: float32 features through 94 convolutions, then statistics in float64.
END_TO_END = 1e-4
# Shares of 40 and 48 images, which torch-fidelity computes in float32.
FLOAT32 = 1e-6


@pytest.fixture(scope="session")
def weights(tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "inception.npz"
    np.savez(path, **inception())
    return str(path)


@pytest.fixture(scope="session")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("folders")
    write_folders(root)
    return root


@pytest.fixture(scope="session")
def cache(tmp_path_factory):
    return str(tmp_path_factory.mktemp("features"))


def fakes(folders):
    return np.stack([np.asarray(Image.open(path)) for path in sorted((folders / "fake").iterdir())])


def test_torch_fidelity_has_its_numbers_under_its_keys(weights, folders, cache):
    found = torch_fidelity.calculate_metrics(
        input1=str(folders / "fake"),
        input2=str(folders / "real"),
        isc=True,
        fid=True,
        kid=True,
        prc=True,
        feature_extractor="inception-v3-compat",
        feature_extractor_weights_path=weights,
        kid_subset_size=30,
        kid_subsets=10,
        cuda=False,
        verbose=False,
        cache_root=cache,
    )
    golden = dict(expected()["end_to_end"]["torch_fidelity"])
    golden.pop("args")
    assert found.keys() == golden.keys()
    for key, value in golden.items():
        if key in ("precision", "recall", "f_score"):
            assert found[key] == pytest.approx(value, abs=FLOAT32), key
        elif key.endswith("_std"):
            # A spread of nearly equal numbers loses digits; it is compared on the scale of the mean.
            assert found[key] == pytest.approx(value, abs=END_TO_END * golden[key.replace("_std", "_mean")]), key
        else:
            assert found[key] == pytest.approx(value, rel=END_TO_END), key


def test_datasets_are_inputs(weights, folders, cache):
    images = fakes(folders)[:12]

    class Dataset:
        def __len__(self):
            return len(images)

        def __getitem__(self, i):
            return images[i].transpose(2, 0, 1)

    options = {"isc": True, "isc_splits": 2, "feature_extractor_weights_path": weights, "cache_root": cache}
    of_dataset = torch_fidelity.calculate_metrics(input1=Dataset(), **options)
    assert of_dataset == torch_fidelity.calculate_metrics(input1=images, **options)


@pytest.mark.parametrize(
    "wrong",
    [
        {"ppl": True},
        {"prc": True},
        {"kid_kernel": "rbf"},
        {"kid_kernel_poly_degree": 2},
        {"feature_extractor": "vgg16"},
        {"input1": "cifar10-train"},
        {"input1": "generator.onnx"},
        {"samples_resize_and_crop": 64},
        {"input1_model_z_size": 128},
        {"input1": lambda z: z},
    ],
)
def test_what_torch_fidelity_does_and_its_stand_in_does_not_is_told(wrong):
    with pytest.raises(ganscope.UnsupportedError, match="torch_fidelity"):
        torch_fidelity.calculate_metrics(**{"input1": "a", "input2": "b", "fid": True, **wrong})


def test_arguments_of_torch_fidelity_are_checked():
    with pytest.raises(TypeError, match="fidd"):
        torch_fidelity.calculate_metrics(input1="a", input2="b", fidd=True)
    with pytest.raises(ValueError, match="at least one metric"):
        torch_fidelity.calculate_metrics(input1="a")
    with pytest.raises(ValueError, match="input2"):
        torch_fidelity.calculate_metrics(input1="a", fid=True)


def test_clean_fid_in_the_mode_of_pytorch_fid_has_its_number(weights, folders):
    found = cleanfid.compute_fid(
        str(folders / "fake"), str(folders / "real"), mode="legacy_pytorch", weights=weights, verbose=False
    )
    assert found == pytest.approx(expected()["end_to_end"]["pytorch_fid"]["fid_exact"], rel=END_TO_END)


def test_custom_statistics_replace_the_reference(weights, folders):
    fake, real = str(folders / "fake"), str(folders / "real")
    direct = cleanfid.compute_fid(fake, real, weights=weights)
    cleanfid.make_custom_stats("recipe", real, weights=weights)
    assert cleanfid.test_stats_exists("recipe", "clean")
    stored = cleanfid.compute_fid(fake, dataset_name="recipe", dataset_split="custom", weights=weights)
    # Statistics in an npz are covariances, not scatters.
    assert stored == pytest.approx(direct, rel=1e-9)
    kid = cleanfid.compute_kid(fake, real, weights=weights)
    stored = cleanfid.compute_kid(fake, dataset_name="recipe", dataset_split="custom", weights=weights)
    assert kid == stored
    with pytest.raises(ValueError, match="exist already"):
        cleanfid.make_custom_stats("recipe", real, weights=weights)
    cleanfid.remove_custom_stats("recipe")
    assert not cleanfid.test_stats_exists("recipe", "clean")
    with pytest.raises(FileNotFoundError):
        cleanfid.compute_fid(fake, dataset_name="recipe", dataset_split="custom", weights=weights)


def test_what_clean_fid_does_and_its_stand_in_does_not_is_told():
    for wrong in (
        {"gen": lambda z: z, "fdir2": "b"},
        {"fdir1": "a"},
        {"fdir1": "a", "fdir2": "b", "model_name": "clip_vit_b_32"},
        {"fdir1": "a", "fdir2": "b", "custom_fn_resize": lambda x: x},
    ):
        with pytest.raises(ganscope.UnsupportedError, match="cleanfid"):
            cleanfid.compute_fid(**wrong)
    with pytest.raises(ValueError, match="mode"):
        cleanfid.compute_fid("a", "b", mode="dirty")
    with pytest.raises(TypeError, match="no argument"):
        cleanfid.compute_fid("a", "b", seed=1)
    with pytest.raises(ValueError, match="combination"):
        cleanfid.compute_kid()


def metric(kind, weights, **options):
    return kind(feature_extractor_weights_path=weights, antialias=False, **options)


def test_torchmetrics_without_antialias_has_the_numbers_of_torch_fidelity(weights, folders):
    """torchmetrics resizes like torch-fidelity then, and both take their network from one file."""
    images = fakes(folders).transpose(0, 3, 1, 2)
    real, fake = images[:12], images[8:20]
    fid = metric(torchmetrics.FrechetInceptionDistance, weights)
    kid = metric(torchmetrics.KernelInceptionDistance, weights, subset_size=10, subsets=4)
    inception_score = metric(torchmetrics.InceptionScore, weights, splits=2)
    for part in np.array_split(real, 3):
        fid.update(part, real=True)
        kid.update(part, real=True)
    floats = (fake / np.float32(255) + np.float32(1e-4)).clip(0, 1)
    for stand_in in (fid, kid):
        stand_in.update(fake, real=False)
    inception_score.update(fake)
    direct = torch_fidelity.calculate_metrics(
        input1=fake,
        input2=real,
        isc=True,
        fid=True,
        kid=True,
        isc_splits=2,
        kid_subsets=4,
        kid_subset_size=10,
        feature_extractor_weights_path=weights,
    )
    assert float(fid.compute()) == pytest.approx(direct["frechet_inception_distance"], rel=1e-6)
    assert float(kid.compute()[0]) == pytest.approx(direct["kernel_inception_distance_mean"], rel=1e-6)
    mean, std = inception_score.compute()
    assert float(mean) == pytest.approx(direct["inception_score_mean"], rel=1e-6)
    # Two values: the sample deviation is the root of two times that of the population.
    assert float(std) == pytest.approx(direct["inception_score_std"] * 2**0.5, rel=1e-5)
    normalized = metric(torchmetrics.FrechetInceptionDistance, weights, normalize=True, reset_real_features=False)
    normalized.merge(fid)
    normalized.reset()
    normalized.update(floats, real=False)
    assert float(normalized.compute()) == pytest.approx(direct["frechet_inception_distance"], rel=1e-6)


def test_what_torchmetrics_does_and_its_stand_in_does_not_is_told(weights):
    kinds = (torchmetrics.FrechetInceptionDistance, torchmetrics.KernelInceptionDistance, torchmetrics.InceptionScore)
    for kind in kinds:
        for wrong in ({"feature": lambda x: x}, {"sync_on_compute": False}):
            with pytest.raises(ganscope.UnsupportedError, match="torchmetrics"):
                metric(kind, weights, **wrong)
    with pytest.raises(ganscope.UnsupportedError, match="degree"):
        metric(torchmetrics.KernelInceptionDistance, weights, degree=2)
    with pytest.raises(ValueError, match="feature"):
        metric(torchmetrics.FrechetInceptionDistance, weights, feature=100)
    fid = metric(torchmetrics.FrechetInceptionDistance, weights, feature=64)
    images = np.zeros((2, 3, 32, 32), np.uint8)
    with pytest.raises(ganscope.UnsupportedError, match="batches"):
        fid(images, real=True)
    with pytest.raises(ganscope.UnsupportedError, match="cuda"):
        fid.to("cuda")
    with pytest.raises(RuntimeError, match="More than one sample"):
        fid.compute()
    with pytest.raises(TypeError, match="uint8"):
        fid.update(images / 255, real=True)
    with pytest.raises(ValueError, match="channels as NCHW"):
        fid.update(images.transpose(0, 2, 3, 1), real=True)
    with pytest.raises(ValueError, match="expected"):
        fid.update(images[0], real=True)


def test_tensors_are_sets(folders):
    torch = pytest.importorskip("torch")
    images = fakes(folders)
    options = {"metrics": "fid", "extractor": "fashion-cnn"}
    expected = ganscope.score(images, "fashion-test", **options)["fid"]
    tensor = torch.from_numpy(images.transpose(0, 3, 1, 2).copy())
    assert ganscope.score(tensor, "fashion-test", **options)["fid"] == expected
