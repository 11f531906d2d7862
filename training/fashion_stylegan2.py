"""Trains `fashion-stylegan2`: StyleGAN2 at 32x32, parameters named as in the official checkpoints.

Karras et al., "Analyzing and Improving the Image Quality of StyleGAN", 2020,
https://arxiv.org/abs/1912.04958, with lazy R1, an average of the weights, and the differentiable
augmentation of Zhao et al., 2020, https://arxiv.org/abs/2006.10738. No path length penalty.

    python training/fashion_stylegan2.py --out runs/stylegan2 --export models/fashion-stylegan2.safetensors
"""

import argparse
import copy
import math
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

import fashion_data as data

CONFIG = {
    "family": "stylegan2",
    "class": "Generator",
    "z_dim": 64,
    "c_dim": 0,
    "w_dim": 64,
    "img_resolution": 32,
    "img_channels": 3,
    "mapping_kwargs": {"num_layers": 4},
    "channel_base": 1024,
    "channel_max": 128,
    "architecture": "skip",
    "resample_filter": [1, 3, 3, 1],
    "conv_clamp": None,
    "num_fp16_res": 0,
    "num_ws": 8,
}
SQRT2 = math.sqrt(2)


class Linear(nn.Module):
    """`x W^T g + b m`: weights are stored at unit scale, g = m / sqrt(in) at run time."""

    def __init__(self, inputs, outputs, bias=0.0, multiplier=1.0):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs) / multiplier)
        self.bias = nn.Parameter(torch.full([outputs], bias))
        self.multiplier = multiplier

    def forward(self, x):
        gain = self.multiplier / math.sqrt(self.weight.shape[1])
        return F.linear(x, self.weight * gain, self.bias * self.multiplier)


class Mapping(nn.Module):
    """z (N, z_dim) to w (N, w_dim); remembers the running mean of w."""

    def __init__(self, z_dim, w_dim, num_layers):
        super().__init__()
        self.num_layers = num_layers
        for i in range(num_layers):
            self.add_module(f"fc{i}", Linear(z_dim if i == 0 else w_dim, w_dim, multiplier=0.01))
        self.register_buffer("w_avg", torch.zeros(w_dim))

    def forward(self, z):
        x = z * (z.square().mean(1, keepdim=True) + 1e-8).rsqrt()
        for i in range(self.num_layers):
            x = F.leaky_relu(getattr(self, f"fc{i}")(x), 0.2) * SQRT2
        return x


def fir(taps):
    taps = torch.tensor(taps, dtype=torch.float32)
    return torch.outer(taps, taps) / taps.sum() ** 2


def upsampling_kernel(weight, taps):
    """One 3x3 kernel for each of the four output phases, (4 O, I, 3, 3).

    Equal to a transposed convolution with stride 2 followed by the low-pass filter with gain 4.
    """
    o, i = weight.shape[:2]
    unit = torch.eye(9).reshape(9, 1, 3, 3)
    joint = F.conv2d(F.pad(unit, [3] * 4), 4 * taps[None, None]).flip(2, 3)
    phases = torch.stack([joint[:, 0, 1 - y :: 2, 1 - x :: 2] for y in (0, 1) for x in (0, 1)], 1)
    kernel = weight.reshape(o, i, 9) @ phases.reshape(9, 36)
    return kernel.reshape(o, i, 4, 3, 3).transpose(1, 2).reshape(4 * o, i, 3, 3)


class Layer(nn.Module):
    """Modulated 3x3 convolution, noise, bias, leaky ReLU; doubles the resolution if `up`."""

    def __init__(self, inputs, outputs, w_dim, resolution, up, taps, clamp):
        super().__init__()
        self.up, self.clamp = up, clamp
        self.affine = Linear(w_dim, inputs, bias=1.0)
        self.weight = nn.Parameter(torch.randn(outputs, inputs, 3, 3))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.noise_strength = nn.Parameter(torch.zeros([]))
        self.register_buffer("noise_const", torch.randn(resolution, resolution))
        self.register_buffer("resample_filter", fir(taps))

    def forward(self, x, w, noise):
        styles = self.affine(w)
        demodulation = (styles.square() @ self.weight.square().sum((2, 3)).T + 1e-8).rsqrt()
        x = x * styles.to(x.dtype)[:, :, None, None]
        if self.up:
            kernel = upsampling_kernel(self.weight, self.resample_filter)
            x = F.pixel_shuffle(F.conv2d(x, kernel.to(x.dtype), padding=1), 2)
        else:
            x = F.conv2d(x, self.weight.to(x.dtype), padding=1)
        x = x * (SQRT2 * demodulation).to(x.dtype)[:, :, None, None]
        shift = self.bias[:, None, None]
        if noise == "const":
            shift = shift + self.noise_const * self.noise_strength
        elif noise == "random":
            shift = shift + torch.randn(len(x), 1, *x.shape[2:]) * self.noise_strength
        x = F.leaky_relu(x + (SQRT2 * shift).to(x.dtype), 0.2)
        return x if self.clamp is None else x.clamp(-self.clamp * SQRT2, self.clamp * SQRT2)


class ToRgb(nn.Module):
    """Modulated 1x1 convolution to image channels, without demodulation."""

    def __init__(self, inputs, channels, w_dim, clamp):
        super().__init__()
        self.clamp = clamp
        self.affine = Linear(w_dim, inputs, bias=1.0)
        self.weight = nn.Parameter(torch.randn(channels, inputs, 1, 1))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x, w):
        styles = self.affine(w) / math.sqrt(self.weight.shape[1])
        x = F.conv2d(x * styles.to(x.dtype)[:, :, None, None], self.weight.to(x.dtype)).float()
        x = x + self.bias[:, None, None]
        return x if self.clamp is None else x.clamp(-self.clamp, self.clamp)


class Block(nn.Module):
    """One resolution: `conv0` (up), `conv1`, and the image so far plus `torgb`."""

    def __init__(self, inputs, outputs, resolution, config, channels):
        super().__init__()
        w_dim, taps, clamp = config["w_dim"], config["resample_filter"], config["conv_clamp"]
        if inputs == 0:
            self.const = nn.Parameter(torch.randn(outputs, resolution, resolution))
        else:
            self.conv0 = Layer(inputs, outputs, w_dim, resolution, True, taps, clamp)
        self.conv1 = Layer(outputs, outputs, w_dim, resolution, False, taps, clamp)
        self.torgb = ToRgb(outputs, channels, w_dim, clamp)
        self.register_buffer("resample_filter", fir(taps))

    def forward(self, x, image, ws, noise, dtype):
        if x is None:
            x = self.const.to(dtype).expand(len(ws), -1, -1, -1)
            ws = ws.unbind(1)
        else:
            first, *ws = ws.unbind(1)
            x = self.conv0(x, first, noise)
            taps = 4 * self.resample_filter.expand(image.shape[1], 1, -1, -1)
            image = F.conv_transpose2d(image, taps, stride=2, padding=1, groups=image.shape[1])
        x = self.conv1(x, ws[0], noise)
        rgb = self.torgb(x, ws[1])
        return x, rgb if image is None else image + rgb


class Synthesis(nn.Module):
    """ws (N, num_ws, w_dim) to images (N, C, H, W); `torgb` and the next `conv0` share a style."""

    def __init__(self, config, channels):
        super().__init__()
        self.resolutions = [2**i for i in range(2, int(math.log2(config["img_resolution"])) + 1)]
        inputs = 0
        for r in self.resolutions:
            outputs = min(config["channel_base"] // r, config["channel_max"])
            self.add_module(f"b{r}", Block(inputs, outputs, r, config, channels))
            inputs = outputs

    def forward(self, ws, noise="const", dtype=torch.float32):
        x = image = None
        first = 0
        for r in self.resolutions:
            convs = 1 if r == 4 else 2
            x, image = getattr(self, f"b{r}")(x, image, ws[:, first : first + convs + 1], noise, dtype)
            first += convs
        return image


class Generator(nn.Module):
    """StyleGAN2; `channels` 1 trains on gray, an export spreads it over `img_channels`."""

    def __init__(self, config=CONFIG, channels=1):
        super().__init__()
        self.config, self.num_ws = config, config["num_ws"]
        self.mapping = Mapping(config["z_dim"], config["w_dim"], config["mapping_kwargs"]["num_layers"])
        self.synthesis = Synthesis(config, channels)

    def forward(self, z, psi=1.0, noise="const"):
        w = self.mapping.w_avg.lerp(self.mapping(z), psi)
        return self.synthesis(w[:, None].expand(-1, self.num_ws, -1), noise)

    def latents(self, count, psi, seed):
        """The z of the seeds `seed`, `seed + 1`, ..., each `RandomState(seed).randn(1, z_dim)`."""
        draw = [np.random.RandomState(s).randn(self.config["z_dim"]) for s in range(seed, seed + count)]
        return torch.tensor(np.stack(draw), dtype=torch.float32), None

    def sample(self, z, labels, psi):
        return self(z, psi)[:, :1]

    @torch.no_grad()
    def grid(self, count, psi):
        return data.to_uint8(self.sample(self.latents(count, psi, 0)[0], None, psi))


class Discriminator(nn.Module):
    """Images (N, 1, 32, 32) to logits (N,); ends in a minibatch standard deviation.

    With `classes` the logit gains the product of the features and an embedding of the label.
    """

    def __init__(self, width=64, classes=None):
        super().__init__()
        self.convs = nn.ModuleList(
            [
                Conv(4, width, 3),
                Conv(width, width, 3),
                Conv(width, 2 * width, 4, stride=2),
                Conv(2 * width, 2 * width, 3),
                Conv(2 * width, 2 * width, 4, stride=2),
            ]
        )
        self.last = Conv(2 * width + 1, 2 * width, 3)
        self.dense = Linear(2 * width * 16, 2 * width)
        self.out = Linear(2 * width, 1)
        self.embed = Linear(classes, 2 * width) if classes else None

    def forward(self, x, dtype=torch.float32, labels=None, group=4):
        x = F.pixel_unshuffle(x.to(dtype), 2).contiguous(memory_format=torch.channels_last)
        for conv in self.convs:
            x = conv(x)
        n, c, h, w = x.shape
        groups = x.float().reshape(group, n // group, c, h, w)
        std = (groups.var(0, unbiased=False) + 1e-8).sqrt().mean((1, 2, 3))
        x = torch.cat([x, std.to(x.dtype).repeat(group)[:, None, None, None].expand(-1, -1, h, w)], 1)
        x = self.last(x).flatten(1).float()
        x = F.leaky_relu(self.dense(x), 0.2) * SQRT2
        logits = self.out(x).squeeze(1)
        if labels is not None:
            one_hot = F.one_hot(labels, self.embed.weight.shape[1]).float() * math.sqrt(self.embed.weight.shape[1])
            logits = logits + (self.embed(one_hot) * x).sum(1) / math.sqrt(x.shape[1])
        return logits


class Conv(nn.Module):
    """Convolution with unit-scale weights, bias, leaky ReLU with gain sqrt 2."""

    def __init__(self, inputs, outputs, kernel, stride=1):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.stride, self.gain = stride, SQRT2 / math.sqrt(inputs * kernel * kernel)

    def forward(self, x):
        weight, bias = self.weight * self.gain, self.bias * SQRT2
        return F.leaky_relu(F.conv2d(x, weight.to(x.dtype), bias.to(x.dtype), self.stride, padding=1), 0.2)


def augment(x, shift=3, hole=12, probability=0.3):
    """Moves each image by up to `shift` pixels; blackens a `hole` x `hole` square of some."""
    n, _, h, w = x.shape
    dy, dx = torch.randint(-shift, shift + 1, (2, n, 1))
    padded = F.pad(x[:, 0], [shift] * 4, value=-1.0)
    rows = (torch.arange(h) + shift + dy)[:, :, None]
    columns = (torch.arange(w) + shift + dx)[:, None, :]
    x = padded[torch.arange(n)[:, None, None], rows, columns][:, None]
    cy, cx = torch.randint(0, h - hole, (2, n, 1))
    keep_y = (torch.arange(h) < cy) | (torch.arange(h) >= cy + hole)
    keep_x = (torch.arange(w) < cx) | (torch.arange(w) >= cx + hole)
    keep = keep_y[:, :, None] | keep_x[:, None, :] | (torch.rand(n, 1, 1) >= probability)
    return torch.where(keep[:, None], x, -1.0)


@torch.no_grad()
def tensors(model):
    """Checkpoint tensors; the one gray `torgb` channel becomes three equal ones.

    `w_avg` becomes the mean w of 20,000 latents under the averaged weights.
    """
    state = dict(model.state_dict())
    random = torch.Generator().manual_seed(0)
    state["mapping.w_avg"] = model.mapping(torch.randn(20_000, model.config["z_dim"], generator=random)).mean(0)
    for name in state:
        if name.endswith(("torgb.weight", "torgb.bias")):
            state[name] = state[name].repeat(3, *[1] * (state[name].dim() - 1))
    return state


def from_export(config, state):
    model = Generator(config, config["img_channels"])
    model.load_state_dict(state)
    return model.eval().requires_grad_(False)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--export", type=Path)
    parser.add_argument("--kimg", type=float, default=600, help="thousands of real images shown")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--steps", type=int, help="stop early")
    parser.add_argument("--lr", type=float, default=2.5e-3)
    parser.add_argument("--r1", type=float, default=0.05, help="gamma of the gradient penalty")
    parser.add_argument("--r1-interval", type=int, default=16)
    parser.add_argument("--mixing", type=float, default=0.5, help="share of samples with two styles")
    parser.add_argument("--ema-kimg", type=float, default=8, help="half-life of the weight average")
    parser.add_argument("--tick", type=int, default=250, help="steps between grids and checkpoints")
    parser.add_argument("--score-ticks", type=int, default=8, help="ticks between scores; 0 for none")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)

    images, _ = data.load("train")
    g, d = Generator(), Discriminator()
    g, d = g.to(memory_format=torch.channels_last), d.to(memory_format=torch.channels_last)
    ema = copy.deepcopy(g).requires_grad_(False)
    lazy = args.r1_interval / (args.r1_interval + 1)
    g_optimizer = torch.optim.Adam(g.parameters(), lr=args.lr, betas=(0.0, 0.99))
    d_optimizer = torch.optim.Adam(d.parameters(), lr=args.lr * lazy, betas=(0.0, 0.99**lazy))
    modules = dict(g=g, d=d, ema=ema, g_optimizer=g_optimizer, d_optimizer=d_optimizer)
    step, seconds, checkpoint = 0, 0.0, args.out / "checkpoint.pt"
    if checkpoint.exists():
        saved = torch.load(checkpoint)
        for name, module in modules.items():
            module.load_state_dict(saved[name])
        step, seconds = saved["step"], saved["seconds"]
        torch.manual_seed(args.seed + step)
    reference = None

    def ws_of(z):
        """Styles of a batch; some change to another latent at a random layer."""
        w, other = g.mapping(z), g.mapping(torch.randn_like(z))
        g.mapping.w_avg.lerp_(w.detach().mean(0), 0.005)
        layer = torch.where(torch.rand(len(z)) < args.mixing, torch.randint(1, g.num_ws, (len(z),)), g.num_ws)
        first = torch.arange(g.num_ws) < layer[:, None]
        return torch.where(first[:, :, None], w[:, None], other[:, None])

    end = min(int(args.kimg * 1000 / args.batch), args.steps or 10**9)
    last = time.time()
    for index in data.batches(len(images), args.batch, args.seed, step):
        if step >= end:
            break
        real = data.to_float(images[index])

        d.requires_grad_(False)
        fake = g.synthesis(ws_of(torch.randn(args.batch, g.config["z_dim"])), "random", torch.bfloat16)
        g_loss = F.softplus(-d(augment(fake), torch.bfloat16)).mean()
        g_optimizer.zero_grad()
        g_loss.backward()
        g_optimizer.step()

        d.requires_grad_(True)
        on_fake, on_real = (d(augment(x), torch.bfloat16) for x in (fake.detach(), real))
        d_loss = F.softplus(on_fake).mean() + F.softplus(-on_real).mean()
        d_optimizer.zero_grad()
        d_loss.backward()
        if step % args.r1_interval == 0:
            x = augment(real).requires_grad_()
            (slope,) = torch.autograd.grad(d(x).sum(), x, create_graph=True)
            (slope.square().sum((1, 2, 3)).mean() * args.r1 / 2 * args.r1_interval).backward()
        d_optimizer.step()

        step += 1
        kimg = step * args.batch / 1000
        beta = 0.5 ** (args.batch / 1000 / min(args.ema_kimg, 0.05 * kimg))
        with torch.no_grad():
            for average, p in zip(ema.parameters(), g.parameters()):
                average.lerp_(p, 1 - beta)
            ema.mapping.w_avg.copy_(g.mapping.w_avg)

        if step % args.tick == 0 or step == end:
            seconds, last = seconds + time.time() - last, time.time()
            row = dict(kimg=kimg, g_loss=g_loss.item(), d_loss=d_loss.item(), real=on_real.mean().item(), fake=on_fake.mean().item(), seconds=seconds)
            data.log(args.out / "log.csv", **row)
            data.save_grid(ema.grid(64, 1.0), args.out / f"grid-{step:06}.png", 8)
            data.save_checkpoint({name: m.state_dict() for name, m in modules.items()} | dict(step=step, seconds=seconds), checkpoint)
            if args.export:
                data.export(tensors(ema), CONFIG, args.export)
            if args.score_ticks and step % (args.tick * args.score_ticks) == 0:
                import evaluate

                reference = reference or evaluate.Reference()
                data.log(args.out / "scores.csv", kimg=kimg, **reference.scores(*evaluate.samples(ema, 5000, 1.0)))
            last = time.time()


if __name__ == "__main__":
    main()
