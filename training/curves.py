"""Draws the curves of a training run from its CSV files, as the model cards show them.

    python training/curves.py models/curves/fashion-biggan     # reads .csv and -scores.csv, writes .png
"""

import csv
import sys

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt


def rows(path):
    with open(path) as file:
        return [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]


def main():
    stem = sys.argv[1]
    log, scores = rows(stem + ".csv"), rows(stem + "-scores.csv")
    psis = sorted({row.get("psi", 1.0) for row in scores}, reverse=True)
    figure, (losses, distance, manifold) = plt.subplots(1, 3, figsize=(14, 3.4))
    for name, label in (("g_loss", "generator"), ("d_loss", "discriminator")):
        losses.plot([row["kimg"] for row in log], [row[name] for row in log], label=label, lw=1)
    losses.set_ylabel("loss")
    for i, psi in enumerate(psis):
        at_psi = [row for row in scores if row.get("psi", 1.0) == psi]
        kimg, label = [row["kimg"] for row in at_psi], f", psi {psi:g}" if len(psis) > 1 else ""
        style = dict(marker="o", ms=3, alpha=1 - i / (len(psis) + 1))
        distance.plot(kimg, [row["fd"] for row in at_psi], color="C0", label=label.removeprefix(", "), **style)
        for name, color in (("precision", "C0"), ("recall", "C1")):
            manifold.plot(kimg, [row[name] for row in at_psi], color=color, label=name + label, **style)
    distance.set_ylabel("FD (fashion-cnn)")
    distance.set_yscale("log")
    manifold.set_ylim(0, 1)
    for axes in (losses, distance, manifold):
        axes.set_xlabel("thousands of images")
        axes.spines[["top", "right"]].set_visible(False)
        if any(axes.get_legend_handles_labels()[1]):
            axes.legend(frameon=False, fontsize=8, bbox_to_anchor=(1, 1), loc="upper left")
    figure.tight_layout()
    figure.savefig(stem + ".png", dpi=80)


if __name__ == "__main__":
    main()
