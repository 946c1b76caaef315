#!/usr/bin/env bash
# Opens the app on the built-in sample, or runs the same job headless where there is no display.
set -euo pipefail
cd "$(dirname "$0")/.."
if [ -n "${DISPLAY:-}" ] || [ -n "${WAYLAND_DISPLAY:-}" ]; then
    exec cargo run --release -- demo "$@"
fi
echo "make run: no display found (DISPLAY and WAYLAND_DISPLAY are empty): running the same job headless." >&2
exec cargo run --release -- demo --headless --auto-review "$@"
