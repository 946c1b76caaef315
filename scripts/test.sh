#!/usr/bin/env bash
# Runs every test: the whole crate, then the crate's own tests without window and without libtorch.
set -euo pipefail
cd "$(dirname "$0")/.."
status=0
cargo test --no-fail-fast "$@" || status=$?
cargo test --no-fail-fast --no-default-features --lib "$@" || status=$?
exit $status
