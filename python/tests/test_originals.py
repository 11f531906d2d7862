"""The originals themselves beside their stand-ins: the same folders, the same recipe weights, one run.

Prints the table of docs/python.md. Where a covariance has full rank, both agree; where it has not, the distance is compared
with its value in float64, computed here from the original's own features.
"""

from importlib.metadata import version

import numpy as np
import pytest
from PIL import Image

import ganscope
from conftest import comparisons
from ganscope.compat import cleanfid, torch_fidelity, torchmetrics
from golden_inputs import inception, recipe, write_folders

torch = pytest.importorskip("torch", reason="torch is not installed")

# A score end to end: float32 features through 94 convolutions, then statistics in float64.
END_TO_END = 1e-4
# Shares of 40 and 48 images, which torch-fidelity computes in float32.
SHARE = 1e-6
# Images of each set whose features of 64 channels have covariances of full rank.
MANY = 160


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    path = tmp_path_factory.mktemp("checkpoint") / "inception.pth"
    torch.save({name: torch.from_numpy(np.array(array)) for name, array in inception().items()}, path)
    return str(path)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """`fake` and `real` of the golden run, fewer images than features; `fake64` and `real64` of full rank."""
    root = tmp_path_factory.mktemp("folders")
    write_folders(root)
    for name, base in (("fake64", 3000), ("real64", 4000)):
        (root / name).mkdir()
        for i in range(MANY):
            Image.fromarray(recipe.image(base + i, 32, 32)).save(root / name / f"{i:04}.png")
    return root


@pytest.fixture(scope="module")
def network(checkpoint):
    """torch-fidelity's Inception on images of 299 pixels that another tool has resized, float (N, 3, 299, 299) on 0..255."""
    module = pytest.importorskip("torch_fidelity.feature_extractor_inceptionv3")
    whole = module.FeatureExtractorInceptionV3(
        "inception-v3-compat", ["2048"], feature_extractor_weights_path=checkpoint
    )
    layers = list(whole.named_children())
    until = [name for name, _ in layers].index("AvgPool") + 1
    layers = torch.nn.Sequential(*(layer for _, layer in layers[:until])).eval()

    def features(images):
        with torch.no_grad():
            return layers((images - 128) / 128).flatten(1)

    return features


def stacked(folder):
    """Images of one size as a tensor (N, 3, H, W)."""
    images = [np.asarray(Image.open(path)) for path in sorted(folder.iterdir())]
    return torch.from_numpy(np.stack(images).transpose(0, 3, 1, 2).copy())


def each(folder):
    """Images as tensors (3, H, W)."""
    for path in sorted(folder.iterdir()):
        yield torch.from_numpy(np.asarray(Image.open(path)).transpose(2, 0, 1).copy())


def exact(a, b):
    """The Fréchet distance of rows in float64: the trace of the root is a sum of singular values, whatever the rank."""
    a, b = (np.asarray(rows, np.float64) for rows in (a, b))
    x, y = (rows - rows.mean(0) for rows in (a, b))
    p, q = len(a) - 1, len(b) - 1
    root = np.linalg.svd(x @ y.T, compute_uv=False).sum() / np.sqrt(p * q)
    return float(((a.mean(0) - b.mean(0)) ** 2).sum() + (x**2).sum() / p + (y**2).sum() / q - 2 * root)


def agree(tool, metric, theirs, ours, *, truth=None, **tolerance):
    """Fails unless ours is theirs, or the truth where one is given; keeps the row for the table."""
    theirs, ours = float(theirs), float(ours)
    comparisons.append((f"{tool} {version(tool)}", metric, theirs, ours, truth))
    assert ours == pytest.approx(theirs if truth is None else truth, **(tolerance or {"rel": END_TO_END})), metric


def its_network(checkpoint, layer):
    """The network of torchmetrics, which takes the weights' path in one of its three classes only."""
    from torchmetrics.image.fid import NoTrainInceptionV3

    return NoTrainInceptionV3("inception-v3-compat", [layer], feature_extractor_weights_path=checkpoint)


def of_torch_fidelity(tool, checkpoint, fake, real, **asked):
    return tool.calculate_metrics(
        input1=str(fake),
        input2=str(real),
        feature_extractor="inception-v3-compat",
        feature_extractor_weights_path=checkpoint,
        cuda=False,
        cache=False,
        verbose=False,
        **asked,
    )


def test_torch_fidelity(checkpoint, folders):
    original = pytest.importorskip("torch_fidelity", reason="torch-fidelity is not installed")
    metrics = {"isc": True, "isc_splits": 4, "fid": True, "kid": True, "kid_subset_size": 20, "kid_subsets": 5, "prc": True}
    # The images have several sizes, so it takes one at a time.
    asked = {"batch_size": 1, **metrics}
    theirs, ours = (
        of_torch_fidelity(tool, checkpoint, folders / "fake", folders / "real", **asked)
        for tool in (original, torch_fidelity)
    )
    assert ours.keys() == theirs.keys()
    module = pytest.importorskip("torch_fidelity.feature_extractor_inceptionv3")
    network = module.FeatureExtractorInceptionV3(
        "inception-v3-compat", ["2048"], feature_extractor_weights_path=checkpoint
    ).eval()
    with torch.no_grad():
        rows = [
            np.concatenate([network(image[None])[0].numpy() for image in each(folders / name)])
            for name in ("fake", "real")
        ]
    for key in theirs:
        tolerance, truth = {}, None
        if key in ("precision", "recall", "f_score"):
            tolerance = {"abs": SHARE}
        elif key.endswith("_std"):
            # A spread of nearly equal numbers loses digits; it is compared on the scale of the mean.
            tolerance = {"abs": END_TO_END * theirs[key.replace("_std", "_mean")]}
        elif key == "frechet_inception_distance":
            truth = exact(*rows)
        agree("torch-fidelity", key, theirs[key], ours[key], truth=truth, **tolerance)


def test_torch_fidelity_at_full_rank(checkpoint, folders):
    original = pytest.importorskip("torch_fidelity", reason="torch-fidelity is not installed")
    theirs, ours = (
        of_torch_fidelity(
            tool, checkpoint, folders / "fake64", folders / "real64", fid=True, feature_layer_fid="64", batch_size=32
        )["frechet_inception_distance"]
        for tool in (original, torch_fidelity)
    )
    agree("torch-fidelity", "frechet_inception_distance, 64 features", theirs, ours)


@pytest.mark.parametrize("antialias", [False, True])
def test_torchmetrics_at_full_rank(checkpoint, folders, antialias):
    original = pytest.importorskip("torchmetrics.image.fid", reason="torchmetrics is not installed")
    pytest.importorskip("torch_fidelity", reason="torch-fidelity is not installed")
    values = []
    for kind in (original.FrechetInceptionDistance, torchmetrics.FrechetInceptionDistance):
        fid = kind(feature=64, feature_extractor_weights_path=checkpoint, antialias=antialias)
        for name, real in (("fake64", False), ("real64", True)):
            for part in stacked(folders / name).split(40):
                fid.update(part, real=real)
        values.append(fid.compute())
    agree("torchmetrics", f"FrechetInceptionDistance, 64 features, antialias={antialias}", *values)


def test_torchmetrics_below_full_rank(checkpoint, folders):
    original = pytest.importorskip("torchmetrics.image.fid", reason="torchmetrics is not installed")
    pytest.importorskip("torch_fidelity", reason="torch-fidelity is not installed")
    fake, real = stacked(folders / "fake64")[:24], stacked(folders / "real64")[:24]
    values = []
    for kind in (original.FrechetInceptionDistance, torchmetrics.FrechetInceptionDistance):
        fid = kind(feature=2048, feature_extractor_weights_path=checkpoint)
        fid.update(fake, real=False)
        fid.update(real, real=True)
        values.append(fid.compute())
    network = its_network(checkpoint, "2048")
    with torch.no_grad():
        rows = [network(images) for images in (fake, real)]
    agree("torchmetrics", "FrechetInceptionDistance", *values, truth=exact(*rows))


def test_torchmetrics_without_chance(checkpoint, folders):
    """One split and subsets of the whole set, so that its shuffles, which have no seed, change nothing."""
    kid = pytest.importorskip("torchmetrics.image.kid", reason="torchmetrics is not installed")
    score = pytest.importorskip("torchmetrics.image.inception")
    pytest.importorskip("torch_fidelity", reason="torch-fidelity is not installed")
    # Darker, so that the sets differ: near zero an estimate is the rounding of the kernel, in their float32.
    fake, real = stacked(folders / "fake64")[:24] // 2, stacked(folders / "real64")[:24]
    options = {"feature_extractor_weights_path": checkpoint}
    subsets = {"subsets": 2, "subset_size": 24}
    original = kid.KernelInceptionDistance(its_network(checkpoint, "2048"), **subsets)
    ours = torchmetrics.KernelInceptionDistance(**subsets, **options)
    for metric in (original, ours):
        metric.update(fake, real=False)
        metric.update(real, real=True)
    agree("torchmetrics", "KernelInceptionDistance, mean", original.compute()[0], ours.compute()[0])
    original = score.InceptionScore(its_network(checkpoint, "logits_unbiased"), splits=1)
    ours = torchmetrics.InceptionScore(splits=1, **options)
    for metric in (original, ours):
        metric.update(fake)
    agree("torchmetrics", "InceptionScore, mean", original.compute()[0], ours.compute()[0])


def test_clean_fid(checkpoint, folders, network, monkeypatch):
    """Its own reading, resizing and distance, on torch-fidelity's network, since its own network is a download."""
    original = pytest.importorskip("cleanfid.fid", reason="clean-fid is not installed")
    monkeypatch.setattr(original, "build_feature_extractor", lambda *_, **__: network)
    quiet = {"mode": "clean", "num_workers": 0, "device": torch.device("cpu"), "verbose": False, "use_dataparallel": False}
    fake, real = str(folders / "fake"), str(folders / "real")
    rows = [original.get_folder_features(path, network, num_workers=0, device="cpu", verbose=False) for path in (fake, real)]
    theirs = original.compute_fid(fake, real, **quiet)
    ours = cleanfid.compute_fid(fake, real, weights=checkpoint, **quiet)
    agree("clean-fid", "compute_fid", theirs, ours, truth=exact(*rows))
    # Equally large sets of less than 1000 images: every subset is the whole.
    first = folders / "real40"
    first.mkdir()
    for path in sorted((folders / "real").iterdir())[:40]:
        (first / path.name).write_bytes(path.read_bytes())
    theirs = original.compute_kid(fake, str(first), **quiet)
    ours = cleanfid.compute_kid(fake, str(first), weights=checkpoint, **quiet)
    agree("clean-fid", "compute_kid", theirs, ours)


def test_the_distance_of_clean_fid_at_full_rank():
    original = pytest.importorskip("cleanfid.fid", reason="clean-fid is not installed")
    a, b = (recipe.tensor(f"features/originals/{name}", [400, 64], -1, 1) for name in ("fake", "real"))
    b = b * 1.5 + 0.25
    ours = ganscope.metrics.frechet_distance(a, b)
    # In float64, since it computes in the type of its features.
    agree("clean-fid", "fid_from_feats, 64 features", original.fid_from_feats(np.float64(a), np.float64(b)), ours)
