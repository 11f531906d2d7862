"""Generators."""

from __future__ import annotations

import json
from collections.abc import Iterable
from types import TracebackType
from typing import Any

import numpy as np

from . import _ganscope
from ._errors import exception
from ._options import Progress, encoded, watcher
from ._sets import Path, as_array, is_array

Seeds = Any
"""A seed, 0 to 2**32 - 1, or several."""


class Generator:
    """A generator of images, cut where latents are explored: seeds -> ``ws`` -> images.

    Not for two threads at once; a ``with`` statement frees its memory.

    Args:
        name: a shipped model (``fashion-stylegan2``, ``fashion-biggan``), a known id, ``hub:OWNER/REPO/FILE``, or a
            checkpoint of BigGAN, R3GAN or StyleGAN 1, 2, 3 or XL.
        label: class of a conditional generator: a number, a name, or ``each`` for ``seed mod classes``.
        progress: see :func:`ganscope.score`.
        **options: fields of the library's ``DrawingRequest``: ``truncation_cutoff``, ``truncation_centers``,
            ``noise_mode``, ``prior``, ``bn_stats``, ``translate``, ``rotate``, ``key``, ``config``, ``device``, ``batch``.
    """

    def __init__(
        self, name: Path, *, label: int | str | None = None, progress: Progress = None, **options: Any
    ) -> None:
        self._progress = progress
        chosen = None if label is None else str(label)
        request = encoded({"model": name, "class": chosen, **options})
        self._generator = _ganscope.Generator(request, watcher(progress))

    def map(self, seeds: Seeds, truncation_psi: float = 1.0) -> np.ndarray[Any, np.dtype[np.float32]]:
        """Style inputs of seeds, ``(N, num_ws, w_dim)``.

        Args:
            seeds: those of NumPy's ``RandomState``, as in the published tools.
            truncation_psi: psi of StyleGAN; the threshold of the truncated normal, 0 to 1, of BigGAN.
        """
        return self._generator.map(_seeds(seeds), float(truncation_psi))

    def synthesize(self, ws: Any, truncation_psi: float = 1.0) -> np.ndarray[Any, np.dtype[np.uint8]]:
        """Images of style inputs ``(N, num_ws, w_dim)``: ``(N, H, W, 3)`` on 0..255, all with the same noise.

        Args:
            ws: style inputs, as :meth:`map` returns them; they are not truncated again.
            truncation_psi: the threshold whose batch-norm statistics BigGAN takes; without effect for StyleGAN.
        """
        if not is_array(ws) or as_array(ws).dtype.kind != "f":
            raise exception("argument", "ws is no array of floats", "give what `map` returned")
        array = np.ascontiguousarray(as_array(ws), dtype=np.float32)
        return self._generator.synthesize(array, float(truncation_psi), watcher(self._progress))

    def images(self, seeds: Seeds, truncation_psi: float = 1.0) -> np.ndarray[Any, np.dtype[np.uint8]]:
        """Images of seeds, ``(N, H, W, 3)`` on 0..255: those of ``ganscope generate``."""
        return self._generator.images(_seeds(seeds), float(truncation_psi), watcher(self._progress))

    @property
    def info(self) -> dict[str, Any]:
        """``family``, ``z_dim``, ``w_dim``, ``num_ws``, ``c_dim``, ``resolution``, ``channels``, ``classes``."""
        return json.loads(self._generator.info())

    def close(self) -> None:
        """Frees the memory of the network; the generator cannot be used afterwards."""
        self._generator.close()

    def __enter__(self) -> Generator:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _seeds(seeds: Seeds) -> list[int]:
    if isinstance(seeds, (int, np.integer)):
        seeds = [seeds]
    if isinstance(seeds, str) or not isinstance(seeds, Iterable):
        raise exception("argument", f"seeds are {seeds!r}, expected a number or several", None)
    found = []
    for seed in seeds:
        if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)):
            raise exception("argument", f"seed {seed!r} is no integer", None)
        if not 0 <= seed < 2**32:
            raise exception("bad-request", f"seed {seed} is not in 0..{2**32 - 1}", None)
        found.append(int(seed))
    return found
