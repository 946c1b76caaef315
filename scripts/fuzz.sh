#!/usr/bin/env bash
# Fuzzes every reader of untrusted bytes: scripts/fuzz.sh [MINUTES [TARGET...]], by default ten minutes each. Corpora are kept in
# fuzz/corpus, so that the next run continues; failing inputs are in fuzz/artifacts. Prints a line per target.
# The stable compiler is enough: fuzz/rustc.sh has libFuzzer see what the code does.
set -euo pipefail
cd "$(dirname "$0")/.."
minutes=${1:-10}
shift || true
# The limits of every target: memory and one allocation in MB, seconds and bytes of one input.
limits=(-rss_limit_mb=1024 -malloc_limit_mb=1024 -timeout=20 -max_len=65536)
folder=$PWD/fuzz/target
all=()
for file in fuzz/targets/*.rs; do all+=("$(basename "$file" .rs)"); done
targets=("$@")
[ ${#targets[@]} -gt 0 ] || targets=("${all[@]}")
# build FOLDER OPTION...: builds targets with coverage.
build() {
    RUSTC_WRAPPER=$PWD/fuzz/rustc.sh CARGO_TARGET_DIR=$1 "${CARGO:-cargo}" build --manifest-path fuzz/Cargo.toml "${@:2}"
}
# Only this target needs the window's libraries. They parse XML while they are built: see fuzz/rustc.sh.
with_window=keys_toml
[[ " ${targets[*]} " != *" $with_window "* ]] || QUARRY_FUZZ_WINDOW=1 build "$folder/window" --features gui --bin $with_window
[ "${targets[*]}" = $with_window ] || build "$folder" --bins
status=0
fixtures=tests/fixtures
# Rebuilds a target's seed folder from tests/fixtures and fuzz/seeds, with the bytes that the target expects in front of each file.
seed() {
    local target=$1 front=$2
    shift 2
    mkdir -p "fuzz/corpus/$target"
    for file in "$@"; do
        [ -f "$file" ] && [ "$(stat -c %s "$file")" -lt 100000 ] || continue
        { printf '%b' "$front" && cat "$file"; } >"fuzz/corpus/$target/seed-$(basename "$(dirname "$file")")-$(basename "$file")"
    done
}
seeds() {
    local target=$1
    seed "$target" '' fuzz/seeds/"$target"/*
    case $target in
        import_auto) seed "$target" '\0000' $fixtures/formats/*/bad/*.json && seed "$target" '\0001' $fixtures/formats/*/bad/*.xml ;;
        import_yolo)
            seed "$target" 'train: images\nnames: [car]\n\n=====\n' $fixtures/formats/yolo/bad/label*
            seed "$target" '' $fixtures/formats/yolo/bad/yaml*
            seed "$target" 'train: list.txt\nnames: [car]\n\n=====\n\n=====\n' $fixtures/formats/yolo/bad/list*
            ;;
        import_*) seed "$target" '' "$fixtures/formats/$(echo "${target#import_}" | tr _ -)"/bad/* ;;
        results)
            seed "$target" '\0000' $fixtures/evaluators/*/detections.json
            seed "$target" '\0001' $fixtures/fddb_edge/*/dets.txt
            ;;
        result_names) seed "$target" '' $fixtures/evaluators/*/ground_truth.json ;;
        roc) seed "$target" '' $fixtures/fddb_edge/*/*ROC.txt ;;
        fddb_text)
            seed "$target" '' $fixtures/fddb_edge/*/ellipseList.txt
            seed "$target" '\n=====\n' $fixtures/fddb_edge/*/dets.txt
            seed "$target" '\n=====\n\n=====\n\n=====\n' $fixtures/fddb_edge/*/sizes.txt
            ;;
        decode | jpeg_scan) seed "$target" '' $fixtures/dataset/*.jpg fuzz/seeds/decode/* ;;
        weights_safetensors) seed "$target" '' $fixtures/*.safetensors ;;
    esac
}
seconds=$(awk "BEGIN { print int($minutes * 60) }")
for target in "${targets[@]}"; do
    program=$folder/debug/$target
    [ "$target" != $with_window ] || program=$folder/window/debug/$target
    [ -x "$program" ] || { echo "fuzz: there is no target $target; there are: ${all[*]}" >&2; exit 2; }
    seeds "$target"
    mkdir -p fuzz/artifacts/"$target"
    log=$(mktemp)
    begun=$SECONDS
    ended=0
    "$program" fuzz/corpus/"$target" -artifact_prefix=fuzz/artifacts/"$target"/ -max_total_time="$seconds" "${limits[@]}" \
        -dict=fuzz/words.dict -print_final_stats=1 >"$log" 2>&1 &
    fuzzer=$!
    wait $fuzzer || ended=$?
    runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
    peak=$(sed -n 's/^stat::peak_rss_mb: *//p' "$log")
    printf '%-24s %10s executions in %4d s, peak %5s MB: %s\n' "$target" "${runs:-?}" $((SECONDS - begun)) "${peak:-?}" \
        "$([ $ended -eq 0 ] && echo nothing found || grep -a -m1 -E '^SUMMARY|panicked at' "$log" || echo "ended with $ended")"
    if [ $ended -ne 0 ]; then
        status=1
        grep -a -E 'panicked|ERROR|Test unit written' -A2 "$log" | head -20 || tail -n 20 "$log"
    fi
    rm -f "$log"
    # Only its own files: others may run at the same time.
    rm -rf "${TMPDIR:-/tmp}/quarry-fuzz-$fuzzer" /dev/shm/quarry-fuzz-$fuzzer
done
exit $status
