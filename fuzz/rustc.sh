#!/bin/sh
# Cargo's RUSTC_WRAPPER: has libFuzzer see which ways Quarry, the targets and the crates that parse for Quarry go. No sanitizer: Quarry has
# no unsafe code in its readers, and the stable compiler has none.
rustc=$1
shift
name=
previous=
for word in "$@"; do
    [ "$previous" = --crate-name ] && name=$word
    previous=$word
done
# Crates that have code of their own for fuzzing expect crates that are not here.
fuzzing='--cfg fuzzing'
case $name in
    zip) fuzzing= ;;
    # Wayland's macros read XML with it, and a library that rustc itself loads cannot call libFuzzer.
    quick_xml) [ -z "${QUARRY_FUZZ_WINDOW:-}" ] || exec "$rustc" "$@" ;;
    quarry | quarry_fuzz | csv | csv_core | image | image_webp | gif | png | safetensors | serde_json | serde_saphyr | tiff | toml | toml_parser | weezl | zune_*) ;;
    *)
        # The targets are the only crates of their names.
        [ -e "${CARGO_MANIFEST_DIR:-}/targets/$name.rs" ] || exec "$rustc" "$@"
        ;;
esac
# shellcheck disable=SC2086
exec "$rustc" "$@" $fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares
