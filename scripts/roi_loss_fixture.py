#!/usr/bin/env python3
"""Writes tests/fixtures/roi_losses.json: the focal and GIoU losses of RoIs with their gradients, independent of Quarry.

    scripts/roi_loss_fixture.py

Focal losses follow Lin et al. 2017 for softmax, -w (1 - p)^gamma log p, in float64 NumPy, with gradients by central differences. GIoU losses and
gradients are torchvision's (`generalized_box_iou_loss` on boxes that its `BoxCoder` decodes), in float64. Needs numpy, torch and torchvision.
"""
import json
from pathlib import Path

import numpy
import torch
from torchvision.models.detection._utils import BoxCoder
from torchvision.ops import generalized_box_iou_loss

random = numpy.random.default_rng(20)
N, CLASSES = 8, 3
LABELS = [0, 1, 2, 0, 1, 2, 0, 1]


def focal(logits, labels, gamma, background_weight):
    shifted = logits - logits.max(1, keepdims=True)
    p = numpy.exp(shifted) / numpy.exp(shifted).sum(1, keepdims=True)
    own = p[numpy.arange(len(labels)), labels]
    weight = numpy.where(numpy.array(labels) == 0, background_weight, 1.0)
    return -weight * (1 - own) ** gamma * numpy.log(own)


def differences(f, x, step=1e-5):
    gradient = numpy.zeros_like(x)
    for at in numpy.ndindex(x.shape):
        above, below = x.copy(), x.copy()
        above[at] += step
        below[at] -= step
        gradient[at] = (f(above) - f(below)) / (2 * step)
    return gradient


logits = numpy.round(random.normal(0, 2.5, (N, CLASSES)), 3)
logits[1] = [-9.0, 9.0, -9.0]  # almost certain, and right
logits[4] = [9.0, -9.0, -9.0]  # almost certain, and wrong
cases = []
for gamma, weight in [(2.0, 1.0), (0.5, 0.7), (0.0, 0.25), (1.0, 3.0)]:
    mean = lambda x: focal(x, LABELS, gamma, weight).mean()
    cases.append({"gamma": gamma, "background_weight": weight, "losses": focal(logits, LABELS, gamma, weight).tolist(),
                  "gradient": differences(mean, logits).tolist()})

corners = random.uniform(0, 100, (N, 2))
rois = numpy.round(numpy.concatenate([corners, corners + random.uniform(8, 60, (N, 2))], 1), 2)
moved = rois + random.uniform(-6, 6, (N, 4))
moved[2] += 200  # far from its target
moved[5] = [rois[5][0] - 20, rois[5][1] - 20, rois[5][2] + 20, rois[5][3] + 20]  # around it
moved = numpy.round(moved, 2)
boxes = torch.tensor(moved, requires_grad=True)
targets = torch.tensor(rois)
plain = generalized_box_iou_loss(boxes, targets)
plain.sum().backward()

coder = BoxCoder((10.0, 10.0, 5.0, 5.0))
proposals = torch.tensor(rois)
wanted = torch.tensor(numpy.round(rois + random.uniform(-4, 4, (N, 4)), 2))
codes = torch.tensor(numpy.round(random.normal(0, 1.5, (N, CLASSES * 4)), 3), requires_grad=True)
labels = torch.tensor(LABELS)
decoded = coder.decode_single(codes, proposals).reshape(N, CLASSES, 4)
foreground = labels > 0
own = decoded[foreground, labels[foreground]]
loss = generalized_box_iou_loss(own, wanted[foreground], reduction="sum") / N
loss.backward()

file = Path(__file__).parent.parent / "tests/fixtures/roi_losses.json"
file.write_text(json.dumps({
    "labels": LABELS,
    "focal": {"logits": logits.tolist(), "cases": cases},
    "giou": {"boxes": moved.tolist(), "targets": rois.tolist(), "losses": plain.tolist(), "gradient": boxes.grad.tolist()},
    "heads": {"rois": rois.tolist(), "codes": codes.tolist(), "targets": wanted.tolist(), "loss": loss.item(),
              "gradient": codes.grad.tolist()},
}, indent=1) + "\n")
