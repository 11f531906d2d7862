"""LayerCAM and Score-CAM by pytorch-grad-cam 1.5.7, in float64.

Writes data/cams.safetensors. Needs torch, torchvision, grad-cam and safetensors. Networks, images and classes are those
of explain.json: `small` and resnet18, with the layers of its Grad-CAM. Maps are the sum over channels after the
rectifier, before it is scaled and enlarged. Score-CAM of pytorch-grad-cam enlarges its masks with aligned corners; here they
are not, as in the code of its authors.
"""

import json
import sys
from pathlib import Path

import numpy as np
import torch
from pytorch_grad_cam import LayerCAM, ScoreCAM
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from safetensors.numpy import save_file
from torch import nn
from torchvision.models import resnet18

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))
import recipe  # noqa: E402

DATA = HERE / "data"


class Small(nn.Module):
    def __init__(self):
        super().__init__()
        conv = lambda i, o: nn.Conv2d(i, o, 3, padding=1)
        pool = lambda: nn.MaxPool2d(2)
        self.features = nn.Sequential(
            conv(3, 8), nn.ReLU(), pool(), conv(8, 16), nn.ReLU(), pool(), conv(16, 24), nn.ReLU()
        )
        self.classifier = nn.Linear(24, 10)

    def forward(self, x):
        return self.classifier(self.features(x).mean((2, 3)))


nn.UpsamplingBilinear2d = torch.nn.UpsamplingBilinear2d = lambda size: nn.Upsample(
    size=tuple(size), mode="bilinear", align_corners=False
)


def main():
    facts = json.loads((DATA / "explain.json").read_text())
    arrays = {}
    small, resnet = Small(), resnet18()
    for name, network, layer, image, size in [
        ("small", small, small.features[6], 50, 32),
        ("resnet18", resnet, resnet.layer4, 52, 224),
    ]:
        state = network.state_dict()
        weights = recipe.fill(state)
        network.load_state_dict({k: torch.from_numpy(weights[k]) if k in weights else v for k, v in state.items()})
        network = network.double().eval()
        for parameter in network.parameters():
            parameter.requires_grad_(True)
        pixels = torch.from_numpy(recipe.image(image, size, size)).permute(2, 0, 1)[None].double() / 255
        mean = torch.tensor([0.485, 0.456, 0.406]).double().view(1, 3, 1, 1)
        deviation = torch.tensor([0.229, 0.224, 0.225]).double().view(1, 3, 1, 1)
        x = (pixels - mean) / deviation
        targets = [ClassifierOutputTarget(facts[name]["target"])]
        # The 512 masks of resnet18 say no more than the 24 of the small network.
        methods = [("layer_cam", LayerCAM), ("score_cam", ScoreCAM)][: 2 if name == "small" else 1]
        for key, method in methods:
            with method(model=network, target_layers=[layer]) as cam:
                cam.batch_size = 32
                cam(input_tensor=x, targets=targets)
                activations = cam.activations_and_grads.activations[0].double().numpy()
                gradients = cam.activations_and_grads.gradients
                gradients = gradients[0].double().numpy() if gradients else None
                raw = cam.get_cam_image(x, layer, targets, activations, gradients, False)
            raw = np.maximum(raw, 0)[0]
            arrays[f"{name}/{key}"] = np.ascontiguousarray(raw.astype(np.float32))
            print(name, key, raw.shape, raw.sum())
    save_file(arrays, DATA / "cams.safetensors")


main()
