#!/usr/bin/env bash
# Runs Quarry's resnet50-fpn and torchvision's in turn on random pixels: batch 1, 2 threads, SGD with momentum, s = 600 and 320.
# Installs torchvision into .venv-torchvision (several GB, once). ROUNDS and STEPS may be set. Must not know how either works.
set -euo pipefail
cd "$(dirname "$0")/.."
export OMP_NUM_THREADS=2

venv=${TORCHVISION_VENV:-.venv-torchvision}
profile=${PROFILE:-release}
if ! "$venv/bin/python" -c 'import torchvision' 2>/dev/null; then
    echo "setup: installing torchvision into $venv ..." >&2
    python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet torch==2.13.0 torchvision==0.28.0 numpy pillow safetensors
fi
ours() { cargo bench --quiet --profile "$profile" --no-default-features --features torch --bench detector_step -- "$@"; }

for side in ${SIDES:-600 320}; do
    for _ in $(seq "${ROUNDS:-3}"); do
        ours torchvision "$side" 1 "${STEPS:-5}" 2
        "$venv/bin/python" scripts/bench_torchvision.py "$side" "${STEPS:-5}"
    done
done
