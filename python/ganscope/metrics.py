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
    "Manifolds",
    "PrecisionRecall",
    "Spread",
    "frechet_distance",
    "inception_score",
    "kernel_distance",
    "prdc",
    "precision_recall",
    "scores",
    "spatial_frechet_distance",
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
