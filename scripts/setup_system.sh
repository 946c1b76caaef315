#!/usr/bin/env bash
# Installs the system packages that building and opening a window need (Debian and Ubuntu).
set -euo pipefail

packages=(g++ pkg-config libgl1 libegl1 libgl1-mesa-dri libx11-6 libx11-xcb1 libxcursor1 libxi6 libxrandr2
    libxkbcommon0 libxkbcommon-x11-0 libwayland-client0 libwayland-egl1)

say() { printf 'setup: %s\n' "$*" >&2; }

if ! command -v cargo >/dev/null; then
    say "no Rust toolchain found. Install it from your distribution or from rustup, then run this again."
    exit 1
fi
if ! command -v dpkg-query >/dev/null; then
    say "not Debian or Ubuntu: please install the equivalents of: ${packages[*]}"
    exit 0
fi

missing=()
for package in "${packages[@]}"; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || missing+=("$package")
done
[ ${#missing[@]} -eq 0 ] && exit 0

if [ "$(id -u)" -eq 0 ]; then
    sudo=()
elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
    sudo=(sudo)
elif command -v sudo >/dev/null && [ -t 0 ]; then
    sudo=(sudo)
else
    say "these system packages are missing and you are not root. Run this line, then try again:"
    echo "    sudo apt-get update && sudo apt-get install -y ${missing[*]}"
    exit 1
fi

say "installing system packages: ${missing[*]}"
log=$(mktemp)
if ! { "${sudo[@]}" apt-get update -q && "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -q "${missing[@]}"; } >"$log" 2>&1; then
    cat "$log" >&2
    say "installing system packages failed; the reason is above."
    exit 1
fi
rm -f "$log"
