"""Stand-ins for ``torchmetrics.image`` (1.8, 1.9): FrechetInceptionDistance, KernelInceptionDistance, InceptionScore.

Images are tensors or arrays ``(N, 3, H, W)``, uint8, or floats on 0..1 with ``normalize=True``. ``compute`` returns
tensors where torch is imported, floats otherwise. torchmetrics shuffles KID and the Inception Score without a seed: their
numbers agree as far as two runs of torchmetrics do. States of several processes are joined by ``merge``, not by
torch.distributed.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from .._errors import exception
from .._sets import as_array
from .._stream import ScoreStream
from ._refuse import refuse_other, unsupported

_TOOL = "torchmetrics"
_LAYERS = (64, 192, 768, 2048)


class _Metric:
    """What the metrics share: tensors in, tensors out."""

    _name: str

    def __init__(self, feature: Any, normalize: bool, antialias: bool, reset_real: bool, given: dict[str, Any]) -> None:
        for flag, value in (("normalize", normalize), ("reset_real_features", reset_real), ("antialias", antialias)):
            if not isinstance(value, bool):
                raise exception("bad-request", f"`{flag}` is {value!r}, expected a bool", None)
        weights = given.pop("feature_extractor_weights_path", None)
        options = given.pop("options", {})
        refuse_other(_TOOL, given, {"input_img_size": (3, 299, 299)})
        for name in given:
            if name != "input_img_size":
                raise unsupported(_TOOL, f"`{name}`", "states of several processes are joined by `merge`")
        if callable(feature):
            raise unsupported(_TOOL, "networks as `feature`", "score features by `ganscope.metrics`")
        layers = {str(layer): layer for layer in _LAYERS}
        if self._name == "is":
            if feature != "logits_unbiased":
                raise unsupported(_TOOL, f"feature={feature!r}", "only 'logits_unbiased'")
            layer = None
        elif str(feature) in layers:
            layer = str(feature)
        else:
            raise exception("bad-request", f"`feature` is {feature!r}, expected one of {_LAYERS}", None)
        self.normalize = normalize
        self.reset_real_features = reset_real
        self._stream = ScoreStream(
            [self._name],
            axes="NCHW",
            extractor="inception",
            preset="torch-fidelity",
            # torch's antialiased bilinear resize of floats is Pillow's.
            resize="pillow-bilinear" if antialias else None,
            layer=layer,
            weights=weights,
            **options,
        )

    def _update(self, imgs: Any, real: bool) -> None:
        images = as_array(imgs.detach().cpu() if hasattr(imgs, "detach") else imgs)
        if self.normalize:
            if images.dtype.kind != "f":
                raise exception("argument", f"images are {images.dtype}; with normalize=True, floats on 0..1", None)
            if not (np.isfinite(images).all() and images.min(initial=0) >= 0 and images.max(initial=0) <= 1):
                raise exception("bad-request", "with normalize=True, images are floats on 0..1", None)
            images = (images.astype(np.float32) * np.float32(255)).astype(np.uint8)
        if images.ndim != 4:
            raise exception("bad-request", f"images have shape {images.shape}, expected (N, 3, H, W)", None)
        self._stream.update(images, real)

    def _need(self, least: int) -> None:
        if min(self._stream.count(True), self._stream.count(False)) < least:
            raise exception("state", "More than one sample is required for both the real and fake", None)

    def merge(self, other: Any) -> None:
        """Adds the images of another metric of the same class."""
        self._stream.merge(other._stream)

    def to(self, device: Any) -> Any:
        """The metric itself: it runs on the CPU."""
        if str(device) != "cpu":
            raise unsupported(_TOOL, f"device {device}", "only cpu")
        return self

    def set_dtype(self, _dtype: Any) -> Any:
        """The metric itself: moments are float64 anyway."""
        return self

    def reset(self) -> None:
        """Forgets all images, those of the real set unless ``reset_real_features=False``."""
        self._stream.reset(real=False)
        if self.reset_real_features:
            self._stream.reset(real=True)

    def __call__(self, *_: Any, **__: Any) -> Any:
        raise unsupported(_TOOL, "values of single batches", "call `update`, then `compute`")


class FrechetInceptionDistance(_Metric):
    """FID: ``update(imgs, real)``, ``compute()``, ``reset()``."""

    _name = "fid"

    def __init__(
        self,
        feature: Any = 2048,
        reset_real_features: bool = True,
        normalize: bool = False,
        input_img_size: tuple[int, int, int] = (3, 299, 299),
        feature_extractor_weights_path: str | None = None,
        antialias: bool = True,
        **kwargs: Any,
    ) -> None:
        kwargs["input_img_size"] = input_img_size
        kwargs["feature_extractor_weights_path"] = feature_extractor_weights_path
        super().__init__(feature, normalize, antialias, reset_real_features, kwargs)

    def update(self, imgs: Any, real: bool) -> None:
        """Adds images."""
        self._update(imgs, real)

    def compute(self) -> Any:
        """The distance so far."""
        self._need(2)
        return _number(self._stream.compute()["fid"][0])


class KernelInceptionDistance(_Metric):
    """KID, mean and standard deviation over subsets; ``subset_size`` as in torchmetrics."""

    _name = "kid"

    def __init__(
        self,
        feature: Any = 2048,
        subsets: int = 100,
        subset_size: int = 1000,
        degree: int = 3,
        gamma: float | None = None,
        coef: float = 1.0,
        reset_real_features: bool = True,
        normalize: bool = False,
        antialias: bool = True,
        **kwargs: Any,
    ) -> None:
        kernel = {"degree": degree, "gamma": gamma, "coef": coef}
        refuse_other(_TOOL, kernel, {"degree": 3, "gamma": None, "coef": 1.0})
        kwargs["options"] = {"kid_subsets": subsets, "kid_subset_size": subset_size}
        super().__init__(feature, normalize, antialias, reset_real_features, kwargs)

    def update(self, imgs: Any, real: bool) -> None:
        """Adds images."""
        self._update(imgs, real)

    def compute(self) -> tuple[Any, Any]:
        """Mean and standard deviation so far."""
        mean, std = self._stream.compute()["kid"]
        return _number(mean), _number(std)


class InceptionScore(_Metric):
    """Inception Score, mean and sample standard deviation over splits."""

    _name = "is"

    def __init__(
        self,
        feature: Any = "logits_unbiased",
        splits: int = 10,
        normalize: bool = False,
        antialias: bool = True,
        **kwargs: Any,
    ) -> None:
        self.splits = splits
        kwargs["options"] = {"is_splits": splits}
        super().__init__(feature, normalize, antialias, True, kwargs)

    def update(self, imgs: Any) -> None:
        """Adds images."""
        self._update(imgs, False)

    def compute(self) -> tuple[Any, Any]:
        """Mean and standard deviation so far."""
        mean, std = self._stream.compute()["is"]
        # torchmetrics divides by one less than the number of splits.
        return _number(mean), _number(std * (self.splits / (self.splits - 1)) ** 0.5 if self.splits > 1 else np.nan)


def _number(value: float) -> Any:
    torch = sys.modules.get("torch")
    return value if torch is None else torch.tensor(value, dtype=torch.float32)
