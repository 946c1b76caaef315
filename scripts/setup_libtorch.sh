#!/usr/bin/env bash
# Puts libtorch 2.13.0 from PyPI's wheels into .libtorch/ (LIBTORCH in .cargo/config.toml points there).
# An existing LIBTORCH is respected. With an NVIDIA GPU the wheel's CUDA dependencies come along.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/pip.sh

version=2.13.0
stamp=.libtorch/.complete

if [ -n "${LIBTORCH:-}" ] && [ "$LIBTORCH" != "$PWD/.libtorch" ]; then
    if [ ! -e "$LIBTORCH/lib/libtorch.so" ]; then
        say "LIBTORCH=$LIBTORCH has no lib/libtorch.so. Unset it to let Quarry fetch its own, or point it to a libtorch $version."
        exit 1
    fi
    say "using the libtorch at LIBTORCH=$LIBTORCH"
    exit 0
fi

variant=cpu
if [ "${QUARRY_CUDA:-auto}" = 1 ] || { [ "${QUARRY_CUDA:-auto}" = auto ] && command -v nvidia-smi >/dev/null && nvidia-smi -L 2>/dev/null | grep -q GPU; }; then
    variant=cuda
fi
[ "$(cat "$stamp" 2>/dev/null || true)" = "$version $variant" ] && exit 0

if [ "$(uname -s)-$(uname -m)" != Linux-x86_64 ]; then
    say "libtorch is fetched for Linux x86-64 only. Install libtorch $version yourself and set LIBTORCH to its folder."
    exit 1
fi
python=$(require_pip "libtorch")

work=$(mktemp -d "$PWD/.libtorch-setup.XXXXXX")
trap 'rm -rf "$work"' EXIT

fetch() { # NAME==VERSION [extra pip arguments]
    "$python" -m pip download --disable-pip-version-check --only-binary=:all: --python-version 3.11 \
        --implementation cp --platform manylinux_2_28_x86_64 --platform manylinux_2_27_x86_64 --platform manylinux_2_25_x86_64 \
        --platform manylinux_2_17_x86_64 --platform manylinux2014_x86_64 -d "$work/wheels" "$@" >&2
}

verify() { # FILE-PREFIX SHA256
    local file
    file=$(ls "$work"/wheels/"$1"-*.whl)
    if ! echo "$2  $file" | sha256sum --check --status; then
        say "$(basename "$file") has not the checksum that Quarry expects ($2). Nothing was installed; try again, or look at your package mirror."
        exit 1
    fi
}

unpack() { "$python" -m zipfile -e "$1" "$work/unpacked"; }

mkdir -p "$work/wheels" "$work/libtorch/lib"
if [ $variant = cpu ]; then
    say "fetching libtorch $version (527 MB, once) ..."
    fetch --no-deps "torch==$version"
    fetch --no-deps nvidia-cuda-runtime==13.0.96
    fetch --no-deps nvidia-cuda-cupti==13.0.85
else
    say "NVIDIA GPU found: fetching libtorch $version with CUDA (several GB, once) ..."
    fetch "torch==$version"
fi
verify torch 60fcdcb2f3876e21146cb4524ef06397d727ca9ad5f020818547e25075fe3cb7
verify nvidia_cuda_runtime 7f82250d7782aa23b6cfe765ecc7db554bd3c2870c43f3d1821f1d18aebf0548
verify nvidia_cuda_cupti 4eb01c08e859bf924d222250d2e8f8b8ff6d3db4721288cf35d14252a4d933c8

say "unpacking ..."
if [ $variant = cpu ]; then
    for wheel in "$work"/wheels/*.whl; do unpack "$wheel"; done
    cp "$work"/unpacked/torch/lib/{libtorch_cpu.so,libc10.so,libgomp.so.1} "$work/libtorch/lib/"
    find "$work/unpacked/nvidia" \( -name libcudart.so.13 -o -name libcupti.so.13 \) -exec cp {} "$work/libtorch/lib/" \;
    ln -s libtorch_cpu.so "$work/libtorch/lib/libtorch.so"
else
    for wheel in "$work"/wheels/*.whl; do unpack "$wheel"; done
    cp "$work"/unpacked/torch/lib/*.so* "$work/libtorch/lib/"
    # The wheel's libraries look for CUDA beside the Python packages; here they lie in one folder.
    find "$work/unpacked" -path '*/nvidia/*' -name '*.so*' -exec cp -n {} "$work/libtorch/lib/" \;
    find "$work/unpacked" -path '*/cusparselt/*' -name '*.so*' -exec cp -n {} "$work/libtorch/lib/" \;
fi
cp -r "$work/unpacked/torch/include" "$work/libtorch/include"
for needed in libtorch.so libtorch_cpu.so libc10.so libgomp.so.1 libcudart.so.13 libcupti.so.13; do
    [ -e "$work/libtorch/lib/$needed" ] || { say "the wheels lack $needed; nothing was installed."; exit 1; }
done
echo "$version $variant" >"$work/libtorch/.complete"
rm -rf .libtorch
mv "$work/libtorch" .libtorch
say "libtorch $version ($variant) is ready in .libtorch/"
