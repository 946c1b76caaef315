#!/usr/bin/env bash
# Puts libtorch 2.13.0 from PyPI's wheels into .libtorch/ (LIBTORCH in .cargo/config.toml points there).
# An existing LIBTORCH is respected. Every wheel is verified. Where there is an NVIDIA GPU that the CUDA variant can use, that variant is
# fetched, also where the CPU variant is installed already; an installed CUDA variant stays. QUARRY_CUDA=1 or 0 decides instead.
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

# The oldest driver that runs CUDA 13; src/detector/gpu_state.rs has it too.
oldest_driver=580
installed=$(cat "$stamp" 2>/dev/null || true)

# Prints the variant that suits this machine.
suitable_variant() {
    local driver
    if [ "$installed" = "$version cuda" ]; then
        echo cuda
    elif ! command -v nvidia-smi >/dev/null || ! nvidia-smi -L 2>/dev/null | grep -q GPU; then
        echo cpu
    else
        driver=$(nvidia-smi --query-gpu=driver_version --format=csv,noheader 2>/dev/null | head -n 1 || true)
        if [[ $driver =~ ^([0-9]+)\. ]] && [ "${BASH_REMATCH[1]}" -lt $oldest_driver ]; then
            say "the NVIDIA driver $driver is too old for CUDA 13: libtorch's CPU variant is used. Install driver $oldest_driver or newer, then run make setup again."
            echo cpu
        else
            echo cuda
        fi
    fi
}

case "${QUARRY_CUDA:-auto}" in
1) variant=cuda ;;
0) variant=cpu ;;
auto) variant=$(suitable_variant) ;;
*) say "QUARRY_CUDA is \"$QUARRY_CUDA\"; write 1 (the CUDA variant), 0 (the CPU variant) or auto."; exit 1 ;;
esac
[ "$installed" = "$version $variant" ] && exit 0

if [ "$(uname -s)-$(uname -m)" != Linux-x86_64 ]; then
    say "libtorch is fetched for Linux x86-64 only. Install libtorch $version yourself and set LIBTORCH to its folder."
    exit 1
fi
python=$(require_pip "libtorch")

work=$(mktemp -d "$PWD/.libtorch-setup.XXXXXX")
trap 'rm -rf "$work"' EXIT

# Fetches the wheels of a list. The lists hold the SHA-256 of every wheel, and pip refuses other bytes.
fetch() { # LIST
    local platforms=(--platform manylinux2014_x86_64) minor
    for minor in $(seq 17 28); do platforms+=(--platform "manylinux_2_${minor}_x86_64"); done
    if ! "$python" -m pip download --disable-pip-version-check --only-binary=:all: --no-deps --require-hashes --python-version 3.11 \
        --implementation cp "${platforms[@]}" -d "$work/wheels" -r "$1" >&2; then
        say "the wheels of $1 could not be fetched, or have not the checksums that stand there (pip's reason is above). Nothing was installed; try again, or check your package mirror."
        if [ "$installed" = "$version cpu" ] && [ "${QUARRY_CUDA:-auto}" = auto ]; then
            say "going on with the CPU variant that is installed: the GPU is not used. Run make setup again to fetch the CUDA variant."
            exit 0
        fi
        exit 1
    fi
}

unpack() { "$python" -m zipfile -e "$1" "$work/unpacked"; }

mkdir -p "$work/wheels" "$work/libtorch/lib"
if [ $variant = cpu ]; then
    say "fetching libtorch $version (527 MB, once) ..."
else
    say "fetching libtorch $version with CUDA (2.5 GB, once; 3.7 GB on the disk) ..."
fi
fetch "scripts/libtorch_$variant.txt"

say "unpacking ..."
if [ $variant = cpu ]; then
    for wheel in "$work"/wheels/*.whl; do unpack "$wheel"; done
    cp "$work"/unpacked/torch/lib/{libtorch_cpu.so,libc10.so,libgomp.so.1} "$work/libtorch/lib/"
    find "$work/unpacked/nvidia" \( -name libcudart.so.13 -o -name libcupti.so.13 \) -exec cp {} "$work/libtorch/lib/" \;
    ln -s libtorch_cpu.so "$work/libtorch/lib/libtorch.so"
else
    for wheel in "$work"/wheels/*.whl; do unpack "$wheel"; done
    cp "$work"/unpacked/torch/lib/*.so* "$work/libtorch/lib/"
    # The wheel's libraries look for CUDA next to the Python packages; here all are in one folder.
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
