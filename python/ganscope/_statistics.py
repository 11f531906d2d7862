"""Statistics and features of sets."""

from __future__ import annotations

import json
import os
from typing import Any

import numpy as np

from . import _ganscope
from ._options import Progress, encoded, watcher
from ._sets import Path, Set, given


def statistics(
    images: Set, output: Path, *, axes: str | None = None, progress: Progress = None, **options: Any
) -> dict[str, Any]:
    """Writes statistics of images to a file that ``score`` and other tools read.

    Args:
        images: a set, see :func:`ganscope.score`.
        output: a ``.safetensors`` file (exact, mergeable) or an ``.npz`` (``mu`` and ``sigma`` for other tools).
        **options: fields of the library's ``StatisticsRequest``: ``shard`` (as ``"3/16"``), ``rows``, ``spatial``, and
            those of features, as ``extractor`` and ``preset``.

    Returns:
        Facts about the set: its name, the number of images, the convention, what was left out.
    """
    set_ = given(images, "images")
    return json.loads(_ganscope.statistics(set_, os.fspath(output), encoded(options), axes, watcher(progress)))


def merge_statistics(parts: list[Path], output: Path) -> int | None:
    """Merges statistics of parts of a set into those of the whole, exactly; returns the number of images."""
    return _ganscope.merge_statistics([os.fspath(part) for part in parts], os.fspath(output))


def features(
    images: Set, *, axes: str | None = None, progress: Progress = None, **options: Any
) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Features of images, (N, dim) float32, one row per image.

    Args:
        images: a set, see :func:`ganscope.score`.
        **options: ``logits=True`` for the logits (without bias), and those of features, as ``extractor``.
    """
    rows, _names, _convention = _ganscope.features(
        given(images, "images"), encoded(options), axes, watcher(progress)
    )
    return rows
