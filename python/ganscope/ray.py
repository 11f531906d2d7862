"""Statistics of images on a Ray cluster, by Ray Data: ``ganscope.ray.statistics``.

Actors hold the network; each returns the moments of the blocks that it was given, tasks on the nodes merge those of several
blocks, and the driver merges the rest. A block is what is computed again when an actor or a node is lost: its moments are
returned once or not at all, so no image is counted twice.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Union

import numpy as np

from ._errors import exception
from ._statistics import merge_statistics
from ._stream import FrechetDistance

if TYPE_CHECKING:
    from ray.data import Dataset

Block = dict[str, "np.ndarray[Any, Any]"]

_SIDE = "reference"
# Columns of images, in the order in which they are looked for.
_COLUMNS = ("path", "image", "bytes")
# States that are merged at once, and how often, before they travel to the driver. A state of 2048 features is 34 MB, and
# the states that wait for others of their group lie in the store of objects, whose limit stops the actors.
_FAN, _LEVELS = 4, 2


class _Moments:
    """An actor: from a block of images to their state."""

    def __init__(self, extractor: str | None, options: dict[str, Any], num_cpus: float) -> None:
        # As many threads as Ray has reserved processors; they start at the first update.
        os.environ.setdefault("RAYON_NUM_THREADS", str(max(1, round(num_cpus))))
        self._fid = FrechetDistance(extractor, **options)

    def __call__(self, block: Block) -> Block:
        self._fid.reset()
        self._fid.update(_images(block), real=True)
        return {"state": np.frombuffer(self._fid.state()[_SIDE], np.uint8)[None]}


def _merge(states: Block) -> Block:
    """A task: from the states of several blocks to the state of all of them."""
    parts = list(states["state"])
    if len(parts) == 1:
        return states
    with TemporaryDirectory() as folder:
        paths = [Path(folder) / f"{i}.safetensors" for i in range(len(parts))]
        for path, part in zip(paths, parts):
            path.write_bytes(np.asarray(part, np.uint8).tobytes())
        whole = Path(folder) / "whole.safetensors"
        merge_statistics(paths, whole)
        return {"state": np.frombuffer(whole.read_bytes(), np.uint8)[None]}


def statistics(
    images: Union[Iterable[Any], Dataset],
    extractor: str | None = None,
    *,
    num_actors: int = 2,
    num_cpus: float = 1,
    block: int = 1024,
    **options: Any,
) -> FrechetDistance:
    """Moments of images, as a :class:`ganscope.FrechetDistance` with a reference set.

    Args:
        images: paths of image files that every node can read, or a dataset of Ray with a column ``path``, ``image``
            (uint8 arrays, as ``ray.data.read_images`` has them) or ``bytes`` (encoded images, as
            ``ray.data.read_binary_files`` has them).
        extractor: a name of ``ganscope.catalog()["extractors"]``.
        num_actors: actors, each with a network of its own.
        num_cpus: CPUs that Ray reserves for an actor, which takes as many threads unless ``RAYON_NUM_THREADS`` is set.
        block: images of a block, the unit of work and of retries. Paths are cut into consecutive blocks, so the result
            does not depend on the actors.
        **options: as in :class:`ganscope.FrechetDistance`.

    Returns:
        The merged moments: ``state()`` can be kept, ``update(samples, real=False)`` and ``compute()`` score against
        them.
    """
    import ray

    if isinstance(images, ray.data.Dataset):
        dataset = images
    else:
        files = [str(path) for path in images]
        if not files:
            raise exception("bad-request", "there are no images", None)
        dataset = ray.data.from_items(
            [{"path": path} for path in files], override_num_blocks=-(-len(files) // block)
        )
    context = ray.data.DataContext.get_current()
    before = context.execution_options.preserve_order
    context.execution_options.preserve_order = True
    try:
        states = dataset.map_batches(
            _Moments,
            fn_constructor_args=(extractor, options, num_cpus),
            batch_size=block,
            batch_format="numpy",
            compute=ray.data.ActorPoolStrategy(size=num_actors),
            num_cpus=num_cpus,
        )
        for _ in range(_LEVELS):
            # Without a processor of its own, as the actors may have reserved all of them.
            states = states.map_batches(_merge, batch_size=_FAN, batch_format="numpy", num_cpus=0)
        whole = FrechetDistance(extractor, **options)
        nothing = whole.state()
        for row in states.iter_rows():
            whole.merge({**nothing, _SIDE: np.asarray(row["state"], np.uint8).tobytes()})
    finally:
        context.execution_options.preserve_order = before
    if whole.count(real=True) == 0:
        raise exception("bad-request", "there are no images", None)
    return whole


def _images(block: Block) -> Any:
    """The set behind a block: paths, or a list of images."""
    column = next((name for name in _COLUMNS if name in block), None)
    if column is None:
        hint = f"give one of {', '.join(_COLUMNS)}"
        raise exception("argument", f"the dataset has no column of images, but {sorted(block)}", hint)
    if column == "path":
        return [str(path) for path in block[column]]
    if column == "image":
        return list(block[column])
    from io import BytesIO

    from PIL import Image

    return [Image.open(BytesIO(content)) for content in block[column]]
