"""Compares a training step of Quarry's resnet50-fpn with torchvision's fasterrcnn_resnet50_fpn on the same weights and image.

Detections, losses (with every anchor and RoI drawn, so that no chance is left) and the norm of every gradient.
Usage: python scripts/compare_torchvision_training.py [PICTURE] (from the repository's root, with torch, torchvision, numpy, pillow and
safetensors installed, e.g. by `make bench-torchvision`). Without an image, smooth noise is used.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors.torch import save_file
from torchvision.models.detection import fasterrcnn_resnet50_fpn

ALL = 10_000_000
SHORTER, LONGER, CLASSES = 320, 533, 91
FACES = [[30.0, 40.0, 90.0, 130.0], [150.0, 60.0, 290.0, 250.0], [330.0, 100.0, 350.0, 128.0]]
CONFIG = {
    "architecture": "resnet50-fpn", "flavour": "torchvision", "num_classes": CLASSES,
    "shorter_side": SHORTER, "longer_side_cap": LONGER, "frozen_stages": 2, "batch_norm_eps": 1e-5, "pyramid_channels": 256,
    "anchors": {"sizes": [[32.0], [64.0], [128.0], [256.0], [512.0]], "ratios": [0.5, 1.0, 2.0]},
    "rpn": {"train": {"pre_nms": 2000, "post_nms": 2000}, "test": {"pre_nms": 1000, "post_nms": 1000},
            "nms_iou": 0.7, "min_size": 1e-3},
    "roi": {"resolution": 7, "sampling_ratio": 2, "hidden": 1024, "dropout": 0.0},
    "detection": {"score_threshold": 0.05, "nms_iou": 0.5, "max_detections": 100},
    "ellipse_head": False,
}


def noise_image(path):
    rng = np.random.default_rng(3)
    coarse = Image.fromarray(rng.integers(0, 256, (12, 16, 3), dtype=np.uint8))
    fine = rng.integers(-20, 21, (300, 400, 3))
    pixels = np.asarray(coarse.resize((400, 300), Image.BICUBIC)).astype(int) + fine
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(path)


def lively_model():
    """Random weights whose activations stay of order one and whose scores are decided, so that there is something to compare."""
    torch.manual_seed(0)
    from torchvision.models.resnet import resnet50
    from torchvision.ops.misc import FrozenBatchNorm2d
    model = fasterrcnn_resnet50_fpn(
        weights=None, weights_backbone=None, num_classes=CLASSES, trainable_backbone_layers=3, min_size=SHORTER, max_size=LONGER,
        rpn_batch_size_per_image=ALL, box_batch_size_per_image=ALL)
    # Without pretrained weights torchvision builds a learning batch norm; frozen is what its users get with weights.
    freeze(model.backbone.body)
    for name, module in model.backbone.body.named_modules():
        if isinstance(module, FrozenBatchNorm2d):
            module.weight.uniform_(0.5, 1.0)
            module.bias.normal_(0, 0.1)
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
            if name.endswith("bn3"):
                module.weight.mul_(0.3)
    # As `trainable_backbone_layers=3` does with pretrained weights.
    for name, parameter in model.backbone.body.named_parameters():
        parameter.requires_grad_(any(name.startswith(layer) for layer in ("layer2", "layer3", "layer4")))
    with torch.no_grad():
        model.rpn.head.cls_logits.weight.mul_(20)
        model.rpn.head.bbox_pred.weight.mul_(3)
        model.roi_heads.box_predictor.cls_score.weight.mul_(30)
        model.roi_heads.box_predictor.bbox_pred.weight.mul_(3)
    return model


def freeze(module):
    from torchvision.ops.misc import FrozenBatchNorm2d
    for name, child in module.named_children():
        if isinstance(child, torch.nn.BatchNorm2d):
            setattr(module, name, FrozenBatchNorm2d(child.num_features, eps=1e-5))
        else:
            freeze(child)


def torchvision_side(model, image):
    x = torch.from_numpy(np.asarray(image).copy()).permute(2, 0, 1).float() / 255
    model.eval()
    with torch.no_grad():
        found = model([x])[0]
    model.train()
    (_, height, width), scale = x.shape, None
    fit = min(SHORTER / min(height, width), LONGER / max(height, width))
    scale = torch.tensor([int(width * fit) / width, int(height * fit) / height] * 2)
    faces = torch.tensor(FACES) / scale
    losses = model([x], [{"boxes": faces, "labels": torch.ones(len(FACES), dtype=torch.int64)}])
    sum(losses.values()).backward()
    gradients = {name: p.grad.norm().item() for name, p in model.named_parameters() if p.grad is not None}
    return found, {name: value.item() for name, value in losses.items()}, gradients


def quarry_side(checkpoint, image):
    faces = [",".join(map(str, face)) for face in FACES]
    command = ["cargo", "bench", "--quiet", "--profile", "dev", "--no-default-features", "--features", "torch",
               "--bench", "detector_compare", "--", str(checkpoint), str(image), *faces]
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    rows = [json.loads(line) for line in lines if line.startswith("{")]
    found = [row for row in rows if "box" in row]
    report = next(row for row in rows if "losses" in row)
    return found, report, {row["gradient"]: row["norm"] for row in rows if "gradient" in row}


def main():
    torch.set_num_threads(2)
    folder = Path(tempfile.mkdtemp(prefix="quarry-compare-"))
    image = Path(sys.argv[1]) if len(sys.argv) > 1 else folder / "noise.png"
    if len(sys.argv) < 2:
        noise_image(image)
    model = lively_model()
    checkpoint = folder / "model.safetensors"
    state = {name: value.contiguous() for name, value in model.state_dict().items()}
    print(f"tensors in torchvision's state dict: {len(state)}")
    save_file(state, checkpoint, metadata={"quarry.detector": json.dumps(CONFIG)})

    theirs, their_losses, their_gradients = torchvision_side(model, Image.open(image).convert("RGB"))
    ours, report, gradients = quarry_side(checkpoint, image)

    good = len(ours) == len(theirs["boxes"])
    print(f"detections: {len(ours)} ours, {len(theirs['boxes'])} torchvision's")
    corner = score = 0.0
    for mine in ours:
        same = [(abs(torch.tensor(mine["box"]) - box).max().item(), abs(mine["score"] - value.item()))
                for box, value, label in zip(theirs["boxes"], theirs["scores"], theirs["labels"]) if label == mine["label"]]
        best = min(same, default=(float("inf"), float("inf")))
        corner, score = max(corner, best[0]), max(score, best[1])
    print(f"largest deviation of a corner {corner:.2e} px (bar 0.1), of a score {score:.2e} (bar 1e-3)")
    good &= corner <= 0.1 and score <= 1e-3

    print(f"mini-batch: {report['counts']}")
    for name, value in their_losses.items():
        deviation = abs(report["losses"][name] - value) / max(abs(value), 1e-9)
        print(f"{name}: {report['losses'][name]:.6f} ours, {value:.6f} torchvision's, relative {deviation:.1e}")
        good &= deviation <= 1e-3
    missing = set(their_gradients) ^ set(gradients)
    worst = max((abs(gradients[n] - v) / max(v, 1e-9), n) for n, v in their_gradients.items() if n in gradients)
    print(f"gradients: {len(gradients)} tensors, names that differ {len(missing)}, largest relative deviation of a norm "
          f"{worst[0]:.1e} ({worst[1]})")
    good &= not missing and worst[0] <= 1e-2
    print("EQUAL" if good else "NOT EQUAL")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
