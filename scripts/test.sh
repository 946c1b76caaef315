#!/usr/bin/env bash
# Runs every test: the whole crate, then the crate without window and without libtorch.
set -euo pipefail
cd "$(dirname "$0")/.."
cargo test --no-fail-fast "$@"
