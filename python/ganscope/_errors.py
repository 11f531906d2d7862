"""Exceptions and warnings. Each exception is also the one that Python users expect."""

from __future__ import annotations

import warnings


class Error(Exception):
    """A task of ganscope did not succeed.

    Attributes:
        hint: what can be done about it, or ``None``.
    """

    hint: str | None = None

    def __str__(self) -> str:
        message = super().__str__()
        return f"{message}\nhint: {self.hint}" if self.hint else message


class RequestError(Error, ValueError):
    """The request contradicts itself, or its sets do not suffice."""


class ArgumentError(Error, TypeError):
    """An argument that no parameter takes, or of a type that is no set of images."""


class NotFoundError(Error, FileNotFoundError):
    """A file or a name is not there."""


class UnreadableError(Error, OSError):
    """An input cannot be read, or an output cannot be written."""


class CheckpointError(Error, ValueError):
    """A checkpoint is not one of the network that it was given for."""


class NetworkError(Error, ConnectionError):
    """A download failed."""


class Cancelled(Error):
    """A progress callback returned ``False``."""


class StateError(Error, RuntimeError):
    """An object was closed, is used by another thread, or does not survive a fork."""


class UnsupportedError(Error, NotImplementedError):
    """Something that another tool does and its stand-in in ``ganscope.compat`` does not."""


class InternalError(Error, RuntimeError):
    """A defect of ganscope."""


class ScoreWarning(UserWarning):
    """A result that may mislead."""


_BY_KIND = {
    "bad-request": RequestError,
    "argument": ArgumentError,
    "not-found": NotFoundError,
    "unreadable-input": UnreadableError,
    "unfit-checkpoint": CheckpointError,
    "network": NetworkError,
    "cancelled": Cancelled,
    "state": StateError,
    "unsupported": UnsupportedError,
}


def exception(kind: str, message: str, hint: str | None = None) -> Error:
    """The exception of a kind of the library."""
    error = _BY_KIND.get(kind, InternalError)(message)
    error.hint = hint
    return error


def warn(text: str, hint: str | None) -> None:
    """Warns at the line that called a function of this package."""
    warnings.warn(f"{text} ({hint})" if hint else text, ScoreWarning, stacklevel=3)
