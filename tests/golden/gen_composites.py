"""Relevance by the composites of zennit 0.5.1 on networks with additions and concatenations, in float64.

Writes data/composites.safetensors, data/composites.json and data/classifier-efficientnet-lite0-weights.json.
Needs torch, torchvision, zennit and safetensors. Additions are zennit's `Sum` modules, as its canonizer of ResNet
makes them, and means are modules, so that both follow its `Norm` rule; batch norms are folded before.
Weights and images are those of recipe.py.
"""

import json
import sys
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import save_file
from torch import nn
from torchvision.models import inception, resnet18
from zennit import composites
from zennit.layer import Sum
from zennit.torchvision import ResNetCanonizer

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))
import recipe  # noqa: E402

DATA = HERE / "data"
SIDE = 32


class SameConv(nn.Conv2d):
    """A convolution with TensorFlow's `SAME` border for maps that the stride divides."""

    def forward(self, x):
        total = self.kernel_size[0] - min(self.stride[0], self.kernel_size[0])
        x = nn.functional.pad(x, [total // 2, total - total // 2] * 2)
        return self._conv_forward(x, self.weight, self.bias)


class Block(nn.Module):
    """An inverted bottleneck of EfficientNet-Lite."""

    def __init__(self, inputs, inner, outputs, kernel, stride):
        super().__init__()
        self.has_residual = stride == 1 and inputs == outputs
        if inner != inputs:
            self._expand_conv = SameConv(inputs, inner, 1, bias=False)
            self._bn0 = nn.BatchNorm2d(inner, eps=1e-3)
            self.relu0 = nn.ReLU6()
        self._depthwise_conv = SameConv(inner, inner, kernel, stride, groups=inner, bias=False)
        self._bn1 = nn.BatchNorm2d(inner, eps=1e-3)
        self.relu1 = nn.ReLU6()
        self._project_conv = SameConv(inner, outputs, 1, bias=False)
        self._bn2 = nn.BatchNorm2d(outputs, eps=1e-3)
        self.sum = Sum()

    def forward(self, x):
        y = self.relu0(self._bn0(self._expand_conv(x))) if hasattr(self, "_expand_conv") else x
        y = self.relu1(self._bn1(self._depthwise_conv(y)))
        y = self._bn2(self._project_conv(y))
        return self.sum(torch.stack([x, y], dim=-1)) if self.has_residual else y


class EfficientNetLite0(nn.Module):
    STAGES = [
        (1, 3, 1, 1, 16), (2, 3, 2, 6, 24), (2, 5, 2, 6, 40), (3, 3, 2, 6, 80), (3, 5, 1, 6, 112), (4, 5, 2, 6, 192),
        (1, 3, 1, 6, 320),
    ]

    def __init__(self, classes):
        super().__init__()
        self._conv_stem = SameConv(3, 32, 3, 2, bias=False)
        self._bn0 = nn.BatchNorm2d(32, eps=1e-3)
        self.relu0 = nn.ReLU6()
        blocks, channels = [], 32
        for repeats, kernel, stride, expansion, outputs in self.STAGES:
            for repeat in range(repeats):
                blocks.append(Block(channels, expansion * channels, outputs, kernel, 1 if repeat else stride))
                channels = outputs
        self._blocks = nn.ModuleList(blocks)
        self._conv_head = SameConv(channels, 1280, 1, bias=False)
        self._bn1 = nn.BatchNorm2d(1280, eps=1e-3)
        self.relu1 = nn.ReLU6()
        self._avg_pooling = nn.AdaptiveAvgPool2d(1)
        self._fc = nn.Linear(1280, classes)

    def forward(self, x):
        x = self.relu0(self._bn0(self._conv_stem(x)))
        for block in self._blocks:
            x = block(x)
        x = self.relu1(self._bn1(self._conv_head(x)))
        return self._fc(self._avg_pooling(x).flatten(1))


class Conv(nn.Module):
    """Convolution, batch norm and a rectifier that is a module."""

    def __init__(self, inputs, outputs, **options):
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, bias=False, **options)
        self.bn = nn.BatchNorm2d(outputs, eps=1e-3)
        self.relu = nn.ReLU()

    def forward(self, x):
        return self.relu(self.bn(self.conv(x)))


def mean():
    return nn.AvgPool2d(3, 1, 1, count_include_pad=False)


class InceptionA(inception.InceptionA):
    def __init__(self, *args):
        super().__init__(*args, conv_block=Conv)
        self.pool = mean()

    def _forward(self, x):
        double = self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(x)))
        return [self.branch1x1(x), self.branch5x5_2(self.branch5x5_1(x)), double, self.branch_pool(self.pool(x))]


class InceptionC(inception.InceptionC):
    def __init__(self, *args, **options):
        super().__init__(*args, conv_block=Conv, **options)
        self.pool = mean()

    def _forward(self, x):
        single = self.branch7x7_3(self.branch7x7_2(self.branch7x7_1(x)))
        double = self.branch7x7dbl_3(self.branch7x7dbl_2(self.branch7x7dbl_1(x)))
        double = self.branch7x7dbl_5(self.branch7x7dbl_4(double))
        return [self.branch1x1(x), single, double, self.branch_pool(self.pool(x))]


class InceptionE(inception.InceptionE):
    def __init__(self, inputs, pool):
        super().__init__(inputs, conv_block=Conv)
        self.pool = pool

    def _forward(self, x):
        single = self.branch3x3_1(x)
        double = self.branch3x3dbl_2(self.branch3x3dbl_1(x))
        return [
            self.branch1x1(x), self.branch3x3_2a(single), self.branch3x3_2b(single), self.branch3x3dbl_3a(double),
            self.branch3x3dbl_3b(double), self.branch_pool(self.pool(x)),
        ]


class FidInception(nn.Module):
    """Inception of FID: means count the pixels inside, and the last block has a maximum."""

    def __init__(self):
        super().__init__()
        self.Conv2d_1a_3x3 = Conv(3, 32, kernel_size=3, stride=2)
        self.Conv2d_2a_3x3 = Conv(32, 32, kernel_size=3)
        self.Conv2d_2b_3x3 = Conv(32, 64, kernel_size=3, padding=1)
        self.maxpool1 = nn.MaxPool2d(3, 2)
        self.Conv2d_3b_1x1 = Conv(64, 80, kernel_size=1)
        self.Conv2d_4a_3x3 = Conv(80, 192, kernel_size=3)
        self.maxpool2 = nn.MaxPool2d(3, 2)
        self.Mixed_5b, self.Mixed_5c = InceptionA(192, 32), InceptionA(256, 64)
        self.Mixed_5d = InceptionA(288, 64)
        self.Mixed_6a = inception.InceptionB(288, conv_block=Conv)
        self.Mixed_6b, self.Mixed_6c = InceptionC(768, channels_7x7=128), InceptionC(768, channels_7x7=160)
        self.Mixed_6d, self.Mixed_6e = InceptionC(768, channels_7x7=160), InceptionC(768, channels_7x7=192)
        self.Mixed_7a = inception.InceptionD(768, conv_block=Conv)
        self.Mixed_7b = InceptionE(1280, mean())
        self.Mixed_7c = InceptionE(2048, nn.MaxPool2d(3, 1, 1))
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(2048, 1008)

    def forward(self, x):
        *layers, head = self.children()
        for layer in layers:
            x = layer(x)
        return head(x.flatten(1))


def filled(network):
    """The network with the weights of the recipe, and their shapes."""
    state = network.state_dict()
    weights = recipe.fill(state)
    network.load_state_dict({name: torch.from_numpy(weights[name]) if name in weights else state[name] for name in state})
    return network.double().eval(), {name: list(array.shape) for name, array in weights.items()}


def fold(network):
    """Batch norms as part of the convolutions before them, in float64, the result rounded to float32.

    Where addends cancel, relevance is divided by small sums, so rounding moves maps by up to a percent.
    """
    for module in network.modules():
        children = list(module.named_children())
        for (_, conv), (name, norm) in zip(children, children[1:]):
            if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                scale = norm.weight.data / torch.sqrt(norm.running_var + norm.eps)
                weight = (conv.weight.data * scale.view(-1, 1, 1, 1)).float().double()
                bias = ((0.0 - norm.running_mean) * scale + norm.bias.data).float().double()
                conv.weight, conv.bias = nn.Parameter(weight), nn.Parameter(bias)
                setattr(module, name, nn.Identity())
    return network


def main():
    arrays, facts = {}, {}
    efficientnet = EfficientNetLite0(10)
    cases = {
        "resnet18": (resnet18(), [ResNetCanonizer()], 52, 96, 281),
        "efficientnet-lite0": (efficientnet, [], 56, 96, 3),
        "inception": (FidInception(), [], 57, 107, 281),
    }
    scale = lambda v: (v - torch.tensor([0.485, 0.456, 0.406]).double().view(1, 3, 1, 1)) / torch.tensor(
        [0.229, 0.224, 0.225]
    ).double().view(1, 3, 1, 1)
    low, high = (scale(torch.full((1, 3, 1, 1), value).double()) for value in (0.0, 1.0))
    for name, (network, canonizers, image, size, target) in cases.items():
        network, shapes = filled(network)
        network = fold(network)
        if name == "efficientnet-lite0":
            text = json.dumps(shapes, indent=0)
            (DATA / "classifier-efficientnet-lite0-weights.json").write_text(text + "\n")
        pixels = torch.from_numpy(recipe.image(image, size, size)).permute(2, 0, 1)[None].double() / 255
        x = scale(pixels).requires_grad_()
        facts[name] = {"image": image, "size": size, "target": target, "logit": network(x)[0, target].item()}
        for key, composite in {
            "epsilon-plus": composites.EpsilonPlus(canonizers=canonizers),
            "epsilon-alpha2-beta1": composites.EpsilonAlpha2Beta1(canonizers=canonizers),
            "epsilon-plus-flat": composites.EpsilonPlusFlat(canonizers=canonizers),
            "epsilon-alpha2-beta1-flat": composites.EpsilonAlpha2Beta1Flat(canonizers=canonizers),
            "epsilon-gamma-box": composites.EpsilonGammaBox(low=low, high=high, canonizers=canonizers),
        }.items():
            with composite.context(network) as changed:
                output = changed(x)
                start = torch.zeros_like(output)
                start[0, target] = 1
                (relevance,) = torch.autograd.grad(output, x, start)
            relevance = relevance[0].numpy()
            arrays[f"{name}/{key}/crop32"] = np.ascontiguousarray(
                relevance[:, SIDE : 2 * SIDE, SIDE : 2 * SIDE].astype(np.float32)
            )
            sums = np.array([relevance.sum(), np.sqrt((relevance**2).sum())])
            arrays[f"{name}/{key}/sum_l2"] = sums.astype(np.float32)
            facts[name][key] = {"sum": float(sums[0]), "l2": float(sums[1])}
            print(name, key, sums)
    save_file(arrays, DATA / "composites.safetensors")
    (DATA / "composites.json").write_text(json.dumps(facts, indent=1) + "\n")


main()
