#!/usr/bin/env python3
"""Compares Quarry's resnet50-fpn with torchvision's fasterrcnn_resnet50_fpn: the same weights and image, then seconds and memory.

    compare_torchvision.py PEER [--equality] [--speed] [--sides 320 600] [--eps 1e-5 0] [--steps 5] [--rounds 3] [--weights FILE]

--eps: batch norm's epsilon, one comparison each; the timings use the last. torchvision's COCO_V1 weights want 0. PEER is the program that `cargo bench --bench torchvision_peer --no-run` builds (scripts/bench_torchvision.sh does all of this).
Without --weights the weights are random from a fixed seed, with batch norm statistics measured on the image's own activations, so that
signals neither die nor explode. One JSON object goes to stdout, a table to stderr.
"""
import argparse
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

THREADS = 2
WARM_UP = 2
SHARES = [(0.1, 0.1, 0.3, 0.4), (0.6, 0.3, 0.9, 0.75), (0.4, 0.6, 0.45, 0.68)]


def build(side, classes, eps=1e-5):
    from torch import nn
    from torchvision.models.detection import FasterRCNN
    from torchvision.models.detection.backbone_utils import _resnet_fpn_extractor
    from torchvision.models.resnet import resnet50
    from torchvision.ops import FrozenBatchNorm2d

    body = resnet50(weights=None, norm_layer=lambda c: FrozenBatchNorm2d(c, eps=eps))
    backbone = _resnet_fpn_extractor(body, 3)
    return FasterRCNN(backbone, classes, min_size=side, max_size=1333)


def randomise(model, image):
    """Random weights whose scores spread; each frozen norm takes the statistics of its input on `image`."""
    import torch
    from torchvision.ops import FrozenBatchNorm2d

    torch.manual_seed(20260101)
    hooks = []

    def measure(norm, inputs):
        x = inputs[0]
        norm.running_mean.copy_(x.mean((0, 2, 3)))
        norm.running_var.copy_(x.var((0, 2, 3)) + 1e-3)

    for name, module in model.named_modules():
        if isinstance(module, FrozenBatchNorm2d):
            module.weight.copy_(0.5 + torch.rand_like(module.weight) * 0.5)
            module.bias.copy_(torch.randn_like(module.bias) * 0.1)
            hooks.append(module.register_forward_pre_hook(measure))
    with torch.no_grad():
        for head, scale in [(model.rpn.head.cls_logits, 0.3), (model.rpn.head.bbox_pred, 0.02)]:
            head.weight.normal_(0, scale)
        model.roi_heads.box_predictor.cls_score.weight.normal_(0, 0.5)
        model.roi_heads.box_predictor.bbox_pred.weight.normal_(0, 0.05)
        model.eval()
        model([image])
    for hook in hooks:
        hook.remove()


def write_image(path):
    import numpy as np
    from PIL import Image

    rng = np.random.default_rng(7)
    coarse = Image.fromarray(rng.integers(0, 256, (12, 16, 3), dtype=np.uint8)).resize((800, 600), Image.BICUBIC)
    fine = rng.integers(-24, 25, (600, 800, 3))
    Image.fromarray((np.asarray(coarse).astype(int) + fine).clip(0, 255).astype(np.uint8)).save(path)


def load_image(path):
    import numpy as np
    import torch
    from PIL import Image

    return torch.from_numpy(np.asarray(Image.open(path).convert("RGB")).copy()).permute(2, 0, 1).float() / 255


def peer(program, *words):
    out = subprocess.run([program, *map(str, words)], check=True, capture_output=True, text=True)
    return json.loads(out.stdout)


def equality(program, folder, side, eps, weights):
    import torch
    from safetensors.torch import load_file

    torch.set_num_threads(THREADS)
    path = os.path.join(folder, "image.png")
    image = load_image(path)
    model = build(side, 91, eps)
    if weights:
        model.load_state_dict(torch.load(weights, weights_only=True))
        model.eval()
    else:
        randomise(model, image)
    out = {"side": side, "eps": eps}
    for kind, zipped in [("zip", True), ("old", False)]:
        file = os.path.join(folder, f"weights_{kind}.pth")
        torch.save(model.state_dict(), file, _use_new_zipfile_serialization=zipped)
    saved = os.path.join(folder, "back.safetensors")
    found = peer(program, "detect", os.path.join(folder, "weights_zip.pth"), path, side, eps, 0, saved)["detections"]
    old = peer(program, "detect", os.path.join(folder, "weights_old.pth"), path, side, eps)["detections"]
    out["tensors"] = len(model.state_dict())
    out["old_format_gives_the_same"] = old == found
    back = load_file(saved)
    model.load_state_dict(back, strict=True)
    with torch.no_grad():
        theirs = model([image])[0]
    labels, scores, boxes = theirs["labels"].tolist(), theirs["scores"].tolist(), theirs["boxes"].tolist()
    box_off, score_off, lost, free = 0.0, 0.0, 0, list(found)
    for label, score, box in zip(labels, scores, boxes):
        distance = lambda d: max(abs(a - b) for a, b in zip(d["box"], box)) + abs(d["score"] - score)
        same = [d for d in free if d["label"] == label]
        best = min(same, key=distance, default=None)
        if best is None or distance(best) > 1.0:
            lost += 1
            continue
        free.remove(best)
        box_off = max(box_off, max(abs(a - b) for a, b in zip(best["box"], box)))
        score_off = max(score_off, abs(best["score"] - score))
    out |= {"torchvision": len(labels), "quarry": len(found), "unmatched": lost, "largest_box_deviation_px": box_off,
            "largest_score_deviation": score_off, "best_score": max(scores, default=0.0)}
    return out


def status_mib(key):
    """VmRSS (now) or VmHWM (peak) of this process. Not getrusage: its peak counts the parent's memory before exec too."""
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) // 1024 for line in status if line.startswith(key))


def load_model(weights, image_file, side, eps):
    """torchvision's model with these weights, and the image, for timings on the CPU."""
    import torch

    torch.set_num_threads(THREADS)
    torch.set_num_interop_threads(1)
    model = build(side, 91, eps)
    model.load_state_dict(torch.load(weights, weights_only=True))
    return model, load_image(image_file)


def training_step(model, image, batch=1, autocast=contextlib.nullcontext):
    """Puts the model into training mode; a function that makes one step of SGD on `batch` copies of the image."""
    import torch

    model.train()
    h, w = image.shape[1:]
    boxes = torch.tensor([[x1 * w, y1 * h, x2 * w, y2 * h] for x1, y1, x2, y2 in SHARES])
    target = {"boxes": boxes, "labels": torch.ones(len(SHARES), dtype=torch.int64)}
    optimiser = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], 1e-6, momentum=0.9, weight_decay=1e-4)

    def step():
        with autocast():
            loss = sum(model([image] * batch, [target] * batch).values())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()

    return step


def torchvision_timings(folder, side, eps, steps):
    """Runs in its own process."""
    import torch

    model, image = load_model(os.path.join(folder, "weights_zip.pth"), os.path.join(folder, "image.png"), side, eps)

    def run(step):
        seconds, cpu = [], time.process_time()
        for _ in range(steps + WARM_UP):
            start = time.perf_counter()
            step()
            seconds.append(time.perf_counter() - start)
        return statistics.median(seconds[WARM_UP:]), (time.process_time() - cpu) / len(seconds)

    memory_start = status_mib("VmRSS:")
    model.eval()
    with torch.inference_mode():
        detect, detect_cpu = run(lambda: model([image]))
    memory_detect = status_mib("VmHWM:")
    train, train_cpu = run(training_step(model, image))
    memory = status_mib("VmHWM:")
    return {"detect_s": detect, "train_s": train, "detect_cpu_s": detect_cpu, "train_cpu_s": train_cpu,
            "memory_start_mib": memory_start, "memory_detect_mib": memory_detect, "memory_mib": memory}


def speed(program, folder, side, eps, steps, rounds):
    """Both in turn; the ratio of medians over rounds. cpu: processor time of all threads, which a busy machine disturbs less."""
    ours, theirs = [], []
    for _ in range(rounds):
        ours.append(peer(program, "time", os.path.join(folder, "weights_zip.pth"), os.path.join(folder, "image.png"), side, eps, steps))
        theirs.append(peer(sys.executable, __file__, program, "--theirs", folder, "--sides", side, "--eps", eps, "--steps", steps))
    pick = lambda rows, key: statistics.median(row[key] for row in rows)
    out = {"side": side, "rounds": rounds, "steps": steps}
    for key in ("train_s", "detect_s", "train_cpu_s", "detect_cpu_s", "memory_mib", "memory_detect_mib", "memory_start_mib"):
        a, b = pick(ours, key), pick(theirs, key)
        out[key] = {"quarry": round(a, 4), "torchvision": round(b, 4), "ratio": round(a / b, 3)}
    return out


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("peer")
    parser.add_argument("--equality", action="store_true")
    parser.add_argument("--speed", action="store_true")
    parser.add_argument("--sides", type=int, nargs="+", default=[320, 600])
    parser.add_argument("--eps", type=float, nargs="+", default=[1e-5, 0.0])
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--weights")
    parser.add_argument("--theirs", metavar="FOLDER", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.theirs:
        print(json.dumps(torchvision_timings(args.theirs, args.sides[0], args.eps[0], args.steps)))
        return
    everything = not args.equality and not args.speed
    report = {"equality": [], "speed": []}
    with tempfile.TemporaryDirectory(prefix="quarry-torchvision-") as folder:
        write_image(os.path.join(folder, "image.png"))
        for side in args.sides:
            # The equality runs write the weights that the timings use.
            for eps in args.eps:
                report["equality"].append(equality(args.peer, folder, side, eps, args.weights))
                print(json.dumps(report["equality"][-1]), file=sys.stderr)
            if args.speed or everything:
                report["speed"].append(speed(args.peer, folder, side, args.eps[-1], args.steps, args.rounds))
                print(json.dumps(report["speed"][-1]), file=sys.stderr)
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
