#!/usr/bin/env python3
"""torchvision's Faster R-CNN on Quarry's half-width backbone, trained on FDDB's folds 1-7; detections on fold 8 in FDDB's format.

    calibrate_torchvision.py FDDB OUT.txt [--seed 1] [--steps 700] [--threads 1]

The control for docs/experiments.md: same images, backbone, steps and images a step as Quarry's preset `cpu`, so that a difference is not the
data's. A pyramid of 128 channels, the first stage frozen, anchors of 16 to 256 pixels with ratios 1, 1.5 and 2, shorter side 300, SGD
at 0.01 with a warm-up and a cosine; all else is torchvision's default. Needs torch, torchvision, safetensors and Pillow.
"""
import argparse
import math
import pathlib
import random
import statistics
import time
from collections import OrderedDict

import numpy as np
import torch
from PIL import Image
from safetensors.torch import load_file
from torch import nn
from torchvision.models.detection import FasterRCNN
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.ops import FeaturePyramidNetwork, FrozenBatchNorm2d
from torchvision.ops.feature_pyramid_network import LastLevelMaxPool

BACKBONE = pathlib.Path(__file__).parent.parent / "models/resnet50-half.safetensors"
PREFIX = "backbone.body."
RATE, LAST_RATE, WARM_UP = 0.01, 0.01, 0.1
IMAGES_A_STEP = 2


def norm(channels):
    return FrozenBatchNorm2d(channels, eps=0.0)


class Bottleneck(nn.Module):
    """Caffe's: the first convolution has the stride."""

    def __init__(self, given, width, made, stride):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(given, width, 1, stride, bias=False), norm(width)
        self.conv2, self.bn2 = nn.Conv2d(width, width, 3, 1, 1, bias=False), norm(width)
        self.conv3, self.bn3 = nn.Conv2d(width, made, 1, bias=False), norm(made)
        self.downsample = None
        if given != made or stride != 1:
            self.downsample = nn.Sequential(nn.Conv2d(given, made, 1, stride, bias=False), norm(made))

    def forward(self, x):
        y = self.bn1(self.conv1(x)).relu()
        y = self.bn2(self.conv2(y)).relu()
        return (self.bn3(self.conv3(y)) + (x if self.downsample is None else self.downsample(x))).relu()


class Body(nn.Module):
    """ResNet-50 with half the channels; conv1 keeps its 64."""

    def __init__(self):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False), norm(64)
        self.pool = nn.MaxPool2d(3, 2, 0, ceil_mode=True)
        given = 64
        for stage, blocks in enumerate([3, 4, 6, 3]):
            width, made = 32 << stage, 128 << stage
            strides = [2 if stage else 1] + [1] * (blocks - 1)
            inputs = [given] + [made] * (blocks - 1)
            layer = nn.Sequential(*(Bottleneck(i, width, made, s) for i, s in zip(inputs, strides)))
            setattr(self, f"layer{stage + 1}", layer)
            given = made

    def forward(self, x):
        x = self.pool(self.bn1(self.conv1(x)).relu())
        maps = OrderedDict()
        for stage in range(4):
            x = getattr(self, f"layer{stage + 1}")(x)
            maps[str(stage)] = x
        return maps


class Backbone(nn.Module):
    out_channels = 128

    def __init__(self):
        super().__init__()
        self.body = Body()
        self.fpn = FeaturePyramidNetwork([128, 256, 512, 1024], self.out_channels, extra_blocks=LastLevelMaxPool())

    def forward(self, x):
        return self.fpn(self.body(x))


def build():
    backbone = Backbone()
    weights = {name.removeprefix(PREFIX): tensor for name, tensor in load_file(BACKBONE).items()}
    backbone.body.load_state_dict({name: weights[name] for name in backbone.body.state_dict()})
    for part in (backbone.body.conv1, backbone.body.layer1):
        part.requires_grad_(False)
    sizes = ((16,), (32,), (64,), (128,), (256,))
    anchors = AnchorGenerator(sizes, ((1.0, 1.5, 2.0),) * len(sizes))
    mean = {"image_mean": [104.0, 117.0, 123.0], "image_std": [1.0, 1.0, 1.0]}
    return FasterRCNN(backbone, 2, min_size=300, max_size=1000, rpn_anchor_generator=anchors, **mean)


def read_fold(fddb, number):
    """Pairs of an image's name and its faces' bounding boxes."""
    lines = iter((fddb / f"FDDB-folds/FDDB-fold-{number:02d}-ellipseList.txt").read_text().split("\n"))
    images = []
    for name in map(str.strip, lines):
        if not name:
            continue
        boxes = []
        for _ in range(int(next(lines))):
            ra, rb, theta, x, y = map(float, next(lines).split()[:5])
            w = math.hypot(ra * math.cos(theta), rb * math.sin(theta))
            h = math.hypot(ra * math.sin(theta), rb * math.cos(theta))
            boxes.append([x - w, y - h, x + w, y + h])
        images.append((name, boxes))
    return images


def load(fddb, name):
    """BGR, 0 to 255."""
    pixels = np.asarray(Image.open(fddb / "originalPics" / f"{name}.jpg").convert("RGB"))
    return torch.from_numpy(pixels[:, :, ::-1].copy()).permute(2, 0, 1).float()


def sample(fddb, name, boxes):
    image = load(fddb, name)
    height, width = image.shape[1:]
    boxes = torch.tensor(boxes).reshape(-1, 4)
    boxes[:, 0::2] = boxes[:, 0::2].clamp(0, width)
    boxes[:, 1::2] = boxes[:, 1::2].clamp(0, height)
    if random.random() < 0.5:
        image = image.flip(2)
        boxes = torch.stack([width - boxes[:, 2], boxes[:, 1], width - boxes[:, 0], boxes[:, 3]], 1)
    return image, {"boxes": boxes, "labels": torch.ones(len(boxes), dtype=torch.int64)}


def rate(step, steps):
    cosine = LAST_RATE + (1 - LAST_RATE) * 0.5 * (1 + math.cos(math.pi * step / steps))
    return RATE * cosine * min(1.0, (step + 1) / (WARM_UP * steps))


def train(model, fddb, steps):
    images = [image for number in range(1, 8) for image in read_fold(fddb, number)]
    parameters = [p for p in model.parameters() if p.requires_grad]
    sgd = torch.optim.SGD(parameters, lr=RATE, momentum=0.9, weight_decay=0.0001)
    model.train()
    order, seconds = [], []
    for step in range(steps):
        begun = time.time()
        batch = []
        for _ in range(IMAGES_A_STEP):
            if not order:
                order = random.sample(range(len(images)), len(images))
            batch.append(sample(fddb, *images[order.pop()]))
        for group in sgd.param_groups:
            group["lr"] = rate(step, steps)
        loss = sum(model(*map(list, zip(*batch))).values())
        sgd.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, 10.0)
        sgd.step()
        seconds.append(time.time() - begun)
        if step % 20 == 19:
            print(f"step {step + 1}: loss {loss.item():.3f}, {statistics.median(seconds):.2f} s a step", flush=True)
    print(f"{sum(seconds):.0f} s")


def detect(model, fddb, out):
    model.eval()
    with torch.no_grad(), open(out, "w") as file:
        for name, _ in read_fold(fddb, 8):
            found = model([load(fddb, name)])[0]
            print(name, len(found["scores"]), sep="\n", file=file)
            for (x1, y1, x2, y2), score in zip(found["boxes"].tolist(), found["scores"].tolist()):
                print(x1, y1, x2 - x1, y2 - y1, score, file=file)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("fddb", type=pathlib.Path)
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--steps", type=int, default=700)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.manual_seed(options.seed)
    random.seed(options.seed)
    torch.set_num_threads(options.threads)
    model = build()
    train(model, options.fddb, options.steps)
    detect(model, options.fddb, options.out)


if __name__ == "__main__":
    main()
