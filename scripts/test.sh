#!/usr/bin/env bash
# Runs every test: the whole crate, then the crate's own tests without window and without libtorch.
set -euo pipefail
cd "$(dirname "$0")/.."
status=0
# Where a GPU is expected, a test that would skip it must fail.
if grep -qs cuda .libtorch/.complete && command -v nvidia-smi >/dev/null && nvidia-smi -L 2>/dev/null | grep -q GPU; then
    export QUARRY_REQUIRE_CUDA=${QUARRY_REQUIRE_CUDA:-1}
fi
cargo test --no-fail-fast "$@" || status=$?
cargo test --no-fail-fast --no-default-features --lib "$@" || status=$?
exit $status
