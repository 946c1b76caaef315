#!/usr/bin/env bash
# Makes quarry-VERSION-ARCH-linux.tar.gz and, if dpkg-deb is installed, quarry_VERSION_ARCH.deb: scripts/package.sh [OUT] [BUILD] [FORMATS]. Both
# have the layout of scripts/stage.sh; debug symbols are in a separate archive. libtorch is not included: `quarry setup` fetches it.
set -euo pipefail
cd "$(dirname "$0")/.."
target=${CARGO_TARGET_DIR:-target}
out=${1:-$target/package}
build=${2:-$target/release}
formats=" ${3:-debug tar deb} "
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
name=quarry-$version-$(uname -m)-linux

mkdir -p "$out"
work=$(mktemp -d "$out/.package.XXXXXX")
trap 'rm -rf "$work"' EXIT
scripts/stage.sh "$work/$name" "$build"
# Reproducible: the same content gives the same archive.
pack() { # ARCHIVE FOLDER
    tar -C "$work" --sort=name --owner=0 --group=0 --numeric-owner --mtime="@${SOURCE_DATE_EPOCH:-0}" -cf - "$2" | gzip -n "${QUARRY_GZIP:--6}" >"$work/archive"
    mv "$work/archive" "$out/$1"
    echo "$out/$1"
}
if [ -d "$work/$name.debug" ] && [[ $formats == *" debug "* ]]; then pack "$name-debug.tar.gz" "$name.debug"; fi
pack "$name.tar.gz" "$name"
[[ $formats == *" deb "* ]] || exit 0

if ! command -v dpkg-deb >/dev/null; then
    echo "package: no dpkg-deb here: no .deb was made" >&2
    exit 0
fi
deb=$work/deb
mkdir -p "$deb/DEBIAN"
mv "$work/$name" "$deb/usr"
gzip -9n "$deb"/usr/share/man/man1/*.1
mv "$deb/usr/share/zsh/site-functions" "$deb/usr/share/zsh/vendor-completions"
architecture=$(dpkg --print-architecture)
# Libraries that the window loads with dlopen are not listed in the binary; `quarry setup` needs the certificates.
cat >"$deb/DEBIAN/control" <<CONTROL
Package: quarry
Version: $version
Architecture: $architecture
Maintainer: The Quarry authors <quarry@localhost>
Installed-Size: $(du -sk "$deb/usr" | cut -f 1)
Depends: libc6 (>= $(getconf GNU_LIBC_VERSION | cut -d ' ' -f 2)), libstdc++6, libgcc-s1
Recommends: ca-certificates, libgl1, libegl1, libx11-6, libx11-xcb1, libxcursor1, libxi6, libxrandr2, libxkbcommon0, libxkbcommon-x11-0, libwayland-client0, libwayland-egl1
Section: science
Priority: optional
Description: Hard negative mining for object detectors
 Train a detector, review its false positives, retrain, and watch the curves
 move. Run "quarry setup" once: it fetches libtorch for the user.
CONTROL
# zstd takes seconds where xz takes minutes; every dpkg that has the glibc above reads it.
dpkg-deb --root-owner-group -Zzstd -z15 --build "$deb" "$work/quarry.deb" >/dev/null
mv "$work/quarry.deb" "$out/quarry_${version}_$architecture.deb"
echo "$out/quarry_${version}_$architecture.deb"
