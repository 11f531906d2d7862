"""Statistics of many images on a Ray cluster.

Each actor keeps the moments of the blocks that it was given and returns them block by block; the driver merges them. A
block is what is retried when an actor dies, so no image is counted twice.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from ._errors import exception
from ._stream import FrechetDistance

_SIDE = "reference"


class _Moments:
    """An actor: from the paths of a block to the state of its images."""

    def __init__(self, extractor: str | None, options: dict[str, Any]) -> None:
        self._fid = FrechetDistance(extractor, **options)

    def __call__(self, block: dict[str, np.ndarray[Any, Any]]) -> dict[str, np.ndarray[Any, Any]]:
        self._fid.reset()
        self._fid.update([str(path) for path in block["item"]], real=True)
        state = np.frombuffer(self._fid.state()[_SIDE], np.uint8)
        return {"state": state[None]}


def statistics(
    paths: Iterable[Any],
    extractor: str | None = None,
    *,
    num_actors: int = 2,
    num_cpus: float = 1,
    block: int = 1024,
    **options: Any,
) -> FrechetDistance:
    """Moments of image files that every node can read, as a :class:`ganscope.FrechetDistance` with a reference set.

    Args:
        paths: paths of image files.
        extractor: a name of ``ganscope.catalog()["extractors"]``.
        num_actors: actors, each with a network of its own.
        num_cpus: CPUs that Ray reserves for an actor.
        block: images of a block, the unit of work and of retries. Blocks are consecutive paths, so the result does not
            depend on the actors.
        **options: as in :class:`ganscope.FrechetDistance`.

    Returns:
        The merged moments: ``state()`` can be kept, ``update(samples, real=False)`` and ``compute()`` score against
        them.
    """
    import ray

    files = [str(path) for path in paths]
    if not files:
        raise exception("bad-request", "there are no images", None)
    context = ray.data.DataContext.get_current()
    before = context.execution_options.preserve_order
    context.execution_options.preserve_order = True
    try:
        states = (
            ray.data.from_items([{"item": path} for path in files], override_num_blocks=-(-len(files) // block))
            .map_batches(
                _Moments,
                fn_constructor_args=(extractor, options),
                batch_size=block,
                batch_format="numpy",
                compute=ray.data.ActorPoolStrategy(size=num_actors),
                num_cpus=num_cpus,
            )
            .iter_rows()
        )
        whole = FrechetDistance(extractor, **options)
        nothing = whole.state()
        for row in states:
            whole.merge({**nothing, _SIDE: np.asarray(row["state"], np.uint8).tobytes()})
    finally:
        context.execution_options.preserve_order = before
    return whole
