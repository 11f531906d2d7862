"""Trains `fashion-biggan`: a small class-conditional BigGAN-deep, parameters named as in the published port.

Brock et al., "Large Scale GAN Training for High Fidelity Natural Image Synthesis", 2019,
https://arxiv.org/abs/1809.11096: hinge loss, spectral norm and orthogonal regularisation in the
generator, conditional batch norm, self-attention, an average of the weights, and standing statistics
for 51 truncations. The discriminator judges class and image by projection (Miyato and Koyama, 2018,
https://arxiv.org/abs/1802.05637) under a lazy R1 penalty.

    python training/fashion_biggan.py --out runs/biggan --export models/fashion-biggan.safetensors
"""

import argparse
import copy
import math
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from scipy.stats import truncnorm
from torch import nn

import fashion_data as data
from fashion_stylegan2 import Discriminator, augment

CONFIG = {
    "family": "biggan-deep",
    "class": "BigGAN",
    "output_dim": 32,
    "z_dim": 20,
    "class_embed_dim": 20,
    "channel_width": 32,
    "num_classes": 10,
    "layers": [[False, 16, 8], [True, 8, 4], [False, 4, 4], [True, 4, 2], [False, 2, 2], [True, 2, 1]],
    "attention_layer_position": 3,
    "eps": 1e-4,
    "n_stats": 51,
    "img_channels": 3,
    "classes": data.CLASSES,
}


class Spectral(nn.Module):
    """A weight divided by its largest singular value, estimated by one power iteration a step."""

    def __init__(self, *shape, bias=True):
        super().__init__()
        self.weight_orig = nn.Parameter(nn.init.orthogonal_(torch.empty(shape)))
        self.bias = nn.Parameter(torch.zeros(shape[0])) if bias else None
        self.register_buffer("weight_u", F.normalize(torch.randn(shape[0]), dim=0))
        self.register_buffer("weight_v", F.normalize(torch.randn(math.prod(shape[1:])), dim=0))

    @torch.no_grad()
    def iterate(self):
        w = self.weight_orig.flatten(1)
        self.weight_v = F.normalize(w.T @ self.weight_u, dim=0)
        self.weight_u = F.normalize(w @ self.weight_v, dim=0)

    @torch.no_grad()
    def orthogonalise(self, beta):
        """Adds the gradient of beta / 2 |W W^T * (1 - I)|^2, or of W^T W where W has fewer columns than rows.

        It makes a generator amenable to truncation.
        """
        w = self.weight_orig.flatten(1)
        if len(w) <= w.shape[1]:
            slope = (w @ w.T).fill_diagonal_(0) @ w
        else:
            slope = w @ (w.T @ w).fill_diagonal_(0)
        self.weight_orig.grad += 2 * beta * slope.view_as(self.weight_orig)

    def weight(self):
        if self.training:
            self.iterate()
        return self.weight_orig / (self.weight_u @ self.weight_orig.flatten(1) @ self.weight_v)


class Linear(Spectral):
    def forward(self, x):
        return F.linear(x, self.weight(), self.bias)


class Conv(Spectral):
    def __init__(self, inputs, outputs, kernel, bias=True):
        super().__init__(outputs, inputs, kernel, kernel, bias=bias)

    def forward(self, x):
        bias = None if self.bias is None else self.bias.to(x.dtype)
        return F.conv2d(x, self.weight().to(x.dtype), bias, padding=self.weight_orig.shape[2] // 2)


class BatchNorm(nn.Module):
    """Batch norm with gain and shift from the condition, and statistics for each of n_stats truncations.

    In training the batch gives the statistics; `collect` adds them to row `collect`.
    """

    def __init__(self, channels, condition, n_stats, eps):
        super().__init__()
        self.eps, self.collect = eps, None
        self.register_buffer("running_means", torch.zeros(n_stats, channels))
        self.register_buffer("running_vars", torch.ones(n_stats, channels))
        if condition:
            self.scale = Linear(channels, condition, bias=False)
            self.offset = Linear(channels, condition, bias=False)
        else:
            self.weight = nn.Parameter(torch.ones(channels))
            self.bias = nn.Parameter(torch.zeros(channels))

    def statistics(self, psi):
        position = psi * (len(self.running_means) - 1)
        i = min(int(position + 1e-6), len(self.running_means) - 1)
        j, t = min(i + 1, len(self.running_means) - 1), max(position - i, 0.0)
        return self.running_means[i].lerp(self.running_means[j], t), self.running_vars[i].lerp(self.running_vars[j], t)

    def forward(self, x, condition, psi):
        conditional = hasattr(self, "scale")
        gain, shift = (1 + self.scale(condition), self.offset(condition)) if conditional else (self.weight[None], self.bias[None])
        if self.collect is not None:
            row, share = self.collect
            self.running_means[row] += x.mean((0, 2, 3)) * share
            self.running_vars[row] += x.var((0, 2, 3), unbiased=False) * share
        if self.training or self.collect is not None:
            x = F.batch_norm(x, None, None, training=True, eps=self.eps)
        else:
            mean, var = self.statistics(psi)
            x = F.batch_norm(x, mean, var, eps=self.eps)
        return torch.addcmul(shift.to(x.dtype)[:, :, None, None], x, gain.to(x.dtype)[:, :, None, None])


class Block(nn.Module):
    """Bottleneck of four convolutions; the shortcut drops half of the channels where the width halves."""

    def __init__(self, inputs, outputs, condition, up, n_stats, eps):
        super().__init__()
        self.up, self.outputs = up, outputs
        middle = inputs // 4
        for i, (c_in, c_out, kernel) in enumerate([(inputs, middle, 1), (middle, middle, 3), (middle, middle, 3), (middle, outputs, 1)]):
            self.add_module(f"bn_{i}", BatchNorm(c_in, condition, n_stats, eps))
            self.add_module(f"conv_{i}", Conv(c_in, c_out, kernel))

    def forward(self, x, condition, psi):
        shortcut = x[:, : self.outputs]
        for i in range(4):
            x = getattr(self, f"bn_{i}")(x, condition, psi).relu_()
            if i == 1 and self.up:
                x = F.interpolate(x, scale_factor=2)
            x = getattr(self, f"conv_{i}")(x)
        return x + (F.interpolate(shortcut, scale_factor=2) if self.up else shortcut)


class Attention(nn.Module):
    """Self-attention over positions, keys and values pooled by two."""

    def __init__(self, channels):
        super().__init__()
        self.snconv1x1_theta = Conv(channels, channels // 8, 1, bias=False)
        self.snconv1x1_phi = Conv(channels, channels // 8, 1, bias=False)
        self.snconv1x1_g = Conv(channels, channels // 2, 1, bias=False)
        self.snconv1x1_o_conv = Conv(channels // 2, channels, 1, bias=False)
        self.gamma = nn.Parameter(torch.zeros(1))

    def forward(self, x, condition, psi):
        n, _, h, w = x.shape
        theta = self.snconv1x1_theta(x).flatten(2)
        phi = F.max_pool2d(self.snconv1x1_phi(x), 2).flatten(2)
        g = F.max_pool2d(self.snconv1x1_g(x), 2).flatten(2)
        mixed = g @ (theta.transpose(1, 2) @ phi).softmax(-1).transpose(1, 2)
        return x + self.gamma.to(x.dtype) * self.snconv1x1_o_conv(mixed.unflatten(2, (h, w)))


class Synthesis(nn.Module):
    """Condition (N, 2 z_dim) to images (N, C, H, W)."""

    def __init__(self, config, channels):
        super().__init__()
        width, condition = config["channel_width"], 2 * config["z_dim"]
        norm = config["n_stats"], config["eps"]
        self.gen_z = Linear(16 * 16 * width, condition)
        self.layers = nn.ModuleList()
        for i, (up, inputs, outputs) in enumerate(config["layers"]):
            if i == config["attention_layer_position"]:
                self.layers.append(Attention(inputs * width))
            self.layers.append(Block(inputs * width, outputs * width, condition, up, *norm))
        self.bn = BatchNorm(width, None, *norm)
        self.conv_to_rgb = Conv(width, channels, 3)

    def forward(self, condition, psi, dtype):
        x = self.gen_z(condition).unflatten(1, (4, 4, -1)).permute(0, 3, 1, 2).to(dtype)
        for layer in self.layers:
            x = layer(x, condition, psi)
        return self.conv_to_rgb(self.bn(x, None, psi).relu())[:, :3].float().tanh()


class Generator(nn.Module):
    """BigGAN-deep; `channels` is the width of the last convolution, 1 in training on gray.

    The network reads `spread` z. Training draws truncnorm(-2, 2) / `spread`, so that truncation goes
    beyond what training drew, up to `spread` times as far.
    """

    def __init__(self, config=CONFIG, channels=1, spread=1.0):
        super().__init__()
        self.config, self.spread = config, spread
        self.embeddings = nn.Linear(config["num_classes"], config["z_dim"], bias=False)
        nn.init.normal_(self.embeddings.weight, std=0.5)
        self.generator = Synthesis(config, channels)

    def forward(self, z, labels, psi=1.0, dtype=torch.float32):
        return self.generator(torch.cat([self.spread * z, self.embeddings.weight.T[labels]], 1), psi, dtype)

    def latents(self, count, psi, seed):
        """psi times the truncated normal of the published port, and the classes in turn."""
        z = psi * truncnorm.rvs(-2, 2, size=(count, self.config["z_dim"]), random_state=np.random.RandomState(seed))
        return torch.tensor(z, dtype=torch.float32), torch.arange(count) % self.config["num_classes"]

    def sample(self, z, labels, psi):
        return self(z, labels, psi)[:, :1]

    @torch.no_grad()
    def grid(self, count, psi):
        z, labels = self.latents(count, psi, 0)
        return data.to_uint8(self.sample(z, labels, psi))


def class_batches(labels, size, seed, step, group=4):
    """Endless index batches in which entries i, i + size/group, ... are of one class.

    These are the groups of the discriminator's minibatch standard deviation, which thus sees the
    diversity within a class.
    """
    members = [(labels == c).nonzero().squeeze(1) for c in range(int(labels.max()) + 1)]
    while True:
        random = np.random.RandomState([seed, step])
        classes = random.randint(len(members), size=size // group)
        yield torch.stack([members[c][random.randint(len(members[c]), size=group)] for c in classes], 1).flatten()
        step += 1


@torch.no_grad()
def standing_statistics(model, rows, batches=8, size=250):
    """Fills the statistics of the given truncation rows from batches of samples."""
    model.eval()
    norms = [m for m in model.modules() if isinstance(m, BatchNorm)]
    for module in model.modules():
        if isinstance(module, Spectral):
            for _ in range(20):
                module.iterate()
    z, labels = model.latents(batches * size, 1.0, seed=1)
    for row in rows:
        for norm in norms:
            norm.running_means[row] = norm.running_vars[row] = 0
            norm.collect = row, 1 / batches
        psi = row / (model.config["n_stats"] - 1)
        for part, label in zip((psi * z).split(size), labels.split(size)):
            model(part, label)
    for norm in norms:
        norm.collect = None


def tensors(model):
    """Checkpoint tensors; the gray row of `conv_to_rgb` becomes three equal ones, the others zero.

    Three equal rows have sqrt(3) times the norm of one, which the last batch norm makes up for. What
    reads z is multiplied by the spread, and `weight_v` divided, which leaves the spectral norm.
    """
    state = dict(model.state_dict())
    width, prefix = model.config["channel_width"], "generator.conv_to_rgb."
    for leaf in ("weight_orig", "weight_u", "bias"):
        row = state[prefix + leaf]
        state[prefix + leaf] = torch.cat([row.repeat(3, *[1] * (row.dim() - 1)), row.new_zeros(width - 3, *row.shape[1:])])
    state[prefix + "weight_u"] /= math.sqrt(3)
    for leaf in ("weight", "bias"):
        state["generator.bn." + leaf] = state["generator.bn." + leaf] * math.sqrt(3)
    spread = torch.ones(2 * model.config["z_dim"])
    spread[: model.config["z_dim"]] = model.spread
    for name, module in model.named_modules():
        if isinstance(module, Linear):
            state[name + ".weight_orig"] = state[name + ".weight_orig"] * spread
            state[name + ".weight_v"] = state[name + ".weight_v"] / spread
    return state


def from_export(config, state):
    model = Generator(config, config["channel_width"])
    model.load_state_dict(state)
    return model.eval().requires_grad_(False)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--export", type=Path)
    parser.add_argument("--kimg", type=float, default=2000, help="thousands of real images shown")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--steps", type=int, help="stop early")
    parser.add_argument("--g-lr", type=float, default=2e-4)
    parser.add_argument("--d-lr", type=float, default=2.5e-3)
    parser.add_argument("--spread", type=float, default=1.25, help="how far truncation 1 goes beyond training")
    parser.add_argument("--ortho", type=float, default=1e-4, help="weight of the orthogonal regularisation")
    parser.add_argument("--r1", type=float, default=0.05, help="gamma of the gradient penalty")
    parser.add_argument("--r1-interval", type=int, default=16)
    parser.add_argument("--ema-kimg", type=float, default=16, help="half-life of the weight average")
    parser.add_argument("--tick", type=int, default=200, help="steps between grids and checkpoints")
    parser.add_argument("--score-ticks", type=int, default=8, help="ticks between scores; 0 for none")
    parser.add_argument("--stats-batches", type=int, default=4, help="batches for each standing statistic")
    parser.add_argument("--stats-size", type=int, default=250)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)

    images, labels = data.load("train")
    g, d = Generator(spread=args.spread), Discriminator(classes=10)
    g, d = g.to(memory_format=torch.channels_last), d.to(memory_format=torch.channels_last)
    spectral = [m for m in g.modules() if isinstance(m, Spectral)]
    ema = copy.deepcopy(g).requires_grad_(False)
    g_optimizer = torch.optim.Adam(g.parameters(), lr=args.g_lr, betas=(0.0, 0.99), eps=1e-6)
    d_optimizer = torch.optim.Adam(d.parameters(), lr=args.d_lr, betas=(0.0, 0.99))
    modules = dict(g=g, d=d, ema=ema, g_optimizer=g_optimizer, d_optimizer=d_optimizer)
    step, seconds, checkpoint = 0, 0.0, args.out / "checkpoint.pt"
    if checkpoint.exists():
        saved = torch.load(checkpoint)
        for name, module in modules.items():
            module.load_state_dict(saved[name])
        step, seconds = saved["step"], saved["seconds"]
        torch.manual_seed(args.seed + step)
    reference = None

    end = min(int(args.kimg * 1000 / args.batch), args.steps or 10**9)
    last = time.time()
    for index in class_batches(labels, args.batch, args.seed, step):
        if step >= end:
            break
        real, y = data.to_float(images[index]), labels[index]

        d.requires_grad_(False)
        z = nn.init.trunc_normal_(torch.empty(args.batch, CONFIG["z_dim"]), a=-2, b=2) / args.spread
        fake = g(z, y, dtype=torch.bfloat16)
        g_loss = -d(augment(fake), torch.bfloat16, y).mean()
        g_optimizer.zero_grad()
        g_loss.backward()
        for module in spectral:
            module.orthogonalise(args.ortho)
        g_optimizer.step()

        d.requires_grad_(True)
        on_fake, on_real = (d(augment(x), torch.bfloat16, y) for x in (fake.detach(), real))
        d_loss = (1 + on_fake).relu().mean() + (1 - on_real).relu().mean()
        d_optimizer.zero_grad()
        d_loss.backward()
        if step % args.r1_interval == 0:
            x = augment(real).requires_grad_()
            (slope,) = torch.autograd.grad(d(x, labels=y).sum(), x, create_graph=True)
            (slope.square().sum((1, 2, 3)).mean() * args.r1 / 2 * args.r1_interval).backward()
        d_optimizer.step()

        step += 1
        kimg = step * args.batch / 1000
        beta = 0.5 ** (args.batch / 1000 / min(args.ema_kimg, 0.05 * kimg))
        with torch.no_grad():
            for average, p in zip(ema.parameters(), g.parameters()):
                average.lerp_(p, 1 - beta)

        if step % args.tick == 0 or step == end:
            seconds, last = seconds + time.time() - last, time.time()
            row = dict(kimg=kimg, g_loss=g_loss.item(), d_loss=d_loss.item(), real=on_real.mean().item(), fake=on_fake.mean().item(), seconds=seconds)
            data.log(args.out / "log.csv", **row)
            standing_statistics(ema, [50], batches=2)
            data.save_grid(ema.grid(80, 1.0), args.out / f"grid-{step:06}.png", 10)
            data.save_checkpoint({name: m.state_dict() for name, m in modules.items()} | dict(step=step, seconds=seconds), checkpoint)
            if args.score_ticks and step % (args.tick * args.score_ticks) == 0:
                import evaluate

                reference = reference or evaluate.Reference()
                for psi in (0.16, 0.4, 0.8):
                    standing_statistics(ema, [round(psi * 50)])
                    data.log(args.out / "scores.csv", kimg=kimg, psi=psi, **reference.scores(*evaluate.samples(ema, 5000, psi)))
            last = time.time()

    if args.export:
        standing_statistics(ema, range(CONFIG["n_stats"]), args.stats_batches, args.stats_size)
        data.export(tensors(ema), CONFIG, args.export)


if __name__ == "__main__":
    main()
