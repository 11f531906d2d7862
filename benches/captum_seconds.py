#!/usr/bin/env python3
"""Seconds that each explanation of one image takes on Inception-v3 at 299 pixels in captum, on the CPU.

    pip install torch torchvision captum
    python benches/captum_seconds.py [--threads 2] [--runs 3]

The network is torchvision's, whose convolutions are those of FID Inception. captum's LRP refuses it.
"""
import argparse
import time

import torch
from captum import attr
from torchvision.models import inception_v3

parser = argparse.ArgumentParser()
parser.add_argument("--threads", type=int, default=2)
parser.add_argument("--runs", type=int, default=3)
args = parser.parse_args()
torch.set_num_threads(args.threads)
torch.manual_seed(0)
net = inception_v3(weights=None, init_weights=False, aux_logits=False, transform_input=False).eval()
for module in net.modules():
    if isinstance(module, torch.nn.ReLU):
        module.inplace = False
x = torch.randn(1, 3, 299, 299)


def pixels():
    return x.clone().requires_grad_()


methods = {
    "gradient": lambda: attr.Saliency(net).attribute(pixels(), target=7, abs=False),
    "input-x-gradient": lambda: attr.InputXGradient(net).attribute(pixels(), target=7),
    "smoothgrad": lambda: attr.NoiseTunnel(attr.Saliency(net)).attribute(
        pixels(), target=7, abs=False, nt_type="smoothgrad", nt_samples=50, nt_samples_batch_size=10, stdevs=0.15
    ),
    "integrated-gradients": lambda: attr.IntegratedGradients(net).attribute(
        pixels(), target=7, n_steps=64, internal_batch_size=10
    ),
    "occlusion": lambda: attr.Occlusion(net).attribute(
        x, target=7, sliding_window_shapes=(3, 50, 50), strides=(3, 25, 25), perturbations_per_eval=16
    ),
    "grad-cam": lambda: attr.LayerGradCam(net, net.Mixed_7c).attribute(pixels(), target=7),
}
for name, run in methods.items():
    seconds = []
    for _ in range(args.runs + 1):
        start = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - start)
    print(f"{name:22} {sorted(seconds[1:])[args.runs // 2]:.3f}", flush=True)
