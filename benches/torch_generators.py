#!/usr/bin/env python3
"""Speed of StyleGAN2 at 256x256 (FFHQ size) and BigGAN-deep-128 in PyTorch on the CPU, float32.

    pip install torch numpy pytorch-pretrained-biggan
    python benches/torch_generators.py [--threads 2] [--runs 5] [--stylegan2 CHECKOUT]

StyleGAN2 is the generator of `training/fashion_stylegan2.py` in the published size, whose up-convolution is one
polyphase convolution; with a checkout of NVlabs/stylegan2-ada-pytorch the published code is measured too.
Weights are random: the speed does not depend on them.
"""
import argparse
import sys
import time
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parents[1] / "training"))


def median_rate(run, images, runs):
    run()
    rates = []
    for _ in range(runs):
        start = time.perf_counter()
        run()
        rates.append(images / (time.perf_counter() - start))
    return sorted(rates)[runs // 2]


def ours(batch):
    import fashion_stylegan2 as stylegan2

    config = dict(
        stylegan2.CONFIG, z_dim=512, w_dim=512, img_resolution=256, mapping_kwargs={"num_layers": 8},
        channel_base=16384, channel_max=512, num_ws=14,
    )
    generator = stylegan2.Generator(config, 3).eval().requires_grad_(False)
    return lambda: generator(torch.randn(batch, 512), 0.7)


def published(checkout, batch):
    sys.path.insert(0, checkout)
    from training.networks import Generator

    kwargs = dict(channel_base=16384, channel_max=512, num_fp16_res=0, conv_clamp=None)
    generator = Generator(512, 0, 512, 256, 3, mapping_kwargs=dict(num_layers=8), synthesis_kwargs=kwargs)
    generator.eval().requires_grad_(False)
    return lambda: generator(torch.randn(batch, 512), None, truncation_psi=0.7, noise_mode="const", force_fp32=True)


def biggan(batch):
    from pytorch_pretrained_biggan import BigGAN, BigGANConfig

    config = BigGANConfig.from_dict(BIGGAN_DEEP_128)
    generator = BigGAN(config).eval().requires_grad_(False)
    classes = torch.nn.functional.one_hot(torch.full((batch,), 207), 1000).float()
    return lambda: generator(torch.randn(batch, 128), classes, 0.5)


BIGGAN_DEEP_128 = {
    "attention_layer_position": 8, "channel_width": 128, "class_embed_dim": 128, "eps": 1e-4,
    "layers": [
        [False, 16, 16], [True, 16, 16], [False, 16, 16], [True, 16, 8], [False, 8, 8], [True, 8, 4],
        [False, 4, 4], [True, 4, 2], [False, 2, 2], [True, 2, 1],
    ],
    "n_stats": 51, "num_classes": 1000, "output_dim": 128, "z_dim": 128,
}

if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--stylegan2", help="a checkout of NVlabs/stylegan2-ada-pytorch")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    for name, make, batches in [("StyleGAN2-256", ours, (1, 4)), ("BigGAN-deep-128", biggan, (1, 4))]:
        for batch in batches:
            print(f"{name}, batch {batch}: {median_rate(make(batch), batch, args.runs):.2f} images/s", flush=True)
    if args.stylegan2:
        sys.path.pop(0)
        sys.modules.pop("training", None)
        rate = median_rate(published(args.stylegan2, 4), 4, args.runs)
        print(f"StyleGAN2-256 as published, batch 4: {rate:.2f} images/s")
