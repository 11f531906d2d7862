#!/usr/bin/env python3
"""Speed of generators (float32, CPU): ganscope and PyTorch, eager and compiled, in turns (see turns.py).

    python3 -m venv .venv && .venv/bin/pip install torch numpy scipy packaging pytorch-pretrained-biggan
    git clone https://github.com/NVlabs/stylegan3
    cargo build --release --example images_per_second
    taskset -c 0,1 .venv/bin/python benches/generator_peers.py stylegan2 [--batch 4] [--threads 2] [--rounds 7]
        [--stylegan3 stylegan3]

`stylegan2` and `stylegan3` (the translation-equivariant one) have 256 x 256 pixels, the channels of FFHQ at that size, and
run the published code; `biggan` is BigGAN-deep of 128 x 128 pixels in pytorch-pretrained-biggan. Weights are random: speed
does not depend on them. ganscope reads them from a file as PyTorch or the published code writes it. StyleGAN2 is measured
in a second form, that of `training/fashion_stylegan2.py`, whose up-convolution is in one piece.
"""
import argparse, json, pickle, sys, tempfile, types
from pathlib import Path

import turns

TRAINING = Path(__file__).resolve().parents[1] / "training"
PROGRAM = "target/release/examples/images_per_second"
PSI = 0.5


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("model", choices=["stylegan2", "stylegan3", "biggan"])
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--peers", default="eager,compiled")
    parser.add_argument("--program", default=PROGRAM)
    parser.add_argument("--stylegan3", default="stylegan3", help="a checkout of NVlabs/stylegan3")
    parser.add_argument("--pause", type=float, default=0.2, help="seconds, until idle threads sleep")
    return parser.parse_args()


def published(model, checkout):
    """A network of the published code."""
    from packaging.version import parse

    # Newer releases of setuptools have no such module.
    sys.modules.setdefault("pkg_resources", types.SimpleNamespace(parse_version=parse))
    sys.path.insert(0, checkout)
    import importlib

    generator = importlib.import_module(f"training.networks_{model}").Generator
    layers = 8 if model == "stylegan2" else 2
    return generator(z_dim=512, c_dim=0, w_dim=512, img_resolution=256, img_channels=3, channel_base=16384, channel_max=512,
                     mapping_kwargs={"num_layers": layers}, num_fp16_res=0, conv_clamp=None)


def stylegan(a, folder):
    """Functions that draw a batch by their name, and the file for ganscope."""
    import torch

    network = published(a.model, a.stylegan3).eval().requires_grad_(False)
    path = Path(folder) / "network.pkl"
    with open(path, "wb") as file:
        pickle.dump({"G": None, "D": None, "G_ema": network}, file)
    z = torch.randn(a.batch, 512)
    options = {"noise_mode": "const"} if a.model == "stylegan2" else {}
    draws = {"": lambda module: module(z, None, truncation_psi=PSI, force_fp32=True, **options)}
    modules = {"": network}
    if a.model == "stylegan2":
        modules[", one piece"] = one_piece()
        draws[", one piece"] = lambda module: module(z, PSI)
    return modules, draws, path


def one_piece():
    sys.path.insert(0, str(TRAINING))
    import fashion_stylegan2 as stylegan2

    config = dict(
        stylegan2.CONFIG, z_dim=512, w_dim=512, img_resolution=256, mapping_kwargs={"num_layers": 8},
        channel_base=16384, channel_max=512, num_ws=14,
    )
    return stylegan2.Generator(config, 3).eval().requires_grad_(False)


BIGGAN_DEEP_128 = {
    "attention_layer_position": 8, "channel_width": 128, "class_embed_dim": 128, "eps": 1e-4,
    "layers": [
        [False, 16, 16], [True, 16, 16], [False, 16, 16], [True, 16, 8], [False, 8, 8], [True, 8, 4],
        [False, 4, 4], [True, 4, 2], [False, 2, 2], [True, 2, 1],
    ],
    "n_stats": 51, "num_classes": 1000, "output_dim": 128, "z_dim": 128,
}


def biggan(a, folder):
    import torch
    from pytorch_pretrained_biggan import BigGAN, BigGANConfig

    network = BigGAN(BigGANConfig.from_dict(BIGGAN_DEEP_128)).eval().requires_grad_(False)
    path = Path(folder) / "pytorch_model.bin"
    torch.save(network.state_dict(), path)
    (Path(folder) / "config.json").write_text(json.dumps(BIGGAN_DEEP_128))
    classes = torch.nn.functional.one_hot(torch.arange(a.batch), 1000).float()
    z = torch.randn(a.batch, 128)
    return {"": network}, {"": lambda module: module(z, classes, PSI)}, path


def main():
    a = arguments()
    import torch

    torch.set_num_threads(a.threads)
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as folder:
        modules, draws, path = (biggan if a.model == "biggan" else stylegan)(a, folder)
        programs = {"ganscope": turns.Ganscope([a.program, str(path), str(a.batch), "turns"], a.threads)}
        for form, module in modules.items():
            for kind in a.peers.split(","):
                module = torch.compile(module) if kind == "compiled" else module
                name = f"PyTorch {torch.__version__}, {kind}{form}"
                draw = lambda module=module, form=form: inference(draws[form], module)
                try:
                    draw()
                except Exception as error:
                    print(f"{name} fails: {type(error).__name__}: {str(error).splitlines()[0]}")
                else:
                    programs[name] = turns.timed(draw)
        title = f"{a.model}, batch {a.batch}, {a.threads} threads"
        turns.compare(title, programs, a.batch, a.rounds, a.pause)


def inference(draw, module):
    import torch

    with torch.no_grad():
        draw(module)


if __name__ == "__main__":
    main()
