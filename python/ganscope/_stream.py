"""Scores of images that come bit by bit."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from . import _ganscope
from ._errors import exception
from ._options import Progress, encoded, watcher
from ._sets import Set, given

State = Mapping[str, bytes]
"""Both sets, ``generated`` and ``reference``, each the bytes of a ``.safetensors`` file of statistics."""

_SIDES = {"generated": False, "reference": True}


class ScoreStream:
    """Scores of two sets that grow.

    Moments (``fid``, ``sfid``) take the same memory however many images there were; ``kid``, ``prc`` and ``prdc`` keep a
    row for each image, ``is`` a row of logits. Not for two threads at once: give each its own and :meth:`merge` them.
    It can be pickled.

    Args:
        metrics: names of metrics.
        axes: the order of the axes of arrays: ``NHWC``, ``NCHW`` or ``NHW``.
        progress: see :func:`ganscope.score`.
        **options: as in :func:`ganscope.score`.
    """

    def __init__(
        self, metrics: list[str], *, axes: str | None = None, progress: Progress = None, **options: Any
    ) -> None:
        self._options = {"metrics": list(metrics), **options}
        self._axes = axes
        self._progress = progress
        self._stream = _ganscope.Stream(encoded(self._options), watcher(progress))

    def update(self, images: Set, real: bool) -> None:
        """Adds images: those of the reference set if ``real``."""
        self._stream.update(given(images, "images"), bool(real), self._axes, watcher(self._progress))

    def compute(self) -> Any:
        """The scores so far by name, each ``(value, std)``."""
        return {name: (value, std) for name, _title, value, std, _higher in self._stream.scores()}

    def count(self, real: bool) -> int:
        """Number of images of a set so far."""
        return self._stream.count(bool(real))

    def moments(self, real: bool) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
        """Mean (dim,) and unbiased covariance (dim, dim) of the features of a set, float64."""
        return self._stream.moments(bool(real))

    @property
    def convention(self) -> dict[str, str]:
        """Extractor, weights, layer, resize and scaling of the features."""
        return json.loads(self._stream.convention())

    def reset(self, real: bool | None = None) -> None:
        """Forgets both sets, or the one named."""
        for side in _SIDES.values():
            if real is None or bool(real) == side:
                self._stream.reset(side)

    def state(self) -> dict[str, bytes]:
        """Both sets so far, for :meth:`merge` in another process or for files."""
        return {name: self._stream.state(real) for name, real in _SIDES.items()}

    def merge(self, other: ScoreStream | State) -> None:
        """Adds the images of another stream, or of its :meth:`state`; exact up to rounding.

        Raises:
            RequestError: if they were taken under another convention. Nothing is added then.
        """
        state = other.state() if isinstance(other, ScoreStream) else other
        if set(state) != set(_SIDES):
            raise exception("argument", f"a state has generated and reference, found {sorted(state)}", None)
        before = self.state()
        try:
            for name, real in _SIDES.items():
                self._stream.merge(state[name], real)
        except Exception:
            self.reset()
            for name, real in _SIDES.items():
                self._stream.merge(before[name], real)
            raise

    def __getstate__(self) -> dict[str, Any]:
        return {"options": self._options, "axes": self._axes, "state": self.state()}

    def __setstate__(self, pickled: dict[str, Any]) -> None:
        self._options, self._axes, self._progress = pickled["options"], pickled["axes"], None
        self._stream = _ganscope.Stream(encoded(self._options), None)
        for name, real in _SIDES.items():
            self._stream.merge(pickled["state"][name], real)


class FrechetDistance(ScoreStream):
    """Fréchet distance of two sets that grow, in the shape of torchmetrics' metrics: FID with ``extractor="inception"``.

    >>> fid = FrechetDistance(extractor="inception", preset="torch-fidelity")
    >>> fid.update(photos, real=True)
    >>> fid.update(samples, real=False)
    >>> fid.compute()

    Args:
        extractor: a name of ``ganscope.catalog()["extractors"]``.
        preset: a name of ``ganscope.catalog()["presets"]``.
        **options: as in :class:`ScoreStream`.
    """

    def __init__(self, extractor: str | None = None, preset: str = "torch-fidelity", **options: Any) -> None:
        super().__init__(["fid"], extractor=extractor, preset=preset, **options)

    def compute(self) -> float:
        """The distance of the sets so far."""
        return super().compute()["fid"][0]
