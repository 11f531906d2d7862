"""Every metric as a function of arrays.

Features are floats of shape ``(N, dim)``, one row per image, computed in float32 as networks give them; generated comes
first. The same numbers as ``ganscope.score`` on images with these features, to the last bit.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from . import _ganscope
from ._options import encoded
from ._sets import rows

__all__ = [
    "Clipped",
    "Manifolds",
    "PrecisionRecall",
    "Probabilistic",
    "Spread",
    "Vendi",
    "authenticity",
    "clip_mmd",
    "clipped",
    "frechet_distance",
    "frechet_distance_at_infinity",
    "inception_score",
    "kernel_distance",
    "memorization_informed_frechet_distance",
    "mind",
    "prdc",
    "precision_recall",
    "probabilistic_precision_recall",
    "rarity",
    "scores",
    "spatial_frechet_distance",
    "vendi",
]


class Spread(NamedTuple):
    """Mean and population standard deviation over splits or subsets."""

    mean: float
    std: float


class PrecisionRecall(NamedTuple):
    """Shares, 0 to 1, and their harmonic mean."""

    precision: float
    recall: float
    f_score: float


class Manifolds(NamedTuple):
    """Precision, recall and coverage are shares, 0 to 1; density is at least 0."""

    precision: float
    recall: float
    density: float
    coverage: float


class Clipped(NamedTuple):
    """Clipped Density and Coverage, 0 to 1."""

    density: float
    coverage: float


class Probabilistic(NamedTuple):
    """P-precision and P-recall, 0 to 1."""

    precision: float
    recall: float


class Vendi(NamedTuple):
    """Effective numbers of different images, of order 1, 2 and infinity."""

    first: float
    second: float
    infinite: float


def scores(name: str, generated: Any, reference: Any = None, **options: Any) -> dict[str, tuple[float, float | None]]:
    """The scores of the metric ``name`` of the catalog, each ``(value, std)``.

    Args:
        name: a name of ``ganscope.catalog()["metrics"]``.
        generated: rows that the metric reads, (N, dim): logits for ``is``, spatial features for ``sfid``, features for
            all others.
        reference: the same of the reference set.
        **options: ``seed``, ``is_splits``, ``kid_subsets``, ``kid_subset_size``, ``nearest_k``.
    """
    against = None if reference is None else rows(reference, "reference")
    found = _ganscope.score_rows(name, rows(generated, "generated"), against, encoded(options))
    return {name: (value, std) for name, value, std in found}


def frechet_distance(generated: Any, reference: Any) -> float:
    """Squared Fréchet distance of the Gaussians of two sets of features; FID, if they are Inception's.

    ``|m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2))`` with unbiased covariances (Heusel et al. 2017).
    """
    return scores("fid", generated, reference)["fid"][0]


def spatial_frechet_distance(generated: Any, reference: Any) -> float:
    """The same of flattened spatial features: sFID (Nash et al. 2021)."""
    return scores("sfid", generated, reference)["sfid"][0]


def kernel_distance(
    generated: Any, reference: Any, *, subsets: int = 100, subset_size: int = 1000, seed: int = 2020
) -> Spread:
    """Unbiased squared MMD under the kernel ``(x·y / dim + 1)^3``, over random subsets: KID (Bińkowski et al. 2018)."""
    options = {"kid_subsets": subsets, "kid_subset_size": subset_size, "seed": seed}
    mean, std = scores("kid", generated, reference, **options)["kid"]
    return Spread(mean, 0.0 if std is None else std)


def inception_score(logits: Any, *, splits: int = 10, seed: int = 2020) -> Spread:
    """``exp(mean KL(p(y|x) || p(y)))`` over splits of shuffled logits, (N, classes) (Salimans et al. 2016)."""
    mean, std = scores("is", logits, is_splits=splits, seed=seed)["is"]
    return Spread(mean, 0.0 if std is None else std)


def precision_recall(generated: Any, reference: Any, *, nearest_k: int = 3) -> PrecisionRecall:
    """Improved precision and recall (Kynkäänniemi et al. 2019), with points on a ball's surface inside."""
    found = scores("prc", generated, reference, nearest_k=nearest_k)
    return PrecisionRecall(*(found[f"prc_{name}"][0] for name in PrecisionRecall._fields))


def prdc(generated: Any, reference: Any, *, nearest_k: int = 5) -> Manifolds:
    """Precision, recall, density and coverage (Naeem et al. 2020), with points on a ball's surface outside."""
    found = scores("prdc", generated, reference, nearest_k=nearest_k)
    return Manifolds(*(found[name][0] for name in Manifolds._fields))


def clipped(generated: Any, reference: Any, *, nearest_k: int = 5) -> Clipped:
    """Clipped Density and Coverage, which fall in proportion to the share of bad images (Salvy et al. 2026)."""
    found = scores("clipped", generated, reference, nearest_k=nearest_k)
    return Clipped(*(found[f"clipped_{name}"][0] for name in Clipped._fields))


def probabilistic_precision_recall(generated: Any, reference: Any, *, nearest_k: int = 4) -> Probabilistic:
    """P-precision and P-recall: soft balls of one radius (Park and Kim 2023)."""
    found = scores("p-prc", generated, reference, nearest_k=nearest_k)
    return Probabilistic(*(found[f"p_{name}"][0] for name in Probabilistic._fields))


def rarity(generated: Any, reference: Any, *, nearest_k: int = 3) -> float:
    """Mean rarity of the generated rows within the reference manifold (Han et al. 2022), in units of the features."""
    return scores("rarity", generated, reference, nearest_k=nearest_k)["rarity"][0]


def vendi(generated: Any) -> Vendi:
    """Vendi scores of rows scaled to length one (Friedman and Dieng 2023): exponentials of Renyi entropies."""
    found = scores("vendi", generated)
    return Vendi(found["vendi"][0], found["vendi_2"][0], found["vendi_inf"][0])


def clip_mmd(generated: Any, reference: Any) -> float:
    """1000 times the squared MMD of rows scaled to length one, Gaussian kernel of width 10: CMMD (Jayasumana et al. 2024)."""
    return scores("cmmd", generated, reference)["cmmd"][0]


def mind(generated: Any, reference: Any, *, seed: int = 2020) -> float:
    """Sliced squared Wasserstein distance along 1000 random directions, times 3 dim (Berthet et al. 2026)."""
    return scores("mind", generated, reference, seed=seed)["mind"][0]


def frechet_distance_at_infinity(generated: Any, reference: Any, *, seed: int = 2020) -> float:
    """The Frechet distance that infinitely many generated rows would have (Chong and Forsyth 2020)."""
    return scores("fd-infinity", generated, reference, seed=seed)["fd_infinity"][0]


def memorization_informed_frechet_distance(generated: Any, training: Any) -> float:
    """The Frechet distance divided by a measure of memorized training rows: MIFID (Bai et al. 2021)."""
    return scores("mifid", generated, training)["mifid"][0]


def authenticity(generated: Any, training: Any) -> float:
    """Percentage of generated rows farther from the nearest training row than it is from others (Alaa et al. 2022)."""
    return scores("authpct", generated, training)["authpct"][0]
