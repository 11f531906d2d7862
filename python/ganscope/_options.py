"""Keyword arguments as JSON, and the ways to watch progress."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import Any, Union

import numpy as np

from ._errors import exception

Callback = Callable[[str, int, "int | None", str], Any]
"""``progress(what, done, total, unit)``; ``unit`` is ``items`` or ``bytes``. ``False`` stops the task."""

Progress = Union[bool, None, Callback]
"""``True`` for a bar of tqdm, or a callback."""


def encoded(options: dict[str, Any]) -> str:
    """Options as a JSON object; those that are ``None`` keep their defaults."""
    return json.dumps(options, default=_plain)


def _plain(value: Any) -> Any:
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, (np.generic, np.ndarray)):
        return value.tolist()
    raise exception("argument", f"{value!r} is a {type(value).__name__}, not an option", None)


def watcher(progress: Progress) -> Callback | None:
    """The callback of a way to watch."""
    if progress is None or progress is False:
        return None
    if progress is True:
        return Bar()
    if callable(progress):
        return progress
    raise exception("argument", f"progress is {progress!r}, expected True or a function", None)


class Bar:
    """A bar of tqdm for each part of a task."""

    def __init__(self) -> None:
        from tqdm.auto import tqdm

        self._new = tqdm
        self._bar: Any = None
        self._what = ""

    def __call__(self, what: str, done: int, total: int | None, unit: str) -> None:
        if self._bar is None or what != self._what:
            self._close()
            scale = unit == "bytes"
            self._bar = self._new(desc=what, total=total, unit="B" if scale else "it", unit_scale=scale)
            self._what = what
        self._bar.update(done - self._bar.n)
        if done == total:
            self._close()

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None
