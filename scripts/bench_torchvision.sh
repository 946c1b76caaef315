#!/usr/bin/env bash
# Compares Quarry with torchvision on the same weights and image: equality of detections, seconds per training step and detected image, peak
# memory. The peer is installed in its own virtual environment (.venv-torchvision; about 5 GB, once).
# Arguments are passed on to compare_torchvision.py.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/peer.sh
set_up bench-torchvision .venv-torchvision "torchvision, safetensors" torch==2.13.0 torchvision==0.28.0 numpy pillow safetensors
exec "$python" scripts/compare_torchvision.py "$peer" "$@"
