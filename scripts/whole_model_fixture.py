"""Writes tests/fixtures/models/whole_models.json: what Faster R-CNNs put together from torchvision's own parts say on weights and an image
that are made by formula, so that only the answers are stored.

For ResNet-50 C4 (torchvision's strides and Caffe's) and VGG16: losses with every anchor and RoI drawn, so that no chance is left, the norm
and a projection of every gradient, the losses after steps of plain gradient descent, and the detections.
Usage: python scripts/whole_model_fixture.py (torch, torchvision and numpy installed, e.g. by `make bench-torchvision`).
"""

import json
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torchvision.models import resnet50, vgg16
from torchvision.models.detection import FasterRCNN
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
from torchvision.ops import MultiScaleRoIAlign
from torchvision.ops.misc import FrozenBatchNorm2d

ALL = 10_000_000
HEIGHT, WIDTH, CLASSES, HIDDEN = 128, 176, 3, 128
OBJECTS = [[12.0, 20.0, 70.0, 96.0], [80.0, 8.0, 170.0, 120.0], [100.0, 60.0, 118.0, 90.0]]
LABELS = [1, 2, 1]
STEPS = 3
# Small enough that losses fall.
RATES = {"resnet50-c4": 1e-4, "vgg16": 1e-6}
SCORE_THRESHOLD = 0.001
OUT = Path(__file__).parent.parent / "tests/fixtures/models/whole_models.json"


def values(name, count):
    """`count` numbers in -1..1 of a name: splitmix64 from the name's FNV-1a hash; the upper 24 bits, exact in f32."""
    seed = 0xCBF29CE484222325
    for byte in name.encode():
        seed = (seed ^ byte) * 0x100000001B3 % 2**64
    with np.errstate(over="ignore"):
        z = np.uint64(seed) + np.arange(1, count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z = z ^ (z >> np.uint64(31))
    return (z >> np.uint64(40)).astype(np.float32) / np.float32(2**23) - np.float32(1)


def start(name, shape, caffe):
    """(offset, scale) of the numbers that a tensor starts with."""
    last = name.split(".")[-1]
    is_norm = ".bn" in name or "downsample.1" in name
    if last == "running_var":
        return 1.0, 0.5
    if last in ("running_mean", "bias"):
        return 0.0, 0.1
    if is_norm:
        return (0.3, 0.1) if "bn3" in name else (0.8, 0.2)
    fan_in = int(np.prod(shape[1:]))
    gains = {"cls_logits": 0.8, "bbox_pred": 0.3, "cls_score": 3.0}
    gain = next((gain for part, gain in gains.items() if part in name), 2.0**0.5)
    if caffe and name.endswith("conv1.weight") and shape[1] == 3:
        gain /= 64
    return 0.0, gain * (3.0 / fan_in) ** 0.5


def fill(model, caffe):
    with torch.no_grad():
        for name, tensor in model.state_dict().items():
            offset, scale = start(name, tensor.shape, caffe)
            made = np.float32(offset) + np.float32(scale) * values(name, tensor.numel())
            tensor.copy_(torch.from_numpy(made).reshape(tensor.shape))


def image():
    """uint8 RGB: blocks of 8 pixels with noise."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    blocks = values("blocks", 3 * HEIGHT * WIDTH // 64).reshape(HEIGHT // 8, WIDTH // 8, 3)[y // 8, x // 8]
    noise = values("noise", 3 * HEIGHT * WIDTH).reshape(HEIGHT, WIDTH, 3)
    return (128 + 100 * blocks + 20 * noise).astype(np.uint8)


class Shared(nn.Module):
    """conv1 to conv4_x."""

    def __init__(self, body):
        super().__init__()
        self.body = nn.ModuleDict({n: m for n, m in body.named_children() if n not in ("layer4", "avgpool", "fc")})
        self.out_channels = 1024

    def forward(self, x):
        for part in self.body.values():
            x = part(x)
        return x


class Conv5(nn.Module):
    def __init__(self, layer4):
        super().__init__()
        self.layer4 = layer4

    def forward(self, x):
        return self.layer4(x).mean((2, 3))


class Convolutions(nn.Module):
    """VGG16 up to conv5_3."""

    def __init__(self):
        super().__init__()
        self.features = vgg16(weights=None).features[:-1]
        self.out_channels = 512

    def forward(self, x):
        return self.features(x)


def caffe_strides(body):
    body.maxpool = nn.MaxPool2d(3, 2, 0, ceil_mode=True)
    for layer in (body.layer2, body.layer3, body.layer4):
        layer[0].conv1.stride, layer[0].conv2.stride = (2, 2), (1, 1)


def build(architecture, caffe):
    if architecture == "vgg16":
        backbone, resolution = Convolutions(), 7
        head, features = TwoMLPHead(512 * 49, HIDDEN), HIDDEN
        frozen = [f"backbone.features.{k}." for k in (0, 2, 5, 7)]
    else:
        body = resnet50(weights=None, norm_layer=FrozenBatchNorm2d)
        if caffe:
            caffe_strides(body)
        backbone, resolution = Shared(body), 14
        head, features = Conv5(body.layer4), 2048
        frozen = ["backbone.body.conv1.", "backbone.body.layer1."]
    mean, deviation = ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
    if caffe:
        mean, deviation = [v / 255 for v in (104, 117, 123)], [1 / 255] * 3
    model = FasterRCNN(
        backbone, min_size=HEIGHT, max_size=1000, image_mean=mean, image_std=deviation,
        rpn_anchor_generator=AnchorGenerator(((16, 32, 64, 128),), ((0.5, 1.0, 2.0),)),
        rpn_pre_nms_top_n_train=500, rpn_pre_nms_top_n_test=500, rpn_post_nms_top_n_train=24, rpn_post_nms_top_n_test=24,
        rpn_batch_size_per_image=ALL, box_batch_size_per_image=ALL,
        box_roi_pool=MultiScaleRoIAlign(["0"], resolution, 2), box_head=head, box_score_thresh=SCORE_THRESHOLD,
        box_predictor=FastRCNNPredictor(features, CLASSES))
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(not any(name.startswith(part) for part in frozen))
    fill(model, caffe)
    return model


def answers(architecture, caffe):
    model = build(architecture, caffe)
    pixels = torch.from_numpy(image()).permute(2, 0, 1).float() / 255
    if caffe:
        pixels = pixels.flip(0)
    model.eval()
    with torch.no_grad():
        found = model([pixels])[0]
    detections = [{"label": label, "score": score, "box": box} for label, score, box in
                  zip(found["labels"].tolist(), found["scores"].tolist(), found["boxes"].tolist())]
    model.train()
    targets = [{"boxes": torch.tensor(OBJECTS), "labels": torch.tensor(LABELS)}]
    steps, gradients = [], {}
    for step in range(STEPS):
        losses = model([pixels], targets)
        steps.append({name: value.item() for name, value in losses.items()})
        model.zero_grad()
        sum(losses.values()).backward()
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                if parameter.grad is None:
                    continue
                if step == 0:
                    probe = torch.from_numpy(values(name + ".probe", parameter.numel())).double()
                    gradient = parameter.grad.flatten().double()
                    gradients[name] = [gradient.norm().item(), gradient.dot(probe).item()]
                parameter -= RATES[architecture] * parameter.grad
    return {"architecture": architecture, "flavour": "caffe" if caffe else "torchvision", "rate": RATES[architecture],
            "losses": steps,
            "gradients": gradients, "detections": detections}


def main():
    torch.set_num_threads(2)
    models = [answers("resnet50-c4", False), answers("resnet50-c4", True), answers("vgg16", False)]
    for model in models:
        print(model["architecture"], model["flavour"], model["losses"], len(model["gradients"]), len(model["detections"]))
    OUT.write_text(json.dumps({"torchvision": "0.28.0", "models": models}, indent=1) + "\n")


if __name__ == "__main__":
    main()
