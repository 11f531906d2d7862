"""Trains `fashion-cnn`: five convolutions, a global average pool, a linear head.

The head sees nothing but the mean of each feature map, so a class activation map (Zhou et al.,
2016, https://arxiv.org/abs/1512.04150) explains it exactly. Batch norm follows each convolution.

    python training/fashion_classifier.py --out runs/cnn --export models/fashion-cnn.safetensors
"""

import argparse
import time
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

import fashion_data as data

WIDTHS = [32, 64, 96, 96, 128]
POOL_AFTER = [0, 1]


class FashionCnn(nn.Module):
    """Grey images (N, 1, 32, 32) in [-1, 1] to logits (N, 10); `features` gives maps (N, 128, 8, 8)."""

    def __init__(self):
        super().__init__()
        layers, channels = [], 1
        for i, width in enumerate(WIDTHS):
            layers += [nn.Conv2d(channels, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU()]
            layers += [nn.MaxPool2d(2)] if i in POOL_AFTER else []
            channels = width
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Linear(channels, len(data.CLASSES))

    def pooled(self, x):
        """The feature vector of an image, (N, 128): the input of the head."""
        return self.features(x).mean((2, 3))

    def forward(self, x):
        return self.classifier(self.pooled(x))


def config():
    """The network as a plain list of layers, in order."""
    layers, n, channels = [], 0, 3
    for i, width in enumerate(WIDTHS):
        layers += [
            {"kind": "conv2d", "name": f"features.{n}", "in": channels, "out": width, "kernel": 3, "padding": 1, "bias": False},
            {"kind": "batch_norm", "name": f"features.{n + 1}", "eps": 1e-5},
            {"kind": "relu", "name": f"features.{n + 2}"},
        ]
        n, channels = n + 3, width
        if i in POOL_AFTER:
            layers.append({"kind": "max_pool2d", "name": f"features.{n}", "kernel": 2, "stride": 2})
            n += 1
    layers.append({"kind": "global_average_pool", "name": "avgpool"})
    layers.append({"kind": "linear", "name": "classifier", "in": channels, "out": len(data.CLASSES)})
    return {
        "family": "cnn",
        "class": "FashionCnn",
        "img_resolution": data.RESOLUTION,
        "img_channels": 3,
        "mean": [0.5] * 3,
        "std": [0.5] * 3,
        "features": "avgpool",
        "layers": layers,
        "classes": data.CLASSES,
    }


def tensors(model):
    """Checkpoint tensors; the first kernel is spread over three equal color channels."""
    state = {k: v for k, v in model.state_dict().items() if not k.endswith("num_batches_tracked")}
    state["features.0.weight"] = state["features.0.weight"].repeat(1, 3, 1, 1) / 3
    return state


def load(path):
    """The exported classifier, ready for evaluation."""
    from safetensors.torch import load_file

    state = {k: v.float() for k, v in load_file(path).items()}
    state["features.0.weight"] = state["features.0.weight"].sum(1, keepdim=True)
    model = FashionCnn()
    model.load_state_dict(state, strict=False)
    return model.eval().requires_grad_(False)


def augment(x):
    """Mirrors half of the images and shifts each batch by up to two pixels."""
    x = torch.where(torch.rand(len(x), 1, 1, 1) < 0.5, x.flip(3), x)
    dy, dx = torch.randint(-2, 3, (2,)).tolist()
    return x.roll((dy, dx), (2, 3))


@torch.no_grad()
def accuracy(model, images, labels):
    hits = [model(data.to_float(x)).argmax(1).eq(y).sum() for x, y in zip(images.split(500), labels.split(500))]
    return sum(hits).item() / len(labels)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--export", type=Path)
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--steps", type=int, help="stop early")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)

    images, labels = data.load("train")
    test = data.load("test")
    model = FashionCnn().to(memory_format=torch.channels_last)
    total = args.epochs * (len(images) // args.batch)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 6e-3, total_steps=total, pct_start=0.2)
    step, checkpoint = 0, args.out / "checkpoint.pt"
    if checkpoint.exists():
        saved = torch.load(checkpoint)
        model.load_state_dict(saved["model"])
        optimizer.load_state_dict(saved["optimizer"])
        schedule.load_state_dict(saved["schedule"])
        step = saved["step"]

    start, end, mean_loss = time.time(), min(total, args.steps or total), 0.0
    for index in data.batches(len(images), args.batch, args.seed, step):
        if step >= end:
            break
        x = augment(data.to_float(images[index])).contiguous(memory_format=torch.channels_last)
        with torch.autocast("cpu", torch.bfloat16):
            logits = model(x)
        loss = F.cross_entropy(logits.float(), labels[index], label_smoothing=0.05)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        step += 1
        mean_loss += 0.01 * (loss.item() - mean_loss) if step > 1 else loss.item()
        if step % (len(images) // args.batch) == 0 or step == end:
            model.eval()
            row = dict(step=step, loss=mean_loss, test_accuracy=accuracy(model, *test), seconds=time.time() - start)
            data.log(args.out / "log.csv", **row)
            model.train()
            state = dict(model=model.state_dict(), optimizer=optimizer.state_dict(), schedule=schedule.state_dict(), step=step)
            data.save_checkpoint(state, checkpoint)

    if args.export:
        data.export(tensors(model), config(), args.export)
        print(f"test accuracy of the export {accuracy(load(args.export), *test):.4f}")


if __name__ == "__main__":
    main()
