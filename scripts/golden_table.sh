#!/usr/bin/env bash
# Compares every operator with torchvision's numbers and prints a table: operator, largest deviation (relative to the largest value).
set -euo pipefail
cd "$(dirname "$0")/.."

lines=$(${CARGO:-cargo} test --quiet --no-default-features --features torch --test detector_ops -- --nocapture --test-threads 1) ||
    { printf '%s\n' "$lines" >&2; exit 1; }
printf '| operator | largest deviation |\n|---|---|\n'
printf '%s\n' "$lines" | grep -o '| .* |$' | grep -v oracle | sort -u
