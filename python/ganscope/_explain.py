"""Explanations of what a classifier sees."""

from __future__ import annotations

import base64
import html
import io
import json
from typing import Any

import numpy as np

from . import _ganscope
from ._errors import exception
from ._options import Progress, encoded, watcher
from ._sets import Set, picture


class Explanation:
    """The map of one method for one image.

    Attributes:
        map: ``(H, W)`` float32, the sum over channels: positive where a pixel speaks for the class, in the size of the
            layer that the map belongs to.
        channels: ``(H, W, C)`` float32, the map itself.
        picture: ``(H, W, 3)`` uint8, the square of the image that the network sees.
        overlay: ``(H, W, 3)`` uint8, the map in colors over the picture.
        title: what is explained, as ``dress (3)``.
        method: the method.
        report: the numbers: probabilities of classes, sums, measures where they were asked for.
    """

    def __init__(self, found: dict[str, Any], report: dict[str, Any], method: str) -> None:
        self.channels, self.overlay = found["maps"][method]
        self.map: np.ndarray[Any, Any] = self.channels.sum(axis=-1)
        self.picture: np.ndarray[Any, Any] = found["picture"]
        self.title: str = found["title"]
        self.method = method
        self.report = report

    def show(self) -> Any:
        """Draws picture and map side by side with matplotlib; returns the figure."""
        from matplotlib import pyplot

        figure, axes = pyplot.subplots(1, 2, figsize=(8, 4))
        for place, image, title in zip(axes, (self.picture, self.overlay), (self.title, self.method)):
            place.imshow(image)
            place.set_title(title)
            place.set_axis_off()
        return figure

    def __repr__(self) -> str:
        return f"<Explanation of {self.title} by {self.method}, {self.map.shape[0]} x {self.map.shape[1]}>"

    def _repr_html_(self) -> str | None:
        try:
            from PIL import Image
        except ImportError:
            return None
        png = io.BytesIO()
        Image.fromarray(self.overlay).save(png, "png")
        data = base64.b64encode(png.getvalue()).decode()
        text = html.escape(f"{self.title}, {self.method}")
        return f'<figure><img alt="{text}" src="data:image/png;base64,{data}"><figcaption>{text}</figcaption></figure>'


def explain(
    image: Set,
    model: str = "fashion-cnn",
    method: str | list[str] = "grad-cam",
    *,
    label: int | str | None = None,
    axes: str | None = None,
    progress: Progress = None,
    **options: Any,
) -> Any:
    """Which pixels speak for the answer of a classifier.

    Args:
        image: a path, an image of Pillow, an array of uint8 ``(H, W)``, ``(H, W, 3)`` or ``(3, H, W)``, or a set of
            images, see :func:`ganscope.score`.
        model: a name of ``ganscope.catalog()["classifiers"]``.
        method: a name of ``ganscope.catalog()["methods"]``, or several.
        label: class to explain, by number or name; the most probable one if missing.
        **options: fields of the library's ``ExplainRequest``: ``against``, ``than``, ``measure``, ``weights``, ``head``, ``rule``,
            ``layer``, ``steps``, ``samples``, ...

    Returns:
        An :class:`Explanation`; for several methods a dict of them by name; for a set of images a list.
    """
    methods = [method] if isinstance(method, str) else list(method)
    chosen = None if label is None else str(label)
    given = picture(image)
    request = encoded({"methods": methods, "model": model, "class": chosen, **options})
    found = _ganscope.explain(given, request, axes, watcher(progress))
    if not found:
        raise exception("bad-request", "there are no images", None)
    results = [_by_method(each, method) for each in found]
    return results[0] if len(found) == 1 else results


def _by_method(found: dict[str, Any], method: str | list[str]) -> Any:
    report = json.loads(found["report"])
    results = {name: Explanation(found, report, name) for name in found["maps"]}
    single = isinstance(method, str) and method != "all" and len(results) == 1
    return next(iter(results.values())) if single else results
