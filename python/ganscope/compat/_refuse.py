"""Refusing what a stand-in does not do."""

from __future__ import annotations

from typing import Any

from .._errors import exception


def unsupported(tool: str, what: str, hint: str | None = None) -> Exception:
    """The exception for something that ``tool`` does and its stand-in does not."""
    return exception("unsupported", f"ganscope.compat.{tool} does not support {what}", hint)


def refuse_other(tool: str, given: dict[str, Any], supported: dict[str, Any]) -> None:
    """Refuses arguments that have another value than the only one supported."""
    for name, value in supported.items():
        if name in given and given[name] != value:
            raise unsupported(tool, f"{name}={given[name]!r}", f"only {name}={value!r}")
