"""What may be a set of images, as the native part takes it: ``(kind, name, content)``."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from typing import Any, Union

import numpy as np

from ._errors import exception

Path = Union[str, "os.PathLike[str]"]
"""A path: a folder, an archive, an array, statistics, features, or the name of shipped statistics."""

Set = Any
"""A set of images; see :func:`ganscope.score`."""


def given(images: Set, name: str) -> tuple[str, str, Any]:
    """A set of images, or of rows of features."""
    if isinstance(images, (str, os.PathLike)):
        return "path", os.fspath(images), None
    if is_picture(images):
        raise exception("argument", f"{name} is one image, not a set", "give a list of images")
    if is_array(images):
        array = as_array(images)
        if array.ndim == 2 and array.dtype.kind == "f":
            return "rows", name, np.ascontiguousarray(array, dtype=np.float32)
        return "arrays", name, [pixels(array, name)]
    if isinstance(images, Iterable):
        return several(list(images), name)
    found = type(images).__name__
    raise exception("argument", f"{name} is a {found}, not a set of images", _SETS)


_SETS = "give a path, a list of paths or images, or an array: uint8 images or float rows of features"


def several(images: list[Any], name: str) -> tuple[str, str, Any]:
    """A set that is a list: of files, or of images of any sizes."""
    if not images:
        raise exception("bad-request", f"{name} is empty", None)
    if all(isinstance(image, (str, os.PathLike)) for image in images):
        paths = [os.fspath(image) for image in images]
        folder = next((path for path in paths if os.path.isdir(path)), None)
        if folder is not None:
            hint = "give several sets as a dict, {name: path}"
            message = f"a list of paths is one set of image files, and `{folder}` is a folder"
            raise exception("bad-request", message, hint)
        return "files", name, paths
    return "arrays", name, [one(image, f"{name}[{i}]") for i, image in enumerate(images)]


def one(image: Any, name: str) -> np.ndarray[Any, Any]:
    """One image as a set of one, (1, H, W) or (1, H, W, C) or (1, C, H, W)."""
    if is_picture(image):
        return np.asarray(image.convert("RGB"))[None]
    if not is_array(image):
        found = type(image).__name__
        message = f"{name} is a {found}, not an image"
        raise exception("argument", message, "lists of images and of paths cannot be mixed")
    array = pixels(as_array(image), name)
    if array.ndim not in (2, 3):
        raise exception("bad-request", f"{name} has shape {array.shape}, expected one image", None)
    return array[None]


def picture(image: Any, name: str = "image") -> tuple[str, str, Any]:
    """One image, or a set of them."""
    if is_picture(image):
        return "arrays", name, [one(image, name)]
    if is_array(image) and as_array(image).ndim in (2, 3):
        return "arrays", name, [one(image, name)]
    return given(image, name)


def is_picture(image: Any) -> bool:
    """Whether it is an image of Pillow."""
    module = sys.modules.get("PIL.Image")
    return module is not None and isinstance(image, module.Image)


def is_array(images: Any) -> bool:
    """Whether it is an array of NumPy or becomes one."""
    return hasattr(images, "__array__") or hasattr(images, "__dlpack__")


def as_array(images: Any) -> np.ndarray[Any, Any]:
    """An array of NumPy, of anything with ``__array__`` or ``__dlpack__`` in the memory of the CPU."""
    if isinstance(images, np.ndarray):
        return images
    try:
        if hasattr(images, "__array__"):
            return np.asarray(images)
        return np.from_dlpack(images)
    except (BufferError, RuntimeError, TypeError) as error:
        found = type(images).__name__
        message = f"a {found} cannot be read as an array: {error}"
        raise exception("argument", message, "copy it to the CPU first, as by `.detach().cpu()`") from error


def pixels(array: np.ndarray[Any, Any], name: str) -> np.ndarray[Any, Any]:
    """Images as bytes in C order."""
    if array.dtype != np.uint8:
        message = f"{name} has dtype {array.dtype} and shape {array.shape}; images are uint8 on 0..255"
        hint = "for floats on 0..1, give `(x * 255).round().astype('uint8')`" if array.dtype.kind == "f" else None
        raise exception("argument", message, hint)
    return np.ascontiguousarray(array)


def rows(array: Any, name: str) -> np.ndarray[Any, Any]:
    """Rows of features, (N, dim) float32."""
    if not is_array(array):
        raise exception("argument", f"{name} is a {type(array).__name__}, not an array", None)
    found = as_array(array)
    if found.ndim != 2 or found.dtype.kind != "f":
        message = f"{name} has dtype {found.dtype} and shape {found.shape}"
        raise exception("argument", f"{message}; rows of features are floats of shape (N, dim)", None)
    return np.ascontiguousarray(found, dtype=np.float32)
