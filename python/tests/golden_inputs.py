"""Inputs of the golden numbers: recipe weights and recipe images, as tests/golden defines them."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import numpy as np
from PIL import Image

from conftest import ROOT

GOLDEN = ROOT / "tests" / "golden"


def _recipe():
    spec = importlib.util.spec_from_file_location("recipe", GOLDEN / "recipe.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


recipe = _recipe()


def expected() -> dict:
    """The golden numbers of metrics."""
    return json.loads((GOLDEN / "data" / "metrics.json").read_text())


def inception() -> dict[str, np.ndarray]:
    """The weights of the recipe Inception, under the names of torch-fidelity's checkpoint."""
    shapes = json.loads((GOLDEN / "data" / "inception-weights.json").read_text())
    return {name: recipe.tensor(name, shape, *recipe.span(name, shape)) for name, shape in shapes.items()}


def write_folders(root: Path) -> None:
    """The folders `real` and `fake` of the golden run."""
    for name, folder in expected()["end_to_end"]["folders"].items():
        (root / name).mkdir()
        sizes = folder["sizes_cycled_hw"]
        for i in range(folder["images"]):
            height, width = sizes[i % len(sizes)]
            pixels = recipe.image(folder["image_index_base"] + i, height, width)
            Image.fromarray(pixels).save(root / name / f"{i:04}.png")
