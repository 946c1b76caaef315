#!/usr/bin/env bash
# Quarry beside torchvision on the same weights and picture: equality of detections, seconds per training step and detected picture, peak
# memory. The peer lives in a virtual environment of its own (.venv-torchvision; about 5 GB, once).
# Arguments are passed on to compare_torchvision.py. QUARRY_PEER_PYTHON names a Python that has torchvision already.
set -euo pipefail
cd "$(dirname "$0")/.."

say() { printf 'bench-torchvision: %s\n' "$*" >&2; }

python=${QUARRY_PEER_PYTHON:-}
if [ -z "$python" ]; then
    python=.venv-torchvision/bin/python
    if ! "$python" -c 'import torchvision, safetensors' 2>/dev/null; then
        say "installing torchvision into .venv-torchvision ..."
        python3 -m venv .venv-torchvision
        "$python" -m pip install --quiet --disable-pip-version-check torch==2.13.0 torchvision==0.28.0 numpy pillow safetensors
    fi
fi
say "building Quarry's side ..."
peer=$(cargo bench --quiet --bench torchvision_peer --no-run --message-format=json ${QUARRY_PEER_CARGO:-} |
    sed -n 's/.*"executable":"\([^"]*torchvision_peer[^"]*\)".*/\1/p' | tail -1)
[ -x "$peer" ] || { say "cargo built no torchvision_peer"; exit 1; }
exec "$python" scripts/compare_torchvision.py "$peer" "$@"
