"""The examples in the READMEs of torch-fidelity, torchmetrics (FID) and clean-fid, with the import changed.

Folders, sizes and weights are small and local ones; docs/python.md lists which examples there are and which are not supported.
"""

import numpy as np
import pytest
from PIL import Image

import ganscope
from golden_inputs import inception, recipe

# A score end to end: float32 features through a network, then statistics in float64.
END_TO_END = 1e-4


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "inception.npz"
    np.savez(path, **inception())
    return str(path)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("folders")
    for name, base in (("fake", 2000), ("real", 1000)):
        (root / name).mkdir()
        for i in range(12):
            Image.fromarray(recipe.image(base + i, 32, 32)).save(root / name / f"{i:04}.png")
    return root


def test_torch_fidelity_simple_and_medium(weights, folders):
    # The calls behind `fidelity --gpu 0 --isc --input1 cifar10-train` and `fidelity --isc --input1 ~/images/`.
    from ganscope.compat.torch_fidelity import calculate_metrics

    with pytest.raises(ganscope.UnsupportedError, match="registered input"):
        calculate_metrics(input1="cifar10-train", cuda=True, isc=True)
    metrics_dict = calculate_metrics(
        input1=str(folders / "fake"), cuda=True, isc=True, isc_splits=2, feature_extractor_weights_path=weights
    )
    assert metrics_dict.keys() == {"inception_score_mean", "inception_score_std"}


def test_torch_fidelity_quick_start(weights, folders):
    torch = pytest.importorskip("torch", reason="torch is not installed")
    wrapper = pytest.importorskip("torch_fidelity", reason="torch-fidelity is not installed")
    from ganscope.compat import torch_fidelity

    generator = torch.nn.Sequential(
        torch.nn.Linear(128, 3 * 32 * 32), torch.nn.Unflatten(1, (3, 32, 32)), torch.nn.Sigmoid(), Bytes(torch)
    )
    wrapped_generator = wrapper.GenerativeModelModuleWrapper(generator, 128, "normal", 0)
    asked = {"cuda": False, "fid": True, "kid": True, "kid_subset_size": 12, "verbose": False, "batch_size": 5}
    small = {"input1_model_num_samples": 12, "kid_subsets": 2, "feature_layer_fid": "64", "feature_layer_kid": "64"}
    asked |= small | {"input1": wrapped_generator, "input2": str(folders / "real"), "cache": False}
    ours = torch_fidelity.calculate_metrics(**asked, feature_extractor_weights_path=weights)
    path = folders / "inception.pth"
    torch.save({name: torch.from_numpy(np.array(array)) for name, array in inception().items()}, path)
    theirs = wrapper.calculate_metrics(**asked, feature_extractor_weights_path=str(path))
    assert ours.keys() == theirs.keys()
    key = "kernel_inception_distance_mean"
    assert ours[key] == pytest.approx(theirs[key], rel=END_TO_END)


def Bytes(torch):
    class Layer(torch.nn.Module):
        """Images on 0..1 as bytes, which torch-fidelity wants of a generator."""

        def forward(self, images):
            return (images * 255).to(torch.uint8)

    return Layer()


def test_torchmetrics_frechet_inception_distance(weights):
    torch = pytest.importorskip("torch", reason="torch is not installed")
    from ganscope.compat.torchmetrics import FrechetInceptionDistance

    torch.manual_seed(123)
    fid = FrechetInceptionDistance(feature=64, feature_extractor_weights_path=weights)
    imgs_dist1 = torch.randint(0, 200, (20, 3, 299, 299), dtype=torch.uint8)
    imgs_dist2 = torch.randint(100, 255, (20, 3, 299, 299), dtype=torch.uint8)
    fid.update(imgs_dist1, real=True)
    fid.update(imgs_dist2, real=False)
    found = fid.compute()
    assert isinstance(found, torch.Tensor) and found.dtype == torch.float32 and found > 0


def test_clean_fid(weights, folders):
    # `weights` instead of a download.
    from ganscope.compat import cleanfid as fid

    fdir1, fdir2 = str(folders / "fake"), str(folders / "real")
    score = fid.compute_fid(fdir1, fdir2, weights=weights)
    assert score > 0
    with pytest.raises(ganscope.UnsupportedError, match="FFHQ"):
        fid.compute_fid(fdir1, dataset_name="FFHQ", dataset_res=1024, dataset_split="trainval70k")
    with pytest.raises(ganscope.UnsupportedError, match="generators"):
        fid.compute_fid(gen=lambda z: z, dataset_name="FFHQ", dataset_res=256, num_gen=50_000, dataset_split="trainval70k")
    with pytest.raises(ganscope.UnsupportedError, match="clip"):
        fid.compute_fid(fdir1, fdir2, mode="clean", model_name="clip_vit_b_32")
    assert fid.compute_kid(fdir1, fdir2, weights=weights) != 0
    with pytest.raises(ganscope.UnsupportedError, match="brecahad"):
        fid.compute_kid(fdir1, dataset_name="brecahad", dataset_res=512, dataset_split="train")

    custom_name, mode = "readme", "clean"
    fid.make_custom_stats(custom_name, fdir2, mode="clean", weights=weights)
    stored = fid.compute_fid(fdir1, dataset_name=custom_name, mode="clean", dataset_split="custom", weights=weights)
    # Statistics in an npz are covariances, not scatters.
    assert stored == pytest.approx(score, rel=1e-9)
    assert fid.test_stats_exists(custom_name, mode)
    fid.remove_custom_stats(custom_name, mode="clean")
    assert not fid.test_stats_exists(custom_name, mode)
