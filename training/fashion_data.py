"""Fashion-MNIST as 32x32 images, and what the training programs share.

Xiao et al., "Fashion-MNIST: a Novel Image Dataset for Benchmarking Machine Learning Algorithms",
2017, https://arxiv.org/abs/1708.07747. The files are those of the Debian package
`dataset-fashion-mnist`; set FASHION_MNIST to read them from another folder.
"""

import gzip
import hashlib
import json
import os
import sys
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors.torch import save_file

FOLDER = Path(os.environ.get("FASHION_MNIST", "/usr/share/datasets/fashion-mnist"))
CLASSES = ["t-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle-boot"]
RESOLUTION = 32


def load(split):
    """Images, uint8 (N, 1, 32, 32) with a black border of two pixels, and labels (N,).

    `split` is "train" (60,000) or "test" (10,000).
    """
    prefix = {"train": "train", "test": "t10k"}[split]
    images = _idx(f"{prefix}-images-idx3-ubyte.gz", header=16).reshape(-1, 1, 28, 28)
    labels = _idx(f"{prefix}-labels-idx1-ubyte.gz", header=8)
    images = np.pad(images, ((0, 0), (0, 0), (2, 2), (2, 2)))
    return torch.from_numpy(images), torch.from_numpy(labels.astype(np.int64))


def _idx(name, header):
    path = FOLDER / name
    if not path.exists():
        raise SystemExit(f"{path} is missing: `apt-get install dataset-fashion-mnist` or set FASHION_MNIST")
    with gzip.open(path) as file:
        return np.frombuffer(file.read(), np.uint8, offset=header)


def to_float(images):
    """uint8 0..255 to float -1..1."""
    return images.float() / 127.5 - 1


def to_uint8(images):
    """float -1..1 to uint8, rounded as `(x * 127.5 + 128)` truncated."""
    return (images * 127.5 + 128).clamp(0, 255).to(torch.uint8)


def batches(count, size, seed, step=0):
    """Endless index batches, a new permutation an epoch; starts at batch `step`."""
    per_epoch = count // size
    while True:
        epoch, first = divmod(step, per_epoch)
        order = torch.randperm(count, generator=torch.Generator().manual_seed(seed * 100_003 + epoch))
        for i in range(first, per_epoch):
            yield order[i * size : (i + 1) * size]
            step += 1


def save_grid(images, path, columns):
    """Writes uint8 (N, 1, H, W) as one PNG, row by row."""
    n, _, h, w = images.shape
    rows = (n + columns - 1) // columns
    sheet = np.zeros((rows * h, columns * w), np.uint8)
    for i, image in enumerate(images[:, 0].numpy()):
        r, c = divmod(i, columns)
        sheet[r * h : (r + 1) * h, c * w : (c + 1) * w] = image
    Image.fromarray(sheet).save(path, optimize=True)


def save_checkpoint(state, path):
    """Writes beside the target first, so that an interrupted write loses nothing."""
    part = path.with_suffix(".part")
    torch.save(state, part)
    part.replace(path)


def export(tensors, config, path, dtype=torch.float16):
    """Writes a safetensors file with `config` as JSON in its metadata; returns its sha256.

    Tensors keep their types where `dtype` is None.
    """
    tensors = {name: t.detach().to(dtype or t.dtype).contiguous() for name, t in tensors.items()}
    save_file(tensors, path, metadata={"format": "pt", "config": json.dumps(config)})
    digest = hashlib.sha256(Path(path).read_bytes()).hexdigest()
    print(f"{path}: {Path(path).stat().st_size:,} bytes, sha256 {digest}", flush=True)
    return digest


def log(path, **row):
    """Prints a row and appends it to a CSV file."""
    row = {name: f"{v:.5g}" if isinstance(v, float) else str(v) for name, v in row.items()}
    print("  ".join(f"{name} {v}" for name, v in row.items()), flush=True)
    new = not path.exists()
    with path.open("a") as file:
        if new:
            file.write(",".join(row) + "\n")
        file.write(",".join(row.values()) + "\n")


def main():
    """Writes a split as PNG files: `python training/fashion_data.py test FOLDER`."""
    split, folder = sys.argv[1], Path(sys.argv[2])
    folder.mkdir(parents=True, exist_ok=True)
    images, labels = load(split)
    for i, (image, label) in enumerate(zip(images, labels)):
        save_grid(image[None], folder / f"{i:05}-{CLASSES[label]}.png", 1)


if __name__ == "__main__":
    main()
