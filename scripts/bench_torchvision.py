"""torchvision's half of `scripts/bench_torchvision.sh`: seconds per training step and per detected image, and peak memory, of
fasterrcnn_resnet50_fpn on random pixels. Usage: bench_torchvision.py SHORTER_SIDE STEPS. Must not know Quarry."""

import resource
import sys
import time
import warnings

import torch
from torchvision.models.detection import fasterrcnn_resnet50_fpn

from compare_torchvision import freeze

warnings.filterwarnings("ignore")
side, steps = int(sys.argv[1]), int(sys.argv[2])
torch.set_num_threads(2)
torch.manual_seed(0)
model = fasterrcnn_resnet50_fpn(weights=None, weights_backbone=None, min_size=side, max_size=side * 5 // 3)
# As with pretrained weights: frozen batch norm, conv1 and layer1 do not learn.
freeze(model.backbone.body)
for name, parameter in model.backbone.body.named_parameters():
    parameter.requires_grad_(any(name.startswith(layer) for layer in ("layer2", "layer3", "layer4")))
image = torch.rand(3, side, side * 4 // 3)
s = float(side)
target = {
    "boxes": torch.tensor([[.1, .1, .3, .4], [.6, .3, .9, .75], [.4, .6, .45, .68]]) * s,
    "labels": torch.ones(3, dtype=torch.int64),
}
optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=1e-9, momentum=0.9)


def step():
    sum(model([image], [target]).values()).backward()
    optimizer.step()
    optimizer.zero_grad()


def detect():
    with torch.inference_mode():
        model([image])


def median_seconds(work):
    times = []
    for _ in range(steps + 2):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return sorted(times[2:])[steps // 2]


model.train()
training = median_seconds(step)
model.eval()
detection = median_seconds(detect)
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
print(f"torchvision s={side} batch 1: step {training:.3f} s, detect {detection:.3f} s, peak {peak} MiB")
