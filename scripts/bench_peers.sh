#!/usr/bin/env bash
# Quarry beside torchvision, ONNX Runtime and OpenVINO on the same weights and image: one table. The peers live in a virtual environment of
# their own (.venv-peers; about 6 GB, once). Arguments are passed on to bench_peers.py. QUARRY_PEER_PYTHON names a Python that has them already.
set -euo pipefail
cd "$(dirname "$0")/.."

say() { printf 'bench-peers: %s\n' "$*" >&2; }

python=${QUARRY_PEER_PYTHON:-}
if [ -z "$python" ]; then
    python=.venv-peers/bin/python
    if ! "$python" -c 'import torchvision, onnx, onnxruntime, openvino' 2>/dev/null; then
        say "installing torchvision, ONNX Runtime and OpenVINO into .venv-peers ..."
        python3 -m venv .venv-peers
        "$python" -m pip install --quiet --disable-pip-version-check torch==2.13.0 torchvision==0.28.0 numpy pillow safetensors onnx onnxruntime openvino
    fi
fi
say "building Quarry's side ..."
peer=$(cargo bench --quiet --bench torchvision_peer --no-run --message-format=json ${QUARRY_PEER_CARGO:-} |
    sed -n 's/.*"executable":"\([^"]*torchvision_peer[^"]*\)".*/\1/p' | tail -1)
[ -x "$peer" ] || { say "cargo built no torchvision_peer"; exit 1; }
exec "$python" scripts/bench_peers.py "$peer" "$@"
