#!/usr/bin/env python3
"""torchvision's Faster R-CNN timed on this machine's GPU (or CPU), for scripts/gpu_check.sh.

    gpu_peer.py NETWORK SHORTER_SIDE BATCH STEPS

NETWORK is `torchvision` (fasterrcnn_resnet50_fpn) or `resnet50-c4` (conv1-conv4 shared, conv5 on 14 x 14 RoIs, 128 RoIs an image, as the
paper has it). Training runs in bfloat16 (amp); the image, the faces and the optimiser are those of benches/detector_step.rs.
"""
import statistics
import sys
import time

import torch
from torch import nn
from torchvision.models import resnet50
from torchvision.models.detection import FasterRCNN, fasterrcnn_resnet50_fpn
from torchvision.models.detection.rpn import AnchorGenerator
from torchvision.ops import FrozenBatchNorm2d, MultiScaleRoIAlign

WARM_UP = 2
SHARES = [(0.1, 0.1, 0.3, 0.4), (0.6, 0.3, 0.9, 0.75), (0.4, 0.6, 0.45, 0.68)]


class Conv5(nn.Module):
    """The last stage of a ResNet on pooled RoIs."""

    def __init__(self, stage):
        super().__init__()
        self.stage = stage

    def forward(self, pooled):
        return self.stage(pooled).mean((2, 3))


def build(network, side):
    if network == "torchvision":
        return fasterrcnn_resnet50_fpn(weights=None, weights_backbone=None, trainable_backbone_layers=3, min_size=side, max_size=side * 5 // 3)
    body = resnet50(weights=None, norm_layer=FrozenBatchNorm2d)
    shared = nn.Sequential(body.conv1, body.bn1, body.relu, body.maxpool, body.layer1, body.layer2, body.layer3)
    for part in list(shared)[:5]:
        part.requires_grad_(False)
    shared.out_channels = 1024
    return FasterRCNN(
        shared,
        min_size=side,
        max_size=side * 5 // 3,
        rpn_anchor_generator=AnchorGenerator(((32, 64, 128, 256, 512),), ((1.0, 1.5, 2.0),)),
        box_roi_pool=MultiScaleRoIAlign(["0"], 14, 2),
        box_head=Conv5(body.layer4),
        box_predictor=torchvision_predictor(),
        box_batch_size_per_image=128,
    )


def torchvision_predictor():
    from torchvision.models.detection.faster_rcnn import FastRCNNPredictor

    return FastRCNNPredictor(2048, 2)


def main():
    network, side, batch, steps = sys.argv[1], *map(int, sys.argv[2:5])
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    wait = torch.cuda.synchronize if device.type == "cuda" else lambda: None
    torch.manual_seed(1)
    model = build(network, side).to(device).train()
    height, width = side, side * 4 // 3
    image = torch.rand(3, height, width, device=device)
    boxes = torch.tensor([[share * side for share in shares] for shares in SHARES], device=device)
    targets = [{"boxes": boxes, "labels": torch.ones(3, dtype=torch.int64, device=device)}] * batch
    learning = [p for p in model.parameters() if p.requires_grad]
    optimiser = torch.optim.SGD(learning, lr=1e-9, momentum=0.9)

    def step():
        optimiser.zero_grad()
        with torch.autocast(device.type, torch.bfloat16):
            loss = sum(model([image] * batch, targets).values())
        loss.backward()
        optimiser.step()

    def detect():
        with torch.no_grad():
            model([image])

    def detect_batch():
        with torch.no_grad():
            model([image] * batch)

    def median(what):
        seconds = []
        for _ in range(steps + WARM_UP):
            wait()
            start = time.perf_counter()
            what()
            wait()
            seconds.append(time.perf_counter() - start)
        return statistics.median(seconds[WARM_UP:])

    trained = median(step)
    model.eval()
    found = median(detect)
    found_batch = median(detect_batch)
    name = torch.cuda.get_device_name() if device.type == "cuda" else "cpu"
    print(f"torchvision {network} s={side} batch {batch} on {name}: step {trained:.4f} s, detect {found:.4f} s, batch {found_batch:.4f} s")


main()
