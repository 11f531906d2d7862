"""Scores of generated image sets, latent spaces of GANs, and explanations of what networks see.

``score`` compares sets of images; ``FrechetDistance`` and ``ScoreStream`` do so bit by bit; ``metrics`` has every
metric as a function of arrays; ``Generator`` draws from BigGAN and StyleGAN; ``explain`` makes heat maps.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from . import _ganscope, metrics
from ._errors import (
    ArgumentError,
    Cancelled,
    CheckpointError,
    Error,
    InternalError,
    NetworkError,
    NotFoundError,
    RequestError,
    ScoreWarning,
    StateError,
    UnreadableError,
    UnsupportedError,
    exception,
)
from ._explain import Explanation, explain
from ._generator import Generator
from ._options import Progress, encoded, watcher
from ._report import Report, Score, parts
from ._sets import Path, Set, given
from ._statistics import features, merge_statistics, statistics
from ._stream import FrechetDistance, ScoreStream

__all__ = [
    "ArgumentError",
    "Cancelled",
    "CheckpointError",
    "Error",
    "Explanation",
    "FrechetDistance",
    "Generator",
    "InternalError",
    "NetworkError",
    "NotFoundError",
    "Path",
    "Progress",
    "Report",
    "RequestError",
    "Score",
    "ScoreStream",
    "ScoreWarning",
    "Set",
    "StateError",
    "UnreadableError",
    "UnsupportedError",
    "catalog",
    "explain",
    "features",
    "merge_statistics",
    "metrics",
    "score",
    "statistics",
]


def score(
    generated: Set | Mapping[str, Set],
    reference: Set | None = None,
    metrics: list[str] | str | None = None,
    *,
    axes: str | None = None,
    progress: Progress = None,
    **options: Any,
) -> Any:
    """Scores generated images, against a reference set unless the metrics stand alone.

    A set is one of:

    - a path: a folder, a zip or tar archive, an array of images, a file of statistics, an ``.npy`` or ``.npz`` of
      features, or the name of shipped statistics;
    - a list of paths of image files;
    - an array of uint8 on 0..255, ``(N, H, W, C)``, ``(N, C, H, W)`` or ``(N, H, W)``, where C is 1 or 3: of NumPy,
      or anything with ``__array__`` or ``__dlpack__`` in the memory of the CPU. A shape that can be read in two ways
      is an error unless ``axes`` says which;
    - a list of such images, or of images of Pillow, of any sizes;
    - an array of floats, ``(N, dim)``: rows of features.

    Args:
        generated: the generated set, or several by name.
        reference: the reference set.
        metrics: names of metrics, as ``["fid", "kid"]``; those of the preset that the sets allow if missing.
        axes: the order of the axes of arrays: ``NHWC``, ``NCHW`` or ``NHW``.
        progress: ``True`` for a bar of tqdm, or a function ``progress(what, done, total, unit)``, which stops the task
            by returning ``False``.
        **options: fields of the library's ``ScoreRequest`` by name: ``preset``, ``extractor``, ``weights``, ``layer``,
            ``resize``, ``num``, ``batch``, ``device``, ``cache``, ``recursive``, ``skip_unreadable``, ``seed``,
            ``is_splits``, ``kid_subsets``, ``kid_subset_size``, ``nearest_k``, ``force``.

    Returns:
        A :class:`Report`; for several sets, a dict of them by name.

    Raises:
        Error: one of its subclasses, each also the exception of Python that fits.
    """
    several = dict(generated) if isinstance(generated, Mapping) else {"generated": generated}
    if not several:
        raise exception("bad-request", "no generated set", None)
    names = [metrics] if isinstance(metrics, str) else metrics
    sets = [given(images, name) for name, images in several.items()]
    against = None if reference is None else given(reference, "reference")
    request = encoded({"metrics": names if names is None else list(names), **options})
    text, summary = _ganscope.score(sets, against, request, axes, watcher(progress))
    reports = parts(text, summary, len(sets))
    if isinstance(generated, Mapping):
        return dict(zip(several, reports))
    return reports[0]


def catalog() -> dict[str, dict[str, str]]:
    """Everything that can be asked for by name: what it is, by kind and name."""
    listings = json.loads(_ganscope.catalog())
    return {kind["kind"]: {entry["name"]: entry["about"] for entry in kind["entries"]} for kind in listings}
