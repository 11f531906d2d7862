"""Images for tests, and the command line that numbers are compared with."""

from __future__ import annotations

import json
import os
import subprocess
import warnings
from pathlib import Path

import numpy as np
import pytest

import ganscope

ROOT = Path(__file__).resolve().parents[2]
SAMPLES = ROOT / "models" / "samples"

# Small sets always warn of their bias.
warnings.simplefilter("ignore", ganscope.ScoreWarning)


# Rows of the comparison with the originals: tool, metric, its value, ours, the value in float64 where it is known.
comparisons: list[tuple[str, str, float, float, float | None]] = []


def pytest_terminal_summary(terminalreporter):
    """Prints the comparison as the table of docs/python.md."""
    if not comparisons:
        return
    terminalreporter.section("originals and stand-ins")
    terminalreporter.line("| tool | number | its value | ours, off by | its own error |")
    terminalreporter.line("|---|---|---|---|---|")
    for tool, metric, theirs, ours, truth in comparisons:
        off = abs(ours - (theirs if truth is None else truth)) / abs(theirs if truth is None else truth)
        error = "" if truth is None else f"{abs(theirs - truth) / abs(truth):.1e}"
        terminalreporter.line(f"| {tool} | {metric} | {theirs:.6g} | {off:.1e} | {error} |")


@pytest.fixture(autouse=True)
def no_cache(tmp_path, monkeypatch):
    """Every test has a cache of its own."""
    monkeypatch.setenv("GANSCOPE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    warnings.simplefilter("ignore", ganscope.ScoreWarning)


def pictures(count: int, seed: int, size: tuple[int, int] = (32, 32)) -> np.ndarray:
    """Smooth colored pictures, (N, H, W, 3)."""
    random = np.random.RandomState(seed)
    coarse = random.uniform(0, 255, (count, 4, 4, 3))
    y, x = (np.linspace(0, 3, side).astype(int) for side in size)
    return coarse[:, y][:, :, x].astype(np.uint8)


@pytest.fixture
def generated() -> np.ndarray:
    return pictures(40, 1)


@pytest.fixture
def reference() -> np.ndarray:
    return pictures(50, 2)


def binary() -> Path | None:
    """The command line: `$GANSCOPE_PROGRAM`, or what cargo built."""
    named = os.environ.get("GANSCOPE_PROGRAM")
    places = [Path(named)] if named else [ROOT / "target" / kind / "ganscope" for kind in ("release", "debug")]
    return next((place for place in places if place.exists()), None)


@pytest.fixture
def program():
    """Runs the command line; the JSON that it prints, where it is asked for."""
    path = binary()
    if path is None:
        pytest.skip("the program ganscope is not built")

    def run(*arguments: object, parse: bool = True):
        command = [str(path), *(str(argument) for argument in arguments)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout) if parse else done.stdout

    return run
