#!/usr/bin/env bash
# Compares Quarry with torchvision, ONNX Runtime and OpenVINO on the same weights and image: one table. The peers are installed in their own
# virtual environment (.venv-peers; about 6 GB, once). Arguments are passed on to bench_peers.py.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/peer.sh
set_up bench-peers .venv-peers "torchvision, onnx, onnxruntime, openvino" \
    torch==2.13.0 torchvision==0.28.0 numpy pillow safetensors onnx onnxruntime openvino
exec "$python" scripts/bench_peers.py "$peer" "$@"
