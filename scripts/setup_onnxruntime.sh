#!/usr/bin/env bash
# Puts ONNX Runtime's library from PyPI's wheel into .onnxruntime/, for ONNX models of other detectors. QUARRY_ONNX=0 skips it.
# A library named by QUARRY_ONNXRUNTIME is respected. The wheel is verified. Without pip or a network everything else is set up all the same.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/pip.sh

version=1.32.0
stamp=.onnxruntime/.complete

case "${QUARRY_ONNX:-1}" in
0) exit 0 ;;
1) ;;
*) say "QUARRY_ONNX is \"$QUARRY_ONNX\"; write 1 (ONNX models) or 0 (without)."; exit 1 ;;
esac
[ -n "${QUARRY_ONNXRUNTIME:-}" ] && exit 0
[ "$(cat "$stamp" 2>/dev/null || true)" = "$version" ] && exit 0
if [ "$(uname -s)-$(uname -m)" != Linux-x86_64 ]; then
    say "ONNX Runtime is fetched for Linux x86-64 only: for ONNX models install it yourself and set QUARRY_ONNXRUNTIME to its library."
    exit 0
fi
python=$(require_pip "ONNX Runtime")
work=$(mktemp -d "$PWD/.onnxruntime-setup.XXXXXX")
trap 'rm -rf "$work"' EXIT
say "fetching ONNX Runtime $version (28 MB, once) ..."
platforms=(--platform manylinux2014_x86_64)
for minor in $(seq 17 28); do platforms+=(--platform "manylinux_2_${minor}_x86_64"); done
if ! "$python" -m pip download --disable-pip-version-check --only-binary=:all: --no-deps --require-hashes --python-version 3.11 \
    --implementation cp "${platforms[@]}" -d "$work" -r scripts/onnxruntime.txt >&2; then
    say "ONNX Runtime could not be fetched (pip's reason is above): ONNX models cannot be run until make setup succeeds. Everything else works."
    exit 0
fi
"$python" -m zipfile -e "$work"/onnxruntime-*.whl "$work/unpacked"
mkdir "$work/onnxruntime"
cp "$work/unpacked/onnxruntime/capi/libonnxruntime.so.$version" "$work/onnxruntime/libonnxruntime.so"
cp "$work/unpacked/onnxruntime/LICENSE" "$work/unpacked/onnxruntime/ThirdPartyNotices.txt" "$work/onnxruntime/"
echo "$version" >"$work/onnxruntime/.complete"
rm -rf .onnxruntime
mv "$work/onnxruntime" .onnxruntime
