"""Stand-in for ``torch_fidelity.calculate_metrics`` (0.4): Inception Score, FID, KID, precision and recall."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from .. import score
from .._errors import exception
from .._sets import as_array
from ._refuse import refuse_other, unsupported

_TOOL = "torch_fidelity"

KEY_METRIC_ISC_MEAN = "inception_score_mean"
KEY_METRIC_ISC_STD = "inception_score_std"
KEY_METRIC_FID = "frechet_inception_distance"
KEY_METRIC_KID_MEAN = "kernel_inception_distance_mean"
KEY_METRIC_KID_STD = "kernel_inception_distance_std"
KEY_METRIC_PRECISION = "precision"
KEY_METRIC_RECALL = "recall"
KEY_METRIC_F_SCORE = "f_score"

_DEFAULTS: dict[str, Any] = {
    "input1": None,
    "input2": None,
    "cuda": True,
    "batch_size": 64,
    "isc": False,
    "fid": False,
    "kid": False,
    "prc": False,
    "feature_extractor": None,
    "feature_layer_fid": None,
    "feature_layer_kid": None,
    "feature_layer_prc": None,
    "feature_extractor_weights_path": None,
    "isc_splits": 10,
    "kid_subsets": 100,
    "kid_subset_size": 1000,
    "prc_neighborhood": 3,
    "samples_find_deep": False,
    "cache_root": None,
    "cache": True,
    "rng_seed": 2020,
    "verbose": True,
}

# Arguments that change no number, or only how fast it is there.
_IDLE = {
    "prc_batch_size",
    "samples_ext_lossy",
    "datasets_root",
    "datasets_download",
    "input1_cache_name",
    "input2_cache_name",
    "save_cpu_ram",
    "feature_extractor_compile",
}

# Arguments of which one value is supported.
_ONLY: dict[str, Any] = {
    "ppl": False,
    "feature_layer_isc": None,
    "feature_extractor_internal_dtype": None,
    "kid_kernel": "poly",
    "kid_kernel_poly_degree": 3,
    "kid_kernel_poly_gamma": None,
    "kid_kernel_poly_coef0": 1,
    "kid_degree": 3,
    "kid_gamma": None,
    "kid_coef0": 1,
    "samples_shuffle": True,
    "samples_find_ext": "png,jpg,jpeg",
    "samples_resize_and_crop": 0,
}

# How many images are drawn from each input that is a generator.
_SAMPLES = ("input1_model_num_samples", "input2_model_num_samples")

_INCEPTION = "inception-v3-compat"


def calculate_metrics(**kwargs: Any) -> dict[str, float]:
    """Metrics of ``input1``, against ``input2`` where they compare, as torch-fidelity computes them.

    Args:
        **kwargs: those of torch-fidelity. Inputs are whatever ``ganscope.score`` takes, a map-style dataset whose
            items are uint8 images ``(3, H, W)``, or a ``GenerativeModelBase`` such as ``GenerativeModelModuleWrapper``,
            of which ``input1_model_num_samples`` images are drawn and kept in memory; registered names and files of
            generators are not supported. ``cuda`` is without effect. Precision and recall are those of Inception
            features: torch-fidelity takes VGG-16 unless ``feature_extractor="inception-v3-compat"`` is given, which
            is required here.

    Returns:
        Values by torch-fidelity's keys.
    """
    given = {**_DEFAULTS, **kwargs}
    known = {*_DEFAULTS, *_IDLE, *_ONLY}
    for name in kwargs:
        if name in _SAMPLES:
            continue
        if name.startswith(("ppl_", "input1_model_", "input2_model_", "kid_kernel_rbf_")):
            raise unsupported(_TOOL, f"`{name}`")
        if name not in known:
            raise exception("argument", f"torch-fidelity has no argument `{name}`", None)
    refuse_other(_TOOL, kwargs, _ONLY)
    extractor = given["feature_extractor"]
    if extractor not in (None, _INCEPTION):
        raise unsupported(_TOOL, f"feature_extractor={extractor!r}", f"only {_INCEPTION!r}")
    if given["prc"] and extractor is None:
        hint = f'give feature_extractor="{_INCEPTION}"; torch-fidelity has the same numbers with it'
        raise unsupported(_TOOL, "precision and recall of VGG-16 features", hint)
    metrics = [name for name, key in (("is", "isc"), ("fid", "fid"), ("kid", "kid"), ("prc", "prc")) if given[key]]
    if not metrics:
        raise exception("bad-request", "at least one metric must be asked for", "isc, fid, kid or prc")
    if given["input1"] is None or (given["input2"] is None and metrics != ["is"]):
        name = "input1" if given["input1"] is None else "input2"
        raise exception("bad-request", f"{name} is missing", None)
    layers = {given[f"feature_layer_{key}"] for key in ("fid", "kid", "prc") if given[key]}
    if len(layers) > 1:
        raise unsupported(_TOOL, "different layers for different metrics", "call it once for each layer")
    layer = next(iter(layers), None)
    cache = given["cache_root"] if given["cache"] and given["cache_root"] else bool(given["cache"])
    comparing = [metric for metric in metrics if metric != "is"]
    parts = [["is"], comparing] if layer not in (None, "2048") and "is" in metrics else [metrics]
    inputs = [_input(given[f"input{i + 1}"], given.get(name), name, given) for i, name in enumerate(_SAMPLES)]
    found: dict[str, tuple[float, float | None]] = {}
    for part in filter(None, parts):
        report = score(
            inputs[0],
            inputs[1] if part != ["is"] else None,
            part,
            preset="torch-fidelity",
            extractor="inception",
            weights=given["feature_extractor_weights_path"],
            layer=None if part == ["is"] else layer,
            batch=given["batch_size"],
            is_splits=given["isc_splits"],
            kid_subsets=given["kid_subsets"],
            kid_subset_size=given["kid_subset_size"],
            nearest_k=given["prc_neighborhood"],
            seed=given["rng_seed"],
            recursive=given["samples_find_deep"],
            cache=cache if not isinstance(cache, os.PathLike) else os.fspath(cache),
        )
        found.update({score.name: (score.value, score.std) for score in report.scores})
    results: dict[str, float] = {}
    for name, (mean, std) in _KEYS.items():
        if name in found:
            value, spread = found[name]
            results[mean] = value
            if std is not None and spread is not None:
                results[std] = spread
    return results


_KEYS: dict[str, tuple[str, str | None]] = {
    "is": (KEY_METRIC_ISC_MEAN, KEY_METRIC_ISC_STD),
    "fid": (KEY_METRIC_FID, None),
    "kid": (KEY_METRIC_KID_MEAN, KEY_METRIC_KID_STD),
    "prc_precision": (KEY_METRIC_PRECISION, None),
    "prc_recall": (KEY_METRIC_RECALL, None),
    "prc_f_score": (KEY_METRIC_F_SCORE, None),
}

_REGISTERED = ("cifar10-", "cifar100-", "stl10-")


def _is_dataset(images: Any) -> bool:
    """Whether it is a map-style dataset of torch: neither a container of Python nor an array."""
    plain = isinstance(images, (str, list, tuple, dict)) or hasattr(images, "__array__")
    return hasattr(images, "__getitem__") and hasattr(images, "__len__") and not plain


def _input(images: Any, count: int | None, name: str, given: dict[str, Any]) -> Any:
    """The set behind an input of torch-fidelity; ``name`` is the argument with the number of samples."""
    if isinstance(images, str):
        if images.startswith(_REGISTERED):
            raise unsupported(_TOOL, f"the registered input `{images}`", "give its images as a folder or an array")
        if images.endswith((".onnx", ".pth", ".pt")):
            raise unsupported(_TOOL, "files of generators as input", "wrap it in GenerativeModelModuleWrapper")
        return images
    if all(hasattr(images, part) for part in ("z_size", "z_type", "num_classes")):
        if not isinstance(count, int) or count < 1:
            raise exception("bad-request", f"`{name}` is {count!r}, expected a positive number", None)
        return _drawn(images, count, given["batch_size"], given["rng_seed"])
    if _is_dataset(images):
        return [np.moveaxis(np.asarray(images[i]), 0, -1) for i in range(len(images))]
    if callable(images):
        hint = "wrap it in GenerativeModelModuleWrapper, or give its images; `ganscope.Generator` draws them"
        raise unsupported(_TOOL, "bare generators as input", hint)
    return images


def _drawn(generator: Any, count: int, batch: int, seed: int) -> np.ndarray[Any, Any]:
    """Images of a generator of torch from the noise that torch-fidelity draws for ``seed``, (N, 3, H, W)."""
    import torch

    random = np.random.RandomState(seed)
    if generator.z_type not in _NOISE:
        raise unsupported(_TOOL, f"noise of type {generator.z_type!r}", f"only {', '.join(_NOISE)}")
    drawn = []
    with torch.no_grad():
        for start in range(0, count, batch):
            size = min(batch, count - start)
            noise = _NOISE[generator.z_type](random, (size, generator.z_size))
            inputs = [torch.from_numpy(noise)]
            if generator.num_classes > 0:
                inputs.append(torch.from_numpy(random.randint(0, generator.num_classes, size, np.int64)))
            drawn.append(as_array(generator(*inputs).cpu()))
    return np.concatenate(drawn)


def _unit(random: np.random.RandomState, shape: tuple[int, int]) -> np.ndarray[Any, Any]:
    noise = random.rand(*shape).astype(np.float32)
    return noise / np.sqrt((noise**2).sum(-1, keepdims=True)).clip(1e-7)


_NOISE = {
    "normal": lambda random, shape: random.randn(*shape).astype(np.float32),
    "unit": _unit,
    "uniform_0_1": lambda random, shape: random.rand(*shape).astype(np.float32),
}
