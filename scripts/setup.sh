#!/usr/bin/env bash
# Sets a machine up for Quarry: system packages, libtorch, the pretrained backbone, ONNX Runtime. Skips what is installed.
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/setup_system.sh
scripts/setup_libtorch.sh
scripts/setup_backbone.sh
scripts/setup_onnxruntime.sh
