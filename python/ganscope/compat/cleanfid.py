"""Stand-ins for ``cleanfid.fid`` (0.1.35): compute_fid, compute_kid, make_custom_stats and their kin."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from .. import _ganscope, features, metrics, score, statistics
from .._errors import exception
from ._refuse import refuse_other, unsupported

_TOOL = "cleanfid"

# Resize and scaling of each mode of clean-fid.
_PRESETS = {"clean": "clean-fid", "legacy_pytorch": "pytorch-fid", "legacy_tensorflow": "torch-fidelity"}

# Arguments that change no number.
_IDLE = {"num_workers", "device", "verbose", "use_dataparallel", "num_gen", "z_dim", "dataset_res", "dataset_split"}

# Arguments of which one value is supported.
_ONLY: dict[str, Any] = {
    "gen": None,
    "model_name": "inception_v3",
    "custom_feat_extractor": None,
    "custom_image_tranform": None,
    "custom_fn_resize": None,
}


def compute_fid(fdir1: Any = None, fdir2: Any = None, gen: Any = None, mode: str = "clean", **kwargs: Any) -> float:
    """FID of the images in ``fdir1`` against those in ``fdir2``, or against statistics of ``make_custom_stats``.

    Args:
        fdir1: a folder, searched with the folders in it, or whatever ``ganscope.score`` takes.
        fdir2: the same of the reference.
        gen: not supported.
        mode: ``clean``, ``legacy_pytorch`` or ``legacy_tensorflow``.
        **kwargs: those of clean-fid, of which ``dataset_name`` (with ``dataset_split="custom"``) and ``batch_size``
            have an effect, and ``weights``.
    """
    options = _options(mode, gen, kwargs)
    reference = fdir2 if fdir2 is not None else _stored(kwargs, mode, "")
    if fdir1 is None:
        raise exception("bad-request", "invalid combination of directories and models entered", "give fdir1")
    return score(fdir1, reference, "fid", **options)["fid"]


def compute_kid(fdir1: Any = None, fdir2: Any = None, gen: Any = None, mode: str = "clean", **kwargs: Any) -> float:
    """KID of the images in ``fdir1`` against those in ``fdir2``, or against statistics of ``make_custom_stats``.

    The mean over 100 subsets of 1000 images, or of as many as the smaller set has. clean-fid draws them from NumPy's
    global stream, so only sets of at most 1000 images that are equally large have one number.
    """
    options = _options(mode, gen, kwargs)
    if fdir1 is None:
        raise exception("bad-request", "invalid combination of directories and models entered", "give fdir1")
    stored = None if fdir2 is not None else _stored(kwargs, mode, "_kid")
    rows = features(fdir1, **options)
    reference = features(fdir2, **options) if stored is None else np.load(stored)["feats"]
    size = min(len(rows), len(reference), 1000)
    return metrics.kernel_distance(rows, reference, subset_size=size).mean


def make_custom_stats(
    name: str, fdir: Any, num: int | None = None, mode: str = "clean", model_name: str = "inception_v3", **kwargs: Any
) -> None:
    """Keeps statistics and features of images for ``compute_fid(..., dataset_name=name, dataset_split="custom")``."""
    options = {**_options(mode, None, {**kwargs, "model_name": model_name}), "num": num}
    if test_stats_exists(name, mode):
        hint = "delete it first with remove_custom_stats"
        raise exception("bad-request", f"the statistics `{name}` exist already", hint)
    path = _path(name, mode, "")
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = features(fdir, **options)
    np.savez_compressed(_path(name, mode, "_kid"), feats=rows)
    statistics(fdir, path, **options)


def remove_custom_stats(name: str, mode: str = "clean", model_name: str = "inception_v3") -> None:
    """Deletes what ``make_custom_stats`` kept."""
    refuse_other(_TOOL, {"model_name": model_name}, _ONLY)
    if not test_stats_exists(name, mode):
        raise exception("not-found", f"there are no statistics `{name}` of mode {mode}", None)
    for suffix in ("", "_kid"):
        _path(name, mode, suffix).unlink(missing_ok=True)


def test_stats_exists(name: str, mode: str, model_name: str = "inception_v3", metric: str = "FID") -> bool:
    """Whether ``make_custom_stats`` kept statistics under this name."""
    refuse_other(_TOOL, {"model_name": model_name}, _ONLY)
    return _path(name, mode, "_kid" if metric == "KID" else "").exists()


# Not a test, whatever pytest thinks of its name.
test_stats_exists.__test__ = False  # type: ignore[attr-defined]


def _options(mode: str, gen: Any, given: dict[str, Any]) -> dict[str, Any]:
    if mode not in _PRESETS:
        raise exception("bad-request", f"mode is {mode!r}, expected one of {list(_PRESETS)}", None)
    if gen is not None:
        raise unsupported(_TOOL, "generators", "give a folder or an array of its images")
    refuse_other(_TOOL, given, _ONLY)
    for name in given:
        if name not in {*_IDLE, *_ONLY, "dataset_name", "batch_size", "weights"}:
            raise exception("argument", f"clean-fid has no argument `{name}`", None)
    return {
        "preset": _PRESETS[mode],
        "extractor": "inception",
        "weights": given.get("weights"),
        "batch": given.get("batch_size"),
        "recursive": True,
    }


def _stored(given: dict[str, Any], mode: str, suffix: str) -> Path:
    """The file of custom statistics."""
    name = given.get("dataset_name", "FFHQ")
    if given.get("dataset_split", "train") != "custom":
        hint = "take those of its images by make_custom_stats, or give them as fdir2"
        raise unsupported(_TOOL, f"the published statistics of `{name}`", hint)
    path = _path(name, mode, suffix)
    if not path.exists():
        raise exception("not-found", f"there are no statistics `{name}` of mode {mode}", "make_custom_stats takes them")
    return path


def _path(name: str, mode: str, suffix: str) -> Path:
    """As clean-fid names it, in the cache of ganscope."""
    kept = _ganscope.cache_folder()
    if kept is None:
        raise exception("not-found", "there is no folder for caches", "set GANSCOPE_CACHE")
    if os.path.basename(name) != name or not name:
        raise exception("bad-request", f"`{name}` is no name of statistics", None)
    return kept.parent / "clean-fid" / f"{name}_{mode}_custom_na{suffix}.npz".lower()
