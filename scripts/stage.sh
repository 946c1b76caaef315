#!/usr/bin/env bash
# Lays out an installation below a folder: scripts/stage.sh ROOT [BUILD]. BUILD is the folder with the built `quarry` and `libquarry.so`
# (target/release). The same layout is packed by scripts/package.sh and installed by `make install`. Debug symbols go to ROOT.debug.
set -euo pipefail
root=$1
build=${2:-${CARGO_TARGET_DIR:-target}/release}
here=$(cd "$(dirname "$0")/.." && pwd)

# Cargo keeps the newest library in deps/.
library=$build/libquarry.so
[ ! -e "$build/deps/libquarry.so" ] || library=$build/deps/libquarry.so
for built in "$build/quarry" "$library"; do
    [ -e "$built" ] || { echo "stage: $built is missing: run cargo build --release first" >&2; exit 1; }
done

# Installs a binary without its debug symbols, which are kept in ROOT.debug.
strip_into() { # FROM TO
    install -D -m 755 "$1" "$root/$2"
    if command -v objcopy >/dev/null; then
        mkdir -p "$root.debug"
        objcopy --only-keep-debug "$1" "$root.debug/$(basename "$2").debug"
        objcopy --strip-unneeded --add-gnu-debuglink="$root.debug/$(basename "$2").debug" "$root/$2"
    else
        echo "stage: no objcopy (binutils): $2 keeps its debug symbols" >&2
    fi
}
strip_into "$build/quarry" bin/quarry
strip_into "$library" lib/quarry/libquarry.so
chmod 644 "$root/lib/quarry/libquarry.so"

install -D -m 644 -t "$root/share/applications" "$here/packaging/quarry.desktop"
install -D -m 644 -t "$root/share/icons/hicolor/scalable/apps" "$here/packaging/quarry.svg"
# As in the checkout, so that links and images work.
install -D -m 644 -t "$root/share/doc/quarry" "$here"/{README,CHANGELOG,ARCHITECTURE,CONTRIBUTING}.md "$here"/LICENSE-{MIT,APACHE}
install -D -m 644 -t "$root/share/doc/quarry/docs" "$here"/docs/*
# The binary writes these itself.
quarry=$root/bin/quarry
mkdir -p "$root/share/bash-completion/completions" "$root/share/zsh/site-functions" "$root/share/fish/vendor_completions.d" "$root/share/man/man1"
"$quarry" completions bash >"$root/share/bash-completion/completions/quarry"
"$quarry" completions zsh >"$root/share/zsh/site-functions/_quarry"
"$quarry" completions fish >"$root/share/fish/vendor_completions.d/quarry.fish"
"$quarry" man "$root/share/man/man1" --force >/dev/null
