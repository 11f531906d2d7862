"""Scores a generator against the test images, on the features of `fashion-cnn`.

FD is the Fréchet distance of Heusel et al., 2017 (https://arxiv.org/abs/1706.08500) between the
pooled features of N samples and of all 10,000 test images; precision and recall follow Kynkäänniemi
et al., 2019 (https://arxiv.org/abs/1904.06991) with the third neighbor, against the first N test
images; IS is exp(mean KL(p(y|x) | p(y))) of the classifier's probabilities (Salimans et al., 2016,
https://arxiv.org/abs/1606.03498), in one split.

    python training/evaluate.py models/fashion-biggan.safetensors --csv models/curves/biggan.csv
    python training/evaluate.py train            # 5,000 training images: the floor
    python training/evaluate.py test --reference models/fashion-test.safetensors
"""

import argparse
import hashlib
import json
from pathlib import Path

import numpy as np
import torch
from safetensors import safe_open

import fashion_biggan
import fashion_classifier
import fashion_data as data
import fashion_stylegan2

MODELS = Path(__file__).parent.parent / "models"


class Reference:
    """The classifier and what it makes of the test images."""

    def __init__(self, classifier=MODELS / "fashion-cnn.safetensors", count=None):
        self.classifier = fashion_classifier.load(classifier)
        self.features, _ = self.activations(data.load("test")[0][:count])
        self.moments = moments(self.features)

    @torch.no_grad()
    def activations(self, images):
        """Pooled features, f64 (N, 128), and class probabilities (N, 10) of uint8 images."""
        pooled = torch.cat([self.classifier.pooled(data.to_float(x)) for x in images.split(250)])
        return pooled.double(), self.classifier.classifier(pooled).softmax(1).double()

    def scores(self, images, labels=None):
        """A dictionary of scores; `recognised` compares with the labels asked for."""
        features, probs = self.activations(images)
        reference = self.features[: len(features)]
        predicted = probs.argmax(1)
        row = {
            "fd": frechet_distance(moments(features), self.moments),
            "precision": inside(features, reference),
            "recall": inside(reference, features),
            "is": inception_score(probs),
            "largest_class": predicted.bincount(minlength=10).max().item() / len(predicted),
        }
        if labels is not None:
            row["recognised"] = predicted.eq(labels).double().mean().item()
        return row


def export_reference(reference, classifier, path, rows=5000):
    """Writes the statistics of the test images: exact moments, and the first `rows` features and logits."""
    mean = reference.features.mean(0)
    centred = reference.features - mean
    state = {"mean": mean, "scatter": centred.T @ centred}
    state["features"] = reference.features[:rows].half()
    state["logits"] = reference.classifier.classifier(reference.features[:rows].float()).half()
    convention = {
        "extractor": "fashion-cnn",
        "weights_sha256": hashlib.sha256(classifier.read_bytes()).hexdigest(),
        "layer": "avgpool",
        "resize": "tf-bilinear",
        "scaling": "2 x / 255 - 1",
    }
    head = {"kind": "ganscope-stats", "version": 1, "count": len(reference.features), "spatial_count": None}
    data.export(state, head | {"convention": convention}, path, dtype=None)


def moments(features):
    return features.mean(0), features.T.cov()


def frechet_distance(a, b):
    """|m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2)), the root over the eigenvalues of A C2 A with A^2 = C1."""
    values, vectors = torch.linalg.eigh(a[1])
    root = vectors * values.clamp(min=0).sqrt() @ vectors.T
    cross = torch.linalg.eigvalsh(root @ b[1] @ root).clamp(min=0).sqrt().sum()
    return ((a[0] - b[0]).square().sum() + a[1].trace() + b[1].trace() - 2 * cross).item()


def inside(points, manifold, k=3):
    """Fraction of points within the k-th neighbor distance of some point of the manifold."""
    radii = torch.cat([torch.cdist(x, manifold).kthvalue(k + 1).values for x in manifold.split(500)])
    return torch.cat([(torch.cdist(x, manifold) <= radii).any(1) for x in points.split(500)]).double().mean().item()


def inception_score(probs):
    """exp(mean KL(p(y|x) | p(y))), 1 to 10."""
    marginal = probs.mean(0)
    return (probs * (probs / marginal).clamp(min=1e-12).log()).sum(1).mean().exp().item()


@torch.no_grad()
def samples(generator, count, psi, seed=0):
    """`count` uint8 images, and their labels if the generator is conditional."""
    z, labels = generator.latents(count, psi, seed)
    images = [generator.sample(z[i : i + 100], None if labels is None else labels[i : i + 100], psi) for i in range(0, count, 100)]
    return data.to_uint8(torch.cat(images)), labels


def load(path):
    """The exported generator of a safetensors file, by the family in its metadata."""
    with safe_open(path, "pt") as file:
        config = json.loads(file.metadata()["config"])
        state = {name: file.get_tensor(name).float() for name in file.keys()}
    module = {"stylegan2": fashion_stylegan2, "biggan-deep": fashion_biggan}[config["family"]]
    return module.from_export(config, state)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("model", help="an exported generator, `train` or `test`")
    parser.add_argument("--count", type=int, default=5000)
    parser.add_argument("--psi", type=float, nargs="+", default=[0.2, 0.4, 0.5, 0.6, 0.8, 1.0])
    parser.add_argument("--csv", type=Path)
    parser.add_argument("--grid", type=Path, help="PNG of 64 samples at psi 1")
    parser.add_argument("--reference", type=Path, help="write the statistics of the test images")
    parser.add_argument("--classifier", type=Path, default=MODELS / "fashion-cnn.safetensors")
    parser.add_argument("--test", type=int, help="first test images only")
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    reference = Reference(args.classifier, args.test)
    target = args.csv or Path("/dev/null")
    if args.csv:
        args.csv.unlink(missing_ok=True)
    if args.reference:
        export_reference(reference, args.classifier, args.reference)
    if args.model in ("train", "test"):
        data.log(target, **reference.scores(data.load(args.model)[0][: args.count]))
        return
    generator = load(args.model)
    if args.grid:
        data.save_grid(generator.grid(64, 1.0), args.grid, 8)
    for psi in args.psi:
        data.log(target, psi=psi, **reference.scores(*samples(generator, args.count, psi)))


if __name__ == "__main__":
    main()
