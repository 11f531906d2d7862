"""Runs the generators of these programs on the golden checkpoints of `tests/golden/data`.

The expected images were computed by the official PyTorch StyleGAN2-ADA and by
pytorch-pretrained-biggan, so agreement says that what is trained here is the published function.

    python training/check_golden.py
"""

import json
from pathlib import Path

import torch
from safetensors.torch import load_file

import fashion_biggan
import fashion_stylegan2

DATA = Path(__file__).parent.parent / "tests/golden/data"
TOLERANCE = 1e-4  # relative l2 error of float32 images


def check(name, ours, expected):
    error = ((ours - expected).norm() / expected.norm()).item()
    print(f"{name}: relative l2 error {error:.2e}")
    if not error < TOLERANCE:
        raise SystemExit(f"{name} differs from the reference by more than {TOLERANCE:.0e}")


@torch.no_grad()
def stylegan2():
    config = fashion_stylegan2.CONFIG | json.loads((DATA / "stylegan-configs.json").read_text())["s2-skip"]
    model = fashion_stylegan2.from_export(config, load_file(DATA / "stylegan-s2-skip.safetensors"))
    expected = load_file(DATA / "stylegan.safetensors")
    z = torch.cat([model.latents(1, 1.0, seed)[0] for seed in (85, 265)])
    for name in sorted(n for n in expected if n.startswith("s2-skip/") and n.endswith("/image")):
        _, _, setting, _ = name.split("/")
        psi, cutoff, noise = setting.split("-")
        if cutoff in ("cutoffNone", f"cutoff{config['num_ws']}"):
            check(name, model(z, float(psi.removeprefix("psi")), noise.removeprefix("noise_")), expected[name])


@torch.no_grad()
def biggan():
    config = json.loads((DATA / "biggan-tiny-config.json").read_text())
    model = fashion_biggan.from_export(config, torch.load(DATA / "biggan-tiny.bin"))
    expected = load_file(DATA / "biggan.safetensors")
    for name in sorted(n for n in expected if n.startswith("tiny/") and n.endswith("image")):
        _, setting, _ = name.split("/")
        truncation, classes, _ = setting.split("-")
        labels = torch.tensor([int(c) for c in classes.removeprefix("classes").split("_")])
        z = expected[name.replace("image", "z")]
        check(name, model(z, labels, float(truncation[1:])), expected[name])


if __name__ == "__main__":
    stylegan2()
    biggan()
